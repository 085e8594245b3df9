//! The context that Lambda sends with an event.

use std::time::Duration;

use lambda_musl::{Context, testing::Event};
use serde_json::{Value, json};

use crate::support::{answer_to, echo};

#[test]
fn the_context_contains_the_headers_of_the_invocation() {
    let headers = [
        ("Lambda-Runtime-Aws-Request-Id", "id-1"),
        ("Lambda-Runtime-Deadline-Ms", "32503680000000"),
        ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:1:function:f:v"),
        ("Lambda-Runtime-Trace-Id", "Root=1-5759e988"),
        ("Lambda-Runtime-Client-Context", r#"{"custom":{"who":"Zoë"}}"#),
        ("Lambda-Runtime-Cognito-Identity", r#"{"cognitoIdentityId":"me"}"#),
        ("Lambda-Runtime-Aws-Tenant-Id", "blue"),
    ];
    let handler = async |_: Value, context: Context| {
        Ok::<_, serde_json::Error>(json!({
            "request": context.request_id(),
            "arn": context.function_arn(),
            "trace": context.trace_id(),
            "client": context.client_context::<Value>()?,
            "cognito": context.cognito_identity::<Value>()?,
            "tenant": context.tenant_id(),
            "has time": context.time_left() > Some(Duration::from_secs(3600)),
        }))
    };
    let event = headers.into_iter().fold(Event::from("{}"), |event, (name, value)| event.header(name, value));
    let answer = answer_to(event, handler);
    let expected = json!({
        "request": "id-1",
        "arn": "arn:aws:lambda:eu-west-1:1:function:f:v",
        "trace": "Root=1-5759e988",
        "client": {"custom": {"who": "Zoë"}},
        "cognito": {"cognitoIdentityId": "me"},
        "tenant": "blue",
        "has time": true,
    });
    assert_eq!(answer.json(), expected);
}

#[test]
fn a_response_and_an_error_repeat_the_invocation_id() {
    let event = |body| Event::from(body).header("Lambda-Runtime-Invocation-Id", "i-7");
    let response = answer_to(event("1"), echo);
    assert_eq!(response.header("Lambda-Runtime-Invocation-Id"), Some("i-7"));
    let error = answer_to(event("no JSON"), echo);
    assert_eq!(error.header("Lambda-Runtime-Invocation-Id"), Some("i-7"));
}
