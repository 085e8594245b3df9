//! Functions that run as a program of their own: what they do to their environment, how they exit and what they print.

use std::process::{Command, ExitCode, Output, Stdio};

/// What `main` makes of a function: an error is printed, and the status is 1.
pub fn main(end: Result<(), lambda_musl::Error>) {
    use std::process::Termination;
    let code = end.report();
    std::process::exit(i32::from(code != ExitCode::SUCCESS));
}

/// A function of this test program: an ignored test of this name, run by itself.
pub fn function(name: &str, address: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What it printed on stderr; it ended with status 1.
pub fn stderr(output: Output) -> String {
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}
