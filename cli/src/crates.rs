//! The crates that a function is built from, as cargo sees them for one target and its features.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, process::Command, thread};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand, NodeDep, Package};
use toml::{Table, Value};

use crate::{command::output, project::Function, rust::Rust, step::say};

/// A crate by name and version.
pub type Id = (String, String);

pub struct Crate {
    pub id: Id,
    /// In the binary; else it ran while the binary was built, like a build script or a procedural macro.
    pub linked: bool,
    /// An SPDX expression, where its manifest has one.
    pub licence: Option<String>,
    /// The SHA-256 of the archive in the registry.
    pub checksum: Option<String>,
    pub directory: PathBuf,
    /// From a path, and not from a registry or a repository.
    pub is_path: bool,
    pub depends_on: BTreeSet<Id>,
}

/// The crates sorted by name and version, that of the function among them; `lock` is another lock file than its own.
pub fn of(function: &Function, rust: &Rust, lock: Option<&Path>) -> Result<Vec<Crate>> {
    let cargo = |words: &[&str]| -> Result<String> {
        let mut cargo: Command = function.cargo(rust, words[0], lock)?;
        function.describe(output(cargo.arg("--offline").args(function.features()).args(&words[1..])))
    };
    let triple = function.arch.triple();
    let tree = |edges: &str| -> Result<BTreeSet<Id>> {
        let lines = cargo(&["tree", "--prefix=none", "--format={p}", "--target", triple, "--edges", edges])?;
        Ok(lines.lines().filter_map(id_in_tree).collect())
    };
    let (linked, all, metadata) = thread::scope(|scope| {
        let linked = scope.spawn(|| tree("normal,no-proc-macro"));
        let all = scope.spawn(|| tree("normal,build"));
        let metadata = cargo(&["metadata", "--format-version=1", "--filter-platform", triple]);
        let joined = "a thread that only calls cargo";
        anyhow::Ok((linked.join().expect(joined)?, all.join().expect(joined)?, metadata?))
    })?;
    let metadata = MetadataCommand::parse(&metadata).context("cargo metadata")?;
    let lock = lock.map_or_else(|| function.workspace.join("Cargo.lock"), Path::to_owned);
    let lock = locked(&fs::read_to_string(lock).unwrap_or_default());
    let checksums: BTreeMap<Id, Option<String>> = lock.into_iter().collect();

    let packages = || metadata.packages.iter().filter(|package| all.contains(&id(package)));
    let ids: BTreeMap<_, Id> = packages().map(|package| (&package.id, id(package))).collect();
    let mut depends_on: BTreeMap<_, BTreeSet<Id>> = BTreeMap::new();
    for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
        let is_built = |dep: &&NodeDep| dep.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development);
        let uses = node.deps.iter().filter(is_built);
        depends_on.insert(&node.id, uses.filter_map(|dep| ids.get(&dep.pkg).cloned()).collect());
    }
    let mut crates: Vec<Crate> = packages()
        .map(|package| Crate {
            linked: linked.contains(&id(package)),
            licence: package.license.as_ref().map(|licence| licence.replace('/', " OR ")),
            checksum: checksums.get(&id(package)).cloned().flatten(),
            directory: package.manifest_path.parent().map(|path| path.as_std_path().to_owned()).unwrap_or_default(),
            is_path: package.source.is_none(),
            depends_on: depends_on.remove(&package.id).unwrap_or_default(),
            id: id(package),
        })
        .collect();
    crates.sort_by(|a, b| a.id.cmp(&b.id));
    let (runtime, own) = (crates.iter().find(|krate| krate.id.0 == "lambda-musl"), env!("CARGO_PKG_VERSION"));
    // Within the first two numbers of a version, nothing that was promised changes.
    if let Some((_, runtime)) = runtime.map(|krate| &krate.id)
        && !runtime.split('.').take(2).eq(own.split('.').take(2))
    {
        say(&format!(
            "note: this is cargo-lambda-musl {own}, but the function uses lambda-musl {runtime}; they belong together in \
             the first two numbers of their versions: `cargo install` brings the other one"
        ));
    }
    Ok(crates)
}

/// Whether OpenSSL is linked.
pub fn link_openssl(crates: &[Crate]) -> bool {
    crates.iter().any(|krate| krate.linked && krate.id.0 == "openssl-sys")
}

fn id(package: &Package) -> Id {
    (package.name.to_string(), package.version.to_string())
}

/// `serde v1.0.229 (proc-macro)` is serde 1.0.229.
fn id_in_tree(line: &str) -> Option<Id> {
    let mut words = line.split(' ');
    Some((words.next()?.into(), words.next()?.strip_prefix('v')?.into()))
}

/// The crates in a lock file, and the checksums of their archives.
pub fn locked(lock: &str) -> Vec<(Id, Option<String>)> {
    let lock: Table = toml::from_str(lock).unwrap_or_default();
    let packages = lock.get("package").and_then(Value::as_array).into_iter().flatten();
    let locked = packages.filter_map(|package| {
        let text = |key: &str| Some(package.get(key)?.as_str()?.to_owned());
        Some(((text("name")?, text("version")?), text("checksum")))
    });
    locked.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_has_the_checksums_of_archives_and_none_of_directories() {
        let lock = "version = 4\n[[package]]\nname = 'a'\nversion = '1.0.0'\nchecksum = '0123'\n\
            [[package]]\nname = 'b'\nversion = '2.0.0'\n";
        let crates = [("a", "1.0.0", Some("0123")), ("b", "2.0.0", None)];
        let expected =
            crates.map(|(name, version, checksum)| ((name.into(), version.into()), checksum.map(Into::into)));
        assert_eq!(locked(lock), expected);
        assert_eq!(locked("no lock file"), []);
    }
}
