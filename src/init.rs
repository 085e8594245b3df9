//! The function's own initialization, before its first invocation.

use crate::{Error, IntoFailure, api::Phase, executor::block_on, runtime::Runtime};

/// Runs `init` once before the first invocation. If it fails or panics, reports that to Lambda ([initialization error]) and
/// returns an error for `main` to return.
///
/// ```no_run
/// use lambda_musl::{Context, init, run};
///
/// fn main() -> Result<(), lambda_musl::Error> {
///     let table = init(|| std::env::var("TABLE"))?;
///     run(async |key: String, _: Context| Ok::<_, String>(format!("{table}/{key}")))
/// }
/// ```
///
/// # Errors
///
/// Returns [`Error::Init`] if `init` fails or panics, or another [`Error`] if the address of the Runtime API is invalid or the
/// Runtime API itself fails.
///
/// [initialization error]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-initerror
pub fn init<V, E>(init: impl FnOnce() -> Result<V, E>) -> Result<V, Error>
where
    E: IntoFailure,
{
    block_on(init_async(async { init() }))
}

/// Does for an async `main` what [`init`] does: awaits the `init` future once before the first invocation.
///
/// ```no_run
/// # async fn connect() -> Result<u32, std::io::Error> { Ok(1) }
/// # async fn main_() -> Result<(), lambda_musl::Error> {
/// use lambda_musl::{Context, init_async, process};
///
/// let database = init_async(connect()).await?;
/// process(async |n: u32, _: Context| Ok::<_, String>(n + database)).await
/// # }
/// ```
///
/// # Errors
///
/// See [`init`].
pub async fn init_async<V, E>(init: impl Future<Output = Result<V, E>>) -> Result<V, Error>
where
    E: IntoFailure,
{
    Runtime::from_env()?.init_async(init).await
}

impl Runtime {
    /// See [`init_async`].
    pub async fn init_async<V, E>(&self, init: impl Future<Output = Result<V, E>>) -> Result<V, Error>
    where
        E: IntoFailure,
    {
        self.start(Phase::Init, init).await
    }
}
