//! The stand-in for AWS: moto, the real `aws` client, and a proxy between them.

use std::{
    env, fs,
    io::{self, Read, Write},
    mem,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{LazyLock, OnceLock},
    time::Duration,
};

use lambda_musl::{
    client,
    http_req::request::Method,
    testing::http::{self, Request, Server},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::machine::{Run, call, command, make, python, root, run, wait_until, write_program};

/// The deployment package that all tests use.
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

/// The path of the program, which is compiled once.
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
    /// The shell that starts the servers. When this program ends, the shell's input ends, and the shell stops the servers.
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
    /// The default role of functions, because `deploy` needs time to create one.
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

    /// Makes the client first run a shell script, which has the arguments of the call in `$@`.
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

    /// Of the operations in `calls`, those that change something.
    pub fn changes(&self) -> Vec<String> {
        let calls = self.calls();
        let operations = calls.iter().map(|call| call[1].clone());
        let is_read = |name: &String| ["get-", "list-", "wait"].iter().any(|start| name.starts_with(start));
        operations.filter(|name| !is_read(name)).collect()
    }

    /// A command that runs in the clone and uses this account.
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

    /// The response of moto to a request that bypasses the client, and is therefore fast and not logged.
    pub fn get(&self, path: &str) -> Value {
        send("lambda", client::Request::get(moto_url(path))).json().unwrap()
    }

    pub fn function(&self, name: &str) -> Value {
        self.get(&format!("/2015-03-31/functions/{name}"))
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
        let create = client::Request::new(Method::POST, moto_url("/2015-03-31/functions"));
        send("lambda", create.json(&function).unwrap());
    }
}

fn moto_url(path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", moto())
}

/// Sends a request for a service to moto, which does not check signatures.
fn send(service: &str, request: client::Request) -> client::Response {
    let scope = format!("AWS4-HMAC-SHA256 Credential=a/20260101/eu-central-1/{service}/aws4_request");
    let request = request
        .header("Host", format!("{service}.amazonaws.com"))
        .header("Authorization", format!("{scope}, SignedHeaders=host, Signature=a"))
        .timeout(Duration::from_secs(60));
    let answer = request.send().unwrap();
    assert!(answer.is_success(), "{answer:?}");
    answer
}

/// The ARN of a role that exists.
pub fn role() -> String {
    static CREATED: OnceLock<()> = OnceLock::new();
    CREATED.get_or_init(|| {
        let trust = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B\
            %22Service%22%3A%22lambda.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D";
        let body = format!("Action=CreateRole&Version=2010-05-08&RoleName=shared&Path=/&AssumeRolePolicyDocument={trust}");
        let create = client::Request::new(Method::POST, moto_url("/"));
        let create = create.header("Content-Type", "application/x-www-form-urlencoded").body(body);
        let answer = send("iam", create);
        assert!(answer.text().unwrap().contains(":role/shared"), "{answer:?}");
    });
    format!("arn:aws:iam::{ACCOUNT}:role/shared")
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
    let moto = moto();
    let server = Server::start(move |_, mut client| {
        let Some(mut request) = http::read_head(&mut client)? else { return Ok(()) };
        if request.header("Expect").is_some() {
            client.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        request.read_body(&mut client, |_| {})?;
        let answer = match decide(&request) {
            Answer::Pass => forward(&request, moto)?,
            Answer::Cut => return Ok(()),
            Answer::Instead(status, headers, body) => {
                let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let headers = format!("Content-Type: application/json\r\nConnection: close\r\n{headers}");
                http::answer(&format!("{status} X"), headers, body)
            }
        };
        client.get_mut().write_all(&answer)
    })
    .unwrap();
    let port = server.port().parse().unwrap();
    // Dropping the server would stop it.
    mem::forget(server);
    port
}

/// Sends a request to moto. Returns the response as it is on the wire.
fn forward(request: &Request, moto: u16) -> io::Result<Vec<u8>> {
    let mut moto = TcpStream::connect((Ipv4Addr::LOCALHOST, moto))?;
    write!(moto, "{} HTTP/1.1\r\nConnection: close\r\n", request.line)?;
    for (name, value) in &request.headers {
        if !["connection", "expect"].contains(&&*name.to_ascii_lowercase()) {
            write!(moto, "{name}: {value}\r\n")?;
        }
    }
    moto.write_all(&[b"\r\n", &*request.body].concat())?;
    let mut answer = Vec::new();
    moto.read_to_end(&mut answer)?;
    Ok(answer)
}
