//! The crates that a function is built from, as cargo sees them for one target and its features.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::function::{array, output, text};

/// A crate by name and version.
pub type Id = (String, String);

pub struct Crate {
    pub id: Id,
    /// In the binary; else it ran while the binary was built, like a build script or a procedural macro.
    pub linked: bool,
    /// An SPDX expression, where its manifest has one.
    pub licence: Option<String>,
    /// The sha256 of the archive in the registry.
    pub checksum: Option<String>,
    pub folder: PathBuf,
    pub depends_on: BTreeSet<Id>,
}

/// The crates of `package` sorted by name and version, the package itself among them.
pub fn crates(
    manifest: &Path,
    package: &str,
    features: &str,
    target: &str,
) -> Result<Vec<Crate>, String> {
    let tree = |edges: &str| -> Result<BTreeSet<Id>, String> {
        let mut tree = cargo("tree", manifest, features);
        tree.args(["--prefix=none", "--format={p}", "--target", target])
            .args(["--package", package, "--edges", edges]);
        Ok(output(tree)?.lines().filter_map(id_in_tree).collect())
    };
    let linked = tree("normal,no-proc-macro")?;
    let all = tree("normal,build")?;

    let mut metadata = cargo("metadata", manifest, features);
    metadata.args(["--format-version=1", "--filter-platform", target]);
    let metadata: Value = serde_json::from_str(&output(metadata)?)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let root = Path::new(text(&metadata["workspace_root"]));
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    let checksums = checksums(&lock);

    let packages = array(&metadata["packages"]);
    let ids: BTreeMap<&str, Id> = packages
        .map(|package| (text(&package["id"]), id(package)))
        .collect();
    let mut depends_on = BTreeMap::new();
    for node in array(&metadata["resolve"]["nodes"]) {
        let uses =
            array(&node["deps"]).filter(|dep| array(&dep["dep_kinds"]).any(|k| k["kind"] != "dev"));
        let uses = uses.filter_map(|dep| ids.get(text(&dep["pkg"])).cloned());
        depends_on.insert(
            text(&node["id"]),
            uses.filter(|id| all.contains(id)).collect(),
        );
    }
    let mut crates: Vec<Crate> = array(&metadata["packages"])
        .filter(|package| all.contains(&id(package)))
        .map(|package| {
            let id = id(package);
            let manifest = Path::new(text(&package["manifest_path"]));
            Crate {
                linked: linked.contains(&id),
                licence: package["license"].as_str().map(|l| l.replace('/', " OR ")),
                checksum: checksums.get(&id).map(|&sum| sum.to_owned()),
                folder: manifest.parent().unwrap_or(root).to_owned(),
                depends_on: depends_on.remove(text(&package["id"])).unwrap_or_default(),
                id,
            }
        })
        .collect();
    crates.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(crates)
}

fn cargo(command: &str, manifest: &Path, features: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args([command, "--locked", "--offline", "--features", features]);
    cargo.arg("--manifest-path").arg(manifest);
    cargo
}

fn id(package: &Value) -> Id {
    (
        text(&package["name"]).into(),
        text(&package["version"]).into(),
    )
}

/// `serde v1.0.229 (proc-macro)` is serde 1.0.229.
fn id_in_tree(line: &str) -> Option<Id> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let version = words.next()?.strip_prefix('v')?;
    Some((name.into(), version.into()))
}

/// What a lock file says of the archives.
fn checksums(lock: &str) -> BTreeMap<Id, &str> {
    let packages = lock.split("[[package]]").skip(1);
    let sums = packages.filter_map(|package| {
        let field = |name: &str| {
            let mut lines = package.lines();
            lines.find_map(|line| {
                line.strip_prefix(name)?
                    .strip_prefix(" = \"")?
                    .strip_suffix('"')
            })
        };
        let id = (field("name")?.into(), field("version")?.into());
        Some((id, field("checksum")?))
    });
    sums.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_cargo_tree_names_a_crate() {
        let id = |name: &str, version: &str| Some((name.to_owned(), version.to_owned()));
        assert_eq!(id_in_tree("serde v1.0.229"), id("serde", "1.0.229"));
        assert_eq!(
            id_in_tree("greeting v0.1.0 (/a folder)"),
            id("greeting", "0.1.0")
        );
        assert_eq!(
            id_in_tree("derive v1.0.0 (proc-macro) (*)"),
            id("derive", "1.0.0")
        );
        assert_eq!(id_in_tree(""), None);
    }

    #[test]
    fn a_lock_file_has_the_sums_of_archives_and_none_of_folders() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry\"\nchecksum = \"0123\"\n\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\n";
        let sums = checksums(lock);
        assert_eq!(sums.len(), 1);
        assert_eq!(sums[&("a".into(), "1.0.0".into())], "0123");
    }
}
