//! The HTTP server of `dev`, between functions and their clients, such as browsers.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use lambda_musl::{client::Request, http_req::request::Method, testing::decode_base64};
use serde_json::{Value, json};

use crate::{
    machine::{command, find_program, run, skip, write_crate},
    server::{Dev, SUBJECT, cargo, new_directory, project},
};

/// A function that responds with the event, a page, bytes, or a stream.
const WEB: &str = r##"
use lambda_musl::{Stream, http::{self, Body, Event, IntoResponse, Json, Request, Respond, Response}};
use std::{io::Write, thread, time::Duration};

fn main() -> Result<(), lambda_musl::Error> {
    match std::env::var("STREAM") {
        Ok(_) => http::run(async |request: Request<Body>| stream(request)),
        Err(_) => http::run(async |request: Request<Body>| whole(request).into_response()),
    }
}

fn stream(request: Request<Body>) -> impl Respond {
    let breaks = request.uri().path() == "/breaks";
    let body = async move |out: &mut (dyn Write + Send)| -> Result<(), String> {
        for n in 1..=3 {
            writeln!(out, "line {n}").unwrap();
            out.flush().unwrap();
            thread::sleep(Duration::from_millis(400));
        }
        if breaks { Err("torn".into()) } else { Ok(()) }
    };
    Stream::new("text/plain", body).status(201).header("x-made", "by hand").cookie("a=b")
}

fn whole(request: Request<Body>) -> Response<Body> {
    let response = Response::builder();
    match request.uri().path() {
        "/bytes" => response.header("content-type", "image/png").body(vec![0, 159, 146, 150].into()).unwrap(),
        "/cookies" => {
            let response = response.status(303).header("location", "/").header("set-cookie", "a=b; Path=/");
            response.header("set-cookie", "c=d").body(().into()).unwrap()
        }
        "/page" => response.header("content-type", "text/html").body("<p id=made>made by a function</p>".into()).unwrap(),
        _ => {
            let event = request.extensions().get::<Event>().unwrap().json::<serde_json::Value>().unwrap();
            Json(event).into_response().unwrap()
        }
    }
}
"##;

fn web(directory: &Path, name: &str) -> Dev {
    Dev::start(&project(directory, name, WEB), &[])
}

/// Sends bytes, and returns all that the server sends until it closes the connection.
fn raw(dev: &Dev, request: &[u8]) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, dev.port)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
#[ignore = "run by make test"]
fn a_request_becomes_a_function_url_event_and_the_functions_response_is_returned() {
    let directory = new_directory();
    let dev = web(directory.path(), "web");
    let request = Request::get(dev.url("a%20b/c?tag=a&tag=b%20c&q"))
        .header("Cookie", "s=1; t=two")
        .header("X-List", "one")
        .header("X-List", "two");
    let event: Value = dev.send(request).json().unwrap();
    assert_eq!(event["version"], "2.0");
    assert_eq!((&event["rawPath"], &event["rawQueryString"]), (&json!("/a%20b/c"), &json!("tag=a&tag=b%20c&q")));
    assert_eq!(event["queryStringParameters"], json!({"tag": "a,b c", "q": ""}));
    assert_eq!(event["cookies"], json!(["s=1", "t=two"]));
    assert_eq!(event["headers"]["x-list"], "one,two");
    assert_eq!(event["headers"]["host"], format!("localhost:{}", dev.port));
    assert_eq!(event["headers"]["x-forwarded-proto"], "http");
    let context = &event["requestContext"];
    assert_eq!((&context["http"]["method"], &context["http"]["path"]), (&json!("GET"), &json!("/a%20b/c")));
    assert_eq!((&event["body"], &event["isBase64Encoded"]), (&Value::Null, &json!(false)));
    for (kind, body, is_base64) in [
        ("application/json", &b"{\"a\":1}"[..], false),
        ("text/plain; charset=utf-8", "Zo\u{eb}".as_bytes(), false),
        ("text/plain", b"\xff", true),
        ("image/png", b"png", true),
        ("application/x-www-form-urlencoded", b"a=1", true),
    ] {
        let request = Request::new(Method::PUT, dev.url("")).header("Content-Type", kind).body(body);
        let event: Value = dev.send(request).json().unwrap();
        assert_eq!(event["isBase64Encoded"], is_base64, "{kind}");
        let text = event["body"].as_str().unwrap();
        let bytes = if is_base64 { decode_base64(text).unwrap() } else { text.as_bytes().to_vec() };
        assert_eq!(bytes, body, "{kind}");
        assert_eq!(event["headers"]["content-length"], body.len().to_string());
    }
    let picture = dev.get("bytes");
    assert_eq!((picture.header("content-type"), picture.body()), (Some("image/png"), &[0, 159, 146, 150][..]));
    let redirect = dev.send(Request::get(dev.url("cookies")).redirects(0));
    let cookies: Vec<&str> = redirect
        .headers()
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
        .map(|(_, value)| value)
        .collect();
    assert_eq!((redirect.status(), redirect.header("location")), (303, Some("/")));
    assert_eq!(cookies, ["a=b; Path=/", "c=d"]);
}

#[test]
#[ignore = "run by make test"]
fn all_forms_of_http_requests_are_accepted() {
    let directory = new_directory();
    let dev = web(directory.path(), "forms");
    let event_body = |answer: &str| -> Value {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str::<Value>(body).unwrap_or_else(|_| panic!("{answer}"))["body"].clone()
    };
    // The first request waits for the compiler, so that the others do not.
    dev.get("");
    let chunked = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\none\r\n4\r\n two\r\n0\r\n\r\n";
    assert_eq!(event_body(&raw(&dev, chunked.as_bytes())), "one two");
    let head = raw(&dev, b"HEAD /page HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    // Two requests on one connection, the second one sent slowly.
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, dev.port)).unwrap();
    stream.write_all(b"GET /one HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    for byte in b"GET /two HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("\"rawPath\":\"/two\""), "{rest}");
    // A client that expects 100 Continue receives it.
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, dev.port)).unwrap();
    let expecting = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(expecting.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    stream.write_all(b"ok").unwrap();
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(event_body(rest.trim_start()), "ok");
    // A client that disconnects in the middle of a request does not affect others.
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, dev.port)).unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf").unwrap();
    drop(stream);
    assert_eq!(dev.get("").status(), 200);
    let long = |path: &str, bytes: usize| {
        let body = format!("\"{}\"", "x".repeat(bytes - 2));
        let request = Request::new(Method::POST, dev.url(path)).header("Content-Type", "application/json").body(body);
        dev.send(request.max_body(20 << 20)).status()
    };
    assert_eq!(long("", 5_900_000), 200);
    assert_eq!(long("", 7_000_000), 413);
    assert_eq!(long("2015-03-31/functions/forms/invocations", 7_000_000), 413);
}

#[test]
#[ignore = "run by make test"]
fn an_invalid_response_becomes_status_502_as_on_lambda() {
    let directory = new_directory();
    let dev = Dev::start(&project(directory.path(), "answers", SUBJECT), &["--timeout", "1"]);
    // The event is a request without the `do` key, and the function responds with JSON.
    let answer = dev.get("path");
    assert_eq!((answer.status(), answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.json::<Value>().unwrap()["event"]["rawPath"], "/path");
    let text = dev.invocation("answers", &json!({"do": "text"}));
    assert_eq!(text.body(), b"no JSON");
    let web = Dev::start(
        &project(
            directory.path(),
            "none",
            &SUBJECT
                .replace("event[\"do\"]", "event[\"rawPath\"]")
                .replace("\"text\" =>", "\"/text\" =>")
                .replace("\"fail\" =>", "\"/fail\" =>"),
        ),
        &[],
    );
    for path in ["text", "fail"] {
        let answer = web.get(path);
        assert_eq!((answer.status(), answer.text().unwrap()), (502, "Internal Server Error"), "{path}");
    }
    web.wait_for("note", |note| note["message"].as_str().unwrap().contains("it is not JSON"));
    web.wait_for("answer", |record| record["answer"]["errorMessage"] == "it cannot");
}

#[test]
#[ignore = "run by make test"]
fn a_stream_arrives_while_it_is_written_and_a_failed_one_has_no_end() {
    let directory = new_directory();
    let project = project(directory.path(), "streams", WEB);
    fs::write(project.join(".env"), "STREAM=1\n").unwrap();
    let dev = Dev::start(&project, &[]);
    for (path, ends) in [("", true), ("breaks", false)] {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, dev.port)).unwrap();
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let (mut text, mut lines) = (String::new(), Vec::new());
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            text += &String::from_utf8_lossy(&buffer[..length]);
            while text.contains(&format!("line {}", lines.len() + 1)) {
                lines.push(Instant::now());
            }
        }
        let head = text.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
        for expected in ["http/1.1 201", "content-type: text/plain", "x-made: by hand", "set-cookie: a=b"] {
            assert!(head.contains(expected), "{text}");
        }
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines.windows(2).all(|two| two[1] - two[0] > Duration::from_millis(300)), "{lines:?}");
        assert_eq!(text.ends_with("0\r\n\r\n"), ends, "{text}");
    }
    let broken = dev.wait_for("answer", |record| record["status"] == "error");
    assert!(broken["answer"]["errorMessage"].as_str().unwrap().contains("torn"), "{broken}");
    // The timeout also ends a stream that has begun.
    drop(dev);
    let dev = Dev::start(&project, &["--timeout", "1"]);
    let start = Instant::now();
    let text = raw(&dev, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(text.contains("line 1") && !text.ends_with("0\r\n\r\n"), "{text}");
    assert!(start.elapsed() < Duration::from_secs(10));
    dev.wait_for("answer", |record| record["status"] == "timeout");
}

#[test]
#[ignore = "run by make test"]
fn all_functions_of_a_workspace_are_served_at_the_same_time() {
    let directory = new_directory();
    let workspace = directory.path().join("shop");
    fs::create_dir(&workspace).unwrap();
    fs::write(workspace.join("Cargo.toml"), "[workspace]\nmembers = ['orders', 'stock_list']\nresolver = '3'\n")
        .unwrap();
    for name in ["orders", "stock_list"] {
        let project = project(&workspace, name, WEB);
        let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap().replace("[workspace]", "");
        fs::write(project.join("Cargo.toml"), manifest).unwrap();
    }
    // A library is not a function.
    write_crate(&workspace.join("orders/words"), "[package]\nname = 'words'\n", "");
    let dev = Dev::start(&workspace, &["--bins"]);
    let path = |host: &str, path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        raw(&dev, request.as_bytes())
    };
    for name in ["orders", "stock_list"] {
        let host = format!("{name}.localhost:{}", dev.port);
        let answer = path(&host, "/a");
        assert!(answer.contains(&format!("\"host\":\"{host}\"")) && answer.contains("\"rawPath\":\"/a\""), "{answer}");
        dev.wait_for("event", |event| event["function"] == name);
        let answer = dev.invoke(
            name,
            &json!({"version": "2.0", "rawPath": "/page", "requestContext": {"http": {"method": "GET"}}}),
        );
        assert_eq!(answer["statusCode"], 200, "{answer}");
    }
    let list = path("localhost", "/");
    assert!(
        list.starts_with("HTTP/1.1 200") && list.contains(&format!("http://orders.localhost:{}/", dev.port)),
        "{list}"
    );
    assert!(path("nobody.localhost", "/a").starts_with("HTTP/1.1 404"));
    let unknown = dev.invocation("nobody", &json!({}));
    assert_eq!((unknown.status(), unknown.header("x-amzn-errortype")), (404, Some("ResourceNotFoundException")));
    assert!(unknown.text().unwrap().contains("expected one of: orders, stock_list"));
    let invoke = |options: &[&str]| run(cargo(&workspace, &[&["invoke", "--dev", "--event", "{}"], options].concat()));
    invoke(&[]).failed_with(&["name one of them with --bin: orders, stock_list"]);
    invoke(&["--bin", "order"]).failed_with(&["did you mean orders?"]);
    // The event is not a request, so the function reports an error.
    invoke(&["--bin", "orders"]).failed_with(&["the function reported an error"]);
}

#[test]
#[ignore = "run by make test"]
fn the_aws_client_invokes_a_function() {
    let directory = new_directory();
    let dev = Dev::start(&project(directory.path(), "invoked", SUBJECT), &[]);
    let invocations = |name: &str| dev.url(&format!("2015-03-31/functions/{name}/invocations"));
    let invoke = |name: &str| Request::new(Method::POST, invocations(name)).body("{}");
    for name in [
        "invoked",
        "function",
        "invoked:$LATEST",
        "arn:aws:lambda:us-east-1:000000000000:function:invoked",
        "arn%3Aaws%3Alambda%3Aus-east-1%3A0%3Afunction%3Ainvoked%3A1",
    ] {
        let answer = dev.send(invoke(name));
        assert_eq!((answer.status(), answer.header("x-amz-executed-version")), (200, Some("$LATEST")), "{name}");
    }
    let context = "eyJjdXN0b20iOnsiYSI6MX19";
    let answer: Value = dev.send(invoke("invoked").header("X-Amz-Client-Context", context)).json().unwrap();
    assert_eq!(answer["client"], json!({"custom": {"a": 1}}));
    for (kind, status) in [("DryRun", 204), ("Event", 202)] {
        let answer = dev.send(invoke("invoked").header("X-Amz-Invocation-Type", kind));
        assert_eq!((answer.status(), answer.body()), (status, &b""[..]));
    }
    let bad = dev.send(Request::new(Method::POST, invocations("invoked")).body("{"));
    assert_eq!((bad.status(), bad.header("x-amzn-errortype")), (400, Some("InvalidRequestContentException")));
    let Some(aws) = find_program("aws") else {
        return skip("dev with the aws client", "the client is not installed");
    };
    let mut aws = command(aws, directory.path());
    aws.args(["lambda", "invoke", "--function-name", "invoked", "--region", "us-east-1"]);
    fs::write(directory.path().join("event.json"), "{\"do\":\"fail\"}").unwrap();
    aws.args(["--endpoint-url", dev.url("").trim_end_matches('/')]);
    aws.args(["--payload", "fileb://event.json", "answer.json"]);
    aws.envs([("AWS_ACCESS_KEY_ID", "none"), ("AWS_SECRET_ACCESS_KEY", "none")]);
    let stdout = run(aws).succeeded().stdout;
    assert!(stdout.contains("\"FunctionError\": \"Unhandled\""), "{stdout}");
    let answer = fs::read_to_string(directory.path().join("answer.json")).unwrap();
    assert!(answer.contains("it cannot"), "{answer}");
}

#[test]
#[ignore = "run by make test"]
fn pages_of_other_sites_cannot_invoke_a_function() {
    let directory = new_directory();
    let dev = web(directory.path(), "sites");
    let answer = |host: &str, origin: &str, request: &str| {
        let origin = if origin.is_empty() { String::new() } else { format!("Origin: {origin}\r\n") };
        let head =
            format!("{request} HTTP/1.1\r\nHost: {host}\r\n{origin}Content-Length: 0\r\nConnection: close\r\n\r\n");
        raw(&dev, head.as_bytes())
    };
    let (page, invoke) = ("GET /page", "POST /2015-03-31/functions/sites/invocations");
    for (host, origin, request, expected) in [
        ("attacker.example", "", page, "403"),
        ("attacker.example", "", invoke, "403"),
        ("localhost", "https://attacker.example", invoke, "403"),
        ("localhost", "http://localhost:3000", page, "200"),
        ("127.0.0.1", "", invoke, "200"),
        ("sites.localhost:9000", "", page, "200"),
    ] {
        let answer = answer(host, origin, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{host} {origin} {request}: {answer}");
    }
    let refused = answer("attacker.example:9000", "", page);
    assert!(refused.contains("the host \"attacker.example\" is not accepted; expected localhost, "), "{refused}");
    let refused = answer("localhost", "null", invoke);
    assert!(refused.contains("send the event without the Origin header"), "{refused}");
}
