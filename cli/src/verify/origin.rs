//! The record in a binary: which musl, OpenSSL and compilers made it.
//!
//! It is a note as distributions put it into theirs, which `readelf --notes` shows:
//! <https://systemd.io/ELF_PACKAGE_METADATA/>

use memchr::memmem;
use object::elf::SHT_NOTE;
use serde_json::{Map, Value};

use super::{
    elf::{self, Section},
    on_a_line,
};

/// The section that holds the note.
pub const SECTION: &str = ".note.package";
const OWNER: &str = "FDO";
const KIND: u32 = 0xcafe_1a7e;
const HEADER: usize = 12;

/// Without these there is nothing to say about a package.
const REQUIRED: [&str; 5] = ["name", "version", "architecture", "musl", "rustc"];

/// Keys in a record at most, and bytes of each and of its value.
const MOST: usize = 40;
const LONGEST: usize = 100;

/// What glibc leaves in a static program, which does not hold its name: the names that it reads from its environment and
/// from libraries, and what it says when it fails.
const GLIBC_TEXTS: [&str; 4] = [
    "GNU C Library",
    "GLIBC_TUNABLES",
    "GLIBC_PRIVATE",
    "glibc error:",
];

/// The sections that it brings: the first is of all its versions, the others up to 2.38.
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

/// What a binary was built from.
#[derive(Default)]
pub struct Origin {
    /// What the record in it says.
    record: Map<String, Value>,
    /// The keys for which a compiler or a library says the same in the binary itself.
    confirmed: Vec<&'static str>,
    /// All in the binary that contradicts the record.
    pub faults: Vec<String>,
}

/// Reads the record of a binary, and compares it with what else the binary says.
pub fn read(binary: &[u8]) -> Origin {
    let sections = elf::table(binary);
    let is_record = |section: &&Section| section.name == SECTION && section.kind == SHT_NOTE;
    let records: Vec<_> = sections.iter().filter(is_record).collect();
    let mut origin = Origin::default();
    match records[..] {
        [] => origin.fault("holds no record of what it was built from"),
        [section] => match parse(section.data) {
            Some(record) => origin.record = record,
            None => origin.fault("its record of what it was built from is broken"),
        },
        // Readers could take either of two.
        _ => origin.fault("holds more than one record of what it was built from"),
    }
    if origin.faults.is_empty() {
        origin.compare(binary, &sections);
    }
    origin
}

/// The record in a note: there is one form of it, so that no key is there twice, and nothing behind it.
fn parse(section: &[u8]) -> Option<Map<String, Value>> {
    let text = section.get(HEADER + OWNER.len() + 1..)?;
    let text = text.split(|byte| *byte == 0).next()?;
    let record: Map<String, Value> = serde_json::from_slice(text).ok()?;
    let mut texts = record.iter();
    let is_plain = texts.all(|(key, value)| is_key(key) && value.as_str().is_some_and(is_plain));
    (record.len() <= MOST && is_plain && note(&record) == section).then_some(record)
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
    fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    fn said(&self, key: &str) -> Option<&str> {
        self.record.get(key).and_then(Value::as_str)
    }

    /// The record on one line: what the binary itself confirms, then what nothing but the record says.
    pub fn describe(&self) -> String {
        let said = |key: &str| self.said(key).unwrap_or_default();
        let rest = self.record.keys().map(String::as_str);
        let rest = rest.filter(|key| !["name", "version", "architecture", "type"].contains(key));
        let (confirmed, claimed): (Vec<_>, Vec<_>) =
            rest.partition(|key| self.confirmed.contains(key));
        let list = |keys: Vec<&str>| {
            let parts = keys.iter().map(|key| format!(", {key} {}", said(key)));
            parts.collect::<String>()
        };
        format!(
            "{} {}, {}{}{}",
            said("name"),
            said("version"),
            said("architecture"),
            list(confirmed),
            list(claimed).replacen(", ", "; the record says: ", 1)
        )
    }

    fn compare(&mut self, binary: &[u8], sections: &[Section]) {
        for key in REQUIRED {
            if self.said(key).is_none() {
                self.fault(format!("its record does not say which {key} it has"));
            }
        }
        if let Some(glibc) = glibc(binary, sections) {
            self.fault(format!("holds glibc instead of musl: {glibc}"));
        }
        let mut versions = openssl_versions(binary);
        let openssl = versions.next();
        if let Some(first) = &openssl
            && let Some(other) = versions.find(|other| other != first)
        {
            self.fault(format!("holds OpenSSL {first} and OpenSSL {other}"));
        }
        let architecture = elf::architecture(binary).ok();
        let found = [
            ("architecture", architecture.map(|arch| arch.name().into())),
            ("rustc", rustc(sections)),
            ("openssl", openssl),
        ];
        for (key, found) in found {
            let (said, found) = match (self.said(key), found) {
                (Some(said), Some(found)) if said == found => {
                    self.confirmed.push(key);
                    continue;
                }
                (Some(said), Some(found)) => (said, found),
                // Every binary of rustc names it; OpenSSL's text is left out where nothing asks for it.
                (Some(said), None) if key == "rustc" => (said, "none".into()),
                (None, Some(found)) if key == "openssl" => ("none", found),
                _ => continue,
            };
            self.fault(format!(
                "its record says {key} {said}, but in it is {found}"
            ));
        }
    }
}

/// What there is of glibc in a binary: a text or the name of a section.
fn glibc(binary: &[u8], sections: &[Section]) -> Option<&'static str> {
    let is_in = |text: &&str| memmem::find(binary, text.as_bytes()).is_some();
    let is_there = |name: &&str| sections.iter().any(|section| section.name == *name);
    let text = GLIBC_TEXTS.into_iter().find(is_in);
    text.or_else(|| GLIBC_SECTIONS.into_iter().find(is_there))
}

/// What rustc left in the section for compilers.
fn rustc(sections: &[Section]) -> Option<String> {
    let comment = sections.iter().find(|section| section.name == ".comment")?;
    let mut texts = comment.data.split(|byte| *byte == 0).map(on_a_line);
    texts.find_map(|text| text.strip_prefix("rustc version ").map(Into::into))
}

/// The versions of OpenSSL that are in a binary, from the text that it says when asked: `OpenSSL 3.5.5 27 Jan 2026`.
pub fn openssl_versions(bytes: &[u8]) -> impl Iterator<Item = String> {
    const NAME: &str = "OpenSSL ";
    memmem::find_iter(bytes, NAME).filter_map(|at| {
        let text = on_a_line(&bytes[at + NAME.len()..]);
        let mut words = text.split(' ');
        let (version, day, month) = (words.next()?, words.next()?, words.next()?);
        // 1.0.1 puts two spaces before a day of one digit.
        let day = if day.is_empty() { month } else { day };
        let is_date = (1..=2).contains(&day.len()) && day.bytes().all(|c| c.is_ascii_digit());
        let is_of_a_version = |c: u8| c.is_ascii_alphanumeric() || b".-+".contains(&c);
        let is_version = version.bytes().all(is_of_a_version)
            && version.starts_with(|c: char| c.is_ascii_digit());
        (is_date && is_version).then(|| version.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use object::elf::SHT_PROGBITS;
    use serde_json::json;

    use super::*;
    use crate::verify::specimen::{RECORD, Specimen, spoilt};

    const OPENSSL: &str = "OpenSSL 3.5.5 27 Jan 2026\0";
    const CLASSIC: &str = "OpenSSL 1.0.1k 8 Jan 2015\0";

    fn problems(spoil: impl FnOnce(&mut Specimen)) -> Vec<String> {
        read(&Specimen::spoilt(spoil)).faults
    }

    fn with_openssl() -> String {
        RECORD.replace("\"musl", "\"openssl\": \"3.5.5\", \"musl")
    }

    spoilt! {
        without_a_record: |elf| elf.sections.retain(|(name, ..)| *name != SECTION)
            => "holds no record of what it was built from";
        with_a_record_in_a_section_that_is_not_of_notes: |elf| elf.sections.last_mut().unwrap().1 = SHT_PROGBITS
            => "holds no record of what it was built from";
        with_two_records: |elf| elf.sections.extend(elf.sections.last().cloned())
            => "holds more than one record of what it was built from";
        with_a_broken_record: |elf| elf.sections.last_mut().unwrap().2.truncate(20)
            => "its record of what it was built from is broken";
        with_the_record_of_another_architecture: |elf| elf.record(&RECORD.replace("x86_64", "arm64"))
            => "its record says architecture arm64, but in it is x86_64";
        with_the_record_of_another_compiler: |elf| elf.record(&RECORD.replace("1.99.1 (58cf8f9c3 2026-10-13)", "1.0.0"))
            => "its record says rustc 1.0.0, but in it is 1.99.1 (58cf8f9c3 2026-10-13)";
        without_a_trace_of_its_compiler: |elf| elf.sections.retain(|(name, ..)| *name != ".comment")
            => "its record says rustc 1.99.1 (58cf8f9c3 2026-10-13), but in it is none";
        with_the_record_of_another_openssl: |elf| { elf.text(CLASSIC); elf.record(&with_openssl()) }
            => "its record says openssl 3.5.5, but in it is 1.0.1k";
        with_an_openssl_that_its_record_does_not_name: |elf| elf.text(CLASSIC)
            => "its record says openssl none, but in it is 1.0.1k";
        with_two_versions_of_openssl: |elf| { elf.text(&[OPENSSL, OPENSSL, CLASSIC].concat()); elf.record(&with_openssl()) }
            => "holds OpenSSL 3.5.5 and OpenSSL 1.0.1k";
    }

    #[test]
    fn a_record_without_what_each_has() {
        for key in REQUIRED {
            let other = RECORD.replace(&format!("\"{key}\""), "\"other\"");
            let expected = format!("its record does not say which {key} it has");
            assert_eq!(problems(|elf| elf.record(&other)), [expected]);
        }
    }

    #[test]
    fn any_text_or_section_of_glibc_is_named() {
        let fault = |left: &str| [format!("holds glibc instead of musl: {left}")];
        for text in GLIBC_TEXTS {
            assert_eq!(problems(|elf| elf.text(text)), fault(text));
        }
        for name in GLIBC_SECTIONS {
            assert_eq!(
                problems(|elf| elf.section(name, SHT_NOTE, b"")),
                fault(name)
            );
        }
    }

    #[test]
    fn the_description_parts_what_the_binary_confirms_from_what_the_record_claims() {
        let rustc = "rustc 1.99.1 (58cf8f9c3 2026-10-13); the record says: musl 1.2.5";
        for (text, record, expected) in [
            ("", RECORD, rustc.into()),
            (OPENSSL, &with_openssl(), format!("openssl 3.5.5, {rustc}")),
            ("", &with_openssl(), format!("{rustc}, openssl 3.5.5")),
        ] {
            let origin = read(&Specimen::spoilt(|elf| {
                elf.text(text);
                elf.record(record);
            }));
            assert_eq!(origin.faults, [""; 0]);
            assert_eq!(
                origin.describe(),
                format!("greeting 0.1.0, x86_64, {expected}")
            );
        }
    }

    #[test]
    fn a_key_or_a_value_that_would_play_with_a_terminal_or_the_line_is_broken() {
        let parsed =
            |key: &str, value: Value| parse(&note(json!({ key: value }).as_object().unwrap()));
        assert!(parsed("musl-cve_2026_6042", json!("1.2.5 (patched)")).is_some());
        assert_eq!(parsed("musl", json!(["1"])), None);
        for value in [
            "\u{1b}[2J",
            "1\n2",
            "1, openssl 3",
            "1; the record says",
            "\u{202e}5",
            "1 \u{5d0}",
            "",
            " ",
        ] {
            assert_eq!(parsed("musl", json!(value)), None, "{value}");
        }
        for key in ["OpenSSL", "", "a b", "a,b", "k\u{e9}y"] {
            assert_eq!(parsed(key, json!("1")), None, "{key}");
        }
        assert_eq!(parsed("musl", json!("x".repeat(101))), None);
    }

    #[test]
    fn a_note_that_is_cut_off_or_repeated_or_has_a_key_twice_is_broken() {
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
        assert_eq!(
            versions(&["OpenSSL 3 is new\0", OPENSSL, CLASSIC].concat()),
            ["3.5.5", "1.0.1k"]
        );
        assert_eq!(versions("\0OpenSSL 1.0.1  3 Mar 2012"), ["1.0.1"]);
        assert_eq!(versions("OpenSSL 3.5.5 is meant\0OpenSSL "), [""; 0]);
    }
}
