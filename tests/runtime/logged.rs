//! Each failure of an invocation leaves one line in the log of a complete program.

use std::collections::BTreeMap;

use conformance::{Received, Reply, RuntimeApi, accepted, answer, event};
use lambda_musl::{Context, IntoResponse, Raw};

use crate::{
    child,
    support::{NEXT, path},
};

/// Runs a program that handles two events. Returns the request that ends the first invocation, and the text on stderr.
fn run_one(first: Reply, reply: Reply) -> (Received, String) {
    let api = RuntimeApi::start([first, reply, event("b", "\"fine\""), accepted()]);
    let text = child::run("logged::function", api.address(), &[]);
    let mut received = api.received();
    assert_eq!(received[2].line, NEXT, "the loop continues");
    assert_eq!(received[3].line, path("b", "response"));
    (received.remove(1), text)
}

#[track_caller]
fn assert_line(text: &str, line: &str) {
    let count = text.lines().filter(|printed| printed.starts_with(line)).count();
    assert_eq!(count, 1, "{line}: {text}");
}

/// The function. The event selects what it does.
#[test]
#[ignore = "a function that other tests start"]
fn function() {
    child::main(lambda_musl::run(async |what: String, _: Context| match what.as_str() {
        "fail" => Err("no luck"),
        "panic" => panic!("no hope"),
        "map" => Ok(Answer::Map),
        "long" => Ok(Answer::Long),
        _ => Ok(Answer::Fine),
    }));
}

enum Answer {
    Fine,
    Long,
    Map,
}

impl IntoResponse for Answer {
    fn into_response(self) -> serde_json::Result<Raw> {
        match self {
            Answer::Fine => Ok(Raw::text("fine")),
            Answer::Long => Ok(Raw::text("x".repeat(10_000))),
            Answer::Map => BTreeMap::from([((1, 2), 3)]).into_response(),
        }
    }
}

#[test]
fn a_failed_invocation_is_reported_and_logged() {
    for (text, error_type, rest) in [
        ("{", "Runtime.UnmarshalError", ""),
        ("\"fail\"", "Function.Error", ": \"no luck\""),
        ("\"panic\"", "Function.Panic", ": \"no hope\" at tests/runtime/logged.rs:"),
        ("\"map\"", "Runtime.MarshalError", ""),
    ] {
        let (post, log) = run_one(event("a", text), accepted());
        assert_eq!(post.line, path("a", "error"));
        assert_eq!(post.json()["errorType"], error_type);
        assert_line(&log, &format!("ERROR RequestId: a {error_type}{rest}"));
    }
}

#[test]
fn a_refused_response_or_error_is_logged() {
    for status in [400, 403, 410, 413] {
        for (what, call) in [("\"fine\"", "response"), ("\"fail\"", "error")] {
            let (post, text) = run_one(event("a", what), Reply::Send(answer(status, "no more")));
            assert_eq!(post.line, path("a", call));
            assert_line(&text, "ERROR RequestId: a POST");
            assert!(text.contains(&format!("responded with {status}: no more")), "{text}");
        }
    }
}

#[test]
fn the_log_of_a_long_response_that_is_refused_contains_nothing_of_the_response() {
    let (post, text) = run_one(event("a", "\"long\""), Reply::Send(answer(413, "no more")));
    assert_eq!(post.body.len(), 10_000);
    assert!(text.contains("responded with 413: no more\n") && !text.contains("xx"), "{text}");
}
