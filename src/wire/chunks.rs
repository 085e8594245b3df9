//! The chunked transfer coding of a request body (RFC 9112, section 7.1).

use std::io::{self, Write};

/// The maximum length of a chunk, in bytes; shorter writes are collected.
const MAX_CHUNK: usize = 64 * 1024;

/// A placeholder for the line with the size of a chunk: eight hexadecimal digits and a line break.
const SIZE_LINE: &[u8] = b"00000000\r\n";

/// Writes a head, chunks and trailers in as few pieces as possible: each is sent with one system call.
#[derive(Debug)]
pub(crate) struct Chunks<S> {
    send: S,
    /// The unsent bytes: the head, if it is not sent yet, then the current chunk.
    pending: Vec<u8>,
    /// The position of the current chunk's size in `pending`.
    chunk: usize,
}

impl<S: FnMut(&mut Vec<u8>) -> io::Result<()>> Chunks<S> {
    /// Creates a writer. `send` must send all bytes of the vector and empty it.
    pub fn new(head: Vec<u8>, send: S) -> Self {
        let mut chunks = Chunks { send, chunk: head.len(), pending: head };
        chunks.pending.extend_from_slice(SIZE_LINE);
        chunks
    }

    fn size(&self) -> usize {
        self.pending.len() - self.chunk - SIZE_LINE.len()
    }

    /// Completes the current chunk. An empty one is removed, because it would mark the end of the body.
    fn seal(&mut self) {
        if self.size() == 0 {
            self.pending.truncate(self.chunk);
            return;
        }
        let size = format!("{:08x}", self.size());
        self.pending[self.chunk..][..size.len()].copy_from_slice(size.as_bytes());
        self.pending.extend_from_slice(b"\r\n");
    }

    /// Sends the last chunk with the trailers, each of which ends with `\r\n`.
    pub fn end(mut self, trailers: &[u8]) -> io::Result<()> {
        self.seal();
        for part in [b"0\r\n", trailers, b"\r\n"] {
            self.pending.extend_from_slice(part);
        }
        (self.send)(&mut self.pending)
    }
}

impl<S: FnMut(&mut Vec<u8>) -> io::Result<()>> Write for Chunks<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.size() == MAX_CHUNK {
            self.flush()?;
        }
        let bytes = &bytes[..bytes.len().min(MAX_CHUNK - self.size())];
        self.pending.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.seal();
        let sent = match self.pending.is_empty() {
            true => Ok(()),
            false => (self.send)(&mut self.pending),
        };
        // Unsent bytes are lost with the connection.
        self.pending.clear();
        self.pending.extend_from_slice(SIZE_LINE);
        self.chunk = 0;
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{
        body::Framing,
        head::{Head, MAX_HEAD},
    };

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// Returns the body that a peer reads and the number of pieces in which it was sent.
    fn round_trip(act: impl FnOnce(&mut dyn Write)) -> (Vec<u8>, usize) {
        let (mut wire, mut pieces) = (Vec::new(), 0);
        let mut chunks = Chunks::new(HEAD.into(), |bytes: &mut Vec<u8>| {
            pieces += 1;
            wire.append(bytes);
            Ok(())
        });
        act(&mut chunks);
        chunks.end(b"A: b\r\n").unwrap();
        let mut reader = wire.as_slice();
        let head = Head::read(&mut reader, MAX_HEAD).unwrap();
        let framing = Framing::of(&head).unwrap();
        let body = framing.read(&mut reader, u64::MAX).unwrap();
        assert!(framing.keeps(&head) && reader.is_empty());
        (body, pieces)
    }

    #[test]
    fn a_short_body_is_one_piece_with_its_head_and_end() {
        let (body, pieces) = round_trip(|out| write!(out, "{}, {}", 1, 2).unwrap());
        assert_eq!((body.as_slice(), pieces), (&b"1, 2"[..], 1));
    }

    #[test]
    fn bodies_of_any_length_in_pieces_of_any_size_arrive_complete() {
        for length in [0, 1, 15, 16, 65_535, 65_536, 65_537, 200_000] {
            for piece in [1, 7, 4096, 65_536, 65_537, 1_000_000] {
                if length / piece > 30_000 {
                    continue;
                }
                let whole: Vec<u8> = (0..length).map(|n: usize| n as u8).collect();
                let (body, _) = round_trip(|out| {
                    for part in whole.chunks(piece) {
                        out.write_all(part).unwrap();
                        out.write_all(b"").unwrap();
                        if piece > 4000 {
                            out.flush().unwrap();
                            out.flush().unwrap();
                        }
                    }
                });
                assert!(body == whole, "{length} bytes in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_flush_sends_the_head_even_without_a_body() {
        let (body, pieces) = round_trip(|out| out.flush().unwrap());
        assert_eq!((body.as_slice(), pieces), (&b""[..], 2));
    }

    #[test]
    fn after_an_error_nothing_is_sent_twice() {
        let mut sent = 0;
        let mut chunks = Chunks::new(HEAD.into(), |_: &mut Vec<u8>| {
            sent += 1;
            Err(io::ErrorKind::BrokenPipe.into())
        });
        chunks.write_all(b"x").unwrap();
        assert!(chunks.flush().is_err());
        assert!(chunks.flush().is_ok());
        drop(chunks);
        assert_eq!(sent, 1);
    }
}
