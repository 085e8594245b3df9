//! The packages that `new` creates, and the examples: each passes cargo's checks, and is built, packaged, and invoked with an event of
//! its kind.
//!
//! These tests compile for minutes, so `cargo test` skips them. `make test` runs a few of them, and `make examples` runs all.

#[path = "support/https.rs"]
mod https;
#[path = "support/machine.rs"]
mod machine;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use machine::{Run, call, cargo_lambda_musl, command, make, root, run, skip};
use serde_json::{Value, json};

/// The target directory that all packages share, so that common dependencies are compiled once.
fn target() -> PathBuf {
    root().join("target/examples")
}

/// Whether to run all tests.
fn all() -> bool {
    env::var_os("ALL").is_some()
}

/// The kinds of packages that `new` creates: for each, whether it is always tested, options of `new`, options of `invoke`, and part of
/// the response.
const KINDS: [(bool, &[&str], &[&str], &str); 10] = [
    (false, &[], &["--event", r#"{"name":"Ada"}"#], r#""message":"Hello, Ada!""#),
    (false, &["--http"], &["--example", "url"], r#"{\"hello\":\"Ada\",\"path\":\"/orders\"}"#),
    (true, &["--http=axum"], &["--example", "url"], r#""statusCode":201"#),
    (true, &["--stream"], &["--example", "url"], "line 1\nline 2\nline 3\n"),
    (
        true,
        &["--event", "sqs"],
        &["--example", "sqs"],
        r#"{"batchItemFailures":[{"itemIdentifier":"00000000-0000-4000-8000-000000000002"}]}"#,
    ),
    (false, &["--event", "s3"], &["--example", "s3"], r#"["s3://orders/summer 2026/café.json: 1024 bytes"]"#),
    (false, &["--event", "eventbridge"], &["--example", "eventbridge"], "com.example.shop ships 7: tea, cups"),
    (false, &["--event", "sns"], &["--example", "sns"], r#"["Tea: {\"article\":\"tea\",\"count\":2}"]"#),
    (false, &["--event", "dynamodb"], &["--example", "dynamodb"], r#"{"batchItemFailures":[]}"#),
    (false, &["--event", "cron"], &["--example", "cron"], "tidied up for 2026-01-02 03:04"),
];

/// Runs cargo in a package, with the pinned toolchain.
fn cargo(package: &Path, arguments: &str) -> Run {
    let rust = call("scripts/rust", &[]).succeeded();
    let mut cargo = command(Path::new(rust.last_line()).join("cargo"), package);
    let path = env::split_paths(&env::var_os("PATH").unwrap()).collect::<Vec<_>>();
    let path = env::join_paths([rust.last_line().into()].into_iter().chain(path)).unwrap();
    cargo.args(arguments.split(' ')).env("PATH", path).env("CARGO_TARGET_DIR", target());
    run(cargo)
}

/// `cargo lambda-musl` with these arguments in a directory. A copy of the program is next to `parent`.
fn subcommand(parent: &Path, directory: &Path, arguments: &[&str]) -> Command {
    let mut subcommand = cargo_lambda_musl(parent);
    subcommand.args(arguments).current_dir(directory).env("CARGO_TARGET_DIR", target());
    subcommand
}

#[test]
#[ignore = "run by make test"]
fn a_new_package_passes_cargos_checks_and_is_built_and_invoked() {
    let directory = tempfile::tempdir().unwrap();
    let parent = directory.path().join("my functions");
    fs::create_dir(&parent).unwrap();
    let subcommand = |package: &Path, arguments: &[&str]| run(subcommand(&parent, package, arguments)).succeeded();
    for (index, (always, options, event, answer)) in KINDS.into_iter().enumerate() {
        if !always && !all() {
            continue;
        }
        let name = format!("kind-{index}");
        subcommand(&parent, &[&["new", &name], options].concat());
        let package = parent.join(&name);
        for check in
            ["fmt --check", "clippy --quiet --locked --all-targets -- --deny warnings", "test --quiet --locked"]
        {
            cargo(&package, check).succeeded();
        }
        let invoked = subcommand(&package, &[&["invoke"], event].concat());
        assert!(invoked.stdout.contains(answer), "{options:?}: {}", invoked.stdout);
        subcommand(&package, &["verify"]);
    }
    if !all() {
        skip("new functions of most kinds", "to run them: make examples");
    }
}

/// Whether this machine has the files to link OpenSSL.
fn has_openssl() -> bool {
    call("pkg-config", &["--exists", "openssl"]).success
}

#[test]
#[ignore = "run by make test"]
fn every_example_passes_its_own_tests() {
    if !all() {
        return skip("the tests of the examples", "they compile for a minute; to run them: make examples");
    }
    let mut tests = "test --quiet --locked --workspace".to_owned();
    if !has_openssl() {
        skip("the test of examples/https", "it needs OpenSSL on this machine");
        tests += " --exclude https";
    }
    cargo(&root().join("examples"), &tests).succeeded();
}

/// Builds and invokes an example.
fn invoke(example: &str, event: &Value, variables: &[(&str, &Path)]) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let parent = directory.path().join("empty");
    fs::create_dir(&parent).unwrap();
    let (out, event) = (format!("../../dist/{example}"), event.to_string());
    let package = root().join("examples").join(example);
    let mut invoke = subcommand(&parent, &package, &["invoke", "--out", &out, "--event", &event]);
    invoke.envs(variables.iter().copied());
    run(invoke)
}

fn answer(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"))
}

/// The response of an example, if all tests run.
fn answer_of(example: &str, event: Value) -> Option<Value> {
    if !all() {
        skip(&format!("examples/{example}"), "to run it: make examples");
        return None;
    }
    Some(answer(&invoke(example, &event, &[]).succeeded()))
}

#[test]
#[ignore = "run by make test"]
fn sqlite_counts_across_copies_of_the_function() {
    if !all() {
        return skip("examples/sqlite", "to run it: make examples");
    }
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("visits.db");
    for visits in [1, 2] {
        let run = invoke("sqlite", &json!("Ada"), &[("DATABASE", &database)]);
        let answer = answer(&run.succeeded());
        assert_eq!(answer, json!({"name": "Ada", "visits": visits}));
    }
}

#[test]
#[ignore = "run by make test"]
fn https_requests_a_page_and_checks_the_certificate() {
    if !all() {
        return skip("examples/https", "to run it: make examples");
    }
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("ca.pem");
    let port = https::serve("hello", &authority);
    let event = json!({"url": format!("https://localhost:{port}/")});
    let seen = invoke("https", &event, &[("SSL_CERT_FILE", &authority)]);
    assert_eq!(answer(&seen.succeeded()), json!({"status": 203, "body": "hello"}));
    let error = answer(&invoke("https", &event, &[]));
    assert_eq!(error["errorType"], "Function.NoAnswer", "{error}");
}

#[test]
#[ignore = "run by make test"]
fn concurrent_requests_several_urls() {
    let closed = "http://127.0.0.1:1/";
    if let Some(answer) = answer_of("concurrent", json!({"urls": [closed, closed]})) {
        assert_eq!(answer.as_array().unwrap().len(), 2);
        let error = answer[1]["error"].as_str().unwrap();
        assert!(error.contains("refused"), "{error}");
    }
}

#[test]
#[ignore = "run by make test"]
fn process_runs_under_tokio() {
    if let Some(answer) = answer_of("process", json!({"url": "https://example.com/a"})) {
        assert_eq!(answer, json!({"host": "example.com", "path": "/a"}));
    }
}

#[test]
#[ignore = "run by make test"]
fn a_function_with_awss_runtime_is_built_unchanged() {
    if let Some(answer) = answer_of("official", json!({"name": "Ada"})) {
        assert_eq!(answer, json!({"message": "Hello, Ada!"}));
        make(&["verify", "OUT=dist/official"]).succeeded();
    }
}
