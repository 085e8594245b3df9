//! Proves that the libc and the OpenSSL in a binary are those of the builder image. The proof is the linker's map, which lists the
//! origin of each linked member.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, ensure};

use crate::{files::At, image::PREFIX, verify::origin::openssl_versions};

const LIBC: [&str; 9] = ["c", "m", "pthread", "rt", "dl", "util", "resolv", "crypt", "xnet"];
const OPENSSL: [&str; 2] = ["ssl", "crypto"];

/// Fails unless every member of a libc, libssl or libcrypto is from the prefix, and the binary contains either this
/// version of OpenSSL or no OpenSSL at all. `deps` is the directory into which the linker writes.
pub fn check(binary: &[u8], deps: &Path, openssl: &str) -> Result<()> {
    let map = map_of(binary, deps)?;
    let lib = format!("{PREFIX}/lib");
    let libc = archives(&map, &LIBC);
    let is_own = libc.iter().eq([&format!("{lib}/libc.a")]);
    ensure!(is_own, "expected only the libc of {PREFIX}, but these were linked: {}", shown(&libc));
    let linked = archives(&map, &OPENSSL);
    let is_own = linked.iter().all(|path| path.starts_with(&lib));
    ensure!(is_own, "expected only the OpenSSL of {PREFIX}, but these were linked: {}", shown(&linked));
    let versions: BTreeSet<String> = openssl_versions(binary).collect();
    let is_linked = linked.iter().any(|path| path.ends_with("/libcrypto.a"));
    let is_right = versions.is_empty() || is_linked && versions.contains(openssl);
    let found = versions.into_iter().collect::<Vec<_>>().join(", ");
    ensure!(is_right, "expected the binary to contain OpenSSL {openssl} of {PREFIX}, or no OpenSSL; found: {found}");
    Ok(())
}

/// The map that the linker wrote next to the binary. Cargo has given the binary another name since then, so the map is
/// found by the binary's content.
fn map_of(binary: &[u8], deps: &Path) -> Result<String> {
    let entries = fs::read_dir(deps).at(deps)?.flatten();
    let mut maps = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "map"));
    let is_of_binary = |map: &std::path::PathBuf| {
        let linked = map.with_extension("");
        let size = linked.metadata().map(|metadata| metadata.len());
        size.is_ok_and(|size| size == binary.len() as u64) && fs::read(linked).is_ok_and(|bytes| bytes == binary)
    };
    let map = maps.find(is_of_binary);
    let map = map.context("the linker wrote no map; the function was not linked in the builder image")?;
    let text = fs::read(&map).at(&map)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The archives of these libraries from which a member was linked.
fn archives(map: &str, names: &[&str]) -> BTreeSet<String> {
    let members = map.lines().filter_map(|line| {
        let path = line.split_once('(')?.0;
        (!path.is_empty() && !path.contains(' ')).then_some(path)
    });
    let is_one = |path: &&str| {
        let file = path.rsplit('/').next().unwrap_or_default();
        let stem = file.strip_suffix(".a").or_else(|| file.strip_suffix(".rlib"));
        stem.and_then(|stem| stem.strip_prefix("lib")).is_some_and(|name| names.contains(&name))
    };
    // The wrapper around gcc refers to the prefix by a path with `/bin/../`.
    members.filter(is_one).map(|path| path.replace("/bin/../", "/")).collect()
}

fn shown(paths: &BTreeSet<String>) -> String {
    match paths.is_empty() {
        true => "none".into(),
        false => paths.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "Archive member included\n\n/opt/lambda-musl/lib/libc.a(printf.lo)\n/opt/lambda-musl/bin/../lib/libc.a(puts.lo)\n                              a.o (printf)\n\
                       /opt/lambda-musl/lib/libcrypto.a(x.o)\n/rust/libcore-1.rlib(core.o)\n";

    fn check_with(map: &str, binary: &[u8], openssl: &str) -> Result<()> {
        let deps = tempfile::tempdir().unwrap();
        fs::write(deps.path().join("app-1"), binary).unwrap();
        fs::write(deps.path().join("app-1.map"), map).unwrap();
        check(binary, deps.path(), openssl)
    }

    #[test]
    fn libraries_from_the_prefix_are_accepted() {
        check_with(MAP, b"ELF OpenSSL 3.0.1 1 Jan 2026\0", "3.0.1").unwrap();
        check_with(MAP, b"ELF", "3.0.1").unwrap();
    }

    #[test]
    fn a_library_from_elsewhere_is_named() {
        for (from, expected) in [
            ("/opt/lambda-musl/lib/libc.a", "only the libc of /opt/lambda-musl,"),
            ("/opt/lambda-musl/lib/libcrypto.a", "only the OpenSSL of /opt/lambda-musl,"),
        ] {
            let name = from.rsplit('/').next().unwrap();
            let map = MAP.replace("bin/../", "").replace(from, &format!("/rust/self-contained/{name}"));
            let error = check_with(&map, b"ELF", "3.0.1").unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("/rust/self-contained/"), "{error}");
        }
    }

    #[test]
    fn a_different_openssl_is_an_error_unless_the_right_one_is_there_too() {
        let error = check_with(MAP, b"OpenSSL 1.1.1 1 Jan 2020\0", "3.0.1").unwrap_err().to_string();
        assert!(error.contains("1.1.1"), "{error}");
        check_with(MAP, b"OpenSSL 1.1.1 1 Jan 2020\0OpenSSL 3.0.1 1 Jan 2026\0", "3.0.1").unwrap();
    }

    #[test]
    fn a_binary_without_a_map_was_not_linked_in_the_image() {
        let deps = tempfile::tempdir().unwrap();
        assert!(check(b"ELF", deps.path(), "3.0.1").unwrap_err().to_string().contains("no map"));
    }
}
