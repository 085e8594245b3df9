//! A process of a function, with its log, its memory usage and its exit status.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{thread, time::Duration};

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::report::{Record, Report};
use crate::interrupt::Running;

/// The maximum length of a log line in bytes, the same as on Lambda.
const LONGEST_LINE: usize = 256 * 1024;

/// The number of bytes to read from a log before other tasks continue.
const PIECE: usize = 16 * 1024;

/// The number of bytes that a pipe holds.
const PIPE: usize = 64 * 1024;

/// How a process ended.
pub type End = io::Result<ExitStatus>;

/// A process that is killed with its child processes when the value is dropped.
pub struct Process {
    id: Pid,
    /// `None` once the process has ended, because its id may be reused.
    group: Arc<Mutex<Option<Pid>>>,
    logs: [Arc<Log>; 2],
}

impl Process {
    /// Starts a program whose log goes to the report.
    pub fn start(
        command: &mut Command, function: &str, report: &Arc<Report>,
    ) -> Result<(Self, oneshot::Receiver<End>)> {
        let [stdout, stderr] = [io::pipe()?, io::pipe()?];
        command.stdin(Stdio::null()).stdout(stdout.1).stderr(stderr.1);
        let mut tries = 0..20;
        let running = loop {
            // A process that another thread is starting may still have the new file open for writing.
            match Running::start(command) {
                Err(error) if is_busy(&error) && tries.next().is_some() => thread::sleep(Duration::from_millis(10)),
                result => break result?,
            }
        };
        // Close the write ends of the pipes, which the command holds.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let log = |stream, pipe: io::PipeReader| -> Result<Arc<Log>> {
            let (function, report) = (function.to_owned(), Arc::clone(report));
            let pipe = pipe::Receiver::from_owned_fd(pipe.into())?;
            let log = Arc::new(Log { function, stream, report, pipe, begun: Mutex::default() });
            let reader = Arc::clone(&log);
            tokio::spawn(async move {
                while reader.pipe.readable().await.is_ok() && reader.drain(PIECE) {
                    // A function that prints without end must not keep other tasks waiting.
                    tokio::task::yield_now().await;
                    // While many lines are waiting, the pipe is not read, so the function waits as well.
                    reader.report.catch_up().await;
                }
            });
            Ok(log)
        };
        let logs = [log("stdout", stdout.0)?, log("stderr", stderr.0)?];
        let id = running.id();
        let group = Arc::new(Mutex::new(Some(id)));
        let (sender, end) = oneshot::channel();
        let forget = Arc::clone(&group);
        thread::spawn(move || {
            let _ = sender.send(running.wait_for_group(|| *lock(&forget) = None));
        });
        Ok((Self { id, group, logs }, end))
    }

    /// Sends a signal to the process and its child processes.
    pub fn signal(&self, signal: Signal) {
        if let Some(group) = *lock(&self.group) {
            let _ = kill_process_group(group, signal);
        }
    }

    /// Reports the output of the process so far.
    pub fn drain(&self) {
        for log in &self.logs {
            log.drain(PIPE);
        }
    }

    /// Reports the rest of the output after the process has ended.
    pub fn finish(&self) {
        self.drain();
        self.logs.iter().for_each(|log| log.end());
    }

    /// The peak memory usage of the process in bytes.
    pub fn memory(&self) -> Option<u64> {
        let text = self.status("VmHWM:")?;
        Some(text.strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    }

    /// Whether a debugger is attached.
    pub fn is_traced(&self) -> bool {
        self.status("TracerPid:").is_some_and(|tracer| tracer != "0")
    }

    /// A value from Linux's `/proc/PID/status`.
    fn status(&self, key: &str) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id.as_raw_nonzero())).ok()?;
        Some(status.lines().find_map(|line| line.strip_prefix(key))?.trim().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn is_busy(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::ExecutableFileBusy)
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Standard output or standard error of a process.
struct Log {
    function: String,
    stream: &'static str,
    report: Arc<Report>,
    pipe: pipe::Receiver,
    /// The beginning of an incomplete line.
    begun: Mutex<Vec<u8>>,
}

impl Log {
    /// Reports the available output, but not many more bytes than `most`, and returns whether more may follow.
    fn drain(&self, most: usize) -> bool {
        let mut begun = lock(&self.begun);
        let (mut buffer, mut length) = ([0; PIECE], 0);
        while length < most {
            match self.pipe.try_read(&mut buffer) {
                Ok(0) => return false,
                Ok(read) => {
                    length += read;
                    begun.extend_from_slice(&buffer[..read]);
                }
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
            let mut start = 0;
            while let Some(end) = memchr::memchr(b'\n', &begun[start..]) {
                self.say(&begun[start..start + end]);
                start += end + 1;
            }
            begun.drain(..start);
            if begun.len() > LONGEST_LINE {
                self.say(&begun);
                begun.clear();
            }
        }
        true
    }

    fn end(&self) {
        let mut begun = lock(&self.begun);
        if !begun.is_empty() {
            self.say(&begun);
            begun.clear();
        }
    }

    fn say(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        self.report.say(&Record::Log { function: &self.function, stream: self.stream, line });
    }
}

/// Describes how a process ended, in Lambda's words.
pub fn describe(end: &End) -> String {
    const SIGNALS: [(i32, &str); 9] = [
        (1, "hangup"),
        (2, "interrupt"),
        (4, "illegal instruction"),
        (6, "aborted"),
        (8, "floating point exception"),
        (9, "killed"),
        (11, "segmentation fault"),
        (13, "broken pipe"),
        (15, "terminated"),
    ];
    match end {
        Err(error) => format!("Runtime exited with error: {error}"),
        Ok(status) => match (status.code(), status.signal()) {
            (Some(0), _) => "Runtime exited without providing a reason".to_owned(),
            (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
            (None, signal) => {
                let name =
                    SIGNALS.iter().find(|(number, _)| Some(*number) == signal).map(|(_, name)| (*name).to_owned());
                let name = name.unwrap_or_else(|| signal.unwrap_or_default().to_string());
                format!("Runtime exited with error: signal: {name}")
            }
        },
    }
}
