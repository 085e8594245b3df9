//! Requests within an invocation.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use lambda_musl::{
    Context,
    client::{self, Request},
    testing::{self, Event},
};

use crate::server::{
    Server,
    Step::{Hold, Next},
    send,
};

/// Sends a request to a silent server. Returns the error, and how long the request took, in milliseconds.
fn get(url: &str, timeout: Option<u64>) -> (String, u64) {
    let start = Instant::now();
    let request = Request::get(url);
    let request = match timeout {
        Some(milliseconds) => request.timeout(Duration::from_millis(milliseconds)),
        None => request,
    };
    let error = request.send().unwrap_err().to_string();
    (error, start.elapsed().as_millis() as u64)
}

fn within(milliseconds: u64) -> Event {
    Event::new("0").timeout(Duration::from_millis(milliseconds))
}

#[test]
fn a_request_ends_before_its_invocation_does() {
    let server = Server::start(vec![vec![Hold]]);
    let url = server.url("/");
    for timeout in [None, Some(5000)] {
        let handler = async |_: u8, _: Context| Ok::<_, Infallible>(get(&url, timeout));
        let [answer] = testing::run(handler, [within(500)]).unwrap();
        let (error, took): (String, u64) = serde_json::from_value(answer.json()).unwrap();
        assert!(error.contains("no response within 4"), "{error}");
        assert!((350..500).contains(&took), "{took} ms");
    }
}

#[test]
fn a_shorter_timeout_takes_precedence() {
    let server = Server::start(vec![vec![Hold]]);
    let url = server.url("/");
    let handler = async |_: u8, _: Context| Ok::<_, Infallible>(get(&url, Some(100)));
    let [answer] = testing::run(handler, [within(5000)]).unwrap();
    let (error, _): (String, u64) = serde_json::from_value(answer.json()).unwrap();
    assert!(error.contains("no response within 100ms"), "{error}");
}

#[test]
fn a_connection_is_reused_by_the_next_invocation() {
    let ok = "HTTP/1.1 204 X\r\n\r\n";
    let server = Server::start(vec![vec![send(ok), Next, send(ok), Hold]]);
    let url = server.url("/");
    let handler = async |_: u8, _: Context| client::get(&url).map(|answer| answer.status());
    let [first, second] = testing::run(handler, ["1", "2"]).unwrap();
    assert_eq!((first.json(), second.json()), (204.into(), 204.into()));
    let connections: Vec<usize> = server.received().into_iter().map(|(number, _)| number).collect();
    assert_eq!(connections, [0, 0]);
}
