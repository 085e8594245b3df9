//! Helpers that start `cargo lambda-musl dev` and create projects for it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use lambda_musl::{
    client::{Request, Response},
    http_req::request::Method,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::machine::{MARK, cargo_lambda_musl, kill, root, write_crate};

/// The limit for steps that take seconds on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A function that does what the event requests, and responds with details of its process.
pub const SUBJECT: &str = r#"
use lambda_musl::{Context, Raw};
use serde_json::{Value, json};
use std::{collections::BTreeMap, env, process, thread, time::Duration};

fn main() -> Result<(), lambda_musl::Error> {
    lambda_musl::run(async |event: Value, context: Context| -> Result<Raw, String> {
        match event["do"].as_str().unwrap_or_default() {
            "panic" => panic!("oh no"),
            "fail" => return Err("it cannot".into()),
            "loop" => loop {},
            "sleep" => thread::sleep(Duration::from_millis(event["ms"].as_u64().unwrap())),
            "exit" => process::exit(7),
            "abort" => process::abort(),
            "text" => return Ok(Raw::new("text/plain", "no JSON")),
            "print" => println!("a line of the handler"),
            "child" => drop(process::Command::new("sleep").arg("1000").spawn()),
            _ => {}
        }
        let variables: BTreeMap<String, String> = env::vars().collect();
        let directory = env::current_dir().unwrap();
        let client: Option<Value> = context.client_context().unwrap();
        let about = json!({"process": process::id(), "event": event, "env": variables, "directory": directory, "client": client});
        Ok(Raw::new("application/json", about.to_string()))
    })
}
"#;

/// Creates a directory with a space in its name.
pub fn new_directory() -> TempDir {
    tempfile::Builder::new().prefix("my functions ").tempdir().unwrap()
}

/// Creates a package with this `main.rs`. All packages share a target directory, so each needs a different name.
pub fn project(directory: &Path, name: &str, main: &str) -> PathBuf {
    let project = directory.join(name);
    let manifest = format!(
        "[package]\nname = '{name}'\nedition = '2024'\n[dependencies]\nserde_json = '1'\n
        lambda-musl = {{ path = '{}', features = ['http', 'shutdown'] }}\n[workspace]\n",
        root().display()
    );
    write_crate(&project, &manifest, main);
    fs::copy(root().join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    project
}

/// Copies an example. The path dependencies of the copy refer to the clone.
pub fn example(directory: &Path, name: &str) -> PathBuf {
    let (project, example) = (directory.join(name), root().join("examples").join(name));
    let manifest = fs::read_to_string(example.join("Cargo.toml")).unwrap();
    let manifest = manifest.replace("../..", &root().display().to_string()) + "\n[workspace]\n";
    let main = fs::read_to_string(example.join("src/main.rs")).unwrap();
    write_crate(&project, &manifest, &main);
    fs::copy(root().join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    project
}

/// Replaces a text in `src/main.rs` and saves the file.
pub fn edit(project: &Path, from: &str, to: &str) {
    let main = project.join("src/main.rs");
    let text = fs::read_to_string(&main).unwrap();
    assert!(text.contains(from), "src/main.rs does not contain {from:?}: {text}");
    fs::write(main, text.replace(from, to)).unwrap();
}

/// `cargo lambda-musl` in a project, with the target directory that all projects of these tests share.
pub fn cargo(project: &Path, arguments: &[&str]) -> Command {
    let mut cargo = cargo_lambda_musl(project);
    cargo.args(arguments);
    cargo.env("CARGO_TARGET_DIR", root().join("target/dev"));
    cargo
}

pub struct Dev {
    child: Child,
    records: Arc<Mutex<Vec<Value>>>,
    stderr: Arc<Mutex<String>>,
    pub port: u16,
}

impl Dev {
    /// Starts a server on a free port.
    pub fn start(project: &Path, arguments: &[&str]) -> Self {
        let mut command = cargo(project, &["dev", "--port", "0"]);
        command.args(arguments);
        Self::run(command)
    }

    /// Runs a command that starts a server, and waits until it serves. The command must print lines of JSON.
    pub fn run(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (records, stderr) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::<Mutex<String>>::default());
        let (mut output, kept) = (child.stderr.take().unwrap(), Arc::clone(&stderr));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                kept.lock().unwrap().push_str(&text);
            }
        });
        let (stdout, kept) = (child.stdout.take().unwrap(), Arc::clone(&records));
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // One test prints millions of empty lines.
                if line.contains(r#""line":"""#) {
                    continue;
                }
                let record = serde_json::from_str(&line);
                let record = record.unwrap_or_else(|error| Value::String(format!("{error}: {line}")));
                kept.lock().unwrap().push(record);
            }
        });
        let mut dev = Self { child, records, stderr, port: 0 };
        let url = dev.wait_for("serving", |_| true)["url"].as_str().unwrap().to_owned();
        dev.port = url.trim_end_matches('/').rsplit_once(':').unwrap().1.parse().unwrap();
        dev
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn records(&self) -> Vec<Value> {
        self.records.lock().unwrap().clone()
    }

    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// The records of a type.
    pub fn of_type(&self, kind: &str) -> Vec<Value> {
        let records = self.records();
        if let Some(text) = records.iter().find(|record| record.is_string()) {
            panic!("not JSON: {text}");
        }
        records.into_iter().filter(|record| record["type"] == kind).collect()
    }

    /// Waits for a matching record of a type.
    #[track_caller]
    pub fn wait_for(&self, kind: &str, matches: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(record) = self.of_type(kind).into_iter().rfind(&matches) {
                return record;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("no matching {kind}: {:?}\n{}", self.records(), self.stderr());
    }

    /// Invokes a function and returns its response.
    pub fn invoke(&self, name: &str, event: &Value) -> Value {
        self.invocation(name, event).json().unwrap()
    }

    pub fn invocation(&self, name: &str, event: &Value) -> Response {
        let path = format!("2015-03-31/functions/{name}/invocations");
        self.send(Request::new(Method::POST, self.url(&path)).json(event).unwrap())
    }

    pub fn get(&self, path: &str) -> Response {
        self.send(Request::get(self.url(path)))
    }

    pub fn send(&self, request: Request) -> Response {
        request.timeout(PATIENCE).send().unwrap_or_else(|error| panic!("{error}: {}", self.stderr()))
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}/{path}", self.port)
    }

    /// Sends a signal, waits until the server ends, and returns its exit status.
    pub fn end(&mut self, signal: &str) -> Option<i32> {
        kill(signal, self.id());
        let start = Instant::now();
        let status = self.child.wait().unwrap();
        assert!(start.elapsed() < Duration::from_secs(3), "it took {:?}", start.elapsed());
        status.code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            kill("TERM", self.id());
            let _ = self.child.wait();
        }
    }
}

/// Marks the processes that a command starts.
pub fn marked(mut command: Command, mark: &str) -> Command {
    command.env(MARK, mark);
    command
}
