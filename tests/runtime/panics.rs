//! Panics: each is reported with its location, and the loop continues.

use std::{
    convert::Infallible,
    fmt::{self, Display},
};

use lambda_musl::{Context, testing};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::support::{answer_to, assert_error};

#[test]
fn a_panic_is_reported_with_its_message_and_location() {
    let handler = async |n: u32, _: Context| {
        assert!(n > 1, "n is {n}");
        Ok::<_, Infallible>(n)
    };
    let [panicked, next] = testing::run(handler, ["1", "2"]).unwrap();
    assert_error(&panicked, "Function.Panic", "n is 1");
    let location = &panicked.error().unwrap().stack_trace[0];
    assert!(location.starts_with("tests/runtime/panics.rs:"), "{location}");
    assert_eq!(next.error(), None, "the loop continues");
}

#[test]
fn a_panic_after_waiting_is_reported() {
    let handler = async |_: Value, _: Context| -> Result<(), Infallible> {
        let mut waited = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut waited, true) {
                return std::task::Poll::Ready(());
            }
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
        panic!("late")
    };
    let answer = answer_to("1", handler);
    assert_error(&answer, "Function.Panic", "late");
}

#[test]
fn a_panic_whose_payload_panics_when_dropped_is_reported() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("again")
        }
    }
    let handler = async |_: Value, _: Context| -> Result<(), Infallible> { std::panic::panic_any(Bomb) };
    let answer = answer_to("1", handler);
    assert_error(&answer, "Function.Panic", "without a message");
}

#[test]
fn a_panic_is_not_reported_with_the_location_of_an_earlier_one() {
    let handler = async |n: u32, _: Context| -> Result<(), Infallible> {
        if n == 1 {
            let _ = std::panic::catch_unwind(|| panic!("caught by the handler"));
            return Ok(());
        }
        std::panic::resume_unwind(Box::new("no hook runs"))
    };
    let [_, answer] = testing::run(handler, ["1", "2"]).unwrap();
    assert_error(&answer, "Function.Panic", "no hook runs");
    assert_eq!(answer.json()["stackTrace"], json!([]));
}

#[test]
fn a_panic_while_serializing_a_response_is_reported() {
    struct Response;
    impl Serialize for Response {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("serialize")
        }
    }
    let handler = async |_: Value, _: Context| Ok::<_, Infallible>(Response);
    assert_error(&answer_to("1", handler), "Function.Panic", "serialize");
}

#[test]
fn a_panic_while_formatting_an_error_is_reported() {
    struct Wrong;
    impl Display for Wrong {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("display")
        }
    }
    let handler = async |_: Value, _: Context| Err::<(), _>(Wrong);
    assert_error(&answer_to("1", handler), "Function.Panic", "display");
}
