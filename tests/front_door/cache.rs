//! A cache in which something was cut off, as where a disk was full: it is noticed and made again, and the zip is the same.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    GREETING,
    machine::{Run, call, command, make, names, root, run},
    touch_greeting,
};

/// Makes a copy of the cache without some of what is in it. The files are links to those of the cache.
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

/// A copy of the cache for these tests. It stays, as zig compiles its libc anew at another location.
pub fn other_cache() -> PathBuf {
    let cache = root().join("target/other-cache");
    if !cache.exists() {
        make(&[]).succeeded();
        copy_of_the_cache(&cache, &[]);
    }
    cache
}

fn make_with_other_cache(arguments: &[&str]) -> Run {
    // Where nothing is to be linked, zig is not asked.
    touch_greeting();
    let mut make = command("make", root());
    make.args(arguments).env("LAMBDA_MUSL_CACHE", other_cache());
    run(make)
}

/// Builds twice, with a file cut off between whose path in the cache ends so. What make says the second time.
fn build_with_cut_off(end: &str, arguments: &[&str]) -> Run {
    let before = make_with_other_cache(arguments).succeeded();
    let cache = other_cache().display().to_string();
    let found = call(
        "find",
        &[&cache, "-type", "f", "-path", &format!("*/{end}")],
    );
    let file = found
        .stdout
        .lines()
        .next()
        .unwrap_or_else(|| panic!("there is no {end}"));
    let bytes = fs::read(file).unwrap();
    // Another file, as this one is in the cache of the clone as well.
    fs::remove_file(file).unwrap();
    fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
    let after = make_with_other_cache(arguments).succeeded();
    assert_eq!(after.checksum(), before.checksum());
    let size = fs::metadata(file).map(|metadata| metadata.len() as usize);
    assert_ne!(size.ok(), Some(bytes.len() / 2), "{file}");
    after
}

#[test]
#[ignore = "through make"]
fn a_wheel_that_was_cut_off_is_installed_again() {
    build_with_cut_off("ziglang/zig", &GREETING)
        .said(&["is damaged (ziglang/zig) and will be created again"]);
}

#[test]
#[ignore = "through make"]
fn a_listing_that_was_cut_off_is_made_again_with_what_it_lists() {
    build_with_cut_off("wheels/zig-*.json", &GREETING).said(&["wheels of zig …"]);
}

#[test]
#[ignore = "through make"]
fn a_file_of_zigs_own_cache_that_was_cut_off_is_compiled_again() {
    build_with_cut_off("zig/h/*.txt", &GREETING).said(&["is damaged (h/", "will be created again"]);
}

#[test]
#[ignore = "through make"]
fn a_package_that_was_cut_off_is_compressed_again() {
    fs::remove_dir_all(other_cache().join("packages")).unwrap();
    build_with_cut_off("packages/*.zip", &GREETING).said(&["compressing …"]);
}
