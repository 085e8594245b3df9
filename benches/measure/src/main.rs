//! Measures the functions of this workspace.
//!
//! `bench` measures them in turn in one run. It prints a table in Markdown, and writes the table and a chart to a directory. It
//! fails if a function could not be measured and, with `--check`, if a target was missed. `soak` sends many events to one function,
//! and fails if an event is lost, the connection is not kept, or memory grows.

mod build;
mod load;
mod picture;
mod process;
mod soak;
mod table;

use std::{env, error::Error, fs, path::Path, process::ExitCode};

use build::Built;
use load::Load;
use table::{Figure, Group, Report, Samples};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The number of rounds, over which the medians are taken. One round takes several seconds.
const ROUNDS: usize = 25;

/// How often each function is started in a round.
const STARTS: usize = 4;

const USAGE: &str = "expected one of these commands, as in scripts/measure:
  bench [--check] ROOT TOOLS OUT    measure the functions against each other
  soak ROOT INVOCATIONS             send this number of events to ours";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["bench", "--check", root, tools, out] => bench(true, root, tools, Path::new(out)),
        ["bench", root, tools, out] => bench(false, root, tools, Path::new(out)),
        ["soak", root, invocations] => soak::soak(root, invocations),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Compiles a function, and measures the compilation and the size of the result.
fn build(samples: &mut Samples, root: &str, tools: &str, name: &'static str) -> Result<Built> {
    let built = Built::from_nothing(root, name, &[])?;
    samples.add(Figure::Compile, name, built.wall);
    samples.add(Figure::CompileCpu, name, built.cpu);
    samples.add(Figure::Crates, name, build::crates(root, name)? as f64);
    samples.add(Figure::Binary, name, fs::metadata(&built.binary)?.len() as f64);
    samples.add(Figure::Zip, name, build::zip(root, tools, &built)? as f64);
    Ok(built)
}

fn bench(check: bool, root: &str, tools: &str, out: &Path) -> Result<ExitCode> {
    let mut samples = Samples::default();
    let mut single = Vec::new();
    let mut concurrent = Vec::new();
    let mut http = Vec::new();
    for name in ["ours", "bare", "official"] {
        single.push((name, build(&mut samples, root, tools, name)?.binary));
    }
    for (name, binary) in &single {
        let binary = match *name {
            "bare" => binary.clone(),
            _ => Built::with_features(root, name, &["concurrent"])?.binary,
        };
        concurrent.push((*name, binary));
    }
    for (list, features) in [(&mut single, &["one-thread"][..]), (&mut concurrent, &["concurrent", "one-thread"])] {
        let built = Built::with_features(root, "official", features)?;
        list.push(("one-thread", built.binary));
    }
    for group in [Group::Http, Group::Axum] {
        let [ours, _, official, one_thread] = group.names();
        for name in [ours, official] {
            http.push((name, build(&mut samples, root, tools, name)?.binary));
        }
        http.push((one_thread, Built::with_features(root, official, &["one-thread"])?.binary));
    }

    for round in 0..ROUNDS {
        eprint!("\rround {} of {ROUNDS} …", round + 1);
        // Rotate the order, because the first function finds the caches in a different state from the others.
        single.rotate_left(1);
        concurrent.rotate_left(1);
        http.rotate_left(1);
        for (name, binary) in [&single, &http].repeat(STARTS).into_iter().flatten() {
            samples.add(Figure::Start, name, load::start(binary)? * 1e3);
        }
        for (name, binary) in &single {
            let small = Load::small(1).run(binary)?;
            samples.add(Figure::Time, name, small.wall * 1e6);
            samples.add(Figure::Cpu, name, small.cpu * 1e6);
            samples.add(Figure::Memory, name, small.peak);
            let long = Load::long().run(binary)?;
            samples.add(Figure::LongMemory, name, long.peak);
            samples.add(Figure::LongTime, name, long.wall * 1e3);
        }
        for (name, binary) in &http {
            let cost = Load::http().run(binary)?;
            samples.add(Figure::Time, name, cost.wall * 1e6);
            samples.add(Figure::Cpu, name, cost.cpu * 1e6);
            samples.add(Figure::Memory, name, cost.peak);
        }
        for (name, binary) in &concurrent {
            let eight = Load::small(8).run(binary)?;
            // A function that handles only one invocation at a time has no figure for eight.
            if eight.workers == 8 {
                samples.add(Figure::Time8, name, eight.wall * 1e6);
                samples.add(Figure::Cpu8, name, eight.cpu * 1e6);
                samples.add(Figure::Memory8, name, eight.peak);
            }
        }
    }
    eprintln!();

    let reports = [Group::Events, Group::Http, Group::Axum].map(|group| Report::new(&samples, group));
    let [events, http, axum] = reports.each_ref().map(Report::markdown);
    let text = format!("{events}\n{http}\n{axum}\n{}", build::machine(root)?);
    println!("{text}");
    fs::create_dir_all(out)?;
    fs::write(out.join("bench.md"), text)?;
    fs::write(out.join("bench.svg"), picture::draw(&reports[0]))?;
    eprintln!("wrote {0}/bench.md and {0}/bench.svg", out.display());

    let missed: Vec<String> = reports.iter().flat_map(Report::missed).collect();
    for line in &missed {
        eprintln!("missed: {line}");
    }
    Ok(match check && !missed.is_empty() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}
