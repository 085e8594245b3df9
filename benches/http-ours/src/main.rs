//! JSON in, JSON out and a query parameter, with this runtime.

use lambda_musl::{
    Failure,
    http::{self, Body, Json, Request, RequestExt},
};
use serde_json::{Value, json};

fn main() -> Result<(), lambda_musl::Error> {
    http::run(greet)
}

async fn greet(request: Request<Body>) -> Result<Json<Value>, Failure> {
    let body: Value = request.body().json()?;
    let name = request.query("name").unwrap_or("you".into());
    Ok(Json(json!({ "hello": name, "body": body })))
}
