//! The Rust toolchain: the one that a project names in its rust-toolchain file, else the one that this program pins.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use crate::{
    arch::Arch,
    cache::Cache,
    command::{find, output},
    environment, step,
};

/// What is taken where a project names no toolchain.
const PINNED: &str = include_str!("../../rust-toolchain.toml");

/// An installed toolchain.
pub struct Rust {
    pub channel: String,
    /// The directory of its programs.
    pub bin: PathBuf,
    pub sysroot: PathBuf,
    /// As rustc says it, like `1.99.1 (58cf8f9c3 2026-10-13)`.
    pub version: String,
    pub commit: String,
    /// The triple of this machine.
    pub host: String,
}

#[derive(Deserialize)]
struct ToolchainFile {
    toolchain: Toolchain,
}

#[derive(Deserialize)]
struct Toolchain {
    channel: Option<String>,
    path: Option<PathBuf>,
}

impl Rust {
    /// The toolchain for a project in `directory`, which is installed where it is not.
    pub fn of(directory: &Path, cache: &Cache) -> Result<Self> {
        let channel = channel(directory)?;
        let bin = match installed(&channel, None) {
            Some(bin) => bin,
            None => {
                let mut install = rustup()?;
                install.args(["toolchain", "install", &channel, "--profile", "minimal", "--no-self-update"]);
                for arch in [Arch::X86_64, Arch::Arm64] {
                    install.args(["--target", arch.triple()]);
                }
                install_once(cache, &format!("Rust {channel}"), &mut install, || installed(&channel, None))?
            }
        };
        let about = output(Command::new(bin.join("rustc")).arg("-vV"))?;
        let line = |key: &str| about.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().to_owned();
        Ok(Self {
            sysroot: bin.parent().unwrap_or(&bin).to_owned(),
            version: line("rustc "),
            commit: line("commit-hash: "),
            host: line("host: "),
            channel,
            bin,
        })
    }

    /// The directory of the toolchain that runs in a container for `arch`, whatever this machine is.
    pub fn in_container(&self, arch: Arch, cache: &Cache) -> Result<PathBuf> {
        let host = arch.container_host();
        let toolchain = format!("{}-{host}", self.channel);
        let bin = match installed(&toolchain, Some(arch)) {
            Some(bin) => bin,
            None => {
                // cross would add the sources of std itself, and hide how.
                let mut install = rustup()?;
                install.args(["toolchain", "install", &toolchain, "--profile", "minimal", "--no-self-update"]);
                install.args(["--force-non-host", "--component", "rust-src", "--target", arch.triple()]);
                install_once(cache, &format!("Rust {toolchain}"), &mut install, || installed(&toolchain, Some(arch)))?
            }
        };
        Ok(bin.parent().unwrap_or(&bin).to_owned())
    }

    /// A program of the toolchain, like cargo, in the environment that they run in.
    pub fn program(&self, name: &str) -> Result<Command> {
        let mut command = environment::command(self.bin.join(name));
        command.env("PATH", environment::path_with([&*self.bin])?);
        // rustup's own stand-ins, which a build script may call.
        command.env("RUSTUP_TOOLCHAIN", &self.channel);
        Ok(command)
    }

    /// The objcopy of LLVM that comes with it: the same on every host, for either architecture.
    pub fn objcopy(&self) -> Command {
        let mut command = Command::new(self.sysroot.join("lib/rustlib").join(&self.host).join("bin/rust-objcopy"));
        let libraries = self.sysroot.join("lib");
        command.env("LD_LIBRARY_PATH", &libraries).env("DYLD_LIBRARY_PATH", libraries);
        command
    }
}

/// What rustup would take in this directory: the file is looked for as rustup looks for it.
fn channel(directory: &Path) -> Result<String> {
    for directory in directory.ancestors() {
        for name in ["rust-toolchain", "rust-toolchain.toml"] {
            let path = directory.join(name);
            if let Ok(text) = fs::read_to_string(&path) {
                return channel_in(&text).with_context(|| path.display().to_string());
            }
        }
    }
    channel_in(PINNED)
}

fn channel_in(text: &str) -> Result<String> {
    let toolchain = match toml::from_str::<ToolchainFile>(text) {
        Ok(file) => file.toolchain,
        // The older form is the name alone.
        Err(_) if text.trim().lines().count() == 1 && !text.contains(['[', '=']) => return Ok(text.trim().to_owned()),
        Err(error) => bail!("{}", error.message()),
    };
    if let Some(path) = toolchain.path {
        bail!("names the toolchain {} by its path; expected a channel, like \"1.99.1\"", path.display());
    }
    toolchain.channel.ok_or_else(|| anyhow!("names no channel; expected one, like channel = \"1.99.1\""))
}

pub fn rustup() -> Result<Command> {
    let beside_cargo = || environment::cargo_home().ok().map(|home| home.join("bin/rustup")).filter(|path| path.is_file());
    let rustup = find("rustup").or_else(beside_cargo);
    let rustup = rustup.ok_or_else(|| anyhow!("rustup is missing, which installs the pinned Rust (the cargo of a distribution cannot); `doctor --fix` installs it"))?;
    let mut command = Command::new(rustup);
    command.env_remove("RUSTUP_TOOLCHAIN");
    Ok(command)
}

/// The directory of the programs of a toolchain that has all that is needed.
fn installed(toolchain: &str, in_container: Option<Arch>) -> Option<PathBuf> {
    let cargo = output(rustup().ok()?.args(["which", "--toolchain", toolchain, "cargo"])).ok()?;
    let bin = PathBuf::from(cargo.trim()).parent()?.to_owned();
    let rustlib = bin.parent()?.join("lib/rustlib");
    let needed = match in_container {
        Some(arch) => vec![arch.triple(), "src"],
        None => vec![Arch::X86_64.triple(), Arch::Arm64.triple()],
    };
    needed.iter().all(|name| rustlib.join(name).is_dir()).then_some(bin)
}

/// Installs what no other build has installed meanwhile.
fn install_once(cache: &Cache, text: &str, install: &mut Command, installed: impl Fn() -> Option<PathBuf>) -> Result<PathBuf> {
    let _lock = cache.lock("rustup")?;
    if installed().is_none() {
        step::run(cache, text, install)?;
    }
    installed().ok_or_else(|| anyhow!("{text}: rustup has installed it, but it is not complete"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolchain_is_named_in_either_form() {
        assert_eq!(channel_in("[toolchain]\nchannel = \"1.95.0\"\n").unwrap(), "1.95.0");
        assert_eq!(channel_in("1.95.0\n").unwrap(), "1.95.0");
        assert!(channel_in(PINNED).is_ok());
    }

    #[test]
    fn a_toolchain_file_that_names_none_is_an_error_that_says_what_was_expected() {
        for text in ["[toolchain]\n", "[toolchain]\npath = \"/opt/rust\"\n", "[toolchain\n"] {
            let error = channel_in(text).unwrap_err().to_string();
            assert!(!error.is_empty(), "{text}");
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
