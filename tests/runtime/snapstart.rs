//! SnapStart: hooks around a snapshot.

use conformance::{Reply, RuntimeApi, accepted, answer, event};

use crate::{
    child,
    support::{NEXT, echo},
};

const RESTORE: &str = "GET /2018-06-01/runtime/restore/next";

/// Runs a function with SnapStart, in which the `failing` hook fails. Returns its requests, each with the number of its
/// connection, and the text on stderr.
fn run(function: &str, script: impl IntoIterator<Item = Reply>, failing: &str) -> (Vec<(usize, String)>, String) {
    let api = RuntimeApi::start(script);
    let variables = [("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start"), ("FAIL", failing)];
    let text = child::run(function, api.address(), &variables);
    let received = api.received().into_iter();
    (received.map(|request| (request.connection, request.request.line)).collect(), text)
}

fn restored() -> Reply {
    Reply::Send(answer(200, ""))
}

#[test]
fn hooks_run_around_the_snapshot_and_no_connection_survives_it() {
    let (calls, text) = run("snapstart::hooked", [restored(), event("a", "1"), accepted()], "");
    assert_eq!(calls[0], (0, RESTORE.into()));
    assert_eq!(calls[1], (1, NEXT.into()));
    let (before, after) = (text.find("hook: before").unwrap(), text.find("hook: after").unwrap());
    assert!(before < after);
}

#[test]
fn a_function_without_hooks_also_waits_for_the_restore() {
    let (calls, _) = run("snapstart::plain", [restored(), event("a", "1"), accepted()], "");
    assert_eq!(calls[0], (0, RESTORE.into()));
    assert_eq!(calls[1], (1, NEXT.into()));
}

#[test]
fn a_failing_hook_before_the_snapshot_is_an_init_error() {
    let (calls, text) = run("snapstart::hooked", [accepted()], "before");
    assert_eq!(calls, [(0, "POST /2018-06-01/runtime/init/error".into())]);
    assert!(text.contains("the function failed to start: Function.Error: \"before\""), "{text}");
}

#[test]
fn a_failing_hook_after_the_restore_is_a_restore_error() {
    let (calls, text) = run("snapstart::hooked", [restored(), accepted()], "after");
    assert_eq!(calls[1].1, "POST /2018-06-01/runtime/restore/error");
    assert!(text.contains("Function.Error: \"after\""), "{text}");
}

#[test]
fn a_refused_restore_ends_the_function() {
    let (calls, text) = run("snapstart::hooked", [Reply::Send(answer(403, "not now"))], "");
    assert_eq!(calls.len(), 1);
    assert!(text.contains("restore/next: the Runtime API responded with 403: not now"), "{text}");
    assert!(!text.contains("hook: after"));
}

#[test]
fn without_snapstart_no_hook_runs() {
    let api = RuntimeApi::start([event("a", "1"), accepted()]);
    let text = child::run("snapstart::hooked", api.address(), &[]);
    assert!(!text.contains("hook:"), "{text}");
    assert_eq!(api.received()[0].line, NEXT);
}

#[test]
#[ignore = "a function that other tests start"]
fn hooked() {
    let hook = |name: &'static str| {
        move || {
            eprintln!("hook: {name}");
            match std::env::var("FAIL").as_deref() == Ok(name) {
                true => Err(name),
                false => Ok(()),
            }
        }
    };
    let restored = lambda_musl::snapshot(hook("before"), hook("after"));
    child::main(restored.and_then(|()| lambda_musl::run(echo)));
}

#[test]
#[ignore = "a function that other tests start"]
fn plain() {
    child::main(lambda_musl::run(echo));
}
