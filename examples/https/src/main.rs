//! Asks another service, over HTTPS, and answers before the invocation's time is over.

use lambda_musl::{Context, Failure, client, run};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Event {
    url: String,
}

#[derive(Serialize)]
struct Seen {
    status: u16,
    body: String,
}

async fn ask(event: Event, _: Context) -> Result<Seen, Failure> {
    let answer = client::get(event.url);
    let answer = answer.map_err(|error| Failure::new("Function.NoAnswer", error))?;
    let body = answer.text();
    let body = body.map_err(|error| Failure::new("Function.NoText", error))?;
    Ok(Seen {
        status: answer.status(),
        body: body.into(),
    })
}

fn main() -> Result<(), lambda_musl::Error> {
    run(ask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_musl::testing;
    use serde_json::json;
    use std::{io::Read, io::Write, net::TcpListener, thread};

    #[test]
    fn what_a_service_answers_is_seen_and_one_that_is_away_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let service = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nno tea";
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let nobody = json!({"url": "http://127.0.0.1:1/"});
        let events = [json!({"url": url}), nobody];
        let [seen, away] = testing::run(ask, events).unwrap();
        service.join().unwrap();
        assert_eq!(seen.json(), json!({"status": 404, "body": "no tea"}));
        assert_eq!(away.error().unwrap().error_type, "Function.NoAnswer");
    }
}
