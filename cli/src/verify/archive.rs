//! Reads a deployment package, and reports where it differs from the packager's exact format.

use std::io::{Cursor, Read};

use anyhow::{bail, ensure};
use zip::{CompressionMethod, DateTime, System, ZipArchive, ZipWriter, read::ZipFile};

use super::{broken, first_difference, on_a_line};
use crate::package::form::{Content, Contents, is_reserved};

/// The size in bytes of the largest package that Lambda accepts in a request; a larger one must be in an S3 bucket:
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const ZIPPED: u64 = 50 * 1024 * 1024;

/// The size in bytes of the largest unpacked package, from the same page.
pub const UNZIPPED: u64 = 250 * 1024 * 1024;

/// The files of a package with the `bootstrap` script, in this order, apart from included files.
pub const NAMES: [&str; 2] = ["binary", "bootstrap"];

type Reader<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// The readable files of a package, sorted by name, and all problems with its format.
#[derive(Default)]
pub struct Archive {
    pub files: Contents,
    /// A line for each problem.
    pub faults: Vec<String>,
}

/// The maximum number of files in a package. A package with more was created to keep its reader busy.
const FILES: usize = 50_000;

/// Reads a package, and unpacks at most `UNZIPPED` bytes of it.
pub fn read(zip: &[u8]) -> Archive {
    let mut archive = Archive::default();
    let fault = archive.inspect(zip).err();
    archive.faults.extend(fault.map(|fault| fault.to_string()));
    archive
}

impl Archive {
    /// Fails if the rest of the package cannot be read.
    fn inspect(&mut self, zip: &[u8]) -> anyhow::Result<()> {
        let mut reader = match ZipArchive::new(Cursor::new(zip)) {
            Ok(reader) => reader,
            Err(error) if zip.starts_with(b"PK\x03\x04") => bail!("is truncated or damaged: {error}"),
            Err(_) => bail!("is not a zip"),
        };
        self.inspect_names(&reader);
        let entries = (0..reader.len()).flat_map(|index| reader.by_index_data(index));
        let total = entries.fold(0, |total, entry| entry.size().saturating_add(total));
        ensure!(total <= UNZIPPED, "unpacks to {total} bytes; Lambda accepts up to {UNZIPPED}");
        ensure!(reader.len() <= FILES, "contains {} files; expected at most {FILES}", reader.len());
        for index in 0..reader.len() {
            let name = reader.name_for_index(index).and_then(Result::ok).map(|name| name.into_owned());
            if let Some(name) = name.filter(|name| !is_odd(name.as_bytes()))
                && let Err(error) = self.unpack(&mut reader, index, &name)
            {
                self.faults.push(format!("{name}: is damaged: {error}"));
            }
        }
        if self.faults.is_empty()
            && let Some(at) = first_difference(zip, &rewritten(&mut reader)?)
        {
            bail!("is not in the packager's format: the first difference is at byte {at}");
        }
        Ok(())
    }

    fn inspect_names(&mut self, reader: &Reader) {
        let names = || reader.file_names_raw();
        self.faults.extend(names().filter(|name| is_odd(name)).map(|name| {
            let is_outside = leads_outside(name);
            let fault = if is_outside { "a path that leads outside the package" } else { "which is not a file name" };
            format!("contains {}, {fault}", on_a_line(name))
        }));
        let rules = [
            (names().is_sorted(), "is not sorted by name"),
            (!reader.has_duplicate_names(), "contains a name more than once"),
        ];
        self.faults.extend(broken(rules).map(Into::into));
    }

    fn unpack(&mut self, reader: &mut Reader, index: usize, name: &str) -> anyhow::Result<()> {
        let file = reader.by_index_raw(index)?;
        let size = file.size();
        let is_program = file.external_attributes() == 0o100_755 << 16;
        self.faults.extend(faults_of_form(&file, is_reserved(name)).iter().map(|fault| format!("{name}: {fault}")));
        if can_be_read(&file) {
            drop(file);
            let mut bytes = Vec::new();
            // Read one byte more, because the reader checks the CRC only at the end of the data.
            reader.by_index(index)?.take(size + 1).read_to_end(&mut bytes)?;
            ensure!(bytes.len() as u64 == size, "its size is not the declared one");
            self.files.insert(name.into(), Content { bytes, is_program });
        }
        Ok(())
    }
}

/// Whether this is not a valid name for a file in a package.
pub fn is_odd(name: &[u8]) -> bool {
    let is_text = std::str::from_utf8(name).is_ok_and(|name| !name.contains(char::is_control));
    let has_empty = name.split(|byte| *byte == b'/').any(|part| part.is_empty() || part == b".");
    !is_text || has_empty || leads_outside(name)
}

fn leads_outside(name: &[u8]) -> bool {
    name.starts_with(b"/")
        || name.iter().any(|byte| b"\\:\0".contains(byte))
        || name.split(|byte| *byte == b'/').any(|part| part == b"..")
}

/// The differences from the packager's format in the attributes that `rewritten` copies unchanged.
fn faults_of_form<R: Read>(file: &ZipFile<R>, must_run: bool) -> Vec<String> {
    let (attributes, time, method) = (file.external_attributes(), file.last_modified(), file.compression());
    let expected = if must_run { "expected 0755" } else { "expected 0644 or 0755" };
    let mode = match attributes >> 28 {
        _ if file.system() != System::Unix => format!("has no mode; {expected}"),
        0o12 => "is a symbolic link".into(),
        0o04 => "is a directory".into(),
        _ => format!("has mode {:04o}; {expected}", attributes >> 16 & 0o7777),
    };
    let has_mode = attributes == 0o100_755 << 16 || attributes == 0o100_644 << 16 && !must_run;
    let shown = time.map_or("an invalid time".into(), |time| format!("the time {time}"));
    let rules = [
        (file.system() == System::Unix && has_mode, mode),
        (time == Some(DateTime::DEFAULT), format!("has {shown:.25}; expected 1980-01-01 00:00")),
        (file.extra_data_fields().next().is_none(), "has extra fields".into()),
        (file.comment_raw().is_empty(), "has a comment".into()),
        (!file.encrypted(), "is encrypted".into()),
        (can_be_read(file) || file.encrypted(), format!("is compressed as {method}; expected Deflated")),
    ];
    broken(rules).collect()
}

fn can_be_read<R: Read>(file: &ZipFile<R>) -> bool {
    !file.encrypted() && file.compression() == CompressionMethod::Deflated
}

/// The package as the packager would write it, with its files still compressed. Setting a name, even the same one, prevents
/// `zip` from copying flags from the old header.
fn rewritten(reader: &mut Reader) -> anyhow::Result<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..reader.len() {
        let file = reader.by_index_raw(index)?;
        let name = file.name()?.into_owned();
        writer.raw_copy_file_rename(file, name)?;
    }
    Ok(writer.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use zip::write::FullFileOptions;

    use super::*;
    use crate::package::{options, write};
    use crate::verify::specimen::{package, spoilt};

    const LOCAL: &[u8] = b"PK\x03\x04";
    const CENTRAL: &[u8] = b"PK\x01\x02";
    const END: &[u8] = b"PK\x05\x06";
    const DATA: &[u8] = b"data";

    fn problems(zip: Vec<u8>) -> Vec<String> {
        read(&zip).faults
    }

    fn of_form(byte: usize) -> String {
        format!("is not in the packager's format: the first difference is at byte {byte}")
    }

    /// A package with bytes replaced in the last header of each kind.
    fn patched<const N: usize>(patches: [(&[u8], usize, &[u8]); N]) -> Vec<u8> {
        let mut zip = with(options(true));
        for (header, at, bytes) in patches {
            let start = memchr::memmem::rfind(&zip, header).unwrap() + at;
            zip[start..start + bytes.len()].copy_from_slice(bytes);
        }
        zip
    }

    fn zip<const N: usize>(files: [(&str, FullFileOptions, &[u8]); N]) -> Vec<u8> {
        write(files).unwrap()
    }

    /// A package with one more file.
    fn and(name: &str) -> Vec<u8> {
        zip(["binary", "bootstrap", name].map(|name| (name, options(true), DATA)))
    }

    /// A package with only one file.
    fn alone(name: &str) -> Vec<u8> {
        zip([name].map(|name| (name, options(true), DATA)))
    }

    /// A package whose bootstrap has different options.
    fn with(other: FullFileOptions) -> Vec<u8> {
        zip([("binary", options(true), DATA), ("bootstrap", other, DATA)])
    }

    spoilt! {
        what_is_not_a_zip: b"#!/bin/sh".to_vec() => "is not a zip";
        with_a_name_that_would_break_the_line: and("c\nb") => "contains c\\nb, which is not a file name";
        with_a_long_invalid_name: and(&"c/".repeat(500)) => format!("contains {}, which is not a file name", "c/".repeat(60));
        with_an_included_file_that_only_its_owner_can_read: zip([("a", options(false).unix_permissions(0o600), DATA)])
            => "a: has mode 0600; expected 0644 or 0755";
        with_an_absolute_path: alone("/etc/passwd") => "contains /etc/passwd, a path that leads outside the package";
        with_a_path_to_a_parent: and("c/../../b") => "contains c/../../b, a path that leads outside the package";
        with_a_windows_path: and("c\\b") => "contains c\\\\b, a path that leads outside the package";
        with_a_drive_letter: alone("C:binary") => "contains C:binary, a path that leads outside the package";
        with_a_name_twice: {
            let mut zip = and("bootstraq");
            while let Some(at) = memchr::memmem::find(&zip, b"bootstraq") { zip[at + 8] = b'p' }
            zip
        } => "contains a name more than once";
        in_another_order: zip(["bootstrap", "binary"].map(|name| (name, options(true), DATA))) => "is not sorted by name";
        with_mode_0644: with(options(true).unix_permissions(0o644)) => "bootstrap: has mode 0644; expected 0755";
        with_setuid: with(options(true).external_attributes(0o104_755 << 16)) => "bootstrap: has mode 4755; expected 0755";
        with_a_symbolic_link: with(options(true).external_attributes(0o120_777 << 16)) => "bootstrap: is a symbolic link";
        with_a_directory: with(options(true).external_attributes(0o040_755 << 16)) => "bootstrap: is a directory";
        from_a_system_without_modes: with(options(true).system(System::Dos)) => "bootstrap: has no mode; expected 0755";
        with_a_time: with(options(true).last_modified_time(DateTime::from_date_and_time(2026, 11, 24, 13, 26, 56).unwrap()))
            => "bootstrap: has the time 2026-11-24 13:26; expected 1980-01-01 00:00";
        with_no_time: patched([(CENTRAL, 12, &[0; 4])]) => "bootstrap: has an invalid time; expected 1980-01-01 00:00";
        with_extra_fields: with(options(true).with_extended_timestamp(Some(0), None, None).unwrap())
            => "bootstrap: has extra fields";
        with_a_comment_on_a_file: with(options(true).with_file_comment("hello")) => "bootstrap: has a comment";
        that_is_encrypted: patched([(CENTRAL, 8, &[1])]) => "bootstrap: is encrypted";
        that_is_not_compressed: with(options(true).compression_method(CompressionMethod::Stored))
            => "bootstrap: is compressed as Stored; expected Deflated";
        with_another_crc: patched([(CENTRAL, 16, &[1, 2, 3, 4])]) => "bootstrap: is damaged: Invalid checksum";
        with_broken_data: patched([(LOCAL, 39, &[0xff; 6])]) => "bootstrap: is damaged: corrupt deflate stream";
        with_less_data_than_declared: patched([(CENTRAL, 24, &[0xff])])
            => "bootstrap: is damaged: its size is not the declared one";
        that_unpacks_to_more_than_lambda_accepts: patched([(CENTRAL, 24, &(UNZIPPED as u32).to_le_bytes())])
            => "unpacks to 262144004 bytes; Lambda accepts up to 262144000";
        with_bytes_before_it: [b"#!/bin/sh\n", &with(options(true))[..]].concat() => of_form(0);
        with_bytes_after_it: [&with(options(true))[..], b"\0"].concat() => of_form(216);
        with_a_comment: [&patched([(END, 20, &[2])])[..], b"hi"].concat() => of_form(214);
        with_another_name_in_its_header: patched([(LOCAL, 30, b"B")]) => of_form(72);
        with_the_flag_for_utf_8_names: patched([(LOCAL, 7, &[8]), (CENTRAL, 9, &[8])]) => of_form(49);
        that_was_written_as_a_stream: patched([(LOCAL, 6, &[8]), (CENTRAL, 8, &[8])]) => of_form(48);
        that_needs_a_later_version_of_zip: patched([(CENTRAL, 6, &[45])]) => of_form(145);
    }

    #[test]
    fn the_packagers_output_has_no_problem_at_any_level() {
        for level in [1, 9, 9 + 5] {
            let options = options(true).compression_level(Some(level));
            let files = [("binary", DATA), ("bootstrap", b"")];
            let archive = read(&zip(files.map(|(name, data)| (name, options.clone(), data))));
            assert_eq!(archive.faults, [""; 0], "{level}");
            let content = |(name, data): (&str, &[u8])| (name.into(), Content { bytes: data.into(), is_program: true });
            assert_eq!(archive.files, files.map(content).into());
        }
    }

    #[test]
    fn a_zip_bomb_is_not_unpacked_beyond_its_declared_size() {
        let mut bomb = package(&vec![0; 10 << 20], DATA);
        let size = memchr::memmem::find(&bomb, CENTRAL).unwrap() + 24;
        bomb[size..size + 4].copy_from_slice(&[9, 0, 0, 0]);
        assert_eq!(problems(bomb), ["binary: is damaged: File is larger than its declared uncompressed size"]);
    }

    #[test]
    fn a_package_truncated_anywhere_has_a_problem_and_causes_no_panic() {
        let whole = with(options(true));
        for length in 0..whole.len() {
            let faults = read(&whole[..length]).faults;
            let is_cut = faults[0].starts_with("is truncated or damaged: ");
            assert!(is_cut || length < 4, "{length} bytes: {faults:?}");
        }
    }

    #[test]
    fn a_flipped_bit_is_a_problem_or_changes_no_file() {
        let whole = with(options(true));
        let files = read(&whole).files;
        for (at, bit) in (0..whole.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            let archive = read(&changed);
            assert!(!archive.faults.is_empty() || archive.files == files, "byte {at}");
        }
    }
}
