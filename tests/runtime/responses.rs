//! The kinds of handlers, events and responses.

use std::{
    cell::RefCell,
    convert::Infallible,
    sync::atomic::{AtomicU32, Ordering},
};

use conformance::{accepted, event};
use lambda_musl::{
    Context, FromEvent, LambdaHandler, Raw,
    testing::{self, Event},
};
use serde_json::{Value, json};

use crate::support::{NEXT, answer_to, echo, lines, path, run};

#[test]
fn each_response_is_sent_for_its_own_invocation() {
    let script = [event("one", "[1]"), accepted(), event("two", "[2]"), accepted()];
    let (received, _) = run(script, echo);
    assert_eq!(lines(&received), [NEXT, &path("one", "response"), NEXT, &path("two", "response")]);
    assert_eq!(received[1].json(), json!([1]));
    assert_eq!(received[3].json(), json!([2]));
}

#[test]
fn a_type_can_be_a_handler_and_keep_state() {
    struct Counter(AtomicU32);

    impl LambdaHandler<u32> for Counter {
        type Response = u32;
        type Error = Infallible;

        async fn handle(&self, step: u32, _: Context) -> Result<u32, Infallible> {
            Ok(self.0.fetch_add(step, Ordering::Relaxed) + step)
        }
    }

    let [first, second] = testing::run(Counter(AtomicU32::new(10)), ["2", "3"]).unwrap();
    assert_eq!(first.body, b"12");
    assert_eq!(second.body, b"15");
}

#[test]
fn an_async_closure_can_be_a_handler_and_borrow_its_captures() {
    let seen = RefCell::new(Vec::new());
    let handler = async |name: String, _: Context| {
        seen.borrow_mut().push(name.clone());
        Ok::<_, Infallible>(name.len())
    };
    testing::run(handler, [r#""Zoë""#]).unwrap();
    assert_eq!(seen.into_inner(), ["Zoë"]);
}

#[test]
fn a_response_and_the_next_event_reuse_the_memory_of_an_event() {
    struct Place(usize);

    impl FromEvent for Place {
        fn from_event(event: &mut Raw) -> serde_json::Result<Self> {
            Ok(Place(event.body.as_ptr().addr()))
        }
    }

    let places = RefCell::new(Vec::new());
    let handler = async |Place(place): Place, _: Context| {
        places.borrow_mut().push(place);
        // If the memory of the event were free, this allocation could take it.
        let other = vec![1; 10_000];
        Ok::<_, Infallible>(other.len())
    };
    let long = json!("x".repeat(9_000));
    testing::run(handler, [long.clone(), json!("y"), long]).unwrap();
    let places = places.into_inner();
    assert_eq!(places, [places[0]; 3]);
}

#[test]
fn a_response_with_more_memory_than_lambda_accepts_is_not_kept() {
    let room = RefCell::new(Vec::new());
    let handler = async |event: Raw, _: Context| {
        room.borrow_mut().push(event.body.capacity());
        Ok::<_, Infallible>(Raw::bytes(Vec::with_capacity(9 << 20)))
    };
    testing::run(handler, ["1", "2"]).unwrap();
    assert!(room.borrow().iter().all(|bytes| *bytes < 1 << 20), "{room:?}");
}

#[test]
fn nothing_of_a_long_event_is_left_in_the_next_ones() {
    let events = ["x".repeat(100_000), String::new(), "y".repeat(50_000), "z".repeat(200_000)].map(Value::from);
    let answers = testing::run(echo, events.clone()).unwrap();
    assert_eq!(answers.map(|answer| answer.json()), events);
}

#[test]
fn a_value_is_sent_as_json() {
    let answer = answer_to("null", echo);
    assert_eq!(answer.content_type(), Some("application/json"));
    assert_eq!(answer.body, b"null");
}

#[test]
fn text_is_sent_unchanged() {
    let handler = async |_: Value, _: Context| Ok::<_, Infallible>(Raw::text("no \"quotes\""));
    let answer = answer_to("1", handler);
    assert_eq!(answer.content_type(), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.body, b"no \"quotes\"");
}

#[test]
fn bytes_are_sent_unchanged() {
    let handler = async |_: Value, _: Context| Ok::<_, Infallible>(Raw::bytes([0, 255, b'\r', b'\n']));
    let answer = answer_to("1", handler);
    assert_eq!(answer.content_type(), Some("application/octet-stream"));
    assert_eq!(answer.body, [0, 255, b'\r', b'\n']);
}

#[test]
fn a_content_type_cannot_inject_a_header() {
    let handler = async |_: Value, _: Context| Ok::<_, Infallible>(Raw::new("a/b\r\nX-Evil: 1", "body"));
    let answer = answer_to("1", handler);
    assert_eq!(answer.header("X-Evil"), None);
    assert_eq!(answer.content_type(), Some("a/b  X-Evil: 1"));
}

#[test]
fn the_longest_event_and_response_are_handled() {
    let longest = format!("\"{}\"", "x".repeat(6 * 1024 * 1024));
    let answer = answer_to(&*longest, echo);
    assert_eq!(answer.body, longest.as_bytes());
}

#[test]
fn a_raw_event_has_its_bytes_and_its_content_type() {
    let handler = async |event: Raw, _: Context| Ok::<_, Infallible>(event);
    let event = Event::new(b"\xff\x00{\n").header("Content-Type", "image/x");
    let answer = answer_to(event, handler);
    assert_eq!(answer.content_type(), Some("image/x"));
    assert_eq!(answer.body, b"\xff\x00{\n");
}

#[test]
fn a_raw_event_may_be_empty() {
    let handler = async |event: Raw, _: Context| Ok::<_, Infallible>(event.body.len());
    assert_eq!(answer_to("", handler).body, b"0");
}
