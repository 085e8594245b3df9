//! The build in a container and its recipes, with stand-ins for what a machine without registries cannot fetch: a base of
//! Debian's packages, and the musl and OpenSSL that Debian has as source.
//!
//! `cargo test` leaves them out; `make test` runs them, one after the other, and the whole build only where CI=true.

#[path = "support/https.rs"]
mod https;
#[path = "support/machine.rs"]
mod machine;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use machine::{Run, command, find_program, make, programs_without, root, run, skip};
use serde_json::{Value, json};

/// The archives of Debian and a pins file for them, or why there are none.
fn stand_ins() -> Result<&'static Path, &'static str> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = root().join("target/stand-ins");
        if !folder.join("pins.env").exists() {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            let mut download = command(root().join("tests/support/stand-ins"), root());
            download.arg(&folder);
            find_program("apt-get")?;
            run(download).succeeded();
        }
        Some(folder)
    });
    folder
        .as_deref()
        .ok_or("there is no apt-get that brings the sources")
}

/// A base image of Debian's packages, made once, or why there is none.
fn base() -> Result<&'static str, &'static str> {
    const IMAGE: &str = "lambda-musl-base:bookworm";
    let engine = command(root().join("scripts/engine"), root());
    if !run(engine).success {
        return Err("there is no container engine that works");
    }
    let mut inspect = command("docker", root());
    inspect.args(["image", "inspect", IMAGE]);
    if find_program("docker").is_some() && run(inspect).success {
        return Ok(IMAGE);
    }
    if find_program("debootstrap").is_none() {
        return Err("debootstrap is not installed");
    }
    let base = make(&["base-image"]).succeeded();
    assert_eq!(base.last_line(), format!("BASE={IMAGE}"));
    Ok(IMAGE)
}

fn docker_build(more: &[&str]) -> Result<Run, &'static str> {
    if std::env::var_os("CI").is_none() {
        return Err("it takes six minutes more: CI=true make test");
    }
    let folder = stand_ins()?.display();
    let base = base()?;
    let pins = format!("PINS={folder}/pins.env");
    let sources = format!("SOURCES={folder}");
    let base = format!("BASE={base}");
    let mut arguments = vec!["docker-build", &pins, &sources, &base, "OUT=dist/container"];
    arguments.extend(more);
    Ok(make(&arguments))
}

/// The value of a key in the stand-ins' pins.
fn pinned(key: &str) -> String {
    let pins = fs::read_to_string(stand_ins().unwrap().join("pins.env")).unwrap();
    let line = pins
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .unwrap();
    line.trim_start_matches('=').trim_matches('"').to_owned()
}

#[test]
#[ignore = "through make"]
fn docker_build_links_the_pinned_musl_and_openssl() {
    let built = match docker_build(&[]) {
        Ok(run) => run.succeeded(),
        Err(why) => return skip("make docker-build", why),
    };
    let (musl, openssl) = (pinned("MUSL_VERSION"), pinned("OPENSSL_VERSION"));
    let versions = format!("musl {musl}, OpenSSL {openssl}");
    assert!(
        built.last_line().contains(&versions),
        "{}",
        built.last_line()
    );

    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    let port = https::serve("hello", &authority);
    let event = json!({"url": format!("https://localhost:{port}/")});
    let mut invoke = command("make", root());
    invoke
        .args(["invoke", "OUT=dist/container", &format!("EVENT={event}")])
        .env("SSL_CERT_FILE", &authority);
    let answer: Value = serde_json::from_str(&run(invoke).succeeded().stdout).unwrap();
    assert_eq!(answer["status"], 203, "{answer}");
    let tls = answer["tls"].as_str().unwrap();
    assert!(tls.starts_with(&format!("OpenSSL {openssl} ")), "{tls}");

    let again = docker_build(&[]).unwrap().succeeded();
    assert!(again.took < Duration::from_secs(10), "{:?}", again.took);
    let sum = |run: &Run| run.last_line().split(", ").nth(1).unwrap().to_owned();
    assert_eq!(sum(&again), sum(&built));

    // What the user's shell has set would replace what links the musl.
    let folder = stand_ins().unwrap().display();
    let mut flags = command("make", root());
    flags
        .args(["docker-build", &format!("PINS={folder}/pins.env")])
        .env("RUSTFLAGS", "-Copt-level=0");
    run(flags).failed_with(&["RUSTFLAGS", "unset RUSTFLAGS"]);
}

#[test]
#[ignore = "through make"]
fn the_lock_file_of_classic_fits_the_workspace() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = command(root().join("scripts/stage"), root());
    stage.arg(folder.path()).arg("docker/pins/classic.lock");
    run(stage).succeeded();
    let mut update = command("cargo", folder.path());
    update.args(["update", "--workspace", "--locked"]);
    let update = run(update);
    assert!(
        update.success,
        "run scripts/classic-lock\n{}",
        update.stderr
    );
}

// Bad input.

fn pins_file(folder: &Path, text: &str) -> String {
    let file = folder.join("my pins.env");
    fs::write(&file, text).unwrap();
    format!("PINS={}", file.display())
}

fn fetch(pins: &str, sources: &Path) -> Run {
    make(&["fetch", pins, &format!("SOURCES={}", sources.display())])
}

const SUM: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Pins of two archives that hold nothing.
fn good_pins() -> String {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    format!(
        "# a comment\nMUSL_VERSION=9.1\nMUSL_SHA256={empty}\nMUSL_URLS=\"http://127.0.0.1:1/a/musl.tgz http://127.0.0.1:1/b/musl.tgz\"\n\
         OPENSSL_VERSION=9.2\nOPENSSL_SHA256={empty}\nOPENSSL_URLS=http://127.0.0.1:1/openssl.tgz\n"
    )
}

#[test]
#[ignore = "through make"]
fn archives_that_were_brought_in_are_taken_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let sources = folder.path().join("my sources");
    fs::create_dir(&sources).unwrap();
    for name in ["musl.tgz", "openssl.tgz"] {
        fs::write(sources.join(name), "").unwrap();
    }
    let run = fetch(&pins_file(folder.path(), &good_pins()), &sources).succeeded();
    let expected = ["musl.tgz", "openssl.tgz"].map(|name| sources.join(name).display().to_string());
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), expected);
    assert_eq!(
        fs::read_dir(&sources).unwrap().count(),
        2,
        "nothing is written into it"
    );
}

#[test]
#[ignore = "through make"]
fn an_archive_with_another_sum_is_named_with_both() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("musl.tgz"), "").unwrap();
    fs::write(folder.path().join("openssl.tgz"), "").unwrap();
    let wrong = good_pins().replacen(
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        SUM,
        1,
    );
    let pins = pins_file(folder.path(), &wrong);
    fetch(&pins, folder.path()).failed_with(&["musl.tgz", SUM, "e3b0c44298fc1c14", "/b/musl.tgz"]);
}

#[test]
#[ignore = "through make"]
fn urls_that_are_all_dead_are_named_with_the_other_way() {
    let folder = tempfile::tempdir().unwrap();
    let pins = pins_file(folder.path(), &good_pins());
    let words = [
        "http://127.0.0.1:1/a/musl.tgz",
        "http://127.0.0.1:1/b/musl.tgz",
        "SOURCES=",
    ];
    fetch(&pins, folder.path()).failed_with(&words);
    let left = fs::read_dir(root().join("target/sources"))
        .unwrap()
        .flatten();
    let parts = left.filter(|entry| entry.file_name().to_string_lossy().starts_with(".part"));
    assert_eq!(parts.count(), 0, "nothing is kept");
}

#[test]
#[ignore = "through make"]
fn a_key_that_is_wrong_is_named_with_the_file() {
    let good = good_pins();
    for (text, words) in [
        (
            good.replace("MUSL_VERSION=9.1\n", ""),
            ["MUSL_VERSION", "missing"],
        ),
        (
            good.clone() + "OPENSSL_VERSION=9.3\n",
            ["OPENSSL_VERSION", "twice"],
        ),
        (
            good.clone() + "ZLIB_VERSION=1\n",
            ["ZLIB_VERSION", "unknown"],
        ),
        (
            good.replace("=9.1", "=$(date)"),
            ["MUSL_VERSION", "odd characters"],
        ),
        (good.replace("=9.1", "="), ["MUSL_VERSION", "empty"]),
        (good.replace("e3b0", "E3B0"), ["MUSL_SHA256", "sha256"]),
        (good.clone() + "just words\n", ["just words", "KEY=value"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let run = fetch(&pins_file(folder.path(), &text), folder.path());
        run.failed_with(&words).failed_with(&["my pins.env"]);
    }
}

#[test]
#[ignore = "through make"]
fn pins_that_are_not_there_are_named_with_those_that_are() {
    make(&["fetch", "PINS=modern"]).failed_with(&["PINS=modern", "classic", "current"]);
}

#[test]
#[ignore = "through make"]
fn without_an_engine_the_other_way_is_named() {
    let folder = tempfile::tempdir().unwrap();
    programs_without("docker", folder.path());
    let _ = fs::remove_file(folder.path().join("podman"));
    let mut make = command("make", root());
    make.arg("docker-build").env("PATH", folder.path());
    run(make).failed_with(&["no container engine", "docker or podman", "make"]);
}

#[test]
#[ignore = "through make"]
fn a_base_that_cannot_be_pulled_is_named_with_the_other_way() {
    if let Err(why) = base() {
        return skip("a base that cannot be pulled", why);
    }
    let base = "BASE=registry.invalid/no/such:image";
    make(&["docker-build", base])
        .failed_with(&["registry.invalid/no/such:image", "make base-image"]);
}

#[test]
#[ignore = "through make"]
fn a_toolchain_is_not_written_over_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = format!("PREFIX={}", folder.path().display());
    make(&["toolchain", &prefix]).failed_with(&[&prefix, "there already"]);
    make(&["toolchain"]).failed_with(&["PREFIX is missing", "make toolchain PREFIX="]);
}
