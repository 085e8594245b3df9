//! A Runtime API of which every byte is decided by the caller: what `lambda_musl::testing` never sends, it does.

use std::{
    io::Write,
    ops::Deref,
    sync::{
        Mutex,
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

use lambda_musl::testing::{
    Answer,
    http::{self, Request, Server},
};
use serde_json::Value;

/// What the repository's page shows compiles; the runtime's own is the front page of its documentation.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// How long requests that a script expects may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the Runtime API does about a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Sends these bytes and keeps the connection.
    Send(Vec<u8>),
    /// Sends them and closes the connection.
    Close(Vec<u8>),
    /// Sends them and closes the connection without having read the request's body.
    Refuse(Vec<u8>),
    /// Sends them in pieces of this size, a while apart.
    Slow(usize, Vec<u8>),
    /// Sends them after a while.
    Later(Duration, Vec<u8>),
}

impl Reply {
    /// Says whether the connection is kept. A peer that has gone away shows in what it does next.
    fn send(&self, stream: &mut impl Write) -> bool {
        match self {
            Reply::Send(bytes) => drop(stream.write_all(bytes)),
            Reply::Close(bytes) | Reply::Refuse(bytes) => {
                let _ = stream.write_all(bytes);
                return false;
            }
            Reply::Slow(size, bytes) => {
                for piece in bytes.chunks(*size) {
                    let _ = stream.write_all(piece);
                    thread::sleep(Duration::from_millis(2));
                }
            }
            Reply::Later(pause, bytes) => {
                thread::sleep(*pause);
                let _ = stream.write_all(bytes);
            }
        }
        true
    }
}

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// The request itself.
    pub request: Request,
}

impl Received {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is not JSON, showing it.
    pub fn json(&self) -> Value {
        Answer::from(self.request.clone()).json()
    }
}

impl Deref for Received {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.request
    }
}

/// The server. It stops when it is dropped.
#[derive(Debug)]
pub struct RuntimeApi {
    server: Server,
    /// Requests, as they come in.
    pub requests: Receiver<Received>,
    /// Chunks of bodies, as they come in.
    pub chunks: Mutex<Receiver<Vec<u8>>>,
    expected: usize,
}

impl RuntimeApi {
    /// Replies to one request after the other; whoever asks once more finds the connection closed.
    pub fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let script: Vec<Reply> = script.into_iter().collect();
        let expected = script.len();
        let script = Mutex::new(script.into_iter());
        let next = move |_: &Request| script.lock().expect("no thread panics with it").next();
        RuntimeApi {
            expected,
            ..RuntimeApi::replying(next)
        }
    }

    /// Does what `reply` makes of the head of each request; without a reply, it closes the connection.
    ///
    /// # Panics
    ///
    /// When this machine has no port for it.
    pub fn replying(
        reply: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> RuntimeApi {
        let (received, requests) = channel();
        let (seen, chunks) = channel();
        let server = Server::start(move |connection, mut stream| {
            while let Some(mut request) = http::read_head(&mut stream)? {
                let Some(reply) = reply(&request) else {
                    break;
                };
                if !matches!(reply, Reply::Refuse(_)) {
                    request.read_body(&mut stream, |chunk| drop(seen.send(chunk.to_vec())))?;
                }
                // Whoever started this may have seen enough.
                let _ = received.send(Received {
                    connection,
                    request,
                });
                if !reply.send(stream.get_mut()) {
                    break;
                }
            }
            Ok(())
        });
        RuntimeApi {
            server: server.expect("a port"),
            requests,
            chunks: Mutex::new(chunks),
            expected: 0,
        }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        self.server.address()
    }

    /// The next request that comes in.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn next(&self) -> Received {
        let next = self.requests.recv_timeout(PATIENCE);
        next.expect("a request")
    }

    /// All that came in, once the script is through.
    ///
    /// # Panics
    ///
    /// When that takes too long.
    pub fn received(self) -> Vec<Received> {
        let mut all: Vec<Received> = (0..self.expected).map(|_| self.next()).collect();
        all.extend(self.requests.try_iter());
        all
    }
}

/// An answer with a status and a body of JSON.
pub fn answer(status: u16, body: &str) -> Vec<u8> {
    let status = format!("{status} Whatever");
    http::answer(&status, "Content-Type: application/json\r\n", body)
}

/// What comes for `next`: a request id, more headers as whole lines, an event.
pub fn invocation(id: &str, headers: impl AsRef<[u8]>, event: impl AsRef<[u8]>) -> Vec<u8> {
    let id = format!("Lambda-Runtime-Aws-Request-Id: {id}\r\n");
    http::answer("200 OK", [id.as_bytes(), headers.as_ref()].concat(), event)
}

/// The reply to `next`.
pub fn event(id: &str, event: &str) -> Reply {
    Reply::Send(invocation(id, "", event))
}

/// The reply to a response or an error that is taken.
pub fn accepted() -> Reply {
    Reply::Send(answer(202, r#"{"status":"OK"}"#))
}

/// The reply to what waits forever.
pub fn silence() -> Reply {
    Reply::Send(Vec::new())
}
