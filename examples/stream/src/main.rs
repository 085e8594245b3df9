//! Sends each line as soon as it is written, through a function URL with the `RESPONSE_STREAM` invoke mode.

use lambda_musl::Stream;
use lambda_musl::http::{self, Body, Request, RequestExt};
use std::{io, io::Write, thread::sleep, time::Duration};

async fn count(
    request: Request<Body>,
) -> Stream<impl AsyncFnOnce(&mut (dyn Write + Send)) -> io::Result<()>> {
    let last = request.query("to").and_then(|to| to.parse().ok());
    let last: u32 = last.unwrap_or(3);
    let lines = async move |out: &mut (dyn Write + Send)| {
        for number in 1..=last {
            writeln!(out, "line {number}")?;
            out.flush()?;
            sleep(Duration::from_millis(10));
        }
        Ok(())
    };
    Stream::new("text/plain; charset=utf-8", lines).header("Cache-Control", "no-store")
}

fn main() -> Result<(), lambda_musl::Error> {
    http::run(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_musl::testing;
    use serde_json::json;

    #[test]
    fn the_lines_follow_a_prelude_with_a_status_and_headers() {
        let event = json!({
            "version": "2.0",
            "rawPath": "/",
            "rawQueryString": "to=2",
            "requestContext": {
                "domainName": "id.lambda-url.us-east-1.on.aws",
                "http": {"method": "GET", "path": "/"},
            },
        });
        let [answer] = testing::run(http::handler(count), [event]).unwrap();
        let text = answer.text();
        let (prelude, body) = text.split_once("\0\0\0\0\0\0\0\0").unwrap();
        assert!(prelude.contains(r#""statusCode":200"#), "{prelude}");
        assert!(prelude.contains("no-store"), "{prelude}");
        assert_eq!(body, "line 1\nline 2\n");
    }
}
