//! Initializers, which run before the first invocation.

use std::convert::Infallible;

use conformance::{Received, Reply, RuntimeApi, accepted, answer};
use lambda_musl::{Error, Failure, testing::Runtime};
use serde_json::json;

use crate::{child, support::echo};

const INIT_ERROR: &str = "POST /2018-06-01/runtime/init/error";

fn init<E: lambda_musl::IntoFailure>(init: impl Future<Output = Result<(), E>>, reply: Reply) -> (Received, Error) {
    let api = RuntimeApi::start([reply]);
    let runtime = Runtime::at(api.address()).unwrap();
    let end = pollster::block_on(runtime.init_async(init)).unwrap_err();
    (api.received().remove(0), end)
}

#[test]
fn an_initializer_that_fails_is_an_init_error() {
    let failure = Failure::new("Function.NoTable", "TABLE is not set");
    let (post, end) = init(async { Err(failure) }, accepted());
    assert_eq!(post.line, INIT_ERROR);
    let header = post.header("Lambda-Runtime-Function-Error-Type");
    assert_eq!(header, Some("Function.NoTable"));
    assert_eq!(
        post.json(),
        json!({"errorType": "Function.NoTable", "errorMessage": "TABLE is not set", "stackTrace": []})
    );
    assert_eq!(end.to_string(), "the function failed to start: Function.NoTable: \"TABLE is not set\"");
}

#[test]
fn an_initializer_that_panics_is_an_init_error_with_its_location() {
    fn start() -> Result<(), String> {
        panic!("no table")
    }
    let (post, end) = init(async { start() }, accepted());
    assert_eq!(post.line, INIT_ERROR);
    let report = post.json();
    assert_eq!(report["errorType"], "Function.Panic");
    assert_eq!(report["errorMessage"], "no table");
    let location = report["stackTrace"][0].as_str().unwrap();
    assert!(location.starts_with("tests/runtime/init.rs:"), "{location}");
    assert!(matches!(end, Error::Init { .. }));
}

#[test]
fn an_init_error_that_lambda_refuses_still_ends_the_function() {
    for status in [403, 404] {
        let (_, end) = init(async { Err("no") }, Reply::Send(answer(status, "{}")));
        assert!(matches!(end, Error::Init { .. }), "{end}");
    }
    let (_, end) = init(async { Err("no") }, Reply::Send(answer(500, "{}")));
    assert!(matches!(end, Error::Refused { status: 500, .. }), "{end}");
}

#[test]
fn an_initializer_returns_its_value_and_sends_no_request() {
    let runtime = Runtime::at("127.0.0.1:1").unwrap();
    let value = runtime.init_async(async { Ok::<_, Infallible>(vec![7]) });
    assert_eq!(pollster::block_on(value).unwrap(), [7]);
}

#[test]
fn a_function_that_does_not_start_exits_with_1_and_logs_the_reason() {
    let api = RuntimeApi::start([accepted()]);
    let text = child::run("init::fails", api.address(), &[]);
    assert!(text.contains("ERROR Function.Error: \"no table\"\n"), "{text}");
    assert_eq!(api.received()[0].line, INIT_ERROR);
}

#[test]
#[ignore = "a function that other tests start"]
fn fails() {
    let start = lambda_musl::init(|| Err::<(), _>("no table"));
    child::main(start.and_then(|()| lambda_musl::run(echo)));
}
