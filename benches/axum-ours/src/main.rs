//! JSON in, JSON out and a query parameter, with axum and this runtime.

use std::collections::HashMap;

use axum::{Json, Router, extract::Query, routing::post};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_musl::Error> {
    lambda_musl::tower::process(Router::new().route("/hello", post(greet))).await
}

async fn greet(Query(query): Query<HashMap<String, String>>, Json(body): Json<Value>) -> Json<Value> {
    let name = query.get("name").map_or("you", |name| name);
    Json(json!({ "hello": name, "body": body }))
}
