//! The build in a container, with stand-ins for what a machine without registries cannot fetch: a base of Debian's packages,
//! and the musl and OpenSSL that Debian has as source.
//!
//! `cargo test` leaves them out; `make test` runs them, one after the other, and the whole build only where CI=true.

mod build;
mod engine;
mod invoke;
mod push;
mod sources;

#[path = "../support/https.rs"]
mod https;
#[path = "../support/machine.rs"]
mod machine;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use machine::{Run, arch, call, command, find_program, make, root, run};

/// The archives of Debian and a pins file for them, or why there are none.
fn stand_ins() -> Result<&'static Path, &'static str> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = root().join("target/stand-ins");
        if !folder.join("pins.env").exists() {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            find_program("apt-get")?;
            let script = root().join("tests/support/stand-ins");
            call(script, &[&folder.to_string_lossy()]).succeeded();
        }
        Some(folder)
    });
    folder
        .as_deref()
        .ok_or("there is no apt-get that brings the sources")
}

/// The engine that works here.
fn engine() -> Result<&'static str, &'static str> {
    static ENGINE: OnceLock<Option<String>> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| {
        let run = call(root().join("scripts/engine"), &[]);
        run.success.then(|| run.last_line().to_owned())
    });
    engine
        .as_deref()
        .ok_or("there is no container engine that works")
}

fn engine_call(arguments: &[&str]) -> Run {
    call(engine().unwrap(), arguments)
}

/// `BASE=` and an image of Debian's packages for this machine, made once, or why there is none.
fn base() -> Result<&'static str, &'static str> {
    engine()?;
    let (base, image) = match arch() {
        "arm64" => (
            "BASE=lambda-musl-base:bookworm-arm64",
            "lambda-musl-base:bookworm-arm64",
        ),
        _ => (
            "BASE=lambda-musl-base:bookworm",
            "lambda-musl-base:bookworm",
        ),
    };
    if engine_call(&["image", "inspect", image]).success {
        return Ok(base);
    }
    if find_program("debootstrap").is_none() {
        return Err("debootstrap is not installed");
    }
    if call("id", &["-u"]).stdout != "0\n" {
        return Err("there is no base image; root can make one: sudo make base-image");
    }
    let made = make(&["base-image", &format!("ARCH={}", arch())]).succeeded();
    assert_eq!(made.last_line(), base);
    Ok(base)
}

/// Puts AWS's emulator into `folder`, as the program `rie`.
fn emulator(folder: &Path) {
    let wheel = call(root().join("scripts/wheel"), &["emulator"]).succeeded();
    let emulator = format!("samcli/local/rapid/aws-lambda-rie-{}", arch());
    let program = folder.join("rie");
    fs::copy(Path::new(wheel.last_line()).join(emulator), &program).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The arguments of a whole build, or why there can be none.
fn whole_build() -> Result<[String; 3], &'static str> {
    if std::env::var_os("CI").is_none() {
        return Err("it takes six minutes more: CI=true make test");
    }
    let folder = stand_ins()?.display();
    Ok([
        format!("PINS={folder}/pins.env"),
        format!("SOURCES={folder}"),
        base()?.to_owned(),
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
