//! What goes into the libraries and beside them: pins files, archives, fixes and the crates that fit them.

use std::{fs, io::Write, path::Path};

use lambda_musl::testing::http::{Server, answer, read_head};

use crate::machine::{Run, call, command, make, make_executable, programs_without, root, run};

fn pins_file(folder: &Path, text: &str) -> String {
    let file = folder.join("my pins.env");
    fs::write(&file, text).unwrap();
    format!("PINS={}", file.display())
}

fn fetch(pins: &str, sources: &Path) -> Run {
    make(&["fetch", pins, &format!("SOURCES={}", sources.display())])
}

/// A server of empty files, but for one whose contents are wrong.
fn serve_files() -> Server {
    let server = Server::start(|_, mut stream| {
        let request = read_head(&mut stream)?;
        let wrong = request.is_some_and(|request| request.line.contains("/wrong/"));
        let body = if wrong { "wrong" } else { "" };
        let answer = answer("200 OK", "Connection: close\r\n", body);
        stream.get_mut().write_all(&answer)
    });
    server.unwrap()
}

/// make fetch where no engine is, whose base image is not the matter here.
fn fetch_without_engine(pins: &str, folder: &Path) -> Run {
    let programs = folder.join("programs");
    fs::create_dir(&programs).unwrap();
    fs::create_dir_all(folder.join("my sources")).unwrap();
    programs_without("docker", &programs);
    let _ = fs::remove_file(programs.join("podman"));
    let mut make = command("make", root());
    make.args([
        "fetch",
        pins,
        &format!("SOURCES={}/my sources", folder.display()),
    ]);
    make.env("PATH", programs);
    run(make)
}

/// The sum of a file that holds nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const SUM: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Pins of two archives that hold nothing.
fn good_pins() -> String {
    let empty = EMPTY;
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
    for name in ["musl.tgz", "openssl.tgz", "FIX_1.patch"] {
        fs::write(sources.join(name), "").unwrap();
    }
    let pins = good_pins().replace(
        "OPENSSL_VERSION",
        &format!("MUSL_PATCH_FIX_1=\"{EMPTY} http://127.0.0.1:1/1\"\nOPENSSL_VERSION"),
    );
    let run = fetch_without_engine(&pins_file(folder.path(), &pins), folder.path()).succeeded();
    let names = ["musl.tgz", "openssl.tgz", "FIX_1.patch"];
    let expected = names.map(|name| sources.join(name).display().to_string());
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), expected);
    assert_eq!(
        fs::read_dir(&sources).unwrap().count(),
        3,
        "nothing is written into it"
    );
}

#[test]
#[ignore = "through make"]
fn an_archive_with_another_sum_is_named_with_both() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("musl.tgz"), "").unwrap();
    fs::write(folder.path().join("openssl.tgz"), "").unwrap();
    let wrong = good_pins().replacen(EMPTY, SUM, 1);
    let pins = pins_file(folder.path(), &wrong);
    fetch(&pins, folder.path()).failed_with(&["musl.tgz", SUM, "e3b0c44298fc1c14", "/b/musl.tgz"]);
}

#[test]
#[ignore = "through make"]
fn a_url_with_other_contents_is_named_and_the_next_one_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve_files();
    let port = server.port();
    let pins = good_pins()
        .replace(
            "http://127.0.0.1:1/a/musl.tgz",
            &format!("http://127.0.0.1:{port}/wrong/musl-{port}.tgz"),
        )
        .replace(
            "http://127.0.0.1:1/b/musl.tgz",
            &format!("http://127.0.0.1:{port}/b/musl.tgz"),
        )
        .replace(
            "http://127.0.0.1:1/openssl.tgz",
            &format!("http://127.0.0.1:{port}/openssl-{port}.tgz"),
        );
    let run = fetch_without_engine(&pins_file(folder.path(), &pins), folder.path()).succeeded();
    let wrong = format!("http://127.0.0.1:{port}/wrong/musl-{port}.tgz");
    assert!(
        run.stderr.contains(&format!(
            "{wrong}: musl-{port}.tgz: expected sha256 {EMPTY}, but it is"
        )),
        "{}",
        run.stderr
    );
    let kept = root().join(format!("target/sources/{EMPTY}-musl-{port}.tgz"));
    assert_eq!(fs::read(&kept).unwrap(), b"", "the right one");
    for kept in [
        kept,
        root().join(format!("target/sources/{EMPTY}-openssl-{port}.tgz")),
    ] {
        fs::remove_file(kept).unwrap();
    }
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
        (
            good.clone() + "MUSL_PATCH_A=\" http://a/1\"\n",
            ["MUSL_PATCH_A", "space"],
        ),
        (
            good.replace("http://127.0.0.1:1/openssl.tgz", "--version"),
            ["OPENSSL_URLS", "no URL"],
        ),
        (
            good.replace("=9.1", "=\"9.1 a\""),
            ["MUSL_VERSION", "no version"],
        ),
        (
            good.clone() + "MUSL_PATCH_A=http://a/1\n",
            ["MUSL_PATCH_A", "sha256"],
        ),
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
fn the_lock_file_of_classic_fits_the_workspace() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().to_string_lossy();
    let script = root().join("scripts/stage");
    call(script, &[&copy, "docker/pins/classic.lock"]).succeeded();
    let mut update = command("cargo", folder.path());
    update.args(["update", "--workspace", "--locked"]);
    let update = run(update);
    assert!(
        update.success,
        "run scripts/classic-lock\n{}",
        update.stderr
    );
}

#[test]
#[ignore = "through make"]
fn crates_that_are_too_new_for_the_oldest_openssl_are_named_with_the_older_ones() {
    let folder = tempfile::tempdir().unwrap();
    let krate = folder.path().to_string_lossy();
    let script = root().join("scripts/old-crates");
    let lock = "[[package]]\nname = \"openssl-sys\"\nversion = \"0.9.110\"\n\n[[package]]\nname = \"openssl\"\nversion = \"0.10.73\"\n";
    fs::write(folder.path().join("Cargo.lock"), lock).unwrap();
    let run = call(&script, &[&krate]).failed_with(&["cargo update --precise 0.9.109 openssl-sys"]);
    assert!(!run.stderr.contains("0.10.73"), "{}", run.stderr);
    let lock = lock.replace("0.9.110", "0.9.98");
    fs::write(folder.path().join("Cargo.lock"), lock).unwrap();
    call(&script, &[&krate]).succeeded();
}

#[test]
#[ignore = "through make"]
fn a_toolchain_is_not_written_over_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = format!("PREFIX={}", folder.path().display());
    make(&["toolchain", &prefix]).failed_with(&[&prefix, "there already"]);
    make(&["toolchain"]).failed_with(&["PREFIX is missing", "make toolchain PREFIX="]);
}

#[test]
#[ignore = "through make"]
fn the_linker_names_libc_and_what_it_calls_once_more_behind_the_libraries_of_crates() {
    let folder = tempfile::tempdir().unwrap();
    let linker = folder.path().join("rust-musl-gcc");
    fs::copy(root().join("docker/rust-musl-gcc"), &linker).unwrap();
    let gcc = folder.path().join("musl-gcc");
    fs::write(&gcc, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n").unwrap();
    make_executable(&gcc);
    let rustlib = "/rust/lib/rustlib/aarch64-unknown-linux-musl/lib";
    let builtins = format!("{rustlib}/libcompiler_builtins-1.rlib");
    let arguments = [
        "-lunwind", "-lc", &builtins, "-lcrypto", "-L", rustlib, "-o", "a b",
    ];
    let run = call(&linker, &arguments).succeeded();
    let unwind = format!("{rustlib}/self-contained/libunwind.a");
    // Long doubles of arm64 are numbers that libc leaves to the compiler's own library.
    let expected = [
        &unwind,
        "-lc",
        &builtins,
        "-lcrypto",
        "-L",
        rustlib,
        "-o",
        "a b",
        "-lc",
        &builtins,
        "-Wl,-Map=a b.map",
    ];
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), expected);
}
