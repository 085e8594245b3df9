//! Handlers of HTTP requests (`http` feature): they accept an [`http::Request`](Request) and return an
//! [`http::Response`](Response).
//!
//! The same handler works for function URLs, API Gateway's HTTP, REST and WebSocket APIs, Application Load Balancers and VPC
//! Lattice. Each of these [services](Origin) has its own form of events and responses.
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
//! - The path and the query are as AWS sent them. Characters that a [`Uri`] cannot contain, such as a space in a path that AWS has
//!   decoded, are percent-encoded. Nothing is normalized: `..`, `//`, `%00` and `%ff` are kept. The events of a REST API contain
//!   a decoded query, which is encoded again. The stage is part of the path if AWS sends it there.
//! - The scheme and the host come from `X-Forwarded-Proto` and `Host`, or else are `https` and the domain in the request context.
//!   If there is no host at all, the URI consists of only the path and the query.
//! - The events of a WebSocket API have neither a method nor a path. `GET /$connect` stands for the start of a connection, and
//!   `POST` to `/` followed by the route key stands for a message or the end of the connection.
//!
//! The [extensions](Request::extensions) contain the original [`Event`], the [`RequestContext`] and the
//! [`Context`](crate::Context). [`RequestExt`] looks up query parameters, path parameters, stage variables and cookies by name.
//!
//! An event of an unknown form is reported as `Runtime.UnmarshalError`, with the names of the missing members.
//!
//! # Responses
//!
//! A handler returns a value whose type implements [`IntoResponse`], a [`Stream`](crate::Stream), or a `Result` of one of these.
//!
//! For an error, the caller gets the status 500 without any details, and the error is logged. A [`Failure`](crate::Failure) can
//! specify [another response](crate::Failure::answer):
//!
//! ```
//! use lambda_musl::{Failure, http::{self, Body, Json, Request, StatusCode}};
//! use serde_json::{Value, json};
//!
//! async fn order(request: Request<Body>) -> Result<Json<Value>, Failure> {
//!     let order: Value = request.body().json()?; // 400 if it is not JSON
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
//! The status must be from 200 to 599, and header values must be UTF-8. If a response cannot be sent or is longer than 6,291,556
//! bytes as JSON ([Lambda quotas]), the reason is logged, and the caller gets the status 500.
//!
//! A UTF-8 body is sent unchanged if it has no content encoding and its content type is text (`text/…`, JSON, XML, JavaScript,
//! YAML, GraphQL or a form) or missing. All other bodies are sent in base64, which a REST API decodes only for the
//! [binary media types] in its configuration.
//!
//! # Streams
//!
//! With the `RESPONSE_STREAM` invoke mode, a function URL forwards a stream while it is being written and accepts no other
//! responses; with the `BUFFERED` mode, it accepts no streams. The handler's return type decides what is sent: if it is a
//! [`Stream`](crate::Stream), every request from a function URL gets a stream, even if an error occurs. All other callers get the
//! complete response in one piece of up to 6 MB.
//!
//! [Lambda quotas]: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
//! [binary media types]: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-payload-encodings.html

mod body;
mod event;
mod request;
mod response;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
pub use body::{Body, Json};
pub use event::{Event, Origin, RequestContext};
pub use request::RequestExt;
pub use response::{IntoResponse, Respond};

pub(crate) use request::parse;
#[cfg(feature = "tower")]
pub(crate) use response::Reply;
pub(crate) use response::{Sent, send};

use crate::{Context, Error, Failure, LambdaHandler, Raw};

/// Receives invocations as [`run`](crate::run) does, and passes them to `handler` as HTTP requests.
///
/// # Errors
///
/// See [`run`](crate::run).
pub fn run<F, R>(handler: F) -> Result<(), Error>
where
    F: AsyncFn(Request<Body>) -> R,
    R: Respond,
{
    crate::run(self::handler(handler))
}

/// Receives invocations as [`process`](crate::process) does, and passes them to `handler` as HTTP requests.
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
/// See [`run`](crate::run).
pub async fn process<F, R>(handler: F) -> Result<(), Error>
where
    F: AsyncFn(Request<Body>) -> R,
    R: Respond,
{
    crate::process(self::handler(handler)).await
}

/// Receives invocations as [`run_concurrent`](crate::run_concurrent) does, and passes them to `handler` as HTTP requests.
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
/// See [`run_concurrent`](crate::run_concurrent).
pub fn run_concurrent<F, R>(handler: F) -> Result<(), Error>
where
    F: AsyncFn(Request<Body>) -> R + Send + Sync + 'static,
    R: Respond,
{
    crate::run_concurrent(self::handler(handler))
}

/// Converts a handler of HTTP requests to a handler of events, for example for [`testing`](crate::testing).
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

/// The handler of events that [`handler`] returns.
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
