//! The invocation that a thread works on, for its log.

use crate::Context;

/// Runs `future` as a part of an invocation, on whatever thread it is polled.
#[cfg(feature = "log")]
pub(crate) async fn with<F: Future>(context: &Context, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(move |poll| {
        let before = CURRENT.replace(Some(context.clone()));
        let polled = future.as_mut().poll(poll);
        CURRENT.set(before);
        polled
    })
    .await
}

/// Nobody asks.
#[cfg(not(feature = "log"))]
pub(crate) fn with<F: Future>(_: &Context, future: F) -> F {
    future
}

/// The request id of this thread's invocation, or nothing.
#[cfg(feature = "log")]
pub(crate) fn request_id() -> String {
    // A thread that ends has no invocation any more, and a log line inside of this has none.
    CURRENT
        .try_with(|current| {
            let current = current.try_borrow().ok()?;
            Some(current.as_ref()?.request_id().to_owned())
        })
        .ok()
        .flatten()
        .unwrap_or_default()
}

#[cfg(feature = "log")]
thread_local! {
    static CURRENT: std::cell::RefCell<Option<Context>> = const { std::cell::RefCell::new(None) };
}
