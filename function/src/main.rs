//! The function that ships with the runtime: an endpoint probe.
//!
//! Event: `{"url": "https://…", "timeout_ms": 2000}`. Response: the URL, the status, the number of bytes in the body, the elapsed
//! milliseconds and the version of the TLS library. If the request fails, the error replaces the status and the number of bytes.

use std::time::{Duration, Instant};

use lambda_musl::{Context, client::Request};
use serde_json::{Value, json};

const EXPECTED: &str = r#"expected an event like {"url":"https://example.com","timeout_ms":2000}"#;

/// The time limit for the endpoint if the event contains none.
const TIMEOUT: Duration = Duration::from_secs(2);

fn main() -> Result<(), lambda_musl::Error> {
    lambda_musl::run(probe)
}

async fn probe(event: Value, _: Context) -> Result<Value, String> {
    let url = match &event["url"] {
        Value::String(url) => url,
        Value::Null => return Err(format!("{EXPECTED}: \"url\" is missing")),
        other => return Err(format!("{EXPECTED}: \"url\" is {other}, not a string")),
    };
    let timeout = match &event["timeout_ms"] {
        Value::Null => TIMEOUT,
        value => match value.as_u64() {
            Some(milliseconds) if milliseconds > 0 => Duration::from_millis(milliseconds),
            _ => return Err(format!("{EXPECTED}: \"timeout_ms\" is {value}")),
        },
    };

    let start = Instant::now();
    // A redirect is a response like any other.
    let outcome = Request::get(url).timeout(timeout).send();
    let mut answer = json!({
        "url": url,
        "elapsed_ms": start.elapsed().as_millis() as u64,
        "tls": openssl::version::version(),
    });
    match outcome {
        Ok(response) => {
            answer["status"] = response.status().into();
            answer["bytes"] = response.body().len().into();
        }
        Err(error) => answer["error"] = error.to_string().into(),
    }
    Ok(answer)
}
