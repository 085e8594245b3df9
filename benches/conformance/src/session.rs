//! A function as a child process, and the Runtime API that it talks to: every request is answered by hand.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How often a child is looked after.
const PULSE: Duration = Duration::from_millis(10);

/// Bytes of what a child writes to stderr that are kept.
const MAX_LOG: u64 = 1024 * 1024;

pub type Headers = Vec<(String, String)>;

/// A request that came in, and where its answer goes.
pub struct Request {
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// The method and the path.
    pub line: String,
    pub headers: Headers,
    pub trailers: Headers,
    pub body: Vec<u8>,
    stream: TcpStream,
}

impl Request {
    pub fn is(&self, call: &str) -> bool {
        self.line.ends_with(call)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub fn trailer(&self, name: &str) -> Option<&str> {
        find(&self.trailers, name)
    }

    /// Sends bytes. A peer that has gone away shows in what it does next.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub fn close(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn find<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let mut headers = headers.iter();
    let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// What comes next of a child.
pub enum Happening {
    Request(Request),
    Exit(ExitStatus),
    Silence,
}

pub struct Session {
    child: Child,
    requests: Receiver<Request>,
    log: Option<JoinHandle<String>>,
}

impl Session {
    /// Starts a function; `base` is the path behind the address of the Runtime API.
    pub fn start(binary: &Path, base: &str, environment: &[(&str, &str)]) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = format!("{}{base}", listener.local_addr()?);
        let (sender, requests) = channel();
        thread::spawn(move || accept(&listener, &sender));
        Session::spawn(binary, &address, environment, requests)
    }

    /// Starts a function whose Runtime API is not there.
    pub fn alone(binary: &Path) -> io::Result<Self> {
        let (_, requests) = channel();
        Session::spawn(binary, "127.0.0.1:1", &[], requests)
    }

    fn spawn(
        binary: &Path,
        address: &str,
        environment: &[(&str, &str)],
        requests: Receiver<Request>,
    ) -> io::Result<Self> {
        let mut command = Command::new(binary);
        command.env_clear().stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("AWS_LAMBDA_RUNTIME_API", address);
        for (name, value) in [
            ("AWS_LAMBDA_FUNCTION_NAME", "conformance"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_REGION", "us-east-1"),
        ] {
            command.env(name, value);
        }
        command.envs(environment.iter().copied());
        let mut child = command.spawn()?;
        // Lambda takes both for the function's log.
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let log = thread::spawn(move || {
            let err = thread::spawn(move || text(err));
            let out = text(out);
            out + &err.join().unwrap_or_default()
        });
        Ok(Session {
            child,
            requests,
            log: Some(log),
        })
    }

    /// What happens next, within `patience`.
    pub fn wait(&mut self, patience: Duration) -> Happening {
        let start = Instant::now();
        loop {
            let ended = self.child.try_wait().ok().flatten();
            match self.requests.recv_timeout(PULSE) {
                Ok(request) => return Happening::Request(request),
                Err(RecvTimeoutError::Disconnected) => thread::sleep(PULSE),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(status) = ended {
                return Happening::Exit(status);
            }
            if start.elapsed() > patience {
                return Happening::Silence;
            }
        }
    }

    /// Ends the child, and returns its log.
    pub fn end(mut self) -> String {
        self.kill();
        let log = self.log.take();
        log.and_then(|log| log.join().ok()).unwrap_or_default()
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.kill();
    }
}

fn text(stream: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        let _ = stream.by_ref().take(MAX_LOG).read_to_end(&mut bytes);
        // A child whose pipe is full would stop.
        let _ = io::copy(&mut stream, &mut io::sink());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn accept(listener: &TcpListener, requests: &Sender<Request>) {
    for (connection, stream) in listener.incoming().enumerate() {
        let requests = requests.clone();
        thread::spawn(move || -> io::Result<()> {
            let stream = stream?;
            stream.set_nodelay(true)?;
            let mut reader = BufReader::new(stream.try_clone()?);
            while let Some(mut request) = read_head(&mut reader, connection, stream.try_clone()?)? {
                read_body(&mut reader, &mut request)?;
                if requests.send(request).is_err() {
                    break;
                }
            }
            Ok(())
        });
    }
}

fn read_head(
    reader: &mut impl BufRead,
    connection: usize,
    stream: TcpStream,
) -> io::Result<Option<Request>> {
    let line = read_line(reader)?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(Request {
        connection,
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        headers: read_headers(reader)?,
        trailers: Headers::new(),
        body: Vec::new(),
        stream,
    }))
}

fn read_body(reader: &mut impl BufRead, request: &mut Request) -> io::Result<()> {
    if request.header("Transfer-Encoding").is_none() {
        let length = request
            .header("Content-Length")
            .and_then(|length| length.parse().ok());
        reader
            .take(length.unwrap_or(0))
            .read_to_end(&mut request.body)?;
        return Ok(());
    }
    loop {
        let size = read_line(reader)?;
        let size = u64::from_str_radix(&size, 16).map_err(io::Error::other)?;
        if size == 0 {
            request.trailers = read_headers(reader)?;
            return Ok(());
        }
        reader.take(size).read_to_end(&mut request.body)?;
        read_line(reader)?;
    }
}

fn read_headers(reader: &mut impl BufRead) -> io::Result<Headers> {
    let mut headers = Headers::new();
    loop {
        let line = read_line(reader)?;
        match line.split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => return Ok(headers),
        }
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
}
