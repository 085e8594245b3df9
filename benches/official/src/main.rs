//! The function, with lambda_runtime: the example in the documentation of its `run` function.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[cfg_attr(not(feature = "one-thread"), tokio::main)]
#[cfg_attr(feature = "one-thread", tokio::main(flavor = "current_thread"))]
async fn main() -> Result<(), Error> {
    #[cfg(not(feature = "concurrent"))]
    return lambda_runtime::run(service_fn(echo)).await;
    #[cfg(feature = "concurrent")]
    return lambda_runtime::run_concurrent(service_fn(echo)).await;
}

async fn echo(event: LambdaEvent<Value>) -> Result<Value, Error> {
    Ok(event.payload)
}
