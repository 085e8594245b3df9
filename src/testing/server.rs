//! The Runtime API of a test, which responds like Lambda, even to functions that misbehave.

use std::{
    collections::VecDeque,
    io::{self, BufReader, Write},
    net::TcpStream,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
};

use serde_json::json;

use super::{
    Answer, Event,
    http::{self, Request, answer, read_request},
};

/// The maximum length of a response that Lambda accepts, in bytes ([quotas]).
///
/// [quotas]: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const MAX_RESPONSE: usize = 6_291_556;

const OK: &str = "200 OK";

/// The channel for the response to one event. It is disconnected if there will be none.
pub(super) type Waiting = Receiver<Answer>;

/// A Runtime API that stops when it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    http: http::Server,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<(Event, Sender<Answer>)>,
    /// The invocations in progress, by request ID.
    pending: Vec<(String, Sender<Answer>)>,
    /// The number of invocations sent so far.
    count: u64,
    /// Whether no more events will be added.
    closed: bool,
    /// Whether the server has been dropped.
    stopped: bool,
    init_error: Option<Answer>,
}

impl Server {
    pub fn start() -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let http = http::Server::start({
            let shared = Arc::clone(&shared);
            move |_, stream| shared.converse(stream)
        })?;
        Ok(Server { http, shared })
    }

    pub fn address(&self) -> &str {
        self.http.address()
    }

    /// Puts an event in the queue.
    pub fn send(&self, event: Event) -> Waiting {
        let (sender, waiting) = channel();
        self.shared.lock().queue.push_back((event, sender));
        self.shared.changed.notify_one();
        waiting
    }

    /// Declares that no more events will be added: once the queue is empty, `next` is refused.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }

    /// The error that the function reported for its init phase.
    pub fn init_error(&self) -> Option<Answer> {
        self.shared.lock().init_error.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Responds to requests for as long as the peer keeps the connection open.
    fn converse(&self, mut stream: BufReader<TcpStream>) -> io::Result<()> {
        while let Some(request) = read_request(&mut stream)? {
            stream.get_mut().write_all(&self.reply(request))?;
        }
        Ok(())
    }

    fn reply(&self, request: Request) -> Vec<u8> {
        let runtime = request.line.split_once("/2018-06-01/runtime/");
        let call = match runtime {
            Some((method, path)) => (method.trim_end(), path.split('/').collect::<Vec<_>>()),
            None => return self.extension(&request),
        };
        match (call.0, &call.1[..]) {
            ("GET", ["invocation", "next"]) => self.next(),
            ("POST", ["invocation", id, "response" | "error"]) => {
                let id = (*id).to_owned();
                self.take(&id, request.into())
            }
            ("POST", ["init", "error"]) => {
                self.lock().init_error = Some(request.into());
                accepted()
            }
            ("GET", ["restore", "next"]) => answer(OK, "", ""),
            _ => refused("404 Not Found", "InvalidRequest", &request.line),
        }
    }

    /// Waits for an event, without a timeout, as Lambda does.
    fn next(&self) -> Vec<u8> {
        let waiting = |state: &mut State| state.queue.is_empty() && !state.closed;
        let state = self.changed.wait_while(self.lock(), waiting);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let Some((event, sender)) = state.queue.pop_front() else {
            return refused("410 Gone", "Testing.Done", "the test has no more events");
        };
        state.count += 1;
        let headers = event.headers(state.count);
        let id = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("Lambda-Runtime-Aws-Request-Id"))
            .map(|(_, id)| String::from_utf8_lossy(id).into_owned())
            .unwrap_or_default();
        state.pending.push((id, sender));
        let line = |(name, value): &(String, Vec<u8>)| [name.as_bytes(), b": ", value, b"\r\n"].concat();
        let headers: Vec<u8> = headers.iter().flat_map(line).collect();
        answer(OK, headers, event.body)
    }

    /// Accepts the first response to an invocation, and refuses all others.
    fn take(&self, id: &str, answer: Answer) -> Vec<u8> {
        let mut state = self.lock();
        let Some(index) = state.pending.iter().position(|(known, _)| known == id) else {
            let what = "no invocation with this request ID is waiting for a response";
            return refused("400 Bad Request", "InvalidRequestID", what);
        };
        let (_, sender) = state.pending.remove(index);
        let streams = answer.header("Lambda-Runtime-Function-Response-Mode").is_some();
        let size = answer.body.len();
        // The receiver may have timed out.
        if size <= MAX_RESPONSE || streams {
            let _ = sender.send(answer);
            return accepted();
        }
        let what = format!("the response is {size} bytes long; Lambda accepts up to {MAX_RESPONSE} bytes");
        let error_type = "Function.ResponseSizeTooLarge";
        let _ = sender.send(Answer::report(error_type, &what));
        refused("413 Request Entity Too Large", error_type, &what)
    }

    /// The Extensions API, with which a function registers to be notified of its shutdown. A test never sends that event.
    fn extension(&self, request: &Request) -> Vec<u8> {
        if request.line.ends_with("/2020-01-01/extension/register") {
            return answer(OK, "Lambda-Extension-Identifier: test\r\n", "{}");
        }
        if request.line.ends_with("/2020-01-01/extension/event/next") {
            let state = self.changed.wait_while(self.lock(), |state| !state.stopped);
            drop(state);
            return refused("410 Gone", "Testing.Done", "the test is over");
        }
        refused("404 Not Found", "InvalidRequest", &request.line)
    }
}

fn accepted() -> Vec<u8> {
    answer("202 Accepted", "", r#"{"status":"OK"}"#)
}

fn refused(status: &str, error_type: &str, message: &str) -> Vec<u8> {
    let body = json!({"errorType": error_type, "errorMessage": message});
    answer(status, "", body.to_string())
}
