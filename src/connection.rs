//! One connection to the Runtime API that stays open: HTTP/1.1 over plain TCP.
//!
//! The messages are http_req's. Its own client opens a connection and a thread for every request, with a timeout that
//! would end a function that is frozen; its readers take a lost connection for the end of a body and have no limits. So
//! the reading stands here, and every way in which it can go wrong is an error.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, IoSlice, Read, Write},
    net::TcpStream,
};

use http_req::{
    request::{Method, RequestMessage},
    response::Headers,
    uri::Uri,
};

/// Bytes of a head, or of the trailers, that are read before giving up. Lambda's own are some hundreds.
const MAX_HEAD: u64 = 1024 * 1024;

/// Bytes of a body for which room is made before they have come: Lambda's longest event.
const MAX_RESERVE: u64 = 6 * 1024 * 1024 + 100;

/// A request, owned, so that it can go to another thread.
#[derive(Debug)]
pub(crate) struct Request {
    pub method: Method,
    /// The whole address: `http://host:port/path`.
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// What came back, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

/// A connection that is opened when it is needed and kept for as long as the peer keeps it.
#[derive(Debug)]
pub(crate) struct Connection {
    host: String,
    port: u16,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    pub fn new(host: String, port: u16) -> Self {
        let stream = None;
        Connection { host, port, stream }
    }

    /// Sends a request and reads what comes back, however long that takes.
    pub fn exchange(&mut self, request: &Request) -> io::Result<Reply> {
        // A peer may close a kept connection at any time (RFC 9112, section 9.3.1): a new one has to do.
        if self.stream.as_ref().is_some_and(is_stale) {
            self.stream = None;
        }
        let may_repeat = self.stream.is_some() && request.method == Method::GET;
        match self.attempt(request) {
            Err(Broken { error, silent }) if may_repeat && silent && is_close(&error) => {
                self.attempt(request)
            }
            result => result,
        }
        .map_err(|broken| broken.error)
    }

    fn attempt(&mut self, request: &Request) -> Result<Reply, Broken> {
        let silent = |error| Broken {
            error,
            silent: true,
        };
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.open().map_err(silent)?,
        };
        let head = head(request).map_err(silent)?;
        let sent = write_all(stream.get_mut(), &head, &request.body);
        match sent {
            // A peer that refuses a body may answer and close before it has read it: the answer says why.
            Err(error) if !is_close(&error) => return Err(silent(error)),
            _ => {}
        }
        let nothing = loop {
            match stream.fill_buf() {
                Ok(bytes) => break bytes.is_empty(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(silent(error)),
            }
        };
        let (reply, keep) = read_reply(&mut stream).map_err(|error| Broken {
            error,
            silent: nothing,
        })?;
        self.stream = (keep && sent.is_ok()).then_some(stream);
        Ok(reply)
    }

    fn open(&self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }
}

/// Whether a connection that nothing is expected of has something to say: its end, or what no request asked for.
fn is_stale(stream: &BufReader<TcpStream>) -> bool {
    let socket = stream.get_ref();
    let quiet = socket.set_nonblocking(true).and_then(|()| {
        let peeked = socket.peek(&mut [0]);
        socket.set_nonblocking(false)?;
        peeked
    });
    !stream.buffer().is_empty()
        || !matches!(quiet, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// A failed attempt; `silent` where the peer had not answered a single byte.
struct Broken {
    error: io::Error,
    silent: bool,
}

/// Whether the error is how a peer that closed the connection looks from here.
fn is_close(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
    )
}

fn head(request: &Request) -> io::Result<Vec<u8>> {
    let invalid = |error| io::Error::new(ErrorKind::InvalidInput, format!("{error}"));
    let uri = Uri::try_from(request.url.as_str()).map_err(invalid)?;
    let mut message = RequestMessage::new(&uri);
    message.method(request.method).header(
        "User-Agent",
        concat!("lambda-musl/", env!("CARGO_PKG_VERSION")),
    );
    if request.method == Method::POST {
        message.header("Content-Length", &request.body.len());
    }
    for (name, value) in &request.headers {
        // What a header may not hold (RFC 9110, section 5.5) could end it and start another.
        message.header(*name, &value.replace(char::is_control, " "));
    }
    Ok(message.parse())
}

/// Writes head and body without joining them first: the body may be long.
fn write_all(stream: &mut TcpStream, head: &[u8], body: &[u8]) -> io::Result<()> {
    let mut parts = [IoSlice::new(head), IoSlice::new(body)];
    let mut parts = if body.is_empty() {
        &mut parts[..1]
    } else {
        &mut parts[..]
    };
    while !parts.is_empty() {
        match stream.write_vectored(parts) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut parts, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads an answer to its end, and whether the connection can be used again.
fn read_reply(reader: &mut impl BufRead) -> io::Result<(Reply, bool)> {
    let (status, headers) = loop {
        let (status, headers) = read_head(reader)?;
        // 1xx announces another head (RFC 9110, section 15.2).
        if !(100..200).contains(&status) {
            break (status, headers);
        }
    };
    let mut body = Vec::new();
    let mut keep = !names(&headers, "Connection", "close");
    if names(&headers, "Transfer-Encoding", "chunked") {
        read_chunks(reader, &mut body)?;
    } else if status == 204 || status == 304 {
        // No body, whatever the headers say (RFC 9112, section 6.3).
    } else if let Some(length) = headers.get("Content-Length") {
        let length = length
            .parse()
            .map_err(|_| malformed(format!("Content-Length is {length:?}")))?;
        read_exactly(reader, length, &mut body)?;
    } else {
        keep = false;
        reader.read_to_end(&mut body)?;
    }
    let reply = Reply {
        status,
        headers,
        body,
    };
    Ok((reply, keep))
}

fn read_head(reader: &mut impl BufRead) -> io::Result<(u16, Headers)> {
    let mut lines = reader.take(MAX_HEAD);
    let mut line = Vec::new();
    let first = read_line(&mut lines, &mut line)?;
    let status = first
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1)?.parse().ok())
        .ok_or_else(|| malformed(format!("{first:?} is no status line of HTTP/1.1")))?;
    let mut headers = Headers::new();
    loop {
        let line = read_line(&mut lines, &mut line)?;
        if line.is_empty() {
            return Ok((status, headers));
        }
        // A line that is no header says nothing about the others.
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name, value.trim());
        }
    }
}

/// One line without its end; what is not UTF-8 in it is replaced.
fn read_line(reader: &mut io::Take<impl BufRead>, line: &mut Vec<u8>) -> io::Result<String> {
    line.clear();
    reader.read_until(b'\n', line)?;
    if line.pop() != Some(b'\n') {
        return Err(if reader.limit() == 0 {
            malformed(format!("a head of more than {MAX_HEAD} bytes"))
        } else {
            ErrorKind::UnexpectedEof.into()
        });
    }
    Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
}

fn read_exactly(reader: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    body.reserve(length.min(MAX_RESERVE) as usize);
    match reader.take(length).read_to_end(body)? as u64 {
        read if read == length => Ok(()),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// The chunked coding and its trailers, which nobody here needs (RFC 9112, section 7.1).
fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        let mut lines = reader.take(MAX_HEAD);
        let text = read_line(&mut lines, &mut line)?;
        let digits = text.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16)
            .map_err(|_| malformed(format!("{digits:?} is no size of a chunk")))?;
        if size == 0 {
            while !read_line(&mut lines, &mut line)?.is_empty() {}
            return Ok(());
        }
        read_exactly(reader, size, body)?;
        let mut end = [0; 2];
        reader.read_exact(&mut end)?;
        if &end != b"\r\n" {
            return Err(malformed("a chunk is longer than it says".into()));
        }
    }
}

/// Whether a header that is a list names `token`, in any case.
fn names(headers: &Headers, header: &str, token: &str) -> bool {
    headers.get(header).is_some_and(|list| {
        list.split(',')
            .any(|t| t.trim().eq_ignore_ascii_case(token))
    })
}

fn malformed(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
