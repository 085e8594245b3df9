//! What a function prints without a line end: Lambda has it before it may freeze the function.

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

/// Long enough for a look at what was printed, while the function waits for the reply.
fn later(reply: Reply) -> Reply {
    match reply {
        Reply::Send(bytes) => Reply::Later(Duration::from_millis(500), bytes),
        other => other,
    }
}

/// Whether a function has printed the text when its request with this number, from 0, has come in.
#[track_caller]
fn assert_printed(function: &str, request: usize, set: impl FnOnce(&mut Command) -> &mut Command) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let script = [
        event("a", "\"\""),
        accepted(),
        event("b", "\"\""),
        accepted(),
    ];
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

fn as_it_is(command: &mut Command) -> &mut Command {
    command
}

#[test]
fn a_handler() {
    assert_printed("stdout::prints", 1, as_it_is);
}

#[test]
#[ignore = "a function"]
fn prints() {
    child::main(lambda_musl::run(async |_: String, _: Context| {
        print!("{TEXT}");
        Ok::<_, String>("")
    }));
}

#[test]
fn a_handler_under_an_executor() {
    assert_printed("stdout::prints_under_an_executor", 1, as_it_is);
}

#[test]
#[ignore = "a function"]
fn prints_under_an_executor() {
    let process = lambda_musl::process(async |_: String, _: Context| {
        print!("{TEXT}");
        Ok::<_, String>("")
    });
    child::main(pollster::block_on(process));
}

#[test]
fn a_worker() {
    assert_printed("stdout::prints_in_a_worker", 1, |command| {
        command.env("AWS_LAMBDA_MAX_CONCURRENCY", "1")
    });
}

#[test]
#[ignore = "a function"]
fn prints_in_a_worker() {
    child::main(lambda_musl::run_concurrent(
        async |_: String, _: Context| {
            print!("{TEXT}");
            Ok::<_, String>("")
        },
    ));
}

#[test]
fn a_handler_that_fails() {
    assert_printed("stdout::prints_and_fails", 1, as_it_is);
}

#[test]
#[ignore = "a function"]
fn prints_and_fails() {
    child::main(lambda_musl::run(async |_: String, _: Context| {
        print!("{TEXT}");
        Err::<(), _>("failed")
    }));
}

#[test]
fn a_handler_that_panics() {
    assert_printed("stdout::prints_and_panics", 1, as_it_is);
}

#[test]
#[ignore = "a function"]
fn prints_and_panics() {
    child::main(lambda_musl::run(
        async |_: String, _: Context| -> Result<(), String> {
            print!("{TEXT}");
            panic!("panicked")
        },
    ));
}

#[test]
fn the_body_of_a_stream() {
    assert_printed("stdout::prints_and_streams", 1, as_it_is);
}

#[test]
#[ignore = "a function"]
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
fn what_comes_before_the_first_invocation() {
    assert_printed("stdout::prints_at_the_start", 0, as_it_is);
}

#[test]
#[ignore = "a function"]
fn prints_at_the_start() {
    print!("{TEXT}");
    child::main(lambda_musl::run(async |_: String, _: Context| {
        Ok::<_, String>("")
    }));
}

#[test]
fn an_initializer_that_fails() {
    assert_printed("stdout::prints_and_does_not_start", 0, as_it_is);
}

#[test]
#[ignore = "a function"]
fn prints_and_does_not_start() {
    let start = lambda_musl::init(|| {
        print!("{TEXT}");
        Err::<(), _>("failed")
    });
    child::main(start);
}

#[test]
fn a_thread_after_the_answer() {
    assert_printed("stdout::prints_after_the_answer", 2, as_it_is);
}

#[test]
#[ignore = "a function"]
fn prints_after_the_answer() {
    child::main(lambda_musl::run(async |_: String, _: Context| {
        thread::spawn(|| {
            thread::sleep(Duration::from_millis(200));
            print!("{TEXT}");
        });
        Ok::<_, String>("")
    }));
}

#[test]
fn what_comes_before_a_snapshot_and_not_again_in_each_copy_of_it() {
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
fn a_line_of_the_log_is_not_glued_to_what_the_handler_has_printed() {
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
fn a_handler_that_keeps_stdout_for_itself_holds_up_nothing() {
    let api = RuntimeApi::start([event("a", "\"\""), accepted()]);
    let output = child::function("stdout::keeps_stdout", api.address())
        .output()
        .unwrap();
    child::stderr(output);
    assert_eq!(api.received()[1].body, b"\"\"");
}

#[test]
#[ignore = "a function"]
fn keeps_stdout() {
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "{TEXT}").unwrap();
    // What another thread prints waits for this one.
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        sender.send(()).unwrap();
        println!("late");
    });
    receiver.recv().unwrap();
    child::main(lambda_musl::run(async |_: String, _: Context| {
        Ok::<_, String>("")
    }));
}
