//! What a function did about one thing that the Runtime API did, and whether that is right.

use std::{fmt, io, path::Path, process::ExitStatus, thread, time::Duration};

use serde_json::Value;

use crate::{
    bytes,
    session::{Happening, Request, Session},
};

/// How long a function may be silent.
const PATIENCE: Duration = Duration::from_secs(5);

/// Requests for an invocation, one failing after the other, after which a function counts as one that never gives up.
const ENOUGH: usize = 50;

/// What the Runtime API sends for a request.
#[derive(Clone)]
pub enum Reply {
    Send(Vec<u8>),
    /// And closes the connection.
    Close(Vec<u8>),
    /// In pieces of so many bytes, a while apart.
    Slow(usize, Vec<u8>),
    /// After a while.
    Later(Duration, Vec<u8>),
}

impl Reply {
    fn to(&self, request: &mut Request) {
        match self {
            Reply::Send(bytes) => request.send(bytes),
            Reply::Close(bytes) => {
                request.send(bytes);
                request.close();
            }
            Reply::Slow(size, bytes) => {
                for piece in bytes.chunks(*size) {
                    request.send(piece);
                    thread::sleep(Duration::from_millis(2));
                }
            }
            Reply::Later(pause, bytes) => {
                thread::sleep(*pause);
                request.send(bytes);
            }
        }
    }
}

/// What the Runtime API does.
pub struct Script {
    pub mode: &'static str,
    pub environment: Vec<(&'static str, &'static str)>,
    /// The path behind its address.
    pub base: &'static str,
    /// The answers to the first requests for an invocation; then the last one again.
    pub next: Vec<Reply>,
    /// The answer to the first response or error.
    pub answer: Reply,
    /// The requests for an invocation after which all has been seen.
    pub asked: usize,
}

impl Script {
    /// One invocation, and whether the next one is asked for.
    pub fn one(next: Reply) -> Self {
        Script {
            mode: "",
            environment: Vec::new(),
            base: "",
            next: vec![next],
            answer: Reply::Send(bytes::accepted()),
            asked: 2,
        }
    }

    /// One invocation that is not answered, as it never came.
    pub fn none(next: Reply) -> Self {
        Script {
            asked: ENOUGH,
            ..Script::one(next)
        }
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
        let mut session = Session::start(binary, self.base, &environment)?;
        let mut story = Story::default();
        loop {
            match session.wait(PATIENCE) {
                Happening::Exit(status) => break story.exit = Some(status),
                Happening::Silence => break story.silent = true,
                Happening::Request(mut request) => {
                    story.connections = story.connections.max(request.connection + 1);
                    if request.is("/runtime/invocation/next") {
                        story.asked += 1;
                        if story.asked >= self.asked {
                            story.goes_on = true;
                            break;
                        }
                        let at = (story.asked - 1).min(self.next.len() - 1);
                        self.next[at].to(&mut request);
                    } else {
                        let reply = match story.posts.len() {
                            0 => self.answer.clone(),
                            _ => Reply::Send(bytes::accepted()),
                        };
                        reply.to(&mut request);
                        story.posts.push(request);
                    }
                }
            }
        }
        story.log = session.end();
        Ok(story)
    }
}

/// What was seen.
#[derive(Default)]
pub struct Story {
    /// Requests for an invocation.
    pub asked: usize,
    /// All other requests.
    pub posts: Vec<Request>,
    pub connections: usize,
    /// It asked for the next invocation when all was over.
    pub goes_on: bool,
    pub exit: Option<ExitStatus>,
    pub silent: bool,
    pub log: String,
}

impl Story {
    /// The one answer, and that there is just one, for which the invocation's id stands in its path.
    pub fn answer(&self) -> Option<&Request> {
        match &self.posts[..] {
            [post] => Some(post),
            _ => None,
        }
    }

    pub fn responded(&self) -> bool {
        self.goes_on
            && self
                .answer()
                .is_some_and(|post| post.is("/invocation/id-1/response"))
    }

    pub fn reported(&self) -> bool {
        self.goes_on
            && self
                .answer()
                .is_some_and(|post| post.is("/invocation/id-1/error"))
    }

    /// Ended as a program that has noticed, not as one that broke.
    pub fn exited(&self) -> bool {
        self.exit.and_then(|status| status.code()) == Some(1) && !self.log.contains("panicked at")
    }

    /// The report of the one error.
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
            let init = if post.is("/init/error") { "init " } else { "" };
            parts.push(match error_type {
                Some(error_type) => format!("{init}{call} `{error_type}`"),
                None => format!("{init}{call}"),
            });
        }
        if self.posts.len() > 3 {
            parts.push(format!("{} more", self.posts.len() - 3));
        }
        if self.asked >= ENOUGH && self.exit.is_none() {
            parts.push(format!("asks again and again, {ENOUGH} times"));
        } else if self.goes_on {
            parts.push("goes on".into());
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
