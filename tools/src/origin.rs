//! The record in a binary: which musl, OpenSSL and compilers made it.
//!
//! It is a note as distributions put it into theirs, which `readelf --notes` shows:
//! <https://systemd.io/ELF_PACKAGE_METADATA/>

use object::elf::{NoteType, SHT_NOTE, SHT_PROGBITS, SectionType};
use serde_json::{Map, Value};

use crate::{elf, strings};

pub const SECTION: &str = ".note.package";
const OWNER: &str = "FDO";
const KIND: NoteType = NoteType(0xcafe_1a7e);
const HEADER: usize = 12;

/// Without these there is nothing to say about a package.
const REQUIRED: [&str; 5] = ["name", "version", "architecture", "musl", "rustc"];

/// Keys in a record at most, and bytes of each and of its value.
const MOST: usize = 40;
const LONGEST: usize = 100;

/// The note with these keys and values.
pub fn note(record: &Map<String, Value>) -> Vec<u8> {
    let mut text = Value::Object(record.clone()).to_string().into_bytes();
    text.push(0);
    let mut note = Vec::new();
    for number in [OWNER.len() as u32 + 1, text.len() as u32, KIND.0] {
        note.extend(number.to_le_bytes());
    }
    note.extend(OWNER.bytes().chain([0]));
    note.extend(text);
    note.resize(note.len().next_multiple_of(4), 0);
    note
}

/// What a binary was built from.
#[derive(Default)]
pub struct Origin {
    /// What the record in it says.
    pub record: Map<String, Value>,
    /// The keys for which a compiler or a library says the same in the binary itself.
    pub confirmed: Vec<&'static str>,
    /// All in the binary that speaks against the record.
    pub faults: Vec<String>,
}

pub fn read(binary: &[u8]) -> Origin {
    let none = |fault: &str| Origin {
        faults: vec![fault.into()],
        ..Origin::default()
    };
    let Some(section) = elf::section(binary, SECTION, SHT_NOTE) else {
        return none("holds no record of what it was built from");
    };
    let Some(record) = parse(section) else {
        return none("its record of what it was built from is broken");
    };
    // Readers could take either of two.
    match elf::notes(binary, OWNER, KIND) {
        Ok(1) => {}
        Ok(count) => return none(&format!("holds {count} records of what it was built from")),
        Err(error) => return none(&format!("its notes are broken: {error}")),
    }
    let mut origin = Origin {
        record,
        ..Origin::default()
    };
    origin.judge(binary);
    origin
}

fn parse(section: &[u8]) -> Option<Map<String, Value>> {
    let text = section.get(HEADER + OWNER.len() + 1..)?;
    let text = text.split(|byte| *byte == 0).next()?;
    let record: Map<String, Value> = serde_json::from_slice(text).ok()?;
    let is_short = record.len() <= MOST;
    let mut texts = record.iter();
    let is_plain = texts.all(|(key, value)| is_key(key) && value.as_str().is_some_and(is_plain));
    // There is one form of it: no key is there twice, of which readers could take either.
    (is_short && is_plain && note(&record) == section).then_some(record)
}

fn is_key(text: &str) -> bool {
    let is_of_a_key = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"_-".contains(&c);
    !text.is_empty() && text.len() <= LONGEST && text.bytes().all(is_of_a_key)
}

/// Whether a text can be shown to a person as it is, on a line with others.
fn is_plain(text: &str) -> bool {
    let is_shown = |c: u8| (c.is_ascii_graphic() || c == b' ') && !b",;".contains(&c);
    !text.trim().is_empty() && text.len() <= LONGEST && text.bytes().all(is_shown)
}

impl Origin {
    pub fn said(&self, key: &str) -> Option<&str> {
        self.record.get(key).and_then(Value::as_str)
    }

    fn judge(&mut self, binary: &[u8]) {
        let mut faults = Vec::new();
        for key in REQUIRED {
            if self.said(key).is_none() {
                faults.push(format!("its record does not say which {key} it has"));
            }
        }
        let own = elf::architecture(binary).unwrap_or_default();
        let mut openssl = strings::openssl_versions(binary);
        let first = openssl.next();
        if let Some(first) = &first
            && let Some(other) = openssl.find(|other| other != first)
        {
            faults.push(format!(
                "holds two versions of OpenSSL: {first} and {other}"
            ));
        }
        if let Some(glibc) = glibc(binary) {
            faults.push(format!("holds glibc instead of musl: {glibc}"));
        }
        let found = [
            ("architecture", Some(own.to_owned())),
            ("rustc", rustc(binary)),
            ("openssl", first),
        ];
        for (key, found) in found {
            match (self.said(key), found) {
                (Some(said), Some(found)) if said == found => self.confirmed.push(key),
                (Some(said), Some(found)) => {
                    faults.push(format!(
                        "its record says {key} {said}, but in it is {found}"
                    ));
                }
                // Every binary of rustc names it; OpenSSL's text is left out where nothing asks for it.
                (Some(said), None) if key == "rustc" => {
                    faults.push(format!("its record says rustc {said}, but in it is none"));
                }
                (None, Some(found)) if key == "openssl" => {
                    faults.push(format!(
                        "its record says nothing of the OpenSSL {found} in it"
                    ));
                }
                _ => {}
            }
        }
        self.faults = faults;
    }
}

/// Sections that glibc brings into each static program: the first is of all its versions, the others up to 2.38.
pub const GLIBC: [(&str, SectionType); 3] = [
    (".note.ABI-tag", SHT_NOTE),
    ("__libc_freeres_fn", SHT_PROGBITS),
    ("__libc_IO_vtables", SHT_PROGBITS),
];

/// What there is of glibc in a binary: a text or a section.
fn glibc(binary: &[u8]) -> Option<&'static str> {
    let mut sections = GLIBC.into_iter();
    let section = sections.find(|(name, kind)| elf::section(binary, name, *kind).is_some());
    strings::glibc(binary).or(section.map(|(name, _)| name))
}

/// How many texts of compilers are looked at.
const COMPILERS: usize = 100;

/// What rustc left in the section for compilers.
fn rustc(binary: &[u8]) -> Option<String> {
    let comments = elf::section(binary, ".comment", SHT_PROGBITS)?.split(|byte| *byte == 0);
    let mut texts = comments.take(COMPILERS).map(strings::until_null);
    texts.find_map(|text| text.strip_prefix("rustc version ").map(Into::into))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen::{RECORD, Specimen};
    use serde_json::json;
    use std::{fs, process::Command};

    #[test]
    fn what_was_written_is_read_again() {
        let Origin { record, faults, .. } = read(&Specimen::default().bytes());
        let expected: Map<String, Value> = serde_json::from_str(RECORD).unwrap();
        assert_eq!(record, expected);
        assert!(faults.is_empty(), "{faults:?}");
    }

    #[test]
    fn a_record_that_would_play_with_a_terminal_is_broken() {
        let parsed = |value: Value| parse(&note(json!({ "musl": value }).as_object().unwrap()));
        assert!(parsed(json!("1.2.5 (patched)")).is_some());
        for value in [
            json!("\u{1b}[2J"),
            json!("1\n2"),
            json!("x".repeat(101)),
            json!(["1"]),
            json!("1.2.5, openssl 3.5.5"),
            json!("1.2.5; the record says"),
            json!("\u{202e}5.2.1"),
            json!("1.2.5 \u{5d0}"),
            json!(""),
            json!(" "),
        ] {
            assert_eq!(parsed(value.clone()), None, "{value}");
        }
    }

    #[test]
    fn a_key_is_of_small_letters() {
        let parsed = |key: &str| parse(&note(json!({ key: "1" }).as_object().unwrap()));
        assert!(parsed("musl-cve_2026_6042").is_some());
        for key in ["OpenSSL", "", "a b", "a,b", "k\u{e9}y"] {
            assert_eq!(parsed(key), None, "{key}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_broken() {
        let mut note = note(json!({"a": "1.2", "b": "1.2"}).as_object().unwrap());
        assert!(parse(&note).is_some());
        let second = note.iter().position(|byte| *byte == b'b').unwrap();
        note[second] = b'a';
        assert_eq!(parse(&note), None);
    }

    #[test]
    fn a_second_note_behind_the_record_is_broken() {
        let note = note(json!({"musl": "1.2.5"}).as_object().unwrap());
        assert_eq!(parse(&note.repeat(2)), None);
    }

    #[test]
    fn a_note_that_is_cut_off_is_broken() {
        let note = note(json!({"musl": "1.2.5"}).as_object().unwrap());
        for length in 0..note.len() {
            assert_eq!(parse(&note[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_static_program_of_glibc_is_known_by_its_texts_and_by_its_sections() {
        let folder = tempfile::tempdir().unwrap();
        let (source, program) = (folder.path().join("a.c"), folder.path().join("a"));
        fs::write(&source, "int main(void) { return 0; }\n").unwrap();
        let mut gcc = Command::new("gcc");
        gcc.args(["-static", "-s", "-o"]).arg(&program).arg(&source);
        // Not every machine has gcc and a static libc, and not on every one it is glibc's.
        if cfg!(target_env = "gnu") && gcc.output().is_ok_and(|output| output.status.success()) {
            let binary = fs::read(&program).unwrap();
            assert!(strings::glibc(&binary).is_some());
            assert!(elf::section(&binary, ".note.ABI-tag", SHT_NOTE).is_some());
        }
    }
}
