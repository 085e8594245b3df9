//! Functions under an executor other than the runtime's own.

use std::time::Duration;

use conformance::{Reply, RuntimeApi, accepted, event, invocation};
use lambda_musl::{
    Context, Error,
    testing::{self, Runtime},
};

use crate::support::{echo, path};

/// Runs `echo` under the caller's executor. Returns the error that ended the loop.
async fn process_echo(api: &RuntimeApi) -> Error {
    Runtime::at(api.address()).unwrap().process(echo).await.unwrap_err()
}

fn slow_script() -> [Reply; 3] {
    let wait = Duration::from_millis(300);
    [Reply::Later(wait, invocation("a", "", "1")), accepted(), Reply::Later(wait, Vec::new())]
}

#[test]
fn process_responds_under_any_executor() {
    let api = RuntimeApi::start([event("a", "1"), accepted(), event("b", "[]"), accepted()]);
    pollster::block_on(process_echo(&api));
    let received = api.received();
    assert_eq!(received[3].line, path("b", "response"));
    assert!(received.iter().all(|request| request.connection == 0));
}

#[tokio::test(flavor = "current_thread")]
async fn waiting_for_an_invocation_does_not_block_other_tasks() {
    let api = RuntimeApi::start(slow_script());
    let ticks = async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = ticks => {}
        end = process_echo(&api) => panic!("the other task was blocked: {end}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_can_await_tasks_and_timers_of_tokio() {
    let handler = async |n: u64, _: Context| {
        let task = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(n)).await;
            n
        });
        task.await
    };
    let [answer] = testing::process(handler, ["5"]).await.unwrap();
    assert_eq!(answer.body, b"5");
}

#[tokio::test(flavor = "multi_thread")]
async fn process_can_run_in_a_spawned_task() {
    async fn double(n: u32, _: Context) -> Result<u32, String> {
        tokio::task::yield_now().await;
        Ok(2 * n)
    }
    let api = RuntimeApi::start([event("a", "4"), accepted()]);
    let runtime = Runtime::at(api.address()).unwrap();
    let end = tokio::spawn(async move { runtime.process(double).await }).await;
    assert!(end.unwrap().is_err());
    assert_eq!(api.received()[1].body, b"8");
}
