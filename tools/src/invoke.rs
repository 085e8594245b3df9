//! Runs a deployment package as Lambda would: under the Runtime Interface Emulator, for one event.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::{
        fd::AsFd,
        unix::{ffi::OsStrExt, fs::PermissionsExt},
    },
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use http_req::{
    request::{Method, Request},
    uri::Uri,
};
use serde::de::IgnoredAny;
use serde_json::Value;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use zip::ZipArchive;

/// How long the emulator may take to listen.
const START: Duration = Duration::from_secs(20);

/// How long an invocation may take: Lambda's own limit, and the time to start.
const INVOCATION: Duration = Duration::from_secs(15 * 60 + 30);

/// How often ports that another program has taken meanwhile are replaced by others.
const ATTEMPTS: u32 = 5;

/// Bytes of the longest event that Lambda takes; the emulator cuts what is longer without a word.
const LONGEST_EVENT: usize = 6_291_556;

/// Writes the event, which is JSON or `@` and the file that holds it, to `file`, once it is known to be JSON.
pub fn check_event(event: &Path, file: &Path) -> Result<String, String> {
    let bytes = read_event(event.as_os_str())?;
    fs::write(file, bytes).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(String::new())
}

fn read_event(event: &OsStr) -> Result<Vec<u8>, String> {
    let (name, bytes) = match event.as_bytes().strip_prefix(b"@") {
        Some(file) => {
            let file = Path::new(OsStr::from_bytes(file));
            let name = format!("EVENT=@{}", file.display());
            let bytes = fs::read(file).map_err(|error| format!("{name}: {error}"))?;
            (name, bytes)
        }
        None => ("EVENT".to_owned(), event.as_bytes().to_vec()),
    };
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(&bytes) {
        return Err(format!(
            "{name} is not JSON: {error}; expected something like EVENT='{{\"url\":\"https://example.com\"}}'"
        ));
    }
    if bytes.len() > LONGEST_EVENT {
        let length = bytes.len();
        return Err(format!(
            "{name} has {length} bytes; Lambda takes up to {LONGEST_EVENT}"
        ));
    }
    Ok(bytes)
}

/// Sends the event in the file to the function in `zip`, and prints the answer; the log goes to stderr.
///
/// `emulators` is the folder with the emulator for each architecture; `folder` is where the package is unpacked.
pub fn invoke(zip: &Path, event: &Path, emulators: &Path, folder: &Path) -> Result<String, String> {
    let event = read(event)?;
    let emulator = emulators.join(emulator_name()?);
    let task_root = folder.join("task");
    unpack(zip, &task_root)?;
    emulate_architecture(&task_root.join("binary"))?;

    let running = Running::default();
    running.stop_on_signals()?;
    let answer = start(&emulator, &task_root, &running).and_then(|address| post(address, &event));
    running.stop();
    judge(answer?)
}

/// Sends the event in the file to an emulator that was started elsewhere, at `address`, and prints the answer.
pub fn send(event: &Path, address: &Path) -> Result<String, String> {
    let event = read(event)?;
    let address = address.to_string_lossy();
    let address = address
        .parse()
        .map_err(|error| format!("{address}: {error}; expected an address like 127.0.0.1:8080"))?;
    // Before the emulator listens, what stands between may take a connection and close it.
    let patience = Instant::now() + START;
    loop {
        match post(address, &event) {
            Err(_) if Instant::now() < patience => thread::sleep(Duration::from_millis(100)),
            answer => return judge(answer?),
        }
    }
}

fn read(event: &Path) -> Result<Vec<u8>, String> {
    fs::read(event).map_err(|error| format!("{}: {error}", event.display()))
}

/// Prints an answer, and says where it is that of a failed invocation.
fn judge((status, answer): (u16, Vec<u8>)) -> Result<String, String> {
    print(&answer).map_err(|error| format!("printing the answer: {error}"))?;
    if status == 200 && !is_error(&answer) {
        return Ok(String::new());
    }
    // What ends, for whatever reason, says nothing.
    if answer.is_empty() {
        return Err("the program ended before it answered; does its main call `run`?".into());
    }
    Err("the function reported an error".into())
}

/// Prints an answer as it is; text ends with a new line.
fn print(answer: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(answer)?;
    if std::str::from_utf8(answer).is_ok_and(|text| !text.ends_with('\n')) {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}

/// Whether the answer is what Lambda makes of a failed invocation. The emulator says it in no other way.
fn is_error(answer: &[u8]) -> bool {
    const KEYS: [&str; 5] = [
        "errorType",
        "errorMessage",
        "stackTrace",
        "requestId",
        "cause",
    ];
    match serde_json::from_slice(answer) {
        Ok(Value::Object(object)) => {
            object.contains_key("errorType")
                && object.contains_key("errorMessage")
                && object.keys().all(|key| KEYS.contains(&key.as_str()))
        }
        _ => false,
    }
}

fn emulator_name() -> Result<&'static str, String> {
    match (env::consts::OS, env::consts::ARCH) {
        ("linux", "x86_64") => Ok("aws-lambda-rie-x86_64"),
        ("linux", "aarch64") => Ok("aws-lambda-rie-arm64"),
        (os, arch) => Err(format!(
            "AWS's emulator runs on Linux, x86_64 or arm64; this is {os}, {arch}"
        )),
    }
}

fn unpack(zip: &Path, folder: &Path) -> Result<(), String> {
    let describe = |error: String| format!("{}: {error}", crate::strings::file_name(zip));
    let file = fs::File::open(zip)
        .map_err(|error| describe(format!("{error}; `make` with the same OUT builds one")))?;
    ZipArchive::new(file)
        .and_then(|mut archive| archive.extract(folder))
        .map_err(|error| describe(format!("{error}; expected a deployment package")))?;
    for name in ["bootstrap", "binary"] {
        if !folder.join(name).is_file() {
            return Err(describe(format!(
                "there is no {name} in it; expected bootstrap and binary"
            )));
        }
    }
    Ok(())
}

/// Puts qemu-user before a binary for another architecture.
fn emulate_architecture(binary: &Path) -> Result<(), String> {
    let header = fs::read(binary).map_err(|error| format!("{}: {error}", binary.display()))?;
    // e_machine of the ELF header, in little-endian: 62 is x86_64, 183 is arm64.
    let (arch, qemu) = match header.get(..20) {
        Some([0x7f, b'E', b'L', b'F', .., 62, 0]) => ("x86_64", "qemu-x86_64"),
        Some([0x7f, b'E', b'L', b'F', .., 183, 0]) => ("aarch64", "qemu-aarch64"),
        _ => return Err("the binary in the package is no ELF file for x86_64 or arm64".into()),
    };
    if arch == env::consts::ARCH {
        return Ok(());
    }
    let names = [qemu.to_owned(), format!("{qemu}-static")];
    let qemu = names.iter().find_map(|name| find_program(name)).ok_or(format!(
        "the package is for {arch} and this machine is {}: install {qemu} (Debian and Ubuntu: apt-get install qemu-user-static; Fedora: dnf install qemu-user-static)",
        env::consts::ARCH
    ))?;
    let native = binary.with_file_name("binary.native");
    let script = format!(
        "#!/bin/sh\nexec {} ./binary.native \"$@\"\n",
        crate::function::quote(&qemu.to_string_lossy())
    );
    fs::rename(binary, &native)
        .and_then(|()| fs::write(binary, script))
        .and_then(|()| fs::set_permissions(binary, fs::Permissions::from_mode(0o755)))
        .map_err(|error| format!("{}: {error}", binary.display()))
}

fn find_program(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// The emulator with the function in it, which ends with this program, however that ends.
#[derive(Clone, Default)]
struct Running {
    child: Arc<Mutex<Option<Child>>>,
}

impl Running {
    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop_on_signals(&self) -> Result<(), String> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])
            .map_err(|error| format!("listening for signals: {error}"))?;
        let running = self.clone();
        thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                running.stop();
                process::exit(128 + signal);
            }
        });
        Ok(())
    }

    /// Whether the emulator has ended, and how.
    fn ended(&self) -> Option<String> {
        let status = self.child().as_mut()?.try_wait().ok()??;
        Some(status.to_string())
    }

    /// Lets the emulator end the function as well, which a kill would not.
    fn stop(&self) {
        let Some(mut child) = self.child().take() else {
            return;
        };
        let ask = format!("kill -TERM {}", child.id());
        let _ = Command::new("/bin/sh").arg("-c").arg(ask).status();
        let patience = Instant::now() + Duration::from_secs(5);
        while Instant::now() < patience {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Starts the emulator on ports that nobody else has.
fn start(emulator: &Path, task_root: &Path, running: &Running) -> Result<SocketAddr, String> {
    let mut ended = String::new();
    for _ in 0..ATTEMPTS {
        let [address, runtime_api] =
            free_ports().map_err(|error| format!("a free port: {error}"))?;
        let stderr = || io::stderr().as_fd().try_clone_to_owned();
        let log = [stderr(), stderr()].map(|fd| fd.map_or(Stdio::null(), Stdio::from));
        let [out, err] = log;
        let child = Command::new(emulator)
            .args(["--log-level", "error"])
            .args(["--runtime-interface-emulator-address", &address.to_string()])
            .args(["--runtime-api-address", &runtime_api.to_string()])
            .arg(task_root.join("bootstrap"))
            .current_dir(task_root)
            .env("LAMBDA_TASK_ROOT", task_root)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|error| format!("{}: {error}", emulator.display()))?;
        *running.child() = Some(child);
        let patience = Instant::now() + START;
        while Instant::now() < patience {
            if let Some(status) = running.ended() {
                ended = status;
                break;
            }
            if TcpStream::connect(address).is_ok() {
                return Ok(address);
            }
            thread::sleep(Duration::from_millis(5));
        }
        running.stop();
    }
    Err(format!("the emulator did not start: {ended}"))
}

fn free_ports() -> io::Result<[SocketAddr; 2]> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let second = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok([first.local_addr()?, second.local_addr()?])
}

fn post(address: SocketAddr, event: &[u8]) -> Result<(u16, Vec<u8>), String> {
    let url = format!("http://{address}/2015-03-31/functions/function/invocations");
    let uri = Uri::try_from(url.as_str()).map_err(|error| format!("{url}: {error}"))?;
    let mut answer = Vec::new();
    let response = Request::new(&uri)
        .method(Method::POST)
        .read_timeout(None::<Duration>)
        .timeout(INVOCATION)
        .body(event)
        .send(&mut answer)
        .map_err(|error| format!("the emulator did not answer: {error}"))?;
    Ok((u16::from(response.status_code()), answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_the_form_of_lambdas_errors_is_an_error() {
        assert!(is_error(
            br#"{"errorType":"Function.Error","errorMessage":"no"}"#
        ));
        assert!(is_error(
            br#"{"errorType":"a","errorMessage":"b","stackTrace":[],"requestId":"c"}"#
        ));
    }

    #[test]
    fn an_answer_that_only_mentions_errors_is_an_answer() {
        for answer in [
            r#"{"errorType":"a"}"#,
            r#"{"errorType":"a","errorMessage":"b","url":"c"}"#,
            r#""errorType errorMessage""#,
            "not JSON",
        ] {
            assert!(!is_error(answer.as_bytes()), "{answer}");
        }
    }

    #[test]
    fn an_event_that_is_not_json_is_named_with_the_position() {
        let error = read_event(OsStr::new("{\"url\":")).unwrap_err();
        assert!(error.contains("line 1 column 7"), "{error}");
    }

    #[test]
    fn an_event_can_be_read_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("my event.json");
        fs::write(&file, "[1]\n").unwrap();
        let event = format!("@{}", file.display());
        assert_eq!(read_event(OsStr::new(&event)).unwrap(), b"[1]\n");
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let error = read_event(OsStr::new("@nowhere.json")).unwrap_err();
        assert!(error.starts_with("EVENT=@nowhere.json: "), "{error}");
    }
}
