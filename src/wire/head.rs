//! The head of a response: its status and its headers, stored as received.

use std::io::{self, BufRead, ErrorKind};

/// The maximum length of a head or of trailers, in bytes. Lambda's own heads are a few hundred bytes long.
pub(crate) const MAX_HEAD: u64 = 1024 * 1024;

/// A status line and headers, in a single allocation that is searched on access: there are few headers and fewer lookups.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub status: u16,
    text: String,
    /// The positions in `text` at which the header lines and the empty line begin.
    lines: Vec<usize>,
}

/// The memory of a head that is no longer needed. Another head reuses it, because concurrent workers wait for each other in
/// the allocator.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub text: Vec<u8>,
    lines: Vec<usize>,
}

impl Head {
    /// Reads up to the empty line, but no more than `limit` bytes, and skips the heads of interim responses (1xx; RFC 9110,
    /// section 15.2). Invalid UTF-8 is replaced; a line that is not a header is ignored.
    pub fn read(reader: &mut impl BufRead, limit: u64) -> io::Result<Self> {
        Self::read_into(Memory::default(), reader, limit)
    }

    /// Like [`read`](Self::read), but in memory that an earlier head used.
    pub fn read_into(mut memory: Memory, reader: &mut impl BufRead, limit: u64) -> io::Result<Self> {
        let mut lines = Lines::new("the head", reader, limit);
        loop {
            let head = Head::read_one(memory, &mut lines)?;
            // After 101, the connection uses a different protocol.
            if !(100..200).contains(&head.status) || head.status == 101 {
                return Ok(head);
            }
            memory = head.into_memory();
        }
    }

    fn read_one(memory: Memory, reader: &mut Lines<impl BufRead>) -> io::Result<Self> {
        let Memory { text: mut bytes, mut lines } = memory;
        bytes.clear();
        lines.clear();
        lines.reserve(16);
        // Some peers send extra line breaks after the previous message (RFC 9112, section 2.2).
        while reader.append(&mut bytes)?.is_empty() {
            bytes.clear();
        }
        let status = status(&bytes)?;
        loop {
            let start = bytes.len();
            let line = reader.append(&mut bytes)?;
            let (empty, folded) = (line.is_empty(), matches!(line, [b' ' | b'\t', ..]));
            if folded && !lines.is_empty() {
                // This line continues the previous header (RFC 9112, section 5.2).
                let end = bytes[..start].iter_mut().rev();
                end.take_while(|byte| b"\r\n".contains(byte)).for_each(|byte| *byte = b' ');
            } else {
                lines.push(start);
            }
            if empty {
                break;
            }
        }
        let text = String::from_utf8(bytes).unwrap_or_else(|error| {
            let bytes = error.as_bytes();
            let mut text = String::with_capacity(bytes.len());
            let mut start = 0;
            for line in &mut lines {
                text += &String::from_utf8_lossy(&bytes[start..*line]);
                start = *line;
                // Replacing invalid bytes moves the positions of the following lines.
                *line = text.len();
            }
            text
        });
        Ok(Head { status, text, lines })
    }

    /// Returns the value of the first header with this name, ignoring case, without the whitespace around the value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Returns the values of all headers with this name.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let bytes = self.text.as_bytes();
        self.lines.windows(2).filter_map(move |line| {
            let end = line[0] + name.len();
            let value = match bytes.get(end..line[1])? {
                [b':', ..] => end + 1,
                // A space before the colon is not allowed; ignore it.
                rest @ [b' ' | b'\t', ..] => match rest.trim_ascii_start() {
                    [b':', value @ ..] => line[1] - value.len(),
                    _ => return None,
                },
                _ => return None,
            };
            if !same(&bytes[line[0]..end], name) {
                return None;
            }
            Some(self.text[value..line[1]].trim_ascii())
        })
    }

    /// Returns all headers as received, without invalid lines.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.windows(2).filter_map(|line| {
            let (name, value) = self.text[line[0]..line[1]].split_once(':')?;
            let name = name.trim_ascii_end();
            is_token(name).then(|| (name, value.trim_ascii()))
        })
    }

    /// Whether a header that is a list contains `token`, ignoring case.
    pub fn names(&self, header: &str, token: &str) -> bool {
        self.list(header).any(|item| same(item, token))
    }

    /// Returns the items of a header that is a list.
    pub fn list<'a>(&'a self, header: &str) -> impl Iterator<Item = &'a str> {
        self.all(header).flat_map(|list| list.split(',')).map(str::trim_ascii)
    }

    /// Whether the peer keeps the connection open (RFC 9112, section 9.3).
    pub fn keeps(&self) -> bool {
        match self.is_old() {
            true => self.names("Connection", "keep-alive"),
            false => !self.names("Connection", "close"),
        }
    }

    /// Whether the peer uses HTTP/1.0.
    pub fn is_old(&self) -> bool {
        self.text.starts_with("HTTP/1.0")
    }

    pub fn into_memory(self) -> Memory {
        Memory { text: self.text.into_bytes(), lines: self.lines }
    }

    #[cfg(test)]
    pub fn with(name: &str, value: &str) -> Self {
        let text = format!("HTTP/1.1 200 OK\r\n{name}: {value}\r\n\r\n");
        Head::read(&mut text.as_bytes(), MAX_HEAD).unwrap()
    }
}

/// Parses the status of a status line: three digits (RFC 9112, section 4).
fn status(line: &[u8]) -> io::Result<u16> {
    const VERSION: &[u8] = b"HTTP/1.";
    // Do not use `strip_prefix` here, because it calls `split_at`. serde_json calls `split_at` for every byte of a string, and
    // when optimizing for size, the compiler inlines it there only if nothing else in the loop calls it.
    let rest = match line.starts_with(VERSION) {
        true => &line[VERSION.len()..],
        false => &[],
    };
    let status = match rest {
        [b'0'..=b'9', b' ', a, b, c, b' ' | b'\r' | b'\n', ..] => number(&[*a, *b, *c], 10),
        _ => None,
    };
    status.filter(|status| *status >= 100).map(|status| status as u16).ok_or_else(|| {
        let line = String::from_utf8_lossy(line.trim_ascii_end());
        malformed(format!("{line:?} is not an HTTP/1.1 status line"))
    })
}

/// Parses a number that consists only of digits; std's parsers accept a sign as well.
pub(crate) fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let number = digits.iter().try_fold(0u64, |number, digit| {
        let digit = char::from(*digit).to_digit(radix)?;
        number.checked_mul(radix.into())?.checked_add(digit.into())
    });
    number.filter(|_| !digits.is_empty())
}

/// Whether two names are equal, ignoring case. std's `eq_ignore_ascii_case` does the same, but when optimizing for size, the
/// compiler does not inline its iteration.
pub(crate) fn same(one: impl AsRef<[u8]>, other: impl AsRef<[u8]>) -> bool {
    let (one, other) = (one.as_ref(), other.as_ref());
    let mut pairs = one.iter().zip(other);
    one.len() == other.len() && pairs.all(|(a, b)| a.eq_ignore_ascii_case(b))
}

/// Whether the text is a valid header name (RFC 9110, section 5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    let in_tokens = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(in_tokens)
}

/// A reader for the lines of a head or of trailers, with a limit on their total length.
pub(crate) struct Lines<R> {
    reader: io::Take<R>,
    what: &'static str,
    limit: u64,
}

impl<R: BufRead> Lines<R> {
    /// Creates a reader. `what` names the lines in the error message if they exceed `limit` bytes.
    pub fn new(what: &'static str, reader: R, limit: u64) -> Self {
        let reader = reader.take(limit);
        Lines { reader, what, limit }
    }

    /// Appends one line to `bytes`; returns it without its line break.
    pub fn append<'a>(&mut self, bytes: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        let start = bytes.len();
        self.reader.read_until(b'\n', bytes)?;
        match &bytes[start..] {
            [line @ .., b'\r', b'\n'] | [line @ .., b'\n'] => Ok(line),
            _ if self.reader.limit() == 0 => Err(too_long(self.what, self.limit)),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Reads and discards lines, up to and including the empty one.
    pub fn skip(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        while !self.append(&mut bytes)?.is_empty() {
            bytes.clear();
        }
        Ok(())
    }
}

/// An error about a part that exceeds its limit. No other error in this crate has this kind.
pub(crate) fn too_long(what: &str, limit: u64) -> io::Error {
    let message = format!("{what} is longer than {limit} bytes");
    io::Error::new(ErrorKind::FileTooLarge, message)
}

pub(crate) fn malformed(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Head> {
        Head::read(&mut &bytes[..], MAX_HEAD)
    }

    #[test]
    fn header_names_match_completely_and_in_any_case() {
        let head = read(b"HTTP/1.1 200 OK\r\nX-Ab: 1\r\nx-A:2\r\n\r\n").unwrap();
        assert_eq!(head.get("x-ab"), Some("1"));
        assert_eq!(head.get("X-a"), Some("2"));
        assert_eq!(head.get("X"), None);
    }

    #[test]
    fn the_status_line_is_not_a_header() {
        let head = read(b"HTTP/1.1 200 X: y\r\n\r\n").unwrap();
        assert_eq!((head.status, head.get("HTTP/1.1 200 X")), (200, None));
    }

    #[test]
    fn a_status_is_three_digits() {
        for line in ["HTTP/1.1 204", "HTTP/1.0 204 ", "HTTP/1.1 204 No Content"] {
            let head = read(format!("{line}\r\n\r\n").as_bytes());
            assert_eq!(head.unwrap().status, 204, "{line}");
        }
        for line in [
            "HTTP/1.1 +20 OK", "HTTP/1.1 -20 OK", "HTTP/1.1 -0 OK", "HTTP/1.1 0204 OK", "HTTP/1.1 020 OK",
            "HTTP/1.1 20 OK", "HTTP/1.1  200 OK", "HTTP/1.1 200OK", "HTTP/1. 200 OK", "HTTP/2 200", "ICY 200 OK",
        ] {
            let error = read(format!("{line}\r\n\r\n").as_bytes()).unwrap_err();
            assert!(error.to_string().contains("status line"), "{error}");
        }
    }

    #[test]
    fn invalid_utf_8_is_replaced_and_the_rest_is_kept() {
        let head = read(b"HTTP/1.1 200 \xff\nX: a\xff\xe4b\nY: \xc3\xa4\n\n").unwrap();
        assert_eq!(head.get("X"), Some("a\u{fffd}\u{fffd}b"));
        assert_eq!(head.get("Y"), Some("ä"));
    }

    #[test]
    fn a_name_that_ends_inside_a_character_does_not_panic() {
        let head = read("HTTP/1.1 200 OK\r\nää: 1\r\n\r\n".as_bytes()).unwrap();
        assert_eq!(head.get("abc"), None);
    }

    #[test]
    fn a_line_of_white_space_does_not_end_the_head() {
        let head = read(b"HTTP/1.1 200 OK\r\nA: b\r\n \t\r\nC: d\r\n\r\n").unwrap();
        assert_eq!((head.get("A"), head.get("C")), (Some("b"), Some("d")));
    }

    #[test]
    fn invalid_lines_are_ignored() {
        let head = read(b"HTTP/1.1 200 OK\r\n A: b\r\n: c\r\nd\r\nE F: g\r\nH: i\r\n\r\n");
        let head = head.unwrap();
        assert_eq!(head.iter().collect::<Vec<_>>(), [("H", "i")]);
        assert_eq!(head.get("A"), None);
    }

    #[test]
    fn a_header_may_continue_on_the_next_line() {
        let head = read(b"HTTP/1.1 200 OK\r\nA: b\r\n\t c\r\nD : e\r\n\r\n").unwrap();
        assert_eq!(head.get("A"), Some("b  \t c"));
        assert_eq!(head.get("D"), Some("e"));
        let all: Vec<_> = head.iter().collect();
        assert_eq!(all, [("A", "b  \t c"), ("D", "e")]);
    }

    #[test]
    fn a_list_contains_its_items_in_any_case_and_over_several_headers() {
        let head = read(b"HTTP/1.1 200 OK\r\nA: gzip , Chunked\r\na: x\r\n\r\n").unwrap();
        assert!(head.names("A", "chunked"));
        assert!(head.names("A", "X"));
        assert!(!head.names("A", "chunk"));
    }

    #[test]
    fn interim_responses_are_skipped_up_to_the_limit() {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
        let answer = "HTTP/1.1 200 OK\r\n\r\n";
        let bytes = [hints, hints, answer].concat();
        assert_eq!(read(bytes.as_bytes()).unwrap().status, 200);
        let endless = hints.repeat(100);
        let error = Head::read(&mut endless.as_bytes(), 1000).unwrap_err();
        assert_eq!(error.to_string(), "the head is longer than 1000 bytes");
    }

    #[test]
    fn a_head_that_is_cut_at_any_byte_is_an_error() {
        let whole = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "{end}");
        }
    }
}
