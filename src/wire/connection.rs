//! A persistent connection to the Runtime API: HTTP/1.1 over unencrypted TCP.
//!
//! http_req's own client opens a connection and starts a thread for every request, with a timeout that would end a frozen function.
//! Its readers take a lost connection for the end of a body and have no limits. Therefore this module reads responses itself
//! and turns every fault into an error.

use std::{
    io::{self, ErrorKind},
    mem::take,
    time::{Duration, Instant},
};

use crate::wire::{
    address::Address,
    body::Framing,
    head::{Head, MAX_HEAD},
    request::Request,
    socket::{Socket, Timed, is_close},
};

/// How long a connection can be idle before it is checked. The check takes up to three system calls, which matter only to
/// functions that respond within this time.
const REST: Duration = Duration::from_millis(1);

/// The time limit for reading the body of a response that is not an invocation, and the maximum length of that body in bytes. Such
/// a body only explains a refusal.
const PATIENCE: Duration = Duration::from_secs(1);
const MAX_EXPLANATION: u64 = 64 * 1024;

/// The maximum number of bytes kept for the next body: enough for Lambda's longest events and responses. A handler's response may
/// have reserved more.
const MAX_KEPT: usize = 8 * 1024 * 1024;

/// A response that has been read.
#[derive(Debug)]
pub(crate) struct Reply {
    pub head: Head,
    pub body: Vec<u8>,
}

impl Reply {
    /// Returns the memory of a response that is no longer needed, for the next request.
    pub fn into_memory(self) -> Request {
        let mut body = self.body;
        body.clear();
        if body.capacity() > MAX_KEPT {
            body = Vec::new();
        }
        Request { head: self.head.into_memory(), body }
    }
}

/// The outcome of an exchange that did not fail on this side.
enum End {
    Reply(Reply),
    /// The peer closed the connection without a response. `unread` tells whether it has not read the request.
    Closed {
        unread: bool,
    },
}

/// A connection that is opened on demand and kept for as long as the peer keeps it.
#[derive(Debug)]
pub(crate) struct Connection {
    address: Address,
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    stream: Socket<Timed>,
    since: Instant,
}

impl Connection {
    pub fn new(address: &Address) -> Self {
        Connection { address: address.clone(), kept: None }
    }

    /// Sends a request and reads the response, without a time limit.
    pub fn exchange(&mut self, mut request: Request) -> io::Result<Reply> {
        let request = &mut request;
        // A request that can be repeated does not need a checked connection.
        let kept = self.take_kept().filter(|Kept { stream, since }| {
            request.is_idempotent() || since.elapsed() < REST || stream.stream().is_quiet()
        });
        let end = match kept {
            None => return self.once(request),
            Some(Kept { stream, .. }) => self.attempt(stream, request)?,
        };
        match end {
            End::Reply(reply) => Ok(reply),
            // A peer may close a persistent connection at any time (RFC 9112, section 9.3.1). The request is sent again on a new
            // one if the peer has not read it or if it is idempotent.
            End::Closed { unread } if unread || request.is_idempotent() => self.once(request),
            End::Closed { .. } => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Performs an exchange over a new connection.
    fn once(&mut self, request: &mut Request) -> io::Result<Reply> {
        let stream = self.open()?;
        match self.attempt(stream, request)? {
            End::Reply(reply) => Ok(reply),
            End::Closed { .. } => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Begins a request whose body is written piece by piece.
    pub fn begin(&mut self) -> io::Result<Upload<'_>> {
        // Such a request cannot be repeated, so the connection is always checked.
        let kept = self.take_kept().filter(|kept| kept.stream.stream().is_quiet());
        let stream = match kept {
            Some(Kept { stream, .. }) => stream,
            None => self.open()?,
        };
        Ok(Upload { connection: self, stream, closed: false })
    }

    /// Takes the kept connection, unless the peer has sent unexpected data.
    fn take_kept(&mut self) -> Option<Kept> {
        self.kept.take().filter(|kept| kept.stream.leftovers().is_empty())
    }

    fn open(&self) -> io::Result<Socket<Timed>> {
        Ok(Socket::new(Timed::new(self.address.connect()?, None)?))
    }

    fn attempt(&mut self, mut stream: Socket<Timed>, request: &mut Request) -> io::Result<End> {
        let closed = match stream.send(&request.head.text, &request.body) {
            Ok(()) => false,
            // A peer that refuses a body may respond and close the connection before it has read the body. The response
            // gives the reason.
            Err(error) if is_close(&error) => true,
            Err(error) => return Err(error),
        };
        self.read_reply(stream, closed, request.is_idempotent(), request)
    }

    /// Reads the response into the memory of the request. `asked` tells whether the response body is the purpose of the request.
    fn read_reply(
        &mut self, mut stream: Socket<Timed>, closed: bool, asked: bool, request: &mut Request,
    ) -> io::Result<End> {
        match stream.wait() {
            Ok(true) => {}
            Ok(false) => {
                let unread = closed || stream.stream().was_reset();
                return Ok(End::Closed { unread });
            }
            Err(error) if is_close(&error) => return Ok(End::Closed { unread: true }),
            Err(error) => return Err(error),
        }
        let head = Head::read_into(take(&mut request.head), &mut stream, MAX_HEAD)?;
        let framing = Framing::of(&head);
        let here = match framing {
            Ok(Framing::Length(length)) => length <= stream.leftovers().len() as u64,
            _ => false,
        };
        // There is no time limit for an event: it may be long, and the environment may be frozen while it arrives.
        let (framing, body, whole) = if here || asked && head.status == 200 {
            let framing = framing?;
            let mut body = take(&mut request.body);
            body.clear();
            framing.read_into(&mut body, &mut stream, u64::MAX)?;
            (framing, body, true)
        } else {
            let until = Instant::now() + PATIENCE;
            stream.stream_mut().set_deadline(Some(until))?;
            let framing = framing.unwrap_or(Framing::Close);
            let (body, whole) = framing.read_some(&mut stream, MAX_EXPLANATION);
            stream.stream_mut().set_deadline(None)?;
            (framing, body, whole)
        };
        let keep = whole && !closed && framing.keeps(&head);
        if keep {
            let since = Instant::now();
            self.kept = Some(Kept { stream, since });
        }
        Ok(End::Reply(Reply { head, body }))
    }
}

/// A request in progress. Dropping it before [`finish`](Self::finish) closes the connection, so that the peer sees that the
/// request is incomplete.
#[derive(Debug)]
pub(crate) struct Upload<'a> {
    connection: &'a mut Connection,
    stream: Socket<Timed>,
    closed: bool,
}

impl Upload<'_> {
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = self.stream.send(bytes, &[]);
        self.closed |= sent.is_err();
        sent
    }

    /// Reads the response, which may have arrived before the complete body was sent.
    pub fn finish(self) -> io::Result<Reply> {
        match self.connection.read_reply(self.stream, self.closed, false, &mut Request::default())? {
            End::Reply(reply) => Ok(reply),
            End::Closed { .. } => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}
