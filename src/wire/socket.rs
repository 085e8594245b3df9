//! A connection with a read buffer, and a socket with a deadline.

use std::{
    io::{self, BufRead, ErrorKind, IoSlice, Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

/// The size of the read buffer, in bytes: enough to read a head and a short event at once.
const AHEAD: usize = 8 * 1024;

/// A connection with its own read buffer instead of a `BufReader`. With a `BufReader`, a compiler that optimizes for size no longer
/// inlines what serde_json does for every byte of a string, which doubles the time for a long response.
#[derive(Debug)]
pub(crate) struct Socket<S> {
    stream: S,
    ahead: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<S: Read + Write> Socket<S> {
    pub fn new(stream: S) -> Self {
        Socket { stream, ahead: vec![0; AHEAD].into(), start: 0, end: 0 }
    }

    pub fn stream(&self) -> &S {
        &self.stream
    }

    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The bytes that were read from the socket but not consumed yet.
    pub fn leftovers(&self) -> &[u8] {
        &self.ahead[self.start..self.end]
    }

    /// Writes the head and the body without copying them into one buffer, because the body may be long.
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

    /// Waits for the first bytes of a response. Returns `false` if the peer has closed the connection instead.
    pub fn wait(&mut self) -> io::Result<bool> {
        loop {
            match self.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                filled => return filled.map(|bytes| !bytes.is_empty()),
            }
        }
    }
}

impl<S: Read> BufRead for Socket<S> {
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

impl<S: Read> Read for Socket<S> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end && room.len() >= AHEAD {
            // Bypass the buffer.
            return self.stream.read(room);
        }
        let ahead = self.fill_buf()?;
        let length = ahead.len().min(room.len());
        room[..length].copy_from_slice(&ahead[..length]);
        self.consume(length);
        Ok(length)
    }
}

/// A socket on which every wait ends at the deadline, if there is one.
#[derive(Debug)]
pub(crate) struct Timed {
    stream: TcpStream,
    deadline: Option<Instant>,
}

impl Timed {
    pub fn new(stream: TcpStream, deadline: Option<Instant>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Timed { stream, deadline })
    }

    /// Replaces or removes the deadline.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        if self.deadline.is_some() && deadline.is_none() {
            self.stream.set_read_timeout(None)?;
            self.stream.set_write_timeout(None)?;
        }
        self.deadline = deadline;
        Ok(())
    }

    /// Whether an idle connection is still open and the peer has sent no unexpected data.
    pub fn is_quiet(&self) -> bool {
        let peeked = self.stream.set_nonblocking(true).and_then(|()| {
            let peeked = self.stream.peek(&mut [0]);
            self.stream.set_nonblocking(false)?;
            peeked
        });
        matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Whether a peer has closed the connection without reading all data. If data arrives after the close, the peer's kernel
    /// sends a reset (RFC 9293, section 3.6.1).
    ///
    /// The reset arrives a moment after the close, so this waits up to 10 ms for it.
    pub fn was_reset(&self) -> bool {
        for _ in 0..10 {
            if !matches!(self.stream.take_error(), Ok(None)) {
                return true;
            }
            thread::sleep(Duration::from_millis(1));
        }
        false
    }

    /// The maximum duration of the next wait.
    fn left(&self) -> io::Result<Option<Duration>> {
        self.deadline.map(left).transpose()
    }

    /// Converts `WouldBlock`, the error of a socket whose timeout has passed, to `TimedOut`.
    fn timed<T>(&self, done: io::Result<T>) -> io::Result<T> {
        done.map_err(|error| match error.kind() {
            ErrorKind::WouldBlock if self.deadline.is_some() => ErrorKind::TimedOut.into(),
            _ => error,
        })
    }
}

impl Read for Timed {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if let Some(left) = self.left()? {
            self.stream.set_read_timeout(Some(left))?;
        }
        let read = self.stream.read(room);
        self.timed(read)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(left) = self.left()? {
            self.stream.set_write_timeout(Some(left))?;
        }
        let written = match parts {
            // A plain write is less work for the kernel than a vectored one.
            [part] => self.stream.write(part),
            _ => self.stream.write_vectored(parts),
        };
        self.timed(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The time until `deadline`, or an error if it has passed. It is never zero: sockets do not accept a timeout of zero.
pub(crate) fn left(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

/// Whether the error means that the peer has closed the connection.
pub(crate) fn is_close(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}
