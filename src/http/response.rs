//! The conversion of a response to the JSON or the stream that AWS reads.

use std::{
    io::{self, Write},
    ops::RangeInclusive,
};

use ::http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, SET_COOKIE},
};
use serde::Serialize;

use super::{Body, Json, Origin};
use crate::{
    Context, Failure, IntoFailure, Raw, Stream, base64,
    failure::report,
    logs,
    response::{self, Answer, Never, Sealed, Start},
    stream::{END, HTTP_INTEGRATION, Prelude},
};

/// The maximum length of a response that Lambda accepts, in bytes.
const MAX: usize = 6_291_556;

/// The statuses that a response can have: lower ones are interim responses, and higher ones are not HTTP statuses.
const STATUSES: RangeInclusive<u16> = 200..=599;

/// A response that is sent in one piece.
///
/// This trait is implemented for an [`http::Response`](Response) whose body is text, bytes or `()`; for text, [`Json`] and [`Raw`],
/// which get the status 200; and for a [`StatusCode`], by itself or in a tuple in front of one of these.
///
/// ```
/// use lambda_musl::{Failure, http::{Body, IntoResponse, Response}};
///
/// struct Page(String);
///
/// impl IntoResponse for Page {
///     fn into_response(self) -> Result<Response<Body>, Failure> {
///         let response = Response::builder().header("Content-Type", "text/html; charset=utf-8");
///         response.body(self.0.into()).map_err(|error| Failure::new("Function.Page", error))
///     }
/// }
/// ```
pub trait IntoResponse {
    /// Converts the value to a response.
    ///
    /// # Errors
    ///
    /// Returns a failure if the value cannot be converted. It is logged, and the caller gets the status 500.
    fn into_response(self) -> Result<Response<Body>, Failure>;
}

impl<B: Into<Body>> IntoResponse for Response<B> {
    fn into_response(self) -> Result<Response<Body>, Failure> {
        Ok(self.map(Into::into))
    }
}

impl IntoResponse for &'static str {
    fn into_response(self) -> Result<Response<Body>, Failure> {
        typed("text/plain; charset=utf-8", self)
    }
}

impl IntoResponse for String {
    fn into_response(self) -> Result<Response<Body>, Failure> {
        typed("text/plain; charset=utf-8", self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Result<Response<Body>, Failure> {
        let json = serde_json::to_vec(&self.0).map_err(|error| Failure::marshal(&error))?;
        typed("application/json", json)
    }
}

impl IntoResponse for Raw {
    fn into_response(self) -> Result<Response<Body>, Failure> {
        typed(&self.content_type, self.body)
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Result<Response<Body>, Failure> {
        (self, Response::new(())).into_response()
    }
}

impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    fn into_response(self) -> Result<Response<Body>, Failure> {
        let (status, response) = self;
        let mut response = response.into_response()?;
        *response.status_mut() = status;
        Ok(response)
    }
}

fn typed(content_type: &str, body: impl Into<Body>) -> Result<Response<Body>, Failure> {
    let mut response = Response::new(body.into());
    let value = HeaderValue::try_from(content_type);
    let value =
        value.map_err(|_| unsendable(format_args!("its content type {content_type:?} is not a valid header value")))?;
    response.headers_mut().insert(CONTENT_TYPE, value);
    Ok(response)
}

/// A type that a handler of requests can return: any type that implements [`IntoResponse`], a [`Stream`], or a `Result` of one
/// of these.
pub trait Respond {
    #[doc(hidden)]
    type Stream: response::Body;

    /// Whether function URLs get a stream.
    #[doc(hidden)]
    const STREAMS: bool;

    #[doc(hidden)]
    fn into_reply(self) -> Result<Reply<Self::Stream>, Failure>;
}

impl<T: IntoResponse> Respond for T {
    type Stream = Never;
    const STREAMS: bool = false;

    fn into_reply(self) -> Result<Reply<Never>, Failure> {
        self.into_response().map(Reply::Whole)
    }
}

impl<F, E> Respond for Stream<F>
where
    F: AsyncFnOnce(&mut (dyn Write + Send)) -> Result<(), E>,
    E: IntoFailure,
{
    type Stream = F;
    const STREAMS: bool = true;

    fn into_reply(self) -> Result<Reply<F>, Failure> {
        let (content_type, prelude, body) = self.into_parts();
        let Prelude { status, headers, cookies } = prelude.unwrap_or_default();
        let mut response = typed(&content_type, ())?.map(|_| body);
        *response.status_mut() = StatusCode::from_u16(status)
            .map_err(|_| unsendable(format_args!("its status is {status}: expected one from 200 to 599")))?;
        let cookies = cookies.into_iter().map(|cookie| ("Set-Cookie".to_owned(), cookie));
        for (name, value) in headers.into_iter().chain(cookies) {
            let bad = || unsendable(format_args!("{name:?}: {value:?} is not a valid header"));
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad())?;
            match key == CONTENT_TYPE {
                true => drop(response.headers_mut().insert(key, value)),
                false => drop(response.headers_mut().try_append(key, value).map_err(|_| bad())?),
            }
        }
        Ok(Reply::Stream(response))
    }
}

impl<R: Respond, E: IntoFailure> Respond for Result<R, E> {
    type Stream = R::Stream;
    const STREAMS: bool = R::STREAMS;

    fn into_reply(self) -> Result<Reply<R::Stream>, Failure> {
        self.map_err(IntoFailure::into_failure)?.into_reply()
    }
}

/// A response, complete or as a stream.
#[derive(Debug)]
pub enum Reply<B> {
    /// A complete response.
    Whole(Response<Body>),
    /// A response whose body is not written yet.
    Stream(Response<B>),
}

/// The form of response that the sender of a request expects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    headers: Headers,
    /// Whether the sender accepts streams.
    streams: bool,
    /// Whether the sender expects a `statusDescription`.
    description: bool,
}

/// How a form represents several values of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Headers {
    /// As one value joined with commas; cookies have a separate list.
    Cookies,
    /// As one value joined with commas.
    Single,
    /// As a list.
    Multi,
}

impl Form {
    pub fn of(origin: Origin, multi: bool) -> Self {
        Form {
            headers: match origin {
                Origin::FunctionUrl | Origin::HttpApi => Headers::Cookies,
                Origin::RestApi => Headers::Multi,
                Origin::LoadBalancer if multi => Headers::Multi,
                Origin::WebSocketApi | Origin::LoadBalancer | Origin::Lattice => Headers::Single,
            },
            streams: origin == Origin::FunctionUrl,
            description: matches!(origin, Origin::LoadBalancer | Origin::Lattice),
        }
    }

    /// Encodes a complete response.
    fn encode(self, response: &Response<Body>) -> Result<Raw, Failure> {
        let body = response.body();
        if body.len() > MAX {
            return Err(too_long(body.len()));
        }
        let mut json = self.head(response.status(), response.headers())?;
        json.extend(b",\"body\":");
        let text = is_text(response.headers()).then(|| body.text().ok()).flatten();
        match text {
            Some(text) => report::text(&mut json, text),
            None => {
                json.push(b'"');
                json.extend_from_slice(base64::encode(body).as_bytes());
                json.push(b'"');
            }
        }
        let encoded = text.is_none();
        json.extend(format!(",\"isBase64Encoded\":{encoded}}}").bytes());
        match json.len() {
            0..=MAX => Ok(Raw::new("application/json", json)),
            length => Err(too_long(length)),
        }
    }

    /// Encodes the part of a stream that precedes the body.
    fn prelude(self, status: StatusCode, headers: &HeaderMap) -> Result<Start, Failure> {
        let mut prelude = self.head(status, headers)?;
        prelude.push(b'}');
        prelude.extend(END);
        Ok(Start { content_type: HTTP_INTEGRATION.into(), prelude })
    }

    /// Encodes the status and the headers, as the beginning of a JSON object.
    fn head(self, status: StatusCode, headers: &HeaderMap) -> Result<Vec<u8>, Failure> {
        if !STATUSES.contains(&status.as_u16()) {
            return Err(unsendable(format_args!("its status is {status}: expected one from 200 to 599")));
        }
        for (name, value) in headers {
            if str::from_utf8(value.as_bytes()).is_err() {
                return Err(unsendable(format_args!("its header {name} is {value:?}, which is not UTF-8")));
            }
        }
        let values = |name: &HeaderName| {
            let values = headers.get_all(name).into_iter();
            values.map(|value| str::from_utf8(value.as_bytes()).unwrap_or_default())
        };
        let mut json = Vec::with_capacity(256);
        json.extend(format!("{{\"statusCode\":{}", status.as_u16()).bytes());
        if self.description {
            let reason = status.canonical_reason().unwrap_or("Unknown");
            json.extend(format!(",\"statusDescription\":\"{} {reason}\"", status.as_u16()).bytes());
        }
        json.extend(match self.headers {
            Headers::Multi => &b",\"multiValueHeaders\":{"[..],
            _ => b",\"headers\":{",
        });
        let names = headers.keys().filter(|name| self.headers != Headers::Cookies || *name != SET_COOKIE);
        report::list(&mut json, names, |json, name| match self.headers {
            Headers::Multi => {
                report::text(json, name.as_str());
                json.extend(b":[");
                report::list(json, values(name), report::text);
                json.push(b']');
            }
            // Cookies cannot be joined, because they can contain commas. Each gets a header name in a different case instead,
            // because most readers treat such names as separate headers.
            Headers::Single if *name == SET_COOKIE => {
                report::list(json, values(name).enumerate(), |json, (number, value)| {
                    report::text(json, &set_cookie(number));
                    json.push(b':');
                    report::text(json, value);
                })
            }
            _ => {
                report::text(json, name.as_str());
                json.push(b':');
                let mut values = values(name);
                match (values.next(), values.next()) {
                    (Some(value), None) => report::text(json, value),
                    _ => report::text(json, &self::values(headers, name)),
                }
            }
        });
        json.push(b'}');
        if self.headers == Headers::Cookies && headers.contains_key(SET_COOKIE) {
            json.extend(b",\"cookies\":[");
            report::list(&mut json, values(&SET_COOKIE), report::text);
            json.push(b']');
        }
        Ok(json)
    }
}

/// Joins the values of a header ([RFC 9110, section 5.3](https://www.rfc-editor.org/rfc/rfc9110#section-5.3)).
fn values(headers: &HeaderMap, name: &HeaderName) -> String {
    let values = headers.get_all(name).into_iter();
    let values: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    values.join(", ")
}

/// Returns `set-cookie` with a capital letter for each bit that is set in `number`.
fn set_cookie(number: usize) -> String {
    let letters = SET_COOKIE.as_str().chars().enumerate();
    letters
        .map(|(place, letter)| match number >> place & 1 {
            1 => letter.to_ascii_uppercase(),
            _ => letter,
        })
        .collect()
}

/// Whether a UTF-8 body with these headers is text.
fn is_text(headers: &HeaderMap) -> bool {
    let is_encoded = headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
    let Some(content_type) = headers.get(CONTENT_TYPE) else {
        return !is_encoded;
    };
    let content_type = content_type.to_str().unwrap_or_default().to_ascii_lowercase();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let (kind, subtype) = media_type.split_once('/').unwrap_or_default();
    const SUBTYPES: [&str; 6] = ["json", "xml", "javascript", "yaml", "x-www-form-urlencoded", "graphql"];
    const SUFFIXES: [&str; 3] = ["+json", "+xml", "+yaml"];
    let is_text = kind == "text"
        || kind == "application" && SUBTYPES.contains(&subtype)
        || SUFFIXES.iter().any(|suffix| subtype.ends_with(suffix));
    is_text && !is_encoded
}

fn unsendable(reason: std::fmt::Arguments<'_>) -> Failure {
    Failure::new("Runtime.MarshalError", format!("the response cannot be sent: {reason}"))
}

fn too_long(length: usize) -> Failure {
    unsendable(format_args!(
        "it is {length} bytes long; Lambda accepts up to {MAX} bytes, including status, headers and base64 encoding"
    ))
}

/// The response to an invocation whose event is an HTTP request.
pub struct Sent<B>(Answer<Sending<B>>);

impl<B: response::Body> Sealed for Sent<B> {}

impl<B: response::Body> crate::Respond for Sent<B> {
    type Body = Sending<B>;

    fn into_answer(self, _: Vec<u8>) -> serde_json::Result<Answer<Sending<B>>> {
        Ok(self.0)
    }
}

/// The body of a response that is sent as a stream.
#[derive(Debug)]
pub enum Sending<B> {
    /// A complete body.
    Whole(Body),
    /// A body that is not written yet.
    Stream(B),
}

impl<B: response::Body> response::Body for Sending<B> {
    async fn write(self, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        match self {
            // This fails only if the peer has closed the connection, which is handled elsewhere.
            Sending::Whole(body) => out.write_all(&body).map_err(IntoFailure::into_failure),
            Sending::Stream(body) => body.write(out).await,
        }
    }
}

/// Encodes a response in the form that the sender of the request expects. `streams` tells whether function URLs get only
/// streams.
pub(crate) async fn send<B: response::Body>(
    reply: Result<Reply<B>, Failure>, form: Form, streams: bool, context: &Context,
) -> Sent<B> {
    let sent = match reply {
        Ok(Reply::Stream(response)) if streams && form.streams => {
            let (head, body) = response.into_parts();
            let start = form.prelude(head.status, &head.headers);
            start.map(|start| Answer::Stream(start, Sending::Stream(body)))
        }
        Ok(reply) => match whole(reply).await {
            Ok(response) => send_whole(response, form, streams),
            Err(failure) => Err(failure),
        },
        Err(failure) => Err(failure),
    };
    Sent(sent.unwrap_or_else(|failure| {
        let answer = send_whole(failed(failure, context), form, streams);
        // This fails only for a message that is too long.
        answer.unwrap_or_else(|_| Answer::Whole(Raw::new("application/json", r#"{"statusCode":500}"#)))
    }))
}

fn send_whole<B>(response: Response<Body>, form: Form, streams: bool) -> Result<Answer<Sending<B>>, Failure> {
    if streams && form.streams {
        let (head, body) = response.into_parts();
        let start = form.prelude(head.status, &head.headers)?;
        return Ok(Answer::Stream(start, Sending::Whole(body)));
    }
    form.encode(&response).map(Answer::Whole)
}

/// Collects the complete body of a response.
async fn whole<B: response::Body>(reply: Reply<B>) -> Result<Response<Body>, Failure> {
    let (head, body) = match reply {
        Reply::Whole(response) => return Ok(response),
        Reply::Stream(response) => response.into_parts(),
    };
    let mut out = Limited(Vec::new());
    body.write(&mut out).await?;
    Ok(Response::from_parts(head, out.0.into()))
}

/// Converts a failure to the response that the caller gets, and logs the failure if the status is a server error.
fn failed(failure: Failure, context: &Context) -> Response<Body> {
    let (status, message) = match failure.answer.as_deref() {
        Some((status, message)) if STATUSES.contains(&status.as_u16()) => (*status, message.clone()),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error".to_owned()),
    };
    if status.is_server_error() {
        logs::failure(context.request_id(), &failure);
    }
    let body = serde_json::json!({ "message": message });
    (status, Json(body)).into_response().unwrap_or_default()
}

/// A writer that collects a body, up to the maximum length of a response.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX {
            return Err(io::Error::other(format!(
                "the body is longer than {MAX} bytes, and the caller does not accept streams"
            )));
        }
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
