//! The current invocation of a thread, for its log lines and its requests.

use std::{cell::RefCell, mem::ManuallyDrop, pin::pin, time::Duration};

use crate::Context;

thread_local! {
    /// Always empty when the thread ends, so it needs no destructor.
    static CURRENT: RefCell<ManuallyDrop<Option<Context>>> = const { RefCell::new(ManuallyDrop::new(None)) };
}

/// Runs `future` as part of an invocation, on any thread that polls it.
pub(crate) async fn with<F: Future>(context: &Context, future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(move |poll| {
        let before = CURRENT.replace(ManuallyDrop::new(Some(context.clone())));
        let polled = future.as_mut().poll(poll);
        drop(ManuallyDrop::into_inner(CURRENT.replace(before)));
        polled
    })
    .await
}

/// Calls `ask` with the context of this thread's invocation, if there is one.
fn ask<T>(ask: impl FnOnce(&Context) -> T) -> Option<T> {
    CURRENT.with(|current| Some(ask(current.try_borrow().ok()?.as_ref()?)))
}

/// The request ID of this thread's invocation, or an empty string.
#[cfg(feature = "log")]
pub(crate) fn request_id() -> String {
    ask(|context| context.request_id().to_owned()).unwrap_or_default()
}

/// The time that this thread's invocation has left, if known.
pub(crate) fn time_left() -> Option<Duration> {
    ask(Context::time_left).flatten()
}
