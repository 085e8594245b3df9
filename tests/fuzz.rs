//! What reads from the wire and what writes chunks, with input that nobody has thought of.
//!
//! Each property gets a second, or as many as `FUZZ_SECONDS` says; `make fuzz FOR=60` says it. A failure prints a seed; put
//! into the property as `.seed(…)`, it fails again.

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

// The runtime's own readers and writers, which are no part of its public API.
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

    /// A URL as it is asked for, and where a `Location` leads from it.
    pub fn parse(url: &str, location: &str) -> Result<(String, Result<String, Error>), Error> {
        let url = url::Url::parse(url)?;
        let joined = url.join(location);
        Ok((
            url.as_str().to_owned(),
            joined.map(|url| url.as_str().to_owned()),
        ))
    }
}

use context::Context;
use wire::{
    body::Framing,
    chunks::Chunks,
    head::{Head, MAX_HEAD},
};

/// Bytes of a body that are reserved before they come: what a few bytes can make the reader allocate.
const RESERVE: usize = 6 * 1024 * 1024 + 100;

/// Longer than anything here takes.
const STUCK: Duration = Duration::from_secs(10);

fn check<P: FnMut(&mut Unstructured<'_>) -> Result<()>>(property: P) -> ArbTest<P> {
    let seconds = env::var("FUZZ_SECONDS").ok();
    let seconds = seconds.map(|text| {
        let number = text.parse();
        number.unwrap_or_else(|_| panic!("FOR={text}: expected a number of seconds, like FOR=60"))
    });
    arbtest(property)
        .size_max(4096)
        .budget_ms(1000 * seconds.unwrap_or(1))
}

/// A whole answer of the Runtime API that follows RFC 9112, and its body.
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
            .choose(&[
                "Transfer-Encoding: chunked",
                "transfer-encoding:CHUNKED",
                "Transfer-Encoding: gzip ,Chunked",
            ])?
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

/// One of Lambda's headers with a value of any bytes but a line end.
fn header(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    const NAMES: [&str; 8] = [
        "Lambda-Runtime-Aws-Request-Id",
        "Lambda-Runtime-Deadline-Ms",
        "Lambda-Runtime-Client-Context",
        "Lambda-Runtime-Cognito-Identity",
        "lambda-runtime-trace-id",
        "Lambda-Runtime-Invoked-Function-Arn",
        "Lambda-Runtime-Aws-Tenant-Id",
        "Lambda-Runtime-Invocation-Id",
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
        bytes.extend(
            [
                size.as_bytes(),
                extension.as_bytes(),
                b"\r\n",
                chunk,
                b"\r\n",
            ]
            .concat(),
        );
        body = rest;
    }
    bytes.extend(*u.choose(&[
        &b"0\r\n\r\n"[..],
        b"000;x\r\n\r\n",
        b"0\r\nA: b\r\nC: d\r\n\r\n",
    ])?);
    Ok(bytes)
}

/// Some bytes removed, doubled or changed.
fn spoil(u: &mut Unstructured<'_>, bytes: &mut Vec<u8>) -> Result<()> {
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

/// Reads an answer as the runtime does: its head, its body, and what is left.
fn read(mut bytes: &[u8]) -> io::Result<(Head, Vec<u8>, &[u8])> {
    let head = Head::read(&mut bytes, MAX_HEAD)?;
    let body = Framing::of(&head)?.read(&mut bytes, u64::MAX)?;
    Ok((head, body, bytes))
}

#[test]
fn what_follows_the_rules_comes_back_whole() {
    check(|u| {
        let (bytes, body) = message(u)?;
        let (_, read, rest) = read(&bytes).expect("an answer that follows the rules");
        assert_eq!((read, rest), (body, &b""[..]));
        Ok(())
    });
}

#[test]
fn what_is_cut_is_never_taken_for_whole() {
    check(|u| {
        let (mut bytes, _) = message(u)?;
        bytes.truncate(u.choose_index(bytes.len())?);
        assert!(
            read(&bytes).is_err(),
            "{:?}",
            String::from_utf8_lossy(&bytes)
        );
        Ok(())
    });
}

#[test]
fn what_is_spoilt_is_read_or_refused_and_takes_no_more_memory_than_it_has_bytes() {
    check(|u| {
        let (mut bytes, _) = message(u)?;
        spoil(u, &mut bytes)?;
        if let Ok((head, body, rest)) = read(&bytes) {
            assert!(body.len() + rest.len() <= bytes.len());
            assert!(body.capacity() <= RESERVE + 2 * bytes.len());
            ask_everything(&Context::new(head));
        }
        Ok(())
    });
}

/// What httparse makes of the head of an answer, past those of interim answers: the status, the headers and what is left;
/// `None` where there is more to come.
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
        let httparse::Status::Complete(length) = config.parse_response(&mut response, bytes)?
        else {
            return Ok(None);
        };
        bytes = &bytes[length..];
        let status = response.code.expect("a status");
        if (100..200).contains(&status) && status != 101 {
            continue;
        }
        let headers = response.headers.iter().map(|header| {
            let value = String::from_utf8_lossy(header.value);
            // A line that goes on in the next.
            (header.name.to_owned(), value.replace(['\r', '\n'], " "))
        });
        return Ok(Some((status, headers.collect(), bytes)));
    }
}

/// What our reader takes and httparse does not: bytes that no line may hold, versions from 1.2 on, and a CR alone.
fn is_known_to_differ(bytes: &[u8]) -> bool {
    let text = bytes
        .iter()
        .any(|byte| byte.is_ascii_control() && !b"\t\r\n".contains(byte));
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let returns = lines
        .clone()
        .any(|line| line.strip_suffix(b"\r").unwrap_or(line).contains(&b'\r'));
    let version =
        lines.any(|line| line.starts_with(b"HTTP/1.") && !matches!(line.get(7), Some(b'0' | b'1')));
    text || returns || version
}

#[test]
fn a_head_is_to_our_reader_what_it_is_to_httparse() {
    let (mut both, mut neither) = (0, 0);
    check(|u| {
        let (mut bytes, _) = message(u)?;
        if u.arbitrary()? {
            spoil(u, &mut bytes)?;
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
                let own: Vec<_> = head
                    .iter()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect();
                assert_eq!(
                    (head.status, own, rest),
                    (status, headers, left),
                    "{text:?}"
                );
                both += 1;
            }
            (Ok(None) | Err(_), Err(_)) => neither += 1,
            (theirs, ours) => panic!("{text:?}: {ours:?}, but httparse has {theirs:?}"),
        }
        Ok(())
    });
    assert!(
        both > 0 && neither > 0,
        "{both} heads, and {neither} that are none"
    );
}

/// The body that httparse finds in chunks. It takes no size for 0, and a LF alone for a part of an extension.
fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let httparse::Status::Complete((start, size)) = httparse::parse_chunk_size(bytes).ok()?
        else {
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
fn chunks_are_to_our_reader_what_they_are_to_httparse() {
    check(|u| {
        let body: Vec<u8> = u.arbitrary()?;
        let mut bytes = in_chunks(u, &body)?;
        if u.arbitrary()? {
            spoil(u, &mut bytes)?;
        }
        let ours = Framing::Chunks.read(&mut &bytes[..], u64::MAX);
        if let Some(theirs) = unchunk(&bytes) {
            assert_eq!(ours.expect("chunks that httparse reads"), theirs);
        }
        Ok(())
    });
}

#[test]
fn a_url_is_refused_or_parses_to_itself_and_every_location_from_it_as_well() {
    const PARTS: [&str; 24] = [
        "http://", "https://", "HTTP:", "//", "/", "?", "#", ":", "@", "[::1]", "a", "b.c", "..",
        ".", "%41", " ", "\r\n", "ä", "€", "80", "+80", "99999", "\\", "",
    ];
    let (mut taken, mut refused) = (0, 0);
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
                taken += 1;
                for url in [Some(url), joined.ok()].into_iter().flatten() {
                    let is_odd = |c: char| !c.is_ascii_graphic() || c == '#';
                    assert!(!url.contains(is_odd), "{url:?}");
                    assert_eq!(client::parse(&url, "").expect("a URL").0, url);
                    let uri = http_req::uri::Uri::try_from(&*url).expect("a URL");
                    assert!(
                        uri.resource().starts_with('/') && uri.user_info().is_none(),
                        "{url:?}"
                    );
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
    assert!(taken > 0 && refused > 0);
}

/// Sends these bytes to whoever asks first, and closes the connection.
fn answer_once(bytes: Vec<u8>) -> String {
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

fn ask(
    url: String,
) -> std::result::Result<lambda_musl::client::Response, lambda_musl::client::Error> {
    let start = Instant::now();
    let answer = lambda_musl::client::Request::get(url)
        .timeout(STUCK / 2)
        .send();
    assert!(start.elapsed() < STUCK);
    answer
}

#[test]
fn the_client_reads_what_follows_the_rules_and_refuses_what_is_cut() {
    check(|u| {
        let (mut bytes, body) = message(u)?;
        let foreign = bytes.windows(4).any(|text| text == b"gzip");
        let cut = u.arbitrary()?;
        if cut {
            bytes.truncate(u.choose_index(bytes.len())?);
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match ask(answer_once(bytes)) {
            Ok(answer) => assert!(!cut && answer.body() == body, "{text:?}"),
            Err(error) => assert!(cut || foreign, "{text:?}: {error}"),
        }
        Ok(())
    });
}

#[test]
fn the_client_takes_what_is_spoilt_or_says_what_is_wrong_with_it() {
    check(|u| {
        let (mut bytes, _) = message(u)?;
        spoil(u, &mut bytes)?;
        match ask(answer_once(bytes)) {
            Ok(answer) => {
                let _ = (answer.text().is_ok(), answer.headers().count());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        Ok(())
    });
}

#[test]
fn a_context_of_any_bytes_can_be_asked_for_everything() {
    check(|u| {
        let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
        bytes.extend(header(u)?);
        bytes.extend(b"\r\n\r\n");
        let head = Head::read(&mut &bytes[..], MAX_HEAD);
        ask_everything(&Context::new(head.expect("a head")));
        Ok(())
    });
}

fn ask_everything(context: &Context) {
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
fn what_is_written_in_chunks_is_read_by_another_reader() {
    check(|u| {
        let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (mut wire, mut whole) = (Vec::new(), Vec::new());
        let mut chunks = Chunks::new(head.into(), |bytes: &mut Vec<u8>| {
            assert!(!bytes.is_empty(), "nothing is sent for nothing");
            wire.append(bytes);
            Ok(())
        });
        for _ in 0..u.int_in_range(0..=8)? {
            let part: Vec<u8> = match u.ratio(1, 16)? {
                true => vec![u.arbitrary()?; u.int_in_range(65_000..=140_000)?],
                false => u.arbitrary()?,
            };
            chunks.write_all(&part).expect("it takes all");
            whole.extend(part);
            if u.arbitrary()? {
                chunks.flush().expect("it takes all");
            }
        }
        let trailers: Headers = match u.arbitrary()? {
            true => ["Type", "Body"]
                .map(|name| (format!("Lambda-Runtime-Function-Error-{name}"), "x".into()))
                .into(),
            false => Headers::new(),
        };
        let lines: String = trailers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        chunks.end(lines.as_bytes()).expect("it takes all");
        let mut wire = &wire[..];
        let request = read_request(&mut wire).expect("a request that follows the rules");
        let request = request.expect("a request");
        assert!(request.body == whole && wire.is_empty());
        assert_eq!(request.trailers, trailers);
        Ok(())
    });
}

/// A Runtime API that sends `answer` for the first `next`, `accepted` for what is posted, and then goes away. All that was
/// posted.
fn posts(listener: TcpListener, answer: &[u8], accepted: &[u8]) -> io::Result<Vec<String>> {
    let (stream, _) = listener.accept()?;
    // A function that waits for more of an answer gets no more.
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

/// In a process of its own, whose log nobody wants to see unless it fails.
#[test]
fn a_runtime_api_that_says_anything_gets_one_answer_or_none_and_the_loop_ends_with_a_reason() {
    let mut child = Command::new(env::current_exe().expect("this test"));
    let output = child
        .args(["--exact", "any_runtime_api", "--ignored"])
        .output();
    let output = output.expect("this test starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
}

#[test]
#[ignore = "the process that the other starts"]
fn any_runtime_api() {
    check(|u| {
        let (mut answer, _) = message(u)?;
        let mut accepted = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}".to_vec();
        match u.arbitrary()? {
            true => spoil(u, &mut answer)?,
            false => spoil(u, &mut accepted)?,
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
        assert!(!end.expect_err("a reason").to_string().is_empty());
        assert!(start.elapsed() < STUCK);
        if let Ok(posts) = server.join().expect("requests that follow the rules") {
            assert!(posts.len() <= 1);
            for post in posts {
                assert!(
                    post.starts_with("POST /2018-06-01/runtime/invocation/"),
                    "{post}"
                );
                assert_eq!(post.split(' ').count(), 2, "{post}");
            }
        }
        Ok(())
    });
}

/// Texts that an event may have anywhere.
fn odd_text(u: &mut Unstructured<'_>) -> Result<String> {
    const TEXTS: [&str; 24] = [
        "",
        "/",
        "/a/../b",
        "/%00/%ff",
        "/a b",
        "//h/x",
        "?#",
        "x",
        "GET",
        "G E T",
        "2.0",
        "https",
        "h:1",
        "[::1",
        "a\r\nb",
        "é🦀",
        "=&=&&",
        "a=%",
        "+%zz",
        "iVBO",
        "iVBO=",
        "CONNECT",
        "192.0.2.1, ::1",
        "x.lambda-url.on.aws",
    ];
    match u.ratio(3, 4)? {
        true => Ok((*u.choose(&TEXTS)?).to_owned()),
        false => u.arbitrary(),
    }
}

/// A value of any kind; lists and objects hold texts above all.
fn odd_value(u: &mut Unstructured<'_>, depth: u32) -> Result<Value> {
    Ok(match u.int_in_range(0..=if depth == 0 { 4 } else { 9 })? {
        0 => Value::Null,
        1 => u.arbitrary::<bool>()?.into(),
        2 => u.arbitrary::<i64>()?.into(),
        3 | 4 => odd_text(u)?.into(),
        5 => (0..u.int_in_range(0..=3)?)
            .map(|_| odd_value(u, depth - 1))
            .collect::<Result<Vec<_>>>()?
            .into(),
        _ => odd_object(u, depth - 1)?,
    })
}

fn odd_object(u: &mut Unstructured<'_>, depth: u32) -> Result<Value> {
    const NAMES: [&str; 32] = [
        "version",
        "rawPath",
        "rawQueryString",
        "path",
        "raw_path",
        "httpMethod",
        "method",
        "headers",
        "multiValueHeaders",
        "cookies",
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "query_string_parameters",
        "pathParameters",
        "stageVariables",
        "body",
        "isBase64Encoded",
        "is_base64_encoded",
        "requestContext",
        "http",
        "elb",
        "connectionId",
        "eventType",
        "routeKey",
        "domainName",
        "serviceArn",
        "identity",
        "sourceIp",
        "host",
        "Host",
        "x-forwarded-proto",
        "x-forwarded-for",
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

/// An event of a form that AWS has, with odd texts in it, and odd members.
fn odd_event(u: &mut Unstructured<'_>) -> Result<Value> {
    let mut event = serde_json::json!({});
    let (path, method) = match u.int_in_range(0..=4)? {
        0 => {
            event["requestContext"] =
                serde_json::json!({"http": {"method": "GET"}, "domainName": odd_text(u)?});
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

/// Gives an event to a handler of requests, which has asked each for everything when this returns.
fn handle(event: Vec<u8>, look: impl Fn(&http::Request<Body>)) -> Option<Failure> {
    let handler = http::handler(async |request: http::Request<Body>| {
        look(&request);
        let context = request
            .extensions()
            .get::<RequestContext>()
            .expect("a request context");
        let _ = (
            context.source_ip(),
            context.authorizer(),
            context.stage(),
            context.value(),
        );
        let pairs: Vec<_> = request.query_pairs().collect();
        let more = (
            request.path_parameter("a"),
            request.stage_variable("b"),
            request.cookie("c"),
        );
        Json(serde_json::json!([
            request.uri().to_string(),
            request.body().to_vec(),
            pairs,
            format!("{more:?}")
        ]))
    });
    let event = Raw::new("application/json", event);
    pollster::block_on(handler.handle(event, lambda_musl::Context::default())).err()
}

#[test]
fn an_event_of_any_kind_is_a_request_or_an_error_that_says_why() {
    check(|u| {
        let event = odd_event(u)?.to_string().into_bytes();
        let mut spoilt = event.clone();
        spoil(u, &mut spoilt)?;
        for event in [event, spoilt] {
            if let Some(failure) = handle(event, |_| ()) {
                let message = failure.to_string();
                assert!(
                    message.starts_with("the event is not what the function expects"),
                    "{message}"
                );
            }
        }
        Ok(())
    });
}

/// A text of what a URI may hold.
fn uri_text(u: &mut Unstructured<'_>, more: &[&'static str]) -> Result<String> {
    let parts = [
        &[
            "a", "Z", "0", "-", "%2F", "%00", "%ff", "..", ".", "~", "!", "$", "'", "(", "*", "+",
            ",", ";", ":", "@",
        ],
        more,
    ]
    .concat();
    (0..u.int_in_range(0..=12)?)
        .map(|_| u.choose(&parts).copied())
        .collect()
}

#[test]
fn a_path_a_query_and_headers_come_through_to_the_byte() {
    check(|u| {
        let path = format!("/{}", uri_text(u, &["/", "//", "&", "="])?);
        let query = uri_text(u, &["&", "=", "/", "?"])?;
        let value: String = u
            .arbitrary::<String>()?
            .chars()
            .filter(|character| !character.is_control())
            .collect();
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
        assert_eq!(
            (failure.map(|failure| failure.to_string()), seen.get()),
            (None, 1)
        );
        Ok(())
    });
}
