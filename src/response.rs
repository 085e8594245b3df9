//! The responses that a handler can return.

use std::{borrow::Cow, io::Write};

use serde::Serialize;

use crate::{Failure, IntoFailure};

/// Bytes with their content type: a response that is not JSON, or an unparsed event.
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
    /// Creates a body of the given media type.
    pub fn new(content_type: impl Into<Cow<'static, str>>, body: impl Into<Vec<u8>>) -> Self {
        Raw { content_type: content_type.into(), body: body.into() }
    }

    /// Creates a UTF-8 text body of the media type `text/plain`.
    pub fn text(text: impl Into<String>) -> Self {
        Raw::new("text/plain; charset=utf-8", text.into())
    }

    /// Creates a body of the media type `application/octet-stream`.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Raw::new("application/octet-stream", bytes)
    }
}

/// A response that is sent in one piece: any type that implements [`Serialize`], sent as JSON, or [`Raw`], sent unchanged.
///
/// Lambda accepts up to 6 MB, or 6,291,556 bytes ([Lambda quotas]); for a longer response, the caller gets an error.
///
/// Implement this trait for a type that is not sent as JSON:
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
    /// Converts the value to the bytes that are sent.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be serialized, for example because it is a map whose keys are not strings.
    fn into_response(self) -> serde_json::Result<Raw>;

    /// Like `into_response`, but uses the memory of a body that is no longer needed: for a long response, getting new memory from
    /// the system takes as long as serializing.
    #[doc(hidden)]
    fn into_response_in(self, _memory: Vec<u8>) -> serde_json::Result<Raw>
    where
        Self: Sized,
    {
        self.into_response()
    }
}

impl<T: Serialize> IntoResponse for T {
    fn into_response(self) -> serde_json::Result<Raw> {
        self.into_response_in(Vec::new())
    }

    fn into_response_in(self, mut memory: Vec<u8>) -> serde_json::Result<Raw> {
        memory.clear();
        memory.reserve(128);
        serde_json::to_writer(&mut memory, &self)?;
        Ok(Raw::new("application/json", memory))
    }
}

impl IntoResponse for Raw {
    fn into_response(self) -> serde_json::Result<Raw> {
        Ok(self)
    }
}

/// A type that a handler can return: any type that implements [`IntoResponse`], or a [`Stream`](crate::Stream).
///
/// This trait is sealed; implement [`IntoResponse`] for your own types.
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
    fn into_answer(self, memory: Vec<u8>) -> serde_json::Result<Answer<Self::Body>>;
}

impl<T: IntoResponse> Respond for T {
    type Body = Never;

    fn into_answer(self, memory: Vec<u8>) -> serde_json::Result<Answer<Never>> {
        self.into_response_in(memory).map(Answer::Whole)
    }
}

/// Seals [`Respond`].
pub trait Sealed {}

impl<T: IntoResponse> Sealed for T {}

/// A response, complete or as a stream.
pub enum Answer<B> {
    /// A complete response.
    Whole(Raw),
    /// A response whose body is not written yet.
    Stream(Start, B),
}

/// The part of a stream that precedes its body.
#[derive(Debug)]
pub struct Start {
    pub(crate) content_type: Cow<'static, str>,
    pub(crate) prelude: Vec<u8>,
}

/// The writer of a stream's body.
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

/// The body type of a response that is not a stream.
#[derive(Debug)]
pub enum Never {}

impl Body for Never {
    async fn write(self, _: &mut (dyn Write + Send)) -> Result<(), Failure> {
        match self {}
    }
}
