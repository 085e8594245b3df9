//! Shows where two builds differ: the file, its section, and the bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde_json::{Map, Value};

use crate::files::At;
use crate::verify::{archive, elf, first_difference, on_a_line};

/// The number of bytes to show of each side.
const SHOWN: usize = 32;

/// The number of these bytes before the first difference.
const BEFORE: usize = 16;

/// Fails if two files, or the files of two directories, differ, and lists all differences.
pub fn difference(a: &Path, b: &Path) -> Result<()> {
    let mut differences = Vec::new();
    if a.is_dir() && b.is_dir() {
        let (in_a, in_b) = (names(a)?, names(b)?);
        let (checksums, files): (BTreeSet<_>, BTreeSet<_>) =
            in_a.union(&in_b).partition(|name| name.as_os_str() == "SHA256SUMS");
        ensure!(!files.is_empty(), "{} and {} contain no build outputs", a.display(), b.display());
        for name in files.into_iter().chain(checksums) {
            let shown = name.display().to_string();
            match (in_a.contains(name), in_b.contains(name)) {
                // The checksums differ only because other files do.
                (true, true) if shown == "SHA256SUMS" && !differences.is_empty() => {}
                (true, true) => {
                    differences.extend(compare(&shown, &read(&a.join(name))?, &read(&b.join(name))?, DEPTH))
                }
                (first, _) => differences.push(only_in(&shown, first)),
            }
        }
    } else {
        let name = a.file_name().unwrap_or_default().to_string_lossy();
        differences = compare(&name, &read(a)?, &read(b)?, DEPTH);
    }
    ensure!(differences.is_empty(), differences.join("\nerror: "));
    Ok(())
}

fn names(directory: &Path) -> Result<BTreeSet<PathBuf>> {
    let entries = fs::read_dir(directory).at(directory)?;
    Ok(entries.flatten().map(|entry| entry.file_name().into()).collect())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    // Reading anything but a regular file, such as a pipe, could block.
    ensure!(!path.exists() || path.is_file(), "{}: is not a regular file", path.display());
    fs::read(path).at(path)
}

fn only_in(what: &str, first: bool) -> String {
    let which = if first { "first" } else { "second" };
    format!("{what}: exists only in the {which} build")
}

/// The number of levels to look into: the files of a zip, and their sections. Without a limit, the comparison of zips that
/// contain themselves would never end.
const DEPTH: usize = 2;

/// All differences between two files with this name, one for each part that differs.
fn compare(name: &str, a: &[u8], b: &[u8], depth: usize) -> Vec<String> {
    if a == b {
        return Vec::new();
    }
    let mut differences = compare_members(name, a, b).unwrap_or_default();
    let [(in_a, faults_of_a), (in_b, faults_of_b)] =
        [a, b].map(|bytes| if depth > 0 { parts(bytes) } else { Default::default() });
    for (which, faults) in [("first", faults_of_a), ("second", faults_of_b)] {
        let damage = ["is damaged: ", "is truncated or damaged: "];
        let faults = faults.into_iter().filter(|fault| damage.iter().any(|words| fault.contains(words)));
        differences.extend(faults.map(|fault| format!("{name} in the {which} build: {fault}")));
    }
    if !differences.is_empty() {
        return differences;
    }
    for part in in_a.keys().chain(in_b.keys()).collect::<BTreeSet<_>>() {
        let shown = format!("{name}: {part}");
        match (in_a.get(part), in_b.get(part)) {
            (Some(a), Some(b)) => differences.extend(compare(&shown, a, b, depth - 1)),
            (a, _) => differences.push(only_in(&shown, a.is_some())),
        }
    }
    if differences.is_empty() {
        differences.push(shown_difference(name, a, b));
    }
    differences
}

/// The differences between two JSON objects, or `None` if one of the files is something else.
fn compare_members(name: &str, a: &[u8], b: &[u8]) -> Option<Vec<String>> {
    let [a, b] = [a, b].map(|bytes| serde_json::from_slice::<Map<String, Value>>(bytes).ok());
    let (a, b) = (a?, b?);
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let lines = keys.into_iter().filter(|key| a.get(*key) != b.get(*key)).map(|key| {
        let name = format!("{name}: {}", on_a_line(key.as_bytes()));
        match [&a, &b].map(|object| object.get(key).map(Value::to_string)) {
            [Some(a), Some(b)] if a.len().max(b.len()) > SHOWN => shown_difference(&name, a.as_bytes(), b.as_bytes()),
            [Some(a), Some(b)] => format!("{name}: {a} in the first build, {b} in the second"),
            [a, _] => only_in(&name, a.is_some()),
        }
    });
    Some(lines.collect())
}

/// The files of a zip and its faults, or the sections of an ELF file.
fn parts(bytes: &[u8]) -> (BTreeMap<String, Vec<u8>>, Vec<String>) {
    if !bytes.starts_with(b"PK\x03\x04") {
        return (elf::sections(bytes).into_iter().collect(), Vec::new());
    }
    let archive = archive::read(bytes);
    (archive.files.into_iter().map(|(name, file)| (name, file.bytes)).collect(), archive.faults)
}

pub fn shown_difference(name: &str, a: &[u8], b: &[u8]) -> String {
    let same = first_difference(a, b).unwrap_or_default();
    let from = same.saturating_sub(BEFORE);
    let show = |bytes: &[u8]| {
        let bytes = &bytes[from.min(bytes.len())..(from + SHOWN).min(bytes.len())];
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let letter = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' };
        let text: String = bytes.iter().map(letter).collect();
        format!("{:<width$} |{text}|", hex.join(" "), width = 3 * SHOWN - 1)
    };
    let sizes = if a.len() == b.len() { String::new() } else { format!(", sizes {} and {} bytes", a.len(), b.len()) };
    format!("{name}: first difference at byte {same:#x}{sizes}\n  {}\n  {}", show(a), show(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::ENTRY_POINT;
    use crate::verify::specimen::{Specimen, package};

    #[test]
    fn zips_with_the_same_files_are_identical_or_differ_in_their_headers() {
        let zip = package(&Specimen::default().bytes(), ENTRY_POINT);
        assert!(compare("function.zip", &zip, &zip, DEPTH).is_empty());
        let mut changed = zip.clone();
        changed[10] = 1;
        let differences = compare("function.zip", &changed, &zip, DEPTH);
        assert!(differences[0].starts_with("function.zip: first difference at byte 0xa\n"), "{differences:?}");
    }

    #[test]
    fn checksums_that_differ_because_something_else_does_are_not_shown() {
        let [a, b] = [0, 1].map(|_| tempfile::tempdir().unwrap());
        let write = |name: &str, text: &str| {
            fs::write(a.path().join(name), "1").unwrap();
            fs::write(b.path().join(name), text).unwrap();
            difference(a.path(), b.path()).unwrap_err().to_string()
        };
        fs::write(a.path().join("build.json"), "1").unwrap();
        fs::write(b.path().join("build.json"), "1").unwrap();
        assert!(write("SHA256SUMS", "2").starts_with("SHA256SUMS: first difference"));
        assert!(write("build.json", "2").starts_with("build.json: first difference"));
        assert!(write("SHA256SUMS", "{}").starts_with("build.json: first difference"));
        fs::remove_file(b.path().join("SHA256SUMS")).unwrap();
        let error = difference(a.path(), b.path()).unwrap_err().to_string();
        assert!(error.ends_with("error: SHA256SUMS: exists only in the first build"), "{error}");
    }

    #[test]
    fn directories_without_build_outputs_are_not_identical() {
        let [a, b] = [0, 1].map(|_| tempfile::tempdir().unwrap());
        let error = difference(a.path(), b.path()).unwrap_err().to_string();
        assert!(error.ends_with("contain no build outputs"), "{error}");
    }

    #[test]
    fn a_damaged_file_of_a_zip_is_reported_as_damaged() {
        let zip = package(&Specimen::default().bytes(), ENTRY_POINT);
        let mut damaged = zip.clone();
        let middle = zip.len() / 3;
        damaged[middle] ^= 1;
        let differences = compare("function.zip", &zip, &damaged, DEPTH);
        assert_eq!(differences.len(), 1, "{differences:?}");
        assert!(
            differences[0].starts_with("function.zip in the second build: binary: is damaged: "),
            "{differences:?}"
        );
        let differences = compare("function.zip", &zip[..middle], &zip, DEPTH);
        assert_eq!(differences.len(), 1, "{differences:?}");
        assert!(
            differences[0].starts_with("function.zip in the first build: is truncated or damaged: "),
            "{differences:?}"
        );
    }

    #[test]
    fn records_of_builds_are_compared_member_by_member() {
        let compare = |a: &[u8], b: &[u8]| compare("build.json", a, b, DEPTH).join("\n");
        let [a, b] = [r#"{"musl":"1.2.5","zig":"0.15.2"}"#, r#"{"cross":"0.2.5","musl":"1.2.3"}"#].map(str::as_bytes);
        let expected = "build.json: cross: exists only in the second build\n\
                        build.json: musl: \"1.2.5\" in the first build, \"1.2.3\" in the second\n\
                        build.json: zig: exists only in the first build";
        assert_eq!(compare(a, b), expected);
        assert!(
            compare(a, br#"{"musl":"1.2.5", "zig":"0.15.2"}"#)
                .starts_with("build.json: first difference at byte 0x10,")
        );
    }

    #[test]
    fn a_file_that_only_one_of_two_directories_has_is_named() {
        let [a, b] = [0, 1].map(|_| tempfile::tempdir().unwrap());
        fs::write(a.path().join("build.json"), "{}").unwrap();
        for (first, second, which) in [(&a, &b, "first"), (&b, &a, "second")] {
            let error = difference(first.path(), second.path()).unwrap_err().to_string();
            assert_eq!(error, format!("build.json: exists only in the {which} build"));
        }
    }
}
