//! A Runtime API that follows a script, byte by byte: what the emulator cannot be made to do, it can.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
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
    server: JoinHandle<()>,
}

impl RuntimeApi {
    pub fn start(script: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let received = Arc::default();
        let log = Arc::clone(&received);
        let script: Vec<Step> = script.into_iter().collect();
        let server = thread::spawn(move || follow(listener, script, &log));
        RuntimeApi {
            address,
            received,
            server,
        }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// All that came in, once the script is through.
    pub fn received(self) -> Vec<Received> {
        self.server.join().unwrap();
        self.received.lock().unwrap().clone()
    }
}

fn follow(listener: TcpListener, script: Vec<Step>, log: &Mutex<Vec<Received>>) {
    let mut script = script.into_iter();
    let mut left = script.len();
    for connection in 0.. {
        if left == 0 {
            return;
        }
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        while left > 0 {
            let Some(request) = read_request(&mut reader, connection) else {
                break;
            };
            log.lock().unwrap().push(request);
            left -= 1;
            match script.next() {
                Some(Step::Send(bytes)) => send(reader.get_mut(), &bytes),
                Some(Step::SendLater(pause, bytes)) => {
                    thread::sleep(pause);
                    send(reader.get_mut(), &bytes);
                }
                Some(Step::SendAndClose(bytes)) => {
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

fn read_request(reader: &mut impl BufRead, connection: usize) -> Option<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let line = lines.remove(0).trim_end_matches(" HTTP/1.1").to_owned();
    let headers: Vec<(String, String)> = lines
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut request = Received {
        connection,
        line,
        headers,
        body: Vec::new(),
    };
    let length = request
        .header("Content-Length")
        .map_or(0, |length| length.parse().unwrap());
    reader.take(length).read_to_end(&mut request.body).ok()?;
    Some(request)
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
