//! Takes orders with an axum router, behind a function URL, API Gateway or a load balancer.

use std::sync::{Arc, Mutex};

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use lambda_musl::http::RequestContext;
use serde::{Deserialize, Serialize};

#[derive(Clone, Deserialize, Serialize)]
struct Order {
    article: String,
    count: u32,
}

/// The orders that this execution environment has received. Use a database to keep orders longer.
type Orders = Arc<Mutex<Vec<Order>>>;

fn router() -> Router {
    Router::new()
        .route("/orders", post(add))
        .route("/orders/{number}", get(show))
        .route("/me", get(me))
        .with_state(Orders::default())
}

async fn add(State(orders): State<Orders>, Json(order): Json<Order>) -> (StatusCode, String) {
    let mut orders = orders.lock().expect("no handler panics");
    orders.push(order);
    (StatusCode::CREATED, format!("/orders/{}", orders.len() - 1))
}

async fn show(
    State(orders): State<Orders>,
    Path(number): Path<usize>,
) -> Result<Json<Order>, StatusCode> {
    let orders = orders.lock().expect("no handler panics");
    orders
        .get(number)
        .cloned()
        .map(Json)
        .ok_or(StatusCode::NOT_FOUND)
}

/// Returns the client's address, as AWS reports it.
async fn me(Extension(context): Extension<RequestContext>) -> String {
    context
        .source_ip()
        .map_or("unknown".into(), |ip| ip.to_string())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_musl::Error> {
    lambda_musl::tower::process(router()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_musl::{testing, tower};
    use serde_json::{Value, json};

    /// A request to a function URL.
    fn request(method: &str, path: &str, body: &str) -> Value {
        json!({
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"content-type": "application/json"},
            "requestContext": {
                "domainName": "id.lambda-url.us-east-1.on.aws",
                "http": {"method": method, "path": path, "sourceIp": "192.0.2.1"},
            },
            "body": body,
            "isBase64Encoded": false,
        })
    }

    #[tokio::test]
    async fn an_order_can_be_read_at_the_returned_path() {
        let events = [
            request("POST", "/orders", r#"{"article":"tea","count":2}"#),
            request("GET", "/orders/0", ""),
            request("GET", "/orders/1", ""),
        ];
        let answers = testing::process(tower::service(router()), events)
            .await
            .unwrap();
        let [added, order, missing] = answers.map(|answer| answer.json());
        assert_eq!(added["statusCode"], 201);
        assert_eq!(added["body"], "/orders/0");
        assert_eq!(order["headers"]["content-type"], "application/json");
        assert_eq!(order["body"], r#"{"article":"tea","count":2}"#);
        assert_eq!(missing["statusCode"], 404);
    }

    #[tokio::test]
    async fn an_order_that_is_not_json_is_a_bad_request() {
        let event = request("POST", "/orders", "two teas");
        let [answer] = testing::process(tower::service(router()), [event])
            .await
            .unwrap();
        assert_eq!(answer.json()["statusCode"], 400);
    }

    #[tokio::test]
    async fn a_handler_can_read_the_request_context() {
        let event = request("GET", "/me", "");
        let [answer] = testing::process(tower::service(router()), [event])
            .await
            .unwrap();
        assert_eq!(answer.json()["body"], "192.0.2.1");
    }
}
