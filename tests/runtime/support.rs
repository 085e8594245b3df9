//! What the tests of the runtime share.

use std::convert::Infallible;

use lambda_musl::{Context, Error, FromEvent, LambdaHandler, Runtime};
use serde_json::Value;

use crate::runtime_api::{Received, RuntimeApi, Step, accepted, event};

pub const NEXT: &str = "GET /2018-06-01/runtime/invocation/next";

/// Runs `handler` until the script is through: what the Runtime API saw, and how the loop ended.
pub fn run<T, H>(script: impl IntoIterator<Item = Step>, handler: H) -> (Vec<Received>, Error)
where
    T: FromEvent,
    H: LambdaHandler<T>,
{
    let api = RuntimeApi::start(script);
    let end = Runtime::at(api.address())
        .unwrap()
        .run(handler)
        .unwrap_err();
    (api.received(), end)
}

/// What the Runtime API saw of one invocation and what came after it.
pub fn run_one<T, H>(first: Vec<u8>, handler: H) -> Received
where
    T: FromEvent,
    H: LambdaHandler<T>,
{
    let (mut received, _) = run(
        [Step::Send(first), accepted(), event("after", "1")],
        handler,
    );
    assert_eq!(received[0].line, NEXT);
    assert_eq!(received[2].line, NEXT, "the loop goes on");
    received.remove(1)
}

/// The method and the path of each request.
pub fn lines(received: &[Received]) -> Vec<&str> {
    received.iter().map(|request| &*request.line).collect()
}

pub async fn echo(event: Value, _: Context) -> Result<Value, Infallible> {
    Ok(event)
}

pub fn path(id: &str, call: &str) -> String {
    format!("POST /2018-06-01/runtime/invocation/{id}/{call}")
}

#[track_caller]
pub fn assert_error(post: &Received, error_type: &str, message: &str) {
    assert_eq!(post.line, path("a", "error"));
    let header = post.header("Lambda-Runtime-Function-Error-Type");
    assert_eq!(header, Some(error_type));
    let report = post.json();
    assert_eq!(report["errorType"], error_type);
    let text = report["errorMessage"].as_str().unwrap();
    assert!(text.contains(message), "{text}");
    assert!(report["stackTrace"].is_array());
}
