//! Handles Ctrl-C and similar signals: stops the child processes and returns an error, so that this program removes its
//! temporary files before it exits.

use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};
use signal_hook::iterator::Signals;

static SIGNAL: AtomicU8 = AtomicU8::new(0);
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Waits for signals on a separate thread. A second signal immediately kills this program and the programs that it
/// started, unless it arrives within one second of the first: make forwards each signal, even if its whole process group
/// has received it already.
pub fn watch() -> Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("listening for signals")?;
    thread::spawn(move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
            let sent = match first {
                None => Signal::TERM,
                Some(first) if first.elapsed() > Duration::from_secs(1) => Signal::KILL,
                Some(_) => continue,
            };
            first.get_or_insert_with(Instant::now);
            SIGNAL.store(u8::try_from(signal).unwrap_or_default(), Ordering::SeqCst);
            for group in running().iter() {
                let _ = kill_process_group(*group, sent);
            }
            if sent == Signal::KILL {
                std::process::exit(128 + signal);
            }
        }
    });
    Ok(())
}

/// The signal that this program received.
pub fn signal() -> Option<u8> {
    Some(SIGNAL.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
}

/// Stops this program because its stdout was closed.
pub fn stop() {
    let signal = u8::try_from(SIGPIPE).unwrap_or_default();
    let _ = SIGNAL.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
}

/// Fails if this program was told to stop.
pub fn check() -> Result<()> {
    match signal() {
        None => Ok(()),
        Some(signal) => bail!("stopped by signal {signal}"),
    }
}

/// Runs a long computation on a separate thread, and fails as soon as this program is told to stop.
pub fn compute<T: Send + 'static>(compute: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let computing = thread::spawn(compute);
    while !computing.is_finished() {
        check()?;
        thread::sleep(Duration::from_millis(20));
    }
    computing.join().map_err(|_| anyhow!("a thread of this program panicked"))
}

fn running() -> MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running program in its own process group. The group is stopped when lambda-musl is stopped or the value is dropped.
pub struct Running {
    name: String,
    child: Child,
    ended: bool,
}

impl Running {
    /// Starts a program.
    pub fn start(command: &mut Command) -> Result<Self> {
        Self::start_if(command, check)
    }

    /// Starts a program if `check` succeeds.
    pub fn start_if(command: &mut Command, check: impl FnOnce() -> Result<()>) -> Result<Self> {
        // Hold the lock, so that a signal arrives either before the program starts or after it is registered.
        let mut running = running();
        check()?;
        let name = command.get_program().display().to_string();
        let started = command.process_group(0).spawn();
        let child = started.with_context(|| {
            let directory = command.get_current_dir().filter(|directory| !directory.is_dir());
            let missing = directory.map(|directory| format!(": the directory {} is missing", directory.display()));
            format!("starting {name}{}", missing.unwrap_or_default())
        })?;
        running.push(Pid::from_child(&child));
        Ok(Self { name, child, ended: false })
    }

    /// The pipes of the program's stdout and stderr, if they were requested.
    pub fn pipes(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Waits until the child process ends. Fails if this process is told to stop first.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            check()?;
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The id of the process and of its process group.
    pub fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until the program ends, and kills the processes that it left running. After `forget` is called, the
    /// program's id may be reused.
    pub fn wait_for_group(mut self, forget: impl FnOnce()) -> io::Result<ExitStatus> {
        // The id is not reused until the process is reaped.
        let end = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let waited = rustix::io::retry_on_intr(|| waitid(WaitId::Pid(self.id()), end));
        forget();
        let _ = kill_process_group(self.id(), Signal::KILL);
        waited?;
        let status = self.child.wait()?;
        self.forget();
        Ok(status)
    }

    /// The exit status, if the program has ended. Fails if the program waits for input from the terminal.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.check_input()?;
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.forget();
        }
        Ok(status)
    }

    /// Fails if the child process is suspended because it tried to use the terminal (SIGTTIN, SIGTTOU): only the process group
    /// of lambda-musl has access to the terminal.
    pub fn check_input(&self) -> io::Result<()> {
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let signal = waitid(WaitId::Pid(self.id()), stopped).ok().flatten().and_then(|status| status.stopping_signal());
        if signal.is_some_and(|signal| [Signal::TTIN, Signal::TTOU].iter().any(|other| other.as_raw() == signal)) {
            let name = &self.name;
            return Err(io::Error::other(format!(
                "{name} asks for input on the terminal, but cannot read any here; set {name} up so that it needs none"
            )));
        }
        Ok(())
    }

    /// Asks the program to end, which lets it stop its own child processes.
    pub fn ask_to_end(&self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
    }

    fn forget(&mut self) {
        running().retain(|pid| *pid != Pid::from_child(&self.child));
        self.ended = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
            self.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_asks_for_input_on_the_terminal_is_ended_with_an_error() {
        for signal in ["TTIN", "TTOU"] {
            let mut command = Command::new("sh");
            let mut running = Running::start(command.args(["-c", &format!("kill -{signal} 0; sleep 60")])).unwrap();
            let error = running.wait().unwrap_err().to_string();
            assert!(error.starts_with("sh asks for input on the terminal"), "{error}");
        }
    }

    #[test]
    fn a_program_that_is_stopped_by_its_user_may_continue() {
        let mut command = Command::new("sh");
        command.args(["-c", "(sleep 0.2; kill -CONT $$) & kill -STOP $$"]);
        assert!(Running::start(&mut command).unwrap().wait().unwrap().success());
    }

    #[test]
    fn an_error_names_what_is_missing_the_program_or_its_directory() {
        let error = |command: &mut Command| format!("{:#}", Running::start(command).err().unwrap());
        let missing = error(Command::new("true").current_dir("/nowhere"));
        assert!(missing.starts_with("starting true: the directory /nowhere is missing: "), "{missing}");
        let missing = error(Command::new("/nowhere/true").current_dir("/"));
        assert!(missing.starts_with("starting /nowhere/true: No such file"), "{missing}");
    }
}
