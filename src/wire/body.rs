//! The body of a response, read to its end: a truncated body is never taken for a complete one.

use std::io::{self, BufRead, ErrorKind};

use crate::wire::head::{Head, Lines, MAX_HEAD, malformed, number, too_long};

/// The maximum number of bytes allocated before a body arrives: the length of Lambda's longest event.
const MAX_RESERVE: u64 = 6 * 1024 * 1024 + 100;

/// The maximum length of the line before a chunk, in bytes.
const MAX_SIZE_LINE: u64 = 4096;

/// How the end of a body is determined (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Framing {
    /// There is no body, regardless of the headers.
    Empty,
    Chunks,
    Length(u64),
    /// The body ends with the connection.
    Close,
}

impl Framing {
    /// Returns the framing of a response to a request other than HEAD.
    pub fn of(head: &Head) -> io::Result<Self> {
        if head.status == 204 || head.status == 304 {
            return Ok(Framing::Empty);
        }
        if head.names("Transfer-Encoding", "chunked") {
            return Ok(Framing::Chunks);
        }
        let mut length = None;
        for text in head.all("Content-Length") {
            match number(text.as_bytes(), 10) {
                Some(number) if length.is_none_or(|length| length == number) => {
                    length = Some(number);
                }
                _ => {
                    let reason = format!("invalid or conflicting Content-Length {text:?}");
                    return Err(malformed(reason));
                }
            }
        }
        Ok(length.map_or(Framing::Close, Framing::Length))
    }

    /// Whether the connection can be used again after the body.
    pub fn keeps(self, head: &Head) -> bool {
        let clear = match self {
            // A peer that also sends a length, or whose version predates chunks, may see the end elsewhere (RFC 9112,
            // section 6.1).
            Framing::Chunks => !head.is_old() && head.get("Content-Length").is_none(),
            Framing::Close => false,
            Framing::Empty | Framing::Length(_) => true,
        };
        clear && head.keeps()
    }

    /// Reads the body; one longer than `limit` bytes is an error.
    pub fn read(self, reader: &mut impl BufRead, limit: u64) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        self.read_into(&mut body, reader, limit)?;
        Ok(body)
    }

    /// Reads as much of the body as arrives, up to `limit` bytes; returns it and whether it is complete.
    pub fn read_some(self, reader: &mut impl BufRead, limit: u64) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        let some = match self {
            Framing::Length(length) => Framing::Length(length.min(limit)),
            framing => framing,
        };
        let read = some.read_into(&mut body, reader, limit);
        (body, read.is_ok() && some == self)
    }

    /// Reads the body into an empty vector.
    pub fn read_into(self, body: &mut Vec<u8>, reader: &mut impl BufRead, limit: u64) -> io::Result<()> {
        match self {
            Framing::Empty => Ok(()),
            Framing::Chunks => read_chunks(reader, limit, body),
            Framing::Length(length) if length > limit => Err(too_long("the body", limit)),
            Framing::Length(length) => {
                // The bytes from the socket go directly to this memory. If it is new, zeroing it costs nothing.
                let room = length.min(MAX_RESERVE) as usize;
                if room > body.capacity() {
                    *body = vec![0; room];
                }
                body.resize(room, 0);
                let mut filled = 0;
                let read = fill(reader, body, &mut filled);
                body.truncate(filled);
                read?;
                expect(append(body, reader, length - filled as u64)?)
            }
            Framing::Close => match append(body, reader, limit)? && !reader.fill_buf()?.is_empty() {
                true => Err(too_long("the body", limit)),
                false => Ok(()),
            },
        }
    }
}

fn fill(reader: &mut impl BufRead, room: &mut [u8], filled: &mut usize) -> io::Result<()> {
    while *filled < room.len() {
        match reader.read(&mut room[*filled..]) {
            Ok(0) => return expect(false),
            Ok(read) => *filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Appends `length` bytes, or fewer if the reader ends; returns whether it appended all of them.
fn append(body: &mut Vec<u8>, reader: &mut impl BufRead, mut length: u64) -> io::Result<bool> {
    while length > 0 {
        let ahead = match reader.fill_buf() {
            Ok([]) => return Ok(false),
            Ok(ahead) => &ahead[..ahead.len().min(length.try_into().unwrap_or(usize::MAX))],
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        body.extend_from_slice(ahead);
        let taken = ahead.len();
        reader.consume(taken);
        length -= taken as u64;
    }
    Ok(true)
}

fn expect(all: bool) -> io::Result<()> {
    match all {
        true => Ok(()),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Reads a body in the chunked transfer coding, with its trailers (RFC 9112, section 7.1).
fn read_chunks(reader: &mut impl BufRead, limit: u64, body: &mut Vec<u8>) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut lines = Lines::new("a chunk size line", &mut *reader, MAX_SIZE_LINE);
        let text = lines.append(&mut line).map_err(no_body)?;
        let digits = text.split(|byte| *byte == b';').next().unwrap_or_default();
        let digits = digits.trim_ascii_end();
        let size = number(digits, 16).ok_or_else(|| {
            let digits = String::from_utf8_lossy(digits);
            malformed(format!("{digits:?} is not a valid chunk size"))
        })?;
        if size == 0 {
            let mut lines = Lines::new("the trailer section", reader, MAX_HEAD);
            return lines.skip().map_err(no_body);
        }
        if size.saturating_add(body.len() as u64) > limit {
            return Err(too_long("the body", limit));
        }
        expect(append(body, reader, size)?)?;
        let mut end = [0; 2];
        fill(reader, &mut end, &mut 0)?;
        if &end != b"\r\n" {
            return Err(malformed("a chunk is longer than its size".into()));
        }
    }
}

/// Converts an error about a line that is too long, which would otherwise count as an error about the length of the body.
fn no_body(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::FileTooLarge => malformed(error.to_string()),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> io::Result<(Vec<u8>, bool)> {
        read_up_to(bytes, u64::MAX)
    }

    fn read_up_to(mut bytes: &[u8], limit: u64) -> io::Result<(Vec<u8>, bool)> {
        let head = Head::read(&mut bytes, MAX_HEAD)?;
        let framing = Framing::of(&head)?;
        Ok((framing.read(&mut bytes, limit)?, framing.keeps(&head)))
    }

    #[test]
    fn contradictory_lengths_are_an_error() {
        let two = |a, b| format!("HTTP/1.1 200 OK\r\nContent-Length: {a}\r\ncontent-length: {b}\r\n\r\nabc");
        assert!(read_all(two("2", "3").as_bytes()).is_err());
        assert_eq!(read_all(two("3", "3").as_bytes()).unwrap().0, b"abc");
    }

    #[test]
    fn a_body_that_is_cut_at_any_byte_is_an_error() {
        for whole in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n1\r\nc\r\n0\r\nT: t\r\n\r\n",
        ] {
            for end in 0..whole.len() {
                assert!(read_all(&whole.as_bytes()[..end]).is_err(), "{end}");
            }
            assert_eq!(read_all(whole.as_bytes()).unwrap(), (b"abc".into(), true));
        }
    }

    #[test]
    fn a_length_beyond_all_memory_is_not_allocated() {
        let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\nabc", u64::MAX);
        let error = read_all(bytes.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_peer_with_http_1_0_keeps_the_connection_only_on_request() {
        let old = |header| format!("HTTP/1.0 200 OK\r\n{header}Content-Length: 0\r\n\r\n");
        assert!(!read_all(old("").as_bytes()).unwrap().1);
        assert!(read_all(old("Connection: Keep-Alive\r\n").as_bytes()).unwrap().1);
    }

    #[test]
    fn chunked_may_be_in_any_case_and_after_another_coding() {
        let coded = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n0A\r\n0123456789\r\n0\r\n\r\n";
        assert_eq!(read_all(coded).unwrap().0, b"0123456789");
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        let (body, keep) = read_all(b"HTTP/1.0 200 OK\r\n\r\nabc").unwrap();
        assert_eq!((body.as_slice(), keep), (&b"abc"[..], false));
    }

    #[test]
    fn lengths_and_chunk_sizes_are_only_digits() {
        for length in ["+3", "-0", "-3", "3 3", "3,3", "0x3", "", "3a", "18446744073709551616"] {
            let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nabc");
            let error = read_all(whole.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("Content-Length"), "{error}");
        }
        for size in ["+3", "-0", "-3", " 3", "3 3", "0x3", "", "3g", "10000000000000000"] {
            let chunks = format!("{size}\r\nabc\r\n0\r\n\r\n");
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let error = read_all([head, &chunks].concat().as_bytes()).unwrap_err();
            assert!(error.to_string().contains("valid chunk size"), "{error}");
        }
    }

    #[test]
    fn a_body_may_be_as_long_as_the_limit_but_not_longer() {
        for framed in [
            "Content-Length: 3\r\n\r\nabc",
            "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            "\r\nabc",
        ] {
            let whole = format!("HTTP/1.1 200 OK\r\n{framed}");
            assert_eq!(read_up_to(whole.as_bytes(), 3).unwrap().0, b"abc");
            let error = read_up_to(whole.as_bytes(), 2).unwrap_err();
            assert_eq!(error.to_string(), "the body is longer than 2 bytes");
        }
    }

    #[test]
    fn an_incomplete_body_is_returned_up_to_the_limit() {
        for (framing, bytes, limit, some) in [
            (Framing::Length(3), "abc", 9, ("abc", true)),
            (Framing::Length(9), "abc", 9, ("abc", false)),
            (Framing::Length(9), "abc", 2, ("ab", false)),
            (Framing::Close, "abc", 9, ("abc", true)),
            (Framing::Close, "abc", 2, ("ab", false)),
            (Framing::Chunks, "1\r\na\r\n2\r\nb", 9, ("ab", false)),
            (Framing::Empty, "abc", 9, ("", true)),
        ] {
            let (body, whole) = framing.read_some(&mut bytes.as_bytes(), limit);
            assert_eq!((&*body, whole), (some.0.as_bytes(), some.1), "{framing:?} {limit}");
        }
    }
}
