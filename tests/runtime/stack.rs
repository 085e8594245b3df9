//! The stack of a handler and its overflow, in a static musl program.

use std::{
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Command, Output},
    sync::LazyLock,
};

use conformance::{Reply, RuntimeApi, accepted, answer, event};

use crate::child;

const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;

const MAIN: &str = r#"
use std::{env, hint::black_box, thread};

use lambda_musl::{Context, init, process, run, run_concurrent};

/// Uses `mib` MiB of stack, in steps of 16 KiB.
fn dig(mib: usize) -> usize {
    fn step(left: usize) -> usize {
        let frame = [left as u8; 16 * 1024];
        match left {
            0 => 0,
            _ => step(black_box(left - 1)) + usize::from(black_box(&frame)[left]),
        }
    }
    step(mib * 64)
}

async fn handle(mib: usize, _: Context) -> Result<usize, String> {
    match env::var("HOW").as_deref() {
        Ok("thread") => {
            let thread = thread::Builder::new().name("helper".into()).spawn(move || dig(mib));
            thread.unwrap().join().unwrap();
        }
        Ok("fault") => drop(unsafe { (8 as *const u8).read_volatile() }),
        _ => drop(dig(mib)),
    }
    Ok(mib)
}

fn main() -> Result<(), lambda_musl::Error> {
    match env::var("HOW").as_deref() {
        Ok("process") => pollster::block_on(process(handle)),
        Ok("workers") => run_concurrent(handle),
        Ok("init") => {
            init(|| Ok::<_, String>(dig(100)))?;
            run(handle)
        }
        _ => run(handle),
    }
}
"#;

/// The path of a static musl program.
static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    child::compile("deep", "pollster = '0.4'", MAIN, Some(&target))
});

/// Runs a function with `events`, under the limits that the shell's `ulimit` sets with these options. Returns its output and its
/// responses.
fn run(how: &str, ulimit: &str, events: &[&str]) -> (Output, Vec<String>) {
    let events = events.iter().map(|mib| event("a", mib));
    let script = events.flat_map(|event| [event, accepted()]);
    // If the connection were closed instead, a worker would retry.
    let end = Reply::Send(answer(500, "no more"));
    let api = RuntimeApi::start(script.chain([end]));
    let output = Command::new("sh")
        .args(["-c", &format!("ulimit -c 0 && ulimit {ulimit} && exec \"$0\"")])
        .arg(&*BINARY)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", api.address())
        .env("AWS_LAMBDA_MAX_CONCURRENCY", "1")
        .env("HOW", how)
        .output()
        .unwrap();
    let requests = api.requests.try_iter();
    let responses = requests.filter(|request| request.line.ends_with("/response"));
    let responses = responses.map(|post| String::from_utf8(post.request.body).unwrap());
    (output, responses.collect())
}

const USUAL: &str = "-S -s 8192";

#[track_caller]
fn assert_overflow(how: &str, ulimit: &str, mib: &str, thread: &str) {
    let (output, responses) = run(how, ulimit, &[mib]);
    let text = String::from_utf8(output.stderr).unwrap();
    let begin = format!("thread '{thread}'");
    let is_report = |line: &str| line.starts_with(&begin) && line.ends_with("has overflowed its stack");
    assert!(text.lines().any(is_report), "{text}");
    assert_eq!(output.status.signal(), Some(SIGABRT));
    assert!(responses.is_empty());
}

#[test]
fn an_overflow_on_the_main_thread_is_logged() {
    assert_overflow("run", USUAL, "100", "main");
}

#[test]
fn an_overflow_under_an_executor_is_logged() {
    assert_overflow("process", USUAL, "100", "main");
}

#[test]
fn an_overflow_in_the_init_phase_is_logged() {
    assert_overflow("init", USUAL, "1", "main");
}

#[test]
fn an_overflow_in_a_worker_is_logged() {
    assert_overflow("workers", USUAL, "100", "worker-1");
}

#[test]
fn an_overflow_in_another_thread_of_the_function_is_logged() {
    assert_overflow("thread", USUAL, "100", "helper");
}

#[test]
fn another_fault_is_not_reported_as_an_overflow() {
    let (output, _) = run("fault", USUAL, &["1"]);
    assert_eq!(output.status.signal(), Some(SIGSEGV));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("overflowed"), "{text}");
}

#[test]
fn a_handler_has_8_mib_of_stack_whatever_the_limit() {
    for how in ["run", "process", "workers"] {
        for ulimit in ["-S -s 256", USUAL, "-S -s 65536", "-S -s unlimited"] {
            let (output, responses) = run(how, ulimit, &["7"]);
            assert_eq!(responses, ["7"], "{how} {ulimit}: {output:?}");
        }
    }
}

#[test]
fn a_handler_has_no_more_than_8_mib_of_stack_whatever_the_limit() {
    assert_overflow("run", "-S -s unlimited", "9", "main");
    assert_overflow("run", "-S -s 256", "9", "main");
    assert_overflow("workers", "-S -s unlimited", "9", "worker-1");
}

#[test]
fn an_overflow_under_a_lower_hard_limit_is_logged() {
    assert_overflow("run", "-s 1024", "2", "main");
}
