//! Scripts for the Runtime API, and the record of how a function reacts to a script.

use std::{
    fmt, io,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use conformance::{Received, Reply, RuntimeApi, accepted, silence};
use lambda_musl::testing::{
    function::{Function, Happening},
    http::Request,
};
use serde_json::Value;

/// How long to wait for a function that sends nothing. The slowest reply takes less time.
const PATIENCE: Duration = Duration::from_secs(9);

/// The number of failed requests for an invocation after which a function counts as one that never stops requesting.
const ENOUGH: usize = 50;

pub fn is_next(request: &Request) -> bool {
    request.line.ends_with("/runtime/invocation/next")
}

/// Starts a function and captures its log.
pub fn start(binary: &Path, address: &str, environment: &[(&str, &str)]) -> io::Result<Function> {
    let mut command = Command::new(binary);
    command.env_clear().envs(environment.iter().copied());
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Function::start(&mut command, address)
}

/// The behaviour of the Runtime API for one row.
pub struct Script {
    pub mode: &'static str,
    pub environment: Vec<(&'static str, &'static str)>,
    /// The path after the address.
    pub base: &'static str,
    /// The replies to the requests for an invocation. The last one is repeated.
    pub next: Vec<Reply>,
    /// The reply to the first response or error.
    pub answer: Reply,
    /// The number of requests for an invocation after which the script ends.
    pub asked: usize,
}

impl Script {
    /// One invocation. The script ends when the function asks for the next one.
    pub fn one(next: Reply) -> Self {
        Script { mode: "", environment: Vec::new(), base: "", next: vec![next], answer: accepted(), asked: 2 }
    }

    /// A reply to `next` that contains no invocation, so no response can follow.
    pub fn none(next: Reply) -> Self {
        Script { asked: ENOUGH, ..Script::one(next) }
    }

    pub fn mode(mut self, mode: &'static str) -> Self {
        self.mode = mode;
        self
    }

    pub fn answer(mut self, answer: Reply) -> Self {
        self.answer = answer;
        self
    }

    pub fn play(&self, binary: &Path) -> io::Result<Story> {
        let mut environment = self.environment.clone();
        environment.push(("CONFORMANCE", self.mode));
        let api = RuntimeApi::replying(self.replies());
        let address = format!("{}{}", api.address(), self.base);
        let function = start(binary, &address, &environment)?;
        let mut story = Story::default();
        loop {
            match function.wait(&api.requests, PATIENCE)? {
                Happening::Exit(status) => break story.exit = Some(status),
                Happening::Silence => break story.silent = true,
                Happening::Message(request) => {
                    story.connections = story.connections.max(request.connection + 1);
                    if !is_next(&request) {
                        story.posts.push(request);
                        continue;
                    }
                    story.asked += 1;
                    if story.asked >= self.asked {
                        break story.goes_on = true;
                    }
                }
            }
        }
        story.end(function)
    }

    fn replies(&self) -> impl Fn(&Request) -> Option<Reply> + Send + Sync + use<> {
        let (next, answer, enough) = (self.next.clone(), self.answer.clone(), self.asked);
        let (asked, posted) = (AtomicUsize::new(0), AtomicUsize::new(0));
        move |request| {
            let count = |so_far: &AtomicUsize| so_far.fetch_add(1, Ordering::Relaxed);
            Some(match is_next(request) {
                true => match count(&asked) {
                    number if number + 1 >= enough => silence(),
                    number => next[number.min(next.len() - 1)].clone(),
                },
                false if count(&posted) == 0 => answer.clone(),
                false => accepted(),
            })
        }
    }
}

/// The record of one script: what the function did.
#[derive(Default)]
pub struct Story {
    /// The number of requests for an invocation.
    pub asked: usize,
    /// All other requests.
    pub posts: Vec<Received>,
    pub connections: usize,
    /// Whether the function asked for the next invocation at the end of the script.
    pub goes_on: bool,
    pub exit: Option<ExitStatus>,
    pub silent: bool,
    pub log: String,
}

impl Story {
    /// Stops the function and adds its log, which is everything on stdout and stderr.
    pub fn end(mut self, function: Function) -> io::Result<Self> {
        let output = function.stop()?;
        let log = [output.stdout, output.stderr].concat();
        self.log = String::from_utf8_lossy(&log).into_owned();
        Ok(self)
    }

    /// The response or error, if there was exactly one.
    pub fn answer(&self) -> Option<&Received> {
        match &self.posts[..] {
            [post] => Some(post),
            _ => None,
        }
    }

    /// Whether there was exactly one response or error, sent to this path.
    pub fn posted(&self, path: &str) -> bool {
        self.answer().is_some_and(|post| post.line.ends_with(path))
    }

    pub fn responded(&self) -> bool {
        self.goes_on && self.posted("/invocation/id-1/response")
    }

    pub fn reported(&self) -> bool {
        self.goes_on && self.posted("/invocation/id-1/error")
    }

    /// Whether the function exited with status 1 and without a panic, as a program that noticed the error does.
    pub fn exited(&self) -> bool {
        self.exit.and_then(|status| status.code()) == Some(1) && !self.log.contains("panicked at")
    }

    /// The body of the response or error as JSON.
    pub fn report(&self) -> Value {
        let answer = self.answer().map(|post| serde_json::from_slice(&post.body));
        answer.and_then(Result::ok).unwrap_or_default()
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        for post in self.posts.iter().take(3) {
            let call = post.line.rsplit('/').next().unwrap_or_default();
            let error_type = match post.line.ends_with("/error") {
                true => post.header("Lambda-Runtime-Function-Error-Type"),
                false => None,
            };
            let init = match post.line.ends_with("/init/error") {
                true => "init ",
                false => "",
            };
            parts.push(match error_type {
                Some(error_type) => format!("{init}{call} `{error_type}`"),
                None => format!("{init}{call}"),
            });
        }
        if self.posts.len() > 3 {
            parts.push(format!("{} more", self.posts.len() - 3));
        }
        if self.asked >= ENOUGH && self.exit.is_none() {
            parts.push(format!("polls {ENOUGH} times"));
        } else if self.goes_on {
            parts.push("continues".into());
        } else if self.silent {
            parts.push("hangs".into());
        }
        if let Some(status) = self.exit {
            parts.push(match self.log.contains("panicked at") {
                true => format!("panics, {}", ending(status)),
                false => ending(status),
            });
        }
        f.write_str(&parts.join(", "))
    }
}

fn ending(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exits {code}"),
        None => status.to_string(),
    }
}
