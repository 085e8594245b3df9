//! What a function is made of: what it takes, and what handles that.

use serde::de::DeserializeOwned;

use crate::{Context, IntoFailure, Raw, Respond};

/// A Lambda function: takes an event of type `T` with its [`Context`], returns a response or an error.
///
/// A type with state of its own:
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
/// A closure or a function that takes the same is a handler as well: see [`run`](crate::run).
pub trait LambdaHandler<T> {
    /// What answers the invocation: anything that serializes, [`Raw`](crate::Raw) or a [`Stream`](crate::Stream).
    type Response: Respond;

    /// What went wrong: the text that it displays is what the caller of the function reads. A
    /// [`Failure`](crate::Failure) has a type as well.
    type Error: IntoFailure;

    /// Handles one event.
    fn handle(
        &self,
        event: T,
        context: Context,
    ) -> impl Future<Output = Result<Self::Response, Self::Error>>;
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

/// What an event can become: everything that deserializes, from JSON, and [`Raw`], which is the event as it came.
///
/// ```no_run
/// use lambda_musl::{Context, Raw, run};
///
/// fn main() -> Result<(), lambda_musl::Error> {
///     run(async |event: Raw, _: Context| Ok::<_, String>(event.body.len()))
/// }
/// ```
pub trait FromEvent: Sized {
    /// Makes the value of the bytes that came.
    ///
    /// # Errors
    ///
    /// When the event is not what the function takes.
    fn from_event(event: Raw) -> serde_json::Result<Self>;
}

impl<T: DeserializeOwned> FromEvent for T {
    fn from_event(event: Raw) -> serde_json::Result<Self> {
        serde_json::from_slice(&event.body)
    }
}

impl FromEvent for Raw {
    fn from_event(event: Raw) -> serde_json::Result<Self> {
        Ok(event)
    }
}
