//! What a handler may take.

use serde::de::DeserializeOwned;

use crate::Raw;

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
