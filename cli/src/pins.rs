//! Pins: a file that names the exact sources of musl and OpenSSL.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, bail, ensure};

use crate::{files::At, project::unknown};

/// The pins that are compiled into this program, by name.
const BUNDLED: [(&str, &str); 2] = [
    ("classic", include_str!("../../docker/pins/classic.env")),
    ("current", include_str!("../../docker/pins/current.env")),
];

const KEYS: [&str; 6] =
    ["MUSL_VERSION", "MUSL_SHA256", "MUSL_URLS", "OPENSSL_VERSION", "OPENSSL_SHA256", "OPENSSL_URLS"];

/// The prefix of the keys for patches.
const PATCH: &str = "MUSL_PATCH_";

/// A file to download.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Archive {
    /// Its name in a directory of archives.
    pub file: String,
    pub sha256: String,
    pub urls: Vec<String>,
}

/// The version and the archive of a library.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Library {
    pub version: String,
    pub archive: Archive,
}

/// The pins of both libraries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pins {
    /// The name or path that the user gave.
    pub name: String,
    pub musl: Library,
    /// The patches of musl, in the order in which they are applied.
    pub patches: Vec<Archive>,
    pub openssl: Library,
}

impl Pins {
    /// The bundled pins with this name, or the pins in the file at this path.
    pub fn named(name: Option<&str>) -> Result<Self> {
        let name = name.unwrap_or("classic");
        let describe = || format!("--pins {name}");
        if let Some((_, text)) = BUNDLED.iter().find(|(bundled, _)| *bundled == name) {
            return Self::parse(name, text).with_context(describe);
        }
        let is_file = Path::new(name).is_file();
        ensure!(is_file, "--pins {}, or the path of a pins file", unknown(name, &BUNDLED.map(|(name, _)| name)));
        let text = fs::read_to_string(name).with_context(describe)?;
        Self::parse(name, &text).with_context(describe)
    }

    /// Whether this is OpenSSL 1.0, which newer versions of crates do not support.
    pub fn has_openssl_1_0(&self) -> bool {
        self.openssl.version.starts_with("1.0.")
    }

    /// The checksums of all archives, in the order in which they are used.
    pub fn checksums(&self) -> impl Iterator<Item = &str> {
        let archives = [&self.musl.archive].into_iter().chain(&self.patches).chain([&self.openssl.archive]);
        archives.map(|archive| &*archive.sha256)
    }

    /// Fails if the archive compiled into this prefix contained a version of musl other than the one in the pins.
    pub fn check_musl(&self, prefix: &Path) -> Result<()> {
        let actual = fs::read_to_string(prefix.join("VERSION.musl")).at(prefix)?;
        let (name, version, actual) = (&self.name, &self.musl.version, actual.trim());
        ensure!(actual == version, "--pins {name}: MUSL_VERSION is {version}, but the archive contains musl {actual}");
        Ok(())
    }

    /// Parses lines of the form `KEY="value"`.
    fn parse(name: &str, text: &str) -> Result<Self> {
        let mut values = BTreeMap::new();
        let mut patches = Vec::new();
        for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines().map(str::trim_end)) {
            if line.trim_start().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let (key, value) = pair(line).with_context(|| format!("line {number}"))?;
            if let Some((first, _)) = values.insert(key, (number, value)) {
                bail!("line {number}: duplicate key {key}, first set on line {first}");
            }
            if let Some(name) = key.strip_prefix(PATCH) {
                let (sha256, urls) = value.split_at(64);
                let urls: Vec<String> = urls.split_whitespace().map(Into::into).collect();
                patches.push(Archive { file: format!("{name}.patch"), sha256: sha256.into(), urls });
            }
        }
        let value = |key: String| {
            let value = values.get(key.as_str()).map(|(_, value)| (*value).to_owned());
            value.with_context(|| format!("the key {key} is missing"))
        };
        let library = |library: &str| {
            let urls: Vec<String> = value(format!("{library}_URLS"))?.split(' ').map(Into::into).collect();
            // The file's name is the last part of the first URL.
            let file = urls[0].rsplit('/').next().unwrap_or_default().to_owned();
            let sha256 = value(format!("{library}_SHA256"))?;
            let version = value(format!("{library}_VERSION"))?;
            anyhow::Ok(Library { version, archive: Archive { file, sha256, urls } })
        };
        Ok(Self { name: name.into(), musl: library("MUSL")?, patches, openssl: library("OPENSSL")? })
    }
}

/// The key and the value of a line, both checked.
fn pair(line: &str) -> Result<(&str, &str)> {
    let (key, value) = line.split_once('=').with_context(|| format!("expected KEY=\"value\", found {line}"))?;
    let is_of_a_name = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
    let is_patch = key.strip_prefix(PATCH).is_some_and(|name| !name.is_empty() && name.bytes().all(is_of_a_name));
    ensure!(is_patch || KEYS.contains(&key), "the key {}, or {PATCH} followed by a name", unknown(key, &KEYS));
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let has_spaces = quoted.is_none() && value.contains([' ', '\t']);
    ensure!(!has_spaces, "the value of {key} contains spaces; put it in double quotes");
    let value = quoted.unwrap_or(value);
    let is_usual = |c: char| c.is_ascii_alphanumeric() || "._:/ %?=&+~-".contains(c);
    let is_plain = !value.is_empty() && value.chars().all(is_usual);
    ensure!(is_plain, "the value of {key} is empty or contains invalid characters: {value}");
    ensure!(!value.split(' ').any(str::is_empty), "the value of {key} contains an extra space: \"{value}\"");
    let is_sha256 = |text: &str| text.len() == 64 && text.bytes().all(|c| b"0123456789abcdef".contains(&c));
    let urls = match value.split_once(' ') {
        _ if key.ends_with("_SHA256") => {
            ensure!(is_sha256(value), "{key} is not a SHA-256 checksum of 64 lowercase hexadecimal digits: {value}");
            return Ok((key, value));
        }
        _ if key.ends_with("_VERSION") => {
            let is_version = value.bytes().all(|c| c.is_ascii_alphanumeric() || b".-".contains(&c));
            ensure!(is_version && value.as_bytes()[0].is_ascii_digit(), "{key} is not a version: {value}");
            return Ok((key, value));
        }
        Some((sha256, urls)) if is_patch && is_sha256(sha256) => urls,
        _ if is_patch => bail!("{key}: expected a SHA-256 checksum and a URL, found {value}"),
        _ => value,
    };
    let is_url = |url: &&str| {
        let parts = url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('/')?)));
        parts.is_some_and(|(scheme, (host, path))| {
            ![scheme, host, path].contains(&"") && !path.ends_with('/') && !scheme.starts_with('-')
        })
    };
    match urls.split(' ').find(|url| !is_url(url)) {
        Some(url) => bail!("{key}: not the URL of a file: {url}"),
        None => Ok((key, value)),
    }
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
    fn the_bundled_pins_are_valid() {
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
        let files: Vec<_> = pins.patches.iter().map(|archive| &*archive.file).collect();
        assert_eq!(files, ["B.patch", "A.patch"]);
    }

    #[test]
    fn an_error_names_the_line() {
        for (from, to, expected) in [
            ("MUSL_VERSION=9.1\r\n", "", "the key MUSL_VERSION is missing"),
            ("9.2\n", "9.2\nMUSL_VERSION=1\n", "line 9: duplicate key MUSL_VERSION, first set on line 2"),
            ("MUSL_VERSION", "MUSL_VERSIONS", "line 2: the key MUSL_VERSIONS is unknown (did you mean MUSL_VERSION?)"),
            ("=9.1", "=$(date)", "line 2: the value of MUSL_VERSION is empty or contains invalid characters"),
            ("=9.1", "=", "line 2: the value of MUSL_VERSION is empty"),
            ("=9.1", "=9.1 a", "line 2: the value of MUSL_VERSION contains spaces"),
            ("=9.1", "=\"9.1 a\"", "line 2: MUSL_VERSION is not a version"),
            (
                "SHA256=e3",
                "SHA256=E3",
                "line 3: MUSL_SHA256 is not a SHA-256 checksum of 64 lowercase hexadecimal digits",
            ),
            ("# a comment", "just words", "line 1: expected KEY=\"value\", found just words"),
            ("=\"http://a/musl.tgz ", "=\" ", "line 4: the value of MUSL_URLS contains an extra space"),
            ("http://a/openssl.tgz", "--version", "line 10: OPENSSL_URLS: not the URL of a file: --version"),
            ("http://a/openssl.tgz", "http://a/", "line 10: OPENSSL_URLS: not the URL of a file"),
            ("_B=\"e3", "_B=\"", "line 5: MUSL_PATCH_B: expected a SHA-256 checksum and a URL, found"),
        ] {
            let error = format!("{:#}", Pins::parse("mine", &good().replacen(from, to, 1)).unwrap_err());
            assert!(error.starts_with(expected), "{error}\nexpected: {expected}");
        }
    }
}
