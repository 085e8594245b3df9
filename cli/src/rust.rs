//! The Rust toolchain: the one that a project names in its rust-toolchain file, or the one that this program pins.

use std::path::{Path, PathBuf};
use std::{fs, process::Command};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::command::{find, output};
use crate::{arch::Arch, cache::Cache, configuration::Home, environment, files::At, step};

/// The toolchain file for projects without one.
const PINNED: &str = include_str!("../../rust-toolchain.toml");

/// An installed toolchain.
pub struct Rust {
    channel: String,
    /// The directory of its programs.
    pub bin: PathBuf,
    pub sysroot: PathBuf,
    /// The value of `CARGO_HOME` for cargo.
    pub cargo_home: PathBuf,
    /// The version in the form that rustc prints, such as `1.99.1 (58cf8f9c3 2026-10-13)`.
    pub version: String,
    pub commit: String,
    /// The version of LLVM, and of its unwinding library in the toolchain.
    pub llvm: String,
    /// The triple of this machine.
    pub host: String,
}

impl Rust {
    /// The toolchain for a project in `directory`, installed if it is missing.
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

    /// The directory of the toolchain that runs in a container for `arch`, whatever this machine's architecture is.
    pub fn in_container(&self, arch: Arch, cache: &Cache) -> Result<PathBuf> {
        let toolchain = format!("{}-{}", self.channel, arch.triple().replace("-musl", "-gnu"));
        // Otherwise, cross itself would install the sources of std, without showing any output.
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

    /// A program of the toolchain, such as cargo, in the environment of a build.
    pub fn program(&self, name: &str) -> Result<Command> {
        let mut command = environment::command(self.bin.join(name));
        // RUSTUP_TOOLCHAIN is for build scripts that call rustup's proxies.
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

    /// LLVM's objcopy in the toolchain, which is the same on every host and handles both architectures.
    pub fn objcopy(&self) -> Command {
        let libraries = self.sysroot.join("lib");
        let mut command = Command::new(libraries.join("rustlib").join(&self.host).join("bin/rust-objcopy"));
        command.env("LD_LIBRARY_PATH", &libraries).env("DYLD_LIBRARY_PATH", libraries);
        command
    }
}

/// The channel that rustup would select in this directory. Looks for the toolchain file as rustup does.
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
        Ok(file) => file.toolchain.channel.context("it names no channel; expected one, such as channel = \"1.99.1\""),
        // The older format is just the name of the channel.
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

/// The sysroot of a toolchain with all of `needed` below lib/rustlib. The toolchain is installed if it is missing.
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
    installed().with_context(|| {
        format!(
            "rustup installed Rust {toolchain}, but not all of it: expected {} in its lib/rustlib; run `rustup toolchain \
             uninstall {toolchain}`, then try again",
            needed.join(" and ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_of_a_toolchain_file_are_read() {
        assert_eq!(channel_in("[toolchain]\nchannel = \"1.95.0\"\n").unwrap(), "1.95.0");
        assert_eq!(channel_in("1.95.0\n").unwrap(), "1.95.0");
        assert!(channel_in(PINNED).is_ok());
        for text in ["[toolchain]\n", "[toolchain]\npath = \"/opt/rust\"\n", "[toolchain\n"] {
            assert!(channel_in(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_toolchain_file_nearest_to_a_project_takes_precedence() {
        let above = tempfile::tempdir().unwrap();
        let project = above.path().join("project");
        fs::create_dir(&project).unwrap();
        fs::write(above.path().join("rust-toolchain.toml"), "[toolchain]\nchannel = \"1.1.0\"\n").unwrap();
        assert_eq!(channel(&project).unwrap(), "1.1.0");
        fs::write(project.join("rust-toolchain"), "1.2.0").unwrap();
        assert_eq!(channel(&project).unwrap(), "1.2.0");
    }
}
