//! Tests the complete program against a Runtime API.

use lambda_musl::testing::Program;
use serde_json::json;
use std::process::Command;

#[test]
fn the_named_person_is_greeted_and_a_missing_name_is_an_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_official"));
    // Variables that AWS's runtime requires.
    command.envs([
        ("AWS_LAMBDA_FUNCTION_NAME", "official"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/official"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "1"),
    ]);
    let program = Program::start(&mut command).unwrap();
    let answer = program.invoke(json!({"name": "Ada"})).unwrap();
    assert_eq!(answer.json()["message"], "Hello, Ada!");
    let error = program.invoke(json!({})).unwrap().error().unwrap();
    assert_eq!(error.message, "expected a name");
}
