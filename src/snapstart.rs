//! Lambda SnapStart: a function that is started once, and resumed from a snapshot many times.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, IntoFailure, api::Phase, executor::block_on, runtime::Runtime};

/// Whether this process is past its snapshot, of which there is one at most.
static PASSED: AtomicBool = AtomicBool::new(false);

/// Where SnapStart is on, runs `before`, waits until the function is resumed from its snapshot, and runs `after`; without
/// it, does nothing ([runtime hooks]).
///
/// To be called once, between [`init`](crate::init) and [`run`](crate::run), which pass the snapshot without hooks where
/// it was not. Every copy of the function comes from the same memory: what must be unique or fresh, like credentials,
/// random numbers and connections, is made in `after`.
///
/// It has been tested against the documented Runtime API, and has not run on AWS itself yet.
///
/// ```no_run
/// use lambda_musl::{Context, run, snapshot};
/// use std::sync::Mutex;
///
/// fn main() -> Result<(), lambda_musl::Error> {
///     let token = Mutex::new(String::new());
///     snapshot(
///         || Ok::<_, String>(()),
///         || std::env::var("TOKEN").map(|fresh| *token.lock().unwrap() = fresh),
///     )?;
///     run(async |_: (), _: Context| Ok::<_, String>(token.lock().unwrap().len()))
/// }
/// ```
///
/// # Errors
///
/// [`Error::Init`] when one of the two fails or panics, which Lambda is told of; others as [`run`](crate::run).
///
/// [runtime hooks]: https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-custom.html
pub fn snapshot<B, A>(
    before: impl FnOnce() -> Result<(), B>,
    after: impl FnOnce() -> Result<(), A>,
) -> Result<(), Error>
where
    B: IntoFailure,
    A: IntoFailure,
{
    let runtime = Runtime::from_env()?;
    if !runtime.must_pass() {
        return Ok(());
    }
    block_on(runtime.start(Phase::Init, async { before() }))?;
    runtime.restore()?;
    block_on(runtime.start(Phase::Restore, async { after() }))
}

impl Runtime {
    /// Passes the snapshot where that is still to be done.
    pub(crate) fn pass_snapshot(&self) -> Result<(), Error> {
        match self.must_pass() {
            true => self.restore(),
            false => Ok(()),
        }
    }

    fn must_pass(&self) -> bool {
        self.snap_start && !PASSED.swap(true, Ordering::Relaxed)
    }

    /// Blocks across the snapshot, over a connection of its own: none survives it.
    fn restore(&self) -> Result<(), Error> {
        block_on(self.api().get("/restore/next")).map(drop)
    }
}
