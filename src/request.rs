//! A request, ready to be written.

use crate::address::Address;

/// A head and a body, owned, so that they can go to another thread.
#[derive(Debug)]
pub(crate) struct Request {
    pub head: Vec<u8>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn get(address: &Address, path: &str) -> Self {
        Head::new("GET", address, path).with_body(None)
    }

    /// Whether it may be sent twice (RFC 9110, section 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        self.head.starts_with(b"GET ")
    }
}

/// The head of a request that is being written.
#[derive(Debug)]
pub(crate) struct Head(Vec<u8>);

impl Head {
    pub fn new(method: &str, address: &Address, path: &str) -> Self {
        let mut head = Vec::with_capacity(512);
        for part in [method, " ", path, " HTTP/1.1\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        let mut head = Head(head);
        head.add("Host", &address.authority);
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
        Request {
            head: self.end(),
            body: body.unwrap_or_default(),
        }
    }

    pub fn end(self) -> Vec<u8> {
        let Head(mut head) = self;
        head.extend_from_slice(b"\r\n");
        head
    }
}
