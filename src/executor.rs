//! Just enough of an executor for a function that brings none.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use crate::{failure::Failure, failure::panics};

/// Wakes a thread that sleeps. A thread has one token for all who park on it, and what a future calls may take it: the
/// flag is what counts.
struct Alarm {
    thread: Thread,
    rang: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Runs `future` to its end on this thread, which sleeps while there is nothing to do.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let alarm = Arc::new(Alarm {
        thread: thread::current(),
        rang: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&alarm));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => {
                while !alarm.rang.swap(false, Ordering::Acquire) {
                    thread::park();
                }
            }
        }
    }
}

/// Runs `future`, which is the function's own; a panic inside ends it with a failure.
///
/// The future is dropped after a panic and never polled again, so nobody sees what the panic left half done but through
/// what the handler itself shares.
pub(crate) async fn guard<T>(
    future: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    panics::forget();
    let mut future = pin!(future);
    std::future::poll_fn(move |context| {
        let poll = AssertUnwindSafe(|| Pin::as_mut(&mut future).poll(context));
        catch_unwind(poll).unwrap_or_else(|thrown| {
            let failure = Failure::panic(&*thrown, panics::place());
            drop_thrown(thrown);
            Poll::Ready(Err(failure))
        })
    })
    .await
}

/// Drops what a panic has thrown, which may panic as well.
fn drop_thrown(thrown: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(thrown))) {
        std::mem::forget(again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, time::Duration};

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
    fn a_future_that_parks_its_thread_by_itself_is_woken_all_the_same() {
        let mut asked = false;
        block_on(std::future::poll_fn(move |context| {
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(());
            }
            let waker = context.waker().clone();
            let (sender, receiver) = mpsc::channel();
            thread::spawn(move || {
                waker.wake();
                thread::sleep(Duration::from_millis(30));
                sender.send(()).unwrap();
            });
            // Sleeps on the thread's own token, and takes it.
            receiver.recv().unwrap();
            Poll::Pending
        }));
    }

    #[test]
    fn a_panic_after_waiting_is_caught() {
        let caught: Result<(), Failure> = block_on(guard(async {
            sleep().await;
            panic!("late");
        }));
        assert_eq!(caught.unwrap_err().to_string(), "late");
    }
}
