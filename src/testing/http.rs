//! The server's side of HTTP/1.1, for peers that mean well.

use std::io::{self, BufRead, ErrorKind, Read, Write};

pub(super) type Headers = Vec<(String, String)>;

/// A request, read to its end.
#[derive(Debug)]
pub(super) struct Request {
    /// The method and the path.
    pub line: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
}

/// The value of a header, whose name may be in any case.
pub(super) fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let mut headers = headers.iter();
    let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// The next request, or `None` where the peer is done.
pub(super) fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    if reader.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let line = read_line(reader)?;
    let line = line.strip_suffix(" HTTP/1.1").ok_or_else(malformed)?;
    let mut request = Request {
        line: line.to_owned(),
        headers: read_headers(reader)?,
        body: Vec::new(),
        trailers: Headers::new(),
    };
    if header(&request.headers, "Transfer-Encoding").is_some() {
        loop {
            let size = read_line(reader)?;
            let size = u64::from_str_radix(&size, 16).map_err(|_| malformed())?;
            if size == 0 {
                request.trailers = read_headers(reader)?;
                break;
            }
            read_exactly(reader, size, &mut request.body)?;
            if !read_line(reader)?.is_empty() {
                return Err(malformed());
            }
        }
    } else if let Some(length) = header(&request.headers, "Content-Length") {
        let length = length.parse().map_err(|_| malformed())?;
        read_exactly(reader, length, &mut request.body)?;
    }
    Ok(Some(request))
}

/// Writes an answer with a body.
pub(super) fn write_answer(
    writer: &mut impl Write,
    status: &str,
    headers: &[(String, Vec<u8>)],
    body: &[u8],
) -> io::Result<()> {
    let mut message =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len()).into_bytes();
    for (name, value) in headers {
        message.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    message.extend(b"\r\n");
    message.extend(body);
    writer.write_all(&message)
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
    let line = line.strip_suffix(b"\r\n").ok_or_else(malformed)?;
    Ok(String::from_utf8_lossy(line).into_owned())
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
