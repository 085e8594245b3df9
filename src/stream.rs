//! A response that is sent while it is written.

use std::{borrow::Cow, fmt, io::Write};

use crate::{
    Failure, IntoFailure, Raw, Respond,
    executor::block_on,
    failure::report,
    response::{Answer, Body, Sealed, Start},
};

/// The content type of a stream that begins with a prelude.
pub(crate) const HTTP_INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";

/// What parts the prelude from the body.
pub(crate) const END: [u8; 8] = [0; 8];

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

impl<F> Sealed for Stream<F> {}

/// A status, headers and cookies.
#[derive(Debug)]
pub(crate) struct Prelude {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub cookies: Vec<String>,
}

impl Default for Prelude {
    fn default() -> Self {
        Prelude {
            status: 200,
            headers: Vec::new(),
            cookies: Vec::new(),
        }
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

    /// The prelude with its end; `content_type` goes with the headers unless it is there already.
    pub fn to_bytes(&self, content_type: &str) -> Vec<u8> {
        let is_content_type =
            |(name, _): &&(String, String)| name.eq_ignore_ascii_case("Content-Type");
        let content_type = match self.headers.iter().find(is_content_type) {
            Some(_) => None,
            None => Some(("Content-Type", content_type)),
        };
        let headers = self.headers.iter().map(|(name, value)| (&**name, &**value));
        let mut json = format!("{{\"statusCode\":{},\"headers\":{{", self.status).into_bytes();
        report::list(
            &mut json,
            content_type.into_iter().chain(headers),
            |json, (name, value)| {
                report::text(json, name);
                json.push(b':');
                report::text(json, value);
            },
        );
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
