//! cross, which runs cargo in the builder image.

use std::ffi::{OsStr, OsString};
use std::os::unix::{fs::symlink, process::CommandExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::command::{output, quoted};
use crate::configuration::Home;
use crate::files::At;
use crate::rust::{Rust, rustup};
use crate::{arch::Arch, cache::Cache, engine::Engine, environment, names, project::Function, step};

pub const VERSION: &str = "0.2.5";

/// The variables that cross passes on, in addition to `CARGO_*`, those for proxies, and those that the user lets through.
/// The image sets the other variables that a build needs.
const PASSED: [&str; 2] = [environment::SOURCE_DATE_EPOCH.0, names::VARIABLE];

/// The variables for the paths of the real programs, which the shims call.
const RUSTC: &str = "LAMBDA_MUSL_RUSTC";
const RUSTUP: &str = "LAMBDA_MUSL_RUSTUP";
/// The variable for the toolchain that runs in the container.
const CONTAINER_RUST: &str = "LAMBDA_MUSL_CONTAINER_RUST";

/// cross, and the toolchain that runs in its container.
pub struct Cross {
    program: PathBuf,
    container_rust: PathBuf,
}

impl Cross {
    /// Compiles cross with the crates that it was released with.
    pub fn install(arch: Arch, rust: &Rust, cache: &Cache) -> Result<Self> {
        let directory = cache.entry(&format!("cross-{VERSION}"), |directory| {
            let target = cache.temporary("cross")?;
            let mut cargo = rust.program("cargo")?;
            cargo.args(["install", "cross", "--bin", "cross", "--locked", "--version", &format!("={VERSION}")]);
            // cross only runs a container, so compile it without optimization, which takes less time.
            cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
            cargo.arg("--root").arg(directory).arg("--target-dir").arg(target.path());
            step::cargo_install(cache, &format!("cross {VERSION}"), &mut cargo)
        })?;
        Ok(Self { program: directory.join("bin/cross"), container_rust: rust.in_container(arch, cache)? })
    }

    /// The command to build a function, and the files that it needs while it runs. `lock` replaces the function's lock file.
    pub fn build(
        &self, function: &Function, rust: &Rust, engine: &Engine, image: &str, lock: Option<&Path>,
    ) -> Result<(Command, TempDir)> {
        let triple = function.arch.triple();
        let files = tempfile::Builder::new().prefix("lambda-musl-cross.").tempdir()?;
        let own = env::current_exe().context("cannot determine the path of this program")?;
        for shim in ["rustc", "rustup"] {
            symlink(&own, files.path().join(shim))?;
        }
        let configuration = files.path().join("Cross.toml");
        let passed = PASSED.map(Into::into).into_iter().chain(environment::passed_by_name());
        let passed: Vec<String> = passed.map(|name| format!("{name:?}")).collect();
        fs::write(&configuration, format!("[build.env]\npassthrough = [{}]\n", passed.join(", ")))?;

        let mut command = environment::command(&self.program);
        command.args(["build", "--locked", "--release", "--bin", &function.binary, "--target", triple]);
        command.args(function.features()).current_dir(&function.directory);
        command.env("PATH", environment::path_with([files.path(), &*rust.bin])?);
        command.env(RUSTC, rust.bin.join("rustc")).env(RUSTUP, rustup()?.get_program());
        command.env(CONTAINER_RUST, &self.container_rust).env_remove("RUSTUP_TOOLCHAIN");
        command.env(format!("CROSS_TARGET_{}_IMAGE", function.arch.triple_in_variables()), image);
        command.env("CROSS_CONFIG", configuration).env("CROSS_CONTAINER_ENGINE", &engine.name);
        let mut options = format!("--platform {}", function.arch.platform());
        // The container sees the project and cargo's home, but not the configuration above the project. Only part of
        // the configuration in cargo's home applies.
        let home = Home::of_this_machine()?;
        let above = function.configuration.above(&function.workspace)?;
        for (name, text, place) in [("home", home.counts, "/cargo"), ("above", above, "/.cargo")] {
            if let Some(text) = text {
                let file = files.path().join(name);
                fs::write(&file, text).at(&file)?;
                options += &format!(" --volume {}", quoted(&format!("{}:{place}/config.toml:ro", file.display())));
            }
        }
        command.env("CARGO_HOME", &home.directory).env("CROSS_CONTAINER_OPTS", options);
        if engine.is_rootless {
            command.env("CROSS_ROOTLESS_CONTAINER_ENGINE", "1");
        }
        if let Some(lock) = lock {
            // The path in the container.
            let lock = lock.strip_prefix(&function.workspace).unwrap_or(lock);
            command.env("CARGO_RESOLVER_LOCKFILE_PATH", Path::new("/project").join(lock));
        }
        // The user's configuration may set a linker for this host that the image does not contain.
        for host in ["X86_64", "AARCH64"] {
            command.env(format!("CARGO_TARGET_{host}_UNKNOWN_LINUX_GNU_LINKER"), "cc");
        }
        command.env("CARGO_BUILD_BUILD_DIR", "/target");
        Ok((command, files))
    }
}

/// If cross called this program as `rustc` or `rustup`, does the work of that program, with output adapted for cross.
pub fn stand_in(name: &OsStr, arguments: &[OsString]) -> Option<ExitCode> {
    let sysroot = env::var_os(CONTAINER_RUST)?;
    let name = name.to_str()?;
    let variable = [("rustc", RUSTC), ("rustup", RUSTUP)].into_iter().find(|(own, _)| *own == name)?.1;
    let mut real = Command::new(env::var_os(variable).unwrap_or_default());
    real.args(arguments);
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let changed = match (name, &words[..]) {
        // cross mounts the toolchain that rustc reports, and changes its name if the host is not x86_64. Therefore, report the
        // toolchain that runs in the container, and an x86_64 host.
        ("rustc", ["--print", "sysroot"]) => Ok(format!("{}\n", sysroot.display())),
        ("rustc", ["-vV"]) => output(&mut real).map(|text| with_host(&text)),
        // Newer versions of rustup mark the active toolchain. cross would read the mark as part of the toolchain's
        // name, and install the toolchain again.
        ("rustup", ["toolchain", "list"]) => output(&mut real).map(|text| without_activity(&text)),
        _ => Err(real.exec().into()),
    };
    changed.as_ref().map_or_else(|error| eprintln!("{error:#}"), |text| print!("{text}"));
    Some(if changed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn with_host(about: &str) -> String {
    let lines = about.lines().map(|line| match line.starts_with("host: ") {
        true => "host: x86_64-unknown-linux-gnu\n".to_owned(),
        false => format!("{line}\n"),
    });
    lines.collect()
}

fn without_activity(list: &str) -> String {
    let names = list.lines().map(|line| line.split(" installed - ").next().unwrap_or(line));
    names.map(|name| name.replace(" (active)", "").replace("(active, ", "(") + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_sees_an_x86_64_host_and_a_list_of_toolchains_in_the_older_format() {
        assert_eq!(with_host("rustc 1\nhost: aarch64-apple-darwin\n"), "rustc 1\nhost: x86_64-unknown-linux-gnu\n");
        let list = "stable-x86_64-unknown-linux-gnu (active, default)\n1.99.1-x86_64-unknown-linux-gnu (active)\n";
        let older = "stable-x86_64-unknown-linux-gnu (default)\n1.99.1-x86_64-unknown-linux-gnu\n";
        assert_eq!(without_activity(list), older);
    }
}
