//! The container engine: Docker or Podman.

use std::{env, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};

use crate::command::{collect, find, output};
use crate::{arch::Arch, step::say};

const ALTERNATIVE: &str = "or use `build`, which needs no container engine";

/// A container engine that works on this machine.
pub struct Engine {
    pub name: String,
    /// Whether it runs without root privileges.
    pub is_rootless: bool,
}

impl Engine {
    /// Finds the engine that `CONTAINER_ENGINE` names or, if this variable is not set, Docker or else Podman.
    pub fn find() -> Result<Self> {
        let named = env::var("CONTAINER_ENGINE").ok().filter(|name| !name.is_empty());
        let names = named.map_or_else(|| vec!["docker".to_owned(), "podman".to_owned()], |name| vec![name]);
        let Some(name) = names.iter().find(|name| find(name).is_some() || Path::new(name).is_file()) else {
            bail!("there is no container engine; install {}, {ALTERNATIVE}", names.join(" or "));
        };
        let output = collect(Command::new(name).arg("info")).with_context(|| name.clone())?;
        let [info, said] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        if output.status.success() {
            let is_rootless = info.contains("rootless: true") || info.lines().any(|line| line.trim() == "rootless");
            return Ok(Self { name: name.clone(), is_rootless });
        }
        let reason = match said.contains("permission denied") {
            true => "no permission to use its socket; add yourself to the docker group, use sudo",
            false => "it is installed but not running; start it",
        };
        bail!("{name}: {reason}, {ALTERNATIVE}\n{said}")
    }

    pub fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(&self.name);
        command.args(arguments);
        command
    }

    pub fn output<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<String> {
        Ok(output(&mut self.command(arguments))?.trim().to_owned())
    }

    /// The engine's description of a local image, in the given format; `None` if there is no such image.
    pub fn inspect(&self, image: &str, format: &str) -> Option<String> {
        self.output(["image", "inspect", "--format", format, image]).ok()
    }

    /// The name of an image built on this machine, in the form that the engine expects.
    pub fn own(&self, image: &str) -> String {
        match Path::new(&self.name).file_name().is_some_and(|name| name.to_string_lossy().starts_with("podman")) {
            true => format!("localhost/{image}"),
            false => image.to_owned(),
        }
    }
}

/// Fails if this is not the name of an image, or if an engine would read it as an option.
pub fn check_image(option: &str, image: &str) -> Result<()> {
    let is_name = !image.is_empty() && !image.starts_with('-') && !image.contains(char::is_whitespace);
    ensure!(is_name, "{option} {image:?}: expected the name of an image, without spaces and not starting with -");
    Ok(())
}

/// Fails if this machine cannot run containers of this architecture. Prints a note if it emulates them.
pub fn check_emulation(arch: Arch) -> Result<()> {
    if Arch::of_this_machine() == Some(arch) {
        return Ok(());
    }
    let name = arch.name();
    // On macOS the engines include an emulator. The `F` flag marks an emulator that also works in containers.
    let file = format!("/proc/sys/fs/binfmt_misc/qemu-{}", arch.machine());
    let registered = std::fs::read_to_string(file).unwrap_or_default();
    let is_set_up = registered.lines().any(|line| line.starts_with("flags:") && line.contains('F'));
    if !cfg!(target_os = "macos") && !is_set_up {
        bail!(
            "--arch {name}: this machine is {}, and no emulator for {name} is set up for its containers.\n\
             build --arch {name} needs no container and takes a tenth of the time.\n\
             To set up an emulator, install the qemu-user-static package (Debian, Ubuntu, Fedora)",
            env::consts::ARCH
        );
    }
    say(&format!(
        "note: {name} is emulated on this machine, which takes ten times as long; build --arch {name} needs no container"
    ));
    Ok(())
}
