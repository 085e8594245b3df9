//! Functions that run as a program of their own: what they do to their environment, how they exit and what they print.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output, Stdio},
};

/// What `main` makes of a function: an error is printed, and the status is 1.
pub fn main(end: Result<(), lambda_musl::Error>) {
    use std::process::Termination;
    let code = end.report();
    std::process::exit(i32::from(code != ExitCode::SUCCESS));
}

/// A function of this test program: an ignored test of this name, run by itself.
pub fn function(name: &str, address: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What it printed on stderr; it ended with status 1.
pub fn stderr(output: Output) -> String {
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

/// Compiles a program of its own, with this crate for LAMBDA_MUSL; returns the target directory.
pub fn compile(name: &str, manifest: &str, main: &str, options: &[&str]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(dir.join("src")).unwrap();
    let manifest = manifest.replace("LAMBDA_MUSL", root.to_str().unwrap());
    fs::write(dir.join("Cargo.toml"), manifest).unwrap();
    fs::write(dir.join("src/main.rs"), main).unwrap();
    fs::copy(root.join("Cargo.lock"), dir.join("Cargo.lock")).unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--target-dir", "target"])
        .args(options)
        .current_dir(&dir)
        .status()
        .unwrap();
    assert!(built.success());
    dir.join("target")
}
