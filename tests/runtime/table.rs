//! What comes back from the Runtime API, and what a runtime must do: the whole program, with what it prints and how it
//! exits. The other files go into the details.

use std::collections::BTreeMap;

use conformance::{Received, Reply, RuntimeApi, accepted, answer, event, invocation};
use lambda_musl::{Context, Failure, IntoResponse, Raw};
use serde_json::Value;

use crate::{
    child,
    support::{NEXT, path},
};

/// What came in and what was printed, of a program that runs until the script is through, and exits with 1.
fn run(script: impl IntoIterator<Item = Reply>) -> (Vec<Received>, String) {
    let api = RuntimeApi::start(script);
    let output = child::function("table::function", api.address()).output();
    let text = child::stderr(output.unwrap());
    (api.received(), text)
}

/// What came in for a first invocation, that the function goes on after it, and what was printed of it.
fn run_one(first: Reply, reply: Reply) -> (Received, String) {
    let (mut received, text) = run([first, reply, event("b", "\"fine\""), accepted()]);
    assert_eq!(received[2].line, NEXT, "it goes on");
    assert_eq!(received[3].line, path("b", "response"));
    (received.remove(1), text)
}

fn assert_error(post: &Received, error_type: &str) {
    assert_eq!(post.line, path("a", "error"));
    assert_eq!(post.json()["errorType"], error_type);
}

#[track_caller]
fn assert_line(text: &str, line: &str) {
    let count = text
        .lines()
        .filter(|printed| printed.starts_with(line))
        .count();
    assert_eq!(count, 1, "{line}: {text}");
}

/// The function: what it does stands in the event.
#[test]
#[ignore = "a function"]
fn function() {
    child::main(lambda_musl::run(
        async |what: String, _: Context| match what.as_str() {
            "fail" => Err("no luck"),
            "panic" => panic!("no hope"),
            "map" => Ok(Answer::Map),
            _ => Ok(Answer::Fine),
        },
    ));
}

enum Answer {
    Fine,
    Map,
}

impl IntoResponse for Answer {
    fn into_response(self) -> serde_json::Result<Raw> {
        match self {
            Answer::Fine => Ok(Raw::text("fine")),
            Answer::Map => BTreeMap::from([((1, 2), 3)]).into_response(),
        }
    }
}

#[test]
fn connecting_or_reading_fails_on_next() {
    let (received, text) = run([Reply::Close(Vec::new())]);
    assert_eq!(received.len(), 1);
    assert!(
        text.contains("invocation/next: the Runtime API cannot be reached"),
        "{text}"
    );
    let output = child::function("table::function", "127.0.0.1:1").output();
    assert!(child::stderr(output.unwrap()).contains("refused"));
}

#[test]
fn next_answers_anything_but_200() {
    for status in [202, 302, 400, 403, 410, 500] {
        let message = r#"{"errorType":"Odd.Type","errorMessage":"not now"}"#;
        let (received, text) = run([Reply::Send(answer(status, message))]);
        assert_eq!(received.len(), 1);
        assert!(
            text.contains(&format!("answered {status}: {message}")),
            "{text}"
        );
    }
}

#[test]
fn a_200_without_a_request_id() {
    let (received, text) = run([Reply::Send(answer(200, "1"))]);
    assert_eq!(received.len(), 1);
    assert!(
        text.contains("no usable Lambda-Runtime-Aws-Request-Id"),
        "{text}"
    );
    assert!(!text.contains("panicked"));
}

#[test]
fn a_bad_deadline_client_context_or_cognito_header() {
    for bad in [
        "",
        "{",
        "{\"custom\":{\"a\":1}}",
        "99999999999999999999",
        "Zoë",
    ] {
        let headers = ["Deadline-Ms", "Client-Context", "Cognito-Identity"]
            .map(|name| format!("Lambda-Runtime-{name}: {bad}\r\n"));
        let first = Reply::Send(invocation("a", headers.concat(), "\"fine\""));
        assert_eq!(run_one(first, accepted()).0.body, b"fine");
    }
}

#[test]
fn the_event_does_not_parse() {
    let (post, text) = run_one(event("a", "{"), accepted());
    assert_error(&post, "Runtime.UnmarshalError");
    assert_line(&text, "ERROR RequestId: a Runtime.UnmarshalError");
}

#[test]
fn the_handler_returns_an_error() {
    let (post, text) = run_one(event("a", "\"fail\""), accepted());
    assert_error(&post, "Function.Error");
    assert_line(&text, "ERROR RequestId: a Function.Error: \"no luck\"");
}

#[test]
fn the_handler_panics() {
    let (post, text) = run_one(event("a", "\"panic\""), accepted());
    assert_error(&post, "Function.Panic");
    assert_eq!(post.json()["errorMessage"], "no hope");
    let location = post.json()["stackTrace"][0].take();
    assert!(
        location
            .as_str()
            .unwrap()
            .starts_with("tests/runtime/table.rs:")
    );
    assert_line(
        &text,
        "ERROR RequestId: a Function.Panic: \"no hope\" at tests/runtime/table.rs:",
    );
}

#[test]
fn the_response_does_not_serialize() {
    let (post, text) = run_one(event("a", "\"map\""), accepted());
    assert_error(&post, "Runtime.MarshalError");
    assert_line(&text, "ERROR RequestId: a Runtime.MarshalError");
}

#[test]
fn a_413_on_response() {
    let message = r#"{"errorType":"RequestEntityTooLarge"}"#;
    let (post, text) = run_one(event("a", "\"fine\""), Reply::Send(answer(413, message)));
    assert_eq!(post.line, path("a", "response"));
    assert_line(&text, "ERROR RequestId: a POST");
    assert!(text.contains(&format!("answered 413: {message}")), "{text}");
}

#[test]
fn a_400_403_or_410_on_a_post() {
    for status in [400, 403, 410] {
        for (what, call) in [("\"fine\"", "response"), ("\"fail\"", "error")] {
            let (post, text) = run_one(event("a", what), Reply::Send(answer(status, "no more")));
            assert_eq!(post.line, path("a", call));
            assert_line(&text, "ERROR RequestId: a POST");
            assert!(
                text.contains(&format!("answered {status}: no more")),
                "{text}"
            );
        }
    }
}

#[test]
fn a_500_anywhere() {
    let broken = || Reply::Send(answer(500, "broken"));
    for what in ["\"fine\"", "\"fail\"", "\"panic\"", "{"] {
        let (received, text) = run([event("a", what), broken()]);
        assert_eq!(received.len(), 2, "{what}");
        assert!(text.contains("answered 500: broken"), "{text}");
    }
    let (received, _) = run([broken()]);
    assert_eq!(received.len(), 1);
}

#[test]
fn start_up_fails_before_the_first_next() {
    let api = RuntimeApi::start([accepted()]);
    let output = child::function("table::no_start", api.address()).output();
    let text = child::stderr(output.unwrap());
    assert_line(&text, "ERROR Function.NoTable: \"TABLE is not set\"");
    let received = api.received();
    assert_eq!(received[0].line, "POST /2018-06-01/runtime/init/error");
    assert_eq!(received[0].json()["errorType"], "Function.NoTable");
}

#[test]
#[ignore = "a function"]
fn no_start() {
    let start = || Err::<Value, _>(Failure::new("Function.NoTable", "TABLE is not set"));
    child::main(lambda_musl::init(start).map(drop));
}
