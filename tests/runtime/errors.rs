//! What goes wrong in the function: it is reported, and the loop goes on.

use std::{collections::BTreeMap, convert::Infallible};

use lambda_musl::{Context, Runtime};
use serde_json::Value;

use crate::{
    runtime_api::{RuntimeApi, accepted, event, invocation},
    support::{assert_error, echo, run_one},
};

#[test]
fn an_event_that_does_not_parse_is_an_unmarshal_error() {
    let handler = async |event: Vec<u32>, _: Context| Ok::<_, Infallible>(event);
    for wrong in ["", "{", "{}", "[\"one\"]", "\u{fffd}", "[1] [2]"] {
        let api = RuntimeApi::start([event("a", wrong), accepted()]);
        let _ = Runtime::at(api.address()).unwrap().run(handler);
        assert_error(
            &api.received()[1],
            "Runtime.UnmarshalError",
            "the event is not what",
        );
    }
}

#[test]
fn an_event_that_is_not_utf_8_is_an_unmarshal_error() {
    let mut bytes = invocation("a", &[], "12345");
    bytes.truncate(bytes.len() - 5);
    bytes.extend(b"\"\xff\xfe!\"");
    assert_error(&run_one(bytes, echo), "Runtime.UnmarshalError", "");
}

#[test]
fn an_error_that_displays_is_reported() {
    let handler = async |_: Value, _: Context| Err::<(), _>("no such user");
    let post = run_one(invocation("a", &[], "1"), handler);
    assert_error(&post, "Function.Error", "no such user");
}

#[test]
fn a_boxed_error_is_reported() {
    let handler = async |_: Value, _: Context| -> Result<u32, Box<dyn std::error::Error>> {
        Ok("x".parse::<u32>()?)
    };
    let post = run_one(invocation("a", &[], "1"), handler);
    assert_error(&post, "Function.Error", "invalid digit");
}

#[test]
fn a_response_that_does_not_serialize_is_a_marshal_error() {
    let handler = async |_: Value, _: Context| Ok::<_, Infallible>(BTreeMap::from([((1, 2), 3)]));
    let post = run_one(invocation("a", &[], "1"), handler);
    assert_error(&post, "Runtime.MarshalError", "does not serialize");
}
