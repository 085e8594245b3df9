//! The figures, their targets, and the table that shows both.

use std::collections::BTreeMap;

/// Functions that are compared with each other, with their targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Events, compared with lambda_runtime and a bare loop.
    Events,
    /// HTTP requests, compared with lambda_http.
    Http,
    /// HTTP requests to an axum router, compared with lambda_http.
    Axum,
}

impl Group {
    /// The functions in the order of the columns: this runtime, the bare loop if there is one, the peer, and the peer on one thread.
    pub fn names(self) -> [&'static str; 4] {
        match self {
            Group::Events => ["ours", "bare", "official", "one-thread"],
            Group::Http => ["http-ours", "", "http-official", "http-one-thread"],
            Group::Axum => ["axum-ours", "", "axum-official", "axum-one-thread"],
        }
    }

    pub fn titles(self) -> [&'static str; 4] {
        match self {
            Group::Events => ["ours", "bare loop", "lambda_runtime", "on one thread"],
            Group::Http => ["ours", "", "lambda_http", "on one thread"],
            Group::Axum => ["axum, ours", "", "axum, lambda_http", "on one thread"],
        }
    }

    fn figures(self) -> &'static [Figure] {
        match self {
            Group::Events => &ALL,
            _ => &ALL[..9],
        }
    }
}

/// The figures, in the order of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    Zip,
    Binary,
    Crates,
    Compile,
    CompileCpu,
    Start,
    Time,
    Cpu,
    Memory,
    LongTime,
    LongMemory,
    Time8,
    Cpu8,
    Memory8,
}

use Figure::*;

const ALL: [Figure; 14] =
    [Zip, Binary, Crates, Compile, CompileCpu, Start, Time, Cpu, Memory, LongTime, LongMemory, Time8, Cpu8, Memory8];

impl Figure {
    pub fn label(self) -> &'static str {
        match self {
            Zip => "zip, kB",
            Binary => "binary, kB",
            Crates => "crates in the tree",
            Compile => "compile from scratch, s",
            CompileCpu => "CPU to compile, s",
            Start => "start to first `next`, ms",
            Time => "time per invocation, µs",
            Cpu => "CPU per invocation, µs",
            Memory => "peak memory, small event, KiB",
            LongTime => "time, 6 MB event and response, ms",
            LongMemory => "peak memory, 6 MB event and response, KiB",
            Time8 => "time per invocation, 8 workers, µs",
            Cpu8 => "CPU per invocation, 8 workers, µs",
            Memory8 => "peak memory, 8 workers, KiB",
        }
    }

    /// The target as a share of the peer's figure.
    fn target(self, group: Group) -> Option<f64> {
        Some(match (group, self) {
            (Group::Events, Crates) => 0.15,
            (Group::Events, Compile) => 0.35,
            (Group::Events, Start | Cpu | Cpu8) => 0.7,
            (Group::Events, Time | Time8) => 0.8,
            (Group::Events, Zip | Memory | Memory8) => 0.5,
            (Group::Events, LongTime) => 0.75,
            (Group::Events, LongMemory) => 0.6,
            (Group::Http, Zip | Cpu | Memory) => 0.5,
            (Group::Http, Crates) => 0.3,
            (Group::Http, Compile) => 0.4,
            (Group::Http, Start) => 0.6,
            (Group::Axum, Zip) => 0.75,
            (Group::Axum, Cpu) => 0.7,
            _ => return None,
        })
    }

    /// The target as a share of the bare loop's figure.
    fn above_bare(self) -> Option<f64> {
        Some(match self {
            Time | Cpu | Cpu8 => 1.15,
            // Workers share the lock of the allocator.
            Time8 => 1.3,
            _ => return None,
        })
    }

    fn show(self, value: f64) -> String {
        match self {
            Zip | Binary => format!("{:.0}", value / 1000.0),
            Crates | Memory | LongMemory | Memory8 => format!("{value:.0}"),
            Start => format!("{value:.2}"),
            _ => format!("{value:.1}"),
        }
    }
}

/// All measurements.
#[derive(Debug, Default)]
pub struct Samples(BTreeMap<(Figure, &'static str), Vec<f64>>);

impl Samples {
    pub fn add(&mut self, figure: Figure, name: &'static str, value: f64) {
        self.0.entry((figure, name)).or_default().push(value);
    }

    fn median(&self, figure: Figure, name: &'static str) -> Option<f64> {
        let mut values = self.0.get(&(figure, name))?.clone();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        Some(match values.len() % 2 {
            0 => (values[middle - 1] + values[middle]) / 2.0,
            _ => values[middle],
        })
    }
}

/// One figure for all functions: `None` for a function without that figure.
pub struct Row {
    pub figure: Figure,
    group: Group,
    pub medians: [Option<f64>; 4],
}

impl Row {
    /// The target as a share of the peer's figure.
    pub fn target(&self) -> Option<f64> {
        self.figure.target(self.group)
    }

    /// Our figure as a share of the peer's.
    pub fn ratio(&self) -> Option<f64> {
        let [ours, _, official, _] = self.medians;
        Some(ours? / official?)
    }

    fn above_bare(&self) -> Option<f64> {
        let [ours, bare, ..] = self.medians;
        Some(ours? / bare?)
    }
}

pub struct Report {
    group: Group,
    pub rows: Vec<Row>,
}

impl Report {
    pub fn new(samples: &Samples, group: Group) -> Self {
        let rows = group.figures().iter().map(|&figure| Row {
            figure,
            group,
            medians: group.names().map(|name| samples.median(figure, name)),
        });
        Report { group, rows: rows.collect() }
    }

    pub fn markdown(&self) -> String {
        // Only this group has columns for the bare loop.
        let bare = self.group == Group::Events;
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut titles = vec![String::new()];
        titles.extend(self.group.titles().iter().filter(|title| !title.is_empty()).map(|title| title.to_string()));
        titles.extend(["ratio", "at most"].map(str::to_owned));
        if bare {
            titles.extend(["to bare", "at most"].map(str::to_owned));
        }
        let rule = ["---"].into_iter().chain(vec!["--:"; titles.len() - 1]).map(str::to_owned).collect();
        let mut text = line(titles) + &line(rule);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".into());
        for row in &self.rows {
            let mut cells = vec![row.figure.label().to_owned()];
            for (value, title) in row.medians.iter().zip(self.group.titles()) {
                if !title.is_empty() {
                    cells.push(or_dash(value.map(|value| row.figure.show(value))));
                }
            }
            cells.push(or_dash(row.ratio().map(|ratio| format!("{ratio:.2}"))));
            cells.push(row.target().map_or(String::new(), |most| mark(most, row.ratio())));
            if bare {
                cells.push(or_dash(row.above_bare().map(|ratio| format!("{ratio:.2}"))));
                cells.push(row.figure.above_bare().map_or(String::new(), |most| mark(most, row.above_bare())));
            }
            text += &line(cells);
        }
        text
    }

    /// A line for each target that was missed or has no figure.
    pub fn missed(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for row in &self.rows {
            let [_, _, peer, _] = self.group.titles();
            let peer = format!("{peer}'s");
            let target = row.target().map(|most| (most, row.ratio(), &*peer));
            let bare = row.figure.above_bare().filter(|_| self.group == Group::Events);
            let bare = bare.map(|most| (most, row.above_bare(), "the bare loop's"));
            for (most, ratio, of) in target.into_iter().chain(bare) {
                let label = row.figure.label();
                match ratio {
                    Some(ratio) if ratio <= most => {}
                    Some(ratio) => lines.push(format!("{label}: {ratio:.2} of {of}; at most {most}")),
                    None => lines.push(format!("{label}: no figure; at most {most} of {of}")),
                }
            }
        }
        lines
    }
}

fn mark(target: f64, ratio: Option<f64>) -> String {
    match ratio {
        Some(ratio) if ratio <= target => format!("{target} ✓"),
        _ => format!("{target} ✗"),
    }
}
