//! Errors of the function: each is reported, and the loop continues.

use std::{collections::BTreeMap, convert::Infallible, error::Error, io};

use lambda_musl::{Context, Failure, IntoFailure, testing::Event};
use serde_json::{Value, json};

use crate::support::{answer_to, assert_error, echo};

#[test]
fn an_event_that_does_not_parse_is_an_unmarshal_error() {
    let handler = async |event: Vec<u32>, _: Context| Ok::<_, Infallible>(event);
    for event in ["", "{", "{}", "[\"one\"]", "\u{fffd}", "[1] [2]"] {
        assert_error(&answer_to(event, handler), "Runtime.UnmarshalError", "the event is not what");
    }
}

#[test]
fn an_event_that_is_not_utf_8_is_an_unmarshal_error() {
    let answer = answer_to(Event::new(b"\"\xff\xfe!\""), echo);
    assert_error(&answer, "Runtime.UnmarshalError", "");
}

#[test]
fn errors_of_common_types_are_reported_without_a_conversion() {
    fn check<E: IntoFailure>(error: impl Fn() -> E) {
        let handler = async |_: Value, _: Context| Err::<(), E>(error());
        let answer = answer_to("1", handler);
        assert_error(&answer, "Function.Error", "no such user");
    }
    check(|| "no such user");
    check(|| "no such user".to_owned());
    check(|| std::borrow::Cow::from("no such user"));
    check(|| io::Error::other("no such user"));
    check(|| anyhow::anyhow!("no such user"));
    check(|| Box::<dyn Error>::from("no such user"));
    check(|| Box::<dyn Error + Send + Sync>::from("no such user"));
}

#[test]
fn an_error_type_that_the_function_defines_is_reported() {
    struct NoSuchUser(&'static str);

    impl IntoFailure for NoSuchUser {
        fn into_failure(self) -> Failure {
            Failure::new("Function.NoSuchUser", format!("no user {}", self.0))
        }
    }

    let handler = async |_: Value, _: Context| Err::<(), _>(NoSuchUser("Zoë"));
    let answer = answer_to("1", handler);
    assert_error(&answer, "Function.NoSuchUser", "no user Zoë");
}

#[test]
fn the_question_mark_operator_converts_an_error_into_a_failure() {
    struct Bad(std::num::ParseIntError);

    impl From<Bad> for Failure {
        fn from(Bad(error): Bad) -> Failure {
            Failure::new("Function.BadNumber", error)
        }
    }

    let handler = async |text: String, _: Context| -> Result<u8, Failure> { Ok(text.parse().map_err(Bad)?) };
    let answer = answer_to("\"x\"", handler);
    assert_error(&answer, "Function.BadNumber", "invalid digit");
}

#[test]
fn the_sources_of_an_error_are_in_its_stack_trace_and_its_xray_cause() {
    let handler = async |_: Value, _: Context| {
        let inner = anyhow::anyhow!("Zoë\nis away").context("asking Zoë");
        Err::<(), Box<dyn Error + Send + Sync>>(inner.context("answering").into())
    };
    let answer = answer_to("1", handler);
    assert_error(&answer, "Function.Error", "answering");
    assert_eq!(answer.json()["stackTrace"], json!(["asking Zoë", "Zoë\nis away"]));
    let cause = answer.header("Lambda-Runtime-Function-XRay-Error-Cause").unwrap();
    let cause: Value = serde_json::from_str(cause).unwrap();
    let messages: Vec<&Value> =
        cause["exceptions"].as_array().unwrap().iter().map(|exception| &exception["message"]).collect();
    assert_eq!(messages, ["answering", "asking Zoë", "Zoë\nis away"]);
}

#[test]
fn a_huge_error_is_truncated_to_what_lambda_accepts() {
    let handler = async |_: Value, _: Context| {
        let long = "\u{1}🦀".repeat(1_000_000);
        Err::<(), _>(Failure::new(long.clone(), long))
    };
    let answer = answer_to("1", handler);
    assert!(answer.body.len() < 1024 * 1024);
    assert!(answer.json()["errorMessage"].as_str().unwrap().ends_with("… (cut)"));
    let cause = answer.header("Lambda-Runtime-Function-XRay-Error-Cause").unwrap();
    assert!(cause.len() <= 64 * 1024);
}

#[test]
fn an_error_type_cannot_inject_a_header() {
    let handler = async |_: Value, _: Context| Err::<(), _>(Failure::new("A\r\nX-Evil: 1", "no"));
    let answer = answer_to("1", handler);
    assert_eq!(answer.header("X-Evil"), None);
    assert_eq!(answer.json()["errorType"], "A\r\nX-Evil: 1");
}

#[test]
fn a_response_that_does_not_serialize_is_a_marshal_error() {
    let handler = async |_: Value, _: Context| Ok::<_, Infallible>(BTreeMap::from([((1, 2), 3)]));
    let answer = answer_to("1", handler);
    assert_error(&answer, "Runtime.MarshalError", "cannot be serialized");
}
