//! A Runtime API that sends exactly the bytes that a test specifies, including what `lambda_musl::testing` never sends.

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

/// Compiles the examples in the repository's README. The runtime's documentation has a front page of its own.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// How long to wait for each request that a script expects.
const PATIENCE: Duration = Duration::from_secs(10);

/// The reaction of the Runtime API to a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Sends these bytes and keeps the connection open.
    Send(Vec<u8>),
    /// Sends these bytes and closes the connection.
    Close(Vec<u8>),
    /// Sends these bytes and closes the connection without having read the request's body.
    Refuse(Vec<u8>),
    /// Sends these bytes in pieces of this size, with a pause after each.
    Slow(usize, Vec<u8>),
    /// Sends these bytes after this time.
    Later(Duration, Vec<u8>),
}

impl Reply {
    /// Sends the reply, and returns whether the connection stays open. Ignores write errors, because the next read
    /// reports a closed connection.
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

/// A request that was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// The number of its connection, counted from 0.
    pub connection: usize,
    /// The request itself.
    pub request: Request,
}

impl Received {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// Panics if the body is not JSON. The panic message contains the body.
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

/// A scripted Runtime API. The server stops when this is dropped.
#[derive(Debug)]
pub struct RuntimeApi {
    server: Server,
    /// The requests, as they arrive.
    pub requests: Receiver<Received>,
    /// The chunks of bodies, as they arrive.
    pub chunks: Mutex<Receiver<Vec<u8>>>,
    expected: usize,
}

impl RuntimeApi {
    /// Starts a server that sends one reply of the script per request, and closes the connection when none is left.
    pub fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let script: Vec<Reply> = script.into_iter().collect();
        let expected = script.len();
        let script = Mutex::new(script.into_iter());
        let next = move |_: &Request| script.lock().expect("no thread panics while it holds the lock").next();
        RuntimeApi { expected, ..RuntimeApi::replying(next) }
    }

    /// Starts a server that sends the reply that `reply` returns for the head of each request. If `reply` returns
    /// `None`, the server closes the connection.
    ///
    /// # Panics
    ///
    /// Panics if no port is available.
    pub fn replying(reply: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> RuntimeApi {
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
                // The receiver is gone if the test needs no more requests.
                let _ = received.send(Received { connection, request });
                if !reply.send(stream.get_mut()) {
                    break;
                }
            }
            Ok(())
        });
        RuntimeApi { server: server.expect("a port"), requests, chunks: Mutex::new(chunks), expected: 0 }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        self.server.address()
    }

    /// Waits for the next request.
    ///
    /// # Panics
    ///
    /// Panics if no request arrives in time.
    pub fn next(&self) -> Received {
        let next = self.requests.recv_timeout(PATIENCE);
        next.expect("a request")
    }

    /// All requests, once every reply of the script has been used.
    ///
    /// # Panics
    ///
    /// Panics if that takes too long.
    pub fn received(self) -> Vec<Received> {
        let mut all: Vec<Received> = (0..self.expected).map(|_| self.next()).collect();
        all.extend(self.requests.try_iter());
        all
    }
}

/// A response with a status and a JSON body.
pub fn answer(status: u16, body: &str) -> Vec<u8> {
    let status = format!("{status} Whatever");
    http::answer(&status, "Content-Type: application/json\r\n", body)
}

/// The response to `next`: a request ID, more headers as complete lines, and an event.
pub fn invocation(id: &str, headers: impl AsRef<[u8]>, event: impl AsRef<[u8]>) -> Vec<u8> {
    let id = format!("Lambda-Runtime-Aws-Request-Id: {id}\r\n");
    http::answer("200 OK", [id.as_bytes(), headers.as_ref()].concat(), event)
}

/// The usual reply to `next`.
pub fn event(id: &str, event: &str) -> Reply {
    Reply::Send(invocation(id, "", event))
}

/// The reply that accepts a response or an error.
pub fn accepted() -> Reply {
    Reply::Send(answer(202, r#"{"status":"OK"}"#))
}

/// No reply at all, on a connection that stays open.
pub fn silence() -> Reply {
    Reply::Send(Vec::new())
}
