//! The build in a container, with stand-ins for what a machine without registries cannot fetch: a base of Debian's packages,
//! and the musl and OpenSSL that Debian has as source.
//!
//! `cargo test` leaves them out; `make test` runs them, one after the other, and the whole build only where CI=true.

mod build;
mod engine;
mod sources;

#[path = "../support/https.rs"]
mod https;
#[path = "../support/machine.rs"]
mod machine;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use machine::{Run, call, find_program, make, root};

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

/// A base image of Debian's packages, made once, or why there is none.
fn base() -> Result<&'static str, &'static str> {
    const IMAGE: &str = "lambda-musl-base:bookworm";
    engine()?;
    if engine_call(&["image", "inspect", IMAGE]).success {
        return Ok(IMAGE);
    }
    if find_program("debootstrap").is_none() {
        return Err("debootstrap is not installed");
    }
    let base = make(&["base-image"]).succeeded();
    assert_eq!(base.last_line(), format!("BASE={IMAGE}"));
    Ok(IMAGE)
}

/// The arguments of a whole build, or why there can be none.
fn whole_build() -> Result<Vec<String>, &'static str> {
    if std::env::var_os("CI").is_none() {
        return Err("it takes six minutes more: CI=true make test");
    }
    let folder = stand_ins()?.display();
    Ok(vec![
        "docker-build".to_owned(),
        format!("PINS={folder}/pins.env"),
        format!("SOURCES={folder}"),
        format!("BASE={}", base()?),
    ])
}

/// make with the arguments of a whole build and more.
fn docker_build(build: &[String], more: &[&str]) -> Run {
    let mut arguments: Vec<&str> = build.iter().map(String::as_str).collect();
    arguments.extend(more);
    make(&arguments)
}
