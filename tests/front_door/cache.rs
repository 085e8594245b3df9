//! The cache of builds: a truncated file in it, such as a full disk leaves, is detected and replaced, and zig's files in it are listed.

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

fn make_with_other_cache() -> Run {
    // If there is nothing to link, the build does not start zig.
    touch_greeting();
    let mut make = command("make", root());
    make.args(GREETING).env("LAMBDA_MUSL_CACHE", other_cache());
    run(make)
}

#[test]
#[ignore = "run by make test"]
fn a_truncated_package_is_compressed_again() {
    let packages = other_cache().join("packages");
    fs::remove_dir_all(&packages).unwrap();
    let before = make_with_other_cache().succeeded();
    let package = packages.join(names(&packages).pop().unwrap());
    let bytes = fs::read(&package).unwrap();
    // Replace the file instead of changing it, because the clone's cache links to the same file.
    fs::remove_file(&package).unwrap();
    fs::write(&package, &bytes[..bytes.len() / 2]).unwrap();
    let after = make_with_other_cache().succeeded().reported(&["compressing …"]);
    assert_eq!(after.checksum(), before.checksum());
    assert_eq!(fs::read(&package).unwrap(), bytes);
}

#[test]
#[ignore = "run by make test"]
fn zigs_cache_is_listed_after_a_build_that_called_zig_and_only_then() {
    make(&GREETING).succeeded();
    let listed = || fs::metadata(root().join("target/cache/zig.json")).unwrap().modified().unwrap();
    let before = listed();
    make(&GREETING).succeeded();
    assert_eq!(listed(), before);
    touch_greeting();
    make(&GREETING).succeeded();
    assert!(listed() > before);
}
