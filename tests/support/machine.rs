//! Runs make as a user would, here or in a copy of the clone.

#![allow(dead_code, reason = "each test program uses a part")]

use std::{
    env,
    fmt::Display,
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// The clone that is tested.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// This machine's architecture, as `ARCH=` has it.
pub fn arch() -> &'static str {
    match env::consts::ARCH {
        "aarch64" => "arm64",
        arch => arch,
    }
}

/// Lets everybody run a file.
pub fn make_executable(file: &Path) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What a command left behind.
#[derive(Debug)]
pub struct Run {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Run {
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert!(self.success, "{}{}", self.stdout, self.stderr);
        self
    }

    /// Failed, with all of these on stderr.
    #[track_caller]
    pub fn failed_with(self, words: &[&str]) -> Self {
        assert!(!self.success, "{}{}", self.stdout, self.stderr);
        for word in words {
            assert!(
                self.stderr.contains(word),
                "{word:?} is not in:\n{}",
                self.stderr
            );
        }
        self
    }

    pub fn last_line(&self) -> &str {
        self.stdout.lines().last().unwrap_or_default()
    }
}

/// A command in `directory` without what the test runner and an outer make have left in the environment.
pub fn command(program: impl AsRef<Path>, directory: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    command.current_dir(directory).stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let ours = [
            "ARCH",
            "CRATE",
            "OUT",
            "ZIP",
            "EVENT",
            "RUN",
            "LD_LIBRARY_PATH",
            "TMPDIR",
        ];
        let cargos = text.starts_with("CARGO") && text != "CARGO_HOME";
        if cargos || text.starts_with("MAKE") || text == "MFLAGS" || ours.contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command
}

pub fn run(mut command: Command) -> Run {
    let start = Instant::now();
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Run {
        success: output.status.success(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        took: start.elapsed(),
    }
}

/// A program with these arguments, in the clone.
pub fn call(program: impl AsRef<Path>, arguments: &[&str]) -> Run {
    let mut command = command(program, root());
    command.args(arguments);
    run(command)
}

/// make with these arguments, in the clone.
pub fn make(arguments: &[&str]) -> Run {
    call("make", arguments)
}

/// What `code` in Python prints about these files.
pub fn python(code: &str, files: &[&Path]) -> String {
    let mut python = command("python3", root());
    python.args(["-c", code]).args(files);
    run(python).succeeded().stdout
}

/// The checksum of a file.
pub fn sha256(file: &Path) -> String {
    call("sha256sum", &[&file.to_string_lossy()])
        .succeeded()
        .stdout[..64]
        .to_owned()
}

/// Sends a signal to a process, or to a group of them where its id is below zero.
pub fn kill(signal: &str, process: impl Display) {
    call("/bin/sh", &["-c", &format!("kill -{signal} {process}")]).succeeded();
}

/// Makes a crate out of its manifest and its `main.rs`.
pub fn write_crate(directory: &Path, manifest: &str, main: &str) {
    fs::create_dir_all(directory.join("src")).unwrap();
    fs::write(directory.join("Cargo.toml"), manifest).unwrap();
    fs::write(directory.join("src/main.rs"), main).unwrap();
}

/// A directory for `PATH` with every program that this machine has but `without`.
pub fn programs_without(without: &str, directory: &Path) {
    for from in env::split_paths(&env::var_os("PATH").unwrap()) {
        for entry in fs::read_dir(from).into_iter().flatten().flatten() {
            if entry.file_name() != without {
                // The first of a name wins, as in PATH.
                let _ = symlink(entry.path(), directory.join(entry.file_name()));
            }
        }
    }
}

/// Where `program` is.
pub fn find_program(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// Says that a test was left out, here and at the end of `make test`.
pub fn skip(what: &str, why: &str) {
    let line = format!("{what}: {why}\n");
    eprint!("SKIPPED: {line}");
    if let Some(file) = env::var_os("LAMBDA_MUSL_SKIPPED") {
        let mut file = fs::OpenOptions::new().append(true).open(file).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}
