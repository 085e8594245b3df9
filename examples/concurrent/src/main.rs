//! Sends requests to several services concurrently, under tokio.

use lambda_musl::{Context, client::Request, process};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::task::spawn_blocking;

#[derive(Deserialize)]
struct Event {
    urls: Vec<String>,
}

#[derive(Serialize)]
struct Outcome {
    url: String,
    status: Option<u16>,
    error: Option<String>,
}

async fn fetch_all(event: Event, context: Context) -> Result<Vec<Outcome>, tokio::task::JoinError> {
    // The client applies the invocation's deadline only on this thread, so requests on other threads need a timeout.
    let left = context.time_left().unwrap_or(Duration::from_secs(3));
    let fetch = |url: String| {
        spawn_blocking(move || {
            let response = Request::get(&url).timeout(left.mul_f32(0.9)).send();
            Outcome {
                url,
                status: response.as_ref().ok().map(|response| response.status()),
                error: response.err().map(|error| error.to_string()),
            }
        })
    };
    // All requests start before the first one is awaited.
    let requests: Vec<_> = event.urls.into_iter().map(fetch).collect();
    let mut outcomes = Vec::new();
    for request in requests {
        outcomes.push(request.await?);
    }
    Ok(outcomes)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_musl::Error> {
    process(fetch_all).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_musl::testing;
    use serde_json::json;
    use std::{io::Read, io::Write, net::TcpListener, thread};

    #[tokio::test]
    async fn requests_run_concurrently_and_one_may_fail() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        // Responds only after both requests have arrived.
        let service = thread::spawn(move || {
            for (mut stream, _) in [(); 2].map(|()| listener.accept().unwrap()) {
                let _ = stream.read(&mut [0; 1024]).unwrap();
                let response = "HTTP/1.1 204 No Content\r\n\r\n";
                stream.write_all(response.as_bytes()).unwrap();
            }
        });
        let event = json!({"urls": [url, "http://127.0.0.1:1/", url]});
        let [answer] = testing::process(fetch_all, [event]).await.unwrap();
        service.join().unwrap();
        let answer = answer.json();
        assert_eq!([&answer[0]["status"], &answer[2]["status"]], [204, 204]);
        let error = answer[1]["error"].as_str().unwrap();
        assert!(error.contains("127.0.0.1:1"), "{error}");
    }
}
