//! The crates that a function is built from, as cargo resolves them for its target and features.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, process::Command};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, NodeDep, Package, PackageId, Source};
use toml::{Table, Value};

use crate::messages::{Messages, Script};
use crate::{command::output, project::Function, rust::Rust, step::say};

#[derive(Clone, Default)]
pub struct Crate {
    /// Cargo's package id, which distinguishes two crates with the same name and version.
    pub id: String,
    pub name: String,
    pub version: String,
    /// The registry or repository that the crate comes from, in cargo's notation; `None` for a path.
    pub source: Option<Source>,
    /// Whether it is linked into the binary. Other crates, such as procedural macros, only run during the build.
    pub linked: bool,
    /// The SPDX expression in its manifest, if there is one.
    pub licence: Option<String>,
    /// The SHA-256 checksum of its archive in the registry.
    pub checksum: Option<String>,
    pub directory: PathBuf,
    /// The ids of its dependencies.
    pub depends_on: BTreeSet<String>,
    /// All features in its manifest, enabled or not.
    pub features: Vec<String>,
    /// What its build script told cargo, once the script has run for the target.
    pub script: Option<Script>,
}

impl Crate {
    pub fn is_path(&self) -> bool {
        self.source.is_none()
    }
}

/// The crates that a build may need, including the function's own, sorted by name and version. Some of these crates may turn out
/// to be needed only on the host: `as_built` returns what a build really compiled. `lock` replaces the function's lock file.
pub fn of(function: &Function, rust: &Rust, lock: Option<&Path>) -> Result<Vec<Crate>> {
    let mut cargo: Command = function.cargo(rust, "metadata", lock)?;
    cargo.args(["--offline", "--format-version=1", "--filter-platform", function.arch.triple()]);
    let metadata = output(cargo.args(function.features())).map_err(|error| function.describe(error))?;
    let metadata = MetadataCommand::parse(&metadata).context("cargo metadata")?;
    let lock = lock.map_or_else(|| function.workspace.join("Cargo.lock"), Path::to_owned);
    let crates = resolved(&metadata, &locked(&fs::read_to_string(lock).unwrap_or_default()));
    let (runtime, own) = (crates.iter().find(|krate| krate.name == "lambda-musl"), env!("CARGO_PKG_VERSION"));
    // Versions with the same first two numbers are compatible.
    if let Some(runtime) = runtime.map(|krate| &krate.version)
        && !runtime.split('.').take(2).eq(own.split('.').take(2))
    {
        say(&format!(
            "note: this is cargo-lambda-musl {own}, but the function uses lambda-musl {runtime}; the first two numbers of \
             these versions should match: `cargo install` installs the matching program"
        ));
    }
    Ok(crates)
}

/// The crates that a build compiled. Each one says whether the build linked it, and what its build script told cargo.
pub fn as_built(crates: &[Crate], messages: &Messages, triple: &str) -> Vec<Crate> {
    let mut packages = messages.packages(triple);
    let built = crates.iter().filter_map(|krate| {
        let compiled = packages.remove(&krate.directory)?;
        Some(Crate { linked: compiled.linked, script: compiled.script, ..krate.clone() })
    });
    let mut built: Vec<Crate> = built.collect();
    let ids: BTreeSet<String> = built.iter().map(|krate| krate.id.clone()).collect();
    built.iter_mut().for_each(|krate| krate.depends_on.retain(|id| ids.contains(id)));
    built
}

/// Whether OpenSSL is linked.
pub fn link_openssl(crates: &[Crate]) -> bool {
    crates.iter().any(|krate| krate.linked && krate.name == "openssl-sys")
}

/// The crates that the root of cargo's dependency graph depends on, except those that only tests need.
fn resolved<'a>(metadata: &'a Metadata, lock: &[Locked]) -> Vec<Crate> {
    let packages: BTreeMap<&PackageId, &Package> =
        metadata.packages.iter().map(|package| (&package.id, package)).collect();
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let uses: BTreeMap<&PackageId, Vec<&NodeDep>> = nodes.map(|node| (&node.id, node.deps.iter().collect())).collect();
    let of_kinds = |id: &PackageId, kinds: &[DependencyKind]| -> Vec<&'a PackageId> {
        let is_of = |dep: &&&NodeDep| dep.dep_kinds.iter().any(|kind| kinds.contains(&kind.kind));
        uses.get(id).into_iter().flatten().filter(is_of).map(|dep| &dep.pkg).collect()
    };
    let is_macro = |id: &PackageId| {
        packages.get(id).is_some_and(|package| package.targets.iter().any(|target| target.is_proc_macro()))
    };
    let root = metadata.resolve.as_ref().and_then(|resolve| resolve.root.as_ref());
    let reached = |next: &dyn Fn(&PackageId) -> Vec<&'a PackageId>| {
        let (mut reached, mut left): (BTreeSet<&PackageId>, Vec<&PackageId>) =
            (BTreeSet::new(), root.into_iter().collect());
        while let Some(id) = left.pop() {
            if reached.insert(id) {
                left.extend(next(id));
            }
        }
        reached
    };
    let built = [DependencyKind::Normal, DependencyKind::Build];
    let linked =
        reached(&|id| of_kinds(id, &[DependencyKind::Normal]).into_iter().filter(|id| !is_macro(id)).collect());
    let all = reached(&|id| of_kinds(id, &built));
    let krate = |package: &&Package| {
        let [name, version] = [package.name.to_string(), package.version.to_string()];
        let source = package.source.clone();
        let in_lock = lock.iter().find(|other| other.is(&name, &version, source.as_ref().map(|source| &*source.repr)));
        Crate {
            linked: linked.contains(&package.id),
            licence: package.license.as_ref().map(|licence| licence.replace('/', " OR ")),
            checksum: in_lock.and_then(|locked| locked.checksum.clone()),
            directory: package.manifest_path.parent().map(Into::into).unwrap_or_default(),
            depends_on: of_kinds(&package.id, &built).into_iter().map(|id| id.repr.clone()).collect(),
            features: package.features.keys().cloned().collect(),
            script: None,
            id: package.id.repr.clone(),
            name,
            version,
            source,
        }
    };
    let mut crates: Vec<Crate> = all.iter().filter_map(|id| packages.get(*id)).map(krate).collect();
    crates.sort_by(|a, b| (&a.name, &a.version, &a.id).cmp(&(&b.name, &b.version, &b.id)));
    crates
}

/// A crate in a lock file.
#[derive(Debug, Eq, PartialEq)]
pub struct Locked {
    pub name: String,
    pub version: String,
    source: Option<String>,
    /// The checksum of its archive.
    checksum: Option<String>,
}

impl Locked {
    fn is(&self, name: &str, version: &str, source: Option<&str>) -> bool {
        self.name == name && self.version == version && self.source.as_deref() == source
    }
}

/// The crates in a lock file.
pub fn locked(lock: &str) -> Vec<Locked> {
    let lock: Table = toml::from_str(lock).unwrap_or_default();
    let packages = lock.get("package").and_then(Value::as_array).into_iter().flatten();
    let locked = packages.filter_map(|package| {
        let text = |key: &str| Some(package.get(key)?.as_str()?.to_owned());
        Some(Locked {
            name: text("name")?,
            version: text("version")?,
            source: text("source"),
            checksum: text("checksum"),
        })
    });
    locked.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::messages::tests::{messages, told};

    const REGISTRY: &str = "registry+https://example.com/index";

    /// Cargo's metadata for a function with the same name and version as one of its dependencies, which depends on a macro,
    /// a crate for its build script, and a crate for its tests.
    fn clash() -> Metadata {
        let package = |id: &str, source: Option<&str>, kind: &str| {
            let (name, version) = id.rsplit('#').next().unwrap().split_once('@').unwrap();
            let kind = [kind];
            json!({
                "name": name, "version": version, "id": id, "source": source, "dependencies": [], "features": {},
                "targets": [{"name": name, "kind": kind, "crate_types": kind, "src_path": "/a.rs", "edition": "2024",
                             "doc": true, "doctest": false, "test": true}],
                "manifest_path": format!("/{}/Cargo.toml", if source.is_some() { name } else { "own" }),
                "metadata": null, "authors": [], "categories": [], "keywords": [], "edition": "2024"
            })
        };
        let names = ["uuid@1.0.0", "derive@1.0.0", "syn@2.0.0", "cc@1.0.0", "tests@1.0.0"];
        let ids = names.map(|name| format!("{REGISTRY}#{name}"));
        let dep = |id: &str, kind: Option<&str>| json!({"name": "a", "pkg": id, "dep_kinds": [{"kind": kind, "target": null}]});
        let node = |id: &str, deps: Vec<serde_json::Value>| json!({"id": id, "features": [], "dependencies": [], "deps": deps});
        let own = "path+file:///own#uuid@1.0.0";
        let packages =
            ids.iter().map(|id| package(id, Some(REGISTRY), if id.contains("derive") { "proc-macro" } else { "lib" }));
        serde_json::from_value(json!({
            "packages": packages.chain([package(own, None, "bin")]).collect::<Vec<_>>(),
            "resolve": {"root": own, "nodes": [
                node(own, vec![dep(&ids[0], None)]),
                node(&ids[0], vec![dep(&ids[1], None), dep(&ids[3], Some("build")), dep(&ids[4], Some("dev"))]),
                node(&ids[1], vec![dep(&ids[2], None)]),
                node(&ids[2], vec![]), node(&ids[3], vec![]), node(&ids[4], vec![]),
            ]},
            "workspace_members": [own], "workspace_root": "/own", "target_directory": "/target", "version": 1
        }))
        .unwrap()
    }

    #[test]
    fn a_function_and_a_dependency_with_the_same_name_and_version_are_two_crates() {
        let lock = format!(
            "[[package]]\nname = 'uuid'\nversion = '1.0.0'\n\
             [[package]]\nname = 'uuid'\nversion = '1.0.0'\nsource = '{REGISTRY}'\nchecksum = '0123'\n"
        );
        let crates = resolved(&clash(), &locked(&lock));
        let uuids: Vec<_> = crates.iter().filter(|krate| krate.name == "uuid").collect();
        let checksums: Vec<_> = uuids.iter().map(|krate| (krate.is_path(), krate.checksum.as_deref())).collect();
        assert_eq!(checksums, [(true, None), (false, Some("0123"))]);
        assert!(uuids[0].depends_on.contains(&uuids[1].id));
        assert_eq!(locked("no lock file"), []);
    }

    #[test]
    fn macros_and_their_dependencies_are_not_linked_and_dev_dependencies_are_left_out() {
        let crates = resolved(&clash(), &[]);
        let linked: Vec<_> = crates.iter().map(|krate| (krate.name.as_str(), krate.linked)).collect();
        assert_eq!(linked, [("cc", false), ("derive", false), ("syn", false), ("uuid", true), ("uuid", true)]);
    }

    #[test]
    fn the_crates_that_a_build_linked_take_precedence_over_the_resolved_ones() {
        let triple = "x86_64-unknown-linux-musl";
        let of_target = format!("/t/{triple}/release/deps/liba.rlib");
        let host = "/t/release/deps/liba.so";
        let lines = [told("/own", &of_target, None), told("/uuid", host, None), told("/derive", host, None)].concat();
        let crates = as_built(&resolved(&clash(), &[]), &messages(lines), triple);
        let linked: Vec<_> = crates.iter().map(|krate| (&*krate.directory, krate.linked)).collect();
        let expected = [("/derive", false), ("/own", true), ("/uuid", false)];
        assert_eq!(linked, expected.map(|(directory, linked)| (Path::new(directory), linked)));
        let uuid = crates.iter().find(|krate| !krate.is_path() && krate.name == "uuid").unwrap();
        assert_eq!(uuid.depends_on.len(), 1, "{:?}", uuid.depends_on);
    }
}
