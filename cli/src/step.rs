//! Steps that take a while: a spinner with the elapsed time on a terminal, a line when one begins and ends elsewhere. What a
//! step prints goes into a log; when it fails, the end of the log is shown, and where the rest is.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{
    cache::Cache,
    interrupt::{self, Running},
};

/// Lines of a log that are shown when a step fails.
const SHOWN: usize = 40;

static VERBOSE: AtomicBool = AtomicBool::new(false);
static DISPLAY: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Prints the output of every step as it comes.
pub fn set_verbose(verbose: bool) {
    VERBOSE.store(verbose, Ordering::Relaxed);
}

/// Prints a line on stderr, above the steps that run.
pub fn say(line: &str) {
    DISPLAY.suspend(|| eprintln!("{line}"));
}

/// A step that runs. It is done when `done` is called; otherwise it has failed.
pub struct Step {
    text: String,
    start: Instant,
    spinner: Option<ProgressBar>,
}

impl Step {
    pub fn begin(text: impl Into<String>) -> Self {
        let text = text.into();
        let spinner = (io::stderr().is_terminal() && !VERBOSE.load(Ordering::Relaxed)).then(|| {
            let spinner = DISPLAY.add(ProgressBar::new_spinner());
            let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg:.dim}");
            spinner.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            spinner.set_prefix(text.clone());
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        if spinner.is_none() {
            say(&format!("{text} …"));
        }
        Self { text, start: Instant::now(), spinner }
    }

    /// Shows what the step is at, on a terminal.
    pub fn at(&self, what: impl Into<String>) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(what.into());
        }
    }

    pub fn done(mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
        say(&format!("{}: {} s", self.text, self.start.elapsed().as_secs()));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

/// What becomes of a line that a program prints.
enum Line {
    /// It goes into the log.
    Kept,
    /// It goes into the log, and the step is said to be at this.
    At(String),
    /// It goes into the log, and to stderr as it is.
    Shown,
}

/// Runs a program as a step.
pub fn run(cache: &Cache, text: &str, command: &mut Command) -> Result<()> {
    run_reading(cache, text, command, |_| Line::Kept)
}

/// Runs cargo on crates of the user's, as a step that is at one after the other. Its warnings and errors are shown.
pub fn cargo(cache: &Cache, text: &str, command: &mut Command) -> Result<()> {
    if io::stderr().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    run_reading(cache, text, command.env("CARGO_TERM_PROGRESS_WHEN", "never"), |line| {
        status_of_cargo(line).map_or(Line::Shown, Line::At)
    })
}

/// Runs cargo on crates of others, whose warnings are nobody's here.
pub fn cargo_install(cache: &Cache, text: &str, command: &mut Command) -> Result<()> {
    run_reading(cache, text, command.env("CARGO_TERM_PROGRESS_WHEN", "never"), |line| {
        status_of_cargo(line).map_or(Line::Kept, Line::At)
    })
}

/// Runs a program whose every line decides what becomes of it.
fn run_reading(
    cache: &Cache,
    text: &str,
    command: &mut Command,
    read: impl Fn(&str) -> Line,
) -> Result<()> {
    let step = Step::begin(text);
    let mut log = Log::create(cache, text)?;
    let (output, input) = io::pipe().context("a pipe")?;
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    let mut program = Running::start(command)?;
    // The command keeps the writing end of the pipe, which would never be at its end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let verbose = VERBOSE.load(Ordering::Relaxed);
    let mut shown_all = true;
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        log.write(&line)?;
        match read(&line) {
            _ if verbose => say(&line),
            Line::Shown => say(&line),
            Line::At(what) => step.at(what),
            Line::Kept => shown_all = false,
        }
    }
    let status = program.wait()?;
    interrupt::check()?;
    if status.success() {
        step.done();
        return log.remove();
    }
    drop(step);
    if !shown_all && !verbose {
        for line in &log.end {
            say(line);
        }
    }
    bail!("{text} failed with {status}; the whole log: {}", log.path.display())
}

/// A log, and its last lines.
struct Log {
    path: PathBuf,
    file: File,
    end: VecDeque<String>,
}

impl Log {
    fn create(cache: &Cache, text: &str) -> Result<Self> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
        let name = text.replace(|c| !is_plain(c), "-");
        let path = cache.directory("logs")?.join(format!("{name}.{}.log", std::process::id()));
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        Ok(Self { path, file, end: VecDeque::new() })
    }

    fn write(&mut self, line: &str) -> Result<()> {
        writeln!(self.file, "{line}").with_context(|| self.path.display().to_string())?;
        if self.end.len() == SHOWN {
            self.end.pop_front();
        }
        self.end.push_back(line.to_owned());
        Ok(())
    }

    fn remove(self) -> Result<()> {
        std::fs::remove_file(&self.path).with_context(|| self.path.display().to_string())
    }
}

/// What cargo is at, where a line says no more than that.
fn status_of_cargo(line: &str) -> Option<String> {
    const WORDS: [&str; 16] = [
        "Adding", "Blocking", "Building", "Compiling", "Downgrading", "Downloaded", "Downloading", "Finished", "Fresh",
        "Ignored", "Installed", "Installing", "Locking", "Replacing", "Updating", "Upgrading",
    ];
    let plain = without_colours(line);
    let plain = plain.trim();
    let word = plain.split(' ').next()?;
    WORDS.contains(&word).then(|| plain.to_owned())
}

/// A line without the sequences that colour it: `ESC [ … m`.
fn without_colours(line: &str) -> String {
    let mut parts = line.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

/// Downloads a URL into a file, with curl or else wget, and shows on a terminal how many bytes are there.
pub fn download(url: &str, file: &Path) -> Result<()> {
    let step = Step::begin(format!("fetching {url}"));
    let mut command = match crate::command::find("curl") {
        Some(curl) => {
            let mut command = Command::new(curl);
            command.args(["--fail", "--location", "--silent", "--show-error", "--connect-timeout", "20", "--output"]);
            command.arg(file).arg("--").arg(url);
            command
        }
        None => {
            let mut command = Command::new("wget");
            command.args(["--timeout=20", "--tries=1", "--no-verbose"]);
            command.arg(format!("--output-document={}", file.display())).arg(url);
            command
        }
    };
    let mut program = Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()))?;
    let status = loop {
        if let Some(status) = program.try_wait()? {
            break status;
        }
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        step.at(indicatif::HumanBytes(bytes).to_string());
        std::thread::sleep(Duration::from_millis(50));
    };
    interrupt::check()?;
    if !status.success() {
        bail!("{url} could not be fetched");
    }
    step.done();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_is_at_is_told_from_what_it_has_to_say() {
        let compiling = "\x1b[1m\x1b[92m   Compiling\x1b[0m serde v1.0.229";
        assert_eq!(status_of_cargo(compiling).as_deref(), Some("Compiling serde v1.0.229"));
        for line in ["warning: unused variable: `x`", "12 |     Compiling the future", ""] {
            assert_eq!(status_of_cargo(line), None, "{line}");
        }
    }
}
