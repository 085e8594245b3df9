//! Each kind of reply of the Runtime API and what a runtime must do about it, tested with a complete program, its log and its exit
//! status. The other files test the details.

use std::collections::BTreeMap;

use conformance::{Received, Reply, RuntimeApi, accepted, answer, event, invocation};
use lambda_musl::{Context, Failure, IntoResponse, Raw};
use serde_json::Value;

use crate::{
    child,
    support::{NEXT, path},
};

/// Runs a program until the script ends and checks that it exits with 1. Returns its requests and the text on stderr.
fn run(script: impl IntoIterator<Item = Reply>) -> (Vec<Received>, String) {
    let api = RuntimeApi::start(script);
    let output = child::function("table::function", api.address()).output();
    let text = child::stderr(output.unwrap());
    (api.received(), text)
}

/// The request that ends the first invocation, and the text on stderr. Checks that the function handles a second event.
fn run_one(first: Reply, reply: Reply) -> (Received, String) {
    let (mut received, text) = run([first, reply, event("b", "\"fine\""), accepted()]);
    assert_eq!(received[2].line, NEXT, "the loop continues");
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

/// The function. The event selects what it does.
#[test]
#[ignore = "a function that other tests start"]
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
fn a_lost_or_refused_connection_on_next_ends_the_program() {
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
fn any_status_other_than_200_on_next_ends_the_program() {
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
fn a_200_without_a_request_id_ends_the_program() {
    let (received, text) = run([Reply::Send(answer(200, "1"))]);
    assert_eq!(received.len(), 1);
    assert!(
        text.contains("without a usable Lambda-Runtime-Aws-Request-Id"),
        "{text}"
    );
    assert!(!text.contains("panicked"));
}

#[test]
fn a_bad_deadline_client_context_or_cognito_header_is_ignored() {
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
fn an_event_that_does_not_parse_is_reported_and_logged() {
    let (post, text) = run_one(event("a", "{"), accepted());
    assert_error(&post, "Runtime.UnmarshalError");
    assert_line(&text, "ERROR RequestId: a Runtime.UnmarshalError");
}

#[test]
fn an_error_of_the_handler_is_reported_and_logged() {
    let (post, text) = run_one(event("a", "\"fail\""), accepted());
    assert_error(&post, "Function.Error");
    assert_line(&text, "ERROR RequestId: a Function.Error: \"no luck\"");
}

#[test]
fn a_panic_of_the_handler_is_reported_and_logged() {
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
fn a_response_that_does_not_serialize_is_reported_and_logged() {
    let (post, text) = run_one(event("a", "\"map\""), accepted());
    assert_error(&post, "Runtime.MarshalError");
    assert_line(&text, "ERROR RequestId: a Runtime.MarshalError");
}

#[test]
fn a_413_on_a_response_is_logged() {
    let message = r#"{"errorType":"RequestEntityTooLarge"}"#;
    let (post, text) = run_one(event("a", "\"fine\""), Reply::Send(answer(413, message)));
    assert_eq!(post.line, path("a", "response"));
    assert_line(&text, "ERROR RequestId: a POST");
    assert!(text.contains(&format!("answered 413: {message}")), "{text}");
}

#[test]
fn a_400_403_or_410_on_a_post_is_logged() {
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
fn a_500_on_any_request_ends_the_program() {
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
fn a_failing_initializer_is_reported_before_the_first_next() {
    let api = RuntimeApi::start([accepted()]);
    let output = child::function("table::no_start", api.address()).output();
    let text = child::stderr(output.unwrap());
    assert_line(&text, "ERROR Function.NoTable: \"TABLE is not set\"");
    let received = api.received();
    assert_eq!(received[0].line, "POST /2018-06-01/runtime/init/error");
    assert_eq!(received[0].json()["errorType"], "Function.NoTable");
}

#[test]
#[ignore = "a function that other tests start"]
fn no_start() {
    let start = || Err::<Value, _>(Failure::new("Function.NoTable", "TABLE is not set"));
    child::main(lambda_musl::init(start).map(drop));
}
