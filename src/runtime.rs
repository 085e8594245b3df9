//! Where a function begins: [`run`], [`process`], and the [`Runtime`] behind them.

use std::env;

use crate::{
    Error, Failure, FromEvent, LambdaHandler, address::Address, api::Api, background::Background,
    connection::Connection, executor::block_on, serve::serve,
};

/// Takes invocations and gives them to `handler`, one after the other, for as long as Lambda lets it.
///
/// For a `main` without an async runtime: futures run on the calling thread.
///
/// ```no_run
/// use lambda_musl::{Context, run};
///
/// fn main() -> Result<(), lambda_musl::Error> {
///     run(async |name: String, _: Context| Ok::<_, String>(format!("Hello, {name}!")))
/// }
/// ```
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
#[derive(Clone, Debug)]
pub struct Runtime {
    pub(crate) address: Address,
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

    /// The Runtime API at `address`.
    ///
    /// # Errors
    ///
    /// When `address` is not `host:port`, with or without a path.
    pub fn at(address: &str) -> Result<Self, Error> {
        let address = Address::parse(address)?;
        Ok(Runtime { address })
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
        let connection = Connection::new(&self.address);
        block_on(serve(&handler, &mut Api::new(&self.address, connection)))
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
        let background = Background::start(Connection::new(&self.address))
            .map_err(|error| self.not_started("/init/error", Failure::start(&error)))?;
        serve(&handler, &mut Api::new(&self.address, background)).await
    }
}
