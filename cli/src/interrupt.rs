//! What happens on Ctrl-C and its like: the programs that run are stopped, and the error that follows from it unwinds this
//! program, which removes its temporary files on the way.

use std::{
    io,
    process::{Child, Command, ExitStatus},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

static SIGNAL: AtomicU8 = AtomicU8::new(0);
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Waits for signals, on a thread of its own. A second one ends this program at once.
pub fn watch() -> Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("listening for signals")?;
    thread::spawn(move || {
        for signal in signals.forever() {
            let signal = u8::try_from(signal).unwrap_or_default();
            if SIGNAL.swap(signal, Ordering::SeqCst) != 0 {
                std::process::exit(128 + i32::from(signal));
            }
            for pid in running().iter() {
                let _ = kill_process(*pid, Signal::TERM);
            }
        }
    });
    Ok(())
}

/// The signal that this program was sent.
pub fn signal() -> Option<u8> {
    Some(SIGNAL.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
}

/// An error where this program was told to stop.
pub fn check() -> Result<()> {
    match signal() {
        None => Ok(()),
        Some(signal) => bail!("stopped by signal {signal}"),
    }
}

fn running() -> MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program that is stopped with this one, and when it goes out of scope.
pub struct Running {
    child: Child,
    ended: bool,
}

impl Running {
    /// Starts a program.
    pub fn start(command: &mut Command) -> Result<Self> {
        check()?;
        let started = command.spawn();
        let child = started.with_context(|| format!("starting {}", command.get_program().display()))?;
        running().push(Pid::from_child(&child));
        Ok(Self { child, ended: false })
    }

    /// Waits until the program ends.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait()?;
        self.forget();
        Ok(status)
    }

    /// Whether the program has ended, and how.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.forget();
        }
        Ok(status)
    }

    /// Asks the program to end, which lets it end those that it has started.
    pub fn ask_to_end(&self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
    }

    fn forget(&mut self) {
        let pid = Pid::from_child(&self.child);
        running().retain(|other| *other != pid);
        self.ended = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.child.kill();
            let _ = self.wait();
        }
    }
}
