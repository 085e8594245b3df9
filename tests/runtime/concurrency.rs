//! Concurrent invocations.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Barrier, Mutex},
    time::{Duration, Instant},
};

use conformance::{Received, Reply, RuntimeApi, accepted, answer, event, invocation};
use lambda_musl::{Context, testing::Runtime};

use crate::{
    child,
    support::{NEXT, path},
};

const WORKERS: usize = 4;
const EVENTS: usize = 5 * WORKERS;

/// A Runtime API that sends `EVENTS` events.
fn start() -> RuntimeApi {
    let ids = Mutex::new(0..EVENTS);
    RuntimeApi::replying(move |request| {
        if request.line != NEXT {
            return Some(accepted());
        }
        let id = ids.lock().unwrap().next();
        Some(match id {
            Some(id) => {
                let trace = "Lambda-Runtime-Trace-Id: Root=1\r\n";
                Reply::Send(invocation(&format!("id-{id}"), trace, "null"))
            }
            // Gives time to finish to workers that are still handling an event.
            None => Reply::Later(Duration::from_millis(500), answer(500, "no more")),
        })
    })
}

#[test]
fn the_environment_sets_how_many_invocations_run_concurrently() {
    let api = start();
    let text = meet_with(&api, WORKERS);
    assert!(text.contains("responded with 500: no more"), "{text}");
    let log = api.received();
    let answers: Vec<&Received> = log.iter().filter(|request| request.line != NEXT).collect();
    let lines: BTreeSet<String> = answers.iter().map(|post| post.line.clone()).collect();
    let expected = (0..EVENTS).map(|n| path(&format!("id-{n}"), "response"));
    assert_eq!(lines, expected.collect(), "every invocation has a response");
    assert_eq!(answers.len(), EVENTS, "one response per invocation");
    let connections: BTreeSet<usize> = log.iter().map(|request| request.connection).collect();
    assert_eq!(connections.len(), WORKERS, "one connection per worker");
    for post in answers {
        assert_eq!(post.body, br#"["Root=1",null]"#, "the trace ID is not in the environment");
    }
}

/// Runs `meet` with this number of workers. Returns the text on stderr.
fn meet_with(api: &RuntimeApi, workers: usize) -> String {
    child::run("concurrency::meet", api.address(), &[("AWS_LAMBDA_MAX_CONCURRENCY", &workers.to_string())])
}

/// A function whose invocations wait until every worker has one.
#[test]
#[ignore = "a function that other tests start"]
fn meet() {
    let barrier = Barrier::new(WORKERS);
    child::main(lambda_musl::run_concurrent(async move |(): (), context: Context| {
        barrier.wait();
        let trace = std::env::var("_X_AMZN_TRACE_ID").ok();
        Ok::<_, Infallible>((context.trace_id().map(str::to_owned), trace))
    }));
}

#[test]
fn a_worker_that_loses_its_connection_retries_five_times() {
    let api = RuntimeApi::start((0..6).map(|_| Reply::Close(Vec::new())));
    let start = Instant::now();
    let text = meet_with(&api, 1);
    assert!(text.contains("retry 1 of 5 in 100ms"), "{text}");
    assert!(text.contains("retry 5 of 5 in 1.6s"), "{text}");
    assert!(start.elapsed() >= Duration::from_millis(3100));
    let received = api.received();
    assert_eq!(received.len(), 6);
    assert!(received.iter().all(|request| request.line == NEXT));
}

#[test]
fn a_worker_that_is_refused_does_not_retry() {
    let api = RuntimeApi::start([Reply::Send(answer(403, "no"))]);
    assert!(meet_with(&api, 1).contains("responded with 403: no"));
}

#[test]
fn without_the_variable_invocations_run_one_at_a_time() {
    let api = RuntimeApi::start([event("a", "1"), accepted(), event("b", "2"), accepted()]);
    let handler = async |n: u32, _: Context| Ok::<_, Infallible>(n);
    let end = Runtime::at(api.address()).unwrap().run_concurrent(handler);
    assert!(end.is_err());
    let received = api.received();
    assert_eq!(received[3].body, b"2");
    assert!(received.iter().all(|request| request.connection == 0));
}
