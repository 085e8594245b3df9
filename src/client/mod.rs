//! A reliable HTTP client for functions: every request ends by its deadline, and a truncated response is never taken for a
//! complete one.
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
//! [`Request`] sets the method, headers, body and limits:
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
//! HTTPS needs the `tls` feature. Certificates are verified against the CA certificates in `SSL_CERT_FILE` or `SSL_CERT_DIR`, or
//! else against the system's, which are in `/etc/pki/tls` on Lambda.
//!
//! # Deadlines
//!
//! A request has one time limit for the complete exchange: resolving the name, connecting, negotiating TLS, sending, following
//! redirects, and receiving the last byte of the response. By default, this is the time left in the invocation, less a reserve for
//! the handler to respond: a tenth of that time, but at most 100 ms. [`timeout`](Request::timeout) can shorten the limit.
//!
//! The client knows the invocation only on the threads that poll the handler. On other threads, and outside an invocation, the
//! limit is the one that `timeout` sets, or 10 seconds, which is also Lambda's limit for the init phase.
//!
//! A request blocks the thread that sends it. In an async runtime, send it on a thread for blocking work, such as one that tokio's
//! `spawn_blocking` provides, and set `timeout` from [`Context::time_left`](crate::Context::time_left). Only name resolution runs
//! on a thread of its own, because the standard library cannot interrupt it. All requests share that thread.
//!
//! # Truncated responses
//!
//! A body has a length, consists of chunks, or ends with the connection (RFC 9112, section 6.3). In the first two cases, an early
//! end of the body is [`Error::Cut`]. In the third case, a body over TLS is complete only if the server announces its end
//! (`close_notify`). If the connection closes without that announcement, the result is an error, because an attacker could have
//! closed the connection. Without TLS, an orderly close (FIN) completes the body, and a reset is an error.
//!
//! # Connections
//!
//! Connections are kept for later requests to the same scheme, host and port, even across invocations: at most 8, for up to 50
//! seconds each. If the server has closed a connection, the client replaces it before sending anything. If it notices that only
//! after sending, it repeats a request with an idempotent method once; any other request fails with [`Error::NoAnswer`], because
//! the server may already have processed it. The same applies after a SnapStart snapshot, which no connection survives.
//!
//! # Limitations
//!
//! The client does not support proxies, cookies, compression, HTTP/2, or bodies that do not fit in memory. Trailers are read and
//! discarded.

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

/// The default time limit of a request outside an invocation.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum time that is reserved for the handler to respond.
const MARGIN: Duration = Duration::from_millis(100);

/// The default limits for a response, in bytes.
const MAX_HEAD: u64 = 64 * 1024;
const MAX_BODY: u64 = 10 * 1024 * 1024;

/// Sends a GET request with the default settings and waits for the complete response.
///
/// # Errors
///
/// Returns an [`Error`] if there is no usable response. A response with a status such as 404 or 500 is not an error.
pub fn get(url: impl Into<String>) -> Result<Response, Error> {
    Request::get(url).send()
}

/// A request that is being built.
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
    /// Creates a request with any method except CONNECT.
    ///
    /// The URL must start with `https://` or `http://`. Non-ASCII characters are percent-encoded, and the fragment is not sent.
    /// If the URL is invalid, [`send`](Self::send) returns an error.
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

    /// Creates a GET request.
    pub fn get(url: impl Into<String>) -> Self {
        Request::new(Method::GET, url)
    }

    /// Adds a header. Headers are sent in the order in which they were added, including several with the same name.
    ///
    /// An added `Host`, `User-Agent` or `Accept` header replaces the default. `Content-Length`, `Transfer-Encoding` and
    /// `Connection` are refused, because the client sets them.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body, which is sent with a `Content-Length`.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets the body to a value as JSON, and adds the `Content-Type: application/json` header.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be serialized.
    pub fn json(self, value: &impl Serialize) -> serde_json::Result<Self> {
        let body = serde_json::to_vec(value)?;
        Ok(self.header("Content-Type", "application/json").body(body))
    }

    /// Sets the time limit for the complete exchange. Within an invocation, it can only shorten the default limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the maximum length of the response's status line and headers, including those of interim responses, in bytes. The
    /// default is 64 KiB.
    pub fn max_head(mut self, bytes: u64) -> Self {
        self.max_head = bytes;
        self
    }

    /// Sets the maximum length of the response's body, in bytes. The default is 10 MiB.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets the maximum number of redirects to follow. The default is 0: a redirect is returned like any other response.
    ///
    /// Responses with the status 301, 302, 303, 307 or 308 and a `Location` are followed. After 303, and for a POST also after 301
    /// and 302, the request becomes a GET without a body (a HEAD stays a HEAD); otherwise it is repeated unchanged. If the scheme,
    /// host or port changes, the headers `Authorization`, `Cookie`, `Proxy-Authorization` and an added `Host` are not sent again.
    /// All other headers are sent again, even one of your own that contains a secret.
    pub fn redirects(mut self, limit: u32) -> Self {
        self.redirects = limit;
        self
    }

    /// Sends the request and waits for the complete response.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] if there is no usable response. A response with a status such as 404 or 500 is not an error.
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
                return Err(Error::Redirects { limit: self.redirects, location: next.as_str().to_owned() });
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
            let refused = |reason| Error::Header { name: name.clone(), reason };
            // RFC 9110, sections 5.1 and 5.5.
            if !is_token(name) {
                return Err(refused("its name can contain only letters, digits and !#$%&'*+-.^_`|~"));
            }
            if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
                return Err(refused("its value contains a control character, such as a line break"));
            }
            let own = ["Content-Length", "Transfer-Encoding", "Connection"];
            if own.iter().any(|own| same(own, name)) {
                return Err(refused("the client sets it"));
            }
        }
        Ok(())
    }

    /// Changes the request for a redirect (RFC 9110, section 15.4; the Fetch standard, section 4.4).
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
        let of_body = ["Content-Type", "Content-Encoding", "Content-Language", "Content-Location"];
        let of_server = ["Authorization", "Cookie", "Proxy-Authorization", "Host"];
        self.headers.retain(|(name, _)| {
            let is_in = |names: &[&str]| names.iter().any(|known| same(known, name));
            !(to_get && is_in(&of_body) || is_elsewhere && is_in(&of_server))
        });
    }

    /// Formats the head. http_req writes only the first line and `Host`: it stores headers in a map, which would change their
    /// order with each request and allow only one header of each name.
    fn head(&self, url: &Url) -> Vec<u8> {
        let has = |name| self.headers.iter().any(|(added, _)| same(added, name));
        let host = self.headers.iter().find(|(name, _)| same(name, "Host"));
        let host = host.map_or(url.authority(), |(_, value)| value);
        let mut headers = Headers::with_capacity(1);
        headers.insert("Host", host);
        let uri = url.uri();
        let mut message = RequestMessage::new(&uri);
        let mut head = message.method(self.method).headers(headers).parse();
        // Remove the empty line.
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

    /// Sends one request and reads its response.
    fn exchange(&self, url: &Url, time: &Time) -> Result<(Head, Vec<u8>), Error> {
        let address = url.authority().to_owned();
        let late = |during| Error::Timeout { address: address.clone(), timeout: time.timeout, during };
        let name = |end| {
            if time.is_over() {
                return late(During::Exchange);
            }
            let (source, too_long) = match end {
                End::NoAnswer(source) => {
                    return Error::NoAnswer { address: address.clone(), source };
                }
                End::Head(source) => (source, Error::HeadTooLong { limit: self.max_head }),
                End::Body(source) => (source, Error::BodyTooLong { limit: self.max_body }),
            };
            match source.kind() {
                ErrorKind::FileTooLarge => too_long,
                ErrorKind::InvalidData => Error::Malformed { address: address.clone(), reason: source.to_string() },
                _ => Error::Cut { address: address.clone(), source },
            }
        };
        let head = self.head(url);
        if let Some(socket) = link::take(url.origin(), time.deadline) {
            match self.attempt(socket, url, &head) {
                // The server has just closed the kept connection: use a new one (RFC 9112, section 9.3.1).
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

    /// Whether the method is idempotent (RFC 9110, section 9.2.2).
    fn is_idempotent(&self) -> bool {
        !matches!(self.method, Method::POST | Method::PATCH)
    }

    fn attempt(&self, mut socket: Socket<Box<dyn Link>>, url: &Url, head: &[u8]) -> Result<(Head, Vec<u8>), End> {
        let sent = socket.send(head, self.body.as_deref().unwrap_or_default());
        match sent {
            // A server that refuses a body may respond and close the connection before it has read the body. The response
            // gives the reason.
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
        let body = framing.read(&mut socket, self.max_body).map_err(End::Body)?;
        if framing.keeps(&answer) && sent.is_ok() {
            link::keep(url.origin(), socket);
        }
        Ok((answer, body))
    }

    fn read_head(&self, socket: &mut Socket<Box<dyn Link>>) -> io::Result<Head> {
        let head = Head::read(socket, self.max_head)?;
        match head.status {
            101 => Err(malformed("it switches to another protocol, which was not requested".to_owned())),
            _ => Ok(head),
        }
    }

    fn framing(&self, head: &Head) -> io::Result<Framing> {
        let codings: Vec<&str> = head.list("Transfer-Encoding").collect();
        if codings.len() > 1 || !codings.iter().all(|coding| same(coding, "chunked")) {
            let reason = format!("its transfer coding is {codings:?}, which was not requested");
            return Err(malformed(reason));
        }
        match self.method {
            Method::HEAD => Ok(Framing::Empty),
            _ => Framing::of(head),
        }
    }
}

/// The failure of an exchange.
enum End {
    /// The connection closed before the first byte of a response.
    NoAnswer(io::Error),
    Head(io::Error),
    Body(io::Error),
}

/// The time limit of a request, including all redirects.
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
        // If the deadline overflows, use one that is years away.
        let years = Duration::from_secs(u32::MAX.into());
        let deadline = now.checked_add(timeout).unwrap_or(now + years);
        Time { timeout, deadline }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }
}

/// A complete response.
#[derive(Debug)]
pub struct Response {
    head: Head,
    body: Vec<u8>,
    url: Url,
}

impl Response {
    /// Returns the status, from 200 to 999.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// Returns whether the status is from 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status())
    }

    /// Returns the value of the first header with this name, ignoring case. Invalid UTF-8 in the value is replaced.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }

    /// Returns all headers in the order received. A name can occur several times.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.iter()
    }

    /// Returns the URL of the response, which differs from the requested one after a redirect.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Returns the body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the body without copying it.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Returns the body as text.
    ///
    /// # Errors
    ///
    /// Returns an error if the body is not UTF-8.
    pub fn text(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(&self.body)
    }

    /// Parses the body as JSON.
    ///
    /// # Errors
    ///
    /// Returns an error if the body is not JSON or does not match `T`.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }
}
