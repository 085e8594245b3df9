//! The sources of the libraries (pins files, archives and patches), the lock file of the pins, and the linker wrapper.

use std::{fs, io::Write, path::Path};

use lambda_musl::testing::http::{Server, answer, read_head};

use crate::machine::{Run, call, command, copy_of_the_clone, make, names, programs_without, root, run, write_program};

fn pins_file(directory: &Path, text: &str) -> String {
    let file = directory.join("my pins.env");
    fs::write(&file, text).unwrap();
    format!("PINS={}", file.display())
}

fn fetch(pins: &str, sources: &Path) -> Run {
    make(&["fetch", pins, &format!("SOURCES={}", sources.display())])
}

/// A server of empty files. Files below `/wrong/` have other contents.
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

/// Runs `make fetch` without an engine, so that it does not pull the base image.
fn fetch_without_engine(pins: &str, directory: &Path) -> Run {
    let programs = directory.join("programs");
    fs::create_dir(&programs).unwrap();
    fs::create_dir_all(directory.join("my sources")).unwrap();
    programs_without(&["docker", "podman"], &programs);
    let mut make = command("make", root());
    make.args(["fetch", pins, &format!("SOURCES={}/my sources", directory.display())]);
    make.env("PATH", programs);
    run(make)
}

/// The checksum of an empty file.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const OTHER: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Pins of two empty archives.
fn good_pins() -> String {
    let empty = EMPTY;
    format!(
        "# a comment\nMUSL_VERSION=9.1\nMUSL_SHA256={empty}\nMUSL_URLS=\"http://127.0.0.1:1/a/musl.tgz http://127.0.0.1:1/b/musl.tgz\"\n\
         OPENSSL_VERSION=9.2\nOPENSSL_SHA256={empty}\nOPENSSL_URLS=http://127.0.0.1:1/openssl.tgz\n"
    )
}

#[test]
#[ignore = "run by make test"]
fn archives_in_the_sources_directory_are_used_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let sources = directory.path().join("my sources");
    fs::create_dir(&sources).unwrap();
    let archives = ["musl.tgz", "openssl.tgz", "ONE.patch"];
    for name in archives {
        fs::write(sources.join(name), "").unwrap();
    }
    let patch = format!("MUSL_PATCH_ONE=\"{EMPTY} http://127.0.0.1:1/1\"\n");
    let pins = pins_file(directory.path(), &(good_pins() + &patch));
    let run = fetch_without_engine(&pins, directory.path()).succeeded();
    let expected = archives.map(|name| sources.join(name).display().to_string());
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), expected);
    assert_eq!(names(&sources).len(), 3, "fetch added files to the directory");
}

#[test]
#[ignore = "run by make test"]
fn an_archive_with_the_wrong_checksum_is_reported_with_both_checksums() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("musl.tgz"), "").unwrap();
    fs::write(directory.path().join("openssl.tgz"), "").unwrap();
    let wrong = good_pins().replacen(EMPTY, OTHER, 1);
    let pins = pins_file(directory.path(), &wrong);
    fetch(&pins, directory.path()).failed_with(&["musl.tgz", OTHER, EMPTY, "/b/musl.tgz"]);
}

#[test]
#[ignore = "run by make test"]
fn a_url_with_the_wrong_contents_is_reported_and_the_next_one_is_tried() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve_files();
    let port = server.port();
    let pins = good_pins()
        .replace("http://127.0.0.1:1/a/musl.tgz", &format!("http://127.0.0.1:{port}/wrong/musl-{port}.tgz"))
        .replace("http://127.0.0.1:1/b/musl.tgz", &format!("http://127.0.0.1:{port}/b/musl.tgz"))
        .replace("http://127.0.0.1:1/openssl.tgz", &format!("http://127.0.0.1:{port}/openssl-{port}.tgz"));
    let run = fetch_without_engine(&pins_file(directory.path(), &pins), directory.path()).succeeded();
    let wrong = format!("http://127.0.0.1:{port}/wrong/musl-{port}.tgz");
    assert!(
        run.stderr.contains(&format!("{wrong}: musl-{port}.tgz: expected the SHA-256 checksum {EMPTY}, found")),
        "{}",
        run.stderr
    );
    let kept = root().join(format!("target/cache/sources/{EMPTY}-musl-{port}.tgz"));
    assert_eq!(fs::read(&kept).unwrap(), b"", "the file with the wrong contents was kept");
    for kept in [kept, root().join(format!("target/cache/sources/{EMPTY}-openssl-{port}.tgz"))] {
        fs::remove_file(kept).unwrap();
    }
}

#[test]
#[ignore = "run by make test"]
fn dead_urls_are_reported_with_the_alternative() {
    let directory = tempfile::tempdir().unwrap();
    let pins = pins_file(directory.path(), &good_pins());
    let urls = ["http://127.0.0.1:1/a/musl.tgz", "http://127.0.0.1:1/b/musl.tgz"];
    fetch(&pins, directory.path()).failed_with(&urls).reported(&["contains no file of this name with the checksum"]);
    let kept = names(&root().join("target/cache/sources"));
    assert!(!kept.iter().any(|name| name.starts_with('.')), "{kept:?}");
}

#[test]
#[ignore = "run by make test"]
fn an_invalid_value_is_reported_with_the_file_and_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let pins = good_pins().replace("=9.1", "=$(date)");
    fetch(&pins_file(directory.path(), &pins), directory.path())
        .failed_with(&["my pins.env: line 2: the value of MUSL_VERSION", "invalid characters"]);
}

#[test]
#[ignore = "run by make test"]
fn unknown_pins_are_rejected_with_a_list_of_the_known_ones() {
    make(&["fetch", "PINS=modern"]).failed_with(&["--pins modern", "classic, current"]);
}

#[test]
#[ignore = "run by make test"]
fn the_lock_file_of_the_classic_pins_matches_the_workspace() {
    let directory = tempfile::tempdir().unwrap();
    copy_of_the_clone(&["."], directory.path());
    let mut update = command("cargo", directory.path());
    update.args(["update", "--workspace", "--locked"]);
    update.env("CARGO_RESOLVER_LOCKFILE_PATH", "docker/pins/classic/Cargo.lock");
    let update = run(update);
    assert!(update.success, "run make classic-lock\n{}", update.stderr);
}

#[test]
#[ignore = "run by make test"]
fn toolchain_does_not_overwrite_an_existing_directory() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = directory.path().display();
    make(&["toolchain", &format!("PREFIX={prefix}")]).failed_with(&[&format!("--prefix {prefix}"), "already exists"]);
    make(&["toolchain"]).failed_with(&["--prefix is missing"]);
}

#[test]
#[ignore = "run by make test"]
fn the_linker_wrapper_repeats_libc_and_the_compilers_libraries_after_those_of_crates() {
    let directory = tempfile::tempdir().unwrap();
    let linker = directory.path().join("rust-musl-gcc");
    fs::copy(root().join("docker/rust-musl-gcc"), &linker).unwrap();
    write_program(&directory.path().join("musl-gcc"), "printf '%s\\n' \"$@\"");
    let rustlib = "/rust/lib/rustlib/aarch64-unknown-linux-musl/lib";
    let builtins = format!("{rustlib}/libcompiler_builtins-1.rlib");
    let arguments = ["-lunwind", "-lc", &builtins, "-lcrypto", "-lgcc_eh", "-L", rustlib, "-o", "a b"];
    let run = call(&linker, &arguments).succeeded();
    let unwind = format!("{rustlib}/self-contained/libunwind.a");
    // gcc's unwinder is left out in favour of rustc's.
    let expected = [
        &unwind, "-lc", &builtins, "-lcrypto", "-L", rustlib, "-o", "a b", "-Wl,--start-group", "-lc", &unwind,
        &builtins, "-lgcc", "-Wl,--end-group", "-Wl,-Map=a b.map",
    ];
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), expected);
}
