//! Redirects, which the client does not follow by default.

use lambda_musl::client::{self, Error, Method, Request};

use crate::{
    requests::ANSWER,
    server::{Server, send},
};

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nConnection: close\r\nContent-Length: 4\r\n\r\nhere")
}

/// A server that redirects once, then sends `ANSWER`.
fn server(status: u16, location: &str) -> Server {
    Server::start(vec![vec![send(redirect(status, location))], vec![send(ANSWER)]])
}

/// The request line, the headers and the body of each request, without `Host`, `User-Agent` and `Accept`.
fn received(server: &Server) -> Vec<String> {
    let requests = server.received().into_iter();
    let lines = requests.map(|(_, text)| {
        let lines = text.split("\r\n").filter(|line| !line.is_empty());
        let own = ["Host: 127", "User-Agent: ", "Accept: "];
        let lines = lines.filter(|line| !own.iter().any(|own| line.starts_with(own)));
        lines.collect::<Vec<_>>().join("; ").replace(" HTTP/1.1", "")
    });
    lines.collect()
}

#[test]
fn a_redirect_is_a_response_by_default() {
    let server = server(302, "/b");
    let response = client::get(server.url("/a")).unwrap();
    assert_eq!((response.status(), response.text()), (302, Ok("here")));
    assert_eq!(response.header("Location"), Some("/b"));
}

#[test]
fn the_method_and_the_body_are_kept_or_dropped_as_rfc_9110_specifies() {
    let same = "; Content-Type: text/plain; X: y; Content-Length: 2; hi";
    for (status, method, after) in [
        (301, Method::GET, format!("GET /b{same}")),
        (301, Method::POST, "GET /b; X: y".into()),
        (301, Method::PUT, format!("PUT /b{same}")),
        (302, Method::POST, "GET /b; X: y".into()),
        (302, Method::DELETE, format!("DELETE /b{same}")),
        (303, Method::POST, "GET /b; X: y".into()),
        (303, Method::PUT, "GET /b; X: y".into()),
        (303, Method::HEAD, format!("HEAD /b{same}")),
        (307, Method::POST, format!("POST /b{same}")),
        (308, Method::PATCH, format!("PATCH /b{same}")),
    ] {
        let server = server(status, "/b");
        let request = Request::new(method, server.url("/a"));
        let request = request.header("Content-Type", "text/plain").header("X", "y").body("hi");
        let response = request.redirects(1).send().unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.url(), server.url("/b"));
        assert_eq!(received(&server)[1], after, "{status} {}", method.as_str());
    }
}

#[test]
fn other_statuses_and_a_redirect_without_a_location_are_responses() {
    for status in [300, 304, 305, 306, 200] {
        let response = Request::get(server(status, "/b").url("/a")).redirects(5).send().unwrap();
        assert_eq!(response.status(), status);
    }
    let bare = "HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(vec![vec![send(bare)]]);
    assert_eq!(Request::get(server.url("/")).redirects(5).send().unwrap().status(), 302);
}

#[test]
fn credentials_are_sent_only_to_the_same_server() {
    let elsewhere = Server::start(vec![vec![send(ANSWER)]]);
    for (location, credentials) in [("/b".to_owned(), true), (elsewhere.url("/b"), false)] {
        let server = server(307, &location);
        let request = Request::get(server.url("/a")).header("authorization", "secret").header("X", "y");
        let request = request.header("Cookie", "secret").header("Host", "secret");
        request.redirects(1).send().unwrap();
        let there = if credentials { &server } else { &elsewhere };
        let last = received(there).pop().unwrap();
        assert_eq!(last.matches("secret").count(), if credentials { 3 } else { 0 }, "{last}");
        assert!(last.contains("X: y"), "{last}");
    }
}

#[test]
fn more_redirects_than_the_limit_are_an_error() {
    let server = Server::start(vec![vec![send(redirect(302, "/again"))]]);
    let error = Request::get(server.url("/")).redirects(3).send().unwrap_err();
    assert!(matches!(error, Error::Redirects { limit: 3, .. }), "{error}");
    assert!(error.to_string().contains("/again"), "{error}");
    assert_eq!(server.received().len(), 4);
}

#[test]
fn an_invalid_location_is_an_error_that_names_it() {
    for location in ["ftp://h/", "http://", "http://a:b@h/", "javascript:x"] {
        let error = Request::get(server(302, location).url("/")).redirects(3).send().unwrap_err();
        assert!(matches!(error, Error::Url { .. }), "{error}");
        assert!(error.to_string().contains(location), "{error}");
    }
}

#[test]
fn a_location_with_a_fragment_spaces_and_non_ascii_letters_is_followed() {
    let server = server(302, "b c/ä#d");
    let response = Request::get(server.url("/a/")).redirects(1).send().unwrap();
    assert_eq!(response.url(), server.url("/a/b%20c/%C3%A4"));
}
