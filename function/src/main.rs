//! The function that ships with the runtime: an endpoint probe.
//!
//! Event: `{"url": "https://…", "timeout_ms": 2000}`. Answer: the status, the bytes of the body, the milliseconds that it
//! took and the version of the TLS library; where there was no answer, the reason in place of the first two.

use std::{
    io::{self, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use lambda_musl::{
    Context,
    http_req::{
        request::{HttpVersion, RequestMessage},
        response::Response,
        stream::{connect_with_timeout, read_head},
        uri::Uri,
    },
};
use native_tls::{HandshakeError, TlsConnector};
use serde_json::{Value, json};

const EXPECTED: &str = r#"expected an event like {"url":"https://example.com","timeout_ms":2000}"#;

/// How long an endpoint may take where the event does not say.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes of a head that are read before giving up.
const MAX_HEAD: u64 = 1024 * 1024;

fn main() -> Result<(), lambda_musl::Error> {
    lambda_musl::run(probe)
}

async fn probe(event: Value, context: Context) -> Result<Value, String> {
    let url = match &event["url"] {
        Value::String(url) => url.clone(),
        Value::Null => return Err(format!("{EXPECTED}: \"url\" is missing")),
        other => return Err(format!("{EXPECTED}: \"url\" is {other}, not a text")),
    };
    let timeout = match &event["timeout_ms"] {
        Value::Null => TIMEOUT,
        value => match value.as_u64() {
            Some(milliseconds) if milliseconds > 0 => Duration::from_millis(milliseconds),
            _ => return Err(format!("{EXPECTED}: \"timeout_ms\" is {value}")),
        },
    };
    let timeout = context
        .time_left()
        .map_or(timeout, |left| left.min(timeout));

    let start = Instant::now();
    let outcome = fetch_within(timeout, url.clone());
    let mut answer = json!({
        "url": url,
        "elapsed_ms": start.elapsed().as_millis() as u64,
        "tls": openssl::version::version(),
    });
    match outcome {
        Ok((status, bytes)) => {
            answer["status"] = status.into();
            answer["bytes"] = bytes.into();
        }
        Err(reason) => answer["error"] = reason.into(),
    }
    Ok(answer)
}

/// Fetches on another thread: looking up a name cannot be given a timeout.
fn fetch_within(timeout: Duration, url: String) -> Result<(u16, u64), String> {
    let (sender, receiver) = mpsc::channel();
    let deadline = Instant::now().checked_add(timeout);
    let deadline = deadline.ok_or("the timeout is too long for the clock")?;
    thread::spawn(move || sender.send(fetch(&url, deadline)));
    receiver.recv_timeout(timeout).unwrap_or_else(|error| {
        Err(match error {
            mpsc::RecvTimeoutError::Timeout => timed_out().to_string(),
            mpsc::RecvTimeoutError::Disconnected => "the request panicked".to_owned(),
        })
    })
}

/// The status of the URL and the bytes of its body; redirects are answers like any other.
fn fetch(url: &str, deadline: Instant) -> Result<(u16, u64), String> {
    let uri = parse(url)?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let stream = connect_with_timeout(host, uri.corr_port(), left(deadline).map_err(text)?)
        .map_err(|error| format!("connecting to {host}: {error}"))?;
    let mut stream = Deadline { stream, deadline };
    if uri.scheme() == "http" {
        return exchange(&mut stream, &uri);
    }
    let connector = TlsConnector::new().map_err(text)?;
    let mut stream = connector
        .connect(host, stream)
        .map_err(|error| match error {
            HandshakeError::Failure(error) => format!("the TLS handshake with {host}: {error}"),
            HandshakeError::WouldBlock(_) => timed_out().to_string(),
        })?;
    exchange(&mut stream, &uri)
}

fn parse(url: &str) -> Result<Uri<'_>, String> {
    let no_url = || format!("{url:?} is not a URL that starts with https:// or http://");
    let has_scheme = url.starts_with("https://") || url.starts_with("http://");
    if !has_scheme || url.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(no_url());
    }
    let uri = Uri::try_from(url).map_err(|_| no_url())?;
    match uri.host() {
        Some(host) if !host.is_empty() => Ok(uri),
        _ => Err(no_url()),
    }
}

/// One request. HTTP/1.0, in which a body is never chunked, so that its bytes are all that comes.
fn exchange(stream: &mut (impl Read + Write), uri: &Uri) -> Result<(u16, u64), String> {
    let request = RequestMessage::new(uri)
        .version(HttpVersion::Http10)
        .header(
            "User-Agent",
            concat!("lambda-musl/", env!("CARGO_PKG_VERSION")),
        )
        .header("Accept", "*/*")
        .parse();
    stream
        .write_all(&request)
        .map_err(|error| format!("sending the request: {error}"))?;
    let mut reader = BufReader::new(Remember {
        stream,
        error: None,
    });
    let head = read_head(&mut reader.by_ref().take(MAX_HEAD));
    if let Some(error) = reader.get_mut().error.take() {
        return Err(format!("reading the answer: {error}"));
    }
    let response = Response::from_head(&head).map_err(|_| "the answer is not HTTP".to_owned())?;
    let expected = response.content_len().map(|length| length as u64);
    let mut body = reader.take(expected.unwrap_or(u64::MAX));
    let bytes = io::copy(&mut body, &mut io::sink())
        .map_err(|error| format!("reading the body: {error}"))?;
    match expected {
        Some(expected) if bytes < expected => Err(format!(
            "the connection closed after {bytes} of {expected} bytes"
        )),
        _ => Ok((u16::from(response.status_code()), bytes)),
    }
}

/// A connection on which every wait ends with the deadline.
#[derive(Debug)]
struct Deadline {
    stream: TcpStream,
    deadline: Instant,
}

impl Read for Deadline {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.deadline)?))?;
        self.stream.read(buffer).map_err(not_would_block)
    }
}

impl Write for Deadline {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.deadline)?))?;
        self.stream.write(buffer).map_err(not_would_block)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A reader that keeps its error, which `read_head` swallows.
struct Remember<R> {
    stream: R,
    error: Option<io::Error>,
}

impl<R: Read> Read for Remember<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer).inspect_err(|error| {
            self.error = Some(io::Error::new(error.kind(), error.to_string()));
        })
    }
}

/// The time until `deadline`, which is never zero: a socket would take that for no timeout at all.
fn left(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(timed_out()),
        left => Ok(left),
    }
}

/// A socket whose timeout has passed says that it would block.
fn not_would_block(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => timed_out(),
        _ => error,
    }
}

fn timed_out() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "no answer within the timeout")
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
