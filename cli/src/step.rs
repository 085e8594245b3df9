//! Runs steps that take a while. On a terminal, a step shows a spinner with the elapsed time; elsewhere, it prints one line when
//! it begins and one when it ends. The output of a step goes to a log. If the step fails, the end and the path of the log are
//! shown.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use std::{collections::VecDeque, path::Path, thread};

use anyhow::{Context, Result, anyhow, bail, ensure};
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};

use crate::interrupt::{self, Running};
use crate::{cache::Cache, command::find, doctor, files::At, messages::Messages};

/// The number of log lines to show when a step fails.
const SHOWN: usize = 40;

/// The maximum number of characters to show of each line of the linker's output.
const LONGEST: usize = 1000;

/// The interval at which a step checks whether to stop.
const PULSE: Duration = Duration::from_millis(50);

/// The first words of cargo's status lines.
const STATUS: &str = "Adding Blocking Building Compiling Downgrading Downloaded Downloading Finished Fresh Ignored Installed \
    Installing Locking Replacing Updating Upgrading";

/// Whether to print the output of every step as it runs.
pub static VERBOSE: AtomicBool = AtomicBool::new(false);
static DISPLAY: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

fn is_verbose() -> bool {
    VERBOSE.load(Ordering::Relaxed)
}

/// Prints a line on stderr, above the running steps.
pub fn say(line: &str) {
    above(|| eprintln!("{line}"));
}

/// Calls a function that prints, so that its output appears above the running steps.
pub fn above(print: impl FnOnce()) {
    DISPLAY.suspend(print);
}

/// A running step. It succeeds when `done` is called; if it is dropped before that, it has failed.
pub struct Step {
    text: String,
    start: Instant,
    spinner: ProgressBar,
    /// Whether the step is shown only on a terminal, and only while it runs.
    is_silent: bool,
    /// The step fails once this is set.
    stop: Arc<AtomicBool>,
}

impl Step {
    pub fn begin(text: impl Into<String>) -> Self {
        Self::new(text, false)
    }

    pub fn silent(text: impl Into<String>) -> Self {
        Self::new(text, true)
    }

    fn new(text: impl Into<String>, is_silent: bool) -> Self {
        let text = text.into();
        let spinner = match io::stderr().is_terminal() && !is_verbose() {
            true => DISPLAY.add(ProgressBar::new_spinner().with_prefix(text.clone())),
            false => ProgressBar::hidden(),
        };
        if spinner.is_hidden() && !is_silent {
            say(&format!("{text} …"));
        }
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg:.dim}") {
            spinner.set_style(style);
        }
        spinner.enable_steady_tick(PULSE * 2);
        Self { text, start: Instant::now(), spinner, is_silent, stop: Arc::default() }
    }

    pub fn stopped_by(mut self, stop: &Arc<AtomicBool>) -> Self {
        self.stop = Arc::clone(stop);
        self
    }

    /// Shows the current activity of the step, on a terminal.
    pub fn at(&self, what: impl Into<String>) {
        self.spinner.set_message(what.into());
    }

    pub fn done(self) {
        self.spinner.finish_and_clear();
        if !self.is_silent {
            say(&format!("{}: {} s", self.text, self.start.elapsed().as_secs()));
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.spinner.finish_and_clear();
    }
}

/// What to do with a line that a program prints. Every line except a message is also logged.
enum Line {
    /// Show the line if the program fails and the line is among the last ones.
    Kept,
    /// Show this text as the current activity of the step.
    At(String),
    /// Print the line unchanged.
    Shown,
    /// Only log the line.
    Logged,
    /// Do not even log the line, because it is meant for programs.
    Message,
}

/// Whether to read stdout and stderr from one pipe, which keeps their order, or from two, which keeps their lines complete.
enum Streams {
    One,
    Two,
}

/// Runs a program as a step.
pub fn run(cache: &Cache, text: &str, command: &mut Command) -> Result<()> {
    run_reading(cache, Step::begin(text), command, Streams::One, |_| Line::Kept)
}

/// Runs cargo on the user's crates, as a step that shows the current crate. Cargo's warnings and errors are printed.
pub fn cargo(cache: &Cache, text: &str, command: &mut Command) -> Result<()> {
    run_reading(cache, Step::begin(text), for_users(command), Streams::One, |line| {
        status_of_cargo(line).map_or(Line::Shown, Line::At)
    })
}

/// Like [`cargo`], but for a command that compiles. Returns cargo's messages. If the command fails, `explain` can find the cause
/// in the messages and the errors; without an explanation, the linker's output is shown.
pub fn compile(
    cache: &Cache, step: Step, command: &mut Command, explain: impl FnOnce(&Messages, &str) -> Option<String>,
) -> Result<Messages> {
    let (mut messages, mut said) = (Messages::default(), String::new());
    let (mut of_linker, mut is_of_linker) = (Vec::new(), false);
    // Errors and warnings are still printed as text.
    command.arg("--message-format=json-render-diagnostics");
    let result = run_reading(cache, step, for_users(command), Streams::Two, |line| {
        if messages.keep(line) {
            return Line::Message;
        }
        if let Some(status) = status_of_cargo(line) {
            return Line::At(status);
        }
        let plain = plain(line);
        said += &plain;
        said.push('\n');
        // A linker error can have a line of 100,000 characters and name a thousand symbols. It ends at an empty line.
        let begins = plain.starts_with("error: linking with ");
        if begins || is_of_linker {
            is_of_linker = begins || !plain.is_empty();
            of_linker.push(line.chars().take(LONGEST).collect::<String>());
            return Line::Logged;
        }
        Line::Shown
    });
    let Err(error) = result else { return Ok(messages) };
    match explain(&messages, &said) {
        Some(why) => Err(anyhow!("{why}\n{error}")),
        None => {
            of_linker.iter().take(SHOWN).for_each(|line| say(line));
            Err(error)
        }
    }
}

fn for_users(cargo: &mut Command) -> &mut Command {
    if io::stderr().is_terminal() {
        cargo.env("CARGO_TERM_COLOR", "always");
    }
    cargo.env("CARGO_TERM_PROGRESS_WHEN", "never")
}

/// Runs cargo on third-party crates, whose warnings are not shown.
pub fn cargo_install(cache: &Cache, text: &str, command: &mut Command) -> Result<()> {
    run_reading(cache, Step::begin(text), command, Streams::One, |line| {
        status_of_cargo(line).map_or(Line::Kept, Line::At)
    })
}

/// Runs a program as a step. `read` decides what to do with each line of its output.
fn run_reading(
    cache: &Cache, step: Step, command: &mut Command, streams: Streams, mut read: impl FnMut(&str) -> Line,
) -> Result<()> {
    let text = step.text.clone();
    let name = text.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
    let path = cache.directory("logs")?.join(format!("{name}.{}.log", std::process::id()));
    let mut log = File::create(&path).at(&path)?;
    // Two pipes can swap lines that one pipe keeps in order.
    let (output, input) = io::pipe().context("creating a pipe")?;
    let mut pipes = vec![output];
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    if let Streams::Two = streams {
        let (output, input) = io::pipe().context("creating a pipe")?;
        pipes.push(output);
        command.stdout(input);
    }
    let mut program = Running::start(command)?;
    // The command holds the write ends of the pipes, which would keep the readers from reaching the end of the output.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    // Read on separate threads, because child processes of the program can keep the pipes open after the program is stopped.
    let (sender, lines) = channel();
    for pipe in pipes {
        let sender = sender.clone();
        thread::spawn(move || {
            BufReader::new(pipe).split(b'\n').map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
    }
    drop(sender);
    let mut end = VecDeque::new();
    loop {
        let line = match lines.recv_timeout(PULSE) {
            Ok(line) => String::from_utf8_lossy(&line).into_owned(),
            Err(RecvTimeoutError::Timeout) => {
                interrupt::check()?;
                program.check_input()?;
                ensure!(!step.stop.load(Ordering::Relaxed), "{text} was stopped");
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let read = read(&line);
        if let Line::Message = read {
            continue;
        }
        writeln!(log, "{line}").at(&path)?;
        match read {
            _ if is_verbose() => say(&line),
            Line::Shown => say(&line),
            Line::At(what) => step.at(what),
            Line::Kept => end.push_back(line),
            Line::Logged | Line::Message => {}
        }
        end.drain(..end.len().saturating_sub(SHOWN));
    }
    let status = program.wait()?;
    interrupt::check()?;
    if status.success() {
        step.done();
        return fs::remove_file(&path).at(&path);
    }
    drop(step);
    end.iter().for_each(|line| say(line));
    bail!("the step `{text}` failed with {status}; the full log: {}", path.display())
}

/// The status in a line of cargo's output, or `None` if the line is anything else.
fn status_of_cargo(line: &str) -> Option<String> {
    let plain = plain(line);
    let word = plain.split_whitespace().next()?;
    STATUS.split(' ').any(|status| status == word).then(|| plain.trim().to_owned())
}

/// Removes colour codes, `ESC [ … m`, from a line.
fn plain(line: &str) -> String {
    let mut parts = line.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

/// Downloads a URL to a file with curl or wget. On a terminal, shows the number of bytes so far.
pub fn download(url: &str, file: &Path) -> Result<()> {
    doctor::require(&[doctor::CURL])?;
    let step = Step::begin(format!("fetching {url}"));
    let (program, options) = match find("curl") {
        Some(_) => ("curl", "--fail --location --silent --show-error --connect-timeout 20 --output"),
        None => ("wget", "--timeout=20 --tries=1 --no-verbose --output-document"),
    };
    let mut command = Command::new(program);
    command.args(options.split(' ')).arg(file).arg("--").arg(url);
    let mut program = Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()))?;
    while program.try_wait()?.is_none() {
        step.at(HumanBytes(file.metadata().map_or(0, |metadata| metadata.len())).to_string());
        thread::sleep(PULSE);
    }
    interrupt::check()?;
    ensure!(program.wait()?.success(), "{url} could not be downloaded");
    step.done();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_cargo_is_distinguished_from_its_other_output() {
        let compiling = "\x1b[1m\x1b[92m   Compiling\x1b[0m serde v1.0.229";
        assert_eq!(status_of_cargo(compiling).as_deref(), Some("Compiling serde v1.0.229"));
        for line in ["warning: unused variable: `x`", "12 |     Compiling the future", ""] {
            assert_eq!(status_of_cargo(line), None, "{line}");
        }
    }
}
