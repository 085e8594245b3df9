//! HTTP in and out (feature `http`): [`http::Request`](Request) in, [`http::Response`](Response) out.
//!
//! One handler for function URLs, API Gateway's HTTP, REST and WebSocket APIs, Application Load Balancers and VPC Lattice: each
//! sends events of a [form](Origin) of its own and reads answers of that form.
//!
//! ```no_run
//! use lambda_musl::http::{self, RequestExt};
//!
//! fn main() -> Result<(), lambda_musl::Error> {
//!     http::run(async |request| {
//!         let name = request.query("name").unwrap_or("you".into());
//!         format!("Hello, {name}!")
//!     })
//! }
//! ```
//!
//! # Requests
//!
//! Path and query are as AWS sent them; what a [`Uri`] cannot hold, such as a space in a path that AWS has decoded, is
//! percent-encoded. Nothing is normalized: `..`, `//`, `%00` and `%ff` stay. A REST API, whose events have the query decoded, gets
//! it encoded again. The stage is a part of the path where AWS sends it as one. Scheme and host come from `X-Forwarded-Proto` and
//! `Host`, else they are `https` and the domain in the request context; without any the URI is a path alone. The events of a
//! WebSocket API have neither method nor path: `GET /$connect` opens a connection, `POST /` and a route key is a message or the
//! end.
//!
//! The [extensions](Request::extensions) have the [`Event`] as it came, the [`RequestContext`] and the
//! [`Context`](crate::Context); [`RequestExt`] knows query, path parameters, stage variables and cookies by their names.
//!
//! An event of no form that is known is reported as `Runtime.UnmarshalError`, with the name of what is missing.
//!
//! # Responses
//!
//! A handler returns anything that is [`IntoResponse`], or a [`Stream`](crate::Stream), or a `Result` of these.
//!
//! An error becomes the status 500 with a body that says nothing but that, and the error itself is in the log. A
//! [`Failure`](crate::Failure) may choose [another answer](crate::Failure::answer):
//!
//! ```
//! use lambda_musl::{Failure, http::{self, Body, Json, Request, StatusCode}};
//! use serde_json::{Value, json};
//!
//! async fn order(request: Request<Body>) -> Result<Json<Value>, Failure> {
//!     let order: Value = request.body().json()?; // 400 where it is no JSON
//!     if order["article"] != "tea" {
//!         let error = Failure::new("Function.NoSuchArticle", format!("no row for {order}"));
//!         return Err(error.answer(StatusCode::NOT_FOUND, "no such article"));
//!     }
//!     Ok(Json(json!({"ordered": order})))
//! }
//!
//! let event = json!({
//!     "httpMethod": "POST", "path": "/orders", "body": r#"{"article":"tea"}"#,
//!     "requestContext": {"stage": "prod"},
//! });
//! let [answer] = lambda_musl::testing::run(http::handler(order), [event])?;
//! assert_eq!(answer.json()["statusCode"], 200);
//! # Ok::<(), lambda_musl::Error>(())
//! ```
//!
//! The status is from 200 to 599, and a header's value is UTF-8. What cannot be sent, and what is longer than 6,291,556 bytes as
//! JSON ([Lambda quotas]), is a line in the log, and 500 to the caller. Bodies of text (`text/…`, JSON, XML, JavaScript, YAML and
//! forms, or no content type) without a content encoding are sent as they are where they are UTF-8, all others in base64. A REST
//! API decodes that for the [binary media types] that it is told of.
//!
//! # Streams
//!
//! A function URL sends a stream on while it is written if its invoke mode is `RESPONSE_STREAM`, and takes no other answers then;
//! in the mode `BUFFERED` it takes none. So the handler's type decides: one that returns a [`Stream`](crate::Stream) answers every
//! request of a function URL with a stream, errors too. All other callers get what was written, in one piece of up to 6 MB.
//!
//! [Lambda quotas]: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
//! [binary media types]: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-payload-encodings.html

mod body;
mod event;
mod request;
mod response;

pub use ::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
};
pub use body::{Body, Json};
pub use event::{Event, Origin, RequestContext};
pub use request::RequestExt;
pub use response::{IntoResponse, Respond};

pub(crate) use request::parse;
#[cfg(feature = "tower")]
pub(crate) use response::Reply;
pub(crate) use response::{Sent, send};

use crate::{Context, Error, Failure, LambdaHandler, Raw};

/// The same as [`run`](crate::run), for a handler of HTTP requests.
///
/// # Errors
///
/// As [`run`](crate::run).
pub fn run<F, R>(handler: F) -> Result<(), Error>
where
    F: AsyncFn(Request<Body>) -> R,
    R: Respond,
{
    crate::run(self::handler(handler))
}

/// The same as [`process`](crate::process), for a handler of HTTP requests.
///
/// ```no_run
/// use lambda_musl::http;
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), lambda_musl::Error> {
///     http::process(async |request| request.uri().to_string()).await
/// }
/// ```
///
/// # Errors
///
/// As [`run`](crate::run).
pub async fn process<F, R>(handler: F) -> Result<(), Error>
where
    F: AsyncFn(Request<Body>) -> R,
    R: Respond,
{
    crate::process(self::handler(handler)).await
}

/// The same as [`run_concurrent`](crate::run_concurrent), for a handler of HTTP requests.
///
/// ```no_run
/// use lambda_musl::http;
///
/// fn main() -> Result<(), lambda_musl::Error> {
///     http::run_concurrent(async |request| request.uri().to_string())
/// }
/// ```
///
/// # Errors
///
/// As [`run_concurrent`](crate::run_concurrent).
pub fn run_concurrent<F, R>(handler: F) -> Result<(), Error>
where
    F: AsyncFn(Request<Body>) -> R + Send + Sync + 'static,
    R: Respond,
{
    crate::run_concurrent(self::handler(handler))
}

/// A handler of HTTP requests as a handler of events, for [`testing`](crate::testing) among others.
///
/// ```
/// use lambda_musl::{http::{self, Body, Request}, testing};
/// use serde_json::json;
///
/// let path = http::handler(async |request: Request<Body>| request.uri().path().to_owned());
/// let event = json!({"httpMethod": "GET", "path": "/a/b", "requestContext": {}});
/// let [answer] = testing::run(path, [event])?;
/// assert_eq!(answer.json()["body"], "/a/b");
/// # Ok::<(), lambda_musl::Error>(())
/// ```
pub fn handler<F, R>(handler: F) -> Handler<F>
where
    F: AsyncFn(Request<Body>) -> R,
    R: Respond,
{
    Handler(handler)
}

/// What [`handler`] returns.
#[derive(Clone, Debug)]
pub struct Handler<F>(F);

impl<F, R> LambdaHandler<Raw> for Handler<F>
where
    F: AsyncFn(Request<Body>) -> R,
    R: Respond,
{
    type Response = Sent<R::Stream>;
    type Error = Failure;

    async fn handle(&self, event: Raw, context: Context) -> Result<Sent<R::Stream>, Failure> {
        let (request, form) = parse(event, &context)?;
        let reply = (self.0)(request).await.into_reply();
        Ok(send(reply, form, R::STREAMS, &context).await)
    }
}
