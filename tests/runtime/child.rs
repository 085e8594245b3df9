//! Functions that run in a process of their own, for tests of their environment, exit status and output.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output, Stdio},
};

/// Exits as a `main` that returns `end` does: if `end` is an error, prints it and exits with status 1.
pub fn main(end: Result<(), lambda_musl::Error>) {
    use std::process::Termination;
    let code = end.report();
    std::process::exit(i32::from(code != ExitCode::SUCCESS));
}

/// The command that runs a function: the ignored test `name` of this test program.
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

/// Runs a function with these environment variables to its end. Returns the text on stderr. Checks that the exit status is 1.
pub fn run(name: &str, address: &str, variables: &[(&str, &str)]) -> String {
    stderr(function(name, address).envs(variables.iter().copied()).output().unwrap())
}

/// The text on stderr. Checks that the exit status is 1.
pub fn stderr(output: Output) -> String {
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

/// Compiles a separate program, and returns its path. `manifest` is the rest of its manifest after the dependency on this crate.
pub fn compile(name: &str, manifest: &str, main: &str, target: Option<&str>) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(dir.join("src")).unwrap();
    let manifest = format!(
        "[workspace]\n[package]\nname = '{name}'\nedition = '2024'\n\
         [dependencies]\nlambda-musl = {{ path = '{}' }}\n{manifest}\n",
        root.display()
    );
    fs::write(dir.join("Cargo.toml"), manifest).unwrap();
    fs::write(dir.join("src/main.rs"), main).unwrap();
    fs::copy(root.join("Cargo.lock"), dir.join("Cargo.lock")).unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--target-dir", "target"])
        .args(target.map(|target| format!("--target={target}")))
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .current_dir(&dir)
        .status()
        .unwrap();
    assert!(built.success());
    dir.join("target").join(target.unwrap_or_default()).join("debug").join(name)
}
