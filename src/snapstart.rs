//! Lambda SnapStart: a function starts once and resumes from its snapshot many times.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, IntoFailure, api::Phase, executor::block_on, runtime::Runtime};

/// Whether this process is past its only snapshot.
static PASSED: AtomicBool = AtomicBool::new(false);

/// Runs `before`, waits until the function resumes from its snapshot, and runs `after` ([runtime hooks]). If SnapStart is not
/// enabled, does nothing.
///
/// Call `snapshot` once, between [`init`](crate::init) and [`run`](crate::run). Without this call, `run` waits for the resume and
/// runs no hooks. Every copy of the function resumes with the same memory: create what must be unique or fresh, such as
/// credentials, random numbers and connections, in `after`.
///
/// `snapshot` is tested against the documented Runtime API, but has not yet run on AWS itself.
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
/// Returns [`Error::Init`] if a hook fails or panics, after reporting that to Lambda. For other errors, see
/// [`run`](crate::run).
///
/// [runtime hooks]: https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-custom.html
pub fn snapshot<B, A>(
    before: impl FnOnce() -> Result<(), B>, after: impl FnOnce() -> Result<(), A>,
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
    /// Waits until the function resumes from its snapshot, unless it has already resumed.
    pub(crate) fn pass_snapshot(&self) -> Result<(), Error> {
        match self.must_pass() {
            true => self.restore(),
            false => Ok(()),
        }
    }

    fn must_pass(&self) -> bool {
        self.snap_start && !PASSED.swap(true, Ordering::Relaxed)
    }

    /// Blocks until the function resumes. Uses a separate connection, because no connection survives the snapshot.
    fn restore(&self) -> Result<(), Error> {
        block_on(self.api().get("/restore/next")).map(drop)
    }
}
