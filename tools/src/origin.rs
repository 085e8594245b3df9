//! The record in a binary: which musl, OpenSSL and compilers made it.
//!
//! It is a note as distributions put it into theirs, which `readelf --notes` shows:
//! <https://systemd.io/ELF_PACKAGE_METADATA/>

use serde_json::{Map, Value};

use crate::{elf, strings};

pub const SECTION: &str = ".note.package";
const OWNER: &[u8] = b"FDO\0";
const KIND: u32 = 0xcafe_1a7e;
const HEADER: usize = 12;

/// Keys in a record at most, and bytes of each and of its value.
const MOST: usize = 40;
const LONGEST: usize = 100;

/// The note with these keys and values.
pub fn note(record: &Map<String, Value>) -> Vec<u8> {
    let mut text = Value::Object(record.clone()).to_string().into_bytes();
    text.push(0);
    let mut note = Vec::new();
    for number in [OWNER.len() as u32, text.len() as u32, KIND] {
        note.extend(number.to_le_bytes());
    }
    note.extend(OWNER);
    note.extend(text);
    note.resize(note.len().next_multiple_of(4), 0);
    note
}

/// What the record in a binary says, and all that speaks against it in the binary itself.
pub fn read(binary: &[u8]) -> (Map<String, Value>, Vec<String>) {
    let none = |fault: &str| (Map::new(), vec![fault.to_owned()]);
    let Some(section) = elf::section(binary, SECTION) else {
        return none("holds no record of what it was built from");
    };
    let Some(record) = parse(section) else {
        return none("its record of what it was built from is broken");
    };
    let faults = faults(&record, binary);
    (record, faults)
}

fn parse(section: &[u8]) -> Option<Map<String, Value>> {
    let number = |at| Some(u32::from_le_bytes(*section.get(at..)?.first_chunk()?));
    let start = HEADER + OWNER.len();
    let text = section.get(start..start.checked_add(number(4)? as usize)?)?;
    if number(0)? as usize != OWNER.len()
        || number(8)? != KIND
        || !section[HEADER..].starts_with(OWNER)
    {
        return None;
    }
    let record: Map<String, Value> = serde_json::from_slice(text.strip_suffix(&[0])?).ok()?;
    let is_short = record.len() <= MOST;
    let mut texts = record.iter();
    let is_plain = texts.all(|(key, value)| is_plain(key) && value.as_str().is_some_and(is_plain));
    (is_short && is_plain).then_some(record)
}

/// Whether a text can be shown to a person as it is.
fn is_plain(text: &str) -> bool {
    text.len() <= LONGEST
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ')
}

fn faults(record: &Map<String, Value>, binary: &[u8]) -> Vec<String> {
    let mut faults = Vec::new();
    let said = |key: &str| record.get(key).and_then(Value::as_str);
    for key in ["musl", "rustc"] {
        if said(key).is_none() {
            faults.push(format!(
                "its record does not say which {key} it was built from"
            ));
        }
    }
    let own = elf::architecture(binary).unwrap_or_default();
    let found = [
        ("architecture", Some(own.to_owned())),
        ("rustc", rustc(binary)),
        ("openssl", strings::openssl_version(binary)),
    ];
    for (key, found) in found {
        match (said(key), found) {
            (Some(said), Some(found)) if said != found => {
                faults.push(format!(
                    "its record says {key} {said}, but in it is {found}"
                ));
            }
            (None, Some(found)) if key == "openssl" => {
                faults.push(format!(
                    "its record says nothing of the OpenSSL {found} in it"
                ));
            }
            _ => {}
        }
    }
    faults
}

/// What rustc left in the section for compilers.
fn rustc(binary: &[u8]) -> Option<String> {
    let comments = elf::section(binary, ".comment")?.split(|byte| *byte == 0);
    let mut texts = comments.map(strings::until_null);
    texts.find_map(|text| text.strip_prefix("rustc version ").map(Into::into))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen::{RECORD, Specimen};
    use serde_json::json;

    #[test]
    fn what_was_written_is_read_again() {
        let (record, faults) = read(&Specimen::default().bytes());
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
        ] {
            assert_eq!(parsed(value.clone()), None, "{value}");
        }
    }

    #[test]
    fn a_note_that_is_cut_off_is_broken() {
        let note = note(json!({"musl": "1.2.5"}).as_object().unwrap());
        for length in 0..note.len() - 3 {
            assert_eq!(parse(&note[..length]), None, "{length}");
        }
    }
}
