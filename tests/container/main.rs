//! Builds in a container. Stand-ins replace what a machine without access to the registries cannot fetch. They are base images of
//! Debian's packages, one of them as bare as Amazon Linux, and Debian's sources of musl and OpenSSL.
//!
//! `cargo test` skips these tests. `make test` runs them one after the other, but runs complete builds only with CI=true.

mod amazon;
mod build;
mod crates;
mod engine;
mod invoke;
mod native;
mod oci;
mod project;
mod push;
mod sam;
mod sources;

#[path = "../support/https.rs"]
mod https;
#[path = "../support/kinds.rs"]
mod kinds;
#[path = "../support/machine.rs"]
mod machine;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use machine::{Run, arch, call, command, find_program, make, make_executable, root, run, skip};

/// The directory with Debian's archives and their pins file, or the reason why it is missing.
fn stand_ins() -> Result<&'static Path, &'static str> {
    static STAND_INS: OnceLock<Option<PathBuf>> = OnceLock::new();
    let directory = STAND_INS.get_or_init(|| {
        let directory = root().join("target/stand-ins");
        if !directory.join("pins.env").exists() {
            let _ = fs::remove_dir_all(&directory);
            fs::create_dir_all(&directory).unwrap();
            find_program("apt-get")?;
            let script = root().join("tests/support/stand-ins");
            call(script, &[&directory.to_string_lossy()]).succeeded();
        }
        Some(directory)
    });
    directory.as_deref().ok_or("apt-get, which downloads the sources, is not installed")
}

/// A container engine that works on this machine.
fn engine() -> Result<&'static str, &'static str> {
    static ENGINE: OnceLock<Option<&str>> = OnceLock::new();
    let works = |engine: &&str| find_program(engine).is_some() && call(engine, &["info"]).success;
    let engine = ENGINE.get_or_init(|| ["docker", "podman"].into_iter().find(works));
    engine.ok_or("no container engine works on this machine")
}

fn engine_call(arguments: &[&str]) -> Run {
    call(engine().unwrap(), arguments)
}

/// An image that is removed at the end of the test.
struct Image(String);

impl Drop for Image {
    fn drop(&mut self) {
        engine_call(&["image", "rm", "--force", &self.0]);
    }
}

fn is_root() -> bool {
    call("id", &["-u"]).stdout == "0\n"
}

/// A base image of Debian's packages for this machine, created once. Without one, reports that `what` is skipped.
fn base(what: &str) -> Option<&'static str> {
    base_image().map_err(|why| skip(what, why)).ok()
}

fn base_image() -> Result<&'static str, &'static str> {
    engine()?;
    let image = match arch() {
        "arm64" => "lambda-musl-base:bookworm-arm64",
        _ => "lambda-musl-base:bookworm",
    };
    if engine_call(&["image", "inspect", image]).success {
        return Ok(image);
    }
    if find_program("debootstrap").is_none() {
        return Err("debootstrap is not installed");
    }
    if !is_root() {
        return Err("the base image is missing; root can create it: sudo make base-image");
    }
    let made = make(&["base-image", &format!("ARCH={}", arch())]).succeeded();
    assert_eq!(made.last_line(), format!("BASE={image}"));
    Ok(image)
}

/// An address on this machine that is not in use.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Copies AWS's emulator to `directory` as the `rie` program.
fn emulator(directory: &Path) {
    let wheel = call("scripts/cli", &["wheel", "emulator"]).succeeded();
    let emulator = format!("samcli/local/rapid/aws-lambda-rie-{}", arch());
    let program = directory.join("rie");
    fs::copy(Path::new(wheel.last_line()).join(emulator), &program).unwrap();
    make_executable(&program);
}

/// The variables of a complete build. If this machine cannot or should not run one, reports that `what` is skipped.
fn complete_build(what: &str) -> Option<[String; 3]> {
    let variables = || {
        if std::env::var_os("CI").is_none() {
            return Err("a complete build takes six more minutes; to run it: CI=true make test");
        }
        let directory = stand_ins()?.display();
        let base = amazon::amazon(base_image()?);
        Ok([format!("PINS={directory}/pins.env"), format!("SOURCES={directory}"), format!("BASE={base}")])
    };
    variables().map_err(|why| skip(what, why)).ok()
}

/// Gives a crate outside the clone the versions in the clone's lock file.
fn copy_lock_file(krate: &Path) {
    fs::copy(root().join("Cargo.lock"), krate.join("Cargo.lock")).unwrap();
    // The clone's lock file lists more crates than this crate needs. Cargo removes them.
    let mut update = command("cargo", krate);
    update.args(["update", "--workspace", "--quiet"]);
    run(update).succeeded();
}

/// The `make docker-build` command for this machine.
fn make_docker_build() -> Command {
    let mut make = command("make", root());
    make.args(["docker-build", &format!("ARCH={}", arch())]);
    make
}

/// Runs `make docker-build` with the variables of a build and more arguments.
fn docker_build(build: &[String], more: &[&str]) -> Run {
    let mut make = make_docker_build();
    make.args(build).args(more);
    run(make)
}
