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

/// How often a child is looked after while something is waited for.
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

/// A function that is killed when this is dropped.
#[derive(Debug)]
pub struct Function {
    child: Mutex<Child>,
    /// What reads stdout and stderr, where they are captured: a child whose pipe is full would stop.
    output: [Option<JoinHandle<Vec<u8>>>; 2],
}

/// What came first.
#[derive(Debug)]
pub enum Happening<T> {
    /// What was waited for.
    Message(T),
    /// The end of the function.
    Exit(ExitStatus),
    /// The end of the time.
    Silence,
}

impl Function {
    /// Starts a program for which the Runtime API is at `address`. What else `command` says of the environment stays.
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

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.lock().id()
    }

    /// Waits for what somebody sends when the function has done its part.
    pub fn wait<T>(&self, channel: &Receiver<T>, at_most: Duration) -> io::Result<Happening<T>> {
        let start = Instant::now();
        loop {
            // Looked at first, so that a message which came before the end is found.
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

    /// Kills the function, and returns what it wrote where `command` had it captured.
    pub fn stop(mut self) -> io::Result<Output> {
        self.lock().kill()?;
        let status = self.lock().wait()?;
        let output = mem::take(&mut self.output);
        let [stdout, stderr] = output.map(|reader| {
            reader
                .and_then(|reader| reader.join().ok())
                .unwrap_or_default()
        });
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.lock().kill();
        let _ = self.lock().wait();
    }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> Option<JoinHandle<Vec<u8>>> {
    let mut stream = stream?;
    Some(thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is all that there is.
        let _ = stream.read_to_end(&mut bytes);
        bytes
    }))
}
