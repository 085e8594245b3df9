//! A handler that is a type and awaits tokio's timers, as in functions that were written for a different runtime.

use lambda_musl::{Context, LambdaHandler, http_req::uri::Uri, process};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::sleep;

#[derive(Deserialize)]
struct Call {
    url: String,
}

#[derive(Serialize)]
struct Parts {
    host: String,
    path: String,
}

struct App {
    /// How long the handler waits before it responds.
    pause: Duration,
}

impl LambdaHandler<Call> for App {
    type Response = Parts;
    type Error = String;

    async fn handle(&self, call: Call, _: Context) -> Result<Parts, String> {
        let uri = Uri::try_from(call.url.as_str());
        let uri = uri.map_err(|error| format!("{}: {error}", call.url))?;
        let host = uri.host().ok_or(format!("{}: no host", call.url))?;
        sleep(self.pause).await;
        Ok(Parts {
            host: host.into(),
            path: uri.path().unwrap_or("/").into(),
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_musl::Error> {
    let pause = Duration::from_millis(10);
    process(App { pause }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_musl::testing;
    use serde_json::json;

    #[tokio::test]
    async fn a_url_is_split_into_its_parts_and_an_invalid_one_is_an_error() {
        let app = App {
            pause: Duration::ZERO,
        };
        let calls = ["https://example.com/tea", "no URL"].map(|url| json!({"url": url}));
        let [parts, error] = testing::process(app, calls).await.unwrap();
        let expected = json!({"host": "example.com", "path": "/tea"});
        assert_eq!(parts.json(), expected);
        assert!(error.error().unwrap().message.starts_with("no URL: "));
    }
}
