//! Helpers that run make and the installed program as a user does: in the clone, in a copy of it, or without a clone.

#![allow(dead_code, reason = "each test program uses only some of the helpers")]

use std::{
    env,
    fmt::Display,
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The clone under test.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files that a build creates in its output directory.
pub const BUILD_OUTPUTS: [&str; 6] =
    ["SHA256SUMS", "build.json", "function.debug", "function.zip", "licences.txt", "sbom.cdx.json"];

/// This machine's architecture, as `ARCH=` spells it.
pub fn arch() -> &'static str {
    match env::consts::ARCH {
        "aarch64" => "arm64",
        arch => arch,
    }
}

/// The result of a command.
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

    /// Asserts that the command failed and that stderr contains all of `texts`.
    #[track_caller]
    pub fn failed_with(self, texts: &[&str]) -> Self {
        assert!(!self.success, "{}{}", self.stdout, self.stderr);
        self.reported(texts)
    }

    /// Asserts that stderr contains all of `texts`.
    #[track_caller]
    pub fn reported(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "stderr does not contain {text:?}:\n{}", self.stderr);
        }
        self
    }

    pub fn last_line(&self) -> &str {
        self.stdout.lines().last().unwrap_or_default()
    }

    /// The checksum of the zip, from the last line that a build prints.
    #[track_caller]
    pub fn checksum(&self) -> String {
        let line = self.last_line();
        let checksum = line.split("sha256 ").nth(1).expect(line);
        checksum[..64].to_owned()
    }
}

/// A command in `directory` with only `CI`, `LANG` and the environment variables that locate programs, the network and a container
/// engine: nothing else reaches it from the test runner or an outer make.
pub fn command(program: impl AsRef<Path>, directory: &Path) -> Command {
    const PREFIXES: [&str; 17] = [
        "CARGO_HOME", "CI", "CONTAINER_ENGINE", "DBUS_", "DOCKER_", "HOME", "HTTP", "LANG", "NO_PROXY", "PATH", "PIP_",
        "RUSTUP_", "SSL_CERT_", "USER", "XDG_", "http", "no_proxy",
    ];
    let is_passed = |name: &str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let passed = env::vars().filter(|(name, _)| is_passed(name));
    let mut command = Command::new(program.as_ref());
    command.env_clear().envs(passed);
    command.current_dir(directory).stdin(Stdio::null());
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

/// Runs a program with these arguments in the clone.
pub fn call(program: impl AsRef<Path>, arguments: &[&str]) -> Run {
    let mut command = command(program, root());
    command.args(arguments);
    run(command)
}

/// Runs make with these arguments in the clone.
pub fn make(arguments: &[&str]) -> Run {
    call("make", arguments)
}

/// Builds a crate with make into the `out` directory.
pub fn build_crate(krate: &Path, out: &Path, more: &[&str]) -> Run {
    let mut make = command("make", root());
    make.arg(format!("CRATE={}", krate.display())).arg(format!("OUT={}", out.display())).args(more);
    run(make)
}

/// The time that the fastest of three runs of a command took.
pub fn best_of_three(command: impl Fn() -> Run) -> Duration {
    let times = [(); 3].map(|()| command().succeeded().took);
    times.into_iter().min().unwrap()
}

/// The output of the Python program `code`, which gets these files as arguments.
pub fn python(code: &str, files: &[&Path]) -> String {
    let mut python = command("python3", root());
    python.args(["-c", code]).args(files);
    run(python).succeeded().stdout
}

/// The checksum of a file.
pub fn sha256(file: &Path) -> String {
    call("sha256sum", &[&file.to_string_lossy()]).succeeded().stdout[..64].to_owned()
}

/// Sends a signal to a process, or to a process group if the id is negative.
pub fn kill(signal: &str, process: impl Display) {
    call("/bin/sh", &["-c", &format!("kill -{signal} {process}")]).succeeded();
}

/// A process that ends with the test.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The environment variable that marks the processes that a test starts.
pub const MARK: &str = "LAMBDA_MUSL_TEST";

/// The command lines of the running processes that carry a mark.
pub fn processes(mark: &str) -> String {
    let find = "for process in /proc/[0-9]*; do
        ! grep -qsz \"^$1$\" $process/environ || { tr '\\0' ' ' <$process/cmdline && echo; }
    done";
    let mark = format!("{MARK}={mark}");
    call("/bin/sh", &["-c", find, "sh", &mark]).stdout
}

/// Waits until a condition holds, but no longer than `at_most`. Returns whether it holds.
pub fn wait_until(holds: impl Fn() -> bool, at_most: Duration) -> bool {
    let start = Instant::now();
    while !holds() && start.elapsed() < at_most {
        thread::sleep(Duration::from_millis(100));
    }
    holds()
}

/// The names in a directory, sorted.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Creates a crate from a manifest and a `main.rs`.
pub fn write_crate(directory: &Path, manifest: &str, main: &str) {
    fs::create_dir_all(directory.join("src")).unwrap();
    fs::write(directory.join("Cargo.toml"), manifest).unwrap();
    fs::write(directory.join("src/main.rs"), main).unwrap();
}

/// Creates an executable shell script.
pub fn write_program(file: &Path, script: &str) {
    fs::write(file, format!("#!/bin/sh\n{script}\n")).unwrap();
    make_executable(file);
}

/// Makes a file executable for all users.
pub fn make_executable(file: &Path) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Copies these files and directories from the work tree of the clone, except files that git does not track. An unpacked archive has
/// no list of tracked files, so everything except the build outputs is copied from it.
pub fn copy_of_the_clone(paths: &[&str], to: &Path) {
    let mut list = command("git", root());
    list.args(["ls-files", "-z", "--"]).args(paths);
    let mut list = run(list);
    if !list.success {
        let outputs = ["(", "-name", "target", "-o", "-path", "./dist", ")", "-prune"];
        let mut find = command("find", root());
        find.args(paths).args(outputs);
        find.args(["-o", "-type", "f", "-print0"]);
        list = run(find).succeeded();
    }
    for file in list.stdout.split_terminator('\0') {
        let to = to.join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(root().join(file), to).unwrap();
    }
}

/// `cargo lambda-musl` in a project's directory, as on a machine without a clone. A copy of the program is in `bin` next to the
/// project. The environment contains only what locates Rust, and the path of the clone's cache, so that no second cache is filled.
pub fn cargo_lambda_musl(project: &Path) -> Command {
    let bin = project.parent().unwrap().join("bin");
    let rust = call("scripts/rust", &[]).succeeded();
    if fs::create_dir(&bin).is_ok() {
        call("scripts/cli", &["--version"]).succeeded();
        let program = "cargo-lambda-musl";
        fs::copy(root().join("target/cli/release").join(program), bin.join(program)).unwrap();
    }
    let path = env::var_os("PATH").unwrap();
    let path = [bin, rust.last_line().into()].into_iter().chain(env::split_paths(&path));
    let kept = ["HOME", "CARGO_HOME", "RUSTUP_HOME"].map(|name| Some((name, env::var_os(name)?)));
    let mut cargo = Command::new("cargo");
    cargo.arg("lambda-musl").current_dir(project).stdin(Stdio::null());
    cargo.env_clear().envs(kept.into_iter().flatten());
    cargo.env("PATH", env::join_paths(path).unwrap());
    cargo.env("LAMBDA_MUSL_CACHE", root().join("target/cache"));
    cargo
}

/// Fills a directory for `PATH` with links to every program of this machine except `without`.
pub fn programs_without(without: &[&str], directory: &Path) {
    for from in env::split_paths(&env::var_os("PATH").unwrap()) {
        for entry in fs::read_dir(from).into_iter().flatten().flatten() {
            if !without.iter().any(|name| entry.file_name() == *name) {
                // The first program of a name wins, as in PATH.
                let _ = symlink(entry.path(), directory.join(entry.file_name()));
            }
        }
    }
}

/// The path of `program`, if `PATH` contains it.
pub fn find_program(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// Reports a skipped test, here and at the end of `make test`.
pub fn skip(what: &str, why: &str) {
    let line = format!("{what}: {why}\n");
    eprint!("SKIPPED: {line}");
    if let Some(file) = env::var_os("LAMBDA_MUSL_SKIPPED") {
        let mut file = fs::OpenOptions::new().append(true).open(file).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}

/// Runs git in a directory with a fixed author.
pub fn git(directory: &Path, arguments: &[&str]) -> Run {
    let mut git = command("git", directory);
    git.args(["-c", "user.name=somebody", "-c", "user.email=somebody@example.invalid"]);
    git.args(arguments);
    run(git)
}
