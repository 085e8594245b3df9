//! Requests as the client sends them, and their responses.

use std::time::{Duration, Instant};

use lambda_musl::client::{self, Error, Method, Request};
use serde_json::{Value, json};

use crate::server::{Server, Step, send};

pub const ANSWER: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";

/// The text of a request that `make` creates for a server's URL, as the server receives it.
fn sent(make: impl FnOnce(&str) -> Request) -> String {
    let server = Server::start(vec![vec![send(ANSWER)]]);
    make(&server.url("")).send().unwrap();
    let mut received = server.received();
    assert_eq!(received.len(), 1);
    let (_, text) = received.remove(0);
    text.replace(&server.port.to_string(), "PORT")
}

#[test]
fn a_get_has_a_request_line_and_three_headers() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        sent(|url| Request::get(format!("{url}/a?b=c#d"))),
        format!(
            "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nUser-Agent: lambda-musl/{version}\r\nAccept: */*\r\n\r\n"
        )
    );
}

#[test]
fn a_url_without_a_path_requests_the_root() {
    for (resource, line) in [("", "GET / "), ("?q", "GET /?q "), ("#f", "GET / "), ("/ä", "GET /%C3%A4 ")] {
        assert!(sent(|url| Request::get(format!("{url}{resource}"))).starts_with(line), "{resource}");
    }
}

#[test]
fn headers_are_sent_in_order_and_may_repeat_a_name() {
    let text = sent(|url| {
        let request = Request::get(url).header("B", "1").header("A", "2");
        request.header("B", "3").header("user-agent", "mine").header("Host", "h")
    });
    assert_eq!(text, "GET / HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nB: 1\r\nA: 2\r\nB: 3\r\nuser-agent: mine\r\n\r\n");
}

#[test]
fn content_length_is_sent_with_a_body_and_for_methods_that_usually_have_one() {
    let post = sent(|url| Request::new(Method::POST, url).body("abc"));
    assert!(post.ends_with("Content-Length: 3\r\n\r\nabc"), "{post}");
    let json = sent(|url| Request::new(Method::PUT, url).json(&json!({"a": 1})).unwrap());
    assert!(json.ends_with("Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}"), "{json}");
    let empty = sent(|url| Request::new(Method::POST, url));
    assert!(empty.ends_with("Content-Length: 0\r\n\r\n"), "{empty}");
    let delete = sent(|url| Request::new(Method::DELETE, url));
    assert!(!delete.contains("Content-Length"), "{delete}");
}

#[test]
fn a_request_with_an_invalid_header_url_or_method_is_refused_and_nothing_is_sent() {
    let server = Server::start(vec![vec![send(ANSWER)]]);
    for (name, value) in [
        ("A", "b\r\nC: d"),
        ("A", "b\n"),
        ("A", "b\rc"),
        ("A", "\0"),
        ("A\r\nB", "c"),
        ("A B", "c"),
        ("A:", "c"),
        ("Ä", "c"),
        ("", "c"),
        ("content-length", "3"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Host", "a\r\nb"),
    ] {
        let error = Request::get(server.url("/")).header(name, value).send().unwrap_err();
        assert!(matches!(error, Error::Header { .. }), "{error}");
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }
    for url in ["http://127.0.0.1/a b", "http://127.0.0.1/a\r\nB: c", "ftp://h/", ""] {
        let error = client::get(url).unwrap_err();
        assert!(matches!(error, Error::Url { .. }), "{error}");
    }
    let error = Request::new(Method::CONNECT, server.url("/")).send().unwrap_err();
    assert!(matches!(error, Error::Method(_)), "{error}");
    assert!(server.requests.try_recv().is_err());
}

#[test]
fn a_response_has_a_status_headers_and_a_body() {
    let server = Server::start(vec![vec![send(
        "HTTP/1.1 201 Created\r\nSet-Cookie: a\r\nX:\r\nset-cookie:  b \r\nContent-Length: 7\r\n\r\n{\"a\":1}",
    )]]);
    let response = client::get(server.url("/")).unwrap();
    assert_eq!((response.status(), response.is_success()), (201, true));
    assert_eq!(response.header("SET-COOKIE"), Some("a"));
    let headers: Vec<_> = response.headers().collect();
    assert_eq!(headers, [("Set-Cookie", "a"), ("X", ""), ("set-cookie", "b"), ("Content-Length", "7")]);
    assert_eq!(response.text(), Ok("{\"a\":1}"));
    assert_eq!(response.json::<Value>().unwrap(), json!({"a": 1}));
    assert_eq!(response.url(), server.url("/"));
    assert_eq!(response.into_body(), b"{\"a\":1}");
}

#[test]
fn an_early_refusal_of_a_body_is_the_response() {
    let refusal = "HTTP/1.1 413 X\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig";
    let server = Server::start(vec![vec![send(refusal), Step::Reset]]);
    let body = vec![b'x'; 1000];
    let response = Request::new(Method::POST, server.url("/")).body(body).send().unwrap();
    assert_eq!((response.status(), response.text()), (413, Ok("big")));
}

#[test]
fn a_body_that_the_server_does_not_read_ends_with_the_timeout() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let request = Request::new(Method::POST, url).body(vec![0; 50_000_000]);
    let start = Instant::now();
    let error = request.timeout(Duration::from_millis(300)).send().unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(error.to_string().contains("no response within 300ms"), "{error}");
    assert!(start.elapsed() < Duration::from_millis(900));
}

#[test]
fn an_unreachable_host_is_an_error_with_the_reason() {
    let error = client::get("http://127.0.0.1:1/").unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1: "), "{error}");
    let error = client::get("http://nowhere.invalid/").unwrap_err();
    assert!(matches!(error, Error::Resolve { .. }), "{error}");
    assert!(error.to_string().contains("nowhere.invalid"), "{error}");
}

#[test]
fn the_resolver_handles_several_requests() {
    let server = Server::start(vec![vec![send(ANSWER)]]);
    for _ in 0..3 {
        let url = format!("http://localhost:{}/", server.port);
        assert_eq!(client::get(url).unwrap().status(), 200);
    }
}

#[test]
#[cfg(not(feature = "tls"))]
fn https_without_tls_is_an_error_that_names_the_feature() {
    let server = Server::start(vec![vec![send(ANSWER)]]);
    let error = client::get(format!("https://127.0.0.1:{}/", server.port)).unwrap_err();
    assert!(error.to_string().contains("the `tls` feature"), "{error}");
}
