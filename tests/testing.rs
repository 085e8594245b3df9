//! `lambda_musl::testing`, with which users test their functions.

use std::{
    convert::Infallible,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::Duration,
};

use lambda_musl::{
    Context, Failure, Raw, Stream,
    testing::{self, Event, Program},
};
use serde_json::{Value, json};

async fn echo(event: Value, _: Context) -> Result<Value, Infallible> {
    Ok(event)
}

#[test]
fn answers_are_in_the_order_of_the_events() {
    let events = [json!({"n": 1}), json!([2]), json!("three")];
    let [one, two, three] = testing::run(echo, events).unwrap();
    assert_eq!(one.json(), json!({"n": 1}));
    assert_eq!(two.json(), json!([2]));
    assert_eq!(three.json(), "three");
}

#[test]
fn a_response_keeps_its_content_type_and_its_bytes() {
    let picture = async |_: Value, _: Context| Ok::<_, Infallible>(Raw::new("image/png", [0, 255]));
    let [answer] = testing::run(picture, ["1"]).unwrap();
    assert_eq!(answer.content_type(), Some("image/png"));
    assert_eq!(answer.body, [0, 255]);
    assert_eq!(answer.error(), None);
}

#[test]
fn an_error_has_its_type_message_and_stack() {
    let wrong = async |_: Value, _: Context| -> Result<(), String> { panic!("oh") };
    let [answer] = testing::run(wrong, ["1"]).unwrap();
    let error = answer.error().unwrap();
    assert_eq!(error.error_type, "Function.Panic");
    assert_eq!(error.message, "oh");
    assert!(error.stack_trace[0].starts_with("tests/testing.rs:"));
}

#[test]
fn an_event_may_be_invalid() {
    let [text, bytes] = testing::run(echo, [Event::from("{"), Event::new([0xff])]).unwrap();
    assert_eq!(text.error().unwrap().error_type, "Runtime.UnmarshalError");
    assert_eq!(bytes.error().unwrap().error_type, "Runtime.UnmarshalError");
}

#[test]
fn the_context_is_filled_by_default() {
    let context = async |_: Value, context: Context| {
        let left = context.time_left().unwrap();
        assert!(left > Duration::from_secs(50) && left < Duration::from_secs(61));
        assert!(context.function_arn().is_some() && context.trace_id().is_some());
        Ok::<_, Infallible>(context.request_id().to_owned())
    };
    let [one, two] = testing::run(context, ["1", "2"]).unwrap();
    assert_ne!(one.json(), two.json(), "each event has its own request ID");
}

#[test]
fn a_header_set_by_the_test_replaces_the_default() {
    let context =
        async |_: Value, context: Context| Ok::<_, Infallible>(json!([context.request_id(), context.time_left()]));
    let event =
        Event::from("1").header("lambda-runtime-aws-request-id", "mine").header("Lambda-Runtime-Deadline-Ms", "soon");
    let [answer] = testing::run(context, [event]).unwrap();
    assert_eq!(answer.json(), json!(["mine", null]));
}

#[test]
#[should_panic(expected = "line break")]
fn a_header_with_a_line_end_is_refused() {
    let _ = Event::from("1").header("X", "a\r\nY: b");
}

#[test]
fn a_response_above_lambdas_limit_is_the_error_that_lambda_reports() {
    let long = async |n: usize, _: Context| Ok::<_, Infallible>(Raw::bytes(vec![0; n]));
    let [fits, too_long] = testing::run(long, ["6291556", "6291557"]).unwrap();
    assert_eq!(fits.error(), None);
    let error = too_long.error().unwrap();
    assert_eq!(error.error_type, "Function.ResponseSizeTooLarge");
}

#[test]
fn an_event_that_ends_the_loop_returns_its_error() {
    let event = Event::from("1").header("Lambda-Runtime-Aws-Request-Id", "");
    let end = testing::run(echo, [event]).unwrap_err();
    assert!(end.to_string().contains("Request-Id"), "{end}");
}

#[tokio::test]
async fn a_handler_can_be_tested_under_tokio() {
    let nap = async |ms: u64, _: Context| {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok::<_, Infallible>(ms)
    };
    let [one, two] = testing::process(nap, ["1", "2"]).await.unwrap();
    assert_eq!((one.json(), two.json()), (json!(1), json!(2)));
}

#[test]
fn a_stream_has_its_body_and_the_error_that_ended_it() {
    let lines = async |n: u32, _: Context| {
        let body = async move |out: &mut (dyn Write + Send)| {
            for line in 0..n {
                if line == 2 {
                    return Err(Failure::new("Function.TooLong", "two are enough"));
                }
                writeln!(out, "line {line}").unwrap();
            }
            Ok(())
        };
        Ok::<_, Infallible>(Stream::new("text/plain", body))
    };
    let [whole, cut] = testing::run(lines, ["1", "5"]).unwrap();
    assert_eq!((whole.text().as_str(), whole.error()), ("line 0\n", None));
    assert_eq!(cut.text(), "line 0\nline 1\n");
    let error = cut.error().unwrap();
    assert_eq!(error.error_type, "Function.TooLong");
    assert_eq!(error.message, "two are enough");
}

// Tests of `Program`. The program is this test binary, which runs the ignored `program` test as the function.

#[test]
#[ignore = "a program that other tests start"]
fn program() {
    let end = lambda_musl::run(async |event: Value, context: Context| match event.as_str() {
        Some("exit") => std::process::exit(7),
        Some("hang") => loop {
            std::thread::park();
        },
        Some("log") => {
            eprintln!("logged {}", context.request_id());
            Err("logged")
        }
        _ => Ok(json!([event, std::env::var("AWS_LAMBDA_FUNCTION_NAME").ok()])),
    });
    panic!("{end:?}");
}

fn program_command() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "program", "--ignored", "--nocapture"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn a_program_answers_several_events() {
    let program = Program::start(&mut program_command()).unwrap();
    for n in 0..3 {
        let answer = program.invoke(json!(n)).unwrap();
        assert_eq!(answer.json(), json!([n, "test"]));
    }
}

#[test]
fn a_variable_that_a_test_sets_for_a_program_is_kept() {
    let mut command = program_command();
    command.env("AWS_LAMBDA_FUNCTION_NAME", "mine");
    let program = Program::start(&mut command).unwrap();
    assert_eq!(program.invoke("1").unwrap().json(), json!([1, "mine"]));
}

#[test]
fn a_program_that_exits_is_an_error_with_its_status() {
    let program = Program::start(&mut program_command()).unwrap();
    let error = program.invoke(json!("exit")).unwrap_err();
    assert!(error.to_string().contains("exit status: 7"), "{error}");
}

#[test]
fn a_program_that_does_not_answer_in_time_is_an_error() {
    let program = Program::start(&mut program_command()).unwrap();
    let event = Event::from(json!("hang")).timeout(Duration::from_millis(300));
    let error = program.invoke(event).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn stopping_a_program_returns_its_output() {
    let program = Program::start(program_command().stderr(Stdio::piped())).unwrap();
    let answer = program.invoke(json!("log")).unwrap();
    assert_eq!(answer.error().unwrap().message, "logged");
    let output = program.stop().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("logged 00000000-"), "{log}");
}

#[test]
fn a_missing_program_is_an_error_with_its_path() {
    let error = Program::start(&mut Command::new("/no/such/program")).unwrap_err();
    assert!(error.to_string().contains("/no/such/program"), "{error}");
}

// Responses in chunks, from a program that sends fixed bytes.

const STREAM: &str = "POST /2018-06-01/runtime/invocation/ID/response HTTP/1.1\r\n\
    Content-Type: text/html\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n\
    Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n";

/// The response of a program that sends `bytes`, in which `ID` is replaced with the request ID.
fn answered_with(bytes: &str) -> testing::Answer {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "bytes", "--ignored"]).env("BYTES", bytes).stdout(Stdio::null());
    Program::start(&mut command).unwrap().invoke("1").unwrap()
}

#[test]
#[ignore = "a program that other tests start"]
fn bytes() {
    let mut stream = TcpStream::connect(std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap()).unwrap();
    stream.write_all(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n").unwrap();
    let mut buffer = [0; 4096];
    let length = stream.read(&mut buffer).unwrap();
    let head = String::from_utf8_lossy(&buffer[..length]);
    let (_, id) = head.split_once("Request-Id: ").unwrap();
    let id = id.lines().next().unwrap();
    let bytes = std::env::var("BYTES").unwrap().replace("ID", id);
    stream.write_all(bytes.as_bytes()).unwrap();
    // Keep the connection open until the test ends.
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn the_chunks_of_a_stream_are_joined() {
    let answer = answered_with(&format!("{STREAM}\r\n"));
    assert_eq!(answer.text(), "hello world");
    assert_eq!(answer.content_type(), Some("text/html"));
    assert_eq!(answer.error(), None);
}

#[test]
fn a_stream_that_failed_has_the_body_so_far_and_the_error() {
    // {"errorMessage":"oh"}
    let answer = answered_with(&format!(
        "{STREAM}Lambda-Runtime-Function-Error-Type: Function.Broke\r\n\
         Lambda-Runtime-Function-Error-Body: eyJlcnJvck1lc3NhZ2UiOiJvaCJ9\r\n\r\n"
    ));
    assert_eq!(answer.text(), "hello world");
    let error = answer.error().unwrap();
    assert_eq!((error.error_type.as_str(), error.message.as_str()), ("Function.Broke", "oh"));
}
