//! A server that follows a script, which sets every byte and every pause.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

/// How long a server continues with an endless response.
const ENDLESS: Duration = Duration::from_secs(2);

/// What a server does after it has received a request.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Vec<u8>),
    Pause(Duration),
    /// Sends the bytes repeatedly, with a pause after each time.
    Repeat(Vec<u8>, Duration),
    /// Keeps the connection open and sends nothing.
    Hold,
    /// As `Hold`, but closes the connection if the request has `Connection: Close`.
    Keep,
    /// Waits for the next request on the same connection.
    Next,
    /// Ends the connection with a reset instead of a normal close, because the request is left unread.
    Reset,
}

pub fn send(bytes: impl AsRef<[u8]>) -> Step {
    Step::Send(bytes.as_ref().to_vec())
}

/// A server on its own port.
#[derive(Debug)]
pub struct Server {
    pub port: u16,
    /// Each request with the number of its connection.
    pub requests: Receiver<(usize, String)>,
}

impl Server {
    /// Plays the next of `scripts` on each new connection, and repeats the last one.
    pub fn start(scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = channel();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let script = scripts[number.min(scripts.len() - 1)].clone();
                let sender = sender.clone();
                thread::spawn(move || play(script, stream, number, &sender));
            }
        });
        Server { port, requests }
    }

    pub fn url(&self, resource: &str) -> String {
        format!("http://127.0.0.1:{}{resource}", self.port)
    }

    /// All requests so far, each with the number of its connection.
    pub fn received(&self) -> Vec<(usize, String)> {
        let first = self.requests.recv_timeout(Duration::from_secs(5));
        let mut all = vec![first.expect("a request")];
        // Each request arrives here before the client receives the response to it.
        while let Ok(next) = self.requests.recv_timeout(Duration::from_millis(20)) {
            all.push(next);
        }
        all
    }
}

/// Plays a script, and ends early if the client closes the connection.
fn play(script: Vec<Step>, mut stream: TcpStream, number: usize, requests: &Sender<(usize, String)>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let reset = script.iter().any(|step| matches!(step, Step::Reset));
    let mut closes = false;
    if reset {
        stream.peek(&mut [0]).ok()?;
    } else {
        let request = read_request(&mut stream)?;
        closes = request.contains("Connection: Close");
        let _ = requests.send((number, request));
    }
    for step in script {
        match step {
            Step::Send(bytes) => stream.write_all(&bytes).ok()?,
            Step::Pause(time) => thread::sleep(time),
            Step::Repeat(bytes, pause) => {
                let start = Instant::now();
                while start.elapsed() < ENDLESS {
                    stream.write_all(&bytes).ok()?;
                    thread::sleep(pause);
                }
            }
            Step::Keep if closes => {}
            Step::Hold | Step::Keep => drop(stream.read_to_end(&mut Vec::new())),
            Step::Next => drop(requests.send((number, read_request(&mut stream)?))),
            // Gives the client time to read the bytes before the reset.
            Step::Reset => thread::sleep(Duration::from_millis(50)),
        }
    }
    Some(())
}

/// Reads a request, with a body if it has a Content-Length.
pub fn read_request(stream: &mut impl Read) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    let text = String::from_utf8(bytes).unwrap();
    let length = text.split("\r\nContent-Length: ").nth(1);
    let length = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(text + &String::from_utf8(body).unwrap())
}
