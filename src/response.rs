//! What a handler may return.

use std::{borrow::Cow, io::Write};

use serde::Serialize;

use crate::{Failure, IntoFailure};

/// Bytes with their content type, as they are: a response that is not JSON, or an event that nobody has parsed.
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
    /// The media type ([RFC 9110, section 8.3](https://www.rfc-editor.org/rfc/rfc9110#section-8.3)).
    pub content_type: Cow<'static, str>,
    /// The bytes.
    pub body: Vec<u8>,
}

impl Raw {
    /// A body of the given media type.
    pub fn new(content_type: impl Into<Cow<'static, str>>, body: impl Into<Vec<u8>>) -> Self {
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

/// What can answer an invocation at once: everything that serializes, as JSON, and [`Raw`], as it is.
///
/// Lambda takes up to 6 MB, or 6,291,556 bytes ([Lambda quotas]); what is longer reaches the caller as an error.
///
/// A type of the function's own that is not sent as JSON:
///
/// ```
/// use lambda_musl::{IntoResponse, Raw};
///
/// struct Page(String);
///
/// impl IntoResponse for Page {
///     fn into_response(self) -> serde_json::Result<Raw> {
///         Ok(Raw::new("text/html; charset=utf-8", self.0))
///     }
/// }
/// ```
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

/// What a handler may return: all that is [`IntoResponse`], and a [`Stream`](crate::Stream). A type of the function's own
/// implements [`IntoResponse`]; this trait is sealed.
///
/// ```
/// use lambda_musl::{LambdaHandler, Respond};
///
/// fn answers_with<T, R: Respond>(_: &impl LambdaHandler<T, Response = R>) {}
/// ```
pub trait Respond: Sealed {
    #[doc(hidden)]
    type Body: Body;

    #[doc(hidden)]
    fn into_answer(self) -> serde_json::Result<Answer<Self::Body>>;
}

impl<T: IntoResponse> Respond for T {
    type Body = Never;

    fn into_answer(self) -> serde_json::Result<Answer<Never>> {
        self.into_response().map(Answer::Whole)
    }
}

/// Keeps [`Respond`] to the types of this crate.
pub trait Sealed {}

impl<T: IntoResponse> Sealed for T {}

/// What a response turned out to be.
pub enum Answer<B> {
    /// Bytes.
    Whole(Raw),
    /// A body that is still to be written.
    Stream(Start, B),
}

/// What is known of a stream before its body.
#[derive(Debug)]
pub struct Start {
    pub(crate) content_type: Cow<'static, str>,
    pub(crate) prelude: Vec<u8>,
}

/// What writes a body.
pub trait Body {
    #[doc(hidden)]
    fn write(self, out: &mut (dyn Write + Send)) -> impl Future<Output = Result<(), Failure>>;
}

impl<F, E> Body for F
where
    F: AsyncFnOnce(&mut (dyn Write + Send)) -> Result<(), E>,
    E: IntoFailure,
{
    async fn write(self, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        self(out).await.map_err(IntoFailure::into_failure)
    }
}

/// The body of a response that is no stream.
#[derive(Debug)]
pub enum Never {}

impl Body for Never {
    async fn write(self, _: &mut (dyn Write + Send)) -> Result<(), Failure> {
        match self {}
    }
}
