//! Measures the functions of this workspace against each other, in one run, each in turn.
//!
//! It prints a table in Markdown and writes it, with a picture, beside the zips. Its exit status says whether all could be
//! measured; with `--check`, whether every target was met as well.

mod build;
mod load;
mod picture;
mod process;
mod table;

use std::{env, error::Error, fs, path::PathBuf, process::ExitCode};

use build::Built;
use load::Load;
use table::{Figure, Report, Samples};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is compared, in the order of the columns: the last one is what the others are measured by.
const NAMES: [&str; 3] = ["ours", "bare", "official"];

/// Rounds of which the medians are taken. One round is some seconds.
const ROUNDS: usize = 25;

/// Starts of each function in a round.
const STARTS: usize = 4;

const USAGE: &str = "measure [--check] ROOT TOOLS OUT: run by scripts/bench";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let check = arguments.first().is_some_and(|first| first == "--check");
    if check {
        arguments.remove(0);
    }
    let [root, tools, out] = arguments.try_into().map_err(|_| USAGE)?;
    let out = PathBuf::from(out);

    let mut samples = Samples::default();
    let mut single = Vec::new();
    let mut concurrent = Vec::new();
    for name in NAMES {
        let built = Built::from_nothing(&root, name, &[])?;
        samples.add(Figure::Compile, name, built.wall);
        samples.add(Figure::CompileCpu, name, built.cpu);
        samples.add(Figure::Crates, name, build::crates(&root, name)? as f64);
        samples.add(
            Figure::Binary,
            name,
            fs::metadata(&built.binary)?.len() as f64,
        );
        samples.add(Figure::Zip, name, build::zip(&root, &tools, &built)? as f64);
        single.push((name, built.binary));
    }
    for (name, binary) in &single {
        let binary = match *name {
            "bare" => binary.clone(),
            _ => Built::with_features(&root, name, &["concurrent"])?.binary,
        };
        concurrent.push((*name, binary));
    }

    for round in 0..ROUNDS {
        eprint!("\rround {} of {ROUNDS} …", round + 1);
        for (name, binary) in &single {
            for _ in 0..STARTS {
                samples.add(Figure::Start, name, load::start(binary)? * 1e3);
            }
            let small = Load::small(1).run(binary)?;
            samples.add(Figure::Time, name, small.wall * 1e6);
            samples.add(Figure::Cpu, name, small.cpu * 1e6);
            samples.add(Figure::Memory, name, small.peak);
            let long = Load::long().run(binary)?;
            samples.add(Figure::LongMemory, name, long.peak);
            samples.add(Figure::LongTime, name, long.wall * 1e3);
        }
        for (name, binary) in &concurrent {
            let eight = Load::small(8).run(binary)?;
            // One that takes no more than one invocation at once has no figure for eight.
            if eight.workers == 8 {
                samples.add(Figure::Time8, name, eight.wall * 1e6);
                samples.add(Figure::Cpu8, name, eight.cpu * 1e6);
                samples.add(Figure::Memory8, name, eight.peak);
            }
        }
    }
    eprintln!();

    let report = Report::new(&samples);
    let text = format!("{}\n{}", report.markdown(), build::machine(&root)?);
    println!("{text}");
    fs::create_dir_all(&out)?;
    fs::write(out.join("bench.md"), text)?;
    fs::write(out.join("bench.svg"), picture::draw(&report))?;
    eprintln!("{0}/bench.md and {0}/bench.svg are written", out.display());

    let missed = report.missed();
    for line in &missed {
        eprintln!("missed: {line}");
    }
    Ok(match check && !missed.is_empty() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}
