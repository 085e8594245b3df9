//! Requests and responses on the wire: connections, framing, refusals and malformed bytes.

use std::{
    convert::Infallible,
    io::Write,
    time::{Duration, Instant},
};

use conformance::{Reply, RuntimeApi, accepted, answer, event, invocation};
use lambda_musl::{Context, Stream, testing::Runtime};
use serde_json::Value;

use crate::support::{NEXT, echo, lines, path, run};

#[test]
fn all_requests_use_one_connection() {
    let script = (0..20).flat_map(|n| [event(&format!("id-{n}"), "1"), accepted()]);
    let (received, _) = run(script, echo);
    assert_eq!(received.len(), 40);
    assert!(received.iter().all(|request| request.connection == 0));
}

#[test]
fn a_path_in_the_address_is_kept() {
    let api = RuntimeApi::start([event("a", "1"), accepted()]);
    let runtime = Runtime::at(&format!("{}/my/emulator", api.address())).unwrap();
    let _ = runtime.run(echo);
    let received = api.received();
    assert_eq!(received[0].line, NEXT.replace("/2018", "/my/emulator/2018"));
    assert!(received[1].line.starts_with("POST /my/emulator/2018-06-01/runtime/invocation/a/"));
}

#[test]
fn a_response_that_a_closing_server_has_not_read_is_sent_again() {
    for _ in 0..50 {
        let closes = Reply::Close(invocation("a", "", "1"));
        let (received, _) = run([closes, accepted(), event("b", "2"), accepted()], echo);
        assert_eq!(lines(&received), [NEXT, &path("a", "response"), NEXT, &path("b", "response")]);
    }
}

#[test]
fn late_empty_lines_are_skipped() {
    let mut late = b"\r\n\r\n".to_vec();
    late.extend(invocation("b", "", "2"));
    let script = [event("a", "1"), accepted(), Reply::Send(late), accepted()];
    let (received, _) = run(script, echo);
    assert_eq!(received[3].line, path("b", "response"));
}

#[test]
fn a_stream_to_a_server_that_has_closed_uses_a_new_connection() {
    let handler = async |_: Value, _: Context| {
        std::thread::sleep(Duration::from_millis(2));
        let body = async |out: &mut (dyn Write + Send)| out.write_all(b"whole");
        Ok::<_, Infallible>(Stream::new("text/plain", body))
    };
    for _ in 0..20 {
        let closes = Reply::Close(invocation("a", "", "1"));
        let (received, _) = run([closes, accepted()], handler);
        assert_eq!(received[1].line, path("a", "response"));
        assert_eq!(received[1].connection, 1);
    }
}

#[test]
fn a_connection_that_the_server_closes_is_replaced() {
    let script = [Reply::Close(invocation("a", "", "1")), Reply::Close(answer(202, "")), event("b", "2"), accepted()];
    // A close takes a moment to arrive. After that, the runtime notices the close before it sends anything.
    let handler = async |event: Value, _: Context| {
        std::thread::sleep(Duration::from_millis(50));
        Ok::<_, Infallible>(event)
    };
    let (received, _) = run(script, handler);
    let connections: Vec<usize> = received.iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 1, 2, 2]);
}

#[test]
fn a_response_that_the_server_has_read_is_not_sent_again() {
    let script = [event("a", "1"), Reply::Close(Vec::new()), event("b", "2"), accepted()];
    let (received, _) = run(script, echo);
    assert_eq!(lines(&received), [NEXT, &path("a", "response"), NEXT, &path("b", "response")]);
}

#[test]
fn unsolicited_bytes_are_not_read_as_a_reply() {
    let mut bytes = invocation("a", "", "1");
    bytes.extend(answer(408, "too late"));
    let script = [Reply::Send(bytes), accepted()];
    let (received, _) = run(script, echo);
    assert_eq!(received[1].line, path("a", "response"));
    assert_eq!(received[1].connection, 1, "the first connection is in an unknown state");
}

#[test]
fn an_announced_close_is_respected() {
    let closing = invocation("a", "Connection: Close\r\n", "1");
    let script = [Reply::Send(closing), accepted()];
    let (received, _) = run(script, echo);
    assert_eq!(received[1].connection, 1);
}

#[test]
fn a_response_that_is_refused_is_sent_once_and_the_loop_continues() {
    for status in [400, 403, 404, 410, 413, 502] {
        let script = [
            event("a", "1"),
            Reply::Send(answer(status, r#"{"errorType":"Odd","errorMessage":"no"}"#)),
            event("b", "2"),
            accepted(),
        ];
        let (received, _) = run(script, echo);
        assert_eq!(lines(&received), [NEXT, &path("a", "response"), NEXT, &path("b", "response")], "{status}");
    }
}

/// A refusal without a recognizable end, on a connection that stays open.
fn endless(status: u16, headers: &str, message: &str) -> Reply {
    Reply::Send(format!("HTTP/1.1 {status} No\r\n{headers}\r\n{message}").into_bytes())
}

/// How long such a refusal may delay the function: the runtime reads it for one second, and a loaded machine takes longer.
const BOUNDED: Duration = Duration::from_secs(4);

#[test]
fn an_endless_refusal_of_next_ends_the_loop_with_its_message() {
    for headers in ["", "Content-Length: 99\r\n", "Content-Length: +3\r\n"] {
        for (status, message) in [(503, ""), (403, "not now")] {
            let start = Instant::now();
            let (_, error) = run([endless(status, headers, message)], echo);
            let answered = format!("responded with {status}: {message}");
            assert!(error.to_string().contains(&answered), "{error}");
            assert!(start.elapsed() < BOUNDED, "{headers:?}");
        }
    }
}

#[test]
fn an_endless_refusal_in_chunks_ends_the_loop_with_the_text_so_far() {
    let start = Instant::now();
    let chunked = "Transfer-Encoding: chunked\r\n";
    let (_, error) = run([endless(503, chunked, "3\r\nnot\r\n9\r\n now")], echo);
    assert!(error.to_string().contains("responded with 503: not now"), "{error}");
    assert!(start.elapsed() < BOUNDED);
}

#[test]
fn an_endless_reply_to_a_post_costs_a_second_and_the_loop_continues() {
    let fails = async |event: Value, _: Context| match event.as_u64() {
        Some(1) => Err("no luck"),
        _ => Ok(event),
    };
    for (event_of_first, call) in [("1", "error"), ("2", "response")] {
        for reply in [endless(413, "", ""), endless(202, "", ""), endless(503, "", "later")] {
            let start = Instant::now();
            let script = [event("a", event_of_first), reply, event("b", "2"), accepted()];
            let (received, _) = run(script, fails);
            assert_eq!(lines(&received), [NEXT, &path("a", call), NEXT, &path("b", "response")]);
            assert_eq!(received[2].connection, 1, "the first connection is in an unknown state");
            assert!(start.elapsed() < BOUNDED);
        }
    }
}

#[test]
fn an_endless_refusal_of_a_stream_costs_a_second_and_the_loop_continues() {
    let handler = async |_: Value, _: Context| {
        let body = async |out: &mut (dyn Write + Send)| out.write_all(b"whole");
        Ok::<_, Infallible>(Stream::new("text/plain", body))
    };
    let start = Instant::now();
    let script = [event("a", "1"), endless(413, "", ""), event("b", "2"), accepted()];
    let (received, _) = run(script, handler);
    assert_eq!(received[3].line, path("b", "response"));
    assert!(start.elapsed() < BOUNDED);
}

#[test]
fn a_refusal_longer_than_the_limit_ends_the_loop() {
    let long = "x".repeat(10_000_000);
    let (_, error) = run([endless(503, "", &long)], echo);
    assert!(error.to_string().contains("responded with 503: xxx"), "{error}");
}

#[test]
fn an_event_that_arrives_slowly_is_read_to_its_end() {
    let bytes = invocation("a", "", "[1,2,3]");
    let late = Duration::from_millis(1500);
    let slow = bytes.len() - 3;
    let (head, tail) = bytes.split_at(slow);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (head, tail) = (head.to_vec(), tail.to_vec());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&head).unwrap();
        std::thread::sleep(late);
        stream.write_all(&tail).unwrap();
        let mut reader = std::io::BufReader::new(stream);
        let mut requests = Vec::new();
        for _ in 0..2 {
            let request = lambda_musl::testing::http::read_request(&mut reader);
            requests.push(request.unwrap().unwrap());
        }
        requests
    });
    let _ = Runtime::at(&address).unwrap().run(echo);
    assert_eq!(server.join().unwrap()[1].body, b"[1,2,3]");
}

#[test]
fn an_event_truncated_at_any_byte_ends_the_loop_and_is_not_handled() {
    let chunked = "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: a\r\n\
                   Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n";
    for whole in [invocation("a", "", "[1]"), chunked.into()] {
        for end in 0..whole.len() {
            let (received, _) = run([Reply::Close(whole[..end].to_vec())], echo);
            assert_eq!(received.len(), 1, "truncated after {end} bytes");
        }
    }
}

#[test]
fn a_reply_truncated_at_any_byte_does_not_end_the_loop() {
    let whole = answer(202, "{}");
    for end in 0..whole.len() {
        let script = [event("a", "1"), Reply::Close(whole[..end].to_vec()), event("b", "2"), accepted()];
        let (received, _) = run(script, echo);
        assert_eq!(received[1].line, path("a", "response"));
        assert_eq!(received[3].line, path("b", "response"), "truncated after {end} bytes");
    }
}

#[test]
fn header_values_of_any_bytes_do_not_prevent_a_response() {
    // Each byte except a line feed, alone and repeated up to Lambda's limit for a client context.
    let bytes = (0..=255u8).filter(|byte| *byte != b'\n');
    let values: Vec<Vec<u8>> = bytes.flat_map(|byte| [1, 3583].map(|n| vec![byte; n])).collect();
    let script = values.iter().flat_map(|value| {
        let header = [b"Lambda-Runtime-Client-Context: ", &value[..], b"\r\n"].concat();
        [Reply::Send(invocation("a", header, "7")), accepted()]
    });
    let handler = async |n: u32, context: Context| {
        let _ = context.client_context::<Value>();
        Ok::<_, Infallible>(n)
    };
    let (received, _) = run(script, handler);
    for (value, post) in values.iter().zip(received.iter().skip(1).step_by(2)) {
        assert_eq!(post.body, b"7", "{:#x} × {}", value[0], value.len());
    }
}
