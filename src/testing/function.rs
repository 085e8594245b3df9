//! A function as a child process.

use std::{
    io::{self, Read},
    mem,
    process::{Child, Command, ExitStatus, Output},
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// The interval at which a wait checks whether the child is still running.
const PULSE: Duration = Duration::from_millis(20);

/// The environment variables of a function, in addition to the address of the Runtime API ([reserved variables]).
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

/// A function that is killed when this value is dropped.
#[derive(Debug)]
pub struct Function {
    child: Mutex<Child>,
    /// The threads that read stdout and stderr if they are captured. Without these threads, a child would block on a full pipe.
    output: [Option<JoinHandle<Vec<u8>>>; 2],
}

/// The event that ended a wait.
#[derive(Debug)]
pub enum Happening<T> {
    /// The expected message.
    Message(T),
    /// The end of the function.
    Exit(ExitStatus),
    /// The timeout.
    Silence,
}

impl Function {
    /// Starts a program whose Runtime API is at `address`. Environment variables that `command` sets are kept, except the one with
    /// that address.
    pub fn start(command: &mut Command, address: &str) -> io::Result<Self> {
        for (name, value) in ENVIRONMENT {
            if !command.get_envs().any(|(known, _)| known == name) {
                command.env(name, value);
            }
        }
        let child = command.env("AWS_LAMBDA_RUNTIME_API", address).spawn();
        let mut child = child.map_err(|error| {
            let program = command.get_program().to_string_lossy();
            io::Error::new(error.kind(), format!("{program}: {error}"))
        })?;
        let output = [collect(child.stdout.take()), collect(child.stderr.take())];
        let child = Mutex::new(child);
        Ok(Function { child, output })
    }

    /// Returns the ID of the process.
    pub fn id(&self) -> u32 {
        self.lock().id()
    }

    /// Waits for a message on `channel`, the end of the function, or the timeout `at_most`.
    pub fn wait<T>(&self, channel: &Receiver<T>, at_most: Duration) -> io::Result<Happening<T>> {
        let start = Instant::now();
        loop {
            // Check the process first, so that a message sent before it ended is still received.
            let ended = self.lock().try_wait()?;
            match channel.recv_timeout(PULSE) {
                Ok(message) => return Ok(Happening::Message(message)),
                Err(RecvTimeoutError::Disconnected) => thread::sleep(PULSE),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(status) = ended {
                return Ok(Happening::Exit(status));
            }
            if start.elapsed() > at_most {
                return Ok(Happening::Silence);
            }
        }
    }

    /// Kills the function and returns its output, if `command` captured it.
    pub fn stop(mut self) -> io::Result<Output> {
        self.lock().kill()?;
        let status = self.lock().wait()?;
        let output = mem::take(&mut self.output);
        let [stdout, stderr] = output.map(|reader| reader.and_then(|reader| reader.join().ok()).unwrap_or_default());
        Ok(Output { status, stdout, stderr })
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.lock().kill();
        let _ = self.lock().wait();
    }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> Option<JoinHandle<Vec<u8>>> {
    let mut stream = stream?;
    Some(thread::spawn(move || {
        let mut bytes = Vec::new();
        // After an error, return the bytes read so far.
        let _ = stream.read_to_end(&mut bytes);
        bytes
    }))
}
