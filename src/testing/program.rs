//! A function that runs as a separate program.

use std::{
    io::{self, ErrorKind},
    process::{Command, Output},
};

use super::{
    Answer, Event,
    function::{Function, Happening},
    server::Server,
};

/// A function that runs as a child process, whether it uses this crate or not. Dropping this value kills the process.
///
/// ```no_run
/// use lambda_musl::testing::Program;
/// use serde_json::json;
/// use std::process::Command;
///
/// # fn main() -> std::io::Result<()> {
/// // In an integration test of the program's crate: env!("CARGO_BIN_EXE_greeting").
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
    /// Starts a program with its own Runtime API. Environment variables that `command` sets are kept, except the one with the
    /// address of the Runtime API.
    ///
    /// # Errors
    ///
    /// Returns an error if the Runtime API or the program cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let server = Server::start()?;
        let function = Function::start(command, server.address())?;
        Ok(Program { server, function })
    }

    /// Sends an event and waits for the response. Several threads can call this method at the same time, to test a program that
    /// handles concurrent invocations.
    ///
    /// # Errors
    ///
    /// Returns an error if the event's time limit passes or the program ends. If the program ends, the error contains its exit
    /// status and any error that it reported for its init phase.
    pub fn invoke(&self, event: impl Into<Event>) -> io::Result<Answer> {
        let event = event.into();
        let timeout = event.timeout;
        let waiting = self.server.send(event);
        match self.function.wait(&waiting, timeout)? {
            Happening::Message(answer) => Ok(answer),
            Happening::Exit(status) => Err(io::Error::other(match self.server.init_error() {
                Some(error) => format!("the program ended with {status} and reported {}", error.text()),
                None => format!("the program ended with {status}"),
            })),
            Happening::Silence => {
                let what = format!("no response within {timeout:?}");
                Err(io::Error::new(ErrorKind::TimedOut, what))
            }
        }
    }

    /// Kills the program and returns its output, if `command` captured it.
    ///
    /// # Errors
    ///
    /// Returns an error if the program cannot be killed.
    pub fn stop(self) -> io::Result<Output> {
        self.function.stop()
    }
}
