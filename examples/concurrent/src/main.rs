//! Asks several services at once, under tokio.

use lambda_musl::{Context, client::Request, process};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::task::spawn_blocking;

#[derive(Deserialize)]
struct Event {
    urls: Vec<String>,
}

#[derive(Serialize)]
struct Seen {
    url: String,
    status: Option<u16>,
    error: Option<String>,
}

async fn ask_all(event: Event, context: Context) -> Result<Vec<Seen>, tokio::task::JoinError> {
    // The client knows the invocation's deadline on this thread alone.
    let left = context.time_left().unwrap_or(Duration::from_secs(3));
    let ask = |url: String| {
        spawn_blocking(move || {
            let answer = Request::get(&url).timeout(left.mul_f32(0.9)).send();
            Seen {
                url,
                status: answer.as_ref().ok().map(|answer| answer.status()),
                error: answer.err().map(|error| error.to_string()),
            }
        })
    };
    // All of them have begun before the first one is awaited.
    let asked: Vec<_> = event.urls.into_iter().map(ask).collect();
    let mut seen = Vec::new();
    for answer in asked {
        seen.push(answer.await?);
    }
    Ok(seen)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_musl::Error> {
    process(ask_all).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_musl::testing;
    use serde_json::json;
    use std::{io::Read, io::Write, net::TcpListener, thread};

    #[tokio::test]
    async fn services_are_asked_at_once_and_one_that_is_away_does_not_matter() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        // Answers nobody before both have asked.
        let service = thread::spawn(move || {
            for (mut stream, _) in [(); 2].map(|()| listener.accept().unwrap()) {
                let _ = stream.read(&mut [0; 1024]).unwrap();
                let answer = "HTTP/1.1 204 No Content\r\n\r\n";
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let event = json!({"urls": [url, "http://127.0.0.1:1/", url]});
        let [answer] = testing::process(ask_all, [event]).await.unwrap();
        service.join().unwrap();
        let answer = answer.json();
        assert_eq!([&answer[0]["status"], &answer[2]["status"]], [204, 204]);
        let error = answer[1]["error"].as_str().unwrap();
        assert!(error.contains("127.0.0.1:1"), "{error}");
    }
}
