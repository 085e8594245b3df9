//! Truncated files in the cache, as after a full disk: the build detects and replaces them, and the zip is the same.

use std::{fs, path::PathBuf};

use crate::{
    GREETING,
    machine::{Run, call, make, root},
    touch_greeting,
};

pub fn cache() -> PathBuf {
    root().join("target/cache")
}

/// Builds twice, and in between truncates the file of the cache whose path ends with `end`. Returns the second build.
fn build_with_truncated(end: &str) -> Run {
    let build = || {
        // Without anything to link, the build does not start zig.
        touch_greeting();
        make(&GREETING).succeeded()
    };
    let before = build();
    let pattern = format!("*/{end}");
    let found = call(
        "find",
        &[
            &cache().display().to_string(),
            "-type",
            "f",
            "-path",
            &pattern,
        ],
    );
    let file = found.stdout.lines().next();
    let file = file.unwrap_or_else(|| panic!("the cache contains no {end}"));
    let half = fs::metadata(file).unwrap().len() / 2;
    fs::File::options()
        .write(true)
        .open(file)
        .unwrap()
        .set_len(half)
        .unwrap();
    let after = build();
    assert_eq!(after.checksum(), before.checksum());
    let size = fs::metadata(file).map(|metadata| metadata.len());
    assert_ne!(size.ok(), Some(half), "{file}");
    after
}

#[test]
#[ignore = "run by make test"]
fn a_truncated_wheel_is_installed_again() {
    build_with_truncated("ziglang/zig")
        .reported(&["is damaged (ziglang/zig) and will be created again"]);
}

#[test]
#[ignore = "run by make test"]
fn a_truncated_list_of_a_wheels_files_installs_the_wheel_again() {
    build_with_truncated("wheels/zig-*.json").reported(&["wheels of zig …"]);
}

#[test]
#[ignore = "run by make test"]
fn a_truncated_file_in_zigs_cache_is_compiled_again() {
    build_with_truncated("zig/h/*.txt").reported(&["is damaged (h/", "will be created again"]);
}

#[test]
#[ignore = "run by make test"]
fn a_truncated_package_is_compressed_again() {
    fs::remove_dir_all(cache().join("packages")).unwrap();
    build_with_truncated("packages/*.zip").reported(&["compressing …"]);
}
