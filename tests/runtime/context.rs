//! What Lambda says beside the event.

use std::time::Duration;

use lambda_musl::Context;
use serde_json::{Value, json};

use crate::{
    runtime_api::invocation,
    support::{echo, run_one},
};

#[test]
fn the_context_holds_what_lambda_says() {
    let headers = [
        ("Lambda-Runtime-Deadline-Ms", "32503680000000"),
        (
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:eu-west-1:1:function:f:v",
        ),
        ("Lambda-Runtime-Trace-Id", "Root=1-5759e988"),
        (
            "Lambda-Runtime-Client-Context",
            r#"{"custom":{"who":"Zoë"}}"#,
        ),
        (
            "Lambda-Runtime-Cognito-Identity",
            r#"{"cognitoIdentityId":"me"}"#,
        ),
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
    let post = run_one(invocation("id-1", &headers, "{}"), handler);
    let expected = json!({
        "request": "id-1",
        "arn": "arn:aws:lambda:eu-west-1:1:function:f:v",
        "trace": "Root=1-5759e988",
        "client": {"custom": {"who": "Zoë"}},
        "cognito": {"cognitoIdentityId": "me"},
        "tenant": "blue",
        "has time": true,
    });
    assert_eq!(post.json(), expected);
}

#[test]
fn the_invocation_id_comes_back_with_the_answer() {
    let headers = [("Lambda-Runtime-Invocation-Id", "i-7")];
    let response = run_one(invocation("a", &headers, "1"), echo);
    assert_eq!(response.header("Lambda-Runtime-Invocation-Id"), Some("i-7"));
    let error = run_one(invocation("a", &headers, "no JSON"), echo);
    assert_eq!(error.header("Lambda-Runtime-Invocation-Id"), Some("i-7"));
}
