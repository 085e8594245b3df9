//! cross: it runs cargo in the builder image.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::{fs::symlink, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{cache::Cache, command::output, engine::Engine, environment, project::Function, rust::{Rust, rustup}, step};

pub const VERSION: &str = "0.2.5";

/// What cross passes on beside CARGO_* and proxies. The rest of what a build needs of the environment is in the image.
const CONFIGURATION: &str = "[build.env]\npassthrough = [\"SOURCE_DATE_EPOCH\"]\n";

/// Where the real programs are that the shims call.
const RUSTC: &str = "LAMBDA_MUSL_RUSTC";
const RUSTUP: &str = "LAMBDA_MUSL_RUSTUP";
/// The toolchain that runs in the container.
const CONTAINER_RUST: &str = "LAMBDA_MUSL_CONTAINER_RUST";

/// Compiles cross with the crates that it was released with, and says where its program is.
pub fn install(rust: &Rust, cache: &Cache) -> Result<PathBuf> {
    let directory = cache.entry(&format!("cross-{VERSION}"), |directory| {
        let target = cache.temporary("cross")?;
        let mut cargo = rust.program("cargo")?;
        cargo.args(["install", "cross", "--locked", "--version", &format!("={VERSION}")]);
        cargo.arg("--root").arg(directory).arg("--target-dir").arg(target.path());
        step::cargo_install(cache, &format!("cross {VERSION}"), &mut cargo)
    })?;
    Ok(directory.join("bin/cross"))
}

/// What cross is called with.
pub struct Call<'a> {
    pub cross: &'a Path,
    pub rust: &'a Rust,
    pub container_rust: &'a Path,
    pub engine: &'a Engine,
    pub image: &'a str,
    pub function: &'a Function,
    pub target: &'a Path,
    pub lock: Option<&'a Path>,
}

/// A call of cross, and the files that it needs as long as it runs.
pub struct Build {
    pub command: Command,
    _files: TempDir,
}

pub fn build(call: &Call) -> Result<Build> {
    let function = call.function;
    let triple = function.arch.triple();
    let files = tempfile::Builder::new().prefix("lambda-musl-cross.").tempdir()?;
    let own = env::current_exe().context("the path of this program")?;
    for shim in ["rustc", "rustup"] {
        symlink(&own, files.path().join(shim))?;
    }
    let configuration = files.path().join("Cross.toml");
    std::fs::write(&configuration, CONFIGURATION)?;

    let mut command = environment::command(call.cross);
    command.current_dir(&function.directory);
    command.args(["build", "--release", "--bin", &function.binary, "--target", triple]).args(function.arguments());
    command.env("PATH", environment::path_with([files.path(), &*call.rust.bin])?);
    command.env(RUSTC, call.rust.bin.join("rustc")).env(RUSTUP, rustup()?.get_program());
    command.env(CONTAINER_RUST, call.container_rust).env_remove("RUSTUP_TOOLCHAIN");
    command.env(format!("CROSS_TARGET_{}_IMAGE", function.arch.triple_in_variables()), call.image);
    command.env("CROSS_CONFIG", configuration).env("CROSS_CONTAINER_ENGINE", &call.engine.name);
    command.env("CROSS_CONTAINER_OPTS", format!("--platform {}", function.arch.platform()));
    command.env("CARGO_TARGET_DIR", call.target);
    if call.engine.is_rootless {
        command.env("CROSS_ROOTLESS_CONTAINER_ENGINE", "1");
    }
    if let Some(lock) = call.lock {
        // As the container sees it.
        let lock = lock.strip_prefix(&function.workspace).unwrap_or(lock);
        command.env("CARGO_RESOLVER_LOCKFILE_PATH", Path::new("/project").join(lock));
    }
    // What the user's cargo has set for this host is not in the image.
    for host in ["X86_64", "AARCH64"] {
        command.env(format!("CARGO_TARGET_{host}_UNKNOWN_LINUX_GNU_LINKER"), "cc");
    }
    command.env("CARGO_BUILD_RUSTC_WRAPPER", "").env("CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER", "");
    Ok(Build { command, _files: files })
}

/// A program as cross is to see it: this program, called by that name.
pub enum Shim {
    /// cross mounts the toolchain that `--print sysroot` names into the container, but for a host other than x86_64 it puts
    /// x86_64 into that name: this host is always one, and the toolchain the one that runs in the container.
    Rustc,
    /// Newer ones call a toolchain active, which cross takes for another name: it would install the toolchain anew.
    Rustup,
}

impl Shim {
    pub fn named(name: &OsStr) -> Option<Self> {
        env::var_os(CONTAINER_RUST)?;
        match name.to_str()? {
            "rustc" => Some(Self::Rustc),
            "rustup" => Some(Self::Rustup),
            _ => None,
        }
    }

    pub fn run(self, arguments: &[OsString]) -> ExitCode {
        let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
        let program = env::var_os(if matches!(self, Self::Rustc) { RUSTC } else { RUSTUP }).unwrap_or_default();
        let mut real = Command::new(program);
        real.args(arguments);
        let changed = match (self, &words[..]) {
            (Self::Rustc, ["--print", "sysroot"]) => Ok(env::var(CONTAINER_RUST).unwrap_or_default() + "\n"),
            (Self::Rustc, ["-vV"]) => output(&mut real).map(|text| with_host(&text)),
            (Self::Rustup, ["toolchain", "list"]) => output(&mut real).map(|text| without_activity(&text)),
            _ => Err(real.exec().into()),
        };
        match changed {
            Ok(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

fn with_host(about: &str) -> String {
    let lines = about.lines().map(|line| match line.starts_with("host: ") {
        true => "host: x86_64-unknown-linux-gnu\n".to_owned(),
        false => format!("{line}\n"),
    });
    lines.collect()
}

fn without_activity(list: &str) -> String {
    let lines = list.lines().map(|line| {
        let line = line.split(" installed - ").next().unwrap_or(line);
        line.replace(" (active)", "").replace("(active, ", "(") + "\n"
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_sees_a_host_that_it_knows() {
        assert_eq!(with_host("rustc 1\nhost: aarch64-apple-darwin\n"), "rustc 1\nhost: x86_64-unknown-linux-gnu\n");
    }

    #[test]
    fn cross_sees_toolchains_as_older_rustups_list_them() {
        let list = "stable-x86_64-unknown-linux-gnu (active, default)\n1.99.1-x86_64-unknown-linux-gnu (active)\n";
        assert_eq!(without_activity(list), "stable-x86_64-unknown-linux-gnu (default)\n1.99.1-x86_64-unknown-linux-gnu\n");
    }
}
