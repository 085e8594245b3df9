//! Complete, truncated, malformed, endless and missing responses, read by the client and, for comparison, by http_req.
//!
//! `CLIENT_TABLE=docs/client.md cargo test --test client table` writes the outcomes to that page.

use std::{
    env, fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use http_req::{request, uri::Uri};
use lambda_musl::{
    client::{Error, Method, Request},
    http_req,
};

use crate::server::{
    Server,
    Step::{self, Hold, Keep, Pause, Repeat, Reset},
    send,
};

/// The deadline of each case, and how late the client may be, because a loaded machine wakes threads late.
const DEADLINE: Duration = Duration::from_millis(400);
const LATE: Duration = Duration::from_millis(400);

/// How long http_req may take, and the CPU time, in hundredths of a second, above which it counts as spinning.
const PATIENCE: Duration = Duration::from_millis(1300);
const SPINNING: u32 = 40;

const MAX_HEAD: u64 = 16 * 1024;
const MAX_BODY: u64 = 64 * 1024;

struct Case {
    what: String,
    head: bool,
    script: Vec<Step>,
    expected: &'static str,
}

fn case(what: impl Into<String>, script: Vec<Step>, expected: &'static str) -> Case {
    Case { what: what.into(), head: false, script, expected }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let head = |headers: &str| format!("HTTP/1.1 200 OK\r\nServer: x\r\n{headers}\r\n");
    let length = |length: &str, body: &str| head(&format!("Content-Length: {length}\r\n")) + body;
    let chunked = |chunks: &str| head("Transfer-Encoding: chunked\r\n") + chunks;

    // Complete responses. The connection stays open unless its end is the end of the body.
    let mut whole = |what: &str, bytes: String, expected| {
        cases.push(case(what, vec![send(bytes), Keep], expected));
    };
    whole("a length", length("3", "abc"), "200 abc");
    whole("a length of 0", length("0", ""), "200");
    whole("a length in two equal headers", head("Content-Length: 3\r\nContent-Length: 3\r\n") + "abc", "200 abc");
    whole("a length with a space before the colon", head("Content-Length : 3\r\n") + "abc", "200 abc");
    whole("more than the length", length("3", "abcdef"), "200 abc");
    whole("a chunk", chunked("3\r\nabc\r\n0\r\n\r\n"), "200 abc");
    whole("chunks", chunked("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"), "200 abc");
    whole("only the last chunk", chunked("0\r\n\r\n"), "200");
    whole("a chunk with an extension", chunked("3;a=\"b\"\r\nabc\r\n0;c\r\n\r\n"), "200 abc");
    whole("a chunk with spaces after its size", chunked("3  \r\nabc\r\n0\r\n\r\n"), "200 abc");
    whole(
        "a chunk size with leading zeros and a capital letter",
        chunked("00000000000000000A\r\n0123456789\r\n0\r\n\r\n"),
        "200 0123456789",
    );
    whole("chunks with trailers", chunked("3\r\nabc\r\n0\r\nA: b\r\nC: d\r\n\r\n"), "200 abc");
    whole("chunks, as `Chunked`", head("Transfer-Encoding: Chunked\r\n") + "3\r\nabc\r\n0\r\n\r\n", "200 abc");
    whole(
        "chunks, in a folded header",
        head("Transfer-Encoding:\r\n chunked\r\n") + "3\r\nabc\r\n0\r\n\r\n",
        "200 abc",
    );
    whole(
        "chunks and a length",
        head("Content-Length: 9\r\nTransfer-Encoding: chunked\r\n") + "3\r\nabc\r\n0\r\n\r\n",
        "200 abc",
    );
    whole("a status without a reason phrase", "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc".into(), "200 abc");
    whole("lines that end with LF", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc".into(), "200 abc");
    whole("empty lines before the head", "\r\n\r\n".to_owned() + &length("3", "abc"), "200 abc");
    whole("a line without a colon", head("what\r\nContent-Length: 3\r\n") + "abc", "200 abc");
    whole("204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n".into(), "204");
    whole("304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n".into(), "304");
    whole(
        "an interim response",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".to_owned() + &length("3", "abc"),
        "200 abc",
    );
    whole(
        "three interim responses",
        "HTTP/1.1 100 Continue\r\nServer: x\r\n\r\n".repeat(3) + &length("3", "abc"),
        "200 abc",
    );
    whole("404", "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc".into(), "404 abc");
    cases.push(case(
        "a header that is not UTF-8",
        vec![send(b"HTTP/1.1 200 OK\r\nX: \xff\xe4\r\nContent-Length: 3\r\n\r\nabc"), Keep],
        "200 abc",
    ));
    cases.push(case("a body that ends with the connection", vec![send(head("") + "abc")], "200 abc"));
    cases.push(case("the same over HTTP/1.0", vec![send("HTTP/1.0 200 OK\r\nServer: x\r\n\r\nabc")], "200 abc"));
    for status in [200, 204, 304] {
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 3\r\n\r\n");
        let expected = match status {
            200 => "200",
            204 => "204",
            _ => "304",
        };
        cases.push(Case {
            head: true,
            ..case(format!("{status} to HEAD, with a length"), vec![send(text), Keep], expected)
        });
    }
    cases.push(Case { head: true, ..case("a response to HEAD, with chunks", vec![send(chunked("")), Keep], "200") });
    cases.push(case(
        "a byte every 5 ms",
        length("3", "abc").bytes().flat_map(|byte| [send([byte]), Pause(Duration::from_millis(5))]).collect(),
        "200 abc",
    ));

    // Truncated responses.
    let mut cut = |what: &str, bytes: String, expected| {
        cases.push(case(format!("cut {what}"), vec![send(bytes)], expected));
    };
    cut("before the first byte", String::new(), "NoAnswer");
    cut("in the status line", "HTTP/1.1 2".into(), "Cut");
    cut("after the status line", "HTTP/1.1 200 OK\r\n".into(), "Cut");
    cut("in a header", "HTTP/1.1 200 OK\r\nContent-Le".into(), "Cut");
    cut("before the empty line", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n".into(), "Cut");
    cut("after an interim response", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".into(), "Cut");
    cut("before a body with a length", length("3", ""), "Cut");
    cut("in a body with a length", length("3", "ab"), "Cut");
    cut("in a body with a length of 2⁶⁴ − 1", length("18446744073709551615", "ab"), "BodyTooLong");
    cut("before the first chunk", chunked(""), "Cut");
    cut("in a chunk size", chunked("3"), "Cut");
    cut("after a chunk size", chunked("3\r\n"), "Cut");
    cut("in a chunk", chunked("3\r\nab"), "Cut");
    cut("after a chunk's data", chunked("3\r\nabc"), "Cut");
    cut("in a chunk's line ending", chunked("3\r\nabc\r"), "Cut");
    cut("between two chunks", chunked("3\r\nabc\r\n"), "Cut");
    cut("in the last chunk", chunked("3\r\nabc\r\n0"), "Cut");
    cut("after the last chunk", chunked("3\r\nabc\r\n0\r\n"), "Cut");
    cut("in a trailer", chunked("3\r\nabc\r\n0\r\nA: b"), "Cut");
    cut("after a trailer", chunked("3\r\nabc\r\n0\r\nA: b\r\n"), "Cut");
    for (what, bytes, expected) in [
        ("before the first byte", String::new(), "NoAnswer"),
        ("in a head", "HTTP/1.1 200 OK\r\nA: b".into(), "Cut"),
        ("in a body with a length", length("3", "ab"), "Cut"),
        ("in a chunk", chunked("3\r\nab"), "Cut"),
        ("between two chunks", chunked("3\r\nabc\r\n"), "Cut"),
        ("in a body that ends with the connection", head("") + "abc", "Cut"),
    ] {
        cases.push(case(format!("reset {what}"), vec![send(bytes), Reset], expected));
    }

    // Responses that are not HTTP/1.1.
    let mut malformed = |what: &str, bytes: String| {
        cases.push(case(what, vec![send(bytes), Keep], "Malformed"));
    };
    for text in ["+3", "-0", "-3", "3 3", "3, 4", "0x3", "", "many", "18446744073709551616"] {
        malformed(&format!("a length of `{text}`"), length(text, "abc"));
    }
    malformed("lengths of 3 and 4", head("Content-Length: 3\r\nContent-Length: 4\r\n") + "abc");
    for text in ["+3", "-0", "-3", "0x3", "", "3 3", "10000000000000000", "g"] {
        malformed(&format!("a chunk size of `{text}`"), chunked(&format!("{text}\r\nabc\r\n0\r\n\r\n")));
    }
    malformed("a chunk longer than its size", chunked("3\r\nabcd\r\n0\r\n\r\n"));
    for text in ["+20", "-20", "20", "2000", "020", "abc", ""] {
        malformed(&format!("a status of `{text}`"), format!("HTTP/1.1 {text} X\r\nContent-Length: 3\r\n\r\nabc"));
    }
    malformed("HTTP/2", "HTTP/2 200\r\nContent-Length: 3\r\n\r\nabc".into());
    malformed("another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n".into());
    malformed("a transfer coding that was not requested", head("Transfer-Encoding: gzip, chunked\r\n") + "0\r\n\r\n");
    malformed("chunks inside chunks", head("Transfer-Encoding: chunked, chunked\r\n") + "0\r\n\r\n");
    malformed("101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".into());

    // Endless responses.
    let mut endless = |what: &str, start: String, more: &str, expected| {
        let more = Repeat(more.repeat(100).into(), Duration::ZERO);
        cases.push(case(format!("endless {what}"), vec![send(start), more], expected));
    };
    endless("status line", "HTTP/1.1 200 ".into(), "xxxxxxxxxx", "HeadTooLong");
    endless("headers", "HTTP/1.1 200 OK\r\n".into(), "X: y\r\n", "HeadTooLong");
    endless("header", "HTTP/1.1 200 OK\r\nX: ".into(), "xxxxxxxxxx", "HeadTooLong");
    endless("empty lines", String::new(), "\r\n", "HeadTooLong");
    endless("interim responses", String::new(), "HTTP/1.1 103 X\r\nA: b\r\n\r\n", "HeadTooLong");
    endless("body", head(""), "xxxxxxxxxx", "BodyTooLong");
    endless("chunks", chunked(""), "10\r\n0123456789abcdef\r\n", "BodyTooLong");
    endless("chunk extension", chunked("3;"), "xxxxxxxxxx", "Malformed");
    endless("trailers", chunked("0\r\n"), "xxxxxxxxxx", "Malformed");
    cases.push(case("a length above the limit", vec![send(length("65537", "")), Hold], "BodyTooLong"));
    cases.push(case("a chunk above the limit", vec![send(chunked("10001\r\n")), Hold], "BodyTooLong"));

    // Responses that do not arrive.
    let mut late = |what: &str, steps: Vec<Step>| cases.push(case(what, steps, "Timeout"));
    let drip = Duration::from_millis(20);
    late("silence", vec![Hold]);
    late("silence in the head", vec![send("HTTP/1.1 200 OK\r\n"), Hold]);
    late("silence after an interim response", vec![send("HTTP/1.1 103 X\r\nLink: x\r\n\r\n"), Hold]);
    late("silence before a body", vec![send(length("3", "")), Hold]);
    late("silence in a body", vec![send(length("3", "ab")), Hold]);
    late("silence before a chunk", vec![send(chunked("")), Hold]);
    late("silence in a chunk", vec![send(chunked("3\r\nab")), Hold]);
    late("silence between two chunks", vec![send(chunked("3\r\nabc\r\n")), Hold]);
    late("silence after the last chunk", vec![send(chunked("3\r\nabc\r\n0\r\n")), Hold]);
    late("no length, on a connection that stays open", vec![send("HTTP/1.1 503 X\r\nServer: x\r\n\r\n"), Hold]);
    late("a head that trickles in", vec![send("HTTP/1.1 200 OK\r\n"), Repeat(b"X".into(), drip)]);
    late("a body that trickles in", vec![send(length("999", "")), Repeat(b"x".into(), drip)]);
    late("chunks that trickle in", vec![send(chunked("")), Repeat(b"1\r\nx\r\n".into(), drip)]);
    late("a body without a length that trickles in", vec![send(head("")), Repeat(b"x".into(), drip)]);
    cases
}

fn outcome(result: Result<(u16, Vec<u8>), Error>) -> String {
    match result {
        Ok((status, body)) => shown(status, &body),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let name = format!("{error:?}");
            name.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
        }
    }
}

fn shown(status: u16, body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    format!("{status} {body}").trim().to_owned()
}

#[test]
fn every_case_ends_in_time_with_the_expected_outcome() {
    let cases = cases();
    let mut wrong = Vec::new();
    let mut seen = Vec::new();
    for case in &cases {
        let server = Server::start(vec![case.script.clone()]);
        let method = if case.head { Method::HEAD } else { Method::GET };
        let request = Request::new(method, server.url("/")).timeout(DEADLINE).max_head(MAX_HEAD).max_body(MAX_BODY);
        let start = Instant::now();
        let result = request.send().map(|response| (response.status(), response.into_body()));
        let took = start.elapsed();
        let outcome = outcome(result);
        if outcome != case.expected {
            wrong.push(format!("{}: {outcome}, expected {}", case.what, case.expected));
        }
        if took > DEADLINE + LATE {
            wrong.push(format!("{}: took {took:?}", case.what));
        }
        seen.push(outcome);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    if let Some(path) = env::var_os("CLIENT_TABLE") {
        fs::write(path, table(&cases, &seen)).unwrap();
    }
}

/// The outcomes of the client and of http_req, as a page in Markdown.
fn table(cases: &[Case], seen: &[String]) -> String {
    let mut text = "# The client and http_req, case by case\n\n\
        Each row is something that a server can do. The columns show the outcome for `lambda_musl::client` and for `http_req::request::Request`\n\
        0.14.6: the status and the body, or the error. Both had a timeout of 400 ms. The client was limited to a head of 16 KiB and a body of\n\
        64 KiB; http_req has no such limits. \"Hangs\" means that there was no outcome after 1.3 seconds; \"spins\" means that a processor was busy\n\
        during that time or afterwards.\n\n\
        ✗ marks a wrong outcome: a truncated, malformed or endless response that was accepted as complete, a complete response that was refused or\n\
        misread, or no outcome at all. `CLIENT_TABLE=docs/client.md cargo test --test client table` writes this page.\n\n\
        | case | client | http_req |\n| --- | --- | --- |\n"
        .to_owned();
    let (mut faults, mut rows) = (0, 0);
    for (case, seen) in cases.iter().zip(seen) {
        let other = with_http_req(case);
        let is_answer = |outcome: &str| outcome.starts_with(|first: char| first.is_ascii_digit());
        let fault = match is_answer(case.expected) {
            true => other != case.expected,
            false => !other.starts_with("error") || other.ends_with("spins"),
        };
        let mark = if fault { " ✗" } else { "" };
        faults += usize::from(fault);
        rows += 1;
        text += &format!("| {} | {seen} | {other}{mark} |\n", case.what);
    }
    text + &format!("\nOf {rows} cases, http_req is wrong in {faults}.\n")
}

/// The outcome of http_req, in a separate process that can be killed.
fn with_http_req(case: &Case) -> String {
    let server = Server::start(vec![case.script.clone()]);
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "table::http_req_alone", "--ignored", "--nocapture"])
        .env("CLIENT_URL", server.url("/"))
        .env("CLIENT_METHOD", if case.head { "HEAD" } else { "GET" })
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if child.try_wait().unwrap().is_some() {
            let output = child.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let line = text.lines().find_map(|line| line.strip_prefix("outcome: "));
            let line = line.map_or("panics".into(), |line| line.replace('|', "\\|"));
            // http_req reads for as long as bytes arrive, which is not spinning.
            let endless = matches!(case.script.last(), Some(Repeat(..)));
            return if endless { line.replace(", and spins", "") } else { line };
        }
        thread::sleep(Duration::from_millis(5));
    }
    let spins = ticks(&child.id().to_string()) > SPINNING;
    child.kill().unwrap();
    child.wait().unwrap();
    if spins { "spins" } else { "hangs" }.to_owned()
}

/// The CPU time of a process, in hundredths of a second.
fn ticks(process: &str) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let ticks = stat.split(' ').skip(13).take(2);
    ticks.filter_map(|ticks| ticks.parse::<u32>().ok()).sum()
}

#[test]
#[ignore = "a process that another test starts"]
fn http_req_alone() {
    let (url, method) = (env::var("CLIENT_URL").unwrap(), env::var("CLIENT_METHOD").unwrap());
    let (uri, mut body) = (Uri::try_from(&*url).unwrap(), Vec::new());
    let method = if method == "HEAD" { Method::HEAD } else { Method::GET };
    let mut request = request::Request::new(&uri);
    request.method(method).timeout(DEADLINE).read_timeout(Some(DEADLINE));
    let result = request.send(&mut body);
    // The first bytes are enough.
    body.truncate(16);
    let outcome = match result {
        Ok(response) => shown(response.status_code().into(), &body),
        Err(error) => format!("error: {error}"),
    };
    let before = ticks("self");
    thread::sleep(Duration::from_millis(300));
    let spins = if ticks("self") - before > SPINNING / 4 { ", and spins" } else { "" };
    println!("\noutcome: {outcome}{spins}");
}
