//! The record of what a function was built from, in its binary and beside it. All of it follows from the sources and
//! the pins: no time, no host, no path.

use serde_json::{Map, Value, json};

use super::{
    Built, Part,
    form::{self, Contents},
};
use crate::verify::{elf, origin};

pub fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// What the binary carries: the keys are those of <https://systemd.io/ELF_PACKAGE_METADATA/>, and the parts by name.
pub fn record(built: &Built, included: &Contents) -> Map<String, Value> {
    let function = built.function;
    let mut record = Map::new();
    let mut add = |key: &str, value: &str| record.insert(key.into(), value.into());
    add("type", "lambda-musl");
    // The record is plain text, and a name may be of any letters.
    add("name", &function.name.escape_default().to_string());
    add("version", &function.version);
    add("architecture", function.arch.name());
    // Other libraries are those of crates, which the SBOM has, or of a tool, whose version is theirs.
    let is_told = |part: &&Part| !part.is_library || ["musl", "OpenSSL"].iter().any(|name| part.name.starts_with(name));
    for part in built.parts.iter().filter(|part| part.linked_by.is_empty()).filter(is_told) {
        add(&part.name.to_lowercase(), part.version.as_deref().unwrap_or_default());
    }
    // Not what was meant to compile, but what the compilers have left in what they made.
    add(origin::COMPILERS, &origin::compilers(&elf::sections(&built.binary)));
    if let Some(form) = function.form.name() {
        add(origin::FORM, form);
    }
    if !included.is_empty() {
        add(origin::INCLUDED, &form::checksum(included));
    }
    record
}

/// The same with what is of use to builders: `build.json`.
pub fn build(built: &Built, mut record: Map<String, Value>) -> Vec<u8> {
    record.insert("target".into(), json!(built.function.arch.triple()));
    record.insert("binary".into(), json!(built.function.binary));
    record.insert("features".into(), json!(built.function.features));
    for part in &built.parts {
        if let Some(sha256) = &part.sha256 {
            record.insert(format!("{}-sha256", part.name.to_lowercase()), json!(sha256));
        }
    }
    pretty(&record.into())
}
