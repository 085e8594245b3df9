//! Programs with `panic = "abort"`: the panic that ends them is reported.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::LazyLock,
};

use conformance::{Received, Reply, RuntimeApi, accepted, event, invocation};
use serde_json::Value;

use crate::{
    child,
    support::{NEXT, path},
};

const MAIN: &str = r#"
use lambda_musl::{Context, Stream, init, run, run_concurrent};

fn main() -> Result<(), lambda_musl::Error> {
    init(|| match std::env::var("AT_INIT") {
        Ok(_) => panic!("at init"),
        Err(_) => Ok::<_, String>(()),
    })?;
    if std::env::var("STREAM").is_ok() {
        return run(async |mode: String, _: Context| {
            let body = async move |_: &mut (dyn std::io::Write + Send)| -> Result<(), String> { panic!("{mode}") };
            Ok::<_, String>(Stream::new("text/plain", body))
        });
    }
    let handler = async |mode: String, _: Context| {
        match mode.as_str() {
            "here" => {
                print!("no line end");
                panic!("here")
            }
            "kept" => {
                let _stdout = std::io::stdout().lock();
                std::thread::spawn(|| panic!("in a thread")).join().unwrap()
            }
            "thread" => std::thread::spawn(|| panic!("in a thread")).join().unwrap(),
            _ => Ok::<_, String>(mode),
        }
    };
    match std::env::var("AWS_LAMBDA_MAX_CONCURRENCY") {
        Ok(_) => run_concurrent(handler),
        Err(_) => run(handler),
    }
}
"#;

/// The path of the compiled function.
static BINARY: LazyLock<PathBuf> =
    LazyLock::new(|| child::compile("aborting", "[profile.dev]\npanic = 'abort'", MAIN, None));

fn run_binary(address: &str, variable: &str) -> Output {
    Command::new(&*BINARY)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .env(variable, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs a function that aborts. Returns its last request and the text on stderr.
fn last_report(script: impl IntoIterator<Item = Reply>, variable: &str) -> (Received, String) {
    let api = RuntimeApi::start(script);
    let output = run_binary(api.address(), variable);
    assert_eq!(output.status.code(), None, "ended by a signal");
    let text = String::from_utf8(output.stderr).unwrap();
    (api.received().pop().unwrap(), text)
}

fn assert_report(post: &Received, line: &str, message: &str) {
    assert_eq!(post.line, line);
    let report: Value = post.json();
    assert_eq!(report["errorType"], "Function.Panic");
    assert_eq!(report["errorMessage"], message);
    let location = report["stackTrace"][0].as_str().unwrap();
    assert!(location.starts_with("src/main.rs:"), "{location}");
}

#[test]
fn an_aborting_panic_is_reported_over_a_new_connection() {
    let (post, text) = last_report(
        [
            event("one", "\"fine\""),
            accepted(),
            // The connection is closed, so the report needs a new one.
            Reply::Close(invocation("a", "", "\"here\"")),
            accepted(),
        ],
        "NOTHING",
    );
    assert_report(&post, &path("a", "error"), "here");
    assert_eq!(post.connection, 1);
    assert!(text.contains("ERROR RequestId: a Function.Panic: \"here\" at src/main.rs"), "{text}");
}

#[test]
fn output_without_a_line_end_is_flushed_before_an_abort() {
    let api = RuntimeApi::start([Reply::Close(invocation("a", "", "\"here\"")), accepted()]);
    let output = run_binary(api.address(), "NOTHING");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "no line end");
}

#[test]
fn an_aborting_panic_in_another_thread_is_reported() {
    let script = [Reply::Close(invocation("a", "", "\"thread\"")), accepted()];
    let (post, _) = last_report(script, "NOTHING");
    assert_report(&post, &path("a", "error"), "in a thread");
}

#[test]
fn a_thread_that_holds_the_lock_on_stdout_does_not_prevent_an_abort() {
    let script = [Reply::Close(invocation("a", "", "\"kept\"")), accepted()];
    let (post, _) = last_report(script, "NOTHING");
    assert_report(&post, &path("a", "error"), "in a thread");
}

#[test]
fn an_aborting_panic_in_a_worker_is_reported() {
    let script = [Reply::Close(invocation("a", "", "\"here\"")), accepted()];
    let (post, _) = last_report(script, "AWS_LAMBDA_MAX_CONCURRENCY");
    assert_report(&post, &path("a", "error"), "here");
}

#[test]
fn an_aborting_panic_in_a_stream_is_reported() {
    // The connection of the stream is still open.
    let api = RuntimeApi::replying(|request| match &*request.line {
        NEXT => Some(event("a", "\"midway\"")),
        _ => Some(accepted()),
    });
    assert_eq!(run_binary(api.address(), "STREAM").status.code(), None);
    let post = api.received().pop().unwrap();
    assert_report(&post, &path("a", "error"), "midway");
}

#[test]
fn an_aborting_panic_in_an_initializer_is_an_init_error() {
    let (post, _) = last_report([accepted()], "AT_INIT");
    assert_report(&post, "POST /2018-06-01/runtime/init/error", "at init");
}
