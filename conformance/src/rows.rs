//! The rows of the suite: each is a behaviour of the Runtime API and the reaction that this behaviour requires of a function.

use std::{
    io,
    path::Path,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::channel,
    },
    time::Duration,
};

use conformance::{
    Received,
    Reply::{self, Close, Later, Send, Slow},
    RuntimeApi, answer, silence,
};
use lambda_musl::testing::{function::Happening, http};

use crate::{
    bytes::{self, EVENT, LONGEST, MESSAGE, USUAL},
    story::{Script, Story, is_next, start},
};

/// A row of the suite: what happens, what is expected, and how to try it.
pub struct Row {
    pub what: &'static str,
    pub expected: &'static str,
    /// Whether the row needs a mode that only the suite's own functions have.
    pub own: bool,
    attempt: Box<Attempt>,
}

type Attempt = dyn Fn(&Path, bool) -> io::Result<Outcome> + Sync;

/// What a function did, as text for the table, and whether that is right.
pub struct Outcome {
    pub happened: String,
    pub right: bool,
}

impl Row {
    /// Runs a function. `known` tells whether it is one of the suite's own functions, which return the event.
    pub fn attempt(&self, binary: &Path, known: bool) -> io::Result<Outcome> {
        (self.attempt)(binary, known)
    }
}

/// A row that plays a script. `judge` returns the fault in the story, if any, or an empty text if the story itself shows the fault.
fn row(
    what: &'static str, expected: &'static str, script: Script,
    judge: impl Fn(&Story, bool) -> Option<&'static str> + Sync + 'static,
) -> Row {
    Row {
        what,
        expected,
        own: !script.mode.is_empty(),
        attempt: Box::new(move |binary, known| {
            let story = script.play(binary)?;
            let fault = judge(&story, known);
            let happened = match fault {
                Some(fault) if !fault.is_empty() => format!("{story}; {fault}"),
                _ => story.to_string(),
            };
            let right = fault.is_none();
            Ok(Outcome { happened, right })
        }),
    }
}

/// The result of `judge` if the story itself shows any fault.
fn plain(right: bool) -> Option<&'static str> {
    match right {
        true => None,
        false => Some(""),
    }
}

/// A row in which the function returns the event.
fn echoes(what: &'static str, next: Reply) -> Row {
    echo_of(what, next, EVENT)
}

fn echo_of(what: &'static str, next: Reply, event: impl Into<Vec<u8>>) -> Row {
    let event = event.into();
    row(what, "response, continues", Script::one(next), move |story, known| responded_with(story, &event, known))
}

fn responded_with(story: &Story, event: &[u8], known: bool) -> Option<&'static str> {
    if !known {
        return plain(story.responded() || story.reported());
    }
    match story.answer() {
        Some(answer) if story.responded() => (answer.body != event).then_some("a different event"),
        _ => Some(""),
    }
}

/// A row in which the function posts a response or an error.
fn answered(what: &'static str, next: Reply) -> Row {
    row(what, "response or error, continues", Script::one(next), |story, _| {
        plain(story.responded() || story.reported())
    })
}

/// A row in which the function reports an error of this type.
fn reported(what: &'static str, expected: &'static str, script: Script, error_type: &'static str) -> Row {
    row(what, expected, script, move |story, _| {
        if !story.reported() {
            return Some("");
        }
        let report = story.report();
        let header = story.answer().and_then(|answer| answer.header("Lambda-Runtime-Function-Error-Type"));
        if header.is_none_or(|header| !header.starts_with(error_type)) || report["errorType"].as_str() != header {
            return Some("wrong error type");
        }
        (!report["errorMessage"].is_string()).then_some("no errorMessage")
    })
}

/// A row in which the function can post nothing, so it exits and logs the reason.
fn exits(what: &'static str, next: Reply) -> Row {
    row(what, "exits 1, logs the reason", Script::none(next), |story, _| {
        if !story.exited() || !story.posts.is_empty() {
            return Some("");
        }
        story.log.trim().is_empty().then_some("nothing logged")
    })
}

/// A row in which the function exits and logs the Runtime API's error message.
fn exits_with_message(what: &'static str, script: Script) -> Row {
    row(what, "exits 1, logs the server's error message", script, |story, _| {
        if !story.exited() {
            return Some("");
        }
        (!story.log.contains(MESSAGE)).then_some("not logged")
    })
}

/// A row in which a response is lost, and the function logs this and asks for the next event.
fn loses(what: &'static str, answer: Reply, message: &'static str) -> Row {
    let script = Script::one(Send(bytes::usual())).answer(answer);
    row(what, "one response, continues, logs the failure", script, move |story, _| {
        if !story.responded() {
            return Some("");
        }
        let silent = story.log.trim().is_empty() || !story.log.contains(message);
        silent.then_some("not logged")
    })
}

pub fn all() -> Vec<Row> {
    let mut rows = events();
    rows.extend(headers());
    rows.extend(cuts());
    rows.extend(refusals());
    rows.extend(failures());
    rows.extend(streams());
    rows.extend(modes());
    rows
}

fn events() -> Vec<Row> {
    let long = format!("\"{}\"", "x".repeat(LONGEST));
    let path = Script { base: "/some/path", ..Script::one(Send(bytes::usual())) };
    let whole = "2;a=b\r\n{\"\r\n0B\r\nname\":\"Zoë\r\n2\r\n\"}\r\n0\r\nT: t\r\n\r\n";
    vec![
        echoes("an event", Send(bytes::usual())),
        Row {
            what: "100 events",
            expected: "100 responses, 1 connection",
            own: false,
            attempt: Box::new(|binary, _| many(binary)),
        },
        row("a path in the address", "kept in every request", path, |story, known| {
            let kept = story.posts.iter().all(|post| post.line.contains(" /some/path/2018-06-01/"));
            match kept {
                true => responded_with(story, EVENT.as_bytes(), known),
                false => Some("the path is lost"),
            }
        }),
        echoes("an event in chunks, with extensions and trailers", Send(bytes::chunked(whole))),
        echoes("an event sent byte by byte", Slow(1, bytes::usual())),
        echoes("chunks sent byte by byte", Slow(1, bytes::chunked(whole))),
        echoes("an event that takes 4 seconds to arrive", Later(Duration::from_secs(4), bytes::usual())),
        echo_of("the longest event", Send(bytes::invocation(USUAL, &long)), long.clone()),
        echo_of("the longest event, in chunks", Send(in_chunks(&long)), long),
        echoes(
            "`103 Early Hints` first",
            Send([b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".to_vec(), bytes::usual()].concat()),
        ),
        reported(
            "an empty event",
            "error `Runtime.UnmarshalError`, continues",
            Script::one(Send(bytes::invocation(USUAL, ""))),
            "Runtime.UnmarshalError",
        ),
        reported(
            "an event that is not JSON",
            "error `Runtime.UnmarshalError`, continues",
            Script::one(Send(bytes::invocation(USUAL, "{"))),
            "Runtime.UnmarshalError",
        ),
        reported(
            "an event that is not UTF-8",
            "error `Runtime.UnmarshalError`, continues",
            Script::one(Send(bytes::invocation(USUAL, b"\"\xff\xfe\""))),
            "Runtime.UnmarshalError",
        ),
        answered("an event nested 100 000 levels deep", Send(bytes::invocation(USUAL, "[".repeat(100_000)))),
    ]
}

fn many(binary: &Path) -> io::Result<Outcome> {
    let script = Script { asked: 101, ..Script::one(Send(bytes::usual())) };
    let story = script.play(binary)?;
    let (answers, connections) = (story.posts.len(), story.connections);
    let plural = if connections == 1 { "" } else { "s" };
    Ok(Outcome {
        happened: format!("{answers} responses, {connections} connection{plural}"),
        right: answers == 100 && connections == 1,
    })
}

fn in_chunks(event: &str) -> Vec<u8> {
    let mut bytes = bytes::chunked("");
    for chunk in event.as_bytes().chunks(2048) {
        bytes.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

fn headers() -> Vec<Row> {
    let lower = String::from_utf8_lossy(&bytes::usual()).replace("Lambda-Runtime-", "lambda-runtime-");
    let id = Script::one(Send(bytes::with("Lambda-Runtime-Invocation-Id: i-7")));
    let empty = USUAL.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| format!("{name}: \r\n"));
    let empty: String = empty.collect();
    let extra =
        "Lambda-Runtime-Client-Context: \r\nLambda-Runtime-Cognito-Identity: \r\nLambda-Runtime-Aws-Tenant-Id: \r\n";
    let deadline = |value: &str| bytes::invocation(format!("Lambda-Runtime-Deadline-Ms: {value}\r\n"), EVENT);
    let with = |header: &str| Send(bytes::with(header));
    vec![
        echoes("header names in lower case", Send(lower.into_bytes())),
        row("`Lambda-Runtime-Invocation-Id`", "returned with the response", id, |story, _| match story.answer() {
            Some(answer) if answer.header("Lambda-Runtime-Invocation-Id") == Some("i-7") => plain(story.goes_on),
            Some(_) => Some("not returned"),
            None => Some(""),
        }),
        echoes("a nested client context", with(r#"Lambda-Runtime-Client-Context: {"custom":{"a":1}}"#)),
        echoes(
            "a client context with non-ASCII characters",
            with(r#"Lambda-Runtime-Client-Context: {"custom":{"a":"Zoë"}}"#),
        ),
        echoes("a client context that is not JSON", with("Lambda-Runtime-Client-Context: {")),
        echoes(
            "a client context that is not UTF-8",
            Send(bytes::with(b"Lambda-Runtime-Client-Context: {\"\xff\xfe\"}")),
        ),
        echoes(
            "a client context of 100 kB",
            with(&format!("Lambda-Runtime-Client-Context: {{\"custom\":{{\"a\":\"{}\"}}}}", "x".repeat(100_000))),
        ),
        echoes("a Cognito identity that is not JSON", with("Lambda-Runtime-Cognito-Identity: {")),
        echoes("a Cognito identity without its fields", with("Lambda-Runtime-Cognito-Identity: {}")),
        echoes(
            "a trace ID that is not UTF-8",
            Send(bytes::invocation(b"Lambda-Runtime-Deadline-Ms: 1\r\nLambda-Runtime-Trace-Id: \xe4\r\n", EVENT)),
        ),
        echoes(
            "an ARN that is not UTF-8",
            Send(bytes::invocation(
                b"Lambda-Runtime-Deadline-Ms: 1\r\nLambda-Runtime-Invoked-Function-Arn: \xe4\r\n",
                EVENT,
            )),
        ),
        echoes("no header except the request ID", Send(bytes::invocation("", EVENT))),
        echoes("empty headers", Send(bytes::invocation(empty + extra, EVENT))),
        echoes("a deadline that is not a number", Send(deadline("tomorrow"))),
        echoes("a negative deadline", Send(deadline("-1"))),
        echoes("a deadline of 30 digits", Send(deadline(&"9".repeat(30)))),
        echoes("a deadline of 2⁶⁴ − 1", Send(deadline("18446744073709551615"))),
        echoes("a duplicate header", with("Lambda-Runtime-Trace-Id: other")),
        exits("no request ID", Send(format!("HTTP/1.1 200 OK\r\n{USUAL}Content-Length: 2\r\n\r\n{{}}").into_bytes())),
        exits(
            "a request ID that would change the path",
            Send(String::from_utf8_lossy(&bytes::usual()).replace("id-1", "../../init/error?").into_bytes()),
        ),
    ]
}

fn cuts() -> Vec<Row> {
    let head = bytes::head("");
    let with_body = |headers, body: &str| [bytes::head(headers), body.into()].concat();
    let flood = [b"HTTP/1.1 200 OK\r\n".to_vec(), b"X: y\r\n".repeat(1_000_000)];
    let cuts = [
        ("`next`: closed without a response", Vec::new()),
        ("`next`: closed in the status line", b"HTTP/1.1 2".into()),
        ("`next`: closed in the head", head[..head.len() - 4].into()),
        ("`next`: closed in the body", with_body("Content-Length: 99\r\n", "{}")),
        ("`next`: closed inside a chunk", bytes::chunked("5\r\n{}")),
        ("`next`: closed between chunks", bytes::chunked("2\r\n{}\r\n")),
        ("`next`: closed before the final empty line", bytes::chunked("2\r\n{}\r\n0\r\n")),
        ("`next`: a chunk longer than its size", bytes::chunked("2\r\n{}{}\r\n0\r\n\r\n")),
        ("`next`: a chunk with an invalid size", bytes::chunked("x\r\n{}\r\n0\r\n\r\n")),
        ("`next`: a chunk of 2⁶⁴ bytes", bytes::chunked("10000000000000000\r\n{}\r\n0\r\n\r\n")),
        ("`next`: two different lengths", with_body("Content-Length: 2\r\nContent-Length: 3\r\n", "{} ")),
        ("`next`: a negative length", with_body("Content-Length: -1\r\n", "{}")),
        ("`next`: a length with a plus sign", with_body("Content-Length: +2\r\n", "{}")),
        ("`next`: a chunk whose size has a plus sign", bytes::chunked("+2\r\n{}\r\n0\r\n\r\n")),
        ("`next`: a status with a plus sign", b"HTTP/1.1 +20 OK\r\nContent-Length: 2\r\n\r\n{}".into()),
        ("`next`: not HTTP", b"SSH-2.0-OpenSSH_9.2\r\n\r\n".into()),
        ("`next`: a head of 6 MB", flood.concat()),
    ];
    let mut rows = vec![Row {
        what: "no Runtime API",
        expected: "exits 1, logs the reason",
        own: false,
        attempt: Box::new(|binary, _| alone(binary)),
    }];
    rows.extend(cuts.map(|(what, bytes)| exits(what, Close(bytes))));
    rows.extend([
        row(
            "closed while the handler runs",
            "response, continues",
            Script::one(Close(bytes::usual())).mode("slow"),
            |story, known| responded_with(story, EVENT.as_bytes(), known),
        ),
        echoes("`Connection: close` with the event", Close(bytes::with("Connection: close"))),
        row(
            "closed after a response was accepted",
            "response, continues",
            Script::one(Send(bytes::usual())).answer(Close(answer(202, "{}"))),
            |story, known| responded_with(story, EVENT.as_bytes(), known),
        ),
        loses("closed without a reply to the response", Close(Vec::new()), ""),
        loses("closed in the status line of the reply to the response", Close(b"HTTP/1.1 2".to_vec()), ""),
    ]);
    rows
}

fn alone(binary: &Path) -> io::Result<Outcome> {
    let function = start(binary, "127.0.0.1:1", &[])?;
    let mut story = Story::default();
    match function.wait(&channel::<()>().1, Duration::from_secs(5))? {
        Happening::Exit(status) => story.exit = Some(status),
        _ => story.silent = true,
    }
    let story = story.end(function)?;
    let silent = story.log.trim().is_empty();
    Ok(Outcome {
        happened: format!("{story}{}", if silent { "; nothing logged" } else { "" }),
        right: story.exited() && !silent,
    })
}

fn refusals() -> Vec<Row> {
    let refused = |status| Send(bytes::refused(status));
    let on_error = |answer| Script::one(Send(bytes::invocation(USUAL, "{"))).answer(answer);
    // The connection stays open, so the end of the body is unknown.
    let endless = |status| Send(format!("HTTP/1.1 {status} No\r\n\r\n{MESSAGE}").into_bytes());
    vec![
        exits_with_message("`next`: 403", Script::none(refused(403))),
        exits_with_message("`next`: 404", Script::none(refused(404))),
        exits_with_message("`next`: 500", Script::none(refused(500))),
        exits_with_message("`next`: 503", Script::none(refused(503))),
        exits("`next`: 204", Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())),
        loses("reply to the response: 400", refused(400), MESSAGE),
        loses("reply to the response: 403", refused(403), MESSAGE),
        loses("reply to the response: 410", refused(410), MESSAGE),
        loses("reply to the response: 413", refused(413), MESSAGE),
        exits_with_message("reply to the response: 500", Script::one(Send(bytes::usual())).answer(refused(500))),
        exits_with_message("reply to the error: 500", on_error(refused(500))),
        exits_with_message("`next`: 503 without a length or an end", Script::none(endless(503))),
        loses("reply to the response: 413 without a length or an end", endless(413), MESSAGE),
        row(
            "reply to the response: 202 without a length or an end",
            "response, continues",
            Script::one(Send(bytes::usual())).answer(endless(202)),
            |story, known| responded_with(story, EVENT.as_bytes(), known),
        ),
        exits_with_message("reply to the error: 500 without a length or an end", on_error(endless(500))),
        row(
            "reply to the response: 202 without a length",
            "response, continues",
            Script::one(Send(bytes::usual())).answer(Close(b"HTTP/1.1 202 Accepted\r\n\r\n{}".to_vec())),
            |story, known| responded_with(story, EVENT.as_bytes(), known),
        ),
    ]
}

fn failures() -> Vec<Row> {
    let script = |mode| Script::one(Send(bytes::usual())).mode(mode);
    let message =
        |story: &Story| story.report()["errorMessage"].as_str().is_some_and(|text| text.contains("this went wrong"));
    vec![
        reported("the handler returns an error", "error `Function.…`, continues", script("error"), "Function."),
        row(
            "the message of the error",
            "in the report and in the log",
            script("error"),
            move |story, _| match message(story) {
                true => (!story.log.contains("this went wrong")).then_some("not in the log"),
                false => Some("not in the report"),
            },
        ),
        reported("the handler panics", "error `Function.…`, continues", script("panic"), "Function."),
        row("the message and location of the panic", "in the report", script("panic"), move |story, _| {
            match message(story) {
                true => (!String::from_utf8_lossy(&story.posts[0].body).contains("conformance.rs:"))
                    .then_some("no location"),
                false => Some("no message"),
            }
        }),
        reported(
            "the response cannot be serialized",
            "error `Runtime.MarshalError`, continues",
            script("marshal"),
            "Runtime.MarshalError",
        ),
        row(
            "an error message of 2 MB",
            "a report below 1 MiB, continues",
            script("long error"),
            |story, _| match story.answer() {
                Some(answer) if story.reported() => {
                    (answer.body.len() >= 1024 * 1024).then_some("longer than Lambda accepts")
                }
                _ => Some(""),
            },
        ),
        row(
            "initialization fails",
            "`init/error`, exits 1",
            Script::none(Send(bytes::usual())).mode("init"),
            |story, _| {
                let reported = story.posted("/runtime/init/error");
                match story.exited() && story.asked == 0 {
                    true => (!reported).then_some("not reported to Lambda"),
                    false => Some(""),
                }
            },
        ),
    ]
}

fn streams() -> Vec<Row> {
    let script = |mode| Script::one(Send(bytes::usual())).mode(mode);
    let declares = |post: &Received, name: &str| {
        let mut trailers = post.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case("Trailer"));
        trailers.any(|(_, value)| value.to_lowercase().contains(&name.to_lowercase()))
    };
    vec![
        row("a stream", "chunks, mode `streaming`, trailers declared", script("stream"), move |story, _| {
            let Some(post) = story.answer().filter(|_| story.responded()) else {
                return Some("");
            };
            let mode = post.header("Lambda-Runtime-Function-Response-Mode");
            if mode != Some("streaming") || post.header("Transfer-Encoding") != Some("chunked") {
                return Some("not streamed");
            }
            if !declares(post, "Lambda-Runtime-Function-Error-Type")
                || !declares(post, "Lambda-Runtime-Function-Error-Body")
            {
                return Some("trailers are not declared");
            }
            (!post.body.ends_with(b"one two")).then_some("wrong body")
        }),
        row(
            "a stream that fails midway",
            "the body so far, then the error in trailers",
            script("broken stream"),
            |story, _| {
                let Some(post) = story.answer().filter(|_| story.responded()) else {
                    return Some("");
                };
                let [error_type, body] =
                    ["Type", "Body"].map(|part| post.trailer(&format!("Lambda-Runtime-Function-Error-{part}")));
                if error_type.is_none() || body.is_none() {
                    return Some("no trailers");
                }
                (!post.body.ends_with(b"one ")).then_some("wrong body")
            },
        ),
        row("an HTTP stream", "status and cookies, eight NUL bytes, the body", script("http"), |story, _| {
            let Some(post) = story.answer().filter(|_| story.responded()) else {
                return Some("");
            };
            let media = post.header("Content-Type") == Some("application/vnd.awslambda.http-integration-response");
            let start = post.body.windows(8).position(|eight| eight == [0; 8]).unwrap_or_default();
            let prelude: serde_json::Value = serde_json::from_slice(&post.body[..start]).unwrap_or_default();
            let right = media
                && prelude["statusCode"] == 201
                && prelude["cookies"][0] == "a=b"
                && post.body[start..].ends_with(b"\0hello");
            (!right).then_some("wrong format")
        }),
    ]
}

fn modes() -> Vec<Row> {
    let trace = Script {
        next: vec![Send(bytes::usual()), Send(bytes::invocation("Lambda-Runtime-Deadline-Ms: 1\r\n", EVENT))],
        asked: 3,
        ..Script::one(Send(Vec::new())).mode("trace")
    };
    let lost = Script { environment: vec![("AWS_LAMBDA_MAX_CONCURRENCY", "4")], ..Script::none(Close(Vec::new())) };
    vec![
        row("`_X_AMZN_TRACE_ID`", "set for one invocation, removed for the next", trace, |story, _| {
            let bodies: Vec<&[u8]> = story.posts.iter().map(|post| &post.body[..]).collect();
            match bodies[..] {
                [first, second] if first.starts_with(b"\"Root=1-") => (second != b"null").then_some("not removed"),
                _ => Some("not set"),
            }
        }),
        Row {
            what: "four concurrent invocations",
            expected: "four responses",
            own: false,
            attempt: Box::new(|binary, _| at_once(binary)),
        },
        row("four workers lose their connections", "exits 1 after some retries", lost, |story, _| {
            plain(story.exited())
        }),
        Row {
            what: "SnapStart",
            expected: "`restore/next` before the first `next`",
            own: false,
            attempt: Box::new(|binary, _| snap_start(binary)),
        },
    ]
}

/// Checks that the function requests four invocations before it responds to any of them. The events arrive late enough for that.
fn at_once(binary: &Path) -> io::Result<Outcome> {
    let handed = AtomicUsize::new(0);
    let api = RuntimeApi::replying(move |request| {
        let number = is_next(request).then(|| handed.fetch_add(1, Ordering::Relaxed));
        Some(match number {
            Some(number @ 0..4) => {
                let invocation = conformance::invocation(&format!("id-{number}"), USUAL, EVENT);
                Later(Duration::from_secs(1), invocation)
            }
            _ => silence(),
        })
    });
    let function = start(binary, api.address(), &[("AWS_LAMBDA_MAX_CONCURRENCY", "4")])?;
    let (mut asked, mut answered) = (0, 0);
    while answered < 4 {
        match function.wait(&api.requests, Duration::from_secs(3))? {
            Happening::Message(request) if is_next(&request) => asked += usize::from(answered == 0),
            Happening::Message(_) => answered += 1,
            _ => break,
        }
    }
    Ok(Outcome { happened: format!("{asked} at once, {answered} responses"), right: asked >= 4 && answered == 4 })
}

fn snap_start(binary: &Path) -> io::Result<Outcome> {
    let api = RuntimeApi::replying(|_| Some(Send(http::answer("200 OK", "", ""))));
    let environment = [("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")];
    let function = start(binary, api.address(), &environment)?;
    let mut calls = Vec::new();
    while calls.len() < 2 {
        let Happening::Message(request) = function.wait(&api.requests, Duration::from_secs(2))? else {
            break;
        };
        let call = request.line.rsplitn(3, '/').take(2).collect::<Vec<_>>();
        calls.push(format!("`{}/{}`", call[1], call[0]));
    }
    Ok(Outcome { right: calls == ["`restore/next`", "`invocation/next`"], happened: calls.join(", ") })
}
