//! Helpers that the tests of the runtime share.

use std::convert::Infallible;

use conformance::{Received, Reply, RuntimeApi, accepted, event};
use lambda_musl::{
    Context, Error, FromEvent, LambdaHandler,
    testing::{self, Answer, Event, Runtime},
};
use serde_json::Value;

pub const NEXT: &str = "GET /2018-06-01/runtime/invocation/next";

/// Runs `handler` until the script ends. Returns the requests that the Runtime API received and the error that ended the loop.
pub fn run<T, H>(script: impl IntoIterator<Item = Reply>, handler: H) -> (Vec<Received>, Error)
where
    T: FromEvent,
    H: LambdaHandler<T>,
{
    let api = RuntimeApi::start(script);
    let end = Runtime::at(api.address()).unwrap().run(handler).unwrap_err();
    (api.received(), end)
}

/// The response of `handler` to an event. Checks that it accepts another event afterwards.
pub fn answer_to<T, H>(event: impl Into<Event>, handler: H) -> Answer
where
    T: FromEvent,
    H: LambdaHandler<T>,
{
    let [answer, _] = testing::run(handler, [event.into(), "1".into()]).unwrap();
    answer
}

/// The request that ends one invocation. Checks that the function then asks for the next one.
pub fn run_one<T, H>(first: Vec<u8>, handler: H) -> Received
where
    T: FromEvent,
    H: LambdaHandler<T>,
{
    let (mut received, _) = run([Reply::Send(first), accepted(), event("after", "1")], handler);
    assert_eq!(received[0].line, NEXT);
    assert_eq!(received[2].line, NEXT, "the loop continues");
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
pub fn assert_error(answer: &Answer, error_type: &str, message: &str) {
    let header = answer.header("Lambda-Runtime-Function-Error-Type");
    assert_eq!(header, Some(error_type));
    let report = answer.error().unwrap();
    assert_eq!(report.error_type, error_type);
    assert!(report.message.contains(message), "{}", report.message);
    assert!(answer.json()["stackTrace"].is_array());
}
