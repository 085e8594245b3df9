//! Handles HTTP requests from a function URL, API Gateway or a load balancer.

use lambda_musl::http::{self, Body, Json, Request, RequestExt};
use serde_json::{Value, json};

async fn hello(request: Request<Body>) -> Json<Value> {
    let name = request.query("name").unwrap_or("you".into());
    Json(json!({ "hello": name, "path": request.uri().path() }))
}

fn main() -> Result<(), lambda_musl::Error> {
    http::run(hello)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_musl::testing;

    /// A request to a function URL.
    fn get(path: &str, query: &str) -> Value {
        json!({
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {"host": "id.lambda-url.us-east-1.on.aws"},
            "requestContext": {"http": {"method": "GET", "path": path}},
        })
    }

    #[test]
    fn the_person_in_the_query_is_greeted() {
        let events = [get("/a", "name=Ada%20L."), get("/", "")];
        let answers = testing::run(http::handler(hello), events).unwrap();
        let [ada, you] = answers.map(|answer| answer.json());
        assert_eq!(ada["statusCode"], 200);
        assert_eq!(ada["headers"]["content-type"], "application/json");
        assert_eq!(ada["body"], r#"{"hello":"Ada L.","path":"/a"}"#);
        assert_eq!(you["body"], r#"{"hello":"you","path":"/"}"#);
    }
}
