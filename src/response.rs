//! What a handler may return.

use serde::Serialize;

/// A response that is sent as it is, with a content type of its own.
///
/// ```
/// use lambda_musl::Raw;
///
/// Raw::text("pong");
/// Raw::bytes([0x1f, 0x8b]);
/// Raw::new("image/png", b"\x89PNG");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Raw {
    /// A body of the given media type ([RFC 9110, section 8.3](https://www.rfc-editor.org/rfc/rfc9110#section-8.3)).
    pub fn new(content_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Raw {
            content_type: content_type.into(),
            body: body.into(),
        }
    }

    /// Text in UTF-8.
    pub fn text(text: impl Into<String>) -> Self {
        Raw::new("text/plain; charset=utf-8", text.into())
    }

    /// Bytes of no particular kind.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Raw::new("application/octet-stream", bytes)
    }
}

/// What can answer an invocation: everything that serializes, as JSON, and [`Raw`], as it is.
///
/// Lambda takes up to 6 MB, or 6,291,556 bytes ([Lambda quotas]); what is longer reaches the caller as an error.
///
/// [Lambda quotas]: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
pub trait IntoResponse {
    /// Turns the value into the bytes that are sent.
    ///
    /// # Errors
    ///
    /// When the value does not serialize: a map whose keys are no strings, say.
    fn into_response(self) -> serde_json::Result<Raw>;
}

impl<T: Serialize> IntoResponse for T {
    fn into_response(self) -> serde_json::Result<Raw> {
        serde_json::to_vec(&self).map(|json| Raw::new("application/json", json))
    }
}

impl IntoResponse for Raw {
    fn into_response(self) -> serde_json::Result<Raw> {
        Ok(self)
    }
}
