//! A function that is a program of its own.

use std::{
    io::{self, ErrorKind},
    process::{Command, Output},
};

use super::{
    Answer, Event,
    function::{Function, Happening},
    server::Server,
};

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
    function: Function,
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
        let function = Function::start(command, server.address())?;
        Ok(Program { server, function })
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
        let waiting = self.server.send(event);
        match self.function.wait(&waiting, timeout)? {
            Happening::Message(answer) => Ok(answer),
            Happening::Exit(status) => Err(io::Error::other(match self.server.init_error() {
                Some(error) => format!(
                    "the program ended with {status}, and reported {}",
                    error.text()
                ),
                None => format!("the program ended with {status}"),
            })),
            Happening::Silence => {
                let what = format!("no answer within {timeout:?}");
                Err(io::Error::new(ErrorKind::TimedOut, what))
            }
        }
    }

    /// Kills the program, and returns what it wrote where `command` had it captured.
    ///
    /// # Errors
    ///
    /// When the program cannot be killed.
    pub fn stop(self) -> io::Result<Output> {
        self.function.stop()
    }
}
