//! A request, ready to be written.

/// Bytes of a body that is copied behind its head: one plain write is less work for the kernel than one of two parts.
const MAX_JOINED: usize = 4096;

/// Which call of which API, as messages show it: `GET http://host:port/path`.
#[derive(Debug)]
pub(crate) struct Call(pub String);

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
    pub fn new(Call(call): &Call) -> Self {
        // std's searches for characters are long when they are compiled for size.
        let until = |text: &str, end| text.bytes().position(|byte| byte == end).unwrap_or(0);
        let (method, url) = call.split_at(until(call, b' '));
        let url = url.strip_prefix(" http://").unwrap_or(url);
        let (authority, path) = url.split_at(until(url, b'/'));
        let mut head = Vec::with_capacity(512);
        for part in [method, " ", path, " HTTP/1.1\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        let mut head = Head(head);
        head.add("Host", authority);
        head.add(
            "User-Agent",
            concat!("lambda-musl/", env!("CARGO_PKG_VERSION")),
        );
        head
    }

    pub fn add(&mut self, name: &str, value: &str) {
        let Head(head) = self;
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        // What a header may not hold (RFC 9110, section 5.5) could end it and start another.
        head.extend(value.bytes().map(|byte| match byte {
            b'\t' | b' '..=b'~' | 0x80.. => byte,
            _ => b' ',
        }));
        head.extend_from_slice(b"\r\n");
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
