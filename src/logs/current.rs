//! The invocation that a thread works on, for its log and for its requests.

use std::{cell::RefCell, mem::ManuallyDrop, pin::pin, time::Duration};

use crate::Context;

thread_local! {
    /// Nothing is left in it when the thread ends, so that nothing has to be dropped then.
    static CURRENT: RefCell<ManuallyDrop<Option<Context>>> = const { RefCell::new(ManuallyDrop::new(None)) };
}

/// Runs `future` as a part of an invocation, on whatever thread it is polled.
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

/// What `ask` says of this thread's invocation; a log line inside of this has none.
fn ask<T>(ask: impl FnOnce(&Context) -> T) -> Option<T> {
    CURRENT.with(|current| Some(ask(current.try_borrow().ok()?.as_ref()?)))
}

/// The request id of this thread's invocation, or nothing.
#[cfg(feature = "log")]
pub(crate) fn request_id() -> String {
    ask(|context| context.request_id().to_owned()).unwrap_or_default()
}

/// The time that this thread's invocation has left, where that is known.
pub(crate) fn time_left() -> Option<Duration> {
    ask(Context::time_left).flatten()
}
