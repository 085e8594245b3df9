//! The log of a function.

use conformance::{RuntimeApi, accepted, event};
use lambda_musl::{Context, Failure};
use serde_json::{Value, json};

use crate::child;

/// The text on stderr of a function whose handler fails.
fn failing(variables: &[(&str, &str)]) -> String {
    let api = RuntimeApi::start([event("id-1", "1"), accepted()]);
    child::run("logs::fails", api.address(), variables)
}

#[test]
fn a_failing_handler_logs_one_line_with_the_request_id() {
    let text = failing(&[]);
    let line = r#"ERROR RequestId: id-1 Function.Odd: "two\nlines""#;
    assert!(text.lines().any(|printed| printed == line), "{text}");
}

#[test]
fn with_json_logs_a_failing_handler_logs_one_line_of_json() {
    for format in ["JSON", "json"] {
        let text = failing(&[("AWS_LAMBDA_LOG_FORMAT", format)]);
        let mut lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        let mut line: Value = lines.next().expect(&text);
        let timestamp = line["timestamp"].take();
        let timestamp = timestamp.as_str().unwrap();
        assert!(timestamp.starts_with("20") && timestamp.ends_with('Z'), "{timestamp}");
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

/// The text on stderr of a function that uses the logger.
fn logging(format: &str, level: &str) -> String {
    let api = RuntimeApi::start([event("id-1", "1"), accepted()]);
    let variables = [("AWS_LAMBDA_LOG_FORMAT", format), ("AWS_LAMBDA_LOG_LEVEL", level)];
    child::run("logs::uses_the_logger", api.address(), &variables)
}

#[test]
fn a_log_line_contains_its_level_and_the_request_id() {
    let text = logging("Text", "INFO");
    for line in ["INFO starting", "WARN RequestId: id-1 one", "INFO RequestId: id-1 two"] {
        assert!(text.lines().any(|printed| printed == line), "{line}: {text}");
    }
    assert!(!text.contains("never"));
}

#[test]
fn levels_below_the_configured_one_are_not_logged() {
    let text = logging("Text", "WARN");
    assert!(text.contains("one") && !text.contains("two"), "{text}");
    assert!(logging("Text", "DEBUG").contains("DEBUG RequestId: id-1 never"));
    assert!(!logging("Text", "FATAL").contains("one"));
}

#[test]
fn with_json_logs_each_message_is_one_line_of_json() {
    let text = logging("JSON", "INFO");
    let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut lines: Vec<Value> = lines.collect();
    for line in &mut lines {
        assert!(line["timestamp"].take().is_string());
    }
    let line = |level: &str, message: &str| {
        json!({
            "timestamp": null,
            "level": level,
            "requestId": "id-1",
            "target": "runtime::logs",
            "message": message,
        })
    };
    assert_eq!(lines[0]["requestId"], Value::Null, "before the first invocation");
    assert_eq!(lines[1..], [line("WARN", "one"), line("INFO", "two")]);
}

#[test]
#[ignore = "a function that other tests start"]
fn uses_the_logger() {
    lambda_musl::init_logger();
    lambda_musl::init_logger();
    log::info!("starting");
    child::main(lambda_musl::run(async |_: u32, _: Context| {
        log::warn!("one");
        log::info!("two");
        log::debug!("never");
        Ok::<_, String>(())
    }));
}

#[test]
#[ignore = "a function that other tests start"]
fn fails() {
    child::main(lambda_musl::run(async |_: u32, _: Context| Err::<(), _>(Failure::new("Function.Odd", "two\nlines"))));
}
