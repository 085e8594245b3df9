//! The body of an answer, read to its end: nothing that is cut is ever taken for whole.

use std::io::{self, BufRead, ErrorKind, Read};

use crate::wire::head::{Head, malformed, read_line, skip_trailers};

/// Bytes of a body for which room is made before they have come: Lambda's longest event.
const MAX_RESERVE: u64 = 6 * 1024 * 1024 + 100;

/// Bytes of the line before a chunk.
const MAX_SIZE_LINE: u64 = 4096;

/// The body that belongs to a head, and whether the connection can be used again after it (RFC 9112, section 6.3).
pub(crate) fn read(head: &Head, reader: &mut impl BufRead) -> io::Result<(Vec<u8>, bool)> {
    let mut body = Vec::new();
    let mut keep = head.keeps();
    if head.names("Transfer-Encoding", "chunked") {
        read_chunks(reader, &mut body)?;
    } else if head.status == 204 || head.status == 304 {
        // No body, whatever the headers say.
    } else if let Some(length) = content_length(head)? {
        body = read_exactly(reader, length)?;
    } else {
        keep = false;
        reader.read_to_end(&mut body)?;
    }
    Ok((body, keep))
}

fn content_length(head: &Head) -> io::Result<Option<u64>> {
    let mut length = None;
    for text in head.all("Content-Length") {
        match text.parse() {
            Ok(number) if length.is_none_or(|length| length == number) => length = Some(number),
            _ => return Err(malformed(format!("Content-Length is {text:?}"))),
        }
    }
    Ok(length)
}

fn read_exactly(reader: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    // Memory that is zero already costs nothing until it is written: straight from the socket.
    let mut body = vec![0; length.min(MAX_RESERVE) as usize];
    fill(reader, &mut body)?;
    append(reader, length - body.len() as u64, &mut body)?;
    Ok(body)
}

fn fill(reader: &mut impl BufRead, room: &mut [u8]) -> io::Result<()> {
    reader.read_exact(room).map_err(|error| match error.kind() {
        // std's words for it speak of a buffer.
        ErrorKind::UnexpectedEof => ErrorKind::UnexpectedEof.into(),
        _ => error,
    })
}

fn append(reader: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    match reader.take(length).read_to_end(body)? as u64 {
        read if read == length => Ok(()),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// The chunked coding with its trailers (RFC 9112, section 7.1).
fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let text = read_line(&mut reader.take(MAX_SIZE_LINE), &mut line)?;
        let digits = text.split(|byte| *byte == b';').next().unwrap_or_default();
        let digits = String::from_utf8_lossy(digits.trim_ascii());
        let size = u64::from_str_radix(&digits, 16)
            .ok()
            .filter(|_| !digits.starts_with('+'))
            .ok_or_else(|| malformed(format!("{digits:?} is no size of a chunk")))?;
        if size == 0 {
            return skip_trailers(reader);
        }
        append(reader, size, body)?;
        let mut end = [0; 2];
        fill(reader, &mut end)?;
        if &end != b"\r\n" {
            return Err(malformed("a chunk is longer than it says".into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> io::Result<(Vec<u8>, bool)> {
        let mut reader = bytes;
        let head = Head::read(&mut reader, &mut Vec::new())?;
        read(&head, &mut reader)
    }

    #[test]
    fn lengths_that_contradict_each_other_are_an_error() {
        let two = |a, b| {
            format!("HTTP/1.1 200 OK\r\nContent-Length: {a}\r\ncontent-length: {b}\r\n\r\nabc")
        };
        assert!(read_all(two("2", "3").as_bytes()).is_err());
        assert_eq!(read_all(two("3", "3").as_bytes()).unwrap().0, b"abc");
    }

    #[test]
    fn a_body_is_an_error_when_it_is_cut_at_any_byte() {
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
    fn a_length_beyond_all_memory_takes_none() {
        let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\nabc", u64::MAX);
        let error = read_all(bytes.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn an_old_peer_keeps_the_connection_only_where_it_says_so() {
        let old = |header| format!("HTTP/1.0 200 OK\r\n{header}Content-Length: 0\r\n\r\n");
        assert!(!read_all(old("").as_bytes()).unwrap().1);
        assert!(
            read_all(old("Connection: Keep-Alive\r\n").as_bytes())
                .unwrap()
                .1
        );
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        let (body, keep) = read_all(b"HTTP/1.0 200 OK\r\n\r\nabc").unwrap();
        assert_eq!((body.as_slice(), keep), (&b"abc"[..], false));
    }
}
