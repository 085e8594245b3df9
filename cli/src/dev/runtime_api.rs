//! The Runtime API for one process: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use base64::{Engine, prelude::BASE64_STANDARD};
use http_body_util::channel::{Channel, Sender};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpStream, task::AbortHandle, time::sleep};

use super::function::{Answer, Function, Refused, error};
use super::report;
use crate::invoke::LONGEST_PAYLOAD;

/// The maximum length of a stream in bytes.
const LONGEST_STREAM: usize = 200 << 20;

const MODE: &str = "lambda-runtime-function-response-mode";
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

/// A response that arrives in pieces.
pub struct Stream {
    pub content_type: Option<HeaderValue>,
    pub body: Channel<Bytes, Broken>,
}

/// The error of a stream that did not end properly.
#[derive(Debug)]
pub struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the function did not complete its stream")
    }
}

impl std::error::Error for Broken {}

type Reply = Response<Full<Bytes>>;

/// Serves the Runtime API to one process of a function.
pub fn serve(function: Arc<Function>, number: u64, listener: TcpListener) -> Result<AbortHandle> {
    accept(listener, move |connection, _| {
        let function = Arc::clone(&function);
        async move {
            let reply = |request| reply(Arc::clone(&function), number, request);
            // Some functions accept header names only with Lambda's capitalization.
            let mut server = http1::Builder::new();
            let server = server.title_case_headers(true).max_headers(1000);
            let _ = server.serve_connection(connection, service_fn(reply)).await;
        }
    })
}

/// Starts accepting connections, each of which is served in a task of its own.
pub fn accept<S: Future<Output = ()> + Send + 'static>(
    listener: TcpListener, serve: impl Fn(TokioIo<TcpStream>, SocketAddr) -> S + Send + 'static,
) -> Result<AbortHandle> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let accepting = tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((connection, client)) => {
                    let _ = connection.set_nodelay(true);
                    tokio::spawn(serve(TokioIo::new(connection), client));
                }
                // Accepting fails, for example, while too many files are open.
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    });
    Ok(accepting.abort_handle())
}

async fn reply(function: Arc<Function>, number: u64, request: Request<Incoming>) -> Result<Reply, hyper::Error> {
    let path = request.uri().path().to_owned();
    let call = path.strip_prefix("/2018-06-01/runtime/").unwrap_or(&path).split('/').collect::<Vec<_>>();
    Ok(match (request.method(), &call[..]) {
        (&Method::GET, ["invocation", "next"]) => next(&function, number).await,
        (&Method::POST, ["invocation", id, "response"]) => response(&function, number, id, request).await?,
        (&Method::POST, ["invocation", id, "error"]) => {
            let Some(body) = read(request.into_body(), LONGEST_PAYLOAD).await? else { return Ok(too_large()) };
            match function.begin_answer(number, id) {
                Ok(answer) => {
                    function.end_answer(number, id, true, report::value(&body));
                    let _ = answer.send(Answer::Error(body));
                    accepted()
                }
                Err(refused) => refuse(refused),
            }
        }
        (&Method::POST, ["init", "error"]) => match read(request.into_body(), LONGEST_PAYLOAD).await? {
            Some(body) if function.fail_init(number, &body) => accepted(),
            Some(_) => refuse(Refused::Answered),
            None => too_large(),
        },
        (&Method::GET, ["restore", "next"]) => status(StatusCode::OK, ""),
        // A function registers as an extension to receive SIGTERM on shutdown.
        (&Method::POST, ["", "2020-01-01", "extension", "register"]) => {
            function.register(number);
            let about = json!({"functionName": function.name, "functionVersion": "$LATEST", "handler": "bootstrap"});
            let mut registered = status(StatusCode::OK, about.to_string());
            registered.headers_mut().insert("lambda-extension-identifier", HeaderValue::from_static("local"));
            registered
        }
        (&Method::GET, ["", "2020-01-01", "extension", "event", "next"]) => std::future::pending().await,
        (method, _) => {
            let message = format!("{method} {path} is not a Runtime API request");
            status(StatusCode::NOT_FOUND, error("InvalidRequest", &message))
        }
    })
}

async fn next(function: &Arc<Function>, number: u64) -> Reply {
    let (invocation, deadline) = function.next(number).await;
    let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut reply = status(StatusCode::OK, invocation.event);
    let headers = [
        ("aws-request-id", HeaderValue::from_str(&invocation.id).ok()),
        ("deadline-ms", HeaderValue::from_str(&deadline.as_millis().to_string()).ok()),
        ("invoked-function-arn", HeaderValue::from_str(&function.arn()).ok()),
        ("trace-id", HeaderValue::from_str(&invocation.trace).ok()),
        ("client-context", invocation.client_context),
    ];
    for (name, value) in headers {
        let name = format!("lambda-runtime-{name}").parse::<hyper::header::HeaderName>();
        if let (Ok(name), Some(value)) = (name, value) {
            reply.headers_mut().insert(name, value);
        }
    }
    reply
}

/// Receives a response, complete or as a stream.
async fn response(
    function: &Arc<Function>, number: u64, id: &str, request: Request<Incoming>,
) -> Result<Reply, hyper::Error> {
    let streams = request.headers().get(MODE).is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"streaming"));
    if streams {
        let answer = match function.begin_answer(number, id) {
            Ok(answer) => answer,
            Err(refused) => return Ok(refuse(refused)),
        };
        let content_type = request.headers().get(CONTENT_TYPE).cloned();
        let (sender, body) = Channel::new(8);
        let _ = answer.send(Answer::Stream(Stream { content_type, body }));
        let end = pass_on(request.into_body(), sender).await;
        let (is_error, shown) = match &end {
            Ok(length) => (false, json!({"bytes": length})),
            Err(error) => (true, report::value(error)),
        };
        function.end_answer(number, id, is_error, shown);
        return Ok(accepted());
    }
    let body = read(request.into_body(), LONGEST_PAYLOAD).await?;
    let answer = match function.begin_answer(number, id) {
        Ok(answer) => answer,
        Err(refused) => return Ok(refuse(refused)),
    };
    Ok(match body {
        Some(body) => {
            function.end_answer(number, id, false, report::value(&body));
            let _ = answer.send(Answer::Whole(body));
            accepted()
        }
        None => {
            let message =
                format!("Response payload size exceeded maximum allowed payload size ({LONGEST_PAYLOAD} bytes).");
            let error = error("Function.ResponseSizeTooLarge", &message);
            function.end_answer(number, id, true, report::value(&error));
            let _ = answer.send(Answer::Error(error));
            too_large()
        }
    })
}

/// Forwards a stream, and returns the number of its bytes or the error that ended it.
async fn pass_on(mut body: Incoming, mut sender: Sender<Bytes, Broken>) -> Result<usize, Bytes> {
    let (mut length, mut trailers) = (0, HeaderMap::new());
    // After the client has gone away, the rest is read and dropped, so that the function does not notice.
    let mut is_read = true;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            sender.abort(Broken);
            return Err(error("Runtime.TruncatedResponse", "the stream was cut off"));
        };
        match frame.into_data() {
            Ok(data) => {
                length += data.len();
                if length > LONGEST_STREAM {
                    sender.abort(Broken);
                    let message = format!("the stream is longer than the {LONGEST_STREAM} bytes that Lambda accepts");
                    return Err(error("Function.ResponseSizeTooLarge", &message));
                }
                if is_read {
                    is_read = sender.send(Frame::data(data)).await.is_ok();
                }
            }
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    let text = |name: &str| trailers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let Some(kind) = text(ERROR_TYPE) else { return Ok(length) };
    sender.abort(Broken);
    let reported = text(ERROR_BODY).and_then(|body| BASE64_STANDARD.decode(body).ok());
    Err(reported.map_or_else(|| error(&kind, "the stream ended with an error"), Bytes::from))
}

/// The complete body, or `None` if it is longer than `limit`.
pub async fn read(mut body: Incoming, limit: usize) -> Result<Option<Bytes>, hyper::Error> {
    // Read up to this many bytes of an oversized body, because a client that is interrupted while writing may not read the
    // response.
    const READ: usize = 64 << 20;
    let (mut bytes, mut length) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        length += data.len();
        if length > READ {
            break;
        }
        if length <= limit {
            bytes.extend_from_slice(&data);
        }
    }
    Ok((length <= limit).then(|| bytes.into()))
}

fn status(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

fn accepted() -> Reply {
    status(StatusCode::ACCEPTED, r#"{"status":"OK"}"#)
}

fn refuse(refused: Refused) -> Reply {
    match refused {
        Refused::Unknown => status(StatusCode::BAD_REQUEST, error("InvalidRequestID", "Invalid request ID")),
        Refused::Answered => {
            status(StatusCode::FORBIDDEN, error("InvalidStateTransition", "Transition is not allowed"))
        }
    }
}

fn too_large() -> Reply {
    let message = format!("Exceeded maximum allowed payload size ({LONGEST_PAYLOAD} bytes).");
    status(StatusCode::PAYLOAD_TOO_LARGE, error("RequestEntityTooLarge", &message))
}
