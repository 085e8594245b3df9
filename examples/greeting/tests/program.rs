//! Tests the complete program against a Runtime API.

use lambda_musl::testing::Program;
use serde_json::json;
use std::process::Command;

#[test]
fn the_program_greets() {
    let program = Program::start(&mut Command::new(env!("CARGO_BIN_EXE_greeting"))).unwrap();
    let answer = program.invoke(json!({"name": "Ada"})).unwrap();
    assert_eq!(answer.json()["message"], "Hello, Ada!");
}
