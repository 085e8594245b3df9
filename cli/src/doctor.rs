//! `doctor`: reports what this machine lacks for each verb, and the commands that install it.

use std::io::{self, IsTerminal, Write};
use std::{collections::BTreeSet, fmt::Display, process::Command};

use anyhow::{Result, ensure};

use crate::command::{find, succeeds};
use crate::engine::{Engine, check_emulation};
use crate::{arch::Arch, cache::Cache, programs, rust};

/// Something that a verb needs and this program does not include: its description, a function that checks for it, and
/// the packages that provide it, one entry per package manager.
#[derive(Clone, Copy)]
pub struct Need(&'static str, fn() -> bool, [&'static str; 5]);

/// The package managers and their commands to install packages.
const MANAGERS: [(&str, &str); 5] = [
    ("apt-get", "apt-get install -y"),
    ("dnf", "dnf install -y"),
    ("apk", "apk add"),
    ("pacman", "pacman -S --needed --noconfirm"),
    ("brew", "brew install"),
];

const NONE: [&str; 5] = [""; 5];
pub const CC: Need =
    Need("a C compiler for this machine (cc)", || has("cc"), ["gcc libc6-dev", "gcc", "gcc musl-dev", "gcc", ""]);
pub const RUSTUP: Need = Need(
    "rustup, which installs the pinned Rust (the cargo of a distribution cannot)",
    || rust::rustup().is_ok(),
    NONE,
);
pub const PYTHON: Need = Need("python3", || has("python3"), ["python3", "python3", "python3", "python", "python"]);
pub const PIP: Need =
    Need("pip for python3", has_pip, ["python3-pip", "python3-pip", "py3-pip", "python-pip", "python"]);
pub const CMAKE: Need = Need("cmake, which a build script calls", || has("cmake"), ["cmake"; 5]);
pub const NASM: Need = Need("nasm, which a build script calls", || has("nasm"), ["nasm"; 5]);
pub const LIBCLANG: Need = Need(
    "libclang, which bindgen loads",
    programs::has_libclang,
    ["libclang-dev", "clang-devel", "clang-dev", "clang", "llvm"],
);
pub const MAKE: Need = Need("make", || has("make"), ["make", "make", "make", "make", ""]);
pub const PERL: Need =
    Need("perl with the modules that OpenSSL's Configure uses", has_perl, ["perl", PERL_RPMS, "perl", "perl", "perl"]);
pub const SUDO: Need =
    Need("sudo, because debootstrap creates devices and changes owners", || is_root() || has("sudo"), ["sudo"; 5]);
const ENGINE: Need =
    Need("Docker or Podman", || has("docker") || has("podman"), ["podman", "podman", "podman", "podman", ""]);
pub const DEBOOTSTRAP: Need =
    Need("debootstrap", || has("debootstrap"), ["debootstrap", "debootstrap", "debootstrap", "debootstrap", ""]);
const LINUX: Need = Need("Linux", || cfg!(target_os = "linux"), NONE);
pub const AWS: Need =
    Need("the aws client (aws)", || has("aws"), ["awscli", "awscli", "aws-cli", "aws-cli-v2", "awscli"]);
pub const CURL: Need = Need("curl or wget", || has("curl") || has("wget"), ["curl"; 5]);
const GCC: Need = Need("gcc", || has("gcc"), CC.2);
const STRIP: Need = Need("strip", || has("strip"), ["binutils", "binutils", "binutils", "binutils", ""]);
const TAR: Need =
    Need("tar and gzip", || has("tar") && has("gzip"), ["tar gzip", "tar gzip", "tar gzip", "tar gzip", ""]);
const PATCH: Need = Need("patch", || has("patch"), ["patch", "patch", "patch", "patch", ""]);

/// The requirements of each verb.
const VERBS: [(&str, &[Need]); 11] = [
    ("build", &BUILD),
    ("docker-build", &[CC, RUSTUP, CURL, ENGINE]),
    ("verify", &[]),
    ("invoke", &[LINUX, PYTHON, PIP]),
    ("dev", &[CC, RUSTUP]),
    ("deploy", &[AWS]),
    ("status", &STATUS),
    ("reproduce", &BUILD),
    ("toolchain", &TOOLCHAIN),
    ("fetch", &[CC, RUSTUP, PYTHON, PIP, CURL]),
    ("base-image", &[LINUX, DEBOOTSTRAP, SUDO, ENGINE]),
];
const STATUS: [Need; 7] = [AWS, CC, RUSTUP, PYTHON, PIP, MAKE, PERL];
const BUILD: [Need; 6] = [CC, RUSTUP, PYTHON, PIP, MAKE, PERL];
pub const TOOLCHAIN: [Need; 8] = [LINUX, GCC, MAKE, STRIP, TAR, PATCH, PERL, CURL];

/// On Fedora and Amazon Linux, parts of Perl are in separate packages.
const PERL_RPMS: &str = "perl-interpreter perl-lib perl-FindBin perl-IPC-Cmd perl-Time-Piece perl-File-Compare perl-File-Copy \
    perl-File-Path perl-Data-Dumper perl-Getopt-Long perl-Getopt-Std perl-Pod-Html perl-Pod-Usage";

const INSTALL_RUSTUP: &str =
    "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --default-toolchain none";

fn has(program: &str) -> bool {
    find(program).is_some()
}

fn has_pip() -> bool {
    succeeds(Command::new("python3").args(["-m", "pip", "--version"]))
}

fn has_perl() -> bool {
    let modules = "lib=. FindBin IPC::Cmd Time::Piece File::Compare File::Copy File::Path Data::Dumper Getopt::Long Getopt::Std Pod::Usage";
    succeeds(Command::new("perl").args(modules.split(' ').map(|module| format!("-M{module}"))).args(["-e", "1"]))
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// If this machine lacks something, fails with the commands that install it.
pub fn require(needs: &[Need]) -> Result<()> {
    let missing = missing(needs);
    let alternatives = match missing.iter().all(|need| need.0 == AWS.0) {
        true => "",
        false => "\nAlternatives: `build` needs no container, and `docker-build` needs neither Python nor Perl.",
    };
    ensure!(
        missing.is_empty(),
        "this machine lacks:{}\nTo install what is missing, run this (or `doctor --fix`; in the clone, `make doctor FIX=1`):{}{alternatives}",
        lines(missing.iter().map(|need| need.0)),
        lines(commands(&missing))
    );
    Ok(())
}

fn missing(needs: &[Need]) -> Vec<&Need> {
    needs.iter().filter(|need| !need.1()).collect()
}

fn lines(words: impl IntoIterator<Item = impl Display>) -> String {
    words.into_iter().map(|word| format!("\n  {word}")).collect()
}

/// The commands that install the missing packages on this system.
fn commands(missing: &[&Need]) -> Vec<String> {
    let mut commands = Vec::new();
    if cfg!(target_os = "macos") && missing.iter().any(|need| need.2[0].contains("gcc") || need.0 == MAKE.0) {
        commands.push("xcode-select --install".to_owned());
    }
    if let Some(index) = MANAGERS.iter().position(|(program, _)| has(program)) {
        let packages: BTreeSet<&str> = missing.iter().flat_map(|need| need.2[index].split_whitespace()).collect();
        let (program, install) = MANAGERS[index];
        let as_root = |command: String| match (is_root() || program == "brew", has("sudo")) {
            (true, _) => command,
            (false, true) => format!("sudo {command}"),
            (false, false) => format!("su -c '{command}'"),
        };
        if !packages.is_empty() {
            commands.extend((program == "apt-get").then(|| as_root("apt-get update".into())));
            commands.push(as_root(format!("{install} {}", Vec::from_iter(packages).join(" "))));
        }
    }
    if missing.iter().any(|need| need.0 == RUSTUP.0) {
        commands.push(INSTALL_RUSTUP.to_owned());
    }
    commands
}

/// Prints a line for each verb, and the commands that install what is missing.
pub fn run(fix: bool, yes: bool) -> Result<()> {
    let (mut all_missing, mut problems) = (Vec::new(), 0);
    for (verb, needs) in &VERBS {
        let missing = missing(needs);
        let mut reasons: Vec<String> = missing.iter().map(|need| need.0.to_owned()).collect();
        if needs.iter().any(|need| need.0 == ENGINE.0) && ENGINE.1() {
            let engine = Engine::find().and_then(|_| check_emulation(Arch::of_this_machine().unwrap_or_default()));
            reasons.extend(engine.err().map(|error| format!("{error:#}")));
        }
        match &reasons[..] {
            [] => println!("{verb}: ready"),
            // No package provides Linux.
            _ if missing.iter().any(|need| need.0 == LINUX.0) => println!("{verb}: runs only on Linux"),
            reasons => {
                println!("{verb}: this machine lacks {}", reasons.join("; "));
                problems += 1;
                all_missing.extend(missing);
            }
        }
    }
    let cache = Cache::open()?;
    println!("the cache: {}", cache.root.display());
    if problems == 0 {
        return Ok(());
    }
    let commands = commands(&all_missing);
    let lacks = format!("this machine lacks something for {problems} of the verbs");
    ensure!(!commands.is_empty(), "{lacks}, and no package provides it");
    println!("\nTo install what is missing:{}", lines(&commands));
    ensure!(fix, "{lacks}; --fix (in the clone FIX=1) runs these commands");
    ensure!(yes || is_confirmed()?, "nothing was run; --yes (in the clone YES=1) runs these commands without asking");
    // The commands run on the terminal, because sudo may ask for a password.
    for command in &commands {
        println!("== {command}");
        ensure!(Command::new("sh").args(["-c", command]).status()?.success(), "{command} failed");
    }
    Ok(())
}

/// Asks for confirmation on the terminal. Without a terminal, the answer is no.
fn is_confirmed() -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    print!("Run these commands? [y/N] ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
