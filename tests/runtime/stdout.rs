//! Output without a line end, which must be flushed before Lambda may freeze the function.

use std::{
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

/// Delays the reply for long enough to read the output while the function waits.
fn later(reply: Reply) -> Reply {
    match reply {
        Reply::Send(bytes) => Reply::Later(Duration::from_millis(500), bytes),
        other => other,
    }
}

/// Asserts that a function has printed `TEXT` before the request with this number, counted from 0, and not before an earlier one.
#[track_caller]
fn assert_printed(function: &str, request: usize, set: impl FnOnce(&mut Command) -> &mut Command) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let script = [event("a", "\"\""), accepted(), event("b", "\"\""), accepted()];
    let api = RuntimeApi::start(script.map(later));
    let stdout = File::create(file.path()).unwrap();
    let mut command = child::function(function, api.address());
    let mut child = set(command.stdout(stdout)).spawn().unwrap();
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

fn unchanged(command: &mut Command) -> &mut Command {
    command
}

#[test]
fn the_output_of_a_handler_is_flushed() {
    assert_printed("stdout::prints", 1, unchanged);
}

#[test]
#[ignore = "a function that other tests start"]
fn prints() {
    child::main(lambda_musl::run(async |_: String, _: Context| {
        print!("{TEXT}");
        Ok::<_, String>("")
    }));
}

#[test]
fn the_output_of_a_handler_under_an_executor_is_flushed() {
    assert_printed("stdout::prints_under_an_executor", 1, unchanged);
}

#[test]
#[ignore = "a function that other tests start"]
fn prints_under_an_executor() {
    let process = lambda_musl::process(async |_: String, _: Context| {
        print!("{TEXT}");
        Ok::<_, String>("")
    });
    child::main(pollster::block_on(process));
}

#[test]
fn the_output_of_a_worker_is_flushed() {
    assert_printed("stdout::prints_in_a_worker", 1, |command| command.env("AWS_LAMBDA_MAX_CONCURRENCY", "1"));
}

#[test]
#[ignore = "a function that other tests start"]
fn prints_in_a_worker() {
    child::main(lambda_musl::run_concurrent(async |_: String, _: Context| {
        print!("{TEXT}");
        Ok::<_, String>("")
    }));
}

#[test]
fn the_output_of_a_failing_handler_is_flushed() {
    assert_printed("stdout::prints_and_fails", 1, unchanged);
}

#[test]
#[ignore = "a function that other tests start"]
fn prints_and_fails() {
    child::main(lambda_musl::run(async |_: String, _: Context| {
        print!("{TEXT}");
        Err::<(), _>("failed")
    }));
}

#[test]
fn the_output_of_a_panicking_handler_is_flushed() {
    assert_printed("stdout::prints_and_panics", 1, unchanged);
}

#[test]
#[ignore = "a function that other tests start"]
fn prints_and_panics() {
    child::main(lambda_musl::run(async |_: String, _: Context| -> Result<(), String> {
        print!("{TEXT}");
        panic!("panicked")
    }));
}

#[test]
fn the_output_of_a_stream_body_is_flushed() {
    assert_printed("stdout::prints_and_streams", 1, unchanged);
}

#[test]
#[ignore = "a function that other tests start"]
fn prints_and_streams() {
    child::main(lambda_musl::run(async |_: String, _: Context| {
        let body = async |out: &mut (dyn Write + Send)| {
            out.write_all(b"1")?;
            print!("{TEXT}");
            out.write_all(b"2")
        };
        Ok::<_, String>(Stream::new("text/plain", body))
    }));
}

#[test]
fn output_before_the_first_invocation_is_flushed() {
    assert_printed("stdout::prints_at_the_start", 0, unchanged);
}

#[test]
#[ignore = "a function that other tests start"]
fn prints_at_the_start() {
    print!("{TEXT}");
    child::main(lambda_musl::run(async |_: String, _: Context| Ok::<_, String>("")));
}

#[test]
fn the_output_of_a_failing_initializer_is_flushed() {
    assert_printed("stdout::prints_and_does_not_start", 0, unchanged);
}

#[test]
#[ignore = "a function that other tests start"]
fn prints_and_does_not_start() {
    let start = lambda_musl::init(|| {
        print!("{TEXT}");
        Err::<(), _>("failed")
    });
    child::main(start);
}

#[test]
fn the_output_of_a_thread_after_the_response_is_flushed() {
    assert_printed("stdout::prints_after_the_response", 2, unchanged);
}

#[test]
#[ignore = "a function that other tests start"]
fn prints_after_the_response() {
    child::main(lambda_musl::run(async |_: String, _: Context| {
        thread::spawn(|| {
            thread::sleep(Duration::from_millis(200));
            print!("{TEXT}");
        });
        Ok::<_, String>("")
    }));
}

#[test]
fn output_is_flushed_before_a_snapshot() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let api = RuntimeApi::start([later(Reply::Send(answer(200, "")))]);
    let mut child = child::function("stdout::prints_at_the_start", api.address())
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
    let status = child::function("stdout::prints_and_fails", api.address())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .status();
    assert!(!status.unwrap().success());
    let text = fs::read_to_string(file.path()).unwrap();
    let line = "ERROR RequestId: a Function.Error: \"failed\"";
    assert!(text.lines().any(|printed| printed == line), "{text}");
    assert!(text.contains(TEXT), "{text}");
}

#[test]
fn a_function_that_holds_the_lock_on_stdout_still_responds() {
    let api = RuntimeApi::start([event("a", "\"\""), accepted()]);
    let output = child::function("stdout::holds_stdout", api.address()).output().unwrap();
    child::stderr(output);
    assert_eq!(api.received()[1].body, b"\"\"");
}

#[test]
#[ignore = "a function that other tests start"]
fn holds_stdout() {
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "{TEXT}").unwrap();
    // The output of another thread waits for this lock.
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        sender.send(()).unwrap();
        println!("late");
    });
    receiver.recv().unwrap();
    child::main(lambda_musl::run(async |_: String, _: Context| Ok::<_, String>("")));
}
