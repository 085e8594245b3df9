//! A Runtime API that follows a script, byte by byte: what the emulator cannot be made to do, it can.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;

/// What the Runtime API does about one request.
pub enum Step {
    /// Sends these bytes and keeps the connection.
    Send(Vec<u8>),
    /// Sends these bytes after a while.
    SendLater(Duration, Vec<u8>),
    /// Sends these bytes and closes the connection.
    SendAndClose(Vec<u8>),
    /// Reads no body: sends these bytes and closes the connection.
    RefuseBody(Vec<u8>),
}

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// The method and the path.
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// What came after the last chunk.
    pub trailers: Vec<(String, String)>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// The server. It takes one connection at a time, does one step for each request, and goes away after the last one.
pub struct RuntimeApi {
    address: String,
    received: Arc<Mutex<Vec<Received>>>,
    pieces: Arc<Mutex<mpsc::Receiver<Vec<u8>>>>,
    server: JoinHandle<()>,
}

impl RuntimeApi {
    pub fn start(script: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let received = Arc::default();
        let log = Arc::clone(&received);
        let script: Vec<Step> = script.into_iter().collect();
        let (sender, pieces) = mpsc::channel();
        let server = thread::spawn(move || follow(listener, script, &log, &sender));
        RuntimeApi {
            address,
            received,
            pieces: Arc::new(Mutex::new(pieces)),
            server,
        }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Every chunk, as it comes in.
    pub fn pieces(&self) -> Arc<Mutex<mpsc::Receiver<Vec<u8>>>> {
        Arc::clone(&self.pieces)
    }

    /// All that came in, once the script is through.
    pub fn received(self) -> Vec<Received> {
        self.server.join().unwrap();
        self.received.lock().unwrap().clone()
    }
}

fn follow(
    listener: TcpListener,
    script: Vec<Step>,
    log: &Mutex<Vec<Received>>,
    pieces: &mpsc::Sender<Vec<u8>>,
) {
    let mut script = script.into_iter();
    let mut left = script.len();
    for connection in 0.. {
        if left == 0 {
            return;
        }
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        while left > 0 {
            let Some(mut request) = read_head(&mut reader, connection) else {
                break;
            };
            let step = script.next();
            if !matches!(step, Some(Step::RefuseBody(_)))
                && read_body(&mut reader, &mut request, pieces).is_none()
            {
                break;
            }
            log.lock().unwrap().push(request);
            left -= 1;
            match step {
                Some(Step::Send(bytes)) => send(reader.get_mut(), &bytes),
                Some(Step::SendLater(pause, bytes)) => {
                    thread::sleep(pause);
                    send(reader.get_mut(), &bytes);
                }
                Some(Step::SendAndClose(bytes) | Step::RefuseBody(bytes)) => {
                    send(reader.get_mut(), &bytes);
                    break;
                }
                None => return,
            }
        }
    }
}

/// A peer that has gone away is a matter for the test, not for the server.
fn send(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}

/// Lines up to an empty one.
fn read_lines(reader: &mut impl BufRead) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => return Some(lines),
            line => lines.push(line.to_owned()),
        }
    }
}

fn headers(lines: &[String]) -> Vec<(String, String)> {
    let pairs = lines.iter().filter_map(|line| line.split_once(": "));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

pub fn read_head(reader: &mut impl BufRead, connection: usize) -> Option<Received> {
    let lines = read_lines(reader)?;
    Some(Received {
        connection,
        line: lines[0].trim_end_matches(" HTTP/1.1").to_owned(),
        headers: headers(&lines[1..]),
        body: Vec::new(),
        trailers: Vec::new(),
    })
}

pub fn read_body(
    reader: &mut impl BufRead,
    request: &mut Received,
    pieces: &mpsc::Sender<Vec<u8>>,
) -> Option<()> {
    if request.header("Transfer-Encoding") != Some("chunked") {
        let length = request
            .header("Content-Length")
            .map_or(0, |length| length.parse().unwrap());
        reader.take(length).read_to_end(&mut request.body).ok()?;
        return (request.body.len() as u64 == length).then_some(());
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.strip_suffix("\r\n")?, 16).expect("a size");
        if size == 0 {
            request.trailers = headers(&read_lines(reader)?);
            return Some(());
        }
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        assert!(chunk.ends_with(b"\r\n"), "a chunk ends after its size");
        chunk.truncate(size);
        request.body.extend_from_slice(&chunk);
        let _ = pieces.send(chunk);
    }
}

/// An answer with a status and a body.
pub fn answer(status: u16, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What comes for `next`: a request id, more headers, an event.
pub fn invocation(id: &str, headers: &[(&str, &str)], event: &str) -> Vec<u8> {
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!(
        "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: {id}\r\n{headers}Content-Length: {}\r\n\r\n{event}",
        event.len()
    )
    .into_bytes()
}

/// The step for `next`.
pub fn event(id: &str, event: &str) -> Step {
    Step::Send(invocation(id, &[], event))
}

/// The step for a response or an error that is taken.
pub fn accepted() -> Step {
    Step::Send(answer(202, r#"{"status":"OK"}"#))
}
