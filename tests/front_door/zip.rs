//! The zip that make builds.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{
    build, build_greeting,
    machine::{best_of_three, command, make, python, root, run, sha256},
};

/// The limit in bytes for the zip of the example, which has no TLS.
const SIZE_LIMIT: u64 = 240_000;

/// Extracts the binary from a zip to this directory.
fn unpack_binary(zip: &Path, directory: &Path) -> PathBuf {
    let code = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract('binary', sys.argv[2])";
    python(code, &[zip, directory]);
    directory.join("binary")
}

#[test]
#[ignore = "run by make test"]
fn the_last_line_of_make_contains_the_zip_its_size_its_checksum_and_the_time() {
    let made = make(&[]).succeeded();
    let zip = root().join("dist/function.zip");
    let size = fs::metadata(&zip).unwrap().len();
    let start = format!("dist/function.zip: {size} bytes, sha256 {}, ", sha256(&zip));
    let seconds = made.last_line().strip_prefix(&start);
    let seconds = seconds.and_then(|rest| rest.strip_suffix(" s")).unwrap();
    seconds.parse::<u32>().unwrap();
}

#[test]
#[ignore = "run by make test"]
fn make_without_changes_takes_less_than_two_seconds() {
    build();
    let took = best_of_three(|| make(&[]));
    // Most machines take half that time.
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
#[ignore = "run by make test"]
fn the_zip_contains_only_the_entry_point_and_the_binary() {
    let code = "import sys, zipfile\nfor i in zipfile.ZipFile(sys.argv[1]).infolist(): print(i.filename, oct(i.external_attr >> 16), *i.date_time)";
    let expected = "binary 0o100755 1980 1 1 0 0 0\nbootstrap 0o100755 1980 1 1 0 0 0\n";
    assert_eq!(python(code, &[&build()]), expected);
}

#[test]
#[ignore = "run by make test"]
fn the_binary_contains_no_path_of_this_machine() {
    let directory = tempfile::tempdir().unwrap();
    let binary = fs::read(unpack_binary(&build(), directory.path())).unwrap();
    let home = std::env::var("HOME").unwrap();
    let paths = [root().to_str().unwrap(), &format!("{home}/"), "registry/src"];
    for path in paths {
        let mut windows = binary.windows(path.len());
        assert!(!windows.any(|window| window == path.as_bytes()), "{path}");
    }
}

#[test]
#[ignore = "run by make test"]
fn the_binary_is_a_static_pie_without_dynamic_dependencies() {
    let directory = tempfile::tempdir().unwrap();
    let binary = unpack_binary(&build(), directory.path());
    let mut readelf = command("readelf", root());
    readelf.args(["--wide", "--file-header", "--segments", "--dynamic"]);
    readelf.arg(binary);
    let text = run(readelf).succeeded().stdout;
    for expected in ["DYN (", "GNU_RELRO", "BIND_NOW"] {
        assert!(text.contains(expected), "readelf does not print {expected}:\n{text}");
    }
    for unwanted in ["INTERP", "NEEDED", "RPATH", "RWE"] {
        assert!(!text.contains(unwanted), "readelf prints {unwanted}:\n{text}");
    }
}

#[test]
#[ignore = "run by make test"]
fn the_zip_of_a_function_without_tls_stays_below_its_size_limit() {
    let size = fs::metadata(build_greeting()).unwrap().len();
    assert!(size <= SIZE_LIMIT, "{size} bytes");
}

#[test]
#[ignore = "run by make test"]
fn two_concurrent_makes_build_the_same_zip() {
    let both = [1, 2].map(|_| thread::spawn(|| make(&["CRATE=examples/greeting", "OUT=dist/twice"])));
    let checksums = both.map(|one| one.join().unwrap().succeeded().checksum());
    assert_eq!(checksums[0], checksums[1]);
}
