//! A connection on a separate thread, so that it does not block the executor.

use std::{
    io::{self, ErrorKind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    task::{Poll, Waker},
    thread,
};

use crate::{
    wire::connection::{Connection, Reply},
    wire::request::Request,
};

/// The number of pieces of a body that are queued for a slow peer before the writer blocks.
const PIECES: usize = 4;

/// A thread that performs one exchange at a time. Once this value is dropped, the thread ends after its last exchange.
#[derive(Debug)]
pub(crate) struct Background {
    jobs: Sender<(Job, Promise)>,
}

#[derive(Debug)]
enum Job {
    Exchange(Request),
    Upload(Receiver<Piece>),
}

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    End,
}

impl Background {
    pub fn start(mut connection: Connection) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<(Job, Promise)>();
        thread::Builder::new().name("runtime-api".into()).spawn(move || {
            for (job, promise) in queue {
                let reply = match job {
                    Job::Exchange(request) => connection.exchange(request),
                    Job::Upload(pieces) => upload(&mut connection, pieces),
                };
                promise.keep(reply);
            }
        })?;
        Ok(Background { jobs })
    }

    pub async fn exchange(&mut self, request: Request) -> io::Result<Reply> {
        self.start_job(Job::Exchange(request)).await
    }

    pub fn begin(&mut self) -> Upload {
        let (pieces, queue) = mpsc::sync_channel(PIECES);
        let slot = self.start_job(Job::Upload(queue)).slot;
        Upload { pieces, slot }
    }

    fn start_job(&mut self, job: Job) -> Pending {
        let promise = Promise::default();
        let slot = Arc::clone(&promise.slot);
        // If the thread has ended, the promise is dropped with the message, which resolves the promise with an error.
        let _ = self.jobs.send((job, promise));
        Pending { slot }
    }
}

/// Sends the pieces as they arrive. If the writer is dropped before the end, the request stays incomplete.
fn upload(connection: &mut Connection, pieces: Receiver<Piece>) -> io::Result<Reply> {
    let mut upload = connection.begin()?;
    loop {
        match pieces.recv() {
            Ok(Piece::Bytes(bytes)) => {
                if upload.send(&bytes).is_err() {
                    // Dropping the receiver makes the writer's next `send` fail.
                    break;
                }
            }
            Ok(Piece::End) => break,
            Err(_) => return Err(ErrorKind::BrokenPipe.into()),
        }
    }
    drop(pieces);
    upload.finish()
}

/// A request in progress on the other thread.
#[derive(Debug)]
pub(crate) struct Upload {
    pieces: SyncSender<Piece>,
    slot: Arc<Mutex<Slot>>,
}

impl Upload {
    pub fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let sent = self.pieces.send(Piece::Bytes(bytes));
        sent.map_err(|_| ErrorKind::BrokenPipe.into())
    }

    pub async fn finish(self) -> io::Result<Reply> {
        // If the receiver is gone, the response or an error is already available.
        let _ = self.pieces.send(Piece::End);
        Pending { slot: self.slot }.await
    }
}

#[derive(Debug, Default)]
struct Slot {
    reply: Option<io::Result<Reply>>,
    waker: Option<Waker>,
}

/// A future for the promised response.
struct Pending {
    slot: Arc<Mutex<Slot>>,
}

impl Future for Pending {
    type Output = io::Result<Reply>;

    fn poll(self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.reply.take() {
            Some(reply) => Poll::Ready(reply),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A promise of a response. Dropping it resolves it with an error.
#[derive(Debug, Default)]
struct Promise {
    slot: Arc<Mutex<Slot>>,
}

impl Promise {
    fn keep(self, reply: io::Result<Reply>) {
        self.put(reply);
    }

    fn put(&self, reply: io::Result<Reply>) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.reply.is_none() {
            slot.reply = Some(reply);
        }
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.put(Err(ErrorKind::BrokenPipe.into()));
    }
}
