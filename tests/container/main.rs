//! The build in a container, with stand-ins for what a machine without registries cannot fetch: a base of Debian's packages,
//! and the musl and OpenSSL that Debian has as source.
//!
//! `cargo test` leaves them out; `make test` runs them, one after the other, and the whole build only where CI=true.

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

use machine::{Run, arch, call, command, find_program, make, make_executable, root, run};

/// The archives of Debian and a pins file for them, or why there are none.
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
    directory
        .as_deref()
        .ok_or("there is no apt-get that brings the sources")
}

/// An engine that works here.
fn engine() -> Result<&'static str, &'static str> {
    static ENGINE: OnceLock<Option<&str>> = OnceLock::new();
    let works = |engine: &&str| find_program(engine).is_some() && call(engine, &["info"]).success;
    let engine = ENGINE.get_or_init(|| ["docker", "podman"].into_iter().find(works));
    engine.ok_or("there is no container engine that works")
}

fn engine_call(arguments: &[&str]) -> Run {
    call(engine().unwrap(), arguments)
}

fn is_root() -> bool {
    call("id", &["-u"]).stdout == "0\n"
}

/// A base image of Debian's packages for this machine, made once, or why there is none.
fn base() -> Result<&'static str, &'static str> {
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
        return Err("there is no base image; root can make one: sudo make base-image");
    }
    let made = make(&["base-image", &format!("ARCH={}", arch())]).succeeded();
    assert_eq!(made.last_line(), format!("BASE={image}"));
    Ok(image)
}

/// An address on this machine that nobody listens on.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Puts AWS's emulator into `directory`, as the program `rie`.
fn emulator(directory: &Path) {
    let wheel = call("scripts/cli", &["wheel", "emulator"]).succeeded();
    let emulator = format!("samcli/local/rapid/aws-lambda-rie-{}", arch());
    let program = directory.join("rie");
    fs::copy(Path::new(wheel.last_line()).join(emulator), &program).unwrap();
    make_executable(&program);
}

/// The variables of a whole build, or why there can be none.
fn whole_build() -> Result<[String; 3], &'static str> {
    if std::env::var_os("CI").is_none() {
        return Err("it takes six minutes more: CI=true make test");
    }
    let directory = stand_ins()?.display();
    Ok([
        format!("PINS={directory}/pins.env"),
        format!("SOURCES={directory}"),
        format!("BASE={}", base()?),
    ])
}

/// make docker-build for this machine.
fn make_docker_build() -> Command {
    let mut make = command("make", root());
    make.args(["docker-build", &format!("ARCH={}", arch())]);
    make
}

/// make docker-build with the arguments of a build and more.
fn docker_build(build: &[String], more: &[&str]) -> Run {
    let mut make = make_docker_build();
    make.args(build).args(more);
    run(make)
}
