//! What a handler may be and may return.

use std::{
    cell::RefCell,
    convert::Infallible,
    sync::atomic::{AtomicU32, Ordering},
};

use lambda_musl::{Context, LambdaHandler, Raw};
use serde_json::{Value, json};

use crate::{
    runtime_api::{accepted, event, invocation},
    support::{NEXT, echo, lines, path, run, run_one},
};

#[test]
fn a_response_goes_to_the_invocation_that_it_answers() {
    let script = [
        event("one", "[1]"),
        accepted(),
        event("two", "[2]"),
        accepted(),
    ];
    let (received, _) = run(script, echo);
    assert_eq!(
        lines(&received),
        [
            NEXT,
            &path("one", "response"),
            NEXT,
            &path("two", "response")
        ]
    );
    assert_eq!(received[1].json(), json!([1]));
    assert_eq!(received[3].json(), json!([2]));
}

#[test]
fn a_type_is_a_handler_that_keeps_its_state() {
    struct Counter(AtomicU32);

    impl LambdaHandler<u32> for Counter {
        type Response = u32;
        type Error = Infallible;

        async fn handle(&self, step: u32, _: Context) -> Result<u32, Infallible> {
            Ok(self.0.fetch_add(step, Ordering::Relaxed) + step)
        }
    }

    let script = [event("a", "2"), accepted(), event("b", "3"), accepted()];
    let (received, _) = run(script, Counter(AtomicU32::new(10)));
    assert_eq!(received[1].body, b"12");
    assert_eq!(received[3].body, b"15");
}

#[test]
fn an_async_closure_is_a_handler_that_borrows_what_it_captured() {
    let seen = RefCell::new(Vec::new());
    let handler = async |name: String, _: Context| {
        seen.borrow_mut().push(name.clone());
        Ok::<_, Infallible>(name.len())
    };
    run([event("a", r#""Zoë""#), accepted()], handler);
    assert_eq!(seen.into_inner(), ["Zoë"]);
}

#[test]
fn a_value_is_sent_as_json() {
    let post = run_one(invocation("a", &[], "null"), echo);
    assert_eq!(post.header("Content-Type"), Some("application/json"));
    assert_eq!(post.body, b"null");
}

#[test]
fn text_is_sent_as_it_is() {
    let handler = async |_: Value, _: Context| Ok::<_, Infallible>(Raw::text("no \"quotes\""));
    let post = run_one(invocation("a", &[], "1"), handler);
    assert_eq!(
        post.header("Content-Type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(post.body, b"no \"quotes\"");
}

#[test]
fn bytes_are_sent_as_they_are() {
    let handler =
        async |_: Value, _: Context| Ok::<_, Infallible>(Raw::bytes([0, 255, b'\r', b'\n']));
    let post = run_one(invocation("a", &[], "1"), handler);
    assert_eq!(
        post.header("Content-Type"),
        Some("application/octet-stream")
    );
    assert_eq!(post.body, [0, 255, b'\r', b'\n']);
}

#[test]
fn a_content_type_cannot_smuggle_a_header_in() {
    let handler =
        async |_: Value, _: Context| Ok::<_, Infallible>(Raw::new("a/b\r\nX-Evil: 1", "body"));
    let post = run_one(invocation("a", &[], "1"), handler);
    assert_eq!(post.header("X-Evil"), None);
    assert_eq!(post.header("Content-Type"), Some("a/b  X-Evil: 1"));
}

#[test]
fn the_longest_event_and_response_go_through() {
    let longest = format!("\"{}\"", "x".repeat(6 * 1024 * 1024));
    let post = run_one(invocation("a", &[], &longest), echo);
    assert_eq!(post.body, longest.as_bytes());
}

#[test]
fn an_event_can_be_taken_as_it_is_with_its_content_type() {
    let handler = async |event: Raw, _: Context| Ok::<_, Infallible>(event);
    let mut bytes = invocation("a", &[("Content-Type", "image/x")], "1234");
    let length = bytes.len();
    bytes[length - 4..].copy_from_slice(b"\xff\x00{\n");
    let post = run_one(bytes, handler);
    assert_eq!(post.header("Content-Type"), Some("image/x"));
    assert_eq!(post.body, b"\xff\x00{\n");
}

#[test]
fn an_event_of_no_bytes_can_be_taken_as_it_is() {
    let handler = async |event: Raw, _: Context| Ok::<_, Infallible>(event.body.len());
    assert_eq!(run_one(invocation("a", &[], ""), handler).body, b"0");
}
