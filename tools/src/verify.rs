//! Says what a deployment package is, or all that is wrong with it. It only reads: nothing is unpacked to the disk, and
//! nothing of the package is run.

use std::{fs::File, io::Read, path::Path};

use sha2::{Digest, Sha256};

use crate::{
    archive, elf, hex,
    origin::{self, Origin},
    strings,
};

/// The entry point as the packager puts it in.
pub const ENTRY_POINT: &[u8] = include_bytes!("../../function/bootstrap");

/// How many faults are shown.
const SHOWN: usize = 40;

/// The sums of `zip` and of its files, and what it was built from. `arch` is empty where either will do; no path below
/// one of `places` may be in it.
pub fn verify(zip: &Path, arch: &Path, places: &[&Path]) -> Result<String, String> {
    let name = strings::file_name(zip);
    let bytes = read(zip).map_err(|error| format!("{name}: {error}"))?;
    let arch = arch.to_string_lossy();
    let places: Vec<_> = places.iter().map(|place| place.to_string_lossy()).collect();
    let places: Vec<&str> = places.iter().map(|place| &**place).collect();
    let (sums, mut faults) = judge(
        &bytes,
        Some(&*arch).filter(|arch| !arch.is_empty()),
        &places,
    );
    if faults.len() > SHOWN {
        let more = faults.len() - SHOWN;
        faults.truncate(SHOWN);
        faults.push(format!("and at least {more} faults more"));
    }
    crate::verdict(&name, faults)?;
    Ok(format!("{}  {name}\n{sums}", sum(&bytes)))
}

fn read(zip: &Path) -> Result<Vec<u8>, String> {
    let describe = |error: std::io::Error| format!("{error}; `make` with the same OUT builds one");
    // What is no file, like a pipe, could keep its reader waiting.
    if !std::fs::metadata(zip).map_err(describe)?.is_file() {
        return Err("is no file".into());
    }
    let file = File::open(zip).map_err(describe)?;
    let mut bytes = Vec::new();
    file.take(archive::ZIPPED + 1)
        .read_to_end(&mut bytes)
        .map_err(describe)?;
    if bytes.len() as u64 > archive::ZIPPED {
        let limit = archive::ZIPPED;
        return Err(format!(
            "is larger than the {limit} bytes that Lambda takes"
        ));
    }
    Ok(bytes)
}

/// The lines on the files of a package, and all that is wrong with it.
fn judge(zip: &[u8], arch: Option<&str>, places: &[&str]) -> (String, Vec<String>) {
    let mut package = archive::read(zip);
    let mut lines = String::new();
    let mut origin = String::new();
    for (name, bytes) in &package.files {
        lines += &format!("{}  {name}\n", sum(bytes));
        let faults = match name.as_str() {
            "binary" => {
                let mut read = origin::read(bytes);
                origin = describe(&read);
                // One without an architecture is no binary; nothing else needs to be said.
                if elf::architecture(bytes).is_err() {
                    read.faults.clear();
                }
                let mut all = elf::faults(bytes, arch, places);
                all.extend(path_of_another_machine(bytes, places));
                all.append(&mut read.faults);
                all
            }
            "bootstrap" => entry_point(bytes).err().into_iter().collect(),
            _ => Vec::new(),
        };
        package
            .faults
            .extend(faults.iter().map(|fault| format!("{name}: {fault}")));
    }
    (format!("{lines}✓ {origin}"), package.faults)
}

/// A package that was built elsewhere can be known by its looks alone; what was built here has been looked at by then.
fn path_of_another_machine(binary: &[u8], places: &[&str]) -> Option<String> {
    if strings::known_path(binary, places).is_some() {
        return None;
    }
    let path = strings::likely_path(binary)?;
    Some(format!(
        "holds what looks like a path of the machine that built it: {path}"
    ))
}

/// Whether a bootstrap is the one that becomes the binary beside it.
fn entry_point(bytes: &[u8]) -> Result<(), String> {
    if bytes == ENTRY_POINT {
        return Ok(());
    }
    if !bytes.starts_with(b"#!/") && !bytes.starts_with(b"\x7fELF") {
        return Err("cannot be started: it is neither a script nor an ELF file".into());
    }
    let lines = |bytes: &[u8]| {
        bytes
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect::<Vec<_>>()
    };
    let (actual, expected) = (lines(bytes), lines(ENTRY_POINT));
    let same = actual
        .iter()
        .zip(&expected)
        .take_while(|(a, b)| a == b)
        .count();
    Err(format!(
        "is not function/bootstrap: it differs in line {}",
        same + 1
    ))
}

/// The record on one line: what the binary itself confirms, then what nothing but the record says.
fn describe(origin: &Origin) -> String {
    let said = |key: &str| origin.said(key).unwrap_or_default();
    let rest = origin
        .record
        .keys()
        .filter(|key| !["name", "version", "architecture", "type"].contains(&key.as_str()));
    let (confirmed, claimed): (Vec<_>, Vec<_>) =
        rest.partition(|key| origin.confirmed.contains(&key.as_str()));
    let list = |keys: Vec<&String>| {
        let parts = keys.iter().map(|key| format!(", {key} {}", said(key)));
        parts.collect::<String>()
    };
    let head = format!(
        "{} {}, {}",
        said("name"),
        said("version"),
        said("architecture")
    );
    let claimed = list(claimed).replacen(", ", "; the record says: ", 1);
    format!("{head}{}{claimed}", list(confirmed))
}

fn sum(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use object::elf;

    use super::*;
    use crate::specimen::{File, Specimen, Zip, deflate};

    const NOTHING: [&str; 0] = [];

    fn faults(zip: &Zip) -> Vec<String> {
        judge(&zip.bytes(), Some("x86_64"), &["/work/clone"]).1
    }

    /// A package that is spoilt in one way, and the one line that names it.
    #[track_caller]
    fn spoilt(spoil: impl FnOnce(&mut Zip), line: &str) {
        let mut zip = Zip::default();
        spoil(&mut zip);
        assert_eq!(faults(&zip), [line]);
    }

    /// The same for a package whose binary is spoilt.
    #[track_caller]
    fn spoilt_binary(spoil: impl FnOnce(&mut Specimen), line: &str) {
        let mut specimen = Specimen::default();
        spoil(&mut specimen);
        spoilt(|zip| zip.files[0].data = specimen.bytes(), line);
    }

    /// A package with this binary has no fault.
    #[track_caller]
    fn assert_sound(specimen: &Specimen) {
        let mut zip = Zip::default();
        zip.files[0].data = specimen.bytes();
        assert_eq!(faults(&zip), NOTHING);
    }

    fn file(name: &str) -> File {
        File::new(name, b"data".repeat(9))
    }

    #[test]
    fn a_package_in_order_has_sums_and_a_tick_that_says_what_it_was_built_from() {
        let (lines, faults) = judge(&Zip::default().bytes(), Some("x86_64"), &[]);
        assert_eq!(faults, NOTHING);
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(
            lines[0].ends_with("  binary") && lines[0].len() == 64 + 8,
            "{}",
            lines[0]
        );
        assert_eq!(
            lines[2],
            "✓ greeting 0.1.0, x86_64, rustc 1.99.1 (58cf8f9c3 2026-10-13); the record says: musl 1.2.5"
        );
    }

    #[test]
    fn either_architecture_will_do_where_none_is_asked_for() {
        let mut zip = Zip::default();
        let record = crate::specimen::RECORD.replace("x86_64", "arm64");
        let mut specimen = Specimen {
            machine: elf::EM_AARCH64,
            ..Specimen::default()
        };
        specimen.record(&record);
        zip.files[0].data = specimen.bytes();
        assert_eq!(judge(&zip.bytes(), None, &[]).1, NOTHING);
        assert_eq!(faults(&zip), ["binary: is for arm64, not x86_64"]);
    }

    // The archive.

    #[test]
    fn what_is_no_zip() {
        assert_eq!(judge(b"#!/bin/sh", None, &[]).1, ["is no zip"]);
        assert_eq!(judge(b"", None, &[]).1, ["is no zip"]);
    }

    #[test]
    fn a_zip_that_is_cut_off() {
        let whole = Zip::default().bytes();
        let half = &whole[..whole.len() / 2];
        assert_eq!(judge(half, None, &[]).1, ["is cut off: its end is missing"]);
    }

    #[test]
    fn a_zip_without_its_beginning() {
        let whole = Zip::default().bytes();
        assert_eq!(
            judge(&whole[10..], None, &[]).1,
            ["is cut off: its directory lies outside of it"]
        );
    }

    #[test]
    fn bytes_before_the_zip() {
        spoilt(
            |zip| zip.before = b"#!/bin/sh\n".to_vec(),
            "has 10 bytes that belong to no file",
        );
        let zip = [b"#!/bin/sh\n", &Zip::default().bytes()[..]].concat();
        assert_eq!(
            judge(&zip, None, &[]).1,
            ["has 10 bytes that belong to no file"]
        );
    }

    #[test]
    fn bytes_between_the_files_and_the_directory() {
        spoilt(
            |zip| zip.gap = vec![0; 7],
            "has 7 bytes that belong to no file",
        );
    }

    #[test]
    fn bytes_behind_the_zip() {
        spoilt(
            |zip| zip.behind = vec![0; 3],
            "has 3 bytes more behind its end than it says",
        );
    }

    #[test]
    fn a_comment() {
        spoilt(
            |zip| zip.comment = b"hello".to_vec(),
            "has a comment of 5 bytes",
        );
    }

    #[test]
    fn a_part_of_several() {
        spoilt(
            |zip| zip.end.push((4, vec![1])),
            "is one part of a zip in several",
        );
    }

    #[test]
    fn a_count_that_is_not_that_of_the_directory() {
        for (count, line) in [
            (0, "lists more than the 0 files that it says"),
            (1, "lists more than the 1 files that it says"),
            (3, "lists 2 of the 3 files that it says"),
        ] {
            spoilt(|zip| zip.end.push((8, vec![count, 0, count])), line);
        }
    }

    #[test]
    fn a_version_of_zip_that_no_reader_has_to_have() {
        spoilt(
            |zip| zip.files[0].set(4, &[45]),
            "binary: needs version 45 of zip, expected 20",
        );
    }

    #[test]
    fn a_zip64() {
        spoilt(
            |zip| zip.end.push((16, vec![0xff; 4])),
            "is a zip64, which no package that Lambda takes has to be",
        );
    }

    #[test]
    fn a_directory_that_is_broken() {
        spoilt(
            |zip| zip.files[1].central.push((0, vec![0])),
            "its directory is broken",
        );
    }

    #[test]
    fn a_third_file() {
        spoilt(
            |zip| zip.files.push(file("extra.txt")),
            "holds extra.txt, which does not belong in it",
        );
    }

    #[test]
    fn a_nested_zip() {
        let inner = Zip::default().bytes();
        spoilt(
            |zip| zip.files.push(File::new("inner.zip", inner)),
            "holds inner.zip, which does not belong in it",
        );
    }

    #[test]
    fn a_file_that_is_missing() {
        spoilt(|zip| drop(zip.files.remove(0)), "holds no binary");
        spoilt(|zip| drop(zip.files.remove(1)), "holds no bootstrap");
    }

    #[test]
    fn a_path_that_leads_outside() {
        for name in [
            "/etc/passwd",
            "../binary",
            "a/../../b",
            "..",
            "C:binary",
            "a\\b",
        ] {
            let shown = name.replace('\\', "\\\\");
            spoilt(
                |zip| zip.files.push(file(name)),
                &format!("holds {shown}, a path that leads outside"),
            );
        }
    }

    #[test]
    fn a_name_twice() {
        spoilt(
            |zip| zip.files.push(File::new("bootstrap", ENTRY_POINT.to_vec())),
            "holds bootstrap more than once",
        );
    }

    #[test]
    fn a_name_that_would_break_the_line() {
        spoilt(
            |zip| zip.files.push(file("a\nb")),
            "holds a\\nb, which does not belong in it",
        );
    }

    #[test]
    fn a_name_of_any_length_is_shown_in_part() {
        spoilt(
            |zip| zip.files.push(file(&"a".repeat(9999))),
            &format!("holds {}, which does not belong in it", "a".repeat(120)),
        );
    }

    #[test]
    fn of_very_many_faults_few_are_kept() {
        let mut zip = Zip::default();
        zip.files
            .extend((0..2000).map(|n| file(&format!("file {n}"))));
        assert_eq!(faults(&zip).len(), archive::MOST);
    }

    #[test]
    fn files_in_another_order() {
        spoilt(|zip| zip.files.reverse(), "is not sorted by name");
    }

    #[test]
    fn a_mode_with_which_it_cannot_be_started() {
        let mode = (0o100_644u32 << 16).to_le_bytes().to_vec();
        spoilt(
            |zip| zip.files[1].central.push((38, mode)),
            "bootstrap: has mode 0644, expected 0755",
        );
    }

    #[test]
    fn a_program_with_the_rights_of_its_owner() {
        let mode = (0o104_755u32 << 16).to_le_bytes().to_vec();
        spoilt(
            |zip| zip.files[0].central.push((38, mode)),
            "binary: has mode 4755, expected 0755",
        );
    }

    #[test]
    fn a_symbolic_link() {
        let mode = (0o120_777u32 << 16).to_le_bytes().to_vec();
        spoilt(
            |zip| zip.files[1].central.push((38, mode)),
            "bootstrap: is a symbolic link",
        );
    }

    #[test]
    fn a_folder() {
        let mode = (0o040_755u32 << 16).to_le_bytes().to_vec();
        spoilt(
            |zip| zip.files[1].central.push((38, mode)),
            "bootstrap: is a folder",
        );
    }

    #[test]
    fn a_system_without_modes() {
        spoilt(
            |zip| zip.files[0].central.push((5, vec![0])),
            "binary: has no mode of Unix: expected 0755",
        );
    }

    #[test]
    fn attributes_of_another_system() {
        spoilt(
            |zip| zip.files[0].central.push((38, vec![1])),
            "binary: has attributes beside its mode",
        );
    }

    #[test]
    fn a_time() {
        spoilt(
            |zip| zip.files[0].set(10, &[0x40, 0x6b, 0x78, 0x5d]),
            "binary: has the time 2026-11-24 13:26, expected 1980-01-01 00:00",
        );
    }

    #[test]
    fn extra_fields() {
        spoilt(
            |zip| zip.files[0].extra = vec![0; 9],
            "binary: has 9 bytes of extra fields",
        );
        spoilt(
            |zip| zip.files[0].local_extra = vec![0; 9],
            "binary: has 9 bytes of extra fields before its data",
        );
    }

    #[test]
    fn a_comment_on_a_file() {
        spoilt(
            |zip| zip.files[1].comment = vec![b'x'; 4],
            "bootstrap: has a comment of 4 bytes",
        );
    }

    #[test]
    fn headers_that_disagree() {
        for (at, field) in [
            (6, "flags"),
            (8, "method"),
            (10, "time"),
            (14, "CRC"),
            (18, "compressed size"),
            (22, "size"),
        ] {
            spoilt(
                |zip| zip.files[1].local.push((at, vec![2])),
                &format!("bootstrap: its {field} is not the one in the directory"),
            );
        }
    }

    #[test]
    fn a_name_that_is_another_in_the_directory() {
        let mut bytes = Zip::default().bytes();
        let at = memchr::memmem::find(&bytes, b"bootstrap").unwrap();
        bytes[at] = b'B';
        assert_eq!(
            judge(&bytes, None, &[]).1,
            ["bootstrap: its name is not the one in the directory"]
        );
    }

    #[test]
    fn an_encrypted_file() {
        spoilt(|zip| zip.files[1].set(6, &[1]), "bootstrap: is encrypted");
    }

    #[test]
    fn a_file_that_was_written_as_a_stream() {
        spoilt(
            |zip| zip.files[1].set(6, &[8]),
            "bootstrap: was written as a stream: its sizes stand behind its data",
        );
    }

    #[test]
    fn a_method_that_is_not_deflate() {
        for method in [0, 12] {
            spoilt(
                |zip| zip.files[1].set(8, &[method]),
                &format!("bootstrap: is compressed by method {method}, expected 8, deflate"),
            );
        }
    }

    #[test]
    fn a_file_that_compressing_has_made_larger() {
        let size = ENTRY_POINT.len();
        let nothing = [0, 0, 0, 0xff, 0xff].repeat(100);
        let packed = [&nothing[..], &deflate(ENTRY_POINT)].concat();
        let expected = format!(
            "bootstrap: takes {} bytes of the zip, but has {size} itself",
            packed.len()
        );
        spoilt(|zip| zip.files[1].packed = Some(packed), &expected);
    }

    #[test]
    fn data_that_is_damaged() {
        spoilt(
            |zip| zip.files[1].packed = Some(deflate(&ENTRY_POINT.to_ascii_uppercase())),
            "bootstrap: is damaged: its CRC is another",
        );
        spoilt(
            |zip| zip.files[1].packed = Some(vec![0xff; 40]),
            "bootstrap: is damaged: its data is no deflate stream",
        );
        spoilt(
            |zip| zip.files[1].packed = Some(deflate(ENTRY_POINT)[..20].to_vec()),
            "bootstrap: is damaged: its data ends too early",
        );
    }

    #[test]
    fn bytes_behind_compressed_data() {
        spoilt(
            |zip| zip.files[1].packed = Some([&deflate(ENTRY_POINT)[..], b"hidden"].concat()),
            "bootstrap: has bytes behind its compressed data",
        );
    }

    #[test]
    fn files_that_share_bytes() {
        spoilt(
            |zip| zip.files[1].central.push((42, vec![0, 0, 0, 0])),
            "bootstrap: its CRC is not the one in the directory",
        );
        let mut zip = Zip::default();
        let binary = zip.files[0].data.clone();
        zip.files.insert(1, File::new("binary", binary));
        zip.files[1].central.push((42, vec![0, 0, 0, 0]));
        // Nothing behind it is unpacked.
        assert_eq!(
            faults(&zip),
            ["holds binary more than once", "has files that share bytes"]
        );
    }

    #[test]
    fn a_bomb_is_not_unpacked_further_than_it_says() {
        let bomb = deflate(&vec![0; 10 << 20]);
        spoilt(
            |zip| zip.files[1].packed = Some(bomb),
            &format!(
                "bootstrap: does not unpack to the {} bytes that it says",
                ENTRY_POINT.len()
            ),
        );
    }

    #[test]
    fn a_package_that_is_larger_than_lambda_takes_when_it_is_unpacked() {
        let size = 250 * 1024 * 1024u32;
        let binary = Specimen::default().bytes().len() as u32;
        spoilt(
            |zip| zip.files[1].set(22, &size.to_le_bytes()),
            &format!(
                "unpacks to {} bytes; Lambda takes up to {size}",
                size + binary
            ),
        );
    }

    #[test]
    fn a_package_that_is_larger_than_lambda_takes() {
        let folder = tempfile::tempdir().unwrap();
        let zip = folder.path().join("large.zip");
        std::fs::File::create(&zip)
            .unwrap()
            .set_len(archive::ZIPPED + 1)
            .unwrap();
        let error = verify(&zip, Path::new(""), &[]).unwrap_err();
        assert!(
            error.ends_with("large.zip: is larger than the 52428800 bytes that Lambda takes"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let error = verify(Path::new("/dev/zero"), Path::new(""), &[]).unwrap_err();
        assert_eq!(error, "/dev/zero: is no file");
    }

    #[test]
    fn a_name_of_a_zip_that_would_break_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let zip = folder.path().join("a\n\u{2713} greeting");
        let shown = folder.path().join("a\\n\u{2713} greeting");
        std::fs::write(&zip, Zip::default().bytes()).unwrap();
        let lines = verify(&zip, Path::new(""), &[]).unwrap();
        let first = lines.lines().next().unwrap();
        assert!(first.ends_with(&*shown.to_string_lossy()), "{lines}");
        std::fs::write(&zip, "").unwrap();
        let error = verify(&zip, Path::new(""), &[]).unwrap_err();
        assert_eq!(error, format!("{}: is no zip", shown.display()));
    }

    #[test]
    fn of_very_many_faults_the_first_are_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("many.zip");
        let mut zip = Zip::default();
        zip.files
            .extend((0..1000).map(|n| file(&format!("file {n}"))));
        std::fs::write(&path, zip.bytes()).unwrap();
        let error = verify(&path, Path::new(""), &[]).unwrap_err();
        assert_eq!(error.lines().count(), SHOWN + 1);
        assert!(error.ends_with("and at least 960 faults more"), "{error}");
    }

    // The binary: the rest of what can be wrong with it is in the tests of elf.rs.

    #[test]
    fn a_binary_that_is_none() {
        spoilt(
            |zip| zip.files[0].data = ENTRY_POINT.to_vec(),
            "binary: is no 64-bit little-endian ELF file",
        );
    }

    #[test]
    fn a_binary_with_an_interpreter() {
        spoilt_binary(
            |elf| elf.add_segment(elf::PT_INTERP, elf::PF_R, b"/lib/ld.so\0"),
            "binary: has an interpreter: /lib/ld.so",
        );
    }

    #[test]
    fn a_path_of_the_clone() {
        spoilt_binary(
            |elf| elf.add_segment(elf::PT_LOAD, elf::PF_R, b"/work/clone/src/main.rs\0"),
            "binary: holds a path of the machine that built it: /work/clone/src/main.rs",
        );
    }

    #[test]
    fn a_path_of_a_machine_that_is_not_this_one() {
        spoilt_binary(
            |elf| elf.add_segment(elf::PT_LOAD, elf::PF_R, b"at/home/ada/app/src/main.rs\0"),
            "binary: holds what looks like a path of the machine that built it: /home/ada/app/src/main.rs",
        );
    }

    // The entry point.

    #[test]
    fn an_entry_point_that_starts_something_else() {
        spoilt(
            |zip| zip.files[1].data = b"#!/bin/sh\nexec ./other ./other\n".to_vec(),
            "bootstrap: is not function/bootstrap: it differs in line 2",
        );
    }

    #[test]
    fn an_entry_point_that_cannot_be_started() {
        spoilt(
            |zip| zip.files[1].data = b"exec ./binary || exec ./binary\n".to_vec(),
            "bootstrap: cannot be started: it is neither a script nor an ELF file",
        );
    }

    // The origin.

    #[test]
    fn a_binary_without_a_record() {
        spoilt_binary(
            |elf| elf.sections.retain(|(name, ..)| *name != origin::SECTION),
            "binary: holds no record of what it was built from",
        );
    }

    #[test]
    fn a_record_in_a_section_that_is_none_of_notes() {
        spoilt_binary(
            |elf| elf.sections.last_mut().unwrap().1 = elf::SHT_PROGBITS,
            "binary: holds no record of what it was built from",
        );
    }

    #[test]
    fn a_second_record_in_another_section_or_a_segment() {
        let note = origin::note(&serde_json::from_str(r#"{"musl": "1.2.6"}"#).unwrap());
        let expected = "binary: holds 2 records of what it was built from";
        let section = (".note.other", elf::SHT_NOTE, note.clone());
        spoilt_binary(|elf| elf.sections.push(section), expected);
        spoilt_binary(
            |elf| elf.add_segment(elf::PT_NOTE, elf::PF_R, &note),
            expected,
        );
    }

    #[test]
    fn a_second_record_of_an_owner_whose_name_goes_on() {
        let record = serde_json::from_str(r#"{"musl": "1.2.6"}"#).unwrap();
        let mut note = origin::note(&record);
        note[0] = 8;
        note.splice(16..16, *b"\0and");
        spoilt_binary(
            |elf| elf.sections.push((".note.other", elf::SHT_NOTE, note)),
            "binary: holds 2 records of what it was built from",
        );
    }

    #[test]
    fn a_record_that_a_segment_holds_as_well_is_one() {
        let mut specimen = Specimen::default();
        specimen.add_segment(elf::PT_NOTE, elf::PF_R, b"");
        let bytes = specimen.bytes();
        let owner = memchr::memmem::find(&bytes, b"FDO\0").unwrap() as u64;
        let size = origin::note(&serde_json::from_str(crate::specimen::RECORD).unwrap()).len();
        for (field, value) in [(8, owner - 12), (32, size as u64), (40, size as u64)] {
            specimen.headers.push((elf::PT_NOTE, field, value));
        }
        assert_sound(&specimen);
    }

    #[test]
    fn notes_of_other_owners_are_fine() {
        let note = b"\x04\0\0\0\x04\0\0\0\x01\0\0\0GNU\0data";
        let mut specimen = Specimen::default();
        let section = (".note.other", elf::SHT_NOTE, note.to_vec());
        specimen.sections.push(section);
        assert_sound(&specimen);
    }

    #[test]
    fn notes_that_cannot_be_counted() {
        let note = b"\x04\0\0\0\0\0\0\0\x01\0\0\0GNU\0";
        for (notes, fault) in [
            (note.repeat(101), "it has 101 notes, expected up to 100"),
            (note[..13].to_vec(), "Invalid ELF note namesz"),
        ] {
            spoilt_binary(
                |elf| elf.sections.push((".note.other", elf::SHT_NOTE, notes)),
                &format!("binary: its notes are broken: {fault}"),
            );
        }
    }

    #[test]
    fn a_record_that_is_broken() {
        spoilt_binary(
            |elf| elf.sections.last_mut().unwrap().2.truncate(20),
            "binary: its record of what it was built from is broken",
        );
    }

    #[test]
    fn a_record_that_lacks_what_each_has() {
        for key in ["name", "version", "architecture", "musl", "rustc"] {
            let other = crate::specimen::RECORD.replace(&format!("\"{key}\""), "\"other\"");
            spoilt_binary(
                |elf| elf.record(&other),
                &format!("binary: its record does not say which {key} it has"),
            );
        }
    }

    #[test]
    fn a_record_that_names_another_compiler() {
        let other = crate::specimen::RECORD.replace("1.99.1 (58cf8f9c3 2026-10-13)", "1.0.0");
        spoilt_binary(
            |elf| elf.record(&other),
            "binary: its record says rustc 1.0.0, but in it is 1.99.1 (58cf8f9c3 2026-10-13)",
        );
    }

    #[test]
    fn a_record_that_names_a_compiler_which_left_nothing() {
        spoilt_binary(
            |elf| elf.sections.retain(|(name, ..)| *name != ".comment"),
            "binary: its record says rustc 1.99.1 (58cf8f9c3 2026-10-13), but in it is none",
        );
    }

    #[test]
    fn a_second_openssl() {
        let text =
            b"OpenSSL 3.5.5 27 Jan 2026\0OpenSSL 3.5.5 27 Jan 2026\0OpenSSL 1.0.1k 8 Jan 2015\0";
        spoilt_binary(
            |elf| {
                elf.add_segment(elf::PT_LOAD, elf::PF_R, text);
                elf.record(&with_openssl());
            },
            "binary: holds two versions of OpenSSL: 3.5.5 and 1.0.1k",
        );
    }

    #[test]
    fn another_libc() {
        for (text, shown) in [
            ("GNU C Library (GNU libc) stable release", "GNU C Library"),
            ("\0GLIBC_TUNABLES\0", "GLIBC_TUNABLES"),
            ("\0GLIBC_PRIVATE\0", "GLIBC_PRIVATE"),
            ("Fatal glibc error: Cannot allocate", "glibc error:"),
        ] {
            spoilt_binary(
                |elf| elf.add_segment(elf::PT_LOAD, elf::PF_R, text.as_bytes()),
                &format!("binary: holds glibc instead of musl: {shown}"),
            );
        }
    }

    #[test]
    fn another_libc_that_says_nothing() {
        for (name, kind) in origin::GLIBC {
            spoilt_binary(
                |elf| elf.sections.push((name, kind, Vec::new())),
                &format!("binary: holds glibc instead of musl: {name}"),
            );
        }
    }

    /// A record that names OpenSSL.
    fn with_openssl() -> String {
        crate::specimen::RECORD.replace("musl", "openssl\": \"3.5.5\", \"musl")
    }

    #[test]
    fn an_openssl_that_does_not_name_itself_is_what_the_record_says() {
        for (text, expected) in [
            (&b""[..], "; the record says: musl 1.2.5, openssl 3.5.5"),
            (
                b"OpenSSL 3.5.5 27 Jan 2026\0",
                "; the record says: musl 1.2.5",
            ),
        ] {
            let mut specimen = Specimen::default();
            specimen.add_segment(elf::PT_LOAD, elf::PF_R, text);
            specimen.record(&with_openssl());
            let mut zip = Zip::default();
            zip.files[0].data = specimen.bytes();
            let (lines, faults) = judge(&zip.bytes(), None, &[]);
            assert_eq!(faults, NOTHING);
            assert!(lines.ends_with(expected), "{lines}");
        }
    }

    #[test]
    fn a_record_that_names_another_openssl_or_none() {
        let other = with_openssl();
        for (record, line) in [
            (
                other.as_str(),
                "binary: its record says openssl 3.5.5, but in it is 1.0.1k",
            ),
            (
                crate::specimen::RECORD,
                "binary: its record says nothing of the OpenSSL 1.0.1k in it",
            ),
        ] {
            spoilt_binary(
                |elf| {
                    elf.add_segment(elf::PT_LOAD, elf::PF_R, b"OpenSSL 1.0.1k 8 Jan 2015\0");
                    elf.record(record);
                },
                line,
            );
        }
    }
}
