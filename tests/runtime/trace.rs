//! The trace ID in the environment.

use std::convert::Infallible;

use conformance::{Reply, RuntimeApi, accepted, event, invocation};
use lambda_musl::Context;

use crate::child;

#[test]
fn the_trace_id_is_set_for_each_invocation_and_removed_if_an_event_has_none() {
    let traced = |id| {
        let header = format!("Lambda-Runtime-Trace-Id: {id}\r\n");
        Reply::Send(invocation(id, header, "null"))
    };
    let api =
        RuntimeApi::start([traced("one"), accepted(), traced("two"), accepted(), event("three", "null"), accepted()]);
    child::run("trace::returns_the_trace_id", api.address(), &[]);
    let received = api.received();
    assert_eq!(received[1].body, br#""one""#);
    assert_eq!(received[3].body, br#""two""#);
    assert_eq!(received[5].body, b"null");
}

#[test]
fn on_managed_instances_the_environment_does_not_change() {
    let next = invocation("a", "Lambda-Runtime-Trace-Id: new\r\n", "null");
    let api = RuntimeApi::start([Reply::Send(next), accepted()]);
    let text = child::run("trace::returns_the_trace_id", api.address(), &[("AWS_LAMBDA_MAX_CONCURRENCY", "8")]);
    assert!(text.contains("AWS_LAMBDA_MAX_CONCURRENCY is 8, but"), "{text}");
    assert_eq!(api.received()[1].body, b"null");
}

#[test]
#[ignore = "a function that other tests start"]
fn returns_the_trace_id() {
    child::main(lambda_musl::run(async |(): (), _: Context| {
        Ok::<_, Infallible>(std::env::var("_X_AMZN_TRACE_ID").ok())
    }));
}
