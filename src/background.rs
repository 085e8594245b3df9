//! The connection on a thread of its own, so that nothing blocks the executor that a handler shares with others.

use std::{
    io::{self, ErrorKind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Sender},
    },
    task::{Poll, Waker},
    thread,
};

use crate::connection::{Connection, Reply, Request};

/// A thread that does one exchange after the other. It ends when this is dropped and its last exchange is over.
#[derive(Debug)]
pub(crate) struct Background {
    requests: Sender<(Request, Promise)>,
}

impl Background {
    pub fn start(mut connection: Connection) -> io::Result<Self> {
        let (requests, queue) = mpsc::channel::<(Request, Promise)>();
        thread::Builder::new()
            .name("runtime-api".into())
            .spawn(move || {
                for (request, promise) in queue {
                    promise.keep(connection.exchange(&request));
                }
            })?;
        Ok(Background { requests })
    }

    pub async fn exchange(&mut self, request: Request) -> io::Result<Reply> {
        let promise = Promise::default();
        let slot = Arc::clone(&promise.slot);
        // Where the thread is gone, the promise is dropped with the message, and that answers.
        let _ = self.requests.send((request, promise));
        std::future::poll_fn(move |context| {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            match slot.reply.take() {
                Some(reply) => Poll::Ready(reply),
                None => {
                    slot.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

#[derive(Debug, Default)]
struct Slot {
    reply: Option<io::Result<Reply>>,
    waker: Option<Waker>,
}

/// A reply that will come; one that is dropped comes as an error.
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
        slot.reply.get_or_insert(reply);
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
