//! Pins: a file that names the exact sources of musl and OpenSSL.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, anyhow, bail};

use crate::project::closest;

/// The pins that this program brings, by name.
const BUNDLED: [(&str, &str); 2] = [
    ("classic", include_str!("../../docker/pins/classic.env")),
    ("current", include_str!("../../docker/pins/current.env")),
];

const KEYS: [&str; 6] = ["MUSL_VERSION", "MUSL_SHA256", "MUSL_URLS", "OPENSSL_VERSION", "OPENSSL_SHA256", "OPENSSL_URLS"];

/// How the keys of patches start.
const PATCH: &str = "MUSL_PATCH_";

/// A file that is downloaded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Archive {
    /// The name that it has in a directory of archives.
    pub file: String,
    pub sha256: String,
    pub urls: Vec<String>,
}

/// A library, its version and its archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Library {
    pub version: String,
    pub archive: Archive,
}

/// The pins of both libraries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pins {
    /// What the user called them.
    pub name: String,
    pub musl: Library,
    /// The patches of musl by name, in the order in which they are applied.
    pub patches: Vec<(String, Archive)>,
    pub openssl: Library,
}

impl Pins {
    /// Those of a name, or of a file.
    pub fn named(name: Option<&str>) -> Result<Self> {
        let name = name.unwrap_or("classic");
        let describe = || format!("--pins {name}");
        if let Some((_, text)) = BUNDLED.iter().find(|(bundled, _)| *bundled == name) {
            return Self::parse(name, text).with_context(describe);
        }
        if !Path::new(name).is_file() {
            let known = BUNDLED.map(|(name, _)| name);
            bail!("--pins {name}: there is no such file{}; expected {} or the path of a pins file", closest(name, &known), known.join(", "));
        }
        let text = fs::read_to_string(name).with_context(describe)?;
        Self::parse(name, &text).with_context(describe)
    }

    /// Whether the OpenSSL is one that newer crates do not take any more.
    pub fn has_openssl_1_0(&self) -> bool {
        self.openssl.version.starts_with("1.0.")
    }

    /// The checksums of all archives, in the order in which they are used.
    pub fn checksums(&self) -> impl Iterator<Item = &str> {
        let patches = self.patches.iter().map(|(_, archive)| archive);
        let archives = [&self.musl.archive].into_iter().chain(patches).chain([&self.openssl.archive]);
        archives.map(|archive| &*archive.sha256)
    }

    /// Plain KEY="value" lines.
    fn parse(name: &str, text: &str) -> Result<Self> {
        let mut values = BTreeMap::new();
        let mut patches = Vec::new();
        let lines = text.trim_start_matches('\u{feff}').lines();
        for (number, line) in lines.enumerate().map(|(index, line)| (index + 1, line.trim_end())) {
            if line.trim_start().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let (key, value) = pair(line).with_context(|| format!("line {number}"))?;
            if let Some((first, _)) = values.insert(key, (number, value)) {
                bail!("line {number}: the key {key} stands there twice, first in line {first}");
            }
            if let Some(name) = key.strip_prefix(PATCH) {
                let (sha256, urls) = value.split_at(64);
                let urls: Vec<String> = urls.split_whitespace().map(Into::into).collect();
                patches.push((name.to_owned(), Archive { file: format!("{name}.patch"), sha256: sha256.into(), urls }));
            }
        }
        let value = |key: String| {
            let value = values.get(key.as_str()).map(|(_, value)| (*value).to_owned());
            value.ok_or_else(|| anyhow!("the key {key} is missing"))
        };
        let library = |library: &str| {
            let urls: Vec<String> = value(format!("{library}_URLS"))?.split(' ').map(Into::into).collect();
            // The last part of the first URL.
            let file = urls[0].rsplit('/').next().unwrap_or_default().to_owned();
            let sha256 = value(format!("{library}_SHA256"))?;
            anyhow::Ok(Library { version: value(format!("{library}_VERSION"))?, archive: Archive { file, sha256, urls } })
        };
        Ok(Self { name: name.into(), musl: library("MUSL")?, patches, openssl: library("OPENSSL")? })
    }
}

/// The key and the value of a line, each of the form that it has to have.
fn pair(line: &str) -> Result<(&str, &str)> {
    let Some((key, value)) = line.split_once('=') else {
        bail!("expected KEY=\"value\", not {line}");
    };
    let is_patch = key.strip_prefix(PATCH).is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_')
    });
    if !is_patch && !KEYS.contains(&key) {
        bail!("the key {key} is unknown{}; expected {} or {PATCH} and a name", closest(key, &KEYS), KEYS.join(", "));
    }
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let value = match quoted {
        Some(value) => value,
        None if value.contains([' ', '\t']) => bail!("the value of {key} has spaces: it belongs in double quotes"),
        None => value,
    };
    let is_usual = |c: char| c.is_ascii_alphanumeric() || "._:/ %?=&+~-".contains(c);
    if value.is_empty() || !value.chars().all(is_usual) {
        bail!("the value of {key} is empty or has odd characters: {value}");
    }
    if value.split(' ').any(str::is_empty) {
        bail!("the value of {key} has a space too many: \"{value}\"");
    }
    let is_sha256 = |text: &str| text.len() == 64 && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    let urls = match key {
        _ if key.ends_with("_SHA256") => {
            if !is_sha256(value) {
                bail!("{key} is not the 64 small hexadecimal digits of a SHA-256: {value}");
            }
            ""
        }
        _ if key.ends_with("_VERSION") => {
            if !value.starts_with(|c: char| c.is_ascii_digit()) || !value.bytes().all(|c| c.is_ascii_alphanumeric() || b".-".contains(&c)) {
                bail!("{key} is not a version: {value}");
            }
            ""
        }
        _ if is_patch => match value.split_once(' ') {
            Some((sha256, urls)) if is_sha256(sha256) => urls,
            _ => bail!("{key} is not a SHA-256 and a URL: {value}"),
        },
        _ => value,
    };
    for url in urls.split(' ').filter(|url| !url.is_empty()) {
        let is_url = url.split_once("://").is_some_and(|(scheme, rest)| {
            !scheme.is_empty()
                && scheme.bytes().all(|c| c.is_ascii_lowercase())
                && rest.split_once('/').is_some_and(|(host, path)| !host.is_empty() && !path.is_empty() && !path.ends_with('/'))
        });
        if !is_url {
            bail!("{key}: this is not the URL of a file: {url}");
        }
    }
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn good() -> String {
        format!(
            "# a comment\nMUSL_VERSION=9.1\r\nMUSL_SHA256={SHA256}\nMUSL_URLS=\"http://a/musl.tgz http://b/other.tgz\"\n\
             MUSL_PATCH_B=\"{SHA256} http://a/1\"\nMUSL_PATCH_A=\"{SHA256} http://a/2\"\n\n\
             OPENSSL_VERSION=9.2\nOPENSSL_SHA256={SHA256}\nOPENSSL_URLS=http://a/openssl.tgz\n"
        )
    }

    #[test]
    fn the_pins_that_come_with_this_program_are_in_order() {
        for (name, text) in BUNDLED {
            let pins = Pins::parse(name, text).unwrap();
            assert_eq!(pins.has_openssl_1_0(), name == "classic");
            assert!(pins.patches.len() > 1 && pins.musl.archive.file.starts_with("musl-1.2."), "{pins:?}");
        }
    }

    #[test]
    fn a_file_names_the_archives_and_the_patches_in_their_order() {
        let pins = Pins::parse("mine", &good()).unwrap();
        assert_eq!((&*pins.musl.version, &*pins.musl.archive.file), ("9.1", "musl.tgz"));
        assert_eq!(pins.musl.archive.urls.len(), 2);
        let names: Vec<_> = pins.patches.iter().map(|(name, archive)| (&**name, &*archive.file)).collect();
        assert_eq!(names, [("B", "B.patch"), ("A", "A.patch")]);
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        for (from, to, expected) in [
            ("MUSL_VERSION=9.1\r\n", "", "the key MUSL_VERSION is missing"),
            ("9.2\n", "9.2\nMUSL_VERSION=1\n", "line 9: the key MUSL_VERSION stands there twice, first in line 2"),
            ("MUSL_VERSION", "MUSL_VERSIONS", "line 2: the key MUSL_VERSIONS is unknown (did you mean MUSL_VERSION?)"),
            ("=9.1", "=$(date)", "line 2: the value of MUSL_VERSION is empty or has odd characters"),
            ("=9.1", "=", "line 2: the value of MUSL_VERSION is empty"),
            ("=9.1", "=9.1 a", "line 2: the value of MUSL_VERSION has spaces"),
            ("=9.1", "=\"9.1 a\"", "line 2: MUSL_VERSION is not a version"),
            ("SHA256=e3", "SHA256=E3", "line 3: MUSL_SHA256 is not the 64 small hexadecimal digits"),
            ("# a comment", "just words", "line 1: expected KEY=\"value\", not just words"),
            ("=\"http://a/musl.tgz ", "=\" ", "line 4: the value of MUSL_URLS has a space too many"),
            ("http://a/openssl.tgz", "--version", "line 10: OPENSSL_URLS: this is not the URL of a file: --version"),
            ("http://a/openssl.tgz", "http://a/", "line 10: OPENSSL_URLS: this is not the URL of a file"),
            ("_B=\"e3", "_B=\"", "line 5: MUSL_PATCH_B is not a SHA-256 and a URL"),
        ] {
            let error = format!("{:#}", Pins::parse("mine", &good().replacen(from, to, 1)).unwrap_err());
            assert!(error.starts_with(expected), "{error}\nexpected: {expected}");
        }
    }
}
