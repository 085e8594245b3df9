//! An HTTP client that a function can trust: every request ends within its deadline, and nothing that is cut is taken for
//! whole.
//!
//! ```no_run
//! use lambda_musl::client;
//!
//! let answer = client::get("http://169.254.170.2/v2/metadata")?;
//! assert_eq!(answer.status(), 200);
//! println!("{}", answer.text()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Request`] has a method, headers, a body, and limits of its own:
//!
//! ```no_run
//! use lambda_musl::client::{Method, Request};
//! use serde_json::{Value, json};
//! use std::time::Duration;
//!
//! let order: Value = Request::new(Method::POST, "https://example.com/orders")
//!     .header("Authorization", "Bearer …")
//!     .json(&json!({"item": 7}))?
//!     .timeout(Duration::from_secs(2))
//!     .send()?
//!     .json()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! HTTPS needs the feature `tls`. Certificates are checked against those that `SSL_CERT_FILE` or `SSL_CERT_DIR` name, or the
//! system's; on Lambda they are in `/etc/pki/tls`.
//!
//! # Time
//!
//! A request has one deadline for all of it: the look-up of the name, connecting, the TLS handshake, sending, every redirect,
//! and the last byte of the answer. It is what is left of the invocation when it is sent, less a tenth but no more than 100 ms,
//! so that the handler can still answer. [`timeout`](Request::timeout) can shorten that. The invocation is known on the
//! threads that poll the handler; on other threads, and outside of an invocation, the deadline is 10 seconds, as much as
//! Lambda gives a function for its start, or what `timeout` says.
//!
//! The standard library cannot end the look-up of a name. It runs on a thread that all requests share, and which the request
//! stops waiting for at its deadline. Nothing else here has a thread: a request blocks the thread that it is sent on, and
//! under an async runtime belongs on one for that, like tokio's `spawn_blocking`, where `timeout` is to be set from
//! [`Context::time_left`](crate::Context::time_left).
//!
//! # The end of an answer
//!
//! A body has a length, comes in chunks, or ends with the connection (RFC 9112, section 6.3). In the first two forms, one that
//! ends early is [`Error::Cut`]. In the third, over TLS, it is whole where the server announces the end (`close_notify`), and
//! cut where the connection just ends, as anyone on the way could have ended it. Without TLS, an end in good order (FIN) is
//! all that there is to know, and a reset is a cut.
//!
//! # Connections
//!
//! They are kept for the next request to the same scheme, host and port, across invocations too: 8 at most, for 50 seconds
//! each. One that the server has closed is replaced before anything is sent. Where it turns out to be closed only then, a
//! request with an idempotent method is sent once more; another one is [`Error::NoAnswer`], as the server may have taken it.
//! So it is after a snapshot of SnapStart, which no connection survives.
//!
//! # What it leaves out
//!
//! Proxies, cookies, compression, HTTP/2, and bodies that do not fit in memory. Trailers are read and dropped.

mod error;
mod link;
mod resolve;
mod url;

use std::{
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

pub use http_req::request::Method;
use http_req::{request::RequestMessage, response::Headers};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    logs::current,
    wire::{
        body::Framing,
        head::{Head, is_token, malformed, same},
        request::USER_AGENT,
        socket::{Socket, is_close},
    },
};
pub use error::{During, Error};
use link::Link;
use url::Url;

/// What a request may take where no invocation says it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is kept of an invocation's time for the handler to answer in.
const MARGIN: Duration = Duration::from_millis(100);

/// Bytes.
const MAX_HEAD: u64 = 64 * 1024;
const MAX_BODY: u64 = 10 * 1024 * 1024;

/// Asks for a URL, as [`Request::get`] without anything set.
///
/// # Errors
///
/// See [`Error`]. A status like 404 or 500 is an answer.
pub fn get(url: impl Into<String>) -> Result<Response, Error> {
    Request::get(url).send()
}

/// A request that is being made.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    timeout: Option<Duration>,
    max_head: u64,
    max_body: u64,
    redirects: u32,
}

impl Request {
    /// A request with any method but CONNECT. The URL starts with `https://` or `http://`; what it holds beyond ASCII is
    /// percent-encoded, and its fragment is not sent. What is wrong with it, [`send`](Self::send) says.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Request {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout: None,
            max_head: MAX_HEAD,
            max_body: MAX_BODY,
            redirects: 0,
        }
    }

    /// A GET.
    pub fn get(url: impl Into<String>) -> Self {
        Request::new(Method::GET, url)
    }

    /// Adds a header. They go out in the order in which they were added, those of one name as well.
    ///
    /// `Host`, `User-Agent` and `Accept` have defaults, which one that is added replaces. `Content-Length`,
    /// `Transfer-Encoding` and `Connection` are the client's own, and refused.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body. It is sent with its length.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets the body to the JSON of a value, and adds the `Content-Type` of that.
    ///
    /// # Errors
    ///
    /// When the value does not serialize.
    pub fn json(self, value: &impl Serialize) -> serde_json::Result<Self> {
        let body = serde_json::to_vec(value)?;
        Ok(self.header("Content-Type", "application/json").body(body))
    }

    /// Sets how long the whole exchange may take; but never longer than what is left of the invocation.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets how many bytes the status line and the headers of the answer may have, those of interim answers included: 64 KiB
    /// by default.
    pub fn max_head(mut self, bytes: u64) -> Self {
        self.max_head = bytes;
        self
    }

    /// Sets how many bytes the body of the answer may have: 10 MiB by default.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }

    /// Follows so many redirects: by default none, and a redirect is an answer like any other.
    ///
    /// The statuses 301, 302, 303, 307 and 308 with a `Location` are followed. The request stays as it is, but after 303, and
    /// for a POST after 301 and 302, it becomes a GET without a body (a HEAD stays one). To another scheme, host or port go
    /// neither `Authorization`, `Cookie` and `Proxy-Authorization` nor a `Host` that was added; all other headers do, so one
    /// of your own that holds a secret does as well.
    pub fn redirects(mut self, limit: u32) -> Self {
        self.redirects = limit;
        self
    }

    /// Sends the request, and waits for the whole answer.
    ///
    /// # Errors
    ///
    /// See [`Error`]. A status like 404 or 500 is an answer.
    pub fn send(mut self) -> Result<Response, Error> {
        let time = Time::start(self.timeout);
        self.check()?;
        let mut url = Url::parse(&self.url)?;
        let mut followed = 0;
        loop {
            let (head, body) = self.exchange(&url, &time)?;
            let location = match head.status {
                301 | 302 | 303 | 307 | 308 if self.redirects > 0 => head.get("Location"),
                _ => None,
            };
            let Some(location) = location else {
                return Ok(Response { head, body, url });
            };
            let next = url.join(location)?;
            if followed == self.redirects {
                return Err(Error::Redirects {
                    limit: self.redirects,
                    location: next.as_str().to_owned(),
                });
            }
            followed += 1;
            self.follow(head.status, next.origin() != url.origin());
            url = next;
        }
    }

    fn check(&self) -> Result<(), Error> {
        if self.method == Method::CONNECT {
            return Err(Error::Method(self.method));
        }
        for (name, value) in &self.headers {
            let refused = |reason| Error::Header {
                name: name.clone(),
                reason,
            };
            // RFC 9110, sections 5.1 and 5.5.
            if !is_token(name) {
                return Err(refused(
                    "a name has letters, digits and some of !#$%&'*+-.^_`|~",
                ));
            }
            if value
                .bytes()
                .any(|byte| byte.is_ascii_control() && byte != b'\t')
            {
                return Err(refused(
                    "there is a control character in its value, like a line end",
                ));
            }
            let own = ["Content-Length", "Transfer-Encoding", "Connection"];
            if own.iter().any(|own| same(own, name)) {
                return Err(refused("the client writes it by itself"));
            }
        }
        Ok(())
    }

    /// What becomes of the request (RFC 9110, section 15.4; the Fetch standard, section 4.4).
    fn follow(&mut self, status: u16, is_elsewhere: bool) {
        let to_get = match status {
            301 | 302 => self.method == Method::POST,
            303 => self.method != Method::HEAD,
            _ => false,
        };
        if to_get {
            self.method = Method::GET;
            self.body = None;
        }
        let of_body = [
            "Content-Type",
            "Content-Encoding",
            "Content-Language",
            "Content-Location",
        ];
        let of_server = ["Authorization", "Cookie", "Proxy-Authorization", "Host"];
        self.headers.retain(|(name, _)| {
            let is_in = |names: &[&str]| names.iter().any(|known| same(known, name));
            !(to_get && is_in(&of_body) || is_elsewhere && is_in(&of_server))
        });
    }

    /// The head as it is sent. http_req writes the first line and `Host`; its message holds headers in a map, so that their
    /// order would be another each time and a name could stand there once.
    fn head(&self, url: &Url) -> Vec<u8> {
        let has = |name| self.headers.iter().any(|(added, _)| same(added, name));
        let host = self.headers.iter().find(|(name, _)| same(name, "Host"));
        let host = host.map_or(url.authority(), |(_, value)| value);
        let mut headers = Headers::with_capacity(1);
        headers.insert("Host", host);
        let uri = url.uri();
        let mut message = RequestMessage::new(&uri);
        let mut head = message.method(self.method).headers(headers).parse();
        // The empty line.
        head.truncate(head.len() - 2);
        let mut add = |name: &str, value: &str| {
            for part in [name, ": ", value, "\r\n"] {
                head.extend_from_slice(part.as_bytes());
            }
        };
        for (name, value) in [("User-Agent", USER_AGENT), ("Accept", "*/*")] {
            if !has(name) {
                add(name, value);
            }
        }
        for (name, value) in &self.headers {
            if !same(name, "Host") {
                add(name, value);
            }
        }
        let is_usual = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        if self.body.is_some() || is_usual {
            let length = self.body.as_ref().map_or(0, Vec::len);
            add("Content-Length", &length.to_string());
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    /// One request and its answer.
    fn exchange(&self, url: &Url, time: &Time) -> Result<(Head, Vec<u8>), Error> {
        let address = url.authority().to_owned();
        let late = |during| Error::Timeout {
            address: address.clone(),
            timeout: time.timeout,
            during,
        };
        let name = |end| {
            if time.is_over() {
                return late(During::Exchange);
            }
            let (source, too_long) = match end {
                End::NoAnswer(source) => {
                    return Error::NoAnswer {
                        address: address.clone(),
                        source,
                    };
                }
                End::Head(source) => (
                    source,
                    Error::HeadTooLong {
                        limit: self.max_head,
                    },
                ),
                End::Body(source) => (
                    source,
                    Error::BodyTooLong {
                        limit: self.max_body,
                    },
                ),
            };
            match source.kind() {
                ErrorKind::FileTooLarge => too_long,
                ErrorKind::InvalidData => Error::Malformed {
                    address: address.clone(),
                    reason: source.to_string(),
                },
                _ => Error::Cut {
                    address: address.clone(),
                    source,
                },
            }
        };
        let head = self.head(url);
        if let Some(socket) = link::take(url.origin(), time.deadline) {
            match self.attempt(socket, url, &head) {
                // It was closed just then; a new one has to do (RFC 9112, section 9.3.1).
                Err(End::NoAnswer(_)) if self.is_idempotent() && !time.is_over() => {}
                end => return end.map_err(name),
            }
        }
        let socket = link::open(url, time.deadline).map_err(|error| match error {
            Error::Url { .. } => error,
            _ if time.is_over() => late(During::Connecting),
            _ => error,
        })?;
        self.attempt(socket, url, &head).map_err(name)
    }

    /// RFC 9110, section 9.2.2.
    fn is_idempotent(&self) -> bool {
        !matches!(self.method, Method::POST | Method::PATCH)
    }

    fn attempt(
        &self,
        mut socket: Socket<Link>,
        url: &Url,
        head: &[u8],
    ) -> Result<(Head, Vec<u8>), End> {
        let sent = socket.send(head, self.body.as_deref().unwrap_or_default());
        match sent {
            // A server that refuses a body may answer and close before it has read it: the answer says why.
            Err(error) if !is_close(&error) => return Err(End::NoAnswer(error)),
            _ => {}
        }
        match socket.wait() {
            Ok(true) => {}
            Ok(false) => return Err(End::NoAnswer(ErrorKind::UnexpectedEof.into())),
            Err(error) => return Err(End::NoAnswer(error)),
        }
        let answer = self.read_head(&mut socket).map_err(End::Head)?;
        let framing = self.framing(&answer).map_err(End::Head)?;
        let body = framing
            .read(&mut socket, self.max_body)
            .map_err(End::Body)?;
        if framing.keeps(&answer) && sent.is_ok() {
            link::keep(url.origin(), socket);
        }
        Ok((answer, body))
    }

    fn read_head(&self, socket: &mut Socket<Link>) -> io::Result<Head> {
        let head = Head::read(socket, self.max_head)?;
        match head.status {
            101 => Err(malformed(
                "it speaks another protocol from here on, which nobody asked for".to_owned(),
            )),
            _ => Ok(head),
        }
    }

    fn framing(&self, head: &Head) -> io::Result<Framing> {
        let codings: Vec<&str> = head.list("Transfer-Encoding").collect();
        if codings.len() > 1 || !codings.iter().all(|coding| same(coding, "chunked")) {
            let reason = format!("it is coded as {codings:?}, which nobody asked for");
            return Err(malformed(reason));
        }
        match self.method {
            Method::HEAD => Ok(Framing::Empty),
            _ => Framing::of(head),
        }
    }
}

/// How an exchange fails.
enum End {
    /// Before a byte of an answer.
    NoAnswer(io::Error),
    Head(io::Error),
    Body(io::Error),
}

/// The time of a request with all its redirects.
struct Time {
    timeout: Duration,
    deadline: Instant,
}

impl Time {
    fn start(timeout: Option<Duration>) -> Self {
        let left = current::time_left().map(|left| left - (left / 10).min(MARGIN));
        let timeout = match (timeout, left) {
            (Some(timeout), Some(left)) => timeout.min(left),
            (Some(time), None) | (None, Some(time)) => time,
            (None, None) => TIMEOUT,
        };
        let now = Instant::now();
        // Nobody waits for years.
        let years = Duration::from_secs(u32::MAX.into());
        let deadline = now.checked_add(timeout).unwrap_or(now + years);
        Time { timeout, deadline }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Response {
    head: Head,
    body: Vec<u8>,
    url: Url,
}

impl Response {
    /// The status, from 200 to 999.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// Whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status())
    }

    /// The first header of that name, which may be in any case. What is not UTF-8 in it is replaced.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }

    /// All headers as they came: a name may come several times.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.iter()
    }

    /// The URL that answered: another one than was asked where redirects were followed.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, without a copy.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// The body as text.
    ///
    /// # Errors
    ///
    /// When it is not UTF-8.
    pub fn text(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(&self.body)
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// When it is not JSON, or does not fit `T`.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }
}
