//! tower services, such as axum routers, as functions (`tower` feature).
//!
//! An axum router needs tokio; `examples/router` in the repository is a complete crate:
//!
//! ```no_run
//! use axum::{Router, routing::get};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), lambda_musl::Error> {
//!     let router = Router::new().route("/", get(async || "Hello!"));
//!     lambda_musl::tower::process(router).await
//! }
//! ```
//!
//! Requests are the same as in [`http`](crate::http) and have the same extensions, so axum's `Extension<RequestContext>` works.
//! An error of the service or of a body is logged, and the caller gets the status 500.

use std::{
    future::poll_fn,
    io::Write,
    pin::{Pin, pin},
    task::{Context as Poller, Poll},
};

use ::http::{Request, Response};
use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tower_service::Service as TowerService;

use crate::{
    Context, Error, Failure, IntoFailure, LambdaHandler, Raw,
    http::{Body, Reply, Sent, parse, send},
    response,
};

/// Passes requests to a service, one at a time, and sends each response in one piece once it is complete.
///
/// A function URL accepts such responses in the `BUFFERED` invoke mode, its default. All other callers accept them as well.
///
/// # Errors
///
/// See [`run`](crate::run).
pub async fn process<S, B>(service: S) -> Result<(), Error>
where
    S: TowerService<Request<Body>, Response = Response<B>> + Clone,
    S::Error: IntoFailure,
    B: HttpBody,
    B::Error: IntoFailure,
{
    crate::process(self::service(service)).await
}

/// Passes requests to a service as [`process`] does, but streams responses to a function URL with the `RESPONSE_STREAM`
/// invoke mode.
///
/// Data is sent as soon as the body produces it, up to 200 MB. All other callers get the complete response in one piece.
///
/// # Errors
///
/// See [`run`](crate::run).
pub async fn process_streaming<S, B>(service: S) -> Result<(), Error>
where
    S: TowerService<Request<Body>, Response = Response<B>> + Clone,
    S::Error: IntoFailure,
    B: HttpBody,
    B::Error: IntoFailure,
{
    crate::process(self::service(service).streaming()).await
}

/// Converts a service to a handler of events, for example for [`testing`](crate::testing).
///
/// Each request is handled by its own clone of the service.
pub fn service<S>(service: S) -> Service<S> {
    Service { service, streams: false }
}

/// The handler that [`service`] returns.
#[derive(Clone, Debug)]
pub struct Service<S> {
    service: S,
    streams: bool,
}

impl<S> Service<S> {
    /// Streams responses to function URLs, as [`process_streaming`] does.
    #[must_use]
    pub fn streaming(mut self) -> Self {
        self.streams = true;
        self
    }
}

impl<S, B> LambdaHandler<Raw> for Service<S>
where
    S: TowerService<Request<Body>, Response = Response<B>> + Clone,
    S::Error: IntoFailure,
    B: HttpBody,
    B::Error: IntoFailure,
{
    type Response = Sent<Frames<B>>;
    type Error = Failure;

    async fn handle(&self, event: Raw, context: Context) -> Result<Sent<Frames<B>>, Failure> {
        let (request, form) = parse(event, &context)?;
        let mut service = self.service.clone();
        let response = async {
            poll_fn(|poller| service.poll_ready(poller)).await?;
            service.call(request).await
        };
        let reply = response.await.map_err(IntoFailure::into_failure);
        let reply = reply.map(|response| Reply::Stream(response.map(Frames)));
        Ok(send(reply, form, self.streams, &context).await)
    }
}

/// The body of a service's response.
#[derive(Debug)]
pub struct Frames<B>(B);

impl<B> response::Body for Frames<B>
where
    B: HttpBody,
    B::Error: IntoFailure,
{
    async fn write(self, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        let mut body = pin!(self.0);
        let mut unsent = false;
        loop {
            let frame = poll_fn(|poller| {
                let frame = body.as_mut().poll_frame(poller);
                if frame.is_pending() && std::mem::take(&mut unsent) {
                    // The next frame may take a while.
                    out.flush().map_err(IntoFailure::into_failure)?;
                }
                frame.map(|frame| frame.transpose().map_err(IntoFailure::into_failure))
            });
            let Some(frame) = frame.await? else {
                return Ok(());
            };
            // Lambda has no way to send trailers.
            let Ok(mut data) = frame.into_data() else {
                continue;
            };
            while data.has_remaining() {
                let length = out.write(data.chunk()).map_err(IntoFailure::into_failure)?;
                data.advance(length);
                unsent = true;
            }
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Poller<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let bytes = std::mem::take(&mut *self).into_bytes();
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}
