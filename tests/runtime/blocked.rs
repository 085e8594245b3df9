//! `run` inside an async runtime, whose thread it blocks.

use std::{
    fmt::Debug,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use conformance::{Received, Reply, RuntimeApi, accepted, event, invocation};

use crate::{
    child,
    support::{NEXT, path},
};

const MAIN: &str = r#"
use std::{env, io::Write, panic, task::Poll, thread, time::Duration};

use lambda_musl::{Context, Error, Stream, run};
use tokio::runtime::{Builder, Handle};

async fn nap(ms: u64, _: Context) -> Result<&'static str, String> {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    Ok("rested")
}

async fn stream(ms: u64, context: Context) -> Result<Stream<impl AsyncFnOnce(&mut (dyn Write + Send)) -> Result<(), String>>, String> {
    Ok(Stream::new("text/plain", async move |out: &mut (dyn Write + Send)| {
        out.write_all(b"begun").unwrap();
        nap(ms, context).await.map(drop)
    }))
}

async fn wake_by_thread(ms: u64, _: Context) -> Result<&'static str, String> {
    let mut polled = false;
    let woken = std::future::poll_fn(move |context| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready("rested");
        }
        let waker = context.waker().clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(ms));
            waker.wake();
        });
        Poll::Pending
    });
    Ok(woken.await)
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic::panic_any(7);
    }
}

async fn drop_a_bomb(_: u64, _: Context) -> Result<(), String> {
    let _bomb = Bomb;
    std::future::pending().await
}

fn main() -> Result<(), Error> {
    let current_thread = Builder::new_current_thread().enable_time().build().unwrap();
    match env::var("HOW").unwrap().as_str() {
        "current thread" => current_thread.block_on(async { run(nap) }),
        "current thread, with another" => {
            thread::spawn(|| loop { thread::park() });
            current_thread.block_on(async { run(nap) })
        }
        "stream" => current_thread.block_on(async { run(stream) }),
        "multi thread" => {
            let multi_thread = Builder::new_multi_thread().worker_threads(1).enable_time().build();
            multi_thread.unwrap().block_on(async { run(nap) })
        }
        "worker" => {
            let multi_thread = Builder::new_multi_thread().worker_threads(1).enable_time().build();
            multi_thread.unwrap().block_on(async { tokio::spawn(async { run(nap) }).await.unwrap() })
        }
        "spawn_blocking" => current_thread.block_on(async {
            tokio::task::spawn_blocking(|| run(nap)).await.unwrap()
        }),
        "plain thread" => current_thread.block_on(async {
            let runtime = Handle::current();
            let function = thread::spawn(move || {
                let _inside = runtime.enter();
                run(nap)
            });
            while !function.is_finished() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            function.join().unwrap()
        }),
        "bomb" => run(drop_a_bomb),
        "thread" => run(wake_by_thread),
        other => panic!("{other}"),
    }
}
"#;

/// The path of a separate program, because tests do not run on the main thread.
static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let tokio = "tokio = { version = '1', features = ['rt-multi-thread', 'time'] }";
    child::compile("blocked", tokio, MAIN, None)
});

fn function(how: &str, address: &str) -> Command {
    let mut command = Command::new(&*BINARY);
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .env("HOW", how)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Runs a function with two events. Returns its requests and the text on stderr.
fn two(how: &str, events: [&str; 2]) -> (Vec<Received>, String) {
    let [first, second] = events;
    let api = RuntimeApi::start([event("a", first), accepted(), event("b", second), accepted()]);
    let output = function(how, api.address()).output().unwrap();
    (api.received(), child::stderr(output))
}

#[track_caller]
fn assert_answered(how: &str) {
    let (received, _) = two(how, ["5", "300"]);
    for (post, id) in [(&received[1], "a"), (&received[3], "b")] {
        assert_eq!(post.line, path(id, "response"));
        assert_eq!(post.body, b"\"rested\"");
    }
}

#[track_caller]
fn assert_names_process(message: impl Debug) {
    let message = format!("{message:?}");
    assert!(message.contains("call `process` instead of `run`"), "{message}");
}

#[test]
fn a_handler_that_waits_on_the_thread_of_a_current_thread_runtime_fails_immediately() {
    let (received, text) = two("current thread", ["5", "0"]);
    assert_eq!(received[1].line, path("a", "error"));
    assert_eq!(received[1].json()["errorType"], "Function.Deadlock");
    assert_names_process(&received[1].json()["errorMessage"]);
    let line = "ERROR RequestId: a Function.Deadlock: ";
    assert!(text.lines().any(|printed| printed.starts_with(line)), "{text}");
    assert_eq!(received[3].body, b"\"rested\"", "the loop continues");
}

#[test]
fn a_stream_body_that_waits_on_that_thread_reports_the_error_in_its_trailers() {
    let (received, _) = two("stream", ["1", "1"]);
    let post = &received[1];
    assert_eq!(post.body, b"begun");
    let error_type = post.trailers.iter().find(|(name, _)| name.ends_with("Type"));
    assert_eq!(error_type.unwrap().1, "Function.Deadlock");
    assert_eq!(received[2].line, NEXT, "the loop continues");
}

#[test]
fn a_deadlocked_handler_that_panics_when_dropped_is_still_reported_as_a_deadlock() {
    let (received, _) = two("bomb", ["1", "1"]);
    assert_eq!(received[1].json()["errorType"], "Function.Deadlock");
    assert_eq!(received[3].json()["errorType"], "Function.Deadlock");
}

/// Lambda kills a handler that is still waiting at its deadline. The log must name the cause before that.
#[track_caller]
fn assert_logged_before_the_deadline(how: &str) {
    LazyLock::force(&BINARY);
    let deadline = SystemTime::now() + Duration::from_secs(2);
    let since_1970 = deadline.duration_since(UNIX_EPOCH).unwrap();
    let header = format!("Lambda-Runtime-Deadline-Ms: {}\r\n", since_1970.as_millis());
    let api = RuntimeApi::start([Reply::Send(invocation("a", header, "5"))]);
    let mut child = function(how, api.address()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find(|line| line.contains("the deadline is near"));
    assert!(SystemTime::now() < deadline);
    child.kill().unwrap();
    child.wait().unwrap();
    let line = line.unwrap();
    assert!(line.starts_with("ERROR RequestId: a "), "{line}");
    assert_names_process(line);
}

#[test]
fn with_another_thread_the_log_names_the_cause_before_the_deadline() {
    assert_logged_before_the_deadline("current thread, with another");
}

#[test]
fn on_the_only_worker_of_a_multi_thread_runtime_the_log_names_the_cause_before_the_deadline() {
    assert_logged_before_the_deadline("worker");
}

#[test]
fn the_other_threads_of_a_multi_thread_runtime_wake_the_handler() {
    assert_answered("multi thread");
}

#[test]
fn run_in_spawn_blocking_does_not_block_the_runtime() {
    assert_answered("spawn_blocking");
}

#[test]
fn run_on_a_plain_thread_does_not_block_the_runtime() {
    assert_answered("plain thread");
}

#[test]
fn a_handler_may_wait_for_a_thread_that_it_started() {
    assert_answered("thread");
}
