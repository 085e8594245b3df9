//! Panics: reported with their place, and the loop goes on.

use std::{
    convert::Infallible,
    fmt::{self, Display},
};

use lambda_musl::Context;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::{
    runtime_api::{accepted, event, invocation},
    support::{assert_error, path, run, run_one},
};

#[test]
fn a_panic_is_reported_with_its_message_and_place() {
    let handler = async |n: u32, _: Context| {
        assert!(n > 1, "n is {n}");
        Ok::<_, Infallible>(n)
    };
    let script = [event("a", "1"), accepted(), event("b", "2"), accepted()];
    let (received, _) = run(script, handler);
    assert_error(&received[1], "Function.Panic", "n is 1");
    let place = received[1].json()["stackTrace"][0]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(place.starts_with("tests/runtime/panics.rs:"), "{place}");
    assert_eq!(received[3].line, path("b", "response"), "the loop goes on");
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
    let post = run_one(invocation("a", &[], "1"), handler);
    assert_error(&post, "Function.Panic", "late");
}

#[test]
fn a_panic_that_throws_what_panics_when_dropped_is_reported() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("again")
        }
    }
    let handler =
        async |_: Value, _: Context| -> Result<(), Infallible> { std::panic::panic_any(Bomb) };
    let post = run_one(invocation("a", &[], "1"), handler);
    assert_error(&post, "Function.Panic", "without a message");
}

#[test]
fn the_place_of_a_panic_is_not_that_of_an_earlier_one() {
    let handler = async |n: u32, _: Context| -> Result<(), Infallible> {
        if n == 1 {
            let _ = std::panic::catch_unwind(|| panic!("the handler's own matter"));
            return Ok(());
        }
        std::panic::resume_unwind(Box::new("no hook is asked"))
    };
    let script = [event("x", "1"), accepted(), event("a", "2"), accepted()];
    let (received, _) = run(script, handler);
    assert_error(&received[3], "Function.Panic", "no hook is asked");
    assert_eq!(received[3].json()["stackTrace"], json!([]));
}

#[test]
fn a_panic_in_a_responses_own_code_is_reported() {
    struct Response;
    impl Serialize for Response {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("serialize")
        }
    }
    let handler = async |_: Value, _: Context| Ok::<_, Infallible>(Response);
    assert_error(
        &run_one(invocation("a", &[], "1"), handler),
        "Function.Panic",
        "serialize",
    );
}

#[test]
fn a_panic_in_an_errors_own_code_is_reported() {
    struct Wrong;
    impl Display for Wrong {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("display")
        }
    }
    let handler = async |_: Value, _: Context| Err::<(), _>(Wrong);
    assert_error(
        &run_one(invocation("a", &[], "1"), handler),
        "Function.Panic",
        "display",
    );
}
