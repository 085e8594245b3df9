//! Just enough of an executor for a function that brings none.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs `future` to its end on this thread, which sleeps while there is nothing to do.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Runs `future`; a panic inside ends it with what was thrown.
///
/// The future is dropped after a panic and never polled again, so nobody sees what the panic left half done but through
/// what the handler itself shares.
pub(crate) async fn catch_panic<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    std::future::poll_fn(move |context| {
        let poll = AssertUnwindSafe(|| Pin::as_mut(&mut future).poll(context));
        match catch_unwind(poll) {
            Ok(poll) => poll.map(Ok),
            Err(thrown) => Poll::Ready(Err(thrown)),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Pending once, woken from another thread.
    async fn sleep() {
        let mut woken = false;
        std::future::poll_fn(move |context| {
            if woken {
                return Poll::Ready(());
            }
            woken = true;
            let waker = context.waker().clone();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(10));
                waker.wake();
            });
            Poll::Pending
        })
        .await
    }

    #[test]
    fn a_future_that_waits_is_woken() {
        let answer = block_on(async {
            sleep().await;
            42
        });
        assert_eq!(answer, 42);
    }

    #[test]
    fn a_panic_after_waiting_is_caught() {
        let caught = block_on(catch_panic(async {
            sleep().await;
            panic!("late");
        }));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"late"));
    }
}
