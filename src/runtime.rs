//! Where a function begins: [`run`], [`process`], and the [`Runtime`] behind them.

use std::{env, num::NonZero};

use crate::{
    Error, Failure, FromEvent, LambdaHandler, api::Api, executor::block_on, logs, serve::serve,
    stack, wire::address::Address, wire::background::Background, wire::connection::Connection,
};

const CONCURRENCY: &str = "AWS_LAMBDA_MAX_CONCURRENCY";

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

/// A runtime for a Runtime API at a place of the caller's choice, which a test needs.
///
/// ```no_run
/// use lambda_musl::{Context, Runtime};
///
/// let runtime = Runtime::at("127.0.0.1:9001")?;
/// let end = runtime.run(async |n: u32, _: Context| Ok::<_, String>(n + 1));
/// # Ok::<(), lambda_musl::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Runtime {
    pub(crate) address: Address,
    /// How many invocations at once, on Lambda Managed Instances.
    pub(crate) concurrency: Option<NonZero<usize>>,
    /// Whether there will be a snapshot before the first invocation.
    pub(crate) snap_start: bool,
}

impl Runtime {
    /// The Runtime API that `AWS_LAMBDA_RUNTIME_API` names ([reserved environment variables]); without it, the one at
    /// `127.0.0.1`, port 80.
    ///
    /// # Errors
    ///
    /// When the variable is not `host:port`, with or without a path.
    ///
    /// [reserved environment variables]: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    pub fn from_env() -> Result<Self, Error> {
        let address = env::var_os("AWS_LAMBDA_RUNTIME_API").unwrap_or("127.0.0.1".into());
        Runtime::at(&address.to_string_lossy())
    }

    /// The Runtime API at `address`. What else there is to know stands in Lambda's environment variables:
    /// `AWS_LAMBDA_MAX_CONCURRENCY` and `AWS_LAMBDA_INITIALIZATION_TYPE`.
    ///
    /// # Errors
    ///
    /// When `address` is not `host:port`, with or without a path.
    pub fn at(address: &str) -> Result<Self, Error> {
        stack::prepare();
        let concurrency = env::var(CONCURRENCY).ok();
        let initialization = env::var_os("AWS_LAMBDA_INITIALIZATION_TYPE");
        Ok(Runtime {
            address: Address::parse(address)?,
            concurrency: concurrency.and_then(|number| {
                let parsed = number.trim().parse();
                parsed
                    .inspect_err(|_| {
                        logs::error("", format_args!("{CONCURRENCY}={number:?} is no number of invocations: one at a time"));
                    })
                    .ok()
            }),
            snap_start: initialization.is_some_and(|kind| kind == "snap-start"),
        })
    }

    /// As [`run`].
    ///
    /// # Errors
    ///
    /// As [`run`].
    pub fn run<T, H>(&self, handler: H) -> Result<(), Error>
    where
        T: FromEvent,
        H: LambdaHandler<T>,
    {
        self.begin()?;
        let mut api = Api::new(&self.address, Connection::new(&self.address));
        let Err(error) = block_on(serve(&handler, &mut api, self.sets_trace()));
        Err(error)
    }

    /// As [`process`].
    ///
    /// # Errors
    ///
    /// As [`run`].
    pub async fn process<T, H>(&self, handler: H) -> Result<(), Error>
    where
        T: FromEvent,
        H: LambdaHandler<T>,
    {
        self.begin()?;
        let background = Background::start(Connection::new(&self.address))
            .map_err(|error| self.not_started("/init/error", Failure::start(&error)))?;
        let mut api = Api::new(&self.address, background);
        let Err(error) = serve(&handler, &mut api, self.sets_trace()).await;
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

    /// Whether the trace id goes into the environment: not where invocations share it.
    pub(crate) fn sets_trace(&self) -> bool {
        self.concurrency.is_none()
    }
}
