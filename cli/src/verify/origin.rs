//! The record that a binary contains: the musl, the OpenSSL and the compilers that it was built with.
//!
//! The record is a note, which `readelf --notes` shows, in the format that distributions use for their packages:
//! <https://systemd.io/ELF_PACKAGE_METADATA/>

use memchr::memmem;
use serde_json::{Map, Value};

use super::{broken, elf, on_a_line};
use crate::package::Form;
use std::collections::BTreeSet;

/// The section that holds the note.
pub const SECTION: &str = ".note.package";
const OWNER: &str = "FDO";
const KIND: u32 = 0xcafe_1a7e;
const HEADER: usize = 12;

/// The key for the compilers, which are identified by the marks that they leave in objects.
pub const COMPILERS: &str = "compilers";
/// The key for the form of the package, if it is not the default.
pub const FORM: &str = "form";
/// The key for the checksum of the included files.
pub const INCLUDED: &str = "included";

/// The keys that every record must have.
const REQUIRED: [&str; 6] = ["name", "version", "architecture", COMPILERS, "musl", "rustc"];

/// The keys that the description shows differently from the others, or not at all.
const UNLISTED: [&str; 5] = ["name", "version", "architecture", INCLUDED, "type"];

/// The maximum number of keys in a record, and the maximum number of bytes in a key or a value.
const MOST: usize = 40;
const LONGEST: usize = 100;

/// Texts that glibc leaves in a static program. Not every program contains glibc's own name, so the list also has names
/// that glibc reads from the environment and from libraries, and the start of its error messages.
const GLIBC_TEXTS: [&str; 4] = ["GNU C Library", "GLIBC_TUNABLES", "GLIBC_PRIVATE", "glibc error:"];

/// The sections of glibc. The first is in all versions, the others only in versions up to 2.38.
const GLIBC_SECTIONS: [&str; 3] = [".note.ABI-tag", "__libc_freeres_fn", "__libc_IO_vtables"];

/// The note with these keys and values.
pub fn note(record: &Map<String, Value>) -> Vec<u8> {
    let mut text = Value::Object(record.clone()).to_string().into_bytes();
    text.push(0);
    let mut note = Vec::new();
    for number in [OWNER.len() as u32 + 1, text.len() as u32, KIND] {
        note.extend(number.to_le_bytes());
    }
    note.extend(OWNER.bytes().chain([0]));
    note.extend(text);
    note.resize(note.len().next_multiple_of(4), 0);
    note
}

pub type Record = Map<String, Value>;
pub type Sections = [(String, Vec<u8>)];

/// A line that describes what a binary was built from, and everything in the binary and its package that contradicts
/// the record.
pub fn read(binary: &[u8], form: Form, included: Option<&str>) -> (String, Vec<String>) {
    let sections = elf::sections(binary);
    match in_sections(&sections) {
        Ok(record) => {
            let (line, mut faults) = compare(&record, binary, &sections);
            let said = |key: &str| record.get(key).and_then(Value::as_str);
            let rules = [
                (
                    said(FORM) == form.name(),
                    format!("its record is for a package of a different form: {}", said(FORM).unwrap_or("script")),
                ),
                (
                    said(INCLUDED) == included,
                    match (said(INCLUDED), included) {
                        (_, None) => "its record lists included files, but the package contains none".into(),
                        (None, _) => "its record lists no included files, but the package contains some".into(),
                        _ => "the included files differ from those in its record".into(),
                    },
                ),
            ];
            faults.extend(broken(rules));
            (line, faults)
        }
        Err(fault) => (String::new(), vec![fault.into()]),
    }
}

/// The record in a binary.
pub fn record(binary: &[u8]) -> Option<Record> {
    in_sections(&elf::sections(binary)).ok()
}

fn in_sections(sections: &Sections) -> Result<Record, &'static str> {
    let records: Vec<_> = named(sections, SECTION).collect();
    match records[..] {
        [] => Err("contains no record of what it was built from"),
        [note] => parse(note).ok_or("its record of what it was built from is broken"),
        // Different readers could choose different records.
        _ => Err("contains more than one record of what it was built from"),
    }
}

fn named<'a>(sections: &'a Sections, name: &str) -> impl Iterator<Item = &'a [u8]> {
    sections.iter().filter(move |(other, _)| other == name).map(|(_, data)| &data[..])
}

/// The record in a note. Only one encoding is accepted, which excludes duplicate keys and bytes after the record.
fn parse(section: &[u8]) -> Option<Record> {
    let text = section.get(HEADER + OWNER.len() + 1..)?;
    let text = text.split(|byte| *byte == 0).next()?;
    let record: Record = serde_json::from_slice(text).ok()?;
    let mut texts = record.iter();
    let is_plain = texts.all(|(key, value)| is_key(key) && value.as_str().is_some_and(is_plain));
    (record.len() <= MOST && is_plain && note(&record) == section).then_some(record)
}

fn is_key(text: &str) -> bool {
    let is_of_a_key = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"_-".contains(&c);
    !text.is_empty() && text.len() <= LONGEST && text.bytes().all(is_of_a_key)
}

/// Whether a text can be shown unchanged on a line with others.
fn is_plain(text: &str) -> bool {
    let is_shown = |c: u8| (c.is_ascii_graphic() || c == b' ') && !b",;".contains(&c);
    !text.trim().is_empty() && text.len() <= LONGEST && text.bytes().all(is_shown)
}

/// A line with the contents of a record, starting with what the binary confirms, and everything in the binary that
/// contradicts the record.
fn compare(record: &Record, binary: &[u8], sections: &Sections) -> (String, Vec<String>) {
    let said = |key: &str| record.get(key).and_then(Value::as_str);
    let required = REQUIRED.map(|key| (said(key).is_some(), format!("its record has no {key}")));
    let mut faults: Vec<String> = broken(required).collect();
    // A text with a different version can come from a build script that asked the host's OpenSSL for its version.
    let mut versions: Vec<String> = openssl_versions(binary).collect();
    let openssl = versions.iter().position(|version| Some(&**version) == said("openssl")).unwrap_or_default();
    let openssl = (!versions.is_empty()).then(|| versions.swap_remove(openssl));
    faults.extend(glibc(binary, sections).map(|glibc| format!("contains glibc instead of musl: {glibc}")));
    let architecture = elf::architecture(binary).ok().map(|arch| arch.name().into());
    let mut confirmed = Vec::new();
    let compilers = Some(compilers(sections));
    for (key, found) in
        [("architecture", architecture), (COMPILERS, compilers), ("rustc", rustc(sections)), ("openssl", openssl)]
    {
        match (said(key), found) {
            (Some(said), Some(found)) if said == found => confirmed.push(key),
            // Every binary from rustc contains rustc's version; the linker leaves out OpenSSL's if nothing refers to it.
            (Some(_), None) if key != "rustc" => {}
            (None, found) if key != "openssl" || found.is_none() => {}
            (said, found) => {
                let [said, found] = [said, found.as_deref()].map(|text| text.unwrap_or("none"));
                faults.push(format!("{key} is {said} in its record, but {found} in the file"));
            }
        }
    }
    let list = |is_confirmed: bool| {
        let keys = record.keys().map(String::as_str).filter(|key| !UNLISTED.contains(key));
        let keys = keys.filter(|key| confirmed.contains(key) == is_confirmed);
        keys.map(|key| format!(", {key} {}", said(key).unwrap_or_default())).collect::<String>()
    };
    let [name, version, arch] = ["name", "version", "architecture"].map(|key| said(key).unwrap_or_default());
    let claimed = list(false).replacen(", ", "; the record says: ", 1);
    (format!("{name} {version}, {arch}{}{claimed}", list(true)), faults)
}

/// A trace of glibc in a binary: a text or the name of a section.
fn glibc(binary: &[u8], sections: &Sections) -> Option<&'static str> {
    let text = GLIBC_TEXTS.into_iter().find(|text| memmem::find(binary, text.as_bytes()).is_some());
    text.or_else(|| GLIBC_SECTIONS.into_iter().find(|name| named(sections, name).next().is_some()))
}

/// The marks that compilers and linkers left in the `.comment` section.
fn marks(sections: &Sections) -> impl Iterator<Item = String> {
    named(sections, ".comment").flat_map(|data| data.split(|byte| *byte == 0)).map(on_a_line)
}

fn rustc(sections: &Sections) -> Option<String> {
    marks(sections).find_map(|mark| mark.strip_prefix("rustc version ").map(Into::into))
}

/// The compilers of the objects that are not Rust's.
pub fn compilers(sections: &Sections) -> String {
    let name = |mark: String| {
        if mark.is_empty() || mark.starts_with("rustc version ") || mark.starts_with("Linker: ") {
            return None;
        }
        let version = |rest: &str| rest.split(' ').next().unwrap_or_default().to_owned();
        Some(match (mark.split_once("clang version "), mark.strip_prefix("GCC: ")) {
            (Some((_, rest)), _) if mark.contains("ziglang") => format!("zig's clang {}", version(rest)),
            (Some((_, rest)), _) => format!("clang {}", version(rest)),
            (_, Some(rest)) => format!("gcc {}", version(rest.rsplit_once(") ").map_or(rest, |(_, rest)| rest))),
            // The mark of an assembler, or of a compiler for another language.
            _ => mark.chars().filter(|c| c.is_ascii_alphanumeric() || " .-+_".contains(*c)).take(LONGEST / 3).collect(),
        })
    };
    let names: BTreeSet<String> = marks(sections).filter_map(name).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(" and ");
    if names.is_empty() { "none".into() } else { names.chars().take(LONGEST).collect() }
}

/// The versions of OpenSSL in a binary, from version texts such as `OpenSSL 3.5.5 27 Jan 2026`. A text must end in a null byte,
/// as in C: a text in Rust code, such as one that a build script got from the host's OpenSSL, does not count.
pub fn openssl_versions(bytes: &[u8]) -> impl Iterator<Item = String> {
    const NAME: &str = "OpenSSL ";
    memmem::find_iter(bytes, NAME).filter_map(|at| {
        let rest = &bytes[at + NAME.len()..];
        let text = &rest[..rest.iter().take(LONGEST).position(|byte| *byte == 0)?];
        let mut words = text.split(|byte| *byte == b' ');
        let (version, day, month) = (words.next()?, words.next()?, words.next()?);
        // OpenSSL 1.0.1 writes two spaces before a day of one digit.
        let day = if day.is_empty() { month } else { day };
        let is_date = (1..=2).contains(&day.len()) && day.iter().all(u8::is_ascii_digit);
        let is_of_a_version = |c: &u8| c.is_ascii_alphanumeric() || b".-+".contains(c);
        let is_version = version.first().is_some_and(u8::is_ascii_digit) && version.iter().all(is_of_a_version);
        (is_date && is_version).then(|| on_a_line(version))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::verify::specimen::{RECORD, Specimen, spoilt};

    const CLANG: &[u8] = b"clang version 20.1.2 (https://github.com/ziglang/zig-bootstrap 7ef74e656cf8)\0";
    const OPENSSL: &str = "OpenSSL 3.5.5 27 Jan 2026\0";
    const CLASSIC: &str = "OpenSSL 1.0.1k 8 Jan 2015\0";

    fn problems(spoil: impl FnOnce(&mut Specimen)) -> Vec<String> {
        read(&Specimen::spoilt(spoil), Form::Script, None).1
    }

    fn with_openssl() -> String {
        RECORD.replace("\"musl", "\"openssl\": \"3.5.5\", \"musl")
    }

    spoilt! {
        without_a_record: |elf| elf.sections.retain(|(name, _)| *name != SECTION)
            => "contains no record of what it was built from";
        with_two_records: |elf| elf.sections.extend(elf.sections.last().cloned())
            => "contains more than one record of what it was built from";
        with_a_broken_record: |elf| elf.sections.last_mut().unwrap().1.truncate(20)
            => "its record of what it was built from is broken";
        with_the_record_of_another_architecture: |elf| elf.record(&RECORD.replace("x86_64", "arm64"))
            => "architecture is arm64 in its record, but x86_64 in the file";
        with_the_record_of_another_compiler: |elf| elf.record(&RECORD.replace("1.99.1 (58cf8f9c3 2026-10-13)", "1.0.0"))
            => "rustc is 1.0.0 in its record, but 1.99.1 (58cf8f9c3 2026-10-13) in the file";
        without_a_trace_of_rustc: |elf| elf.sections[0].1 = CLANG.into()
            => "rustc is 1.99.1 (58cf8f9c3 2026-10-13) in its record, but none in the file";
        with_code_of_another_c_compiler: |elf| elf.sections[0].1.extend(b"GCC: (Debian 12.2.0-14) 12.2.0\0")
            => "compilers is zig's clang 20.1.2 in its record, but gcc 12.2.0 and zig's clang 20.1.2 in the file";
        with_the_record_of_another_openssl: |elf| { elf.text(CLASSIC); elf.record(&with_openssl()) }
            => "openssl is 3.5.5 in its record, but 1.0.1k in the file";
        with_an_openssl_that_its_record_does_not_name: |elf| elf.text(CLASSIC)
            => "openssl is none in its record, but 1.0.1k in the file";
    }

    #[test]
    fn a_record_without_a_required_key_is_a_problem() {
        for key in REQUIRED {
            let other = RECORD.replace(&format!("\"{key}\""), "\"other\"");
            assert_eq!(problems(|elf| elf.record(&other)), [format!("its record has no {key}")]);
        }
    }

    #[test]
    fn compilers_are_identified_by_their_marks() {
        let compilers = |marks: &str| compilers(&[(".comment".into(), marks.as_bytes().to_vec())]);
        for (marks, expected) in [
            ("rustc version 1.99.1 (58cf8f9c3 2026-10-13)\0Linker: LLD 20.1.2\0", "none"),
            ("GCC: (GNU) 11.5.0 20240719 (Red Hat 11.5.0-5)\0", "gcc 11.5.0"),
            ("GCC: (Debian 12.2.0-14+deb12u1) 12.2.0\0", "gcc 12.2.0"),
            (
                "Ubuntu clang version 14.0.0-1ubuntu1\0The Netwide Assembler 2.16.01\0",
                "The Netwide Assembler 2.16.01 and clang 14.0.0-1ubuntu1",
            ),
        ] {
            assert_eq!(compilers(marks), expected);
        }
    }

    #[test]
    fn the_form_and_the_included_files_must_match_the_record() {
        let record = RECORD.replace("\"name\"", "\"form\": \"single\", \"included\": \"12\", \"name\"");
        let binary = Specimen::spoilt(|elf| elf.record(&record));
        assert_eq!(read(&binary, Form::Single, Some("12")).1, [""; 0]);
        assert_eq!(
            read(&binary, Form::Script, Some("12")).1,
            ["its record is for a package of a different form: single"]
        );
        assert_eq!(read(&binary, Form::Single, Some("13")).1, ["the included files differ from those in its record"]);
        let missing = "its record lists included files, but the package contains none";
        assert_eq!(read(&binary, Form::Single, None).1, [missing]);
    }

    #[test]
    fn any_text_or_section_of_glibc_is_named() {
        let fault = |left: &str| [format!("contains glibc instead of musl: {left}")];
        for text in GLIBC_TEXTS {
            assert_eq!(problems(|elf| elf.text(text)), fault(text));
        }
        for name in GLIBC_SECTIONS {
            assert_eq!(problems(|elf| elf.section(name, b"")), fault(name));
        }
    }

    #[test]
    fn the_description_separates_what_the_binary_confirms_from_what_the_record_claims() {
        let rustc =
            "x86_64, compilers zig's clang 20.1.2, rustc 1.99.1 (58cf8f9c3 2026-10-13); the record says: musl 1.2.5";
        let confirmed = rustc.replace(", rustc", ", openssl 3.5.5, rustc");
        for (text, record, expected) in [
            ("", RECORD, rustc),
            (OPENSSL, &with_openssl(), &confirmed),
            (&[CLASSIC, OPENSSL].concat(), &with_openssl(), &confirmed),
            ("", &with_openssl(), &format!("{rustc}, openssl 3.5.5")),
        ] {
            let binary = Specimen::spoilt(|elf| {
                elf.text(text);
                elf.record(record);
            });
            let (description, faults) = read(&binary, Form::Script, None);
            assert_eq!(faults, [""; 0]);
            assert_eq!(description, format!("greeting 0.1.0, {expected}"));
        }
    }

    #[test]
    fn a_record_that_could_garble_a_terminal_or_the_line_is_broken() {
        let parsed = |key: &str, value: &str| parse(&note(json!({ key: value }).as_object().unwrap()));
        assert!(parsed("musl-cve_2026_6042", "1.2.5 (patched)").is_some());
        let values = "\u{1b}[2J|1\n2|1, openssl 3|1; the record says|\u{202e}5|1 \u{5d0}|| ";
        for value in values.split('|') {
            assert_eq!(parsed("musl", value), None, "{value}");
        }
        for key in ["OpenSSL", "", "a b", "a,b", "k\u{e9}y"] {
            assert_eq!(parsed(key, "1"), None, "{key}");
        }
        assert_eq!(parsed("musl", &"x".repeat(101)), None);
    }

    #[test]
    fn a_note_that_is_truncated_or_repeated_or_has_a_duplicate_key_is_broken() {
        let mut note = note(json!({"a": "1.2", "b": "1.2"}).as_object().unwrap());
        assert!(parse(&note).is_some());
        for length in 0..note.len() {
            assert_eq!(parse(&note[..length]), None, "{length}");
        }
        assert_eq!(parse(&note.repeat(2)), None);
        let second = note.iter().position(|byte| *byte == b'b').unwrap();
        note[second] = b'a';
        assert_eq!(parse(&note), None);
    }

    #[test]
    fn the_version_of_openssl_is_the_one_before_a_date() {
        let versions = |text: &str| openssl_versions(text.as_bytes()).collect::<Vec<_>>();
        let texts = ["OpenSSL 3 is new\0", OPENSSL, CLASSIC].concat();
        assert_eq!(versions(&texts), ["3.5.5", "1.0.1k"]);
        assert_eq!(versions("\0OpenSSL 1.0.1  3 Mar 2012\0"), ["1.0.1"]);
        assert_eq!(versions("of RustOpenSSL 3.6.3 9 Jun 2026and more text"), [""; 0]);
        assert_eq!(versions("OpenSSL 3.5.5 is meant\0OpenSSL "), [""; 0]);
    }
}
