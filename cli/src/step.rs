//! Steps that take a while: a spinner with the elapsed time on a terminal, a line when one begins and ends elsewhere.
//! What a step prints goes into a log; when it fails, the end of the log is shown, and where the rest is.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use std::{collections::VecDeque, path::Path, sync::LazyLock, thread};

use anyhow::{Context, Result, anyhow, bail, ensure};
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};

use crate::interrupt::{self, Running};
use crate::{cache::Cache, command::find, doctor, files::At, messages::Messages};

/// Lines of a log that are shown when a step fails.
const SHOWN: usize = 40;

/// Letters of a line of a linker that are shown.
const LONGEST: usize = 1000;

/// How often a step looks whether it is to stop.
const PULSE: Duration = Duration::from_millis(50);

/// How cargo begins the lines that say what it is at.
const STATUS: &str = "Adding Blocking Building Compiling Downgrading Downloaded Downloading Finished Fresh Ignored Installed \
    Installing Locking Replacing Updating Upgrading";

/// Whether the output of every step is printed as it comes.
pub static VERBOSE: AtomicBool = AtomicBool::new(false);
static DISPLAY: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

fn is_verbose() -> bool {
    VERBOSE.load(Ordering::Relaxed)
}

/// Prints a line on stderr, above the steps that run.
pub fn say(line: &str) {
    above(|| eprintln!("{line}"));
}

/// Prints something above the steps that run.
pub fn above(print: impl FnOnce()) {
    DISPLAY.suspend(print);
}

/// A step that runs. It is done when `done` is called; otherwise it has failed.
pub struct Step {
    text: String,
    start: Instant,
    spinner: ProgressBar,
    /// Only a terminal sees it, and only while it runs.
    is_silent: bool,
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
        Self { text, start: Instant::now(), spinner, is_silent }
    }

    /// Shows what the step is at, on a terminal.
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

/// What becomes of a line that a program prints, beside that it goes into the log.
enum Line {
    Kept,
    /// The step is said to be at this.
    At(String),
    /// It is printed as it is.
    Shown,
    /// It is in the log alone.
    Logged,
    /// It is for programs, and not even in the log.
    Message,
}

/// Whether what a program prints and its errors are read in their order, or each in its whole lines.
enum Streams {
    One,
    Two,
}

/// Runs a program as a step.
pub fn run(cache: &Cache, text: &str, command: &mut Command) -> Result<()> {
    run_reading(cache, Step::begin(text), command, Streams::One, |_| Line::Kept)
}

/// Runs cargo on crates of the user's, as a step that is at one after the other. Its warnings and errors are shown.
pub fn cargo(cache: &Cache, text: &str, command: &mut Command) -> Result<()> {
    run_reading(cache, Step::begin(text), for_users(command), Streams::One, |line| {
        status_of_cargo(line).map_or(Line::Shown, Line::At)
    })
}

/// Runs cargo that compiles crates of the user's likewise, and returns what it says of each. Where it fails, `explain`
/// says why from that and its errors; without an explanation, what a linker has said is shown.
pub fn compile(
    cache: &Cache, step: Step, command: &mut Command, explain: impl FnOnce(&Messages, &str) -> Option<String>,
) -> Result<Messages> {
    let (mut messages, mut said) = (Messages::default(), String::new());
    let (mut of_linker, mut is_of_linker) = (Vec::new(), false);
    // Errors and warnings are still texts.
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
        // It can be a line of a hundred thousand letters, and a thousand symbols; an empty line is its end.
        let begins = plain.starts_with("error: linking with ");
        if begins || is_of_linker {
            is_of_linker = begins || !plain.is_empty();
            of_linker.push(line.chars().take(LONGEST).collect::<String>());
            return Line::Logged;
        }
        Line::Shown
    });
    let Err(error) = result else {
        return Ok(messages);
    };
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

/// Runs cargo on crates of others, whose warnings are nobody's here.
pub fn cargo_install(cache: &Cache, text: &str, command: &mut Command) -> Result<()> {
    run_reading(cache, Step::begin(text), command, Streams::One, |line| {
        status_of_cargo(line).map_or(Line::Kept, Line::At)
    })
}

/// Runs a program whose every line decides what becomes of it.
fn run_reading(
    cache: &Cache, step: Step, command: &mut Command, streams: Streams, mut read: impl FnMut(&str) -> Line,
) -> Result<()> {
    let text = step.text.clone();
    let name = text.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
    let path = cache.directory("logs")?.join(format!("{name}.{}.log", std::process::id()));
    let mut log = File::create(&path).at(&path)?;
    // Two lines that come one after the other on one pipe may come the other way round on two.
    let (output, input) = io::pipe().context("a pipe")?;
    let mut pipes = vec![output];
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    if let Streams::Two = streams {
        let (output, input) = io::pipe().context("a pipe")?;
        pipes.push(output);
        command.stdout(input);
    }
    let mut program = Running::start(command)?;
    // The command keeps the writing ends of the pipes, which would never be at their ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    // Apart, as programs that the program has started can keep the pipes open when it is stopped.
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
    bail!("{text} failed with {status}; the whole log: {}", path.display())
}

/// What cargo is at, where a line says no more than that.
fn status_of_cargo(line: &str) -> Option<String> {
    let plain = plain(line);
    let word = plain.split_whitespace().next()?;
    STATUS.split(' ').any(|status| status == word).then(|| plain.trim().to_owned())
}

/// A line without colours, which are `ESC [ … m`.
fn plain(line: &str) -> String {
    let mut parts = line.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

/// Downloads a URL into a file, with curl or else wget, and shows on a terminal how many bytes are there.
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
    ensure!(program.wait()?.success(), "{url} could not be fetched");
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
