//! `doctor`: what this machine lacks for each verb, and the commands that install it.

use std::{
    io::{self, IsTerminal, Write},
    process::Command,
};

use anyhow::{Result, anyhow, bail};

use crate::{
    cache::Cache,
    command::{find, succeeds},
    engine::{Engine, check_emulation},
    options, rust, step,
    wheels::{EMULATOR, ZIG},
};

/// Something that a verb needs and this program does not bring.
#[derive(Clone, Copy)]
pub struct Need {
    what: &'static str,
    is_there: fn() -> bool,
    /// The packages of apt, dnf, apk, pacman and brew that bring it.
    packages: [&'static str; 5],
}

pub const CC: Need = Need { what: "a C compiler for this machine (cc)", is_there: || find("cc").is_some(), packages: ["gcc libc6-dev", "gcc", "gcc musl-dev", "gcc", ""] };
pub const RUSTUP: Need = Need { what: "rustup, which installs the pinned Rust (the cargo of a distribution cannot)", is_there: || rust::rustup().is_ok(), packages: ["", "", "", "", ""] };
pub const PYTHON: Need = Need { what: "python3", is_there: || find("python3").is_some(), packages: ["python3", "python3", "python3", "python", "python"] };
pub const PIP: Need = Need { what: "pip for python3", is_there: || succeeds(Command::new("python3").args(["-m", "pip", "--version"])), packages: ["python3-pip", "python3-pip", "py3-pip", "python-pip", "python"] };
pub const MAKE: Need = Need { what: "make", is_there: || find("make").is_some(), packages: ["make", "make", "make", "make", ""] };
pub const PERL: Need = Need { what: "perl, with the modules that OpenSSL's Configure uses", is_there: has_perl, packages: ["perl", PERL_RPMS, "perl", "perl", "perl"] };
pub const DEBOOTSTRAP: Need = Need { what: "debootstrap", is_there: || find("debootstrap").is_some(), packages: ["debootstrap", "debootstrap", "debootstrap", "debootstrap", ""] };
pub const ROOT: Need = Need { what: "root, as debootstrap makes devices and owners: sudo make base-image", is_there: is_root, packages: ["", "", "", "", ""] };
const LINUX: Need = Need { what: "Linux", is_there: || cfg!(target_os = "linux"), packages: ["", "", "", "", ""] };
const DOWNLOADER: Need = Need { what: "curl or wget", is_there: || find("curl").or(find("wget")).is_some(), packages: ["curl", "curl", "curl", "curl", "curl"] };
const GCC: Need = Need { what: "gcc", is_there: || find("gcc").is_some(), packages: ["gcc libc6-dev", "gcc", "gcc musl-dev", "gcc", ""] };
const STRIP: Need = Need { what: "strip", is_there: || find("strip").is_some(), packages: ["binutils", "binutils", "binutils", "binutils", ""] };
const TAR: Need = Need { what: "tar and gzip", is_there: || find("tar").and(find("gzip")).is_some(), packages: ["tar gzip", "tar gzip", "tar gzip", "tar gzip", ""] };
const PATCH: Need = Need { what: "patch", is_there: || find("patch").is_some(), packages: ["patch", "patch", "patch", "patch", ""] };
/// What `toolchain` needs.
pub const TOOLCHAIN: [Need; 7] = [LINUX, GCC, MAKE, STRIP, TAR, PATCH, PERL];

/// On Fedora and Amazon Linux, parts of Perl are packages of their own.
const PERL_RPMS: &str = "perl-interpreter perl-lib perl-FindBin perl-IPC-Cmd perl-Time-Piece perl-File-Compare perl-File-Copy \
    perl-Data-Dumper perl-Getopt-Long perl-Getopt-Std perl-Pod-Html";

fn has_perl() -> bool {
    const MODULES: [&str; 9] =
        ["lib", "FindBin", "IPC::Cmd", "Time::Piece", "File::Compare", "File::Copy", "Data::Dumper", "Getopt::Long", "Getopt::Std"];
    let mut perl = Command::new("perl");
    perl.args(MODULES.map(|module| format!("-M{module}{}", if module == "lib" { "=." } else { "" })));
    succeeds(perl.args(["-e", "1"]))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A package manager, and how it installs.
const MANAGERS: [(&str, &str); 5] =
    [("apt-get", "apt-get install -y"), ("dnf", "dnf install -y"), ("apk", "apk add"), ("pacman", "pacman -S --needed --noconfirm"), ("brew", "brew install")];

const RUSTUP_COMMAND: &str = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --default-toolchain none";

/// An error that names what is missing and the commands that install it.
pub fn require(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list: String = missing.iter().map(|need| format!("\n  {}", need.what)).collect();
    let commands = commands(&missing);
    let shown: String = commands.iter().map(|command| format!("\n  {command}")).collect();
    let install = match commands.is_empty() {
        true => String::new(),
        false => format!("\nWhat installs it (`doctor --fix` runs it, in the clone make doctor FIX=1):{shown}"),
    };
    bail!("this machine lacks:{list}{install}\nThe other way to build: build needs no container, docker-build needs no zig and no perl")
}

/// The commands of this system that install what is missing.
fn commands(missing: &[&Need]) -> Vec<String> {
    let mut commands = Vec::new();
    if cfg!(target_os = "macos") && missing.iter().any(|need| need.packages[0].contains("gcc") || need.what == "make") {
        commands.push("xcode-select --install".to_owned());
    }
    let manager = MANAGERS.iter().enumerate().find(|(_, (program, _))| find(program).is_some());
    if let Some((index, (program, install))) = manager {
        let mut packages: Vec<&str> = missing.iter().flat_map(|need| need.packages[index].split_whitespace()).collect();
        packages.sort();
        packages.dedup();
        if !packages.is_empty() {
            let sudo = if is_root() || *program == "brew" { "" } else { "sudo " };
            if *program == "apt-get" {
                commands.push(format!("{sudo}apt-get update"));
            }
            commands.push(format!("{sudo}{install} {}", packages.join(" ")));
        }
    }
    if missing.iter().any(|need| need.what == RUSTUP.what) {
        commands.push(RUSTUP_COMMAND.to_owned());
    }
    commands
}

pub fn run(options: options::Doctor) -> Result<()> {
    let build = [CC, RUSTUP, PYTHON, PIP, MAKE, PERL];
    let verbs: [(&str, &[Need]); 6] = [
        ("build", &build),
        ("invoke", &[LINUX, PYTHON, PIP]),
        ("docker-build", &[CC, RUSTUP]),
        ("fetch", &[CC, RUSTUP, PYTHON, PIP, DOWNLOADER]),
        ("toolchain", &TOOLCHAIN),
        ("base-image", &[DEBOOTSTRAP, ROOT]),
    ];
    let mut all_missing: Vec<&Need> = Vec::new();
    let mut problems = 0;
    for (verb, needs) in &verbs {
        let missing: Vec<&Need> = needs.iter().filter(|need| !(need.is_there)()).collect();
        let mut reasons: Vec<String> = missing.iter().map(|need| need.what.to_owned()).collect();
        if ["docker-build", "base-image"].contains(verb) {
            let engine = Engine::find().and_then(|_| check_emulation(Default::default()));
            reasons.extend(engine.err().map(|error| format!("{error:#}")));
        }
        if reasons.is_empty() {
            println!("{verb}: ready");
        } else {
            println!("{verb}: this machine lacks {}", reasons.join("; "));
            problems += 1;
        }
        all_missing.extend(missing);
    }
    if let Ok(cache) = Cache::open() {
        let installed = |is: bool| if is { "installed" } else { "not yet installed" };
        println!("The cache is {}: zig {}, the emulator {}", cache.root().display(), installed(ZIG.is_installed(&cache)), installed(EMULATOR.is_installed(&cache)));
    }
    let commands = commands(&all_missing);
    if commands.is_empty() {
        return match problems {
            0 => Ok(()),
            _ => Err(anyhow!("this machine lacks something for {problems} of the verbs; no command of its package manager brings it")),
        };
    }
    println!("\nWhat installs it:");
    for command in &commands {
        println!("  {command}");
    }
    if !options.fix {
        bail!("this machine lacks something for {problems} of the verbs; --fix (in the clone FIX=1) runs these commands");
    }
    if !options.yes && !confirmed()? {
        bail!("nothing was run; --yes (in the clone YES=1) runs these commands without asking");
    }
    let cache = Cache::open()?;
    for command in &commands {
        step::run(&cache, command, Command::new("sh").args(["-c", command]).env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    Ok(())
}

/// Whether the user says yes, on a terminal.
fn confirmed() -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    print!("Run these commands? [y/N] ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_command_of_this_system() {
        const NOWHERE: Need = Need { what: "a thing", is_there: || false, packages: ["thing-apt"; 5] };
        let error = require(&[NOWHERE]).unwrap_err().to_string();
        assert!(error.contains("a thing"), "{error}");
        if MANAGERS.iter().any(|(program, _)| find(program).is_some()) {
            assert!(error.contains("thing-apt") && error.contains("doctor --fix"), "{error}");
        }
    }

    #[test]
    fn a_package_that_two_needs_have_in_common_is_installed_once() {
        let missing = [&CC, &GCC];
        let commands = commands(&missing);
        assert!(commands.iter().all(|command| command.matches(" gcc").count() <= 1), "{commands:?}");
    }
}

