//! The function, with this runtime.

use std::convert::Infallible;

use lambda_musl::Context;
use serde_json::Value;

fn main() -> Result<(), lambda_musl::Error> {
    lambda_musl::run(echo)
}

async fn echo(event: Value, _: Context) -> Result<Value, Infallible> {
    Ok(event)
}
