//! A response that is sent while it is written.

use std::{borrow::Cow, fmt, io::Write};

use crate::{
    IntoFailure, Raw, Respond,
    executor::block_on,
    failure::Failure,
    prelude::{HTTP_INTEGRATION, Prelude},
};

/// A response that the caller reads while the function still writes it ([response streaming]): up to 200 MB, of which
/// little is in memory at any time.
///
/// The body is an async closure that gets a plain [`Write`]. What it writes is collected and sent as a chunk of up to
/// 64 KiB; [`flush`](Write::flush) sends what is there at once. An error or a panic in it reaches the caller as the error
/// of an invocation does, after what was sent already. Under [`process`](crate::process), a write waits while the peer
/// does not read, and with it the thread of the executor; and `main` awaits it itself, as today's compiler does not see
/// that such a future can be sent to another thread.
///
/// ```no_run
/// use lambda_musl::{Context, Stream, run};
/// use std::io::{self, Write};
///
/// fn main() -> Result<(), lambda_musl::Error> {
///     run(async |lines: u32, _: Context| {
///         let body = async move |out: &mut (dyn Write + Send)| {
///             (1..=lines).try_for_each(|n| writeln!(out, "line {n}"))
///         };
///         Ok::<_, String>(Stream::new("text/plain", body))
///     })
/// }
/// ```
///
/// For a function URL, or an API that streams, a status, headers and cookies come before the body:
///
/// ```
/// # use lambda_musl::{Stream};
/// # use std::io::{self, Write};
/// let body = async |out: &mut (dyn Write + Send)| out.write_all(b"<h1>Hello</h1>");
/// Stream::new("text/html", body)
///     .status(201)
///     .header("Cache-Control", "no-store")
///     .cookie("seen=yes; Secure");
/// ```
///
/// [response streaming]: https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
pub struct Stream<F> {
    content_type: Cow<'static, str>,
    prelude: Option<Prelude>,
    body: F,
}

impl<F> Stream<F> {
    /// A body of the given media type.
    pub fn new<E>(content_type: impl Into<Cow<'static, str>>, body: F) -> Self
    where
        F: AsyncFnOnce(&mut (dyn Write + Send)) -> Result<(), E>,
        E: IntoFailure,
    {
        Stream {
            content_type: content_type.into(),
            prelude: None,
            body,
        }
    }

    /// Answers an HTTP request with this status; without it, but with headers or cookies, it is 200.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.prelude().status = status;
        self
    }

    /// Answers an HTTP request, with this header. Values of one name are joined by commas
    /// ([RFC 9110, section 5.3](https://www.rfc-editor.org/rfc/rfc9110#section-5.3)).
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.prelude().header(name, value);
        self
    }

    /// Answers an HTTP request, and sets this cookie: `name=value`, perhaps with attributes.
    #[must_use]
    pub fn cookie(mut self, cookie: &str) -> Self {
        self.prelude().cookies.push(cookie.to_owned());
        self
    }

    /// Writes the whole into memory, on this thread: for a test that calls a handler by hand.
    ///
    /// # Errors
    ///
    /// When the body fails.
    pub fn into_response<E>(mut self) -> Result<Raw, Failure>
    where
        F: AsyncFnOnce(&mut (dyn Write + Send)) -> Result<(), E>,
        E: IntoFailure,
    {
        let Start {
            content_type,
            prelude: mut body,
        } = self.start();
        block_on(self.body.write(&mut body))?;
        Ok(Raw { content_type, body })
    }

    /// The content type, what else comes before the body, and what writes it.
    #[cfg(feature = "http")]
    pub(crate) fn into_parts(self) -> (Cow<'static, str>, Option<Prelude>, F) {
        (self.content_type, self.prelude, self.body)
    }

    fn prelude(&mut self) -> &mut Prelude {
        self.prelude.get_or_insert_default()
    }

    /// The content type of the call, and what comes before the body.
    fn start(&mut self) -> Start {
        match self.prelude.take() {
            None => Start {
                content_type: std::mem::take(&mut self.content_type),
                prelude: Vec::new(),
            },
            Some(prelude) => Start {
                content_type: HTTP_INTEGRATION.into(),
                prelude: prelude.to_bytes(&self.content_type),
            },
        }
    }
}

impl<F> fmt::Debug for Stream<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Stream");
        shown.field("content_type", &self.content_type);
        shown.field("prelude", &self.prelude);
        shown.finish_non_exhaustive()
    }
}

impl<F, E> Respond for Stream<F>
where
    F: AsyncFnOnce(&mut (dyn Write + Send)) -> Result<(), E>,
    E: IntoFailure,
{
    type Body = F;

    fn into_answer(mut self) -> serde_json::Result<Answer<F>> {
        Ok(Answer::Stream(self.start(), self.body))
    }
}

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
