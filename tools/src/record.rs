//! The record in the company of a package: its parts list, their licences, and what built it.
//!
//! All of it follows from the sources and the pins: no time, no host, no path.

use std::{fs, path::Path};

use serde_json::{Map, Value, json};

use crate::{
    crates::{self, Crate},
    licences, origin, sbom,
};

/// Something that is no crate: a library in the binary, or a tool that made it.
pub struct Part {
    pub is_library: bool,
    pub name: String,
    pub version: String,
    pub sha256: Option<String>,
    pub url: Option<String>,
    pub licence: Option<String>,
    /// The text of the licence: a file, or a folder of files.
    pub text: Option<String>,
}

/// What the record is about.
pub struct Function {
    pub name: String,
    pub version: String,
    pub target: String,
    pub features: String,
    pub crates: Vec<Crate>,
    pub parts: Vec<Part>,
}

/// Writes `note`, `sbom.cdx.json`, `licences.txt` and `build.json` into `folder`.
///
/// `parts` is a file with a line for each part that is no crate: `library` or `tool`, name, version, sha256, URL, licence,
/// and the file or folder with its text; `-` is for none, and `_` for a space in the licence.
pub fn record(
    manifest: &Path,
    package: &Path,
    features: &Path,
    target: &Path,
    parts: &Path,
    folder: &Path,
) -> Result<String, String> {
    let [name, features, target] =
        [package, features, target].map(|a| a.to_string_lossy().into_owned());
    let text =
        fs::read_to_string(parts).map_err(|error| format!("{}: {error}", parts.display()))?;
    let parts = text.lines().map(part).collect::<Result<Vec<_>, _>>()?;
    let crates = crates::crates(manifest, &name, &features, &target)?;
    let own = crates.iter().find(|krate| krate.id.0 == name);
    let version = own
        .ok_or_else(|| format!("cargo does not know {name}"))?
        .id
        .1
        .clone();
    let function = Function {
        name,
        version,
        target,
        features,
        crates,
        parts,
    };

    let write = |name: &str, bytes: Vec<u8>| {
        let file = folder.join(name);
        fs::write(&file, bytes).map_err(|error| format!("{}: {error}", file.display()))
    };
    let note = note(&function);
    write("note", origin::note(&note))?;
    write("sbom.cdx.json", pretty(&sbom::sbom(&function)))?;
    write("licences.txt", licences::licences(&function)?.into_bytes())?;
    write("build.json", pretty(&build(&function, note)))?;
    Ok(String::new())
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

fn part(line: &str) -> Result<Part, String> {
    let fields: Vec<&str> = line.splitn(7, ' ').collect();
    let [
        kind @ ("library" | "tool"),
        name,
        version,
        sha256,
        url,
        licence,
        text,
    ] = fields[..]
    else {
        return Err(format!(
            "{line}: expected library or tool, then name, version, sha256, URL, licence and its text, or - for none"
        ));
    };
    let some = |field: &str| (field != "-").then(|| field.to_owned());
    Ok(Part {
        is_library: kind == "library",
        name: name.into(),
        version: version.replace('_', " "),
        sha256: some(sha256),
        url: some(url),
        licence: some(&licence.replace('_', " ")),
        text: some(text),
    })
}

/// What the binary carries: the keys are those of <https://systemd.io/ELF_PACKAGE_METADATA/>, and the parts by name.
fn note(function: &Function) -> Map<String, Value> {
    let architecture = match function.target.split('-').next() {
        Some("aarch64") => "arm64",
        other => other.unwrap_or_default(),
    };
    let mut note = Map::new();
    let mut add = |key: &str, value: &str| note.insert(key.into(), value.into());
    add("type", "lambda-musl");
    add("name", &function.name);
    add("version", &function.version);
    add("architecture", architecture);
    // The version of rust-std is rustc's.
    for part in function.parts.iter().filter(|part| part.name != "rust-std") {
        add(&part.name.to_lowercase(), &part.version);
    }
    note
}

fn build(function: &Function, mut record: Map<String, Value>) -> Value {
    record.insert("target".into(), json!(function.target));
    record.insert(
        "features".into(),
        json!(function.features.split_terminator(',').collect::<Vec<_>>()),
    );
    for part in &function.parts {
        if let Some(sha256) = &part.sha256 {
            record.insert(
                format!("{}-sha256", part.name.to_lowercase()),
                json!(sha256),
            );
        }
    }
    record.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_part_and_the_file_with_its_licence() {
        let part = part("library musl 1.2.1 68af - MIT /a folder/COPYRIGHT").unwrap();
        assert!(part.is_library);
        assert_eq!((&*part.name, &*part.version), ("musl", "1.2.1"));
        assert_eq!(part.sha256.as_deref(), Some("68af"));
        assert_eq!(part.url, None);
        assert_eq!(part.text.as_deref(), Some("/a folder/COPYRIGHT"));
    }

    #[test]
    fn a_line_with_too_little_is_named() {
        for line in ["", "library musl 1.2.1", "crate a 1 - - - -"] {
            assert!(part(line).is_err(), "{line}");
        }
    }
}
