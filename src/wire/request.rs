//! A request, ready to be written.

use std::{fmt, sync::Arc};

use http_req::{request::Method, uri::Uri};

/// Bytes of a body that is copied behind its head: one plain write is less work for the kernel than one of two parts.
const MAX_JOINED: usize = 4096;

/// Who asks.
pub(crate) const USER_AGENT: &str = concat!("lambda-musl/", env!("CARGO_PKG_VERSION"));

/// What all requests of one method to one API begin with, written once; each request puts its path in.
///
/// By hand: http_req's `RequestMessage` costs 2 µs for a request, a sixth of an invocation, as it formats two maps of
/// headers; and 5 kB in the zip where it writes this alone.
#[derive(Debug)]
pub(crate) struct Base {
    method: Method,
    url: String,
    head: Vec<u8>,
    /// Where the path goes on.
    end: usize,
}

impl Base {
    /// `server` has no slash at its end; the path of the API, which begins with one, comes behind it.
    pub fn new(method: Method, server: &Uri<'_>, api: &str) -> Self {
        let url = server.get_ref();
        let host = url.split('/').nth(2).unwrap_or_default();
        // Without a path, http_req has one all the same.
        let path = server.path().map_or("", |_| server.resource());
        let start = [method.as_str(), " ", path, api].concat();
        let end = start.len();
        let rest = [
            " HTTP/1.1\r\nHost: ",
            host,
            "\r\nUser-Agent: ",
            USER_AGENT,
            "\r\n",
        ]
        .concat();
        Base {
            method,
            url: [url, api].concat(),
            head: (start + &rest).into_bytes(),
            end,
        }
    }
}

/// Which call of which API.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub base: Arc<Base>,
    /// What comes behind the API's own path; it begins with a slash.
    pub path: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Base { method, url, .. } = &*self.base;
        write!(f, "{} {url}{}", method.as_str(), self.path)
    }
}

/// A head, and a body where that is long, owned, so that they can go to another thread.
#[derive(Debug)]
pub(crate) struct Request {
    pub head: Vec<u8>,
    pub body: Vec<u8>,
}

impl Request {
    /// Whether it may be sent twice (RFC 9110, section 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        self.head.starts_with(b"GET ")
    }
}

/// The head of a request that is being written.
#[derive(Debug)]
pub(crate) struct Head(Vec<u8>);

impl Head {
    pub fn new(call: &Call) -> Self {
        let mut head = Vec::with_capacity(512);
        // Not by `split_at`, for the reason that `status` of an answer's head has.
        let Base { head: all, end, .. } = &*call.base;
        for part in [&all[..*end], call.path.as_bytes(), &all[*end..]] {
            head.extend_from_slice(part);
        }
        Head(head)
    }

    pub fn add(&mut self, name: &str, value: &str) {
        let Head(head) = self;
        for part in [name, ": ", value, "\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        // What a header may not hold (RFC 9110, section 5.5) could end it and start another.
        let end = head.len() - 2;
        for byte in &mut head[end - value.len()..end] {
            if !matches!(byte, b'\t' | b' '..=b'~' | 0x80..) {
                *byte = b' ';
            }
        }
    }

    pub fn with_body(mut self, body: Option<Vec<u8>>) -> Request {
        if let Some(body) = &body {
            self.add("Content-Length", &body.len().to_string());
        }
        let (mut head, mut body) = (self.end(), body.unwrap_or_default());
        if body.len() <= MAX_JOINED {
            head.append(&mut body);
        }
        Request { head, body }
    }

    pub fn end(self) -> Vec<u8> {
        let Head(mut head) = self;
        head.extend_from_slice(b"\r\n");
        head
    }
}
