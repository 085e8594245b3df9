//! Finds the commit of a package: that of the sources, or the one that an attestation next to the zip names.

use std::path::Path;
use std::{fs, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::text;
use crate::command::collect;

/// The maximum size of an attestation file in bytes.
const LONGEST: u64 = 10 << 20;

/// The commit of the sources in a directory, with a note if they have uncommitted changes.
pub fn of_sources(directory: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = collect(Command::new("git").arg("-C").arg(directory).args(arguments)).ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--verify", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--", "."])?;
    Some(format!("commit {commit}{}", if changed.is_empty() { "" } else { " with changes" }))
}

/// The commit that an attestation in the directory of a zip names for the zip's checksum. The commit is only a claim,
/// because the signature is not checked here.
pub fn attested(zip: &Path, sha256: &str) -> Option<String> {
    let directory = zip.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut files: Vec<_> = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let is_json = |path: &Path| path.extension().is_some_and(|extension| extension == "json" || extension == "jsonl");
    let is_short =
        |path: &Path| fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LONGEST);
    files.iter().filter(|path| is_json(path) && is_short(path)).find_map(|path| {
        let commit = fs::read_to_string(path).ok()?.lines().find_map(|line| commit_in(line, sha256))?;
        Some(format!(
            "{commit} according to the attestation {} (not checked here; check it with `gh attestation verify`)",
            path.display()
        ))
    })
}

/// The commit in a line of an attestation file. `gh attestation download` writes one Sigstore bundle per line. The
/// bundle's envelope contains a statement in the format <https://in-toto.io/Statement/v1>.
fn commit_in(line: &str, sha256: &str) -> Option<String> {
    let bundle: Value = serde_json::from_str(line).ok()?;
    let payload = STANDARD.decode(text(&bundle, "/dsseEnvelope/payload")).ok()?;
    let statement: Value = serde_json::from_slice(&payload).ok()?;
    let mut subjects = statement["subject"].as_array()?.iter();
    subjects.find(|subject| text(subject, "/digest/sha256") == sha256)?;
    let mut sources = statement.pointer("/predicate/buildDefinition/resolvedDependencies")?.as_array()?.iter();
    sources.find_map(|source| {
        let commit = text(source, "/digest/gitCommit");
        let is_commit = !commit.is_empty() && commit.bytes().all(|c| c.is_ascii_hexdigit());
        is_commit.then(|| format!("commit {commit}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bundle(sha256: &str, commit: &str) -> String {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "other.zip", "digest": {"sha256": "00"}}, {"name": "a.zip", "digest": {"sha256": sha256}}],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {"buildDefinition": {"resolvedDependencies": [
                {"uri": "git+https://github.com/o/r@refs/tags/v1", "digest": {"gitCommit": commit}}
            ]}}
        });
        json!({"dsseEnvelope": {"payload": STANDARD.encode(statement.to_string())}}).to_string()
    }

    #[test]
    fn the_commit_comes_from_the_attestation_with_the_checksum() {
        let directory = tempfile::tempdir().unwrap();
        let zip = directory.path().join("a.zip");
        fs::write(directory.path().join("build.json"), "{\n}").unwrap();
        let lines = [bundle("11", "aaaa"), "no JSON".into(), bundle("22", "bbbb")].join("\n");
        fs::write(directory.path().join("attestations.jsonl"), lines).unwrap();
        let commit = attested(&zip, "22").unwrap();
        assert!(
            commit.starts_with("commit bbbb according to the attestation ") && commit.contains("attestations.jsonl"),
            "{commit}"
        );
        assert_eq!(attested(&zip, "33"), None);
        fs::write(directory.path().join("attestations.jsonl"), bundle("22", "b\u{1b}[2J")).unwrap();
        assert_eq!(attested(&zip, "22"), None);
    }
}
