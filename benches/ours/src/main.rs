//! The function, with this runtime.

use std::convert::Infallible;

use lambda_musl::Context;
use serde_json::Value;

fn main() -> Result<(), lambda_musl::Error> {
    #[cfg(not(feature = "concurrent"))]
    return lambda_musl::run(echo);
    #[cfg(feature = "concurrent")]
    return lambda_musl::run_concurrent(echo);
}

async fn echo(event: Value, _: Context) -> Result<Value, Infallible> {
    Ok(event)
}
