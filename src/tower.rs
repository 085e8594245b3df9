//! Services of tower as functions (feature `tower`), and so a router of axum.
//!
//! Under tokio, which an axum router needs; `examples/router` is a whole crate:
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
//! Requests are those of [`http`](crate::http), with the same extensions: axum's `Extension<RequestContext>` is one. An error
//! of the service, or of a body, is a line in the log and 500 to the caller.

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

/// Gives requests to a service, one after the other, and each caller the whole of a response once it is there.
///
/// A function URL with the invoke mode `BUFFERED`, its default, takes these, and so do all other callers.
///
/// # Errors
///
/// As [`run`](crate::run).
pub async fn process<S, B>(service: S) -> Result<(), Error>
where
    S: TowerService<Request<Body>, Response = Response<B>> + Clone,
    S::Error: IntoFailure,
    B: HttpBody,
    B::Error: IntoFailure,
{
    crate::process(self::service(service)).await
}

/// The same as [`process`], for a function URL with the invoke mode `RESPONSE_STREAM`: it gets what a body has as soon as the body
/// has it, up to 200 MB. All other callers get the whole.
///
/// # Errors
///
/// As [`run`](crate::run).
pub async fn process_streaming<S, B>(service: S) -> Result<(), Error>
where
    S: TowerService<Request<Body>, Response = Response<B>> + Clone,
    S::Error: IntoFailure,
    B: HttpBody,
    B::Error: IntoFailure,
{
    crate::process(self::service(service).streaming()).await
}

/// A service as a handler of events, for [`testing`](crate::testing) among others.
///
/// Each request gets a clone of the service.
pub fn service<S>(service: S) -> Service<S> {
    Service {
        service,
        streams: false,
    }
}

/// What [`service`] returns.
#[derive(Clone, Debug)]
pub struct Service<S> {
    service: S,
    streams: bool,
}

impl<S> Service<S> {
    /// Answers function URLs with streams, as [`process_streaming`] does.
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

/// The body of a response of a service.
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
                    // What comes next may take its time.
                    out.flush().map_err(IntoFailure::into_failure)?;
                }
                frame.map(|frame| frame.transpose().map_err(IntoFailure::into_failure))
            });
            let Some(frame) = frame.await? else {
                return Ok(());
            };
            // Trailers have no form in Lambda.
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

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Poller<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
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
