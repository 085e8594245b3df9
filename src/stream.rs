//! A response that is sent while it is being written.

use std::{borrow::Cow, fmt, io::Write};

use crate::{
    Failure, IntoFailure, Raw, Respond,
    executor::block_on,
    failure::report,
    response::{Answer, Body, Sealed, Start},
};

/// The content type of a stream that begins with a prelude.
pub(crate) const HTTP_INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";

/// The separator between the prelude and the body.
pub(crate) const END: [u8; 8] = [0; 8];

/// A response that the caller reads while the function is still writing it ([response streaming]).
///
/// It can be up to 200 MB long, and only a small part is in memory at any time.
///
/// The body is an async closure that receives a [`Write`]. Its output is buffered and sent in chunks of up to 64 KiB;
/// [`flush`](Write::flush) sends the buffer immediately. An error or a panic in the closure reaches the caller like any other
/// error of an invocation, after the data already sent.
///
/// Under [`process`](crate::process), a write blocks the executor's thread while the peer does not read. `main` must await
/// `process` itself instead of spawning it, because the compiler cannot yet prove that such a future is [`Send`].
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
/// If the caller is a function URL or an API that supports streaming, a status, headers and cookies can precede the body:
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
    /// Creates a stream whose body has the given media type.
    pub fn new<E>(content_type: impl Into<Cow<'static, str>>, body: F) -> Self
    where
        F: AsyncFnOnce(&mut (dyn Write + Send)) -> Result<(), E>,
        E: IntoFailure,
    {
        Stream { content_type: content_type.into(), prelude: None, body }
    }

    /// Sets the status of an HTTP response. If only headers or cookies are set, the status is 200.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.prelude().status = status;
        self
    }

    /// Adds a header to an HTTP response. Values with the same name are joined with commas
    /// ([RFC 9110, section 5.3](https://www.rfc-editor.org/rfc/rfc9110#section-5.3)).
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.prelude().header(name, value);
        self
    }

    /// Adds a cookie to an HTTP response: `name=value`, optionally with attributes.
    #[must_use]
    pub fn cookie(mut self, cookie: &str) -> Self {
        self.prelude().cookies.push(cookie.to_owned());
        self
    }

    /// Writes the complete response to memory, on this thread, for tests that call a handler directly.
    ///
    /// # Errors
    ///
    /// Returns the error of the body if it fails.
    pub fn into_response<E>(mut self) -> Result<Raw, Failure>
    where
        F: AsyncFnOnce(&mut (dyn Write + Send)) -> Result<(), E>,
        E: IntoFailure,
    {
        let Start { content_type, prelude: mut body } = self.start();
        block_on(self.body.write(&mut body))?;
        Ok(Raw { content_type, body })
    }

    /// Splits the stream into its content type, its prelude and its body.
    #[cfg(feature = "http")]
    pub(crate) fn into_parts(self) -> (Cow<'static, str>, Option<Prelude>, F) {
        (self.content_type, self.prelude, self.body)
    }

    fn prelude(&mut self) -> &mut Prelude {
        self.prelude.get_or_insert_default()
    }

    /// Takes the content type of the request to the Runtime API and the bytes that precede the body.
    fn start(&mut self) -> Start {
        match self.prelude.take() {
            None => Start { content_type: std::mem::take(&mut self.content_type), prelude: Vec::new() },
            Some(prelude) => {
                Start { content_type: HTTP_INTEGRATION.into(), prelude: prelude.to_bytes(&self.content_type) }
            }
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

    fn into_answer(mut self, _: Vec<u8>) -> serde_json::Result<Answer<F>> {
        Ok(Answer::Stream(self.start(), self.body))
    }
}

impl<F> Sealed for Stream<F> {}

/// The status, headers and cookies of an HTTP response.
#[derive(Debug)]
pub(crate) struct Prelude {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub cookies: Vec<String>,
}

impl Default for Prelude {
    fn default() -> Self {
        Prelude { status: 200, headers: Vec::new(), cookies: Vec::new() }
    }
}

impl Prelude {
    pub fn header(&mut self, name: &str, value: &str) {
        let mut headers = self.headers.iter_mut();
        match headers.find(|(key, _)| key.eq_ignore_ascii_case(name)) {
            Some((_, values)) => values.extend([", ", value]),
            None => self.headers.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Encodes the prelude and its separator, with `content_type` as a header unless the headers already contain one.
    pub fn to_bytes(&self, content_type: &str) -> Vec<u8> {
        let is_content_type = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("Content-Type");
        let content_type = match self.headers.iter().find(is_content_type) {
            Some(_) => None,
            None => Some(("Content-Type", content_type)),
        };
        let headers = self.headers.iter().map(|(name, value)| (&**name, &**value));
        let mut json = format!("{{\"statusCode\":{},\"headers\":{{", self.status).into_bytes();
        report::list(&mut json, content_type.into_iter().chain(headers), |json, (name, value)| {
            report::text(json, name);
            json.push(b':');
            report::text(json, value);
        });
        json.extend(b"},\"cookies\":");
        report::texts(&mut json, &self.cookies);
        json.push(b'}');
        json.extend(END);
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_prelude_is_json_and_eight_nuls() {
        let mut prelude = Prelude::default();
        prelude.header("X", "a\0b");
        prelude.header("x", "2");
        prelude.cookies.push("a=b".into());
        let bytes = prelude.to_bytes("text/html");
        let (json, end) = bytes.split_at(bytes.len() - 8);
        assert_eq!(end, [0; 8]);
        assert_eq!(
            serde_json::from_slice::<Value>(json).unwrap(),
            json!({
                "statusCode": 200,
                "headers": {"Content-Type": "text/html", "X": "a\0b, 2"},
                "cookies": ["a=b"],
            })
        );
        assert!(!json.contains(&0), "the first NUL is the end");
    }

    #[test]
    fn a_content_type_among_the_headers_wins() {
        let mut prelude = Prelude::default();
        prelude.header("content-type", "a/b");
        let bytes = prelude.to_bytes("text/html");
        assert!(!String::from_utf8(bytes).unwrap().contains("text/html"));
    }
}
