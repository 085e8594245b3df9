//! Property tests of the readers and writers of HTTP, with random input.
//!
//! Each property runs for one second, or for `FUZZ_SECONDS`, which `make fuzz FOR=60` sets. A failure prints a seed; add it to
//! the property as `.seed(…)` to reproduce the failure.

use std::{
    env,
    io::{self, ErrorKind, Write},
    net::{Ipv4Addr, TcpListener},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use arbtest::{
    ArbTest,
    arbitrary::{Result, Unstructured},
    arbtest,
};
use lambda_musl::{
    Failure, LambdaHandler, Raw,
    http::{self, Body, Json, RequestContext, RequestExt},
    http_req,
    testing::{
        Runtime,
        http::{Headers, Request, read_request},
    },
};
use serde_json::Value;

// The runtime's readers and writers, which are not part of its public API.
#[allow(dead_code)]
#[path = "../src/context.rs"]
mod context;
#[allow(dead_code)]
#[path = "../src/wire"]
mod wire {
    pub mod body;
    pub mod chunks;
    pub mod head;
}

#[allow(dead_code)]
#[path = "../src/client"]
mod client {
    pub mod error;
    pub mod url;

    use error::Error;

    /// A URL as the client requests it, and the URL that a `Location` in its response leads to.
    pub fn parse(url: &str, location: &str) -> Result<(String, Result<String, Error>), Error> {
        let url = url::Url::parse(url)?;
        let joined = url.join(location);
        Ok((url.as_str().to_owned(), joined.map(|url| url.as_str().to_owned())))
    }
}

use context::Context;
use wire::{
    body::Framing,
    chunks::Chunks,
    head::{Head, MAX_HEAD},
};

/// How many bytes the reader may allocate for a body before it arrives. A head of a few bytes can trigger this allocation.
const RESERVE: usize = 6 * 1024 * 1024 + 100;

/// A limit that only a hang exceeds.
const STUCK: Duration = Duration::from_secs(10);

fn check<P: FnMut(&mut Unstructured<'_>) -> Result<()>>(property: P) -> ArbTest<P> {
    let seconds = env::var("FUZZ_SECONDS").ok();
    let seconds = seconds.map(|text| {
        let number = text.parse();
        number.unwrap_or_else(|_| panic!("FOR={text}: expected a number of seconds, such as FOR=60"))
    });
    arbtest(property).size_max(4096).budget_ms(1000 * seconds.unwrap_or(1))
}

/// A complete response of the Runtime API according to RFC 9112, and its body.
fn message(u: &mut Unstructured<'_>) -> Result<(Vec<u8>, Vec<u8>)> {
    let body: Vec<u8> = u.arbitrary()?;
    let line_end: &[u8] = if u.ratio(1, 8)? { b"\n" } else { b"\r\n" };
    let mut lines = vec![b"HTTP/1.1 200 OK".to_vec()];
    for _ in 0..u.int_in_range(0..=4)? {
        lines.push(header(u)?);
    }
    let chunked: bool = u.arbitrary()?;
    let framing = match chunked {
        true => u
            .choose(&["Transfer-Encoding: chunked", "transfer-encoding:CHUNKED", "Transfer-Encoding: gzip ,Chunked"])?
            .to_string(),
        false => format!("Content-Length: {}", body.len()),
    };
    let index = u.int_in_range(1..=lines.len())?;
    lines.insert(index, framing.into_bytes());
    let mut bytes = Vec::new();
    if u.ratio(1, 8)? {
        bytes.extend(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    }
    for line in lines {
        bytes.extend([&line, line_end].concat());
    }
    bytes.extend(line_end);
    match chunked {
        true => bytes.extend(in_chunks(u, &body)?),
        false => bytes.extend(&body),
    }
    Ok((bytes, body))
}

/// One of Lambda's headers. Its value may contain any bytes except line feeds.
fn header(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    const NAMES: [&str; 8] = [
        "Lambda-Runtime-Aws-Request-Id", "Lambda-Runtime-Deadline-Ms", "Lambda-Runtime-Client-Context",
        "Lambda-Runtime-Cognito-Identity", "lambda-runtime-trace-id", "Lambda-Runtime-Invoked-Function-Arn",
        "Lambda-Runtime-Aws-Tenant-Id", "Lambda-Runtime-Invocation-Id",
    ];
    let mut value: Vec<u8> = match u.int_in_range(0..=3)? {
        0 => u.arbitrary()?,
        1 => u.arbitrary::<u64>()?.to_string().into(),
        2 => br#"{"custom":{"who":"Zo\u00eb"}}"#.to_vec(),
        _ => b"id-1".to_vec(),
    };
    value.retain(|byte| *byte != b'\n');
    Ok([u.choose(&NAMES)?.as_bytes(), b":", &value].concat())
}

fn in_chunks(u: &mut Unstructured<'_>, mut body: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while !body.is_empty() {
        let (chunk, rest) = body.split_at(u.int_in_range(1..=body.len())?);
        let extension = u.choose(&["", ";a", ";a=\"b\"", " "])?;
        let size = match u.arbitrary()? {
            true => format!("{:x}", chunk.len()),
            false => format!("000{:X}", chunk.len()),
        };
        bytes.extend([size.as_bytes(), extension.as_bytes(), b"\r\n", chunk, b"\r\n"].concat());
        body = rest;
    }
    bytes.extend(*u.choose(&[&b"0\r\n\r\n"[..], b"000;x\r\n\r\n", b"0\r\nA: b\r\nC: d\r\n\r\n"])?);
    Ok(bytes)
}

/// Removes, repeats, changes or inserts some bytes.
fn corrupt(u: &mut Unstructured<'_>, bytes: &mut Vec<u8>) -> Result<()> {
    for _ in 0..u.int_in_range(1..=4)? {
        let at = u.choose_index(bytes.len().max(1))?;
        let end = bytes.len().min(at + u.int_in_range(0..=16)?);
        match u.int_in_range(0..=4)? {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.extend_from_within(at..end),
            2 => bytes[at..end].fill(u.arbitrary()?),
            3 => drop(bytes.splice(at..at, u.arbitrary::<[u8; 3]>()?)),
            _ => {
                let odd: &[u8] = u.choose(&[
                    &b"\r\n"[..],
                    b"\r\n\r\n",
                    b"ffffffffffffffff\r\n",
                    b"-1",
                    b"\xff",
                    b":",
                    b"Content-Length: 18446744073709551615\r\n",
                ])?;
                drop(bytes.splice(at..at, odd.iter().copied()));
            }
        }
    }
    Ok(())
}

/// Reads a response as the runtime does. Returns its head, its body and the remaining bytes.
fn read(mut bytes: &[u8]) -> io::Result<(Head, Vec<u8>, &[u8])> {
    let head = Head::read(&mut bytes, MAX_HEAD)?;
    let body = Framing::of(&head)?.read(&mut bytes, u64::MAX)?;
    Ok((head, body, bytes))
}

#[test]
fn a_valid_response_is_read_completely() {
    check(|u| {
        let (bytes, body) = message(u)?;
        let (_, read, rest) = read(&bytes).expect("a valid response");
        assert_eq!((read, rest), (body, &b""[..]));
        Ok(())
    });
}

#[test]
fn a_truncated_response_is_an_error() {
    check(|u| {
        let (mut bytes, _) = message(u)?;
        bytes.truncate(u.choose_index(bytes.len())?);
        assert!(read(&bytes).is_err(), "{:?}", String::from_utf8_lossy(&bytes));
        Ok(())
    });
}

#[test]
fn a_corrupt_response_is_read_or_refused_without_a_huge_allocation() {
    check(|u| {
        let (mut bytes, _) = message(u)?;
        corrupt(u, &mut bytes)?;
        if let Ok((head, body, rest)) = read(&bytes) {
            assert!(body.len() + rest.len() <= bytes.len());
            assert!(body.capacity() <= RESERVE + 2 * bytes.len());
            read_everything(&Context::new(head));
        }
        Ok(())
    });
}

/// The head of a response according to httparse, after any interim responses: the status, the headers and the remaining bytes.
/// `None` means that the head is incomplete.
type Parsed<'a> = Option<(u16, Vec<(String, String)>, &'a [u8])>;

fn parse(mut bytes: &[u8]) -> std::result::Result<Parsed<'_>, httparse::Error> {
    let mut config = httparse::ParserConfig::default();
    config
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 512];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = config.parse_response(&mut response, bytes)? else {
            return Ok(None);
        };
        bytes = &bytes[length..];
        let status = response.code.expect("a status");
        if (100..200).contains(&status) && status != 101 {
            continue;
        }
        let headers = response.headers.iter().map(|header| {
            let value = String::from_utf8_lossy(header.value);
            // A header may be folded over several lines.
            (header.name.to_owned(), value.replace(['\r', '\n'], " "))
        });
        return Ok(Some((status, headers.collect(), bytes)));
    }
}

/// Whether a head contains what our reader accepts and httparse refuses: control characters, a version from 1.2 on, or a CR
/// without an LF.
fn is_known_to_differ(bytes: &[u8]) -> bool {
    let text = bytes.iter().any(|byte| byte.is_ascii_control() && !b"\t\r\n".contains(byte));
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let returns = lines.clone().any(|line| line.strip_suffix(b"\r").unwrap_or(line).contains(&b'\r'));
    let version = lines.any(|line| line.starts_with(b"HTTP/1.") && !matches!(line.get(7), Some(b'0' | b'1')));
    text || returns || version
}

#[test]
fn our_reader_and_httparse_agree_on_heads() {
    let (mut both, mut neither) = (0, 0);
    check(|u| {
        let (mut bytes, _) = message(u)?;
        if u.arbitrary()? {
            corrupt(u, &mut bytes)?;
        }
        let mut rest = &bytes[..];
        let ours = Head::read(&mut rest, MAX_HEAD);
        let head = &bytes[..bytes.len() - rest.len()];
        if is_known_to_differ(head) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(head);
        match (parse(&bytes), ours) {
            (Ok(Some((status, headers, left))), Ok(head)) => {
                let own: Vec<_> = head.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                assert_eq!((head.status, own, rest), (status, headers, left), "{text:?}");
                both += 1;
            }
            (Ok(None) | Err(_), Err(_)) => neither += 1,
            (theirs, ours) => panic!("{text:?}: {ours:?}, but httparse returns {theirs:?}"),
        }
        Ok(())
    });
    assert!(both > 0 && neither > 0, "{both} valid heads, {neither} invalid ones");
}

/// The body that httparse reads from chunks. Excludes two faults of httparse: it reads a missing size as 0, and an LF without a CR
/// as part of an extension.
fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let httparse::Status::Complete((start, size)) = httparse::parse_chunk_size(bytes).ok()? else {
            return None;
        };
        let (line, rest) = bytes.split_at(start);
        if !line[0].is_ascii_hexdigit() || line[..start - 2].contains(&b'\n') {
            return None;
        }
        bytes = rest;
        if size == 0 {
            let mut trailers = [httparse::EMPTY_HEADER; 512];
            let end = httparse::parse_headers(bytes, &mut trailers).ok()?;
            return end.is_complete().then_some(body);
        }
        let (chunk, rest) = bytes.split_at_checked(usize::try_from(size).ok()?)?;
        body.extend(chunk);
        bytes = rest.strip_prefix(b"\r\n")?;
    }
}

#[test]
fn our_reader_accepts_the_chunks_that_httparse_accepts() {
    let mut accepted = 0;
    check(|u| {
        let body: Vec<u8> = u.arbitrary()?;
        let mut bytes = in_chunks(u, &body)?;
        if u.arbitrary()? {
            corrupt(u, &mut bytes)?;
        }
        let ours = Framing::Chunks.read(&mut &bytes[..], u64::MAX);
        if let Some(theirs) = unchunk(&bytes) {
            assert_eq!(ours.expect("chunks that httparse reads"), theirs);
            accepted += 1;
        }
        Ok(())
    });
    assert!(accepted > 0);
}

#[test]
fn a_url_or_a_location_is_refused_or_parses_to_itself() {
    const PARTS: [&str; 24] = [
        "http://", "https://", "HTTP:", "//", "/", "?", "#", ":", "@", "[::1]", "a", "b.c", "..", ".", "%41", " ",
        "\r\n", "ä", "€", "80", "+80", "99999", "\\", "",
    ];
    let (mut accepted, mut refused) = (0, 0);
    check(|u| {
        let mut text = |start: &str| {
            let mut text = start.to_owned();
            for _ in 0..u.int_in_range(0..=8)? {
                text += u.choose(&PARTS)?;
            }
            Ok(text)
        };
        let (url, location) = (text("http://h")?, text("")?);
        match client::parse(&url, &location) {
            Ok((url, joined)) => {
                accepted += 1;
                for url in [Some(url), joined.ok()].into_iter().flatten() {
                    let is_odd = |c: char| !c.is_ascii_graphic() || c == '#';
                    assert!(!url.contains(is_odd), "{url:?}");
                    assert_eq!(client::parse(&url, "").expect("a URL").0, url);
                    let uri = http_req::uri::Uri::try_from(&*url).expect("a URL");
                    assert!(uri.resource().starts_with('/') && uri.user_info().is_none(), "{url:?}");
                    assert!(url.ends_with(uri.resource()), "{url:?}");
                }
            }
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("is not a URL"), "{error}");
            }
        }
        Ok(())
    });
    assert!(accepted > 0 && refused > 0);
}

/// Sends these bytes as the response to the first request, and closes the connection. Returns the URL of the server.
fn reply_once(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        let (stream, _) = listener.accept()?;
        let mut reader = io::BufReader::new(stream);
        read_request(&mut reader)?;
        reader.get_mut().write_all(&bytes)
    });
    url
}

fn get(url: String) -> std::result::Result<lambda_musl::client::Response, lambda_musl::client::Error> {
    let start = Instant::now();
    let answer = lambda_musl::client::Request::get(url).timeout(STUCK / 2).send();
    assert!(start.elapsed() < STUCK);
    answer
}

#[test]
fn the_client_reads_a_valid_response_and_refuses_a_truncated_one() {
    check(|u| {
        let (mut bytes, body) = message(u)?;
        let foreign = bytes.windows(4).any(|text| text == b"gzip");
        let cut = u.arbitrary()?;
        if cut {
            bytes.truncate(u.choose_index(bytes.len())?);
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match get(reply_once(bytes)) {
            Ok(answer) => assert!(!cut && answer.body() == body, "{text:?}"),
            Err(error) => assert!(cut || foreign, "{text:?}: {error}"),
        }
        Ok(())
    });
}

#[test]
fn the_client_reads_a_corrupt_response_or_returns_an_error() {
    check(|u| {
        let (mut bytes, _) = message(u)?;
        corrupt(u, &mut bytes)?;
        match get(reply_once(bytes)) {
            Ok(answer) => {
                let _ = (answer.text().is_ok(), answer.headers().count());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        Ok(())
    });
}

#[test]
fn a_context_of_any_bytes_can_be_read_without_a_panic() {
    check(|u| {
        let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
        bytes.extend(header(u)?);
        bytes.extend(b"\r\n\r\n");
        let head = Head::read(&mut &bytes[..], MAX_HEAD);
        read_everything(&Context::new(head.expect("a head")));
        Ok(())
    });
}

fn read_everything(context: &Context) {
    context.request_id();
    context.trace_id();
    context.function_arn();
    context.deadline();
    context.time_left();
    context.tenant_id();
    let _ = context.client_context::<Value>();
    let _ = context.cognito_identity::<Value>();
    let _ = format!("{context:?}");
}

#[test]
fn chunks_that_the_runtime_writes_are_read_back_unchanged() {
    check(|u| {
        let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (mut wire, mut whole) = (Vec::new(), Vec::new());
        let mut chunks = Chunks::new(head.into(), |bytes: &mut Vec<u8>| {
            assert!(!bytes.is_empty(), "an empty write");
            wire.append(bytes);
            Ok(())
        });
        for _ in 0..u.int_in_range(0..=8)? {
            let part: Vec<u8> = match u.ratio(1, 16)? {
                true => vec![u.arbitrary()?; u.int_in_range(65_000..=140_000)?],
                false => u.arbitrary()?,
            };
            chunks.write_all(&part).expect("the writer accepts everything");
            whole.extend(part);
            if u.arbitrary()? {
                chunks.flush().expect("the writer accepts everything");
            }
        }
        let trailers: Headers = match u.arbitrary()? {
            true => ["Type", "Body"].map(|name| (format!("Lambda-Runtime-Function-Error-{name}"), "x".into())).into(),
            false => Headers::new(),
        };
        let lines: String = trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        chunks.end(lines.as_bytes()).expect("the writer accepts everything");
        let mut wire = &wire[..];
        let request = read_request(&mut wire).expect("a valid request");
        let request = request.expect("a request");
        assert!(request.body == whole && wire.is_empty());
        assert_eq!(request.trailers, trailers);
        Ok(())
    });
}

/// A Runtime API that sends `answer` in response to the first request and `accepted` to the second, and then closes the connection.
/// Returns the lines of all POST requests.
fn posts(listener: TcpListener, answer: &[u8], accepted: &[u8]) -> io::Result<Vec<String>> {
    let (stream, _) = listener.accept()?;
    // Stops if the function is still waiting for more of a response.
    stream.set_read_timeout(Some(Duration::from_millis(30)))?;
    let mut reader = io::BufReader::new(stream);
    let mut posts = Vec::new();
    for reply in [answer, accepted] {
        let request = read_request(&mut reader).inspect_err(|error| {
            assert_ne!(error.kind(), ErrorKind::InvalidData, "{error}");
        });
        let Some(Request { line, .. }) = request? else {
            break;
        };
        if line.starts_with("POST ") {
            posts.push(line);
        }
        reader.get_mut().write_all(reply)?;
    }
    Ok(posts)
}

/// Runs the function in a separate process, whose log is shown only if the test fails.
#[test]
fn a_runtime_api_that_sends_any_bytes_gets_at_most_one_post_and_the_loop_ends_with_an_error() {
    let mut child = Command::new(env::current_exe().expect("this test"));
    let output = child.args(["--exact", "any_runtime_api", "--ignored"]).output();
    let output = output.expect("this test starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
}

#[test]
#[ignore = "a process that another test starts"]
fn any_runtime_api() {
    let mut posted = 0;
    check(|u| {
        let (mut answer, _) = message(u)?;
        let mut accepted = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}".to_vec();
        match u.arbitrary()? {
            true => corrupt(u, &mut answer)?,
            false => corrupt(u, &mut accepted)?,
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let server = thread::spawn(move || posts(listener, &answer, &accepted));
        let echo = async |event: Value, context: lambda_musl::Context| {
            let _ = context.client_context::<Value>();
            Ok::<_, String>(event)
        };
        let start = Instant::now();
        let end = Runtime::at(&address).expect("an address").run(echo);
        assert!(!end.expect_err("an error").to_string().is_empty());
        assert!(start.elapsed() < STUCK);
        if let Ok(posts) = server.join().expect("valid requests") {
            assert!(posts.len() <= 1);
            for post in posts {
                posted += 1;
                assert!(post.starts_with("POST /2018-06-01/runtime/invocation/"), "{post}");
                assert_eq!(post.split(' ').count(), 2, "{post}");
            }
        }
        Ok(())
    });
    assert!(posted > 0);
}

/// A string that may be anywhere in an event.
fn odd_text(u: &mut Unstructured<'_>) -> Result<String> {
    const TEXTS: [&str; 24] = [
        "", "/", "/a/../b", "/%00/%ff", "/a b", "//h/x", "?#", "x", "GET", "G E T", "2.0", "https", "h:1", "[::1",
        "a\r\nb", "é🦀", "=&=&&", "a=%", "+%zz", "iVBO", "iVBO=", "CONNECT", "192.0.2.1, ::1", "x.lambda-url.on.aws",
    ];
    match u.ratio(3, 4)? {
        true => Ok((*u.choose(&TEXTS)?).to_owned()),
        false => u.arbitrary(),
    }
}

/// A value of any type. Lists and objects contain mostly strings.
fn odd_value(u: &mut Unstructured<'_>, depth: u32) -> Result<Value> {
    Ok(match u.int_in_range(0..=if depth == 0 { 4 } else { 9 })? {
        0 => Value::Null,
        1 => u.arbitrary::<bool>()?.into(),
        2 => u.arbitrary::<i64>()?.into(),
        3 | 4 => odd_text(u)?.into(),
        5 => (0..u.int_in_range(0..=3)?).map(|_| odd_value(u, depth - 1)).collect::<Result<Vec<_>>>()?.into(),
        _ => odd_object(u, depth - 1)?,
    })
}

fn odd_object(u: &mut Unstructured<'_>, depth: u32) -> Result<Value> {
    const NAMES: [&str; 32] = [
        "version", "rawPath", "rawQueryString", "path", "raw_path", "httpMethod", "method", "headers",
        "multiValueHeaders", "cookies", "queryStringParameters", "multiValueQueryStringParameters",
        "query_string_parameters", "pathParameters", "stageVariables", "body", "isBase64Encoded", "is_base64_encoded",
        "requestContext", "http", "elb", "connectionId", "eventType", "routeKey", "domainName", "serviceArn",
        "identity", "sourceIp", "host", "Host", "x-forwarded-proto", "x-forwarded-for",
    ];
    let mut object = serde_json::Map::new();
    for _ in 0..u.int_in_range(0..=6)? {
        let name = match u.ratio(7, 8)? {
            true => (*u.choose(&NAMES)?).to_owned(),
            false => odd_text(u)?,
        };
        object.insert(name, odd_value(u, depth)?);
    }
    Ok(object.into())
}

/// An event in one of AWS's formats, with odd strings and members.
fn odd_event(u: &mut Unstructured<'_>) -> Result<Value> {
    let mut event = serde_json::json!({});
    let (path, method) = match u.int_in_range(0..=4)? {
        0 => {
            event["requestContext"] = serde_json::json!({"http": {"method": "GET"}, "domainName": odd_text(u)?});
            event["rawQueryString"] = odd_text(u)?.into();
            ("rawPath", "unused")
        }
        1 => {
            event["requestContext"] = serde_json::json!({"elb": {}});
            ("path", "httpMethod")
        }
        2 => ("path", "httpMethod"),
        3 => ("raw_path", "method"),
        _ => return odd_value(u, 4),
    };
    event[path] = odd_text(u)?.into();
    event[method] = "GET".into();
    for _ in 0..u.int_in_range(0..=4)? {
        if let Value::Object(more) = odd_object(u, 3)? {
            event.as_object_mut().expect("an object").extend(more);
        }
    }
    Ok(event)
}

/// Passes an event to an HTTP handler that reads every part of the request. Returns the handler's error.
fn handle(event: Vec<u8>, look: impl Fn(&http::Request<Body>)) -> Option<Failure> {
    let handler = http::handler(async |request: http::Request<Body>| {
        look(&request);
        let context = request.extensions().get::<RequestContext>().expect("a request context");
        let _ = (context.source_ip(), context.authorizer(), context.stage(), context.value());
        let pairs: Vec<_> = request.query_pairs().collect();
        let more = (request.path_parameter("a"), request.stage_variable("b"), request.cookie("c"));
        Json(serde_json::json!([request.uri().to_string(), request.body().to_vec(), pairs, format!("{more:?}")]))
    });
    let event = Raw::new("application/json", event);
    pollster::block_on(handler.handle(event, lambda_musl::Context::default())).err()
}

#[test]
fn any_event_is_a_request_or_an_error_with_a_reason() {
    check(|u| {
        let event = odd_event(u)?.to_string().into_bytes();
        let mut corrupted = event.clone();
        corrupt(u, &mut corrupted)?;
        for event in [event, corrupted] {
            if let Some(failure) = handle(event, |_| ()) {
                let message = failure.to_string();
                assert!(message.starts_with("the event is not what the function expects"), "{message}");
            }
        }
        Ok(())
    });
}

/// A string of characters that a URI may contain.
fn uri_text(u: &mut Unstructured<'_>, more: &[&'static str]) -> Result<String> {
    let parts = [
        &["a", "Z", "0", "-", "%2F", "%00", "%ff", "..", ".", "~", "!", "$", "'", "(", "*", "+", ",", ";", ":", "@"],
        more,
    ]
    .concat();
    (0..u.int_in_range(0..=12)?).map(|_| u.choose(&parts).copied()).collect()
}

#[test]
fn a_path_a_query_and_headers_reach_the_handler_unchanged() {
    check(|u| {
        let path = format!("/{}", uri_text(u, &["/", "//", "&", "="])?);
        let query = uri_text(u, &["&", "=", "/", "?"])?;
        let value: String = u.arbitrary::<String>()?.chars().filter(|character| !character.is_control()).collect();
        let event = serde_json::json!({
            "rawPath": path,
            "rawQueryString": query,
            "headers": {"host": "h.example", "x-value": value},
            "requestContext": {"http": {"method": "GET"}},
        });
        let seen = std::cell::Cell::new(0);
        let failure = handle(event.to_string().into_bytes(), |request| {
            assert_eq!(request.uri().host(), Some("h.example"));
            assert_eq!(request.uri().path(), path);
            assert_eq!(request.uri().query().unwrap_or_default(), query);
            assert_eq!(request.headers()["x-value"].as_bytes(), value.as_bytes());
            seen.set(seen.get() + 1);
        });
        assert_eq!((failure.map(|failure| failure.to_string()), seen.get()), (None, 1));
        Ok(())
    });
}
