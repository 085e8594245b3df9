//! A function that is a program of its own.

use std::{
    io::{self, ErrorKind},
    process::{Child, Command, Output},
    sync::{Mutex, PoisonError, mpsc::RecvTimeoutError},
    time::{Duration, Instant},
};

use super::{Answer, Event, server::Server};

/// How often a program that owes an answer is looked after.
const PULSE: Duration = Duration::from_millis(20);

/// What a function finds in its environment beside the address of the Runtime API ([reserved variables]).
///
/// [reserved variables]: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
const ENVIRONMENT: [(&str, &str); 8] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "test"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/test"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "test"),
    ("AWS_REGION", "us-east-1"),
    ("_HANDLER", "test"),
];

/// A function that runs as a child process, made with this crate or with anything else. It is killed when this is
/// dropped.
///
/// ```no_run
/// use lambda_musl::testing::Program;
/// use serde_json::json;
/// use std::process::Command;
///
/// # fn main() -> std::io::Result<()> {
/// // In a test of a crate of its own: env!("CARGO_BIN_EXE_greeting").
/// let greeting = Program::start(&mut Command::new("target/release/greeting"))?;
/// let answer = greeting.invoke(json!({"name": "Ada"}))?;
/// assert_eq!(answer.json()["message"], "Hello, Ada!");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Program {
    server: Server,
    child: Mutex<Option<Child>>,
}

impl Program {
    /// Starts a program with a Runtime API of its own. What `command` says of the environment stays, the Runtime API's
    /// address excepted.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let server = Server::start()?;
        for (name, value) in ENVIRONMENT {
            if !command.get_envs().any(|(known, _)| known == name) {
                command.env(name, value);
            }
        }
        let child = command
            .env("AWS_LAMBDA_RUNTIME_API", server.address())
            .spawn();
        let child = child.map_err(|error| {
            let program = command.get_program().to_string_lossy();
            io::Error::new(error.kind(), format!("{program}: {error}"))
        })?;
        let child = Mutex::new(Some(child));
        Ok(Program { server, child })
    }

    /// Sends an event and waits for the answer. Several threads may do so at once, for a program that takes several
    /// invocations at once.
    ///
    /// # Errors
    ///
    /// When the program ends instead, naming its exit status and the error that it reported for its init phase, and when
    /// the event's time is over.
    pub fn invoke(&self, event: impl Into<Event>) -> io::Result<Answer> {
        let event = event.into();
        let timeout = event.timeout;
        let start = Instant::now();
        let waiting = self.server.send(event);
        loop {
            // Looked at first, so that an answer which came before the end is found.
            let ended = self.ended()?;
            match waiting.recv_timeout(PULSE) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(ErrorKind::ConnectionAborted.into());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(ended) = ended {
                return Err(io::Error::other(ended));
            }
            if start.elapsed() > timeout {
                let what = format!("no answer within {timeout:?}");
                return Err(io::Error::new(ErrorKind::TimedOut, what));
            }
        }
    }

    /// Kills the program, and returns what it wrote where `command` had it captured.
    ///
    /// # Errors
    ///
    /// When what it wrote cannot be read.
    pub fn stop(self) -> io::Result<Output> {
        match self.take_child() {
            Some(mut child) => {
                child.kill()?;
                child.wait_with_output()
            }
            None => unreachable!("only this and drop take the child, and both are the last"),
        }
    }

    /// How the program ended, in words; `None` while it runs.
    fn ended(&self) -> io::Result<Option<String>> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let status = child.as_mut().map(Child::try_wait).transpose()?.flatten();
        Ok(status.map(|status| match self.server.init_error() {
            Some(error) => format!(
                "the program ended with {status}, and reported {}",
                error.text()
            ),
            None => format!("the program ended with {status}"),
        }))
    }

    fn take_child(&self) -> Option<Child> {
        self.child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut child) = self.take_child() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
