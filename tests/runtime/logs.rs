//! What a function prints.

use std::process::Command;

use lambda_musl::{Context, Failure};
use serde_json::{Value, json};

use crate::{
    child,
    runtime_api::{RuntimeApi, accepted, event},
};

/// What a function prints whose handler fails.
fn failing(set: impl FnOnce(&mut Command) -> &mut Command) -> String {
    let api = RuntimeApi::start([event("id-1", "1"), accepted()]);
    let output = set(&mut child::function("logs::fails", api.address()))
        .output()
        .unwrap();
    child::stderr(output)
}

#[test]
fn a_failing_handler_is_one_line_with_the_request_id() {
    let text = failing(|command| command);
    let line = r#"ERROR RequestId: id-1 Function.Odd: "two\nlines""#;
    assert!(text.lines().any(|printed| printed == line), "{text}");
}

#[test]
fn with_json_logs_a_failing_handler_is_a_line_of_json() {
    for format in ["JSON", "json"] {
        let text = failing(|command| command.env("AWS_LAMBDA_LOG_FORMAT", format));
        let mut lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let mut line: Value = lines.next().expect(&text);
        let timestamp = line["timestamp"].take();
        let timestamp = timestamp.as_str().unwrap();
        assert!(
            timestamp.starts_with("20") && timestamp.ends_with('Z'),
            "{timestamp}"
        );
        assert_eq!(
            line,
            json!({
                "timestamp": null,
                "level": "ERROR",
                "requestId": "id-1",
                "errorType": "Function.Odd",
                "errorMessage": "two\nlines",
                "stackTrace": [],
                "message": "Function.Odd: two\nlines",
            })
        );
    }
}

#[test]
#[ignore = "a function"]
fn fails() {
    child::main(lambda_musl::run(async |_: u32, _: Context| {
        Err::<(), _>(Failure::new("Function.Odd", "two\nlines"))
    }));
}
