//! Describes a deployment package, or lists all problems with it. The checks only read the package: they unpack nothing to the
//! disk, and execute nothing in it.

pub mod archive;
pub mod elf;
pub mod origin;
mod paths;
#[cfg(test)]
pub mod specimen;

use std::path::{Path, PathBuf};
use std::{fs, io, io::Read};

use anyhow::{Context, anyhow, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::package::form::{Contents, Form, checksum, is_extension, is_reserved};
use crate::{arch::Arch, environment, invoke, options};

/// The entry point that the packager adds.
pub const ENTRY_POINT: &[u8] = include_bytes!("../../../function/bootstrap");

/// The maximum number of problems to show.
const SHOWN: usize = 40;

/// The maximum number of bytes to show of a text from a file.
const LONGEST: usize = 120;

/// A package without problems.
pub struct Verified {
    pub bytes: Vec<u8>,
    pub form: Form,
    pub arch: Arch,
    /// The name and the version of the function, from its record.
    pub name: String,
    pub version: String,
    /// The checksums of the package and of its files, and what the function was built from.
    pub report: String,
}

/// Prints a description of a package and, with `--run`, the result of an invocation.
pub fn run(options: options::Verify) -> anyhow::Result<()> {
    let zip = options.zip.path();
    println!("{}", verify(&zip, options.arch, &environment::roots()?)?.report);
    if options.run {
        println!("{}", invoke::try_out(&zip, options.event)?);
    }
    Ok(())
}

/// Verifies the package in `zip`. Without `arch`, either architecture is accepted. The package must not contain a path below
/// any of `roots`, which are absolute.
pub fn verify(zip: &Path, arch: Option<Arch>, roots: &[PathBuf]) -> anyhow::Result<Verified> {
    let bytes = read(zip, archive::UNZIPPED)?;
    let (lines, faults) = inspect(&bytes, arch, roots);
    verdict(zip, faults)?;
    let files = archive::read(&bytes).files;
    let form = Form::of(&files);
    let binary = binary_of(form, &files).and_then(|name| files.get(&name)).context("no binary")?;
    let record = origin::record(&binary.bytes).unwrap_or_default();
    let said = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Verified {
        form,
        arch: elf::architecture(&binary.bytes)?,
        name: said("name"),
        version: said("version"),
        report: format!("{}  {}\n{lines}", sha256_hex(&bytes), file_name(zip)),
        bytes,
    })
}

/// The name of the binary in a package of this form.
fn binary_of(form: Form, files: &Contents) -> Option<String> {
    match form {
        Form::Extension => files.keys().find(|name| is_extension(name)).cloned(),
        form => Some(form.path_of("")),
    }
}

/// Verifies a binary in a package of this form with these included files. The error has a line for each problem. The binary
/// must not contain a path below any of `roots`, which are absolute.
pub fn check(
    name: &str, binary: &[u8], arch: Arch, roots: &[PathBuf], form: Form, included: &Contents,
) -> anyhow::Result<()> {
    let included = (!included.is_empty()).then(|| checksum(included));
    verdict(Path::new(name), inspect_binary(binary, Some(arch), roots, form, included.as_deref()).1)
}

/// A description of what a binary was built from, and all its problems. The builds and `verify` share these checks.
fn inspect_binary(
    bytes: &[u8], arch: Option<Arch>, roots: &[PathBuf], form: Form, included: Option<&str>,
) -> (String, Vec<String>) {
    let mut faults = elf::faults(bytes, arch);
    faults.extend(paths::fault(bytes, roots));
    // A file without an architecture is not a binary, and its other problems do not matter.
    if elf::architecture(bytes).is_err() {
        return (String::new(), faults);
    }
    let (description, contradictions) = origin::read(bytes, form, included);
    faults.extend(contradictions);
    (description, faults)
}

/// The lines about the files of a package, and all its problems.
fn inspect(zip: &[u8], arch: Option<Arch>, roots: &[PathBuf]) -> (String, Vec<String>) {
    let archive::Archive { files, mut faults } = archive::read(zip);
    let form = Form::of(&files);
    let lines: String = files
        .iter()
        .map(|(name, file)| format!("{}  {}\n", sha256_hex(&file.bytes), on_a_line(name.as_bytes())))
        .collect();
    let included = || files.iter().filter(|(name, _)| !is_reserved(name));
    let checksum = included().next().map(|_| checksum(included()));
    // The first extension is the binary.
    let extensions = files.keys().filter(|name| is_extension(name)).skip(usize::from(form == Form::Extension));
    let needed: &[&str] = match form {
        Form::Script => &archive::NAMES,
        Form::Single => &["bootstrap"],
        Form::Extension => &[],
    };
    let binary = binary_of(form, &files);
    // A file that cannot be read has been reported already.
    let missing = needed
        .iter()
        .filter(|name| !files.contains_key(**name) && faults.iter().all(|fault| !fault.starts_with(*name)));
    faults.extend(missing.map(|name| format!("contains no {name}")).collect::<Vec<_>>());
    faults
        .extend(extensions.map(|name| format!("contains {}, which does not belong in it", on_a_line(name.as_bytes()))));
    if let Some(bootstrap) = files.get("bootstrap").filter(|_| form == Form::Script) {
        faults.extend(first_difference(&bootstrap.bytes, ENTRY_POINT).map(|at| {
            let line = bootstrap.bytes[..at].split(|byte| *byte == b'\n').count();
            format!("bootstrap: differs from function/bootstrap: first difference in line {line}")
        }));
    }
    let mut description = String::new();
    if let Some((name, file)) = binary.and_then(|name| files.get_key_value(&name)) {
        let (origin, of_binary) = inspect_binary(&file.bytes, arch, roots, form, checksum.as_deref());
        description = origin;
        faults.extend(of_binary.iter().map(|fault| format!("{}: {fault}", on_a_line(name.as_bytes()))));
    }
    let note = match zip.len() as u64 > archive::ZIPPED {
        true => format!("\nnote: Lambda accepts a zip over {} bytes only from an S3 bucket", archive::ZIPPED),
        false => String::new(),
    };
    (format!("{lines}✓ {description}{note}"), faults)
}

/// Reads a regular file of at most `limit` bytes. Reading anything else, such as a pipe, could block.
pub fn read(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let name = file_name(path);
    let describe = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => anyhow!("{name}: {error}; `build` creates a zip"),
        _ => anyhow!("{name}: {error}"),
    };
    let is_file = fs::metadata(path).map_err(describe)?.is_file();
    ensure!(is_file, "{name}: is not a regular file");
    let mut bytes = Vec::new();
    let mut file = fs::File::open(path).map_err(describe)?.take(limit + 1);
    file.read_to_end(&mut bytes).map_err(describe)?;
    ensure!(bytes.len() as u64 <= limit, "{name}: is larger than the {limit} bytes that Lambda accepts");
    Ok(bytes)
}

/// Fails with a line for each problem of a file, if there are any.
fn verdict(path: &Path, faults: Vec<String>) -> anyhow::Result<()> {
    let (name, count) = (file_name(path), faults.len());
    let mut lines: Vec<_> = faults.iter().take(SHOWN).map(|fault| format!("{name}: {fault}")).collect();
    if count > SHOWN {
        lines.push(format!("{name}: and {} more problems", count - SHOWN));
    }
    ensure!(lines.is_empty(), lines.join("\nerror: "));
    Ok(())
}

/// The SHA-256 checksum of `bytes`, as `sha256sum` prints it.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of a file on one line, with unusual characters escaped. An ordinary name is unchanged.
fn file_name(path: &Path) -> String {
    let name = path.to_string_lossy().escape_debug().to_string();
    name.replace("\\'", "'").replace("\\\"", "\"")
}

/// The text up to the first null byte, on one line and with unusual characters escaped.
pub fn on_a_line(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(LONGEST)];
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).escape_debug().collect()
}

/// The messages of the rules that are broken.
fn broken<T>(rules: impl IntoIterator<Item = (bool, T)>) -> impl Iterator<Item = T> {
    rules.into_iter().filter(|(is_kept, _)| !is_kept).map(|(_, fault)| fault)
}

/// The index of the first byte in which two files differ.
pub fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    (a != b).then(|| a.iter().zip(b).take_while(|(a, b)| a == b).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use specimen::{Specimen, package, spoilt};

    fn problems(zip: Vec<u8>) -> Vec<String> {
        inspect(&zip, Some(Arch::X86_64), &["/work/clone".into()]).1
    }

    fn with(spoil: impl FnOnce(&mut Specimen)) -> Vec<u8> {
        package(&Specimen::spoilt(spoil), ENTRY_POINT)
    }

    fn with_bootstrap(text: &[u8]) -> Vec<u8> {
        package(&Specimen::default().bytes(), text)
    }

    spoilt! {
        a_binary_that_is_not_one: package(ENTRY_POINT, ENTRY_POINT) => "binary: is not a 64-bit little-endian ELF file";
        a_path_of_this_machine: with(|elf| elf.text("/work/clone/home/ada/a.rs"))
            => format!("binary: {}", paths::fault(b"/work/clone/home/ada/a.rs", &["/work/clone".into()]).unwrap());
        a_path_of_another_machine: with(|elf| elf.text("at/home/ada/a.rs"))
            => format!("binary: {}", paths::fault(b"/home/ada/a.rs", &[]).unwrap());
        another_entry_point: with_bootstrap(b"#!/bin/sh\nexec ./other\n")
            => "bootstrap: differs from function/bootstrap: first difference in line 2";
        without_a_binary: files(&[("bootstrap", ENTRY_POINT)]) => "contains no binary";
        without_a_bootstrap: files(&[("binary", &Specimen::default().bytes())]) => "contains no bootstrap";
        a_file_that_its_record_does_not_name: files(&[("a.txt", b""), ("binary", &Specimen::default().bytes()), ("bootstrap", ENTRY_POINT)])
            => "binary: its record lists no included files, but the package contains some";
        a_second_extension: files(&[("extensions/a", &with_form("extension")), ("extensions/b", b"")])
            => "contains extensions/b, which does not belong in it";
        a_longer_entry_point: with_bootstrap(&[ENTRY_POINT, b"true\n"].concat())
            => "bootstrap: differs from function/bootstrap: first difference in line 6";
    }

    fn files(files: &[(&str, &[u8])]) -> Vec<u8> {
        let entries = files.iter().map(|(name, bytes)| (*name, crate::package::options(is_reserved(name)), *bytes));
        crate::package::write(entries).unwrap()
    }

    fn with_form(form: &str) -> Vec<u8> {
        let key = format!("\"form\": \"{form}\", \"name\"");
        Specimen::spoilt(|elf| elf.record(&specimen::RECORD.replace("\"name\"", &key)))
    }

    #[test]
    fn a_package_of_each_form_has_no_problem() {
        for (form, name) in [("single", "bootstrap"), ("extension", "extensions/telemetry")] {
            assert_eq!(problems(files(&[(name, &with_form(form))])), [""; 0]);
        }
        let checksum =
            checksum([(&"a.txt".to_owned(), &crate::package::form::Content { bytes: b"a".into(), is_program: false })]);
        let key = format!("\"included\": \"{checksum}\", \"name\"");
        let binary = Specimen::spoilt(|elf| elf.record(&specimen::RECORD.replace("\"name\"", &key)));
        assert_eq!(problems(files(&[("a.txt", b"a"), ("binary", &binary), ("bootstrap", ENTRY_POINT)])), [""; 0]);
        let other = problems(files(&[("a.txt", b"b"), ("binary", &binary), ("bootstrap", ENTRY_POINT)]));
        assert_eq!(other, ["binary: the included files differ from those in its record"]);
    }

    #[test]
    fn a_package_without_problems_has_checksums_and_a_check_mark() {
        let binary = Specimen::default().bytes();
        let file = tempfile::NamedTempFile::new().unwrap();
        let zip = package(&binary, ENTRY_POINT);
        fs::write(file.path(), &zip).unwrap();
        let expected = format!(
            "{}  {}\n{}  binary\n{}  bootstrap\n✓ {}",
            sha256_hex(&zip),
            file.path().display(),
            sha256_hex(&binary),
            sha256_hex(ENTRY_POINT),
            origin::read(&binary, Form::Script, None).0
        );
        let verified = verify(file.path(), None, &[]).unwrap();
        assert_eq!(verified.report, expected);
        assert_eq!((&*verified.name, &*verified.version), ("greeting", "0.1.0"));
    }

    #[test]
    fn a_file_name_is_shown_on_one_line_and_an_ordinary_one_unchanged() {
        let ordinary = "/home/Ada's \"new\" caf\u{e9}/\u{444}.zip";
        assert_eq!(file_name(Path::new(ordinary)), ordinary);
        let shown = file_name(Path::new("a\n\u{2713} \u{1b}[32m\r\u{202e}piz"));
        assert_eq!(shown, "a\\n\u{2713} \\u{1b}[32m\\r\\u{202e}piz");
    }

    #[test]
    fn only_the_first_problems_are_shown_each_with_the_name_of_the_file() {
        let error = verdict(Path::new("a.zip"), vec!["is bad".into(); 1000]).unwrap_err().to_string();
        assert!(error.starts_with("a.zip: is bad\nerror: a.zip: is bad\nerror: "));
        assert!(error.ends_with("\nerror: a.zip: and 960 more problems"));
        assert_eq!(error.lines().count(), SHOWN + 1);
    }

    #[test]
    fn a_file_that_is_missing_or_too_large_or_not_regular_is_not_read() {
        let large = tempfile::NamedTempFile::new().unwrap();
        large.as_file().set_len(archive::UNZIPPED + 1).unwrap();
        for (path, expected) in [
            (Path::new("/dev/zero"), ": is not a regular file"),
            (large.path(), " the 262144000 bytes that Lambda accepts"),
            (Path::new("none.zip"), "(os error 2); `build` creates a zip"),
        ] {
            let error = verify(path, None, &[]).err().unwrap().to_string();
            assert!(error.ends_with(expected), "{error}");
        }
    }
}
