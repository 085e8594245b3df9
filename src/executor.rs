//! Just enough of an executor for a function that brings none.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use crate::{Context, Failure, failure::panics, logs};

/// How long a handler may wait before it is asked whether anything can wake it.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long before its deadline, when Lambda kills the function, a handler that still waits is logged.
const NOTICE: Duration = Duration::from_millis(200);

/// Wakes a thread that sleeps. A thread has one token for all who park on it, and what a future calls may take it: the
/// flag is what counts.
struct Alarm {
    thread: Thread,
    rang: AtomicBool,
}

impl Alarm {
    fn new() -> Arc<Self> {
        Arc::new(Alarm {
            thread: thread::current(),
            rang: AtomicBool::new(false),
        })
    }

    /// Whether it has rung since this was asked.
    fn rang(&self) -> bool {
        self.rang.swap(false, Ordering::Acquire)
    }

    fn wait(&self) {
        while !self.rang() {
            thread::park();
        }
    }

    /// Waits, as a handler does; `false` where nothing is left that could ring.
    fn wait_for_handler(&self, context: &Context) -> bool {
        if self.rang() {
            return true;
        }
        let start = Instant::now();
        let (mut pause, mut told) = (PATIENCE, false);
        loop {
            thread::park_timeout(pause);
            if self.rang() {
                return true;
            }
            if is_alone() {
                // The last of the other threads may have rung before it ended.
                return self.rang();
            }
            pause = pause.saturating_mul(2);
            match context.time_left() {
                Some(left) if !told && left > NOTICE => pause = pause.min(left - NOTICE),
                Some(_) if !told => {
                    told = true;
                    let waited = start.elapsed().as_millis() as u64;
                    logs::error(
                        context.request_id(),
                        format_args!(
                            "the deadline is near, and nothing has woken the handler for {waited} ms. If what it \
                             waits for needs the thread that `run` blocks, as under an async runtime such as tokio: \
                             call `process` in place of `run`"
                        ),
                    );
                }
                _ => {}
            }
        }
    }
}

/// Whether this process has no other thread: nothing can wake a future then. Where the system does not say, it has.
fn is_alone() -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        // A directory has two links of its own, and one for each directory in it: that is one for each thread.
        std::fs::metadata("/proc/self/task").is_ok_and(|task| task.nlink() == 3)
    }
    #[cfg(not(target_os = "linux"))]
    false
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
    let alarm = Alarm::new();
    let waker = Waker::from(Arc::clone(&alarm));
    let mut poll = std::task::Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut poll) {
            Poll::Ready(output) => return output,
            Poll::Pending => alarm.wait(),
        }
    }
}

/// Runs `future`, a part of an invocation that is the function's own, to its end on this thread. Where nothing can wake
/// it any more, it is dropped, and that is the failure.
///
/// So it is for a future that needs an async runtime whose only thread is this one.
pub(crate) fn block_on_handler<T>(
    context: &Context,
    future: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut future = pin!(Some(future));
    let alarm = Alarm::new();
    let waker = Waker::from(Arc::clone(&alarm));
    let mut poll = std::task::Context::from_waker(&waker);
    while let Some(own) = future.as_mut().as_pin_mut() {
        match own.poll(&mut poll) {
            Poll::Ready(output) => return output,
            Poll::Pending if alarm.wait_for_handler(context) => {}
            Poll::Pending => {
                if let Err(thrown) = catch_unwind(AssertUnwindSafe(|| future.set(None))) {
                    drop_thrown(thrown);
                }
            }
        }
    }
    Err(Failure::deadlock())
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
