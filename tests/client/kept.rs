//! Connections that are kept open for later requests.

use std::{thread, time::Duration};

use lambda_musl::client::{self, Error, Method, Request};

use crate::server::{
    Server,
    Step::{Hold, Next, Pause},
    send,
};

const KEPT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// For each request, the number of the connection that it used.
fn connections(server: &Server) -> Vec<usize> {
    server.received().into_iter().map(|(number, _)| number).collect()
}

#[test]
fn requests_to_one_server_use_one_connection() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n";
    let empty = "HTTP/1.1 204 X\r\n\r\n";
    let server = Server::start(vec![vec![send(KEPT), Next, send(chunked), Next, send(empty), Next, send(KEPT), Hold]]);
    for status in [200, 200, 204, 200] {
        assert_eq!(client::get(server.url("/")).unwrap().status(), status);
    }
    assert_eq!(connections(&server), [0; 4]);
}

#[test]
fn a_connection_in_an_unknown_state_is_not_reused() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ] {
        let server = Server::start(vec![vec![send(answer), Hold]]);
        for _ in 0..2 {
            assert_eq!(client::get(server.url("/")).unwrap().text(), Ok("ok"));
        }
        assert_eq!(connections(&server), [0, 1], "{answer}");
    }
}

#[test]
fn a_connection_that_the_server_closed_is_replaced_whatever_the_method() {
    let server = Server::start(vec![vec![send(KEPT)]]);
    for _ in 0..3 {
        let request = Request::new(Method::POST, server.url("/")).body("order");
        assert_eq!(request.send().unwrap().status(), 200);
        // The close takes a moment to arrive.
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(connections(&server), [0, 1, 2]);
}

#[test]
fn a_connection_with_an_unsolicited_response_is_replaced() {
    let late = "HTTP/1.1 408 Too Late\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(vec![vec![send(KEPT), Pause(Duration::from_millis(10)), send(late), Hold]]);
    for _ in 0..2 {
        assert_eq!(client::get(server.url("/")).unwrap().status(), 200);
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(connections(&server), [0, 1]);
}

#[test]
fn an_idempotent_request_is_sent_again_if_its_connection_closes() {
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let server = Server::start(vec![vec![send(KEPT), Next], vec![send("HTTP/1.1 204 X\r\n\r\n"), Hold]]);
        client::get(server.url("/")).unwrap();
        let response = Request::new(method, server.url("/")).send().unwrap();
        assert_eq!(response.status(), 204);
        assert_eq!(connections(&server), [0, 0, 1], "{}", method.as_str());
    }
}

#[test]
fn a_request_that_is_not_idempotent_is_not_sent_again_if_the_server_may_have_it() {
    for method in [Method::POST, Method::PATCH] {
        let server = Server::start(vec![vec![send(KEPT), Next], vec![send(KEPT), Hold]]);
        client::get(server.url("/")).unwrap();
        let error = Request::new(method, server.url("/")).send().unwrap_err();
        assert!(matches!(error, Error::NoAnswer { .. }), "{error}");
        assert!(error.to_string().contains("may have processed the request"), "{error}");
        assert_eq!(connections(&server), [0, 0]);
    }
}

#[test]
fn nothing_is_sent_again_once_a_response_has_started() {
    let server = Server::start(vec![vec![send(KEPT), Next, send("HTTP/1.1 2")], vec![send(KEPT), Hold]]);
    client::get(server.url("/")).unwrap();
    let error = client::get(server.url("/")).unwrap_err();
    assert!(matches!(error, Error::Cut { .. }), "{error}");
    assert_eq!(connections(&server), [0, 0]);
}

#[test]
fn a_kept_connection_uses_the_timeout_of_the_current_request() {
    let server = Server::start(vec![vec![send(KEPT), Next, Pause(Duration::from_millis(200)), send(KEPT), Next, Hold]]);
    let request = Request::get(server.url("/")).timeout(Duration::from_millis(100));
    request.send().unwrap();
    let request = Request::get(server.url("/")).timeout(Duration::from_secs(5));
    request.send().unwrap();
    let request = Request::get(server.url("/")).timeout(Duration::from_millis(100));
    assert!(matches!(request.send(), Err(Error::Timeout { .. })));
    assert_eq!(connections(&server), [0; 3]);
}

#[test]
fn concurrent_requests_use_a_connection_each() {
    let server = Server::start(vec![vec![Pause(Duration::from_millis(50)), send(KEPT), Hold]]);
    let url = server.url("/");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(client::get(&url).unwrap().text(), Ok("ok")));
        }
    });
    let mut connections = connections(&server);
    connections.sort();
    assert_eq!(connections, [0, 1, 2, 3]);
}
