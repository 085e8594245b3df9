//! Conditions that end the loop, and the error that names each.

use conformance::{Reply, answer, event, invocation};
use lambda_musl::{Error, testing::Runtime};

use crate::{
    child,
    support::{echo, run},
};

#[track_caller]
fn assert_end(first: Vec<u8>, reason: &str) {
    let (received, end) = run([Reply::Close(first)], echo);
    assert_eq!(received.len(), 1, "nothing is posted");
    assert!(end.to_string().contains(reason), "{end}");
}

#[test]
fn a_runtime_api_that_refuses_next_ends_the_loop_with_its_error_message() {
    for status in [204, 301, 400, 403, 404, 500, 503] {
        let body = r#"{"errorType":"Odd.Type","errorMessage":"not now"}"#;
        let body = if status == 204 { "" } else { body };
        let (_, end) = run([Reply::Send(answer(status, body))], echo);
        let Error::Refused { status: seen, message, .. } = end else {
            panic!("{end}");
        };
        assert_eq!((seen, message.as_str()), (status, body));
    }
}

#[test]
fn an_internal_error_in_reply_to_a_response_or_an_error_ends_the_loop() {
    for text in ["1", "no JSON"] {
        let (_, end) = run([event("a", text), Reply::Send(answer(500, "broken"))], echo);
        assert!(matches!(end, Error::Refused { status: 500, .. }), "{end}");
    }
}

#[test]
fn an_invocation_without_a_usable_request_id_ends_the_loop() {
    for id in ["", "a b", "../../x", "a?b"] {
        assert_end(invocation(id, "", "1"), "Lambda-Runtime-Aws-Request-Id");
    }
    assert_end(answer(200, "1"), "Lambda-Runtime-Aws-Request-Id");
}

#[test]
fn an_invalid_address_in_the_environment_is_reported_with_its_variable() {
    let text = child::run("end::starts", "127.0.0.1:many", &[]);
    let expected =
        "AWS_LAMBDA_RUNTIME_API is \"127.0.0.1:many\": the port is not a number below 65536; expected host:port";
    assert!(text.contains(expected), "{text}");
}

#[test]
#[ignore = "a function that other tests start"]
fn starts() {
    child::main(lambda_musl::run(echo));
}

#[test]
fn an_invalid_address_set_by_the_program_is_not_blamed_on_the_environment() {
    let error = Runtime::at("127.0.0.1:many").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the address of the Runtime API is \"127.0.0.1:many\": the port is not a number below 65536; expected host:port"
    );
}

#[test]
fn an_unreachable_runtime_api_ends_the_loop_with_its_address() {
    let end = Runtime::at("127.0.0.1:1").unwrap().run(echo).unwrap_err();
    let text = end.to_string();
    assert!(text.contains("http://127.0.0.1:1/2018-06-01/runtime/invocation/next"), "{text}");
    assert_eq!(format!("{end:?}"), text, "what main prints is readable");
}

#[test]
fn a_truncated_or_malformed_response_ends_the_loop() {
    let head = "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: a\r\n";
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    for (bytes, reason) in [
        ("HTTP/1.1 2".into(), "end of file"),
        ("HTTP/2 200 OK\r\n\r\n".into(), "status line"),
        (format!("{head}Content-Length: -1\r\n\r\n1"), "Content-Length"),
        (format!("{chunked}2\r\n12\r\nffffffffffffffff\r\n3"), "end of file"),
        (format!("{chunked}zz\r\n12"), "valid chunk size"),
        (format!("{chunked}1\r\n123\r\n"), "longer than its size"),
    ] {
        assert_end(bytes.into_bytes(), reason);
    }
}

#[test]
fn an_endless_head_ends_the_loop() {
    let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
    bytes.extend(b"X: y\r\n".repeat(300_000));
    assert_end(bytes, "the head is longer than");
}
