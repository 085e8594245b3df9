//! The loop.

use std::{env, io};

use serde::de::DeserializeOwned;

use crate::{
    Context, Error, IntoResponse, LambdaHandler, Raw,
    api::{Address, Api, Invocation, Transport, log},
    background::Background,
    executor::{block_on, catch_panic, drop_thrown},
    failure::{Failure, forget_panics, remember_panics},
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
    T: DeserializeOwned,
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
    T: DeserializeOwned,
    H: LambdaHandler<T>,
{
    Runtime::from_env()?.process(handler).await
}

/// A runtime for a Runtime API at a place of the caller's choice, which a test needs.
#[derive(Clone, Debug)]
pub struct Runtime {
    address: Address,
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
        T: DeserializeOwned,
        H: LambdaHandler<T>,
    {
        let connection = self.address.connection();
        block_on(serve(&handler, Api::new(&self.address, connection)))
    }

    /// As [`process`].
    ///
    /// # Errors
    ///
    /// As [`run`].
    pub async fn process<T, H>(&self, handler: H) -> Result<(), Error>
    where
        T: DeserializeOwned,
        H: LambdaHandler<T>,
    {
        let background = Background::start(self.address.connection()).map_err(no_thread)?;
        serve(&handler, Api::new(&self.address, background)).await
    }
}

fn no_thread(source: io::Error) -> Error {
    let request = "starting the thread for the Runtime API".to_owned();
    Error::Connection { request, source }
}

async fn serve<T, H, W>(handler: &H, mut api: Api<W>) -> Result<(), Error>
where
    T: DeserializeOwned,
    H: LambdaHandler<T>,
    W: Transport,
{
    remember_panics();
    loop {
        let Invocation { context, event } = api.next().await?;
        forget_panics();
        let answer = catch_panic(answer(handler, &event, context.clone())).await;
        let answer = answer.unwrap_or_else(|thrown| {
            let failure = Failure::panic(&*thrown);
            drop_thrown(thrown);
            Err(failure)
        });
        match answer {
            Ok(response) => api.respond(&context, response).await?,
            Err(failure) => {
                log(context.request_id(), format_args!("{failure}"));
                api.fail(&context, &failure).await?;
            }
        }
    }
}

/// All that is the function's own, and may panic: its event, its handler, its response and how its errors display.
async fn answer<T, H>(handler: &H, event: &[u8], context: Context) -> Result<Raw, Failure>
where
    T: DeserializeOwned,
    H: LambdaHandler<T>,
{
    let event = serde_json::from_slice(event).map_err(Failure::unmarshal)?;
    let response = handler.handle(event, context).await;
    let response = response.map_err(Failure::handler)?;
    response.into_response().map_err(Failure::marshal)
}
