//! An API with one route, built on axum and AWS's runtime.

use axum::{Json, Router, extract::Path, routing::get};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    lambda_http::run(Router::new().route("/hello/{name}", get(hello))).await
}

async fn hello(Path(name): Path<String>) -> Json<Value> {
    Json(json!({ "hello": name }))
}
