//! A socket with what was read ahead of it.
//!
//! A buffer of our own in place of `BufReader`: with the latter, the optimizer for size no longer inlines what serde_json
//! does for every byte of a text, which doubles the time that a long answer takes.

use std::{
    io::{self, BufRead, ErrorKind, IoSlice, Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

/// Bytes that are read ahead: a head and a short event come in one piece.
const AHEAD: usize = 8 * 1024;

#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    ahead: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Socket {
    pub fn new(stream: TcpStream) -> Self {
        Socket {
            stream,
            ahead: vec![0; AHEAD].into(),
            start: 0,
            end: 0,
        }
    }

    /// Whether a connection that nothing is expected of has nothing to say so far: neither its end nor what no request
    /// asked for.
    pub fn is_quiet(&self) -> bool {
        let peeked = self.stream.set_nonblocking(true).and_then(|()| {
            let peeked = self.stream.peek(&mut [0]);
            self.stream.set_nonblocking(false)?;
            peeked
        });
        matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Whether a peer that has closed the connection did so without reading all that was sent: the kernel of a peer that
    /// gets more after its close says so with a reset (RFC 9293, section 3.6.1).
    ///
    /// The reset comes a moment after the close, and is waited for: nothing else is left to do with this connection.
    pub fn was_reset(&self) -> bool {
        for _ in 0..10 {
            if !matches!(self.stream.take_error(), Ok(None)) {
                return true;
            }
            thread::sleep(Duration::from_millis(1));
        }
        false
    }

    /// Whether something was read that nobody has taken.
    pub fn has_leftovers(&self) -> bool {
        self.start < self.end
    }

    /// Writes head and body without joining them first: the body may be long.
    pub fn send(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        if body.is_empty() {
            return self.stream.write_all(head);
        }
        let mut parts = &mut [IoSlice::new(head), IoSlice::new(body)][..];
        while !parts.is_empty() {
            match self.stream.write_vectored(parts) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut parts, written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl BufRead for Socket {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            self.end = self.stream.read(&mut self.ahead)?;
        }
        Ok(&self.ahead[self.start..self.end])
    }

    fn consume(&mut self, bytes: usize) {
        self.start = self.end.min(self.start + bytes);
    }
}

impl Read for Socket {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end && room.len() >= AHEAD {
            // Straight to where it belongs.
            return self.stream.read(room);
        }
        let ahead = self.fill_buf()?;
        let length = ahead.len().min(room.len());
        room[..length].copy_from_slice(&ahead[..length]);
        self.consume(length);
        Ok(length)
    }
}
