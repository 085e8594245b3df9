//! Requests to the APIs of Lambda.

use std::{fmt, io::Write};

use http_req::{request::Method, uri::Uri};

use crate::wire::head::Memory;

/// The maximum length in bytes of a body that is appended to its head: a plain write is less work for the kernel than a
/// vectored one.
const MAX_JOINED: usize = 4096;

/// The value of the `User-Agent` header.
pub(crate) const USER_AGENT: &str = concat!("lambda-musl/", env!("CARGO_PKG_VERSION"));

/// The common part of all requests with one method to one API, formatted once; each request inserts its path.
///
/// http_req's `RequestMessage` would cost 2 µs of CPU time per request, because it formats two maps of headers. It would also
/// add 5 kB to a zip that uses it only for this.
#[derive(Debug)]
pub(crate) struct Base {
    method: Method,
    url: String,
    head: Vec<u8>,
    /// The position in `head` at which the path of a call is inserted.
    end: usize,
}

impl Base {
    /// Formats the common part. `server` must not end with a slash; the `api` path begins with one.
    pub fn new(method: Method, server: &Uri<'_>, api: &str) -> Self {
        let url = server.get_ref();
        let host = url.split('/').nth(2).unwrap_or_default();
        // If there is no path, http_req's `resource` still returns one.
        let path = server.path().map_or("", |_| server.resource());
        let start = format!("{} {path}{api}", method.as_str());
        let head = format!("{start} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\n");
        Base { method, url: format!("{url}{api}"), head: head.into_bytes(), end: start.len() }
    }
}

/// A call to an API: its method and URL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub base: &'a Base,
    /// The parts of the path after the API's base path; the first one begins with a slash.
    pub path: [&'a str; 3],
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Base { method, url, .. } = self.base;
        let [first, middle, last] = self.path;
        write!(f, "{} {url}{first}{middle}{last}", method.as_str())
    }
}

/// A request, owned so that it can be sent to another thread. `head` includes the body if that is short. The response is read
/// into the memory of the request, which the next request reuses.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub head: Memory,
    pub body: Vec<u8>,
}

impl Request {
    /// Whether the request can safely be sent twice (RFC 9110, section 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        self.head.text.starts_with(b"GET ")
    }
}

/// The head of a request that is being built.
#[derive(Debug)]
pub(crate) struct Head(Request);

impl Head {
    /// Begins the head of a request in `memory`, whose contents are discarded.
    pub fn new(call: Call<'_>, mut memory: Request) -> Self {
        let head = &mut memory.head.text;
        head.clear();
        head.reserve(512);
        // Do not use `split_at` here; see `status` in the `head` module.
        let Base { head: all, end, .. } = call.base;
        let [first, middle, last] = call.path.map(str::as_bytes);
        for part in [&all[..*end], first, middle, last, &all[*end..]] {
            head.extend_from_slice(part);
        }
        Head(memory)
    }

    pub fn add(&mut self, name: &str, value: &str) {
        let head = &mut self.0.head.text;
        for part in [name, ": ", value, "\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        // Replace bytes that a header must not contain (RFC 9110, section 5.5): they could end it and start another.
        let end = head.len() - 2;
        for byte in &mut head[end - value.len()..end] {
            if byte.is_ascii_control() && *byte != b'\t' {
                *byte = b' ';
            }
        }
    }

    pub fn with_body(mut self, body: Option<Vec<u8>>) -> Request {
        if let Some(body) = body {
            // Writing to a vector cannot fail.
            let _ = write!(self.0.head.text, "Content-Length: {}\r\n", body.len());
            self.0.body = body;
        }
        let mut request = self.end();
        if request.body.len() <= MAX_JOINED {
            request.head.text.append(&mut request.body);
        }
        request
    }

    pub fn end(self) -> Request {
        let Head(mut request) = self;
        request.head.text.extend_from_slice(b"\r\n");
        request
    }
}
