//! What stands for AWS.

use std::{
    env, fs,
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{LazyLock, Mutex, OnceLock},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::machine::{Run, call, command, make, root, run, wait_until, write_program};

/// The package of all tests.
pub const ZIP: &str = "dist/greeting/function.zip";

/// The account that moto has.
pub const ACCOUNT: &str = "123456789012";

/// Where Python has the client and moto.
pub fn wheels() -> &'static Path {
    static WHEELS: LazyLock<PathBuf> = LazyLock::new(|| {
        let wheels = call("scripts/cli", &["wheel", "aws"]).succeeded();
        wheels.last_line().into()
    });
    &WHEELS
}

/// Builds the package, once for all tests.
pub fn build() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        make(&["CRATE=examples/greeting", "OUT=dist/greeting"]).succeeded();
    });
    root().join(ZIP)
}

/// The port of moto, which ends with this program: then its shell reads the end of its input.
fn moto() -> u16 {
    static MOTO: Mutex<Option<(Child, u16)>> = Mutex::new(None);
    let mut moto = MOTO.lock().unwrap();
    let (_, port) = moto.get_or_insert_with(|| {
        let port = free_port();
        let mut shell = command("/bin/sh", root());
        let server = "python3 -m moto.server -p \"$1\" & cat; kill $!";
        shell.args(["-c", server, "sh", &port.to_string()]);
        shell
            .env("PYTHONPATH", wheels())
            .env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true");
        shell
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = shell.spawn().unwrap();
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        assert!(wait_until(listens, Duration::from_secs(60)), "moto");
        (child, port)
    });
    *port
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// An account with a client whose every call is known.
pub struct Aws {
    pub directory: TempDir,
    port: u16,
}

impl Aws {
    pub fn new() -> Self {
        Self::behind(moto())
    }

    /// The same, where what listens at this port stands before AWS.
    pub fn behind(port: u16) -> Self {
        let aws = Self {
            directory: tempfile::tempdir().unwrap(),
            port,
        };
        fs::create_dir(aws.path("bin")).unwrap();
        aws.client("");
        aws
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The client does this first. It finds its words in `$@`.
    pub fn client(&self, first: &str) {
        let log = self.path("calls");
        let script = format!(
            "{{ printf '%s\\n' \"$@\"; echo; }} >>'{}'\n{first}\nPYTHONPATH='{}' exec python3 -m awscli \"$@\"",
            log.display(),
            wheels().display()
        );
        write_program(&self.path("bin/aws"), &script);
    }

    /// The calls since the last time, each as its words.
    pub fn calls(&self) -> Vec<Vec<String>> {
        let log = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.path("calls"));
        let calls = log.split_terminator("\n\n");
        calls
            .map(|call| call.lines().map(Into::into).collect())
            .collect()
    }

    /// The operations of these calls that are no questions.
    pub fn changes(&self) -> Vec<String> {
        let calls = self.calls();
        let operations = calls.iter().map(|call| call[1].clone());
        let is_question = |name: &String| {
            ["get-", "list-", "wait"]
                .iter()
                .any(|start| name.starts_with(start))
        };
        operations.filter(|name| !is_question(name)).collect()
    }

    /// A program in the clone with this account.
    pub fn command(&self, program: &str) -> Command {
        let mut command = command(program, root());
        let path = env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.path("bin").display()));
        command
            .env("HOME", self.directory.path())
            .envs(
                ["CARGO_HOME", "RUSTUP_HOME"]
                    .into_iter()
                    .filter_map(|name| {
                        let below = if name == "CARGO_HOME" {
                            ".cargo"
                        } else {
                            ".rustup"
                        };
                        let own = env::var_os(name).map(PathBuf::from);
                        Some((
                            name,
                            own.or(Some(Path::new(&env::var_os("HOME")?).join(below)))?,
                        ))
                    }),
            )
            .env(
                "AWS_ENDPOINT_URL",
                format!("http://127.0.0.1:{}", self.port),
            )
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "a secret key")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    /// `cargo-lambda-musl` with this verb and these arguments.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut program = self.command("scripts/cli");
        program.args(arguments);
        program
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        run(self.program(arguments))
    }

    /// Deploys the package under this name.
    pub fn deploy(&self, name: &str, options: &[&str]) -> Run {
        build();
        self.run(&[&["deploy", name, "--zip", ZIP], options].concat())
    }

    /// What the client itself answers, without a trace.
    pub fn ask(&self, arguments: &[&str]) -> Value {
        let mut client = self.command("python3");
        client.args(["-m", "awscli", "--region=eu-central-1", "--output=json"]);
        client.args(arguments).env("PYTHONPATH", wheels());
        let answer = run(client).succeeded().stdout;
        serde_json::from_str(&answer).unwrap_or_default()
    }

    pub fn function(&self, name: &str) -> Value {
        self.ask(&["lambda", "get-function", "--function-name", name])
    }
}

/// A request as far as it decides about the answer.
pub struct Request {
    /// The method and the path.
    pub line: String,
    pub body: Vec<u8>,
}

/// What somebody between the client and AWS makes of a request.
pub enum Answer {
    /// AWS answers.
    Pass,
    /// The connection ends.
    Cut,
    /// A status, headers and a body.
    Instead(u16, &'static [(&'static str, &'static str)], String),
}

/// An error of AWS's.
pub fn refuse(status: u16, code: &'static [(&'static str, &'static str)]) -> Answer {
    Answer::Instead(status, code, r#"{"message":"said so"}"#.into())
}

/// Stands between the client and AWS, and returns its port.
pub fn between(decide: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let aws = moto();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let _ = answer(client, aws, &decide);
        }
    });
    port
}

fn answer(
    mut client: TcpStream,
    aws: u16,
    decide: &impl Fn(&Request) -> Answer,
) -> std::io::Result<()> {
    let mut read = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    let (head, request) = loop {
        let count = client.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        read.extend(&buffer[..count]);
        let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let value = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        if value("expect").is_some() && read.len() == end + 4 {
            client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let length: usize = value("content-length").map_or(0, |length| length.parse().unwrap());
        if read.len() >= end + 4 + length {
            let line = head.lines().next().unwrap().to_owned();
            let body = read[end + 4..].to_vec();
            break (head, Request { line, body });
        }
    };
    match decide(&request) {
        Answer::Cut => client.shutdown(Shutdown::Both),
        Answer::Instead(status, headers, body) => {
            let headers: String = headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .collect();
            write!(
                client,
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
                body.len()
            )
        }
        Answer::Pass => {
            let mut aws = TcpStream::connect((Ipv4Addr::LOCALHOST, aws))?;
            let is_kept = |line: &&str| {
                let line = line.to_ascii_lowercase();
                !line.starts_with("connection:") && !line.starts_with("expect:")
            };
            let head: Vec<&str> = head.lines().filter(is_kept).collect();
            write!(aws, "{}\r\nConnection: close\r\n\r\n", head.join("\r\n"))?;
            aws.write_all(&request.body)?;
            let mut answer = Vec::new();
            aws.read_to_end(&mut answer)?;
            client.write_all(&answer)
        }
    }
}
