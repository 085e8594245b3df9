//! The licences of everything in a binary, in one text.

use std::path::{Path, PathBuf};
use std::{collections::BTreeMap, fs, slice};

use anyhow::Result;

use crate::files::At;

use super::Built;

/// The prefixes of the names of licence files, in lower case.
const NAMES: [&str; 5] = ["licen", "copying", "copyright", "notice", "unlicense"];

/// HTML entities and the characters that they represent.
const ENTITIES: [(&str, &str); 6] =
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#x27;", "'"), ("&amp;", "&")];

/// A section for each library and each crate. A text that occurred before is referred to, not repeated.
pub fn licences(built: &Built) -> Result<String> {
    let parts = built.parts.iter().filter(|part| part.is_library);
    let parts = parts.map(|part| (&part.name, part.version.as_ref(), part.licence.as_ref(), &part.texts[..]));
    let crates = built.crates.iter().filter(|krate| krate.linked);
    let crates = crates
        .map(|krate| (&krate.name, Some(&krate.version), krate.licence.as_ref(), slice::from_ref(&krate.directory)));

    let (name, version) = (&built.function.name, &built.function.version);
    let mut file = format!("The components of {name} {version} and their licences.\n");
    let mut seen = BTreeMap::new();
    for (name, version, licence, sources) in parts.chain(crates) {
        let title = version.map_or_else(|| name.clone(), |version| format!("{name} {version}"));
        let texts = sources.iter().map(|source| texts(source)).collect::<Result<Vec<_>>>()?.concat();
        let unnamed = if texts.is_empty() { "no licence named" } else { "see the texts" };
        file += &format!("\n\n== {title}: {}\n", licence.map_or(unnamed, |text| text));
        for (name, text) in texts {
            let first = seen.entry(text.clone()).or_insert_with(|| title.clone());
            file += &match *first == title {
                true => format!("\n-- {name}\n\n{text}\n"),
                false => format!("\n-- {name}: the same text as for {first}\n"),
            };
        }
    }
    Ok(file)
}

/// The name and text of a file, or of all licence files in a directory, sorted by name.
fn texts(path: &Path) -> Result<Vec<(String, String)>> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = fs::read_dir(path).at(path)?.flatten();
        files = entries.map(|entry| entry.path()).filter(|path| path.is_file() && is_licence(&name(path))).collect();
        files.sort();
    }
    let text = |file: &PathBuf| {
        let bytes = fs::read(file).at(file)?;
        let text = String::from_utf8_lossy(&bytes).replace('\r', "");
        let text = if name(file).ends_with(".html") { plain(&text) } else { text };
        Ok((name(file), text.trim().to_owned()))
    };
    files.iter().map(text).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

pub fn is_licence(name: &str) -> bool {
    NAMES.iter().any(|start| name.to_lowercase().starts_with(start))
}

/// The text of an HTML page, without tags or empty lines. Rust ships its notices as such a page.
fn plain(page: &str) -> String {
    let (first, rest) = page.split_once('<').unwrap_or((page, ""));
    let texts = rest.split('<').map(|part| part.split_once('>').map_or(part, |(_tag, text)| text));
    let text = texts.fold(first.to_owned(), |text, part| text + part);
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    ENTITIES.iter().fold(text, |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_its_text() {
        let page = "<h1>Rust</h1>\n\n  <p>A &lt;b&gt; &amp;lt; c</p>\n";
        assert_eq!(plain(page), "Rust\n  A <b> &lt; c\n");
    }

    #[test]
    fn the_licence_files_of_a_directory_are_read_in_order() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["LICENSE-MIT", "COPYING", "README.md", "license_apache.rs.txt"] {
            fs::write(directory.path().join(name), format!("{name}\r\n")).unwrap();
        }
        fs::create_dir(directory.path().join("licenses")).unwrap();
        let expected = ["COPYING", "LICENSE-MIT", "license_apache.rs.txt"];
        assert_eq!(texts(directory.path()).unwrap(), expected.map(|name| (name.to_owned(), name.to_owned())));
    }
}
