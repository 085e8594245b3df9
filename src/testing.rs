//! A Runtime API for tests: sends events to a function and returns its responses.
//!
//! [`run`] tests a handler in the test's own process. [`Program`] tests a complete program, even one that does not use this
//! crate. Both use HTTP on localhost, so a test sees what Lambda will see.
//!
//! ```
//! use lambda_musl::{Context, testing};
//! use serde_json::{Value, json};
//!
//! async fn greet(event: Value, _: Context) -> Result<Value, &'static str> {
//!     let name = event["name"].as_str().ok_or("expected a name")?;
//!     Ok(json!({ "hello": name }))
//! }
//!
//! # fn main() -> Result<(), lambda_musl::Error> {
//! let [ada, nobody] = testing::run(greet, [json!({"name": "Ada"}), json!({})])?;
//! assert_eq!(ada.json(), json!({"hello": "Ada"}));
//! assert_eq!(nobody.error().unwrap().message, "expected a name");
//! # Ok(())
//! # }
//! ```
//!
//! A program that does not use this module contains none of its code.

mod answer;
mod event;
#[doc(hidden)]
pub mod function;
#[doc(hidden)]
pub mod http;
mod program;
mod server;

pub use answer::{Answer, Reported};
pub use event::Event;
pub use program::Program;

use crate::{Error, FromEvent, LambdaHandler};
#[doc(hidden)]
pub use crate::{base64::decode as decode_base64, runtime::Runtime};
use server::{Server, Waiting};

/// Runs `handler` on this thread until it has handled all `events`, and returns its responses in the order of the events.
///
/// ```
/// use lambda_musl::{Context, testing};
///
/// let double = async |n: u32, _: Context| Ok::<_, String>(2 * n);
/// let [answer] = testing::run(double, ["21"])?;
/// assert_eq!(answer.text(), "42");
/// # Ok::<(), lambda_musl::Error>(())
/// ```
///
/// # Errors
///
/// Returns the error that ended the runtime before it responded to every event.
pub fn run<T, H, E, const N: usize>(handler: H, events: [E; N]) -> Result<[Answer; N], Error>
where
    T: FromEvent,
    H: LambdaHandler<T>,
    E: Into<Event>,
{
    let (server, waiting) = serve(events)?;
    let end = Runtime::at(server.address())?.run(handler);
    collect(waiting, end)
}

/// Runs `handler` as [`run`] does, but in the async runtime of the caller, for a handler that needs an async runtime.
///
/// ```
/// use std::time::Duration;
/// use lambda_musl::{Context, testing};
///
/// async fn nap(ms: u64, _: Context) -> Result<&'static str, String> {
///     tokio::time::sleep(Duration::from_millis(ms)).await;
///     Ok("rested")
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lambda_musl::Error> {
/// let [answer] = testing::process(nap, ["5"]).await?;
/// assert_eq!(answer.json(), "rested");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// See [`run`].
pub async fn process<T, H, E, const N: usize>(handler: H, events: [E; N]) -> Result<[Answer; N], Error>
where
    T: FromEvent,
    H: LambdaHandler<T>,
    E: Into<Event>,
{
    let (server, waiting) = serve(events)?;
    let end = Runtime::at(server.address())?.process(handler).await;
    collect(waiting, end)
}

/// Starts a server with these events and no more.
fn serve<E: Into<Event>, const N: usize>(events: [E; N]) -> Result<(Server, [Waiting; N]), Error> {
    let server = Server::start().map_err(|source| Error::Connection {
        request: "opening a port for the Runtime API of a test".into(),
        source,
    })?;
    let waiting = events.map(|event| server.send(event.into()));
    server.close();
    Ok((server, waiting))
}

fn collect<const N: usize>(waiting: [Waiting; N], end: Result<(), Error>) -> Result<[Answer; N], Error> {
    let answers: Vec<Answer> = waiting.iter().filter_map(|one| one.try_recv().ok()).collect();
    answers.try_into().map_err(|some: Vec<Answer>| match end {
        Err(end) => end,
        Ok(()) => unreachable!("the loop ended without an error after {} of {N} responses", some.len()),
    })
}
