//! The loop, and the two calls that run it.

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

/// Takes invocations and gives them to `handler`, one after the other, for as long as Lambda lets it.
///
/// For a `main` without an async runtime: futures run on the calling thread.
///
/// What the function prints to [`stdout`](std::io::stdout) is in Lambda's log before an invocation is answered, without a
/// line end as well. So a thread must not keep `stdout` locked for ever. C's `printf` has a buffer of its own.
///
/// A static program with musl has a stack of 8 MiB on its main thread, or as much of that as the system allows for, and
/// each worker of [`run_concurrent`](crate::run_concurrent) has that as well; other threads have what they were started
/// with. An overflow of any is a line in the log. What such a program starts inherits the limit.
///
/// Between two invocations it sets the variable `_X_AMZN_TRACE_ID`, as Lambda asks of a runtime: a thread of the function
/// must not read the environment through C's `getenv` at that moment. Reading it through [`std::env`](mod@std::env) is fine.
///
/// ```no_run
/// use lambda_musl::{Context, run};
///
/// fn main() -> Result<(), lambda_musl::Error> {
///     run(async |name: String, _: Context| Ok::<_, String>(format!("Hello, {name}!")))
/// }
/// ```
///
/// # Inside of an async runtime
///
/// There it blocks the thread that it is called on, and [`process`] is the form to call. It works where other threads
/// drive what a handler waits for: on a thread that tokio's `spawn_blocking` or the program has started, and under a
/// runtime with several threads. On the only thread of a runtime, like tokio's `current_thread`, nothing could ever wake
/// a handler that waits for a timer, a socket or a task: such an invocation fails with the error type
/// `Function.Deadlock` after 0.1 seconds. That needs Linux, and a process with no other thread; where there is one, a
/// handler that nothing has woken is logged 0.2 seconds before its deadline.
///
/// # Errors
///
/// When the Runtime API cannot be reached or does not play its part; see [`Error`]. Returned from `main` it is printed,
/// and the exit status is 1, whereupon Lambda starts the function anew.
pub fn run<T, H>(handler: H) -> Result<(), Error>
where
    T: FromEvent,
    H: LambdaHandler<T>,
{
    Runtime::from_env()?.run(handler)
}

/// The same as [`run`], for a `main` that is async: it runs under tokio and under any other executor, and blocks none.
///
/// To be awaited to its end: an invocation that comes after the future is dropped is not answered.
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
/// As [`run`].
pub async fn process<T, H>(handler: H) -> Result<(), Error>
where
    T: FromEvent,
    H: LambdaHandler<T>,
{
    Runtime::from_env()?.process(handler).await
}

impl Runtime {
    /// As [`run`].
    pub fn run<T, H>(&self, handler: H) -> Result<(), Error>
    where
        T: FromEvent,
        H: LambdaHandler<T>,
    {
        self.begin()?;
        let Err(error) = block_on(self.serve(&handler, &mut self.api()));
        Err(error)
    }

    /// As [`process`].
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

    /// What comes before the first invocation of a function that takes one at a time.
    fn begin(&self) -> Result<(), Error> {
        if let Some(concurrency) = self.concurrency.filter(|number| number.get() > 1) {
            logs::error(
                "",
                format_args!(
                    "{CONCURRENCY} is {concurrency}, but this function takes one invocation at a time: \
                     it should call run_concurrent"
                ),
            );
        }
        self.pass_snapshot()
    }

    /// Takes one invocation after the other, and gives each its one answer, until the Runtime API fails.
    pub(crate) async fn serve<T, H, W>(
        &self,
        handler: &H,
        api: &mut Api<W>,
    ) -> Result<Infallible, Error>
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
            match W::handle(&context, answer).await {
                Ok(Answer::Whole(response)) => {
                    drop(watch);
                    logs::flush();
                    api.respond(&context, response).await?;
                }
                // Its body is the function's own, too.
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

/// All that is the function's own, and may panic: its event, its handler, its response and how its errors display.
async fn answer<T, H>(
    handler: &H,
    event: Raw,
    context: Context,
) -> Result<Answer<<H::Response as Respond>::Body>, Failure>
where
    T: FromEvent,
    H: LambdaHandler<T>,
{
    let event = T::from_event(event).map_err(|error| Failure::unmarshal(&error))?;
    let response = handler.handle(event, context).await;
    let response = response.map_err(IntoFailure::into_failure)?;
    response
        .into_answer()
        .map_err(|error| Failure::marshal(&error))
}
