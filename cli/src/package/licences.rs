//! The licences of all that is in a binary, in one text.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};

use super::Built;

/// How the names of files with a licence start, in small letters.
const NAMES: [&str; 5] = ["licen", "copying", "copyright", "notice", "unlicense"];

/// A section for each library and each crate; a text that was there before is named, not repeated.
pub fn licences(built: &Built) -> Result<String> {
    let mut file = format!(
        "What {} {} is made of, and under which terms.\n",
        built.function.name, built.function.version
    );
    let mut seen = BTreeMap::new();
    let mut section = |title: String, licence: Option<&String>, source: Option<&Path>| {
        let expression = licence.map_or("none is named", |text| text);
        file += &format!("\n\n== {title}: {expression}\n");
        for (name, text) in source.map_or(Ok(Vec::new()), texts)? {
            let first = seen.entry(text.clone()).or_insert_with(|| title.clone());
            if *first == title {
                file += &format!("\n-- {name}\n\n{text}\n");
            } else {
                file += &format!("\n-- {name}: the same text as that of {first}\n");
            }
        }
        anyhow::Ok(())
    };
    for part in built.parts.iter().filter(|part| part.is_library) {
        let title = format!("{} {}", part.name, part.version);
        section(
            title,
            Some(&part.licence),
            part.text.as_deref(),
        )?;
    }
    for krate in built.crates.iter().filter(|krate| krate.linked) {
        let title = format!("{} {}", krate.id.0, krate.id.1);
        section(title, krate.licence.as_ref(), Some(&krate.directory))?;
    }
    Ok(file)
}

/// The names and texts of a file, or of all files with a licence in a directory, sorted by name.
fn texts(path: &Path) -> Result<Vec<(String, String)>> {
    let describe = || path.display().to_string();
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = fs::read_dir(path).with_context(describe)?.flatten();
        files = entries
            .map(|entry| entry.path())
            .filter(|path| is_licence(path))
            .collect();
        files.sort();
    }
    let text = |file: &std::path::PathBuf| {
        let bytes = fs::read(file).with_context(describe)?;
        let mut text = String::from_utf8_lossy(&bytes).replace('\r', "");
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".html") {
            text = plain(&text);
        }
        Ok((name.into_owned(), text.trim().to_owned()))
    };
    files.iter().map(text).collect()
}

fn is_licence(path: &Path) -> bool {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    path.is_file() && NAMES.iter().any(|start| name.starts_with(start))
}

/// The text of a page without its tags, as Rust ships its notices.
fn plain(page: &str) -> String {
    let parts = page.split('<').enumerate();
    let text: String = parts
        .map(|(i, part)| match part.split_once('>') {
            Some((_tag, text)) if i > 0 => text,
            _ => part,
        })
        .collect();
    let lines = text.lines().map(str::trim_end);
    let mut plain = String::new();
    for line in lines.filter(|line| !line.is_empty()) {
        plain += line;
        plain.push('\n');
    }
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(plain, |text, (from, to)| text.replace(from, to))
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
    fn the_files_of_a_directory_that_hold_a_licence_are_taken_in_order() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "LICENSE-MIT",
            "COPYING",
            "README.md",
            "license_apache.rs.txt",
        ] {
            fs::write(directory.path().join(name), format!("{name}\r\n")).unwrap();
        }
        fs::create_dir(directory.path().join("licenses")).unwrap();
        let names: Vec<String> = texts(directory.path())
            .unwrap()
            .into_iter()
            .map(|(name, text)| {
                assert_eq!(name, text);
                name
            })
            .collect();
        assert_eq!(names, ["COPYING", "LICENSE-MIT", "license_apache.rs.txt"]);
    }
}
