//! Reads a deployment package, and says where it differs from the one form that the packager writes.

use std::io::{Cursor, Read};

use anyhow::{bail, ensure};
use zip::{
    CompressionMethod, DateTime, System, ZipArchive, ZipWriter, read::ZipFile, result::ZipResult,
};

use super::{first_difference, on_a_line};

/// Bytes of the largest package that Lambda takes:
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const ZIPPED: u64 = 50 * 1024 * 1024;

/// Bytes of the largest package when it is unpacked, from the same page.
pub const UNZIPPED: u64 = 250 * 1024 * 1024;

/// What a package holds, in this order.
pub const NAMES: [&str; 2] = ["binary", "bootstrap"];

type Reader<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// The files of a package that could be read, in its order, and all problems with its form.
#[derive(Default)]
pub struct Archive {
    /// Names, which are among `NAMES`, and contents.
    pub files: Vec<(String, Vec<u8>)>,
    /// A line for each problem.
    pub faults: Vec<String>,
}

/// Reads a package of at most `ZIPPED` bytes, and never more than `UNZIPPED` bytes out of it.
pub fn read(zip: &[u8]) -> Archive {
    let mut archive = Archive::default();
    if let Err(fault) = archive.inspect(zip) {
        archive.faults.push(fault.to_string());
    }
    archive
}

impl Archive {
    /// An error where the rest cannot be read.
    fn inspect(&mut self, zip: &[u8]) -> anyhow::Result<()> {
        let mut reader = match ZipArchive::new(Cursor::new(zip)) {
            Ok(reader) => reader,
            Err(error) if zip.starts_with(b"PK\x03\x04") => bail!("is cut off or damaged: {error}"),
            Err(_) => bail!("is not a zip"),
        };
        self.inspect_names(&reader);
        let entries = (0..reader.len()).flat_map(|index| reader.by_index_data(index));
        let total = entries.fold(0, |total, entry| entry.size().saturating_add(total));
        ensure!(
            total <= UNZIPPED,
            "unpacks to {total} bytes; Lambda takes up to {UNZIPPED}"
        );
        for index in 0..reader.len() {
            // What does not belong is not unpacked: very many files could share the same data.
            let name = reader.name_for_index(index).and_then(Result::ok);
            if let Some(name) = NAMES.iter().find(|own| name.as_deref() == Some(own))
                && let Err(error) = self.unpack(&mut reader, index, name)
            {
                self.faults.push(format!("{name}: is damaged: {error}"));
            }
        }
        if self.faults.is_empty()
            && let Some(at) = first_difference(zip, &rewritten(&mut reader)?)
        {
            bail!("is not in the form that the packager writes: differs from byte {at}");
        }
        Ok(())
    }

    fn inspect_names(&mut self, reader: &Reader) {
        for name in reader.file_names_raw() {
            let shown = on_a_line(name);
            let fault = match NAMES.iter().any(|own| own.as_bytes() == name) {
                true => continue,
                false if leads_outside(name) => "a path that leads outside",
                false => "which does not belong in it",
            };
            self.faults.push(format!("holds {shown}, {fault}"));
        }
        let positions = NAMES.map(|name| reader.index_for_name(name));
        for (name, _) in NAMES.iter().zip(positions).filter(|(_, at)| at.is_none()) {
            self.faults.push(format!("holds no {name}"));
        }
        if !positions.contains(&None) && !positions.is_sorted() {
            self.faults.push("is not sorted by name".into());
        }
        if reader.has_duplicate_names() {
            self.faults.push("holds a name more than once".into());
        }
    }

    fn unpack(&mut self, reader: &mut Reader, index: usize, name: &str) -> anyhow::Result<()> {
        let file = reader.by_index_raw(index)?;
        let size = file.size();
        let can_be_read = !file.encrypted() && file.compression() == CompressionMethod::Deflated;
        for fault in faults_of_form(&file) {
            self.faults.push(format!("{name}: {fault}"));
        }
        drop(file);
        if can_be_read {
            let mut bytes = Vec::new();
            let file = reader.by_index(index)?;
            // One byte more: the reader compares the CRC where the data ends.
            file.take(size + 1).read_to_end(&mut bytes)?;
            ensure!(
                bytes.len() as u64 == size,
                "it is not of the size that it declares"
            );
            self.files.push((name.into(), bytes));
        }
        Ok(())
    }
}

fn leads_outside(name: &[u8]) -> bool {
    name.starts_with(b"/")
        || name.iter().any(|byte| b"\\:\0".contains(byte))
        || name.split(|byte| *byte == b'/').any(|part| part == b"..")
}

/// What `rewritten` would copy as it is.
fn faults_of_form<R: Read>(file: &ZipFile<R>) -> Vec<String> {
    let mut faults = Vec::new();
    let mode = file.external_attributes() >> 16;
    match mode >> 12 {
        _ if file.system() != System::Unix => faults.push("has no mode, expected 0755".into()),
        0o12 => faults.push("is a symbolic link".into()),
        0o04 => faults.push("is a directory".into()),
        _ if file.external_attributes() == 0o100_755 << 16 => {}
        _ => faults.push(format!("has mode {:04o}, expected 0755", mode & 0o7777)),
    }
    if file.last_modified() != Some(DateTime::DEFAULT) {
        let time = file.last_modified().map(|time| format!("the time {time}"));
        let time = time.unwrap_or("an invalid time".into());
        faults.push(format!("has {time:.25}, expected 1980-01-01 00:00"));
    }
    if file.extra_data_fields().next().is_some() {
        faults.push("has extra fields".into());
    }
    if !file.comment_raw().is_empty() {
        faults.push("has a comment".into());
    }
    if file.encrypted() {
        faults.push("is encrypted".into());
    } else if file.compression() != CompressionMethod::Deflated {
        let method = file.compression();
        faults.push(format!("is compressed as {method}, expected Deflated"));
    }
    faults
}

/// The files of a package, still compressed, as the packager writes them. A new name, even if it is the same, is what makes
/// `zip` take no flag from the old header.
fn rewritten(reader: &mut Reader) -> ZipResult<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (index, name) in NAMES.iter().enumerate() {
        writer.raw_copy_file_rename(reader.by_index_raw(index)?, name)?;
    }
    Ok(writer.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use zip::write::FullFileOptions;

    use super::*;
    use crate::verify::specimen::{options, package, spoilt, zip};

    const LOCAL: &[u8] = b"PK\x03\x04";
    const CENTRAL: &[u8] = b"PK\x01\x02";
    const END: &[u8] = b"PK\x05\x06";
    const DATA: &[u8] = b"The data of a file, the data of a file.";

    /// The problem that has no name of its own, without the number of a byte.
    const FORM: &str = "is not in the form that the packager writes: differs";

    fn problems(zip: Vec<u8>) -> Vec<String> {
        let faults = read(&zip).faults.into_iter();
        faults
            .map(|fault| fault.split(" from byte").next().unwrap().into())
            .collect()
    }

    /// A package with other bytes in the last header of each kind.
    fn patched<const N: usize>(patches: [(&[u8], usize, &[u8]); N]) -> Vec<u8> {
        let mut zip = package(DATA);
        for (header, at, bytes) in patches {
            let start = memchr::memmem::rfind(&zip, header).unwrap() + at;
            zip[start..start + bytes.len()].copy_from_slice(bytes);
        }
        zip
    }

    fn only(name: &str) -> Vec<u8> {
        zip([(name, options(), DATA)])
    }

    /// A package with one more file.
    fn and(name: &str) -> Vec<u8> {
        zip(["binary", "bootstrap", name].map(|name| (name, options(), DATA)))
    }

    /// A package whose bootstrap has other options.
    fn with(other: FullFileOptions) -> Vec<u8> {
        zip([("binary", options(), DATA), ("bootstrap", other, DATA)])
    }

    fn with_mode(mode: u32) -> Vec<u8> {
        with(options().external_attributes(mode << 16))
    }

    spoilt! {
        what_is_not_a_zip: b"#!/bin/sh".to_vec() => "is not a zip";
        without_a_binary: only("bootstrap") => "holds no binary";
        without_a_bootstrap: only("binary") => "holds no bootstrap";
        with_a_file_that_does_not_belong: and("a.txt") => "holds a.txt, which does not belong in it";
        with_a_name_that_would_break_the_line: and("a\nb") => "holds a\\nb, which does not belong in it";
        with_a_long_name: and(&"a".repeat(999)) => format!("holds {}, which does not belong in it", "a".repeat(120));
        with_an_absolute_path: and("/etc/passwd") => "holds /etc/passwd, a path that leads outside";
        with_a_path_to_a_parent: and("a/../../b") => "holds a/../../b, a path that leads outside";
        with_a_path_of_windows: and("a\\b") => "holds a\\\\b, a path that leads outside";
        with_a_path_to_a_drive: and("C:binary") => "holds C:binary, a path that leads outside";
        with_a_name_twice: {
            let mut zip = and("bootstraq");
            while let Some(at) = memchr::memmem::find(&zip, b"bootstraq") { zip[at + 8] = b'p' }
            zip
        } => "holds a name more than once";
        in_another_order: zip(["bootstrap", "binary"].map(|name| (name, options(), DATA))) => "is not sorted by name";
        with_a_mode_that_cannot_be_started: with_mode(0o100_644) => "bootstrap: has mode 0644, expected 0755";
        with_the_rights_of_the_owner: with_mode(0o104_755) => "bootstrap: has mode 4755, expected 0755";
        with_a_symbolic_link: with_mode(0o120_777) => "bootstrap: is a symbolic link";
        with_a_directory: with_mode(0o040_755) => "bootstrap: is a directory";
        from_a_system_without_modes: with(options().system(System::Dos)) => "bootstrap: has no mode, expected 0755";
        with_a_time: with(options().last_modified_time(DateTime::from_date_and_time(2026, 11, 24, 13, 26, 56).unwrap()))
            => "bootstrap: has the time 2026-11-24 13:26, expected 1980-01-01 00:00";
        with_an_invalid_time: patched([(CENTRAL, 12, &[0; 4])])
            => "bootstrap: has an invalid time, expected 1980-01-01 00:00";
        with_extra_fields: with(options().with_extended_timestamp(Some(0), None, None).unwrap())
            => "bootstrap: has extra fields";
        with_a_comment_on_a_file: with(options().with_file_comment("hello")) => "bootstrap: has a comment";
        that_is_encrypted: patched([(CENTRAL, 8, &[1])]) => "bootstrap: is encrypted";
        that_is_not_compressed: with(options().compression_method(CompressionMethod::Stored))
            => "bootstrap: is compressed as Stored, expected Deflated";
        with_another_crc: patched([(CENTRAL, 16, &[1, 2, 3, 4])]) => "bootstrap: is damaged: Invalid checksum";
        with_data_that_is_not_deflated: patched([(LOCAL, 39, &[0xff; 9])])
            => "bootstrap: is damaged: corrupt deflate stream";
        with_less_than_it_declares: patched([(CENTRAL, 24, &[0xff])])
            => "bootstrap: is damaged: it is not of the size that it declares";
        with_more_than_it_declares: patched([(CENTRAL, 24, &[9, 0])])
            => "bootstrap: is damaged: File is larger than its declared uncompressed size";
        that_unpacks_to_more_than_lambda_takes: patched([(CENTRAL, 24, &(UNZIPPED as u32).to_le_bytes())])
            => "unpacks to 262144039 bytes; Lambda takes up to 262144000";
        with_bytes_before_it: [b"#!/bin/sh\n", &package(DATA)[..]].concat() => FORM;
        with_bytes_behind_it: [&package(DATA)[..], b"\0"].concat() => FORM;
        with_a_comment: [&patched([(END, 20, &[2])])[..], b"hi"].concat() => FORM;
        with_another_name_in_its_header: patched([(LOCAL, 30, b"B")]) => FORM;
        that_says_its_names_are_utf_8: patched([(LOCAL, 7, &[8]), (CENTRAL, 9, &[8])]) => FORM;
        that_was_written_as_a_stream: patched([(LOCAL, 6, &[8]), (CENTRAL, 8, &[8])]) => FORM;
        that_needs_a_later_version_of_zip: patched([(CENTRAL, 6, &[45])]) => FORM;
    }

    #[test]
    fn what_the_packager_writes_has_no_problem_at_any_level() {
        for level in [1, 9, 9 + 5] {
            let options = options().compression_level(Some(level));
            let files = [("binary", DATA), ("bootstrap", b"")];
            let archive = read(&zip(files.map(|(name, data)| (name, options.clone(), data))));
            assert_eq!(archive.faults, [""; 0], "{level}");
            assert_eq!(
                archive.files,
                files.map(|(name, data)| (name.into(), data.into()))
            );
        }
    }

    #[test]
    fn a_difference_from_what_the_packager_writes_has_its_byte() {
        let zip = [&package(DATA)[..], b"\0"].concat();
        assert_eq!(
            read(&zip).faults,
            [format!("{FORM} from byte {}", zip.len() - 1)]
        );
    }

    #[test]
    fn a_bomb_is_not_unpacked_further_than_it_declares() {
        let mut bomb = package(&vec![0; 100 << 20]);
        let size = memchr::memmem::find(&bomb, CENTRAL).unwrap() + 24;
        bomb[size..size + 4].copy_from_slice(&[9, 0, 0, 0]);
        let start = std::time::Instant::now();
        assert_eq!(read(&bomb).files.len(), 1);
        assert!(start.elapsed().as_millis() < 100, "{:?}", start.elapsed());
    }

    #[test]
    fn one_that_is_cut_off_anywhere_has_a_problem_and_nothing_panics() {
        let whole = package(DATA);
        for length in 0..whole.len() {
            let faults = read(&whole[..length]).faults;
            let expected = if length < 4 {
                "is not a zip"
            } else {
                "is cut off or damaged: "
            };
            assert!(
                faults[0].starts_with(expected),
                "{length} bytes: {faults:?}"
            );
        }
    }

    #[test]
    fn a_bit_that_is_changed_is_a_problem_or_changes_nothing() {
        let whole = package(DATA);
        let files = read(&whole).files;
        for (at, bit) in (0..whole.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            let archive = read(&changed);
            assert!(
                !archive.faults.is_empty() || archive.files == files,
                "byte {at}"
            );
        }
    }
}
