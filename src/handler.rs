//! The traits for handlers and for the events that they accept.

use std::mem::take;

use serde::de::DeserializeOwned;

use crate::{Context, IntoFailure, Raw, Respond};

/// A handler of events of type `T`: accepts an event with its [`Context`] and returns a response or an error.
///
/// A type with its own state can implement it:
///
/// ```
/// use lambda_musl::{Context, LambdaHandler};
/// use serde_json::Value;
///
/// struct Counter { name: &'static str }
///
/// impl LambdaHandler<Vec<Value>> for Counter {
///     type Response = String;
///     type Error = std::convert::Infallible;
///
///     async fn handle(&self, event: Vec<Value>, _: Context) -> Result<String, Self::Error> {
///         Ok(format!("{}: {}", self.name, event.len()))
///     }
/// }
/// ```
///
/// A closure or function with the same parameters is a handler as well: see [`run`](crate::run).
pub trait LambdaHandler<T> {
    /// The response: a type that implements `Serialize`, [`Raw`](crate::Raw) or a [`Stream`](crate::Stream).
    type Response: Respond;

    /// The error, whose `Display` text is the error message that the function's caller receives. A
    /// [`Failure`](crate::Failure) also has an error type.
    type Error: IntoFailure;

    /// Handles one event.
    fn handle(&self, event: T, context: Context) -> impl Future<Output = Result<Self::Response, Self::Error>>;
}

impl<T, F, R, E> LambdaHandler<T> for F
where
    F: AsyncFn(T, Context) -> Result<R, E>,
    R: Respond,
    E: IntoFailure,
{
    type Response = R;
    type Error = E;

    async fn handle(&self, event: T, context: Context) -> Result<R, E> {
        self(event, context).await
    }
}

/// A type that an event can be converted to: any type that deserializes from JSON, or [`Raw`], the unparsed event.
///
/// ```no_run
/// use lambda_musl::{Context, Raw, run};
///
/// fn main() -> Result<(), lambda_musl::Error> {
///     run(async |event: Raw, _: Context| Ok::<_, String>(event.body.len()))
/// }
/// ```
pub trait FromEvent: Sized {
    /// Converts the event, and takes its body if the value needs it. The response reuses the memory of a body that is not taken.
    ///
    /// # Errors
    ///
    /// Returns an error if the event does not match the type.
    fn from_event(event: &mut Raw) -> serde_json::Result<Self>;
}

impl<T: DeserializeOwned> FromEvent for T {
    fn from_event(event: &mut Raw) -> serde_json::Result<Self> {
        serde_json::from_slice(&event.body)
    }
}

impl FromEvent for Raw {
    fn from_event(event: &mut Raw) -> serde_json::Result<Self> {
        Ok(Raw { content_type: take(&mut event.content_type), body: take(&mut event.body) })
    }
}
