//! Concurrent invocations, on Lambda Managed Instances.

use std::{
    convert::Infallible,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use crate::{Error, Failure, FromEvent, LambdaHandler, api::Phase, executor::block_on, logs, runtime::Runtime, stack};

/// The maximum number of retries if the connection to the Runtime API fails.
const RETRIES: u32 = 5;

/// The pause before the first retry; each further retry doubles it.
const PAUSE: Duration = Duration::from_millis(100);

/// Receives invocations as [`run`](crate::run) does, but as many at the same time as `AWS_LAMBDA_MAX_CONCURRENCY` specifies: one,
/// unless the function runs on [Lambda Managed Instances].
///
/// Each worker has its own thread and connection. The workers share the handler, which must therefore be [`Sync`]. They also share
/// the environment variables, so the trace ID is available only from the [`Context`](crate::Context).
///
/// `run_concurrent` is tested against the documented Runtime API, but has not yet run on AWS itself.
///
/// ```no_run
/// use lambda_musl::{Context, run_concurrent};
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// fn main() -> Result<(), lambda_musl::Error> {
///     let count = AtomicU32::new(0);
///     run_concurrent(async move |step: u32, _: Context| {
///         Ok::<_, String>(count.fetch_add(step, Ordering::Relaxed) + step)
///     })
/// }
/// ```
///
/// A handler that cannot be shared between threads does not compile:
///
/// ```compile_fail,E0277
/// use lambda_musl::{Context, run_concurrent};
///
/// let count = std::cell::Cell::new(0);
/// run_concurrent(async move |step: u32, _: Context| {
///     count.set(count.get() + step);
///     Ok::<_, String>(count.get())
/// });
/// ```
///
/// # Errors
///
/// See [`run`](crate::run). If a worker loses its connection while it waits for an invocation, it reconnects up to five times:
/// first after 0.1 seconds, then each time after twice the previous pause.
///
/// [Lambda Managed Instances]: https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances.html
pub fn run_concurrent<T, H>(handler: H) -> Result<(), Error>
where
    T: FromEvent + 'static,
    H: LambdaHandler<T> + Send + Sync + 'static,
{
    Runtime::from_env()?.run_concurrent(handler)
}

impl Runtime {
    /// See [`run_concurrent`].
    pub fn run_concurrent<T, H>(&self, handler: H) -> Result<(), Error>
    where
        T: FromEvent + 'static,
        H: LambdaHandler<T> + Send + Sync + 'static,
    {
        let workers = match self.concurrency {
            None => return self.run(handler),
            Some(workers) => workers.get(),
        };
        self.pass_snapshot()?;
        let handler = Arc::new(handler);
        let (ends, end) = mpsc::channel();
        for number in 1..=workers {
            let (runtime, handler, ends) = (self.clone(), Arc::clone(&handler), ends.clone());
            let started =
                thread::Builder::new().name(format!("worker-{number}")).stack_size(stack::SIZE).spawn(move || {
                    let Err(error) = runtime.work(&*handler);
                    let _ = ends.send(error);
                });
            match started {
                Ok(_) => {}
                Err(error) if number == 1 => {
                    return Err(self.not_started(&Phase::Init, Failure::start(&error)));
                }
                // The workers that have started may already be handling invocations.
                Err(error) => {
                    logs::error("", format_args!("cannot start workers {number} to {workers}: {error}"));
                    break;
                }
            }
        }
        drop(ends);
        // A worker that cannot continue ends all workers, because the process exits.
        Err(end.recv().expect("at least one worker does not panic"))
    }

    fn work<T, H>(&self, handler: &H) -> Result<Infallible, Error>
    where
        T: FromEvent,
        H: LambdaHandler<T>,
    {
        let mut api = self.api();
        let (mut taken, mut retries) = (0, 0);
        loop {
            let Err(error) = block_on(self.serve(handler, &mut api));
            if api.taken != taken {
                (taken, retries) = (api.taken, 0);
            }
            if retries == RETRIES || !matches!(error, Error::Connection { .. }) {
                return Err(error);
            }
            let pause = PAUSE * 2u32.pow(retries);
            retries += 1;
            logs::error("", format_args!("{error}; retry {retries} of {RETRIES} in {pause:?}"));
            thread::sleep(pause);
        }
    }
}
