//! The server side of HTTP/1.1, for trusted peers. This repository's tests, conformance suite and benchmarks use it as well.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Names and values, in the order received.
pub type Headers = Vec<(String, String)>;

/// A server on an unused port. It stops accepting connections when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: String,
    stopped: Arc<AtomicBool>,
}

impl Server {
    /// Starts a server that passes each connection, with its number from 0, to `converse` on a separate thread.
    pub fn start(
        converse: impl Fn(usize, BufReader<TcpStream>) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?.to_string();
        let stopped = Arc::<AtomicBool>::default();
        let server = Server { address, stopped: Arc::clone(&stopped) };
        let converse = Arc::new(converse);
        thread::Builder::new().spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let converse = Arc::clone(&converse);
                // An error closes the connection.
                thread::spawn(move || {
                    stream.set_nodelay(true)?;
                    converse(number, BufReader::new(stream))
                });
            }
        })?;
        Ok(server)
    }

    /// Returns the host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the port.
    pub fn port(&self) -> &str {
        self.address.trim_start_matches("127.0.0.1:")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wake the thread that accepts connections.
        drop(TcpStream::connect(&self.address));
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method and the path.
    pub line: String,
    /// The headers.
    pub headers: Headers,
    /// The body, decoded if it was sent in chunks.
    pub body: Vec<u8>,
    /// The headers after the last chunk.
    pub trailers: Headers,
}

impl Request {
    /// Returns the value of a header, ignoring the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Returns the value of a trailer, ignoring the case of its name.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        find(&self.trailers, name)
    }

    /// Reads the body and the trailers of a request whose head has been read. Calls `watch` with every chunk as it arrives.
    pub fn read_body(&mut self, reader: &mut impl BufRead, mut watch: impl FnMut(&[u8])) -> io::Result<()> {
        if self.header("Transfer-Encoding").is_none() {
            let length = self.header("Content-Length").unwrap_or("0");
            let length = length.parse().map_err(|_| malformed())?;
            return read_exactly(reader, length, &mut self.body);
        }
        loop {
            let size = read_line(reader)?;
            // The standard library's parser accepts a sign as well.
            let digits = size.bytes().all(|byte| byte.is_ascii_hexdigit());
            let size = u64::from_str_radix(&size, 16).ok().filter(|_| digits);
            let size = size.ok_or_else(malformed)?;
            if size == 0 {
                self.trailers = read_headers(reader)?;
                return Ok(());
            }
            let start = self.body.len();
            read_exactly(reader, size, &mut self.body)?;
            if !read_line(reader)?.is_empty() {
                return Err(malformed());
            }
            watch(&self.body[start..]);
        }
    }
}

/// Returns the value of a header, ignoring the case of its name.
pub(super) fn find<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let mut headers = headers.iter();
    let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// Reads the next request without its body, or returns `None` if the peer has closed the connection.
pub fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    if reader.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let line = read_line(reader)?;
    let line = line.strip_suffix(" HTTP/1.1").ok_or_else(malformed)?;
    Ok(Some(Request {
        line: line.to_owned(),
        headers: read_headers(reader)?,
        body: Vec::new(),
        trailers: Headers::new(),
    }))
}

/// Reads the next request, or returns `None` if the peer has closed the connection.
pub fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut request = read_head(reader)?;
    if let Some(request) = &mut request {
        request.read_body(reader, |_| {})?;
    }
    Ok(request)
}

/// Formats a response with a body; `headers` are complete lines.
pub fn answer(status: &str, headers: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Vec<u8> {
    let (headers, body) = (headers.as_ref(), body.as_ref());
    let status = format!("HTTP/1.1 {status}\r\n");
    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    [status.as_bytes(), headers, length.as_bytes(), body].concat()
}

fn read_headers(reader: &mut impl BufRead) -> io::Result<Headers> {
    let mut headers = Headers::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    match &line[..] {
        [line @ .., b'\r', b'\n'] => Ok(String::from_utf8_lossy(line).into_owned()),
        [.., b'\n'] => Err(malformed()),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn read_exactly(reader: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    match reader.take(length).read_to_end(body)? as u64 {
        read if read == length => Ok(()),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn malformed() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "not an HTTP/1.1 request")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_request_is_malformed_and_a_cut_one_ends_early() {
        let chunks = |body: &str| format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        for bad in [
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\n\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: +-1\r\n\r\n",
            &chunks("+1\r\nx\r\n0\r\n\r\n"),
            &chunks("\r\nx\r\n0\r\n\r\n"),
            &chunks("1\r\nxx\r\n0\r\n\r\n"),
        ] {
            let error = read_request(&mut bad.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{bad}");
        }
        let whole = chunks("1\r\nx\r\n0\r\nA: b\r\n\r\n");
        for end in 1..whole.len() {
            let error = read_request(&mut &whole.as_bytes()[..end]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{end}");
        }
        let request = read_request(&mut whole.as_bytes()).unwrap().unwrap();
        assert_eq!((&*request.body, request.trailer("a")), (&b"x"[..], Some("b")));
    }
}
