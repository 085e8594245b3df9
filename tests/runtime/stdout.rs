//! Output without a line break, which must be flushed before Lambda may freeze the function.

use std::{
    env,
    fs::{self, File},
    io::Write,
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

use conformance::{Reply, RuntimeApi, accepted, answer, event};
use lambda_musl::{Context, Stream};

use crate::child;

const TEXT: &str = "no line end";

/// Delays the response for long enough to read the output while the function waits.
fn later(reply: Reply) -> Reply {
    match reply {
        Reply::Send(bytes) => Reply::Later(Duration::from_millis(500), bytes),
        other => other,
    }
}

/// The command of a function that prints. `how` selects when it prints.
fn function(how: &str, api: &RuntimeApi) -> Command {
    let mut command = child::function("stdout::prints", api.address());
    command.env("HOW", how).envs((how == "in a worker").then_some(("AWS_LAMBDA_MAX_CONCURRENCY", "1")));
    command
}

/// Asserts that a function has printed `TEXT` before the request with this number, counted from 0, and not before an earlier one.
#[track_caller]
fn assert_printed(how: &str, request: usize) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let script = [event("a", "\"\""), accepted(), event("b", "\"\""), accepted()];
    let api = RuntimeApi::start(script.map(later));
    let stdout = File::create(file.path()).unwrap();
    let mut child = function(how, &api).stdout(stdout).spawn().unwrap();
    for _ in 0..request {
        api.next();
        assert!(!printed(file.path()), "too early");
    }
    api.next();
    let printed = printed(file.path());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(printed);
}

fn printed(file: &std::path::Path) -> bool {
    fs::read_to_string(file).unwrap().contains(TEXT)
}

#[test]
#[ignore = "a function that other tests start"]
fn prints() {
    let print = async |_: String, _: Context| {
        print!("{TEXT}");
        Ok::<_, String>("")
    };
    let respond = async |_: String, _: Context| Ok::<_, String>("");
    child::main(match env::var("HOW").unwrap().as_str() {
        "in the handler" => lambda_musl::run(print),
        "under an executor" => pollster::block_on(lambda_musl::process(print)),
        "in a worker" => lambda_musl::run_concurrent(print),
        "and fails" => lambda_musl::run(async |_: String, _: Context| {
            print!("{TEXT}");
            Err::<(), _>("failed")
        }),
        "and panics" => lambda_musl::run(async |_: String, _: Context| -> Result<(), String> {
            print!("{TEXT}");
            panic!("panicked")
        }),
        "in a stream body" => lambda_musl::run(async |_: String, _: Context| {
            let body = async |out: &mut (dyn Write + Send)| {
                out.write_all(b"1")?;
                print!("{TEXT}");
                out.write_all(b"2")
            };
            Ok::<_, String>(Stream::new("text/plain", body))
        }),
        "at the start" => {
            print!("{TEXT}");
            lambda_musl::run(respond)
        }
        "in a failing initializer" => lambda_musl::init(|| {
            print!("{TEXT}");
            Err::<(), _>("failed")
        }),
        "after the response" => lambda_musl::run(async |_: String, _: Context| {
            thread::spawn(|| {
                thread::sleep(Duration::from_millis(200));
                print!("{TEXT}");
            });
            Ok::<_, String>("")
        }),
        "while it holds the lock" => {
            let mut stdout = std::io::stdout().lock();
            write!(stdout, "{TEXT}").unwrap();
            // The output of another thread waits for this lock.
            let (sender, receiver) = mpsc::channel();
            thread::spawn(move || {
                sender.send(()).unwrap();
                println!("late");
            });
            receiver.recv().unwrap();
            lambda_musl::run(respond)
        }
        other => panic!("{other}"),
    });
}

#[test]
fn the_output_of_a_handler_is_flushed() {
    assert_printed("in the handler", 1);
}

#[test]
fn the_output_of_a_handler_under_an_executor_is_flushed() {
    assert_printed("under an executor", 1);
}

#[test]
fn the_output_of_a_worker_is_flushed() {
    assert_printed("in a worker", 1);
}

#[test]
fn the_output_of_a_failing_handler_is_flushed() {
    assert_printed("and fails", 1);
}

#[test]
fn the_output_of_a_panicking_handler_is_flushed() {
    assert_printed("and panics", 1);
}

#[test]
fn the_output_of_a_stream_body_is_flushed() {
    assert_printed("in a stream body", 1);
}

#[test]
fn output_before_the_first_invocation_is_flushed() {
    assert_printed("at the start", 0);
}

#[test]
fn the_output_of_a_failing_initializer_is_flushed() {
    assert_printed("in a failing initializer", 0);
}

#[test]
fn the_output_of_a_thread_after_the_response_is_flushed() {
    assert_printed("after the response", 2);
}

#[test]
fn output_is_flushed_before_a_snapshot() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let api = RuntimeApi::start([later(Reply::Send(answer(200, "")))]);
    let mut child = function("at the start", &api)
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
        .stdout(File::create(file.path()).unwrap())
        .spawn()
        .unwrap();
    assert!(api.next().line.ends_with("/restore/next"));
    let printed = printed(file.path());
    child.wait().unwrap();
    assert!(printed);
}

#[test]
fn a_log_line_does_not_continue_output_without_a_line_end() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let api = RuntimeApi::start([event("a", "\"\""), accepted()]);
    let log = File::options().append(true).open(file.path()).unwrap();
    let status = function("and fails", &api).stdout(log.try_clone().unwrap()).stderr(log).status();
    assert!(!status.unwrap().success());
    let text = fs::read_to_string(file.path()).unwrap();
    let line = "ERROR RequestId: a Function.Error: \"failed\"";
    assert!(text.lines().any(|printed| printed == line), "{text}");
    assert!(text.contains(TEXT), "{text}");
}

#[test]
fn a_function_that_holds_the_lock_on_stdout_still_responds() {
    let api = RuntimeApi::start([event("a", "\"\""), accepted()]);
    child::stderr(function("while it holds the lock", &api).output().unwrap());
    assert_eq!(api.received()[1].body, b"\"\"");
}
