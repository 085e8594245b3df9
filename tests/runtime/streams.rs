//! Responses that are sent while they are written.

use std::{
    convert::Infallible,
    io::{self, Write},
    sync::mpsc,
    time::Duration,
};

use conformance::{Received, Reply, RuntimeApi, accepted, answer, event, invocation};
use lambda_musl::{
    Context, Error, Failure, Stream,
    testing::{self, Runtime},
};
use serde_json::{Value, json};

use crate::support::{NEXT, answer_to, path, run, run_one};

type Out<'a> = &'a mut (dyn Write + Send);

#[test]
fn a_stream_is_sent_in_chunks_with_its_content_type() {
    let handler = async |name: String, _: Context| {
        let body = async move |out: Out<'_>| write!(out, "Hello, {name}!");
        Ok::<_, Infallible>(Stream::new("text/plain", body))
    };
    let post = run_one(invocation("a", "Lambda-Runtime-Invocation-Id: i\r\n", "\"Zoë\""), handler);
    assert_eq!(post.line, path("a", "response"));
    assert_eq!(post.body, "Hello, Zoë!".as_bytes());
    for (name, value) in [
        ("Content-Type", "text/plain"),
        ("Transfer-Encoding", "chunked"),
        ("Lambda-Runtime-Function-Response-Mode", "streaming"),
        ("Lambda-Runtime-Invocation-Id", "i"),
        ("Content-Length", ""),
    ] {
        assert_eq!(post.header(name).unwrap_or_default(), value, "{name}");
    }
    let trailers: Vec<&str> =
        post.headers.iter().filter(|(name, _)| name == "Trailer").map(|(_, value)| value.as_str()).collect();
    assert_eq!(trailers, ["Lambda-Runtime-Function-Error-Type", "Lambda-Runtime-Function-Error-Body"]);
    assert!(post.trailers.is_empty());
}

#[test]
fn a_prelude_with_the_status_headers_and_cookies_precedes_the_body() {
    let handler = async |_: Value, _: Context| {
        let body = async |out: Out<'_>| out.write_all(b"<p>");
        let page = Stream::new("text/html", body).status(404);
        Ok::<_, Infallible>(page.header("X-A", "1").cookie("a=b").cookie("c=d"))
    };
    let answer = answer_to("1", handler);
    assert_eq!(answer.content_type().unwrap(), "application/vnd.awslambda.http-integration-response");
    let end = answer.body.windows(8).position(|bytes| bytes == [0; 8]).unwrap();
    let prelude: Value = serde_json::from_slice(&answer.body[..end]).unwrap();
    assert_eq!(
        prelude,
        json!({"statusCode": 404, "headers": {"Content-Type": "text/html", "X-A": "1"}, "cookies": ["a=b", "c=d"]})
    );
    assert_eq!(&answer.body[end + 8..], b"<p>");
}

#[test]
fn flushed_bytes_are_sent_before_the_rest_is_written() {
    let api = RuntimeApi::start([event("a", "1"), accepted()]);
    let handler = async |_: Value, _: Context| {
        let body = async |out: Out<'_>| -> Result<(), Box<dyn std::error::Error>> {
            out.write_all(b"first")?;
            out.flush()?;
            let chunks = api.chunks.lock().unwrap();
            let seen = chunks.recv_timeout(Duration::from_secs(5))?;
            assert_eq!(seen, b"first");
            out.write_all(b"second")?;
            Ok(())
        };
        Ok::<_, Infallible>(Stream::new("text/plain", body))
    };
    let _ = Runtime::at(api.address()).unwrap().run(handler);
    let post = &api.received()[1];
    assert_eq!(post.body, b"firstsecond");
    assert!(post.trailers.is_empty(), "{:?}", post.trailers);
}

#[test]
fn a_long_stream_is_complete_and_its_connection_is_reused() {
    let handler = async |length: usize, _: Context| {
        let body = async move |out: Out<'_>| (0..length).try_for_each(|n| out.write_all(&(n as u32).to_le_bytes()));
        Ok::<_, Infallible>(Stream::new("application/octet-stream", body))
    };
    let script = [event("a", "1000000"), accepted(), event("b", "0"), accepted()];
    let (received, _) = run(script, handler);
    let expected: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
    assert!(received[1].body == expected);
    assert!(received[3].body.is_empty());
    assert!(received.iter().all(|request| request.connection == 0));
}

/// Asserts that this body was sent and that the trailers report this error.
#[track_caller]
fn assert_trailers(post: &Received, body: &[u8], error_type: &str, message: &str) {
    assert_eq!(post.body, body, "the body before the error");
    let [(type_name, type_value), (body_name, report)] = &post.trailers[..] else {
        panic!("{:?}", post.trailers);
    };
    assert_eq!(type_name, "Lambda-Runtime-Function-Error-Type");
    assert_eq!(type_value, error_type);
    assert_eq!(body_name, "Lambda-Runtime-Function-Error-Body");
    let report: Value = serde_json::from_slice(&testing::decode_base64(report).unwrap()).unwrap();
    assert_eq!(report["errorType"], error_type);
    let text = report["errorMessage"].as_str().unwrap();
    assert!(text.starts_with(message), "{text}");
    assert!(report["stackTrace"].is_array());
}

#[test]
fn a_stream_that_fails_midway_reports_the_error_in_trailers() {
    let handler = async |_: Value, _: Context| {
        let body = async |out: Out<'_>| {
            out.write_all(b"some").unwrap();
            Err(Failure::new("Function.Midway", "no more"))
        };
        Ok::<_, Infallible>(Stream::new("text/plain", body))
    };
    let post = run_one(invocation("a", "", "1"), handler);
    assert_trailers(&post, b"some", "Function.Midway", "no more");
}

#[test]
fn a_stream_that_panics_midway_reports_the_panic_in_trailers() {
    let handler = async |_: Value, _: Context| {
        let body = async |out: Out<'_>| -> io::Result<()> {
            out.write_all(b"some")?;
            out.flush()?;
            panic!("no more")
        };
        Ok::<_, Infallible>(Stream::new("text/plain", body))
    };
    let post = run_one(invocation("a", "", "1"), handler);
    assert_trailers(&post, b"some", "Function.Panic", "no more");
}

#[test]
fn the_trailers_are_short_however_long_the_error_is() {
    let handler = async |_: Value, _: Context| {
        let body = async |_: Out<'_>| Err("\u{1}ä".repeat(1_000_000));
        Ok::<_, Infallible>(Stream::new("text/plain", body))
    };
    let post = run_one(invocation("a", "", "1"), handler);
    assert_trailers(&post, b"", "Function.Error", "\u{1}ä");
    let length: usize = post.trailers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    assert!(length < 4096, "{length}");
}

#[test]
fn an_error_before_the_stream_is_reported_as_usual() {
    let handler = async |_: Value, _: Context| {
        let body = async |out: Out<'_>| out.write_all(b"never");
        let _stream = Stream::new("text/plain", body);
        Err::<Stream<fn(Out<'_>) -> std::future::Ready<io::Result<()>>>, _>("no stream today")
    };
    let error = answer_to("1", handler).error().unwrap();
    assert_eq!(error.message, "no stream today");
}

#[test]
fn a_stream_that_is_refused_midway_does_not_end_the_loop() {
    let handler = async |_: Value, _: Context| {
        let body = async |out: Out<'_>| (0..1000).try_for_each(|_| out.write_all(&[7; 65536]));
        Ok::<_, Infallible>(Stream::new("text/plain", body))
    };
    let script = [event("a", "1"), Reply::Refuse(answer(413, "{}")), event("b", "1"), Reply::Close(answer(202, ""))];
    let (received, _) = run(script, handler);
    assert_eq!(received[2].line, NEXT);
    assert_eq!(received[3].body.len(), 1000 * 65536);
}

#[test]
fn an_internal_error_in_reply_to_a_stream_ends_the_loop() {
    let handler = async |_: Value, _: Context| {
        let body = async |out: Out<'_>| out.write_all(b"some");
        Ok::<_, Infallible>(Stream::new("text/plain", body))
    };
    let (received, end) = run([event("a", "1"), Reply::Send(answer(500, "broken"))], handler);
    assert_eq!(received.len(), 2);
    assert!(matches!(end, Error::Refused { status: 500, .. }), "{end}");
}

#[test]
fn a_stream_body_can_wait_under_an_executor() {
    let handler = async |_: Value, _: Context| {
        let body = async |out: Out<'_>| {
            for n in 0..5 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                write!(out, "{n} ")?;
                out.flush()?;
            }
            Err(io::Error::other("that was all"))
        };
        Ok::<_, Infallible>(Stream::new("text/plain", body))
    };
    let api = RuntimeApi::start([event("a", "1"), accepted(), event("b", "1"), accepted()]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _ = runtime.block_on(Runtime::at(api.address()).unwrap().process(handler));
    let received = api.received();
    assert_trailers(&received[1], b"0 1 2 3 4 ", "Function.Error", "that was all");
    assert_trailers(&received[3], b"0 1 2 3 4 ", "Function.Error", "that was all");
    assert!(received.iter().all(|request| request.connection == 0));
}

#[test]
fn a_closed_connection_is_a_write_error_in_the_body_under_any_executor() {
    let (sender, receiver) = mpsc::channel();
    let handler = async |_: Value, _: Context| {
        let sender = sender.clone();
        let body = async move |out: Out<'_>| {
            let end = (0..10_000).try_for_each(|_| out.write_all(&[7; 65536]));
            sender.send(end.as_ref().map_err(io::Error::kind).copied()).unwrap();
            end
        };
        Ok::<_, Infallible>(Stream::new("text/plain", body))
    };
    let script = || [event("a", "1"), Reply::Refuse(Vec::new()), event("b", "1")];
    let api = RuntimeApi::start(script());
    let _ = pollster::block_on(Runtime::at(api.address()).unwrap().process(&handler));
    let _ = run(script(), handler);
    let ends: Vec<_> = receiver.try_iter().collect();
    assert!(ends.len() >= 2 && ends.iter().all(Result::is_err), "{ends:?}");
}

#[test]
fn into_response_collects_a_stream_without_a_runtime() {
    let body = async |out: Out<'_>| out.write_all(b"body");
    let raw = Stream::new("text/plain", body).status(200).into_response().unwrap();
    assert!(raw.body.ends_with(b"\0\0\0\0\0\0\0\0body"));
    let failing = Stream::new("text/plain", async |_: Out<'_>| Err("no"));
    assert_eq!(failing.into_response().unwrap_err().to_string(), "no");
}
