//! The record of what a function was built from, in its binary and in build.json. It depends only on the sources and
//! the pins: it contains no time, host name or path.

use serde_json::{Map, Value, json};

use super::form::{self, Contents};
use super::{Built, Part};
use crate::verify::{elf, origin};

pub fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// The record in the binary: the keys of <https://systemd.io/ELF_PACKAGE_METADATA/>, and keys of our own, such as the versions of
/// musl, OpenSSL and the tools.
pub fn record(built: &Built, included: &Contents) -> Map<String, Value> {
    let function = built.function;
    let mut record = Map::new();
    let mut add = |key: &str, value: &str| record.insert(key.into(), value.into());
    add("type", "lambda-musl");
    // The record is plain ASCII, but a name can contain any letters.
    add("name", &function.name.escape_default().to_string());
    add("version", &function.version);
    add("architecture", function.arch.name());
    // Any other library comes from a crate, which the SBOM lists, or from a tool and has its version.
    let is_told = |part: &&Part| !part.is_library || ["musl", "OpenSSL"].iter().any(|name| part.name.starts_with(name));
    for part in built.parts.iter().filter(|part| part.linked_by.is_empty()).filter(is_told) {
        add(&part.name.to_lowercase(), part.version.as_deref().unwrap_or_default());
    }
    // These are not the compilers that were configured, but those that left their marks in the binary.
    add(origin::COMPILERS, &origin::compilers(&elf::sections(&built.binary)));
    if let Some(form) = function.form.name() {
        add(origin::FORM, form);
    }
    if !included.is_empty() {
        add(origin::INCLUDED, &form::checksum(included));
    }
    record
}

/// The contents of `build.json`: the record, and more details of the build.
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
