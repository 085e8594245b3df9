//! One connection to the Runtime API that stays open: HTTP/1.1 over plain TCP.
//!
//! http_req's own client opens a connection and a thread for every request, with a timeout that would end a function that
//! is frozen; its readers take a lost connection for the end of a body and have no limits. So answers are read here, and
//! every way in which that can go wrong is an error.

use std::{
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

use crate::wire::{
    address::Address,
    body::Framing,
    head::{Head, MAX_HEAD},
    request::Request,
    socket::{Socket, Timed, is_close},
};

/// How long a connection may rest before it is looked at: a system call or three, for a function that takes its time.
const REST: Duration = Duration::from_millis(1);

/// How long the body of an answer other than an invocation is waited for, and how many bytes of it are read: it explains
/// a refusal, and nothing hangs on it.
const PATIENCE: Duration = Duration::from_secs(1);
const MAX_EXPLANATION: u64 = 64 * 1024;

/// What came back, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub head: Head,
    pub body: Vec<u8>,
}

/// How an exchange ends, where nothing fails on this side.
enum End {
    Reply(Reply),
    /// The peer closed the connection without a word, and perhaps without having read the request.
    Closed {
        unread: bool,
    },
}

/// A connection that is opened when it is needed and kept for as long as the peer keeps it.
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
        Connection {
            address: address.clone(),
            kept: None,
        }
    }

    /// Sends a request and reads what comes back, however long that takes.
    pub fn exchange(&mut self, request: &Request) -> io::Result<Reply> {
        // What may be repeated need not be looked at.
        let kept = self.take_kept().filter(|Kept { stream, since }| {
            request.is_idempotent() || since.elapsed() < REST || stream.stream().is_quiet()
        });
        let end = match kept {
            None => return self.once(request),
            Some(Kept { stream, .. }) => self.attempt(stream, request)?,
        };
        match end {
            End::Reply(reply) => Ok(reply),
            // A peer may close a kept connection at any time (RFC 9112, section 9.3.1): a new one has to do. What it has
            // read may have been taken.
            End::Closed { unread } if unread || request.is_idempotent() => self.once(request),
            End::Closed { .. } => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// An exchange over a new connection.
    fn once(&mut self, request: &Request) -> io::Result<Reply> {
        let stream = self.open()?;
        match self.attempt(stream, request)? {
            End::Reply(reply) => Ok(reply),
            End::Closed { .. } => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// A connection for a body that is written piece by piece.
    pub fn begin(&mut self) -> io::Result<Upload<'_>> {
        // A body that is written piece by piece cannot be sent again.
        let kept = self
            .take_kept()
            .filter(|kept| kept.stream.stream().is_quiet());
        let stream = match kept {
            Some(Kept { stream, .. }) => stream,
            None => self.open()?,
        };
        Ok(Upload {
            connection: self,
            stream,
            closed: false,
        })
    }

    /// The kept connection, unless it has said what no request asked for.
    fn take_kept(&mut self) -> Option<Kept> {
        self.kept
            .take()
            .filter(|kept| kept.stream.leftovers().is_empty())
    }

    fn open(&self) -> io::Result<Socket<Timed>> {
        Ok(Socket::new(Timed::new(self.address.connect()?, None)?))
    }

    fn attempt(&mut self, mut stream: Socket<Timed>, request: &Request) -> io::Result<End> {
        let closed = match stream.send(&request.head, &request.body) {
            Ok(()) => false,
            // A peer that refuses a body may answer and close before it has read it: the answer says why.
            Err(error) if is_close(&error) => true,
            Err(error) => return Err(error),
        };
        self.read_reply(stream, closed, request.is_idempotent())
    }

    /// `asked` where the body of the answer is what the request is for.
    fn read_reply(
        &mut self,
        mut stream: Socket<Timed>,
        closed: bool,
        asked: bool,
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
        let head = Head::read(&mut stream, MAX_HEAD)?;
        let framing = Framing::of(&head);
        let here = match framing {
            Ok(Framing::Length(length)) => length <= stream.leftovers().len() as u64,
            _ => false,
        };
        // An event may be long, and the environment may be frozen while it comes.
        let (framing, body, whole) = if here || asked && head.status == 200 {
            let framing = framing?;
            (framing, framing.read(&mut stream, u64::MAX)?, true)
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

/// A request that is under way. Dropped before [`finish`](Self::finish), it closes the connection: the peer sees that it
/// was cut.
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

    /// Reads the answer, which may have come before all was sent.
    pub fn finish(self) -> io::Result<Reply> {
        match self
            .connection
            .read_reply(self.stream, self.closed, false)?
        {
            End::Reply(reply) => Ok(reply),
            End::Closed { .. } => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}
