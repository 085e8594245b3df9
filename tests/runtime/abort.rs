//! Programs with `panic = "abort"`: their last panic is reported as well.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

use crate::{
    pool,
    runtime_api::{Received, RuntimeApi, Step, accepted, answer, event, invocation},
    support::{NEXT, path},
};

const MANIFEST: &str = r#"
[package]
name = "aborting"
edition = "2024"

[dependencies]
lambda-musl = { path = "LAMBDA_MUSL" }

[profile.dev]
panic = "abort"
debug = false

[workspace]
"#;

const MAIN: &str = r#"
use lambda_musl::{Context, Stream, init, run, run_concurrent};

fn main() -> Result<(), lambda_musl::Error> {
    init(|| match std::env::var("AT_INIT") {
        Ok(_) => panic!("at init"),
        Err(_) => Ok::<_, String>(()),
    })?;
    if std::env::var("STREAM").is_ok() {
        return run(async |place: String, _: Context| {
            let body = async move |_: &mut (dyn std::io::Write + Send)| -> Result<(), String> { panic!("{place}") };
            Ok::<_, String>(Stream::new("text/plain", body))
        });
    }
    let handler = async |place: String, _: Context| {
        match place.as_str() {
            "here" => panic!("here"),
            "thread" => std::thread::spawn(|| panic!("in a thread")).join().unwrap(),
            _ => Ok::<_, String>(place),
        }
    };
    match std::env::var("AWS_LAMBDA_MAX_CONCURRENCY") {
        Ok(_) => run_concurrent(handler),
        Err(_) => run(handler),
    }
}
"#;

/// A function, compiled once.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aborting");
        fs::create_dir_all(dir.join("src")).unwrap();
        let manifest = MANIFEST.replace("LAMBDA_MUSL", root.to_str().unwrap());
        fs::write(dir.join("Cargo.toml"), manifest).unwrap();
        fs::write(dir.join("src/main.rs"), MAIN).unwrap();
        fs::copy(root.join("Cargo.lock"), dir.join("Cargo.lock")).unwrap();
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--offline", "--target-dir", "target"])
            .current_dir(&dir)
            .status()
            .unwrap();
        assert!(built.success());
        dir.join("target/debug/aborting")
    })
}

fn run_binary(address: &str, variable: &str) -> Output {
    Command::new(binary())
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .env(variable, "1")
        .stdout(Stdio::null())
        .output()
        .unwrap()
}

/// What the Runtime API saw last, and what was printed, of a function that aborts.
fn last_words(script: impl IntoIterator<Item = Step>, variable: &str) -> (Received, String) {
    let api = RuntimeApi::start(script);
    let output = run_binary(api.address(), variable);
    assert_eq!(output.status.code(), None, "a signal ended it");
    let text = String::from_utf8(output.stderr).unwrap();
    (api.received().pop().unwrap(), text)
}

fn assert_report(post: &Received, line: &str, message: &str) {
    assert_eq!(post.line, line);
    let report: Value = post.json();
    assert_eq!(report["errorType"], "Function.Panic");
    assert_eq!(report["errorMessage"], message);
    let place = report["stackTrace"][0].as_str().unwrap();
    assert!(place.starts_with("src/main.rs:"), "{place}");
}

#[test]
fn a_panic_that_aborts_is_reported_over_a_fresh_connection() {
    let (post, text) = last_words(
        [
            event("one", "\"fine\""),
            accepted(),
            // The only connection that the script serves is closed for the next one.
            Step::SendAndClose(invocation("a", &[], "\"here\"")),
            accepted(),
        ],
        "NOTHING",
    );
    assert_report(&post, &path("a", "error"), "here");
    assert_eq!(post.connection, 1);
    assert!(
        text.contains("ERROR RequestId: a Function.Panic: \"here\" at src/main.rs"),
        "{text}"
    );
}

#[test]
fn a_panic_of_another_thread_that_aborts_is_reported() {
    let script = [
        Step::SendAndClose(invocation("a", &[], "\"thread\"")),
        accepted(),
    ];
    let (post, _) = last_words(script, "NOTHING");
    assert_report(&post, &path("a", "error"), "in a thread");
}

#[test]
fn a_worker_that_aborts_is_reported() {
    let script = [
        Step::SendAndClose(invocation("a", &[], "\"here\"")),
        accepted(),
    ];
    let (post, _) = last_words(script, "AWS_LAMBDA_MAX_CONCURRENCY");
    assert_report(&post, &path("a", "error"), "here");
}

#[test]
fn a_stream_that_aborts_is_reported() {
    // The connection of the stream is still open.
    let (address, seen) = pool::start(|request| match &*request.line {
        NEXT => invocation("a", &[], "\"midway\""),
        _ => answer(202, ""),
    });
    assert_eq!(run_binary(&address, "STREAM").status.code(), None);
    let post = seen.lock().unwrap().pop().unwrap();
    assert_report(&post, &path("a", "error"), "midway");
}

#[test]
fn an_initializer_that_aborts_is_an_init_error() {
    let (post, _) = last_words([accepted()], "AT_INIT");
    assert_report(&post, "POST /2018-06-01/runtime/init/error", "at init");
}
