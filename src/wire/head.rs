//! The head of an answer: a status and headers, kept as they came.

use std::io::{self, BufRead, ErrorKind, Read};

/// Bytes of a head, or of the trailers, that are read before giving up. Lambda's own are some hundreds.
const MAX_HEAD: u64 = 1024 * 1024;

/// A status line and headers. One piece of memory, searched when asked: there are few headers and fewer questions.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub status: u16,
    text: String,
    /// Where the headers begin in it.
    lines: Vec<usize>,
}

impl Head {
    /// Reads up to the empty line. What is not UTF-8 is replaced, a line that is no header says nothing about the others.
    ///
    /// `bytes` is room that the caller keeps from one head to the next.
    pub fn read(reader: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<Self> {
        bytes.clear();
        let mut reader = reader.take(MAX_HEAD);
        let mut lines = Vec::with_capacity(16);
        // Empty lines before the first are what a careless peer sent too late (RFC 9112, section 2.2).
        while read_line(&mut reader, bytes)?.is_empty() {
            bytes.clear();
        }
        lines.push(bytes.len());
        while !read_line(&mut reader, bytes)?.is_empty() {
            lines.push(bytes.len());
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Head::new(text.to_owned(), lines),
            Err(_) => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                // What was replaced has moved the rest.
                lines.clear();
                lines.extend(text.match_indices('\n').map(|(end, _)| end + 1));
                Head::new(text, lines)
            }
        }
    }

    fn new(text: String, lines: Vec<usize>) -> io::Result<Self> {
        let first = text.lines().next().unwrap_or_default();
        let status = first
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.split(' ').nth(1)?.trim_end().parse().ok())
            .ok_or_else(|| malformed(format!("{first:?} is no status line of HTTP/1.1")))?;
        Ok(Head {
            status,
            text,
            lines,
        })
    }

    /// The first header of that name, in any case, without the white space around it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All headers of that name.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter_map(move |start| {
            let (key, rest) = self.text[*start..].split_at_checked(name.len())?;
            let value = rest.strip_prefix(':')?;
            let end = value.find('\n').unwrap_or(value.len());
            same(key, name).then(|| value[..end].trim())
        })
    }

    /// Whether a header that is a list names `token`, in any case.
    pub fn names(&self, header: &str, token: &str) -> bool {
        self.all(header)
            .flat_map(|list| list.split(','))
            .any(|item| same(item.trim(), token))
    }

    /// Whether the peer means to keep the connection (RFC 9112, section 9.3).
    pub fn keeps(&self) -> bool {
        if self.text.starts_with("HTTP/1.0") {
            self.names("Connection", "keep-alive")
        } else {
            !self.names("Connection", "close")
        }
    }

    #[cfg(test)]
    pub fn with(name: &str, value: &str) -> Self {
        let text = format!("HTTP/1.1 200 OK\r\n{name}: {value}\r\n\r\n");
        Head {
            status: 200,
            text,
            lines: vec![17],
        }
    }
}

/// Whether two names are the same in any case; see `wire` for why this is not std's.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let mut pairs = one.bytes().zip(other.bytes());
    one.len() == other.len() && pairs.all(|(a, b)| a.eq_ignore_ascii_case(&b))
}

/// Appends one line to `bytes`; returns it without its end.
pub(crate) fn read_line<'a>(
    reader: &mut io::Take<impl BufRead>,
    bytes: &'a mut Vec<u8>,
) -> io::Result<&'a [u8]> {
    let start = bytes.len();
    reader.read_until(b'\n', bytes)?;
    match &bytes[start..] {
        [line @ .., b'\n'] => Ok(line.trim_ascii_end()),
        _ if reader.limit() == 0 => Err(malformed(format!("a head of more than {MAX_HEAD} bytes"))),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Reads the lines after the last chunk, which nobody here needs.
pub(crate) fn skip_trailers(reader: &mut impl BufRead) -> io::Result<()> {
    let mut lines = reader.take(MAX_HEAD);
    let mut bytes = Vec::new();
    while !read_line(&mut lines, &mut bytes)?.is_empty() {
        bytes.clear();
    }
    Ok(())
}

pub(crate) fn malformed(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Head> {
        Head::read(&mut &bytes[..], &mut Vec::new())
    }

    #[test]
    fn header_names_are_found_in_any_case_and_whole() {
        let head = read(b"HTTP/1.1 200 OK\r\nX-Ab: 1\r\nx-A:2\r\n\r\n").unwrap();
        assert_eq!(head.get("x-ab"), Some("1"));
        assert_eq!(head.get("X-a"), Some("2"));
        assert_eq!(head.get("X"), None);
    }

    #[test]
    fn the_status_line_is_no_header() {
        let head = read(b"HTTP/1.1 200 X: y\r\n\r\n").unwrap();
        assert_eq!((head.status, head.get("HTTP/1.1 200 X")), (200, None));
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced_and_the_others_stay() {
        let head = read(b"HTTP/1.1 200 OK\nX: a\xff\xe4b\nY: \xc3\xa4\n\n").unwrap();
        assert_eq!(head.get("X"), Some("a\u{fffd}\u{fffd}b"));
        assert_eq!(head.get("Y"), Some("ä"));
    }

    #[test]
    fn a_name_that_ends_inside_a_character_does_not_panic() {
        let head = read("HTTP/1.1 200 OK\r\nää: 1\r\n\r\n".as_bytes()).unwrap();
        assert_eq!(head.get("abc"), None);
    }

    #[test]
    fn a_list_names_its_items_in_any_case_and_over_several_lines() {
        let head = read(b"HTTP/1.1 200 OK\r\nA: gzip , Chunked\r\na: x\r\n\r\n").unwrap();
        assert!(head.names("A", "chunked"));
        assert!(head.names("A", "X"));
        assert!(!head.names("A", "chunk"));
    }

    #[test]
    fn a_head_is_cut_or_no_head_at_every_byte_before_its_end() {
        let whole = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "{end}");
        }
    }
}
