//! A minimal executor for a function without an async runtime.

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

/// How long a handler waits before the executor checks whether anything can wake it.
const PATIENCE: Duration = Duration::from_millis(100);

/// The time before the deadline at which a handler that is still waiting is logged. Lambda kills the function at the deadline.
const NOTICE: Duration = Duration::from_millis(200);

/// Wakes a sleeping thread. Any code that a future calls may consume the thread's only park token, so `rang` records the
/// wake-up as well.
#[derive(Debug)]
pub(crate) struct Alarm {
    thread: Thread,
    rang: AtomicBool,
}

impl Alarm {
    pub fn new() -> Arc<Self> {
        Arc::new(Alarm { thread: thread::current(), rang: AtomicBool::new(false) })
    }

    /// Whether the alarm has rung since the last call.
    fn rang(&self) -> bool {
        self.rang.swap(false, Ordering::Acquire)
    }

    fn wait(&self) {
        while !self.rang() {
            thread::park();
        }
    }

    /// Waits on behalf of a handler. Returns `false` if nothing is left that could wake the handler.
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
                // The last other thread may have rung before it ended.
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
                            "the deadline is near, and nothing has woken the handler for {waited} ms. If it needs the \
                             async runtime that `run` blocks, such as tokio, call `process` instead of `run`"
                        ),
                    );
                }
                _ => {}
            }
        }
    }
}

/// Whether this process has no other thread, so that nothing can wake a future. `false` if that is unknown.
fn is_alone() -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        // A directory has two links plus one for each subdirectory; each thread has a subdirectory.
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

/// Runs `future` to completion on this thread, which sleeps while the future is pending.
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

/// Runs `future`, which is the function's own code in an invocation, to completion on this thread. If nothing can wake the future
/// any more, it is dropped, and the invocation fails.
///
/// This happens to a future that needs an async runtime whose only thread is the current one.
pub(crate) fn block_on_handler<T>(
    alarm: &Arc<Alarm>, context: &Context, future: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut future = pin!(Some(future));
    let waker = Waker::from(Arc::clone(alarm));
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

/// Runs `future`, which is the function's own code; a panic in it becomes a failure.
///
/// The future is dropped after a panic and never polled again, so only state that the handler itself shares can be left
/// inconsistent.
pub(crate) async fn guard<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
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

/// Drops the payload of a panic; dropping it may panic as well.
fn drop_thrown(thrown: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(thrown))) {
        std::mem::forget(again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, time::Duration};

    /// Is pending once, until another thread wakes it.
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
    fn a_future_that_consumes_the_park_token_is_still_woken() {
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
            // Sleeps on the thread's park token and consumes it.
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
