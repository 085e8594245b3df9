//! Truncated files in the cache, as after a full disk: the build detects and replaces them, and the zip is the same.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    GREETING,
    machine::{Run, call, command, make, names, root, run},
    touch_greeting,
};

/// Copies the cache, except the entries in `without`. The copies are hard links.
pub fn copy_of_the_cache(to: &Path, without: &[&str]) {
    let cache = root().join("target/cache");
    fs::create_dir_all(to).unwrap();
    for name in names(&cache) {
        if !without.contains(&&*name) {
            let from = cache.join(name).display().to_string();
            call("cp", &["-al", &from, &to.to_string_lossy()]).succeeded();
        }
    }
}

/// A copy of the cache for these tests. It is kept, because zig compiles its libc again for each location.
pub fn other_cache() -> PathBuf {
    let cache = root().join("target/other-cache");
    if !cache.exists() {
        make(&[]).succeeded();
        copy_of_the_cache(&cache, &[]);
    }
    cache
}

fn make_with_other_cache(arguments: &[&str]) -> Run {
    // Without anything to link, the build does not start zig.
    touch_greeting();
    let mut make = command("make", root());
    make.args(arguments).env("LAMBDA_MUSL_CACHE", other_cache());
    run(make)
}

/// Builds twice, and in between truncates the file of the cache whose path ends with `end`. Returns the second build.
fn build_with_truncated(end: &str, arguments: &[&str]) -> Run {
    let before = make_with_other_cache(arguments).succeeded();
    let cache = other_cache().display().to_string();
    let found = call("find", &[&cache, "-type", "f", "-path", &format!("*/{end}")]);
    let file = found.stdout.lines().next().unwrap_or_else(|| panic!("the cache contains no {end}"));
    let bytes = fs::read(file).unwrap();
    // Replaced, not changed, because the clone's cache links to the same file.
    fs::remove_file(file).unwrap();
    fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
    let after = make_with_other_cache(arguments).succeeded();
    assert_eq!(after.checksum(), before.checksum());
    let size = fs::metadata(file).map(|metadata| metadata.len() as usize);
    assert_ne!(size.ok(), Some(bytes.len() / 2), "{file}");
    after
}

#[test]
#[ignore = "run by make test"]
fn a_truncated_wheel_is_installed_again() {
    build_with_truncated("ziglang/zig", &GREETING).reported(&["is damaged (ziglang/zig) and will be created again"]);
}

#[test]
#[ignore = "run by make test"]
fn a_truncated_list_of_a_wheels_files_installs_the_wheel_again() {
    build_with_truncated("wheels/zig-*.json", &GREETING).reported(&["wheels of zig …"]);
}

#[test]
#[ignore = "run by make test"]
fn a_truncated_file_in_zigs_cache_is_compiled_again() {
    build_with_truncated("zig/h/*.txt", &GREETING).reported(&["is damaged (h/", "will be created again"]);
}

#[test]
#[ignore = "run by make test"]
fn a_truncated_package_is_compressed_again() {
    fs::remove_dir_all(other_cache().join("packages")).unwrap();
    build_with_truncated("packages/*.zip", &GREETING).reported(&["compressing …"]);
}
