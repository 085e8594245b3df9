//! Several invocations at once: Lambda Managed Instances.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use crate::{
    Error, Failure, FromEvent, LambdaHandler, api::Phase, executor::block_on, logs,
    runtime::Runtime, stack,
};

/// Tries on a Runtime API that does not answer `next`, and the pause before the first of them, which doubles.
const RETRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// The same as [`run`](crate::run), with as many invocations at once as `AWS_LAMBDA_MAX_CONCURRENCY` says: one, unless
/// the function is on [Lambda Managed Instances].
///
/// Each has a thread and a connection of its own; they share the handler, which must be [`Sync`]. The trace id is in the
/// [`Context`](crate::Context) alone, not in the environment, which all of them share as well.
///
/// It has been tested against the documented Runtime API, and has not run on AWS itself yet.
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
/// What cannot be shared does not compile:
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
/// As [`run`](crate::run); a connection that is lost while a worker waits is opened again five times, after 0.1 seconds
/// at first, then after twice the time before.
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
    /// As [`run_concurrent`].
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
            let started = thread::Builder::new()
                .name(format!("worker-{number}"))
                .stack_size(stack::SIZE)
                .spawn(move || {
                    let Err(error) = runtime.work(&*handler);
                    let _ = ends.send(error);
                });
            match started {
                Ok(_) => {}
                Err(error) if number == 1 => {
                    return Err(self.not_started(&Phase::Init, Failure::start(&error)));
                }
                // Those that are there may have invocations already.
                Err(error) => {
                    logs::error(
                        "",
                        format_args!(
                            "worker {number} of {workers} and those after it do not start: {error}"
                        ),
                    );
                    break;
                }
            }
        }
        drop(ends);
        // One that cannot go on ends them all, as the process does.
        Err(end.recv().unwrap_or_else(|_| Error::Connection {
            request: "all workers".to_owned(),
            source: io::Error::other("they panicked"),
        }))
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
            logs::error(
                "",
                format_args!("{error}; try {retries} of {RETRIES} in {pause:?}"),
            );
            thread::sleep(pause);
        }
    }
}
