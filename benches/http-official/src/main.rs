//! JSON in, JSON out and a query parameter, with lambda_http.

use lambda_http::{Error, Request, RequestExt, run, service_fn};
use serde_json::{Value, json};

#[cfg_attr(not(feature = "one-thread"), tokio::main)]
#[cfg_attr(feature = "one-thread", tokio::main(flavor = "current_thread"))]
async fn main() -> Result<(), Error> {
    run(service_fn(greet)).await
}

async fn greet(request: Request) -> Result<Value, Error> {
    let body: Value = serde_json::from_slice(request.body())?;
    let query = request.query_string_parameters();
    let name = query.first("name").unwrap_or("you");
    Ok(json!({ "hello": name, "body": body }))
}
