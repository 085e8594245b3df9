//! The runtime against a Runtime API that follows a script.

#[path = "support/runtime_api.rs"]
mod runtime_api;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    convert::Infallible,
    fmt::{self, Display},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use lambda_musl::{Context, Error, LambdaHandler, Raw, Runtime};
use runtime_api::{Received, RuntimeApi, Step, accepted, answer, event, invocation};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

const NEXT: &str = "GET /2018-06-01/runtime/invocation/next";

/// Runs `handler` until the script is through: what the Runtime API saw, and how the loop ended.
fn run<T, H>(script: impl IntoIterator<Item = Step>, handler: H) -> (Vec<Received>, Error)
where
    T: serde::de::DeserializeOwned,
    H: LambdaHandler<T>,
{
    let api = RuntimeApi::start(script);
    let end = Runtime::at(api.address())
        .unwrap()
        .run(handler)
        .unwrap_err();
    (api.received(), end)
}

/// What the Runtime API saw of one invocation and what came after it.
fn run_one<T, H>(first: Vec<u8>, handler: H) -> Received
where
    T: serde::de::DeserializeOwned,
    H: LambdaHandler<T>,
{
    let (mut received, _) = run(
        [Step::Send(first), accepted(), event("after", "1")],
        handler,
    );
    assert_eq!(received[0].line, NEXT);
    assert_eq!(received[2].line, NEXT, "the loop goes on");
    received.remove(1)
}

async fn echo(event: Value, _: Context) -> Result<Value, Infallible> {
    Ok(event)
}

fn path(id: &str, call: &str) -> String {
    format!("POST /2018-06-01/runtime/invocation/{id}/{call}")
}

// What a handler may be and may return.

#[test]
fn a_response_goes_to_the_invocation_that_it_answers() {
    let script = [
        event("one", "[1]"),
        accepted(),
        event("two", "[2]"),
        accepted(),
    ];
    let (received, _) = run(script, echo);
    let lines: Vec<&str> = received
        .iter()
        .map(|request| request.line.as_str())
        .collect();
    assert_eq!(
        lines,
        [
            NEXT,
            &path("one", "response"),
            NEXT,
            &path("two", "response")
        ]
    );
    assert_eq!(received[1].json(), json!([1]));
    assert_eq!(received[3].json(), json!([2]));
}

#[test]
fn a_type_is_a_handler_that_keeps_its_state() {
    struct Counter(AtomicU32);

    impl LambdaHandler<u32> for Counter {
        type Response = u32;
        type Error = Infallible;

        async fn handle(&self, step: u32, _: Context) -> Result<u32, Infallible> {
            Ok(self.0.fetch_add(step, Ordering::Relaxed) + step)
        }
    }

    let script = [event("a", "2"), accepted(), event("b", "3"), accepted()];
    let (received, _) = run(script, Counter(AtomicU32::new(10)));
    assert_eq!(received[1].body, b"12");
    assert_eq!(received[3].body, b"15");
}

#[test]
fn an_async_closure_is_a_handler_that_borrows_what_it_captured() {
    let seen = RefCell::new(Vec::new());
    let handler = async |name: String, _: Context| {
        seen.borrow_mut().push(name.clone());
        Ok::<_, Infallible>(name.len())
    };
    run([event("a", r#""Zoë""#), accepted()], handler);
    assert_eq!(seen.into_inner(), ["Zoë"]);
}

#[test]
fn a_value_is_sent_as_json() {
    let post = run_one(invocation("a", &[], "null"), echo);
    assert_eq!(post.header("Content-Type"), Some("application/json"));
    assert_eq!(post.body, b"null");
}

#[test]
fn text_is_sent_as_it_is() {
    let handler = async |_: Value, _: Context| Ok::<_, Infallible>(Raw::text("no \"quotes\""));
    let post = run_one(invocation("a", &[], "1"), handler);
    assert_eq!(
        post.header("Content-Type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(post.body, b"no \"quotes\"");
}

#[test]
fn bytes_are_sent_as_they_are() {
    let handler =
        async |_: Value, _: Context| Ok::<_, Infallible>(Raw::bytes([0, 255, b'\r', b'\n']));
    let post = run_one(invocation("a", &[], "1"), handler);
    assert_eq!(
        post.header("Content-Type"),
        Some("application/octet-stream")
    );
    assert_eq!(post.body, [0, 255, b'\r', b'\n']);
}

#[test]
fn a_content_type_cannot_smuggle_a_header_in() {
    let handler =
        async |_: Value, _: Context| Ok::<_, Infallible>(Raw::new("a/b\r\nX-Evil: 1", "body"));
    let post = run_one(invocation("a", &[], "1"), handler);
    assert_eq!(post.header("X-Evil"), None);
    assert_eq!(post.header("Content-Type"), Some("a/b  X-Evil: 1"));
}

#[test]
fn the_longest_event_and_response_go_through() {
    let longest = format!("\"{}\"", "x".repeat(6 * 1024 * 1024));
    let post = run_one(invocation("a", &[], &longest), echo);
    assert_eq!(post.body, longest.as_bytes());
}

#[test]
fn the_context_holds_what_lambda_says() {
    let headers = [
        ("Lambda-Runtime-Deadline-Ms", "32503680000000"),
        (
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:eu-west-1:1:function:f:v",
        ),
        ("Lambda-Runtime-Trace-Id", "Root=1-5759e988"),
        (
            "Lambda-Runtime-Client-Context",
            r#"{"custom":{"who":"Zoë"}}"#,
        ),
        (
            "Lambda-Runtime-Cognito-Identity",
            r#"{"cognitoIdentityId":"me"}"#,
        ),
        ("Lambda-Runtime-Aws-Tenant-Id", "blue"),
    ];
    let handler = async |_: Value, context: Context| {
        Ok::<_, serde_json::Error>(json!({
            "request": context.request_id(),
            "arn": context.function_arn(),
            "trace": context.trace_id(),
            "client": context.client_context::<Value>()?,
            "cognito": context.cognito_identity::<Value>()?,
            "tenant": context.tenant_id(),
            "has time": context.time_left() > Some(Duration::from_secs(3600)),
        }))
    };
    let post = run_one(invocation("id-1", &headers, "{}"), handler);
    let expected = json!({
        "request": "id-1",
        "arn": "arn:aws:lambda:eu-west-1:1:function:f:v",
        "trace": "Root=1-5759e988",
        "client": {"custom": {"who": "Zoë"}},
        "cognito": {"cognitoIdentityId": "me"},
        "tenant": "blue",
        "has time": true,
    });
    assert_eq!(post.json(), expected);
}

#[test]
fn the_invocation_id_comes_back_with_the_answer() {
    let headers = [("Lambda-Runtime-Invocation-Id", "i-7")];
    let response = run_one(invocation("a", &headers, "1"), echo);
    assert_eq!(response.header("Lambda-Runtime-Invocation-Id"), Some("i-7"));
    let error = run_one(invocation("a", &headers, "no JSON"), echo);
    assert_eq!(error.header("Lambda-Runtime-Invocation-Id"), Some("i-7"));
}

// What goes wrong in the function: it is reported, and the loop goes on.

fn assert_error(post: &Received, error_type: &str, message: &str) {
    assert_eq!(post.line, path("a", "error"));
    let header = post.header("Lambda-Runtime-Function-Error-Type");
    assert_eq!(header, Some(error_type));
    let report = post.json();
    assert_eq!(report["errorType"], error_type);
    let text = report["errorMessage"].as_str().unwrap();
    assert!(text.contains(message), "{text}");
    assert!(report["stackTrace"].is_array());
}

#[test]
fn an_event_that_does_not_parse_is_an_unmarshal_error() {
    let handler = async |event: Vec<u32>, _: Context| Ok::<_, Infallible>(event);
    for wrong in ["", "{", "{}", "[\"one\"]", "\u{fffd}", "[1] [2]"] {
        let api = RuntimeApi::start([event("a", wrong), accepted()]);
        let _ = Runtime::at(api.address()).unwrap().run(handler);
        assert_error(
            &api.received()[1],
            "Runtime.UnmarshalError",
            "the event is not what",
        );
    }
}

#[test]
fn an_event_that_is_not_utf_8_is_an_unmarshal_error() {
    let mut bytes = invocation("a", &[], "12345");
    bytes.truncate(bytes.len() - 5);
    bytes.extend(b"\"\xff\xfe!\"");
    assert_error(&run_one(bytes, echo), "Runtime.UnmarshalError", "");
}

#[test]
fn an_error_that_displays_is_reported() {
    let handler = async |_: Value, _: Context| Err::<(), _>("no such user");
    let post = run_one(invocation("a", &[], "1"), handler);
    assert_error(&post, "Function.Error", "no such user");
}

#[test]
fn a_boxed_error_is_reported() {
    let handler = async |_: Value, _: Context| -> Result<u32, Box<dyn std::error::Error>> {
        Ok("x".parse::<u32>()?)
    };
    let post = run_one(invocation("a", &[], "1"), handler);
    assert_error(&post, "Function.Error", "invalid digit");
}

#[test]
fn a_panic_is_reported_with_its_message_and_place() {
    let handler = async |n: u32, _: Context| {
        assert!(n > 1, "n is {n}");
        Ok::<_, Infallible>(n)
    };
    let script = [event("a", "1"), accepted(), event("b", "2"), accepted()];
    let (received, _) = run(script, handler);
    assert_error(&received[1], "Function.Panic", "n is 1");
    let place = received[1].json()["stackTrace"][0]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(place.starts_with("tests/runtime.rs:"), "{place}");
    assert_eq!(received[3].line, path("b", "response"), "the loop goes on");
}

#[test]
fn a_panic_after_waiting_is_reported() {
    let handler = async |_: Value, _: Context| -> Result<(), Infallible> {
        let mut waited = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut waited, true) {
                return std::task::Poll::Ready(());
            }
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
        panic!("late")
    };
    let post = run_one(invocation("a", &[], "1"), handler);
    assert_error(&post, "Function.Panic", "late");
}

#[test]
fn a_panic_that_throws_what_panics_when_dropped_is_reported() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("again")
        }
    }
    let handler =
        async |_: Value, _: Context| -> Result<(), Infallible> { std::panic::panic_any(Bomb) };
    let post = run_one(invocation("a", &[], "1"), handler);
    assert_error(&post, "Function.Panic", "without a message");
}

#[test]
fn the_place_of_a_panic_is_not_that_of_an_earlier_one() {
    let handler = async |n: u32, _: Context| -> Result<(), Infallible> {
        if n == 1 {
            let _ = std::panic::catch_unwind(|| panic!("the handler's own matter"));
            return Ok(());
        }
        std::panic::resume_unwind(Box::new("no hook is asked"))
    };
    let script = [event("x", "1"), accepted(), event("a", "2"), accepted()];
    let (received, _) = run(script, handler);
    assert_error(&received[3], "Function.Panic", "no hook is asked");
    assert_eq!(received[3].json()["stackTrace"], json!([]));
}

#[test]
fn a_response_that_does_not_serialize_is_a_marshal_error() {
    let handler = async |_: Value, _: Context| Ok::<_, Infallible>(BTreeMap::from([((1, 2), 3)]));
    let post = run_one(invocation("a", &[], "1"), handler);
    assert_error(&post, "Runtime.MarshalError", "does not serialize");
}

#[test]
fn a_panic_in_a_responses_own_code_is_reported() {
    struct Response;
    impl Serialize for Response {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("serialize")
        }
    }
    let handler = async |_: Value, _: Context| Ok::<_, Infallible>(Response);
    assert_error(
        &run_one(invocation("a", &[], "1"), handler),
        "Function.Panic",
        "serialize",
    );
}

#[test]
fn a_panic_in_an_errors_own_code_is_reported() {
    struct Wrong;
    impl Display for Wrong {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("display")
        }
    }
    let handler = async |_: Value, _: Context| Err::<(), _>(Wrong);
    assert_error(
        &run_one(invocation("a", &[], "1"), handler),
        "Function.Panic",
        "display",
    );
}

// What the Runtime API may do.

#[test]
fn all_requests_go_over_one_connection() {
    let script = (0..20).flat_map(|n| [event(&format!("id-{n}"), "1"), accepted()]);
    let (received, _) = run(script, echo);
    assert_eq!(received.len(), 40);
    assert!(received.iter().all(|request| request.connection == 0));
}

#[test]
fn a_path_behind_the_address_is_kept() {
    let api = RuntimeApi::start([event("a", "1"), accepted()]);
    let runtime = Runtime::at(&format!("{}/my/emulator", api.address())).unwrap();
    let _ = runtime.run(echo);
    let received = api.received();
    assert_eq!(received[0].line, NEXT.replace("/2018", "/my/emulator/2018"));
    assert!(
        received[1]
            .line
            .starts_with("POST /my/emulator/2018-06-01/runtime/invocation/a/")
    );
}

#[test]
fn an_event_in_chunks_is_put_together() {
    let chunked = |coding: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: a\r\nTransfer-Encoding: {coding}\r\n\r\n\
             4;note=x\r\n[1,2\r\n0A\r\n,    3,4,5\r\n1\r\n]\r\n0\r\nTrailer: yes\r\n\r\n"
        )
    };
    for coding in ["chunked", "Chunked", "gzip, chunked"] {
        let post = run_one(chunked(coding).into_bytes(), echo);
        assert_eq!(post.body, b"[1,2,3,4,5]");
    }
}

#[test]
fn a_connection_that_the_server_closes_is_opened_again() {
    let script = [
        Step::SendAndClose(invocation("a", &[], "1")),
        Step::SendAndClose(answer(202, "")),
        event("b", "2"),
        accepted(),
    ];
    // A close takes a moment to arrive; one that has arrived is seen before anything is sent.
    let handler = async |event: Value, _: Context| {
        std::thread::sleep(Duration::from_millis(50));
        Ok::<_, Infallible>(event)
    };
    let (received, _) = run(script, handler);
    let connections: Vec<usize> = received.iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 1, 2, 2]);
}

#[test]
fn an_answer_that_the_server_has_read_is_not_sent_again() {
    let script = [
        event("a", "1"),
        Step::SendAndClose(Vec::new()),
        event("b", "2"),
        accepted(),
    ];
    let (received, _) = run(script, echo);
    let lines: Vec<&str> = received
        .iter()
        .map(|request| request.line.as_str())
        .collect();
    assert_eq!(
        lines,
        [NEXT, &path("a", "response"), NEXT, &path("b", "response")]
    );
}

#[test]
fn what_no_request_asked_for_is_not_taken_for_an_answer() {
    let mut bytes = invocation("a", &[], "1");
    bytes.extend(answer(408, "too late"));
    let script = [Step::Send(bytes), accepted()];
    let (received, _) = run(script, echo);
    assert_eq!(received[1].line, path("a", "response"));
    assert_eq!(
        received[1].connection, 1,
        "the other one is in an unknown state"
    );
}

#[test]
fn an_announced_close_is_respected() {
    let headers = [("Connection", "Close")];
    let script = [Step::Send(invocation("a", &headers, "1")), accepted()];
    let (received, _) = run(script, echo);
    assert_eq!(received[1].connection, 1);
}

#[test]
fn an_interim_answer_is_not_the_answer() {
    let mut bytes = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".to_vec();
    bytes.extend(invocation("a", &[], "7"));
    assert_eq!(run_one(bytes, echo).body, b"7");
}

#[test]
fn headers_of_any_kind_do_not_stop_the_function() {
    let odd: [&[u8]; 6] = [
        b"no colon at all\r\n",
        b"X-Bytes: \xff\xfe\x00\r\n",
        b": no name\r\n",
        b"Lambda-Runtime-Deadline-Ms: tomorrow\r\n",
        b"Lambda-Runtime-Client-Context: {\"custom\":{\"a\":\r\n",
        b"Lambda-Runtime-Cognito-Identity: \r\n",
    ];
    for line in odd {
        let mut bytes = b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: a\r\n".to_vec();
        bytes.extend(line);
        bytes.extend(b"Content-Length: 1\r\n\r\n7");
        assert_eq!(run_one(bytes, echo).body, b"7");
    }
}

#[test]
fn an_answer_that_is_refused_is_given_once_and_the_loop_goes_on() {
    for status in [400, 403, 404, 410, 413, 502] {
        let script = [
            event("a", "1"),
            Step::Send(answer(status, r#"{"errorType":"Odd","errorMessage":"no"}"#)),
            event("b", "2"),
            accepted(),
        ];
        let (received, _) = run(script, echo);
        let lines: Vec<&str> = received
            .iter()
            .map(|request| request.line.as_str())
            .collect();
        assert_eq!(
            lines,
            [NEXT, &path("a", "response"), NEXT, &path("b", "response")],
            "{status}"
        );
    }
}

#[test]
fn an_answer_that_gets_lost_does_not_stop_the_function() {
    let script = [
        event("a", "1"),
        Step::SendAndClose(b"HTTP/1.1 2".to_vec()),
        event("b", "2"),
        accepted(),
    ];
    let (received, _) = run(script, echo);
    assert_eq!(received[3].line, path("b", "response"));
}

// What ends the loop, with the reason.

#[track_caller]
fn assert_end(first: Vec<u8>, reason: &str) {
    let (received, end) = run([Step::SendAndClose(first)], echo);
    assert_eq!(received.len(), 1, "nothing is answered");
    assert!(end.to_string().contains(reason), "{end}");
}

#[test]
fn a_runtime_api_that_refuses_next_ends_the_loop_with_its_words() {
    for status in [204, 301, 400, 403, 404, 500, 503] {
        let body = r#"{"errorType":"Odd.Type","errorMessage":"not now"}"#;
        let body = if status == 204 { "" } else { body };
        let (_, end) = run([Step::Send(answer(status, body))], echo);
        let Error::Refused {
            status: seen,
            message,
            ..
        } = end
        else {
            panic!("{end}");
        };
        assert_eq!((seen, message.as_str()), (status, body));
    }
}

#[test]
fn an_internal_error_for_an_answer_ends_the_loop() {
    for wrong in ["1", "no JSON"] {
        let (_, end) = run([event("a", wrong), Step::Send(answer(500, "broken"))], echo);
        assert!(matches!(end, Error::Refused { status: 500, .. }), "{end}");
    }
}

#[test]
fn an_invocation_without_a_usable_request_id_ends_the_loop() {
    for id in ["", "a b", "../../x", "a?b"] {
        assert_end(invocation(id, &[], "1"), "Lambda-Runtime-Aws-Request-Id");
    }
    assert_end(answer(200, "1"), "Lambda-Runtime-Aws-Request-Id");
}

#[test]
fn a_runtime_api_that_is_not_there_ends_the_loop_with_its_address() {
    let end = Runtime::at("127.0.0.1:1").unwrap().run(echo).unwrap_err();
    let text = end.to_string();
    assert!(
        text.contains("http://127.0.0.1:1/2018-06-01/runtime/invocation/next"),
        "{text}"
    );
    assert_eq!(format!("{end:?}"), text, "what main prints is readable");
}

#[test]
fn an_answer_that_is_cut_or_no_http_ends_the_loop() {
    let head = "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: a\r\n";
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    for (bytes, reason) in [
        (String::new(), "end of file"),
        ("HTTP/1.1 2".into(), "end of file"),
        (head.into(), "end of file"),
        (format!("{head}Content-Length: 9\r\n\r\n1"), "end of file"),
        (
            format!("{head}Content-Length: many\r\n\r\n1"),
            "Content-Length",
        ),
        (
            format!("{head}Content-Length: -1\r\n\r\n1"),
            "Content-Length",
        ),
        (format!("{chunked}5\r\n12"), "end of file"),
        (format!("{chunked}2\r\n12\r\n"), "end of file"),
        (format!("{chunked}2\r\n12\r\n0\r\n"), "end of file"),
        (
            format!("{chunked}2\r\n12\r\nffffffffffffffff\r\n3"),
            "end of file",
        ),
        (
            format!("{chunked}10000000000000000\r\n12"),
            "size of a chunk",
        ),
        (format!("{chunked}zz\r\n12"), "size of a chunk"),
        (format!("{chunked}\r\n12"), "size of a chunk"),
        (format!("{chunked}1\r\n123\r\n"), "longer than it says"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n".into(), "status line"),
        ("HTTP/1.1 abc OK\r\n\r\n".into(), "status line"),
        ("HTTP/2 200 OK\r\n\r\n".into(), "status line"),
        ("\r\n".into(), "status line"),
    ] {
        assert_end(bytes.into_bytes(), reason);
    }
}

#[test]
fn a_head_without_an_end_is_given_up() {
    let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
    bytes.extend(b"X: y\r\n".repeat(300_000));
    assert_end(bytes, "a head of more than");
}

// Under other executors.

/// What a handler under an executor sees of a Runtime API that takes its time.
async fn process_slowly(api: &RuntimeApi) -> Error {
    Runtime::at(api.address())
        .unwrap()
        .process(echo)
        .await
        .unwrap_err()
}

fn slow_script() -> [Step; 3] {
    let wait = Duration::from_millis(300);
    [
        Step::SendLater(wait, invocation("a", &[], "1")),
        accepted(),
        Step::SendLater(wait, Vec::new()),
    ]
}

#[test]
fn the_async_form_answers_under_any_executor() {
    let api = RuntimeApi::start([event("a", "1"), accepted(), event("b", "[]"), accepted()]);
    pollster::block_on(process_slowly(&api));
    let received = api.received();
    assert_eq!(received[3].line, path("b", "response"));
    assert!(received.iter().all(|request| request.connection == 0));
}

#[tokio::test(flavor = "current_thread")]
async fn waiting_for_an_invocation_blocks_no_other_task() {
    let api = RuntimeApi::start(slow_script());
    let ticks = async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = ticks => {}
        end = process_slowly(&api) => panic!("the tasks of the handler stood still: {end}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_can_wait_for_what_tokio_brings() {
    let handler = async |n: u64, _: Context| {
        let task = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(n)).await;
            n
        });
        task.await
    };
    let api = RuntimeApi::start([event("a", "5"), accepted()]);
    let _ = Runtime::at(api.address()).unwrap().process(handler).await;
    assert_eq!(api.received()[1].body, b"5");
}
