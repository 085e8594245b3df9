//! A Runtime API that costs next to nothing: it expects fixed requests and sends prepared replies.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use lambda_musl::testing::{
    function::{Function, Happening},
    http,
};

use crate::{
    Result,
    process::{cpu, peak, resident},
};

/// The time limit of a function for one measurement.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait for every worker to ask for another invocation.
const LINGER: Duration = Duration::from_millis(300);

/// A request ID. Its last digits are the number of the invocation.
const ID: &str = "00000000-0000-4000-8000-000000000000";
const COUNT: usize = 12;

const NEXT: &[u8] = b"GET /2018-06-01/runtime/invocation/next ";
const RESPONSE: &[u8] = b"POST /2018-06-01/runtime/invocation/";
const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n\
    Date: Tue, 24 Nov 2026 00:00:00 GMT\r\nContent-Length: 16\r\n\r\n{\"status\":\"OK\"}\n";

/// The events of one run.
#[derive(Clone)]
pub struct Load {
    workers: usize,
    event: String,
    /// The expected response.
    answer: Answer,
    /// The number of invocations before the measurement, and the number that are measured.
    warm_up: usize,
    measured: usize,
    /// The number of invocations between two samples.
    every: usize,
}

/// The expected response.
#[derive(Clone, Copy)]
enum Answer {
    /// The event itself.
    Event,
    /// A response that contains this text. Each runtime formats the rest in its own way.
    Contains(&'static str),
}

/// The cost of one run.
pub struct Cost {
    /// Seconds per invocation, for all workers together.
    pub wall: f64,
    /// Seconds of CPU time that the function used per invocation.
    pub cpu: f64,
    /// The function's peak resident memory, in KiB.
    pub peak: f64,
    /// The number of invocations that the function handles concurrently.
    pub workers: usize,
}

impl Load {
    /// Short events for this number of workers.
    pub fn small(workers: usize) -> Self {
        Load { workers, event: event("Ada"), answer: Answer::Event, warm_up: 500, measured: 4000, every: 4000 }
    }

    /// Events and responses almost as long as Lambda's limit.
    pub fn long() -> Self {
        let event = event(&"x".repeat(6 * 1024 * 1024 - 100));
        Load { event, warm_up: 1, measured: 4, every: 4, ..Load::small(1) }
    }

    /// Requests to a function URL, with a query parameter and JSON.
    pub fn http() -> Self {
        Load {
            event: include_str!("request.json").trim_end().to_owned(),
            answer: Answer::Contains(r#""body":"{\"body\":{\"article\":\"tea\",\"count\":2},\"hello\":\"Ada\"}""#),
            ..Load::small(1)
        }
    }

    /// Short events, of which `measured` are measured, with a sample after every `every` of them.
    pub fn many(measured: usize, every: usize) -> Self {
        Load { measured, every, ..Load::small(1) }
    }

    /// Runs a function until it has handled all events.
    pub fn run(&self, binary: &Path) -> Result<Cost> {
        let mut moments = Vec::new();
        let (workers, peak) = self.watch(binary, |moment| moments.push(moment))?;
        let [start, .., end] = &moments[..] else { return Err("expected at least two samples".into()) };
        let measured = self.measured as f64;
        Ok(Cost {
            wall: (end.at - start.at).as_secs_f64() / measured,
            cpu: (end.cpu - start.cpu) / measured,
            peak,
            workers,
        })
    }

    /// Runs a function and passes each sample to `look`. Returns how many invocations the function handles concurrently, and its
    /// peak memory in KiB.
    pub fn watch(&self, binary: &Path, mut look: impl FnMut(Moment)) -> Result<(usize, f64)> {
        let (sender, moments) = mpsc::channel();
        let server = Arc::new(Server {
            next: self.next(),
            load: self.clone(),
            pid: OnceLock::new(),
            handed: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            seen: (0..self.warm_up + self.measured).map(|_| AtomicBool::new(false)).collect(),
        });
        let shared = Arc::clone(&server);
        let listener = http::Server::start(move |_, stream| {
            shared.connections.fetch_add(1, Ordering::Relaxed);
            shared.serve(stream.into_inner(), &sender);
            Ok(())
        })?;
        let function = spawn(binary, self.workers, listener.address())?;
        let _ = server.pid.set(function.id());
        for _ in 0..=self.measured / self.every {
            look(wait(&moments, &function, binary)??);
        }
        // Wait until every worker asks for another invocation.
        let patience = Instant::now();
        while server.waiting.load(Ordering::Relaxed) < self.workers && patience.elapsed() < LINGER {
            thread::sleep(Duration::from_millis(1));
        }
        Ok((server.waiting.load(Ordering::Relaxed), peak(function.id())?))
    }

    /// The response to `next`.
    fn next(&self) -> Vec<u8> {
        let headers = format!(
            "Content-Type: application/json\r\n\
             Lambda-Runtime-Aws-Request-Id: {ID}\r\n\
             Lambda-Runtime-Deadline-Ms: 32503680000000\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:bench\r\n\
             Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1\r\n\
             Date: Tue, 24 Nov 2026 00:00:00 GMT\r\n"
        );
        http::answer("200 OK", headers, &self.event)
    }
}

/// The event, which the function returns.
fn event(name: &str) -> String {
    format!("{{\"firstName\":\"{name}\"}}")
}

/// The seconds from the start of a function to its first request.
pub fn start(binary: &Path) -> Result<f64> {
    let before = Instant::now();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let function = spawn(binary, 1, &listener.local_addr()?.to_string())?;
    let (sender, first) = mpsc::channel();
    thread::spawn(move || {
        let answer = listener.accept().and_then(|(mut stream, _)| {
            let read = stream.read(&mut [0; 64])?;
            Ok((Instant::now(), read, stream))
        });
        sender.send(answer)
    });
    let (after, read, stream) = wait(&first, &function, binary)??;
    // Stop the function first, or it would log the closed connection.
    drop(function);
    drop(stream);
    if read == 0 {
        return Err(format!("{} sent no request", binary.display()).into());
    }
    Ok((after - before).as_secs_f64())
}

fn spawn(binary: &Path, workers: usize, address: &str) -> io::Result<Function> {
    let mut command = Command::new(binary);
    command.env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null());
    if workers > 1 {
        command.env("AWS_LAMBDA_MAX_CONCURRENCY", workers.to_string());
    }
    Function::start(&mut command, address)
}

/// Waits for a message on a channel. It is an error if the function ends first.
fn wait<T>(channel: &Receiver<T>, function: &Function, binary: &Path) -> Result<T> {
    let binary = binary.display();
    match function.wait(channel, PATIENCE)? {
        Happening::Message(message) => Ok(message),
        Happening::Exit(status) => Err(format!("{binary} ended: {status}").into()),
        Happening::Silence => Err(format!("{binary} did not finish within {PATIENCE:?}").into()),
    }
}

/// A sample: the state of the function at one moment.
pub struct Moment {
    pub at: Instant,
    /// Seconds of CPU time so far.
    pub cpu: f64,
    pub answered: usize,
    pub connections: usize,
    /// Resident memory, in KiB.
    pub resident: f64,
}

struct Server {
    load: Load,
    next: Vec<u8>,
    pid: OnceLock<u32>,
    handed: AtomicUsize,
    answered: AtomicUsize,
    /// The number of requests for an invocation that get no reply, because there are no more events.
    waiting: AtomicUsize,
    connections: AtomicUsize,
    /// Which invocations have a response.
    seen: Vec<AtomicBool>,
}

type Moments = Sender<io::Result<Moment>>;

impl Server {
    fn serve(&self, stream: TcpStream, moments: &Moments) {
        match self.converse(stream, moments) {
            // The function was killed or has no more events.
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {}
            Err(error) => drop(moments.send(Err(error))),
            Ok(()) => {}
        }
    }

    fn look(&self, answered: usize) -> io::Result<Moment> {
        let at = Instant::now();
        let pid = *self.pid.wait();
        let text = |error: Box<dyn std::error::Error>| io::Error::other(error.to_string());
        Ok(Moment {
            at,
            cpu: cpu(pid).map_err(text)?,
            answered,
            connections: self.connections.load(Ordering::Relaxed),
            resident: resident(pid).map_err(text)?,
        })
    }

    fn converse(&self, mut stream: TcpStream, moments: &Moments) -> io::Result<()> {
        let mut next = self.next.clone();
        let id = next.windows(ID.len()).position(|text| text == ID.as_bytes());
        let count = id.unwrap_or_default() + ID.len() - COUNT..id.unwrap_or_default() + ID.len();
        let last = self.load.warm_up + self.load.measured;
        let mut buffer = vec![0; 64 * 1024];
        // A client with a connection pool may request an invocation on one connection and respond on another.
        loop {
            let (head, end, body) = read(&mut stream, &mut buffer)?;
            if buffer[..head].starts_with(NEXT) {
                let number = self.handed.fetch_add(1, Ordering::Relaxed);
                if number >= last {
                    // Sends nothing, as Lambda does between two invocations.
                    self.waiting.fetch_add(1, Ordering::Relaxed);
                    stream.read_exact(&mut [0])?;
                }
                next[count.clone()].copy_from_slice(format!("{number:0COUNT$}").as_bytes());
                stream.write_all(&next)?;
                continue;
            }
            let number = response(&buffer[..head]).and_then(|number| self.seen.get(number));
            match number.map(|seen| seen.swap(true, Ordering::Relaxed)) {
                None => return Err(odd("neither next nor response", &buffer[..head])),
                Some(true) => return Err(odd("a second response", &buffer[..head])),
                Some(false) => {}
            }
            let body = body.as_deref().unwrap_or(&buffer[head..end]);
            let expected = match self.load.answer {
                Answer::Event => body == self.load.event.as_bytes(),
                Answer::Contains(part) => body.windows(part.len()).any(|bytes| bytes == part.as_bytes()),
            };
            if !expected {
                return Err(odd("not the expected response", &buffer[..head]));
            }
            let answered = self.answered.fetch_add(1, Ordering::Relaxed) + 1;
            let measured = answered.checked_sub(self.load.warm_up);
            if measured.is_some_and(|number| number % self.load.every == 0) {
                let _ = moments.send(self.look(answered));
            }
            stream.write_all(ACCEPTED)?;
        }
    }
}

/// The number of the invocation that this request responds to.
fn response(head: &[u8]) -> Option<usize> {
    let digits = &ID.as_bytes()[..ID.len() - COUNT];
    let rest = head.strip_prefix(RESPONSE)?.strip_prefix(digits)?;
    let (number, rest) = rest.split_at_checked(COUNT)?;
    let number = str::from_utf8(number).ok()?.parse().ok()?;
    rest.starts_with(b"/response ").then_some(number)
}

fn odd(what: &str, head: &[u8]) -> io::Error {
    let head = String::from_utf8_lossy(head);
    io::Error::new(ErrorKind::InvalidData, format!("{what}: {head}"))
}

/// Reads a request into `buffer`. Returns the ends of its head and its body, and the body itself if it does not fit.
/// This does not use `http::read_request`, whose allocations would count as the function's time.
fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<(usize, usize, Option<Vec<u8>>)> {
    let mut filled = 0;
    let head = loop {
        match stream.read(&mut buffer[filled..])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            n => filled += n,
        }
        if let Some(at) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let length = length(&buffer[..head]);
    let end = head + length;
    if end <= buffer.len() {
        stream.read_exact(&mut buffer[filled..end.max(filled)])?;
        return Ok((head, end, None));
    }
    let mut body = Vec::with_capacity(length);
    body.extend(&buffer[head..filled]);
    stream.take((length - body.len()) as u64).read_to_end(&mut body)?;
    Ok((head, head, Some(body)))
}

/// The Content-Length of a head. The name of the header can be in any case.
fn length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"\r\ncontent-length:";
    let found = head.windows(NAME.len()).position(|text| text.eq_ignore_ascii_case(NAME));
    let digits = found.map_or(&[][..], |at| head[at + NAME.len()..].trim_ascii_start());
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
}
