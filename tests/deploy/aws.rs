//! The stand-in for AWS: moto, the real `aws` client, and a proxy between them.

use std::{
    env, fs,
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{LazyLock, OnceLock},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::machine::{Run, call, command, make, python, root, run, wait_until, write_program};

/// The deployment package of all tests.
pub const ZIP: &str = "dist/greeting/function.zip";

/// moto's account.
pub const ACCOUNT: &str = "123456789012";

/// The directory of the Python packages of the client and moto.
pub fn wheels() -> &'static Path {
    static WHEELS: LazyLock<PathBuf> = LazyLock::new(|| {
        let wheels = call("scripts/cli", &["wheel", "aws"]).succeeded();
        wheels.last_line().into()
    });
    &WHEELS
}

/// The Python interpreter itself. `python3` in `PATH` may be a script that starts it.
pub fn python3() -> &'static str {
    static PYTHON: LazyLock<String> =
        LazyLock::new(|| python("import sys; print(sys.executable)", &[]).trim().to_owned());
    &PYTHON
}

/// The program, compiled once.
fn program() -> &'static str {
    static PROGRAM: LazyLock<String> = LazyLock::new(|| {
        call("scripts/cli", &["--version"]).succeeded();
        let program = root().join("target/cli/release/cargo-lambda-musl");
        program.display().to_string()
    });
    &PROGRAM
}

/// Builds the deployment package, once for all tests.
pub fn build() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        make(&["CRATE=examples/greeting", "OUT=dist/greeting"]).succeeded();
    });
    root().join(ZIP)
}

/// The servers, which run as long as the tests do.
struct Servers {
    /// The shell that starts the servers. Its input ends with this program, and then the shell stops them.
    _shell: Child,
    /// The port of moto.
    moto: u16,
    directory: TempDir,
}

fn servers() -> &'static Servers {
    static SERVERS: LazyLock<Servers> = LazyLock::new(|| {
        let directory = tempfile::tempdir().unwrap();
        let (moto, socket) = (free_port(), directory.path().join("client"));
        let mut shell = command("/bin/sh", root());
        let servers = "\"$1\" -m moto.server -p \"$2\" & moto=$!; \"$1\" tests/deploy/client.py serve \"$3\" & cat; kill $moto $!";
        shell.args(["-c", servers, "sh", python3(), &moto.to_string()]).arg(&socket);
        shell.env("PYTHONPATH", wheels()).env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true");
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let shell = shell.spawn().unwrap();
        let listens =
            || TcpStream::connect((Ipv4Addr::LOCALHOST, moto)).is_ok() && UnixStream::connect(&socket).is_ok();
        assert!(wait_until(listens, Duration::from_secs(60)), "moto or the client does not start");
        Servers { _shell: shell, moto, directory }
    });
    &SERVERS
}

fn moto() -> u16 {
    servers().moto
}

/// The beginning of the shell command that calls the client.
fn client() -> String {
    let [script, socket] = [root().join("tests/deploy/client.py"), servers().directory.path().join("client")];
    format!("'{}' -I -S '{}' call '{}'", python3(), script.display(), socket.display())
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// An account, with a client that logs every call.
pub struct Aws {
    directory: TempDir,
    port: u16,
    /// The role of functions by default, because `deploy` needs time to create one.
    role: String,
}

impl Aws {
    pub fn new() -> Self {
        Self::behind(moto())
    }

    /// An account whose client connects to a proxy on this port.
    pub fn behind(port: u16) -> Self {
        let aws = Self { directory: tempfile::tempdir().unwrap(), port, role: role() };
        fs::create_dir(aws.path("bin")).unwrap();
        aws.client("");
        aws
    }

    /// An account in which `deploy` creates a role for each function.
    pub fn without_role() -> Self {
        Self { role: String::new(), ..Self::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Lets the client run a shell script first, which has the arguments of the call in `$@`.
    pub fn client(&self, first: &str) {
        let log = self.path("calls");
        let script =
            format!("{{ printf '%s\\n' \"$@\"; echo; }} >>'{}'\n{first}\nexec {} \"$@\"", log.display(), client());
        write_program(&self.path("bin/aws"), &script);
    }

    /// The arguments of each call since the last use of this function.
    pub fn calls(&self) -> Vec<Vec<String>> {
        let log = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.path("calls"));
        let calls = log.split_terminator("\n\n");
        calls.map(|call| call.lines().map(Into::into).collect()).collect()
    }

    /// The operations of these calls that change something.
    pub fn changes(&self) -> Vec<String> {
        let calls = self.calls();
        let operations = calls.iter().map(|call| call[1].clone());
        let is_read = |name: &String| ["get-", "list-", "wait"].iter().any(|start| name.starts_with(start));
        operations.filter(|name| !is_read(name)).collect()
    }

    /// A command in the clone that uses this account.
    pub fn command(&self, program: &str) -> Command {
        let mut command = command(program, root());
        let path = env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.path("bin").display()));
        command
            .env("HOME", self.directory.path())
            .envs(["CARGO_HOME", "RUSTUP_HOME"].into_iter().filter_map(|name| {
                let below = if name == "CARGO_HOME" { ".cargo" } else { ".rustup" };
                let own = env::var_os(name).map(PathBuf::from);
                Some((name, own.or(Some(Path::new(&env::var_os("HOME")?).join(below)))?))
            }))
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port))
            .env("ROLE", &self.role)
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "a secret key")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    /// `cargo-lambda-musl` with these arguments.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut program = self.command(program());
        program.args(arguments);
        program.env("LAMBDA_MUSL_CACHE", root().join("target/cache"));
        program
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        run(self.program(arguments))
    }

    /// Deploys the package as a function with this name.
    pub fn deploy(&self, name: &str, options: &[&str]) -> Run {
        build();
        self.run(&[&["deploy", name, "--zip", ZIP], options].concat())
    }

    /// Calls the client without logging the call, and returns its output.
    pub fn client_output(&self, arguments: &[&str]) -> Value {
        let mut shell = self.command("/bin/sh");
        let words = format!("exec {} \"$@\" --region=eu-central-1 --output=json", client());
        shell.args(["-c", &words, "aws"]).args(arguments);
        let answer = run(shell).succeeded().stdout;
        serde_json::from_str(&answer).unwrap_or_default()
    }

    /// Sends a request to moto without the client, which is fast and is not logged. Returns the response.
    pub fn request(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = send("lambda", "application/json", method, path, &body.to_string());
        serde_json::from_str(&answer).unwrap()
    }

    pub fn function(&self, name: &str) -> Value {
        self.request("GET", &format!("/2015-03-31/functions/{name}"), &json!({}))
    }

    /// Creates a function without `deploy`.
    pub fn create(&self, name: &str, zip: &str, with: Value) {
        let code = "import base64, sys; print(base64.b64encode(open(sys.argv[1], 'rb').read()).decode())";
        let zip = python(code, &[&root().join(zip)]);
        let mut function = json!({
            "FunctionName": name, "Runtime": "provided.al2023", "Handler": "bootstrap", "Role": role(),
            "Architectures": ["x86_64"], "Code": {"ZipFile": zip.trim()}
        });
        function.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        self.request("POST", "/2015-03-31/functions", &function);
    }
}

/// Sends a request for a service to moto, which checks no signature. Returns the body of the response.
fn send(service: &str, kind: &str, method: &str, path: &str, body: &str) -> String {
    let mut aws = TcpStream::connect((Ipv4Addr::LOCALHOST, moto())).unwrap();
    let scope = format!("AWS4-HMAC-SHA256 Credential=a/20260101/eu-central-1/{service}/aws4_request");
    write!(
        aws,
        "{method} {path} HTTP/1.1\r\nHost: {service}.amazonaws.com\r\nAuthorization: {scope}, SignedHeaders=host, Signature=a\r\n\
         Connection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    aws.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 ") || head.contains(" 201 "), "{answer}");
    body.to_owned()
}

/// The ARN of a role that exists.
pub fn role() -> String {
    static CREATED: OnceLock<()> = OnceLock::new();
    CREATED.get_or_init(|| {
        let trust = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B\
            %22Service%22%3A%22lambda.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D";
        let body = format!("Action=CreateRole&Version=2010-05-08&RoleName=shared&Path=/&AssumeRolePolicyDocument={trust}");
        let answer = send("iam", "application/x-www-form-urlencoded", "POST", "/", &body);
        assert!(answer.contains(":role/shared"), "{answer}");
    });
    format!("arn:aws:iam::{ACCOUNT}:role/shared")
}

/// The parts of a request that determine the response.
pub struct Request {
    /// The request line, with the method and the path.
    pub line: String,
    pub body: Vec<u8>,
}

/// What the proxy does with a request.
pub enum Answer {
    /// Forwards the request to AWS.
    Pass,
    /// Closes the connection.
    Cut,
    /// Responds with a status, headers and a body.
    Instead(u16, &'static [(&'static str, &'static str)], String),
}

/// An error response of AWS.
pub fn refuse(status: u16, code: &'static [(&'static str, &'static str)]) -> Answer {
    Answer::Instead(status, code, r#"{"message":"refused"}"#.into())
}

/// Starts a proxy between the client and AWS, and returns its port.
pub fn proxy(decide: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> u16 {
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

fn answer(mut client: TcpStream, aws: u16, decide: &impl Fn(&Request) -> Answer) -> std::io::Result<()> {
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
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
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
