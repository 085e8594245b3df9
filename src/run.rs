//! The loop that handles invocations, and the functions [`run`] and [`process`], which run it.

use std::convert::Infallible;

use crate::{
    Context, Error, Failure, FromEvent, IntoFailure, LambdaHandler, Raw, Respond, abort,
    api::{Api, Invocation, Phase},
    executor::{block_on, guard},
    failure::panics,
    logs,
    logs::current,
    response::Answer,
    runtime::{CONCURRENCY, Runtime},
    trace,
    wire::background::Background,
    wire::connection::Connection,
    wire::transport::Transport,
};

/// Receives invocations and passes them to `handler`, one at a time, until Lambda stops the function.
///
/// This is the form for a `main` without an async runtime: futures run on the calling thread.
///
/// [`stdout`](std::io::stdout) is flushed to Lambda's log before each response is sent, even if the last line has no line break.
/// A thread must therefore not keep `stdout` locked indefinitely. C's `printf` has its own buffer, which is not flushed.
///
/// In a static program with musl, the main thread has a stack of 8 MiB, or less if the system's hard limit is lower. Each worker
/// of [`run_concurrent`](crate::run_concurrent) has a stack of 8 MiB as well; other threads have the stack size that they were
/// started with. A stack overflow on any thread is logged. Child processes inherit the main thread's limit.
///
/// Between two invocations, `run` sets the `_X_AMZN_TRACE_ID` environment variable, as Lambda requires of a runtime. Threads must
/// not read the environment through C's `getenv` at that moment. Reading it through [`std::env`](mod@std::env) is safe.
///
/// ```no_run
/// use lambda_musl::{Context, run};
///
/// fn main() -> Result<(), lambda_musl::Error> {
///     run(async |name: String, _: Context| Ok::<_, String>(format!("Hello, {name}!")))
/// }
/// ```
///
/// # Inside an async runtime
///
/// In an async runtime, call [`process`] instead, because `run` blocks the calling thread. `run` works only if other threads
/// drive what a handler waits for. They do in a multi-threaded runtime, and if tokio's `spawn_blocking` or the program started the
/// calling thread. On the only thread of a single-threaded runtime, such as tokio's `current_thread`, nothing can wake a handler
/// that waits for a timer, a socket or a task. On Linux, such an invocation fails with the error type `Function.Deadlock` after
/// 0.1 seconds if the process has no other thread. Otherwise, `run` logs the waiting handler 0.2 seconds before its deadline.
///
/// # Errors
///
/// Returns an [`Error`] if the Runtime API cannot be reached or violates its contract. If `main` returns this error, it is printed,
/// and the exit status is 1; Lambda then restarts the function.
pub fn run<T, H>(handler: H) -> Result<(), Error>
where
    T: FromEvent,
    H: LambdaHandler<T>,
{
    Runtime::from_env()?.run(handler)
}

/// Receives invocations as [`run`] does, but for an async `main`: runs on tokio or any other executor without blocking it.
///
/// Await the future to completion: an invocation that arrives after the future is dropped gets no response.
///
/// ```no_run
/// # async fn main_() -> Result<(), lambda_musl::Error> {
/// use lambda_musl::{Context, process};
///
/// process(async |name: String, _: Context| Ok::<_, String>(format!("Hello, {name}!"))).await
/// # }
/// ```
///
/// # Errors
///
/// See [`run`].
pub async fn process<T, H>(handler: H) -> Result<(), Error>
where
    T: FromEvent,
    H: LambdaHandler<T>,
{
    Runtime::from_env()?.process(handler).await
}

impl Runtime {
    /// See [`run`].
    pub fn run<T, H>(&self, handler: H) -> Result<(), Error>
    where
        T: FromEvent,
        H: LambdaHandler<T>,
    {
        self.begin()?;
        let Err(error) = block_on(self.serve(&handler, &mut self.api()));
        Err(error)
    }

    /// See [`process`].
    pub async fn process<T, H>(&self, handler: H) -> Result<(), Error>
    where
        T: FromEvent,
        H: LambdaHandler<T>,
    {
        self.begin()?;
        let background = Background::start(Connection::new(&self.address))
            .map_err(|error| self.not_started(&Phase::Init, Failure::start(&error)))?;
        let mut api = Api::new(&self.address, background);
        let Err(error) = self.serve(&handler, &mut api).await;
        Err(error)
    }

    /// Prepares for the first invocation of a function that handles one at a time.
    fn begin(&self) -> Result<(), Error> {
        if let Some(concurrency) = self.concurrency.filter(|number| number.get() > 1) {
            logs::error(
                "",
                format_args!(
                    "{CONCURRENCY} is {concurrency}, but this function handles one invocation at a time: \
                     call `run_concurrent` to handle several"
                ),
            );
        }
        self.pass_snapshot()
    }

    /// Handles one invocation at a time, with exactly one response or error report for each, until the Runtime API fails.
    pub(crate) async fn serve<T, H, W>(&self, handler: &H, api: &mut Api<W>) -> Result<Infallible, Error>
    where
        T: FromEvent,
        H: LambdaHandler<T>,
        W: Transport,
    {
        panics::remember();
        loop {
            let Invocation { context, event } = api.next().await?;
            if self.sets_trace() {
                trace::set(context.trace_id());
            }
            let watch = abort::watch(&self.address, || Phase::Invoke(context.clone()));
            let answer = current::with(&context, guard(answer(handler, event, context.clone())));
            match W::handle(&api.alarm, &context, answer).await {
                Ok(Answer::Whole(response)) => {
                    drop(watch);
                    logs::flush();
                    api.respond(&context, response).await?;
                    api.spare = context.into_memory();
                }
                // Writing the body runs the function's own code, so the watch continues.
                Ok(Answer::Stream(start, body)) => {
                    api.stream(&context, start, body).await?;
                    drop(watch);
                }
                Err(failure) => {
                    drop(watch);
                    logs::failure(context.request_id(), &failure);
                    logs::flush();
                    api.fail(&Phase::Invoke(context), &failure).await?;
                }
            }
        }
    }
}

/// Runs all of the function's own code, which may panic: parsing the event, the handler, serializing the response and
/// displaying the error.
async fn answer<T, H>(
    handler: &H, mut event: Raw, context: Context,
) -> Result<Answer<<H::Response as Respond>::Body>, Failure>
where
    T: FromEvent,
    H: LambdaHandler<T>,
{
    let input = T::from_event(&mut event).map_err(|error| Failure::unmarshal(&error))?;
    let response = handler.handle(input, context).await;
    let response = response.map_err(IntoFailure::into_failure)?;
    response.into_answer(event.body).map_err(|error| Failure::marshal(&error))
}
