//! The server's side of HTTP/1.1, for peers that mean well: also for this repository's tests, conformance and benches.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Names and values, in the order in which they came.
pub type Headers = Vec<(String, String)>;

/// A server on a port of its own. It takes no more connections when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: String,
    stopped: Arc<AtomicBool>,
}

impl Server {
    /// Gives each connection to `converse`, with its number from 0, on a thread of its own.
    pub fn start(
        converse: impl Fn(usize, BufReader<TcpStream>) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?.to_string();
        let stopped = Arc::<AtomicBool>::default();
        let server = Server {
            address,
            stopped: Arc::clone(&stopped),
        };
        let converse = Arc::new(converse);
        thread::Builder::new().spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let converse = Arc::clone(&converse);
                // A peer that goes away, or that nobody here understands, finds the connection closed.
                thread::spawn(move || {
                    stream.set_nodelay(true)?;
                    converse(number, BufReader::new(stream))
                });
            }
        })?;
        Ok(server)
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The port alone.
    pub fn port(&self) -> &str {
        self.address.trim_start_matches("127.0.0.1:")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(&self.address));
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method and the path.
    pub line: String,
    /// What came before the body.
    pub headers: Headers,
    /// The body, put together where it came in chunks.
    pub body: Vec<u8>,
    /// What came after the last chunk.
    pub trailers: Headers,
}

impl Request {
    /// The value of a header, whose name may be in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The value of a trailer, whose name may be in any case.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        find(&self.trailers, name)
    }

    /// Reads the body and the trailers of a request that has its head. `watch` sees every chunk as it comes in.
    pub fn read_body(
        &mut self,
        reader: &mut impl BufRead,
        mut watch: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        if self.header("Transfer-Encoding").is_none() {
            let length = self.header("Content-Length").unwrap_or("0");
            let length = length.parse().map_err(|_| malformed())?;
            return read_exactly(reader, length, &mut self.body);
        }
        loop {
            let size = read_line(reader)?;
            // The standard library takes a sign as well.
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

/// The value of a header, whose name may be in any case.
pub(super) fn find<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let mut headers = headers.iter();
    let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// The next request without its body, or `None` where the peer is done.
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

/// The next request, or `None` where the peer is done.
pub fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut request = read_head(reader)?;
    if let Some(request) = &mut request {
        request.read_body(reader, |_| {})?;
    }
    Ok(request)
}

/// An answer with a body; `headers` are whole lines.
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
    io::Error::new(ErrorKind::InvalidData, "no request of HTTP/1.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_the_rules_is_malformed_and_what_is_cut_is_cut() {
        let chunks =
            |body: &str| format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
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
        assert_eq!(
            (&*request.body, request.trailer("a")),
            (&b"x"[..], Some("b"))
        );
    }
}
