//! The Rust toolchain: the one that a project names in its rust-toolchain file, else the one that this program pins.

use std::path::{Path, PathBuf};
use std::{fs, process::Command};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::command::{find, output};
use crate::{arch::Arch, cache::Cache, configuration::Home, environment, files::At, step};

/// What is taken where a project names no toolchain.
const PINNED: &str = include_str!("../../rust-toolchain.toml");

/// An installed toolchain.
pub struct Rust {
    channel: String,
    /// The directory of its programs.
    pub bin: PathBuf,
    pub sysroot: PathBuf,
    /// The home that cargo is to have.
    pub cargo_home: PathBuf,
    /// As rustc says it, like `1.99.1 (58cf8f9c3 2026-10-13)`.
    pub version: String,
    pub commit: String,
    /// The version of LLVM, whose library for panics comes with it.
    pub llvm: String,
    /// The triple of this machine.
    pub host: String,
}

impl Rust {
    /// The toolchain for a project in `directory`, which is installed where it is not.
    pub fn of(directory: &Path, cache: &Cache) -> Result<Self> {
        let channel = channel(directory)?;
        let targets = [Arch::X86_64.triple(), Arch::Arm64.triple()];
        let options: Vec<&str> = targets.iter().flat_map(|triple| ["--target", triple]).collect();
        let sysroot = install(&channel, &options, &targets, cache)?;
        let bin = sysroot.join("bin");
        let about = output(Command::new(bin.join("rustc")).arg("-vV"))?;
        let line = |key: &str| about.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().to_owned();
        let [version, commit, llvm, host] = ["rustc ", "commit-hash: ", "LLVM version: ", "host: "].map(line);
        let cargo_home = Home::of_this_machine()?.prepare(cache)?;
        Ok(Self { version, commit, llvm, host, channel, bin, sysroot, cargo_home })
    }

    /// The directory of the toolchain that runs in a container for `arch`, whatever this machine is.
    pub fn in_container(&self, arch: Arch, cache: &Cache) -> Result<PathBuf> {
        let toolchain = format!("{}-{}", self.channel, arch.triple().replace("-musl", "-gnu"));
        // cross would add the sources of std itself, and hide how.
        let options = ["--force-non-host", "--component", "rust-src", "--target", arch.triple()];
        install(&toolchain, &options, &[arch.triple(), "src"], cache)
    }

    /// The toolchain that runs these tests.
    #[cfg(test)]
    pub fn for_tests() -> Self {
        let bin = Path::new(env!("CARGO")).parent().unwrap().to_owned();
        let none = String::new;
        let [sysroot, cargo_home] = ["..", "home"].map(|name| bin.join(name));
        Self { channel: none(), sysroot, cargo_home, bin, version: none(), commit: none(), llvm: none(), host: none() }
    }

    /// A program of the toolchain, like cargo, in the environment that they run in.
    pub fn program(&self, name: &str) -> Result<Command> {
        let mut command = environment::command(self.bin.join(name));
        // Build scripts may call rustup's own stand-ins.
        command.env("PATH", environment::path_with([&*self.bin])?).env("RUSTUP_TOOLCHAIN", &self.channel);
        command.env("CARGO_HOME", &self.cargo_home);
        Ok(command)
    }

    /// A program of the toolchain, in the user's own environment.
    pub fn own_program(&self, name: &str) -> Result<Command> {
        let mut command = Command::new(self.bin.join(name));
        command.env("PATH", environment::path_with([&*self.bin])?).env("RUSTUP_TOOLCHAIN", &self.channel);
        command.env_remove("CARGO_BUILD_TARGET");
        Ok(command)
    }

    /// The objcopy of LLVM that comes with it: the same on every host, for either architecture.
    pub fn objcopy(&self) -> Command {
        let libraries = self.sysroot.join("lib");
        let mut command = Command::new(libraries.join("rustlib").join(&self.host).join("bin/rust-objcopy"));
        command.env("LD_LIBRARY_PATH", &libraries).env("DYLD_LIBRARY_PATH", libraries);
        command
    }
}

/// What rustup would take in this directory: the file is looked for as rustup looks for it.
fn channel(directory: &Path) -> Result<String> {
    let directory = fs::canonicalize(directory).unwrap_or_default();
    let names = ["rust-toolchain", "rust-toolchain.toml"];
    for path in directory.ancestors().flat_map(|directory| names.map(|name| directory.join(name))) {
        if path.exists() {
            return fs::read_to_string(&path).map_err(Into::into).and_then(|text| channel_in(&text)).at(&path);
        }
    }
    channel_in(PINNED)
}

fn channel_in(text: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct File {
        toolchain: Toolchain,
    }
    #[derive(Deserialize)]
    struct Toolchain {
        channel: Option<String>,
    }
    match toml::from_str::<File>(text) {
        Ok(file) => file.toolchain.channel.context("it names no channel; expected one, like channel = \"1.99.1\""),
        // The older form is the name alone.
        Err(_) if text.trim().lines().count() == 1 && !text.contains(['[', '=']) => Ok(text.trim().to_owned()),
        Err(error) => bail!("{}", error.message()),
    }
}

pub fn rustup() -> Result<Command> {
    let beside_cargo = || Some(environment::cargo_home().ok()?.join("bin/rustup")).filter(|path| path.is_file());
    let rustup = find("rustup").or_else(beside_cargo).context("rustup is missing; `doctor --fix` installs it")?;
    let mut command = Command::new(rustup);
    command.env_remove("RUSTUP_TOOLCHAIN");
    Ok(command)
}

/// The sysroot of a toolchain that has all of `needed` below lib/rustlib, which is installed where it is not.
fn install(toolchain: &str, options: &[&str], needed: &[&str], cache: &Cache) -> Result<PathBuf> {
    let installed = || {
        let cargo = output(rustup().ok()?.args(["which", "--toolchain", toolchain, "cargo"])).ok()?;
        let sysroot = Path::new(cargo.trim()).ancestors().nth(2)?;
        needed.iter().all(|name| sysroot.join("lib/rustlib").join(name).is_dir()).then(|| sysroot.to_owned())
    };
    if let Some(sysroot) = installed() {
        return Ok(sysroot);
    }
    let _lock = cache.lock("rustup")?;
    if installed().is_none() {
        let mut rustup = rustup()?;
        rustup.args(["toolchain", "install", toolchain, "--profile", "minimal", "--no-self-update"]).args(options);
        step::run(cache, &format!("Rust {toolchain}"), &mut rustup)?;
    }
    installed().with_context(|| format!("rustup has installed Rust {toolchain}, but it is not complete"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolchain_is_named_in_either_form() {
        assert_eq!(channel_in("[toolchain]\nchannel = \"1.95.0\"\n").unwrap(), "1.95.0");
        assert_eq!(channel_in("1.95.0\n").unwrap(), "1.95.0");
        assert!(channel_in(PINNED).is_ok());
        for text in ["[toolchain]\n", "[toolchain]\npath = \"/opt/rust\"\n", "[toolchain\n"] {
            assert!(channel_in(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_file_next_to_a_project_counts_before_those_above_it() {
        let above = tempfile::tempdir().unwrap();
        let project = above.path().join("project");
        fs::create_dir(&project).unwrap();
        fs::write(above.path().join("rust-toolchain.toml"), "[toolchain]\nchannel = \"1.1.0\"\n").unwrap();
        assert_eq!(channel(&project).unwrap(), "1.1.0");
        fs::write(project.join("rust-toolchain"), "1.2.0").unwrap();
        assert_eq!(channel(&project).unwrap(), "1.2.0");
    }
}
