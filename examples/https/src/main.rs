//! Sends an HTTPS request to another service, and responds before the invocation's deadline.

use lambda_musl::{Context, Failure, client, run};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Event {
    url: String,
}

#[derive(Serialize)]
struct Page {
    status: u16,
    body: String,
}

async fn fetch(event: Event, _: Context) -> Result<Page, Failure> {
    let response = client::get(event.url);
    let response = response.map_err(|error| Failure::new("Function.NoAnswer", error))?;
    let body = response.text();
    let body = body.map_err(|error| Failure::new("Function.NoText", error))?;
    Ok(Page {
        status: response.status(),
        body: body.into(),
    })
}

fn main() -> Result<(), lambda_musl::Error> {
    run(fetch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_musl::testing;
    use serde_json::json;
    use std::{io::Read, io::Write, net::TcpListener, thread};

    #[test]
    fn a_response_is_returned_and_an_unreachable_service_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let service = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            let response = "HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nno tea";
            stream.write_all(response.as_bytes()).unwrap();
        });
        let unreachable = json!({"url": "http://127.0.0.1:1/"});
        let events = [json!({"url": url}), unreachable];
        let [page, failed] = testing::run(fetch, events).unwrap();
        service.join().unwrap();
        assert_eq!(page.json(), json!({"status": 404, "body": "no tea"}));
        assert_eq!(failed.error().unwrap().error_type, "Function.NoAnswer");
    }
}
