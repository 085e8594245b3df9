//! What a package builds: which binary, with which features and crates, and the defaults that its Cargo.toml states.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context, Result, anyhow, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId, Target, TargetKind};
use serde_json::Value;

use crate::{
    arch::Arch,
    cache::Cache,
    command::output,
    options::Source,
    rust::Rust,
    step::{self, say},
};

/// A function that is to be built.
pub struct Function {
    pub arch: Arch,
    pub name: String,
    pub version: String,
    /// The directory of the package.
    pub directory: PathBuf,
    pub manifest: PathBuf,
    pub workspace: PathBuf,
    /// Where cargo compiles to.
    pub target: PathBuf,
    pub binary: String,
    pub features: Vec<String>,
    pub no_default_features: bool,
    /// Pins that the package names.
    pub pins: Option<String>,
    /// The base image that the package names.
    pub base: Option<String>,
    /// A lock file with crates that take OpenSSL 1.0, relative to the workspace.
    pub classic_lock: Option<PathBuf>,
}

/// A crate by name and version.
pub type Id = (String, String);

/// A crate that a function is built from.
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

/// The keys in `[package.metadata.lambda-musl]` and `[workspace.metadata.lambda-musl]`.
const KEYS: [&str; 7] = ["arch", "base", "bin", "classic-lock", "features", "no-default-features", "pins"];

/// What a Cargo.toml states for its package or its workspace.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Defaults {
    arch: Option<String>,
    base: Option<String>,
    bin: Option<String>,
    classic_lock: Option<PathBuf>,
    #[serde(default)]
    features: Vec<String>,
    no_default_features: Option<bool>,
    pins: Option<String>,
}

impl Function {
    /// The function that the options name.
    pub fn of(source: &Source, rust: &Rust) -> Result<Self> {
        let describe = || format!("--crate {}", source.krate.display());
        let manifest = source.krate.join("Cargo.toml");
        let manifest = fs::canonicalize(&manifest)
            .map_err(|_| anyhow!("there is no Cargo.toml in this directory; expected that of a package with a binary target"))
            .with_context(describe)?;
        let metadata = metadata(rust, &manifest, |command| command.no_deps()).with_context(describe)?;
        Self::in_metadata(source, &metadata, &manifest).with_context(describe)
    }

    fn in_metadata(source: &Source, metadata: &Metadata, manifest: &Path) -> Result<Self> {
        let package = package(metadata, manifest)?;
        let of_package = Defaults::parse(&package.metadata, "package")?;
        let of_workspace = Defaults::parse(&metadata.workspace_metadata, "workspace")?;
        let named = source.bin.as_deref().or(of_package.bin.as_deref()).or(of_workspace.bin.as_deref());
        let binary = binary(package, named)?;
        let arch = of_package.arch.or(of_workspace.arch);
        let arch = arch.map(|arch| {
            <Arch as clap::ValueEnum>::from_str(&arch, false)
                .map_err(|_| anyhow!("arch = \"{arch}\" in its metadata: expected x86_64 or arm64"))
        });
        let mut features = source.features.clone();
        if features.is_empty() {
            features = of_package.features;
        }
        features.extend(binary.required_features.iter().cloned());
        let manifest = package.manifest_path.clone().into_std_path_buf();
        Ok(Self {
            arch: source.arch.map_or_else(|| arch.transpose().map(Option::unwrap_or_default), Ok)?,
            name: package.name.to_string(),
            version: package.version.to_string(),
            directory: manifest.parent().unwrap_or(&manifest).to_owned(),
            manifest,
            workspace: metadata.workspace_root.clone().into_std_path_buf(),
            target: metadata.target_directory.clone().into_std_path_buf(),
            binary: binary.name.clone(),
            features,
            no_default_features: source.no_default_features || of_package.no_default_features.unwrap_or_default(),
            pins: of_package.pins.or(of_workspace.pins),
            base: of_package.base.or(of_workspace.base),
            classic_lock: of_package.classic_lock.or(of_workspace.classic_lock),
        })
    }

    /// Downloads the crates, and writes the lock file where there is none.
    pub fn fetch(&self, rust: &Rust, cache: &Cache, lock: Option<&Path>) -> Result<()> {
        if lock.is_none() && !self.workspace.join("Cargo.lock").exists() {
            say(&format!("note: {} has no Cargo.lock; cargo writes one: keep it, and the zip stays the same", self.name));
            let mut generate = rust.program("cargo")?;
            generate.args(["generate-lockfile", "--quiet", "--manifest-path"]).arg(&self.manifest);
            self.describe(output(&mut generate))?;
        }
        let mut fetch = rust.program("cargo")?;
        fetch.args(["fetch", "--locked", "--manifest-path"]).arg(&self.manifest);
        fetch.args(["--target", self.arch.triple()]);
        if let Some(lock) = lock {
            fetch.env("CARGO_RESOLVER_LOCKFILE_PATH", lock);
        }
        // Where all is there, nobody needs to be told.
        let mut offline = rust.program("cargo")?;
        offline.args(fetch.get_args()).arg("--offline");
        offline.envs(fetch.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if crate::command::succeeds(&mut offline) {
            return Ok(());
        }
        let fetched = step::cargo(cache, &format!("crates of {}", self.name), &mut fetch);
        fetched.map_err(|error| match self.describe(output(&mut offline)) {
            Err(described) if described.to_string().contains("cargo update") => described,
            _ => error,
        })
    }

    /// What cargo says, and what to do where it says what only cargo's own user can do.
    fn describe<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| match format!("{error:#}").contains("--locked was passed") {
            true => anyhow!(
                "--crate {}: Cargo.lock does not match Cargo.toml; run `cargo update --workspace` in that directory, then build again",
                self.directory.display()
            ),
            false => error,
        })
    }

    /// The options for cargo that say what is built.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--locked".to_owned()];
        if !self.features.is_empty() {
            arguments.push(format!("--features={}", self.features.join(",")));
        }
        if self.no_default_features {
            arguments.push("--no-default-features".into());
        }
        arguments
    }

    /// The crates sorted by name and version, that of the function among them; `lock` is another lock file than its own.
    pub fn crates(&self, rust: &Rust, lock: Option<&Path>) -> Result<Vec<Crate>> {
        let cargo = |words: &[&str]| -> Result<Command> {
            let mut cargo = rust.program("cargo")?;
            cargo.args(words).args(self.arguments()).arg("--offline");
            cargo.arg("--manifest-path").arg(&self.manifest);
            if let Some(lock) = lock {
                cargo.env("CARGO_RESOLVER_LOCKFILE_PATH", lock);
            }
            Ok(cargo)
        };
        let tree = |edges: &str| -> Result<BTreeSet<Id>> {
            let words = ["tree", "--prefix=none", "--format={p}", "--target", self.arch.triple(), "--edges", edges];
            let lines = self.describe(output(&mut cargo(&words)?))?;
            Ok(lines.lines().filter_map(id_in_tree).collect())
        };
        let (linked, all, metadata) = thread::scope(|scope| {
            let linked = scope.spawn(|| tree("normal,no-proc-macro"));
            let all = scope.spawn(|| tree("normal,build"));
            let words = ["metadata", "--format-version=1", "--filter-platform", self.arch.triple()];
            let metadata = output(&mut cargo(&words)?);
            let joined = "a thread that only starts cargo";
            anyhow::Ok((linked.join().expect(joined)?, all.join().expect(joined)?, metadata?))
        })?;
        let metadata = MetadataCommand::parse(&metadata).context("cargo metadata")?;
        let lock = lock.map_or_else(|| self.workspace.join("Cargo.lock"), Path::to_owned);
        let checksums = checksums(&fs::read_to_string(&lock).unwrap_or_default());

        let ids: BTreeMap<&PackageId, Id> = metadata.packages.iter().map(|package| (&package.id, id(package))).collect();
        let mut depends_on = BTreeMap::new();
        for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
            let uses = node.deps.iter().filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development));
            let uses = uses.filter_map(|dep| ids.get(&dep.pkg).cloned()).filter(|id| all.contains(id));
            depends_on.insert(&node.id, uses.collect());
        }
        let packages = metadata.packages.iter().filter(|package| all.contains(&id(package)));
        let mut crates: Vec<Crate> = packages
            .map(|package| Crate {
                linked: linked.contains(&id(package)),
                licence: package.license.as_ref().map(|licence| licence.replace('/', " OR ")),
                checksum: checksums.get(&id(package)).cloned(),
                directory: package.manifest_path.parent().map(|path| path.as_std_path().to_owned()).unwrap_or_default(),
                is_path: package.source.is_none(),
                depends_on: depends_on.remove(&package.id).unwrap_or_default(),
                id: id(package),
            })
            .collect();
        crates.sort_by(|a, b| a.id.cmp(&b.id));
        say_where_the_runtime_is_another(&crates);
        Ok(crates)
    }
}

/// What a build with another version of the runtime may not know.
fn say_where_the_runtime_is_another(crates: &[Crate]) {
    let Some(runtime) = crates.iter().find(|krate| krate.id.0 == "lambda-musl") else {
        return;
    };
    let own = env!("CARGO_PKG_VERSION");
    if series(&runtime.id.1) != series(own) {
        say(&format!(
            "note: this is cargo-lambda-musl {own}, but the function uses lambda-musl {}: they belong together in the first two \
             numbers of their versions; `cargo install` brings the other one",
            runtime.id.1
        ));
    }
}

/// The part of a version within which nothing that was promised changes.
fn series(version: &str) -> Vec<&str> {
    version.split('.').take(2).collect()
}

/// Whether the function links OpenSSL.
pub fn links_openssl(crates: &[Crate]) -> bool {
    crates.iter().any(|krate| krate.linked && krate.id.0 == "openssl-sys")
}

impl Defaults {
    fn parse(metadata: &Value, whose: &str) -> Result<Self> {
        let Some(table) = metadata.get("lambda-musl") else {
            return Ok(Self::default());
        };
        let describe = || format!("[{whose}.metadata.lambda-musl]");
        for key in table.as_object().into_iter().flat_map(|table| table.keys()) {
            if !KEYS.contains(&key.as_str()) {
                let error = anyhow!("the key {key} is unknown{}; expected one of: {}", closest(key, &KEYS), KEYS.join(", "));
                return Err(error.context(describe()));
            }
        }
        serde_json::from_value(table.clone()).with_context(describe)
    }
}

/// Names the known word that an unknown one is most like.
pub fn closest(word: &str, known: &[&str]) -> String {
    let likeness = |other: &&&str| (strsim::jaro_winkler(word, other) * 1000.0) as u32;
    match known.iter().max_by_key(likeness).filter(|other| likeness(other) > 750) {
        Some(other) => format!(" (did you mean {other}?)"),
        None => String::new(),
    }
}

fn metadata(rust: &Rust, manifest: &Path, with: impl FnOnce(&mut MetadataCommand) -> &mut MetadataCommand) -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    command.cargo_path(rust.bin.join("cargo")).manifest_path(manifest);
    let command = with(&mut command).cargo_command();
    let mut clean = rust.program("cargo")?;
    let metadata = output(clean.args(command.get_args()))?;
    MetadataCommand::parse(metadata).context("cargo metadata")
}

/// The package of a manifest; where that builds no binary, the one among the workspace's default members that does.
fn package<'a>(metadata: &'a Metadata, manifest: &Path) -> Result<&'a Package> {
    let is_here = |package: &&Package| fs::canonicalize(&package.manifest_path).is_ok_and(|path| path == manifest);
    let here = metadata.packages.iter().find(is_here);
    if let Some(package) = here.filter(|package| binaries(package).next().is_some()) {
        return Ok(package);
    }
    let is_root = manifest.parent() == Some(metadata.workspace_root.as_std_path());
    let defaults = metadata.workspace_default_members.iter().filter(|_| is_root);
    let defaults = defaults.filter_map(|id| metadata.packages.iter().find(|package| package.id == *id));
    let defaults: Vec<&Package> = defaults.filter(|package| binaries(package).next().is_some()).collect();
    if let [package] = defaults[..] {
        return Ok(package);
    }
    let members = metadata.packages.iter().filter(|package| binaries(package).next().is_some());
    let directories = members.filter_map(|package| package.manifest_path.parent());
    let list: Vec<&str> = directories.map(|directory| directory.as_str()).collect();
    let reason = match here {
        Some(_) => "this package has no binary target, like src/main.rs",
        None => "this is a workspace, and none of its packages is named",
    };
    match list.is_empty() {
        true => bail!("{reason}; expected the directory of a package with a binary target"),
        false => bail!("{reason}; expected the directory of one that has, like: {}", list.join(" ")),
    }
}

fn binaries(package: &Package) -> impl Iterator<Item = &Target> {
    package.targets.iter().filter(|target| target.kind.contains(&TargetKind::Bin))
}

/// The binary that was named, or that `cargo run` would take.
fn binary<'a>(package: &'a Package, named: Option<&str>) -> Result<&'a Target> {
    let list: Vec<&Target> = binaries(package).collect();
    let find = |name: &str| list.iter().copied().find(|binary| binary.name == name);
    let names = || list.iter().map(|binary| &*binary.name).collect::<Vec<_>>();
    if let Some(name) = named {
        return find(name).ok_or_else(|| {
            anyhow!("{} has no binary target {name}{}; expected one of: {}", package.name, closest(name, &names()), names().join(", "))
        });
    }
    match list[..] {
        [binary] => Ok(binary),
        _ => package.default_run.as_deref().and_then(find).or_else(|| find(&package.name)).ok_or_else(|| {
            anyhow!("{} has the binary targets {}: name one with --bin, or as default-run in its Cargo.toml", package.name, names().join(", "))
        }),
    }
}

fn id(package: &Package) -> Id {
    (package.name.to_string(), package.version.to_string())
}

/// `serde v1.0.229 (proc-macro)` is serde 1.0.229.
fn id_in_tree(line: &str) -> Option<Id> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let version = words.next()?.strip_prefix('v')?;
    Some((name.into(), version.into()))
}

/// A lock file, as far as it is read here.
#[derive(serde::Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(serde::Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// The crates in a lock file and the checksums of their archives.
fn checksums(lock: &str) -> BTreeMap<Id, String> {
    let packages = locked(lock).into_iter();
    packages.filter_map(|(id, checksum)| Some((id, checksum?))).collect()
}

/// The crates in a lock file.
pub fn locked(lock: &str) -> Vec<(Id, Option<String>)> {
    let lock = toml::from_str(lock).unwrap_or(Lock { package: Vec::new() });
    lock.package.into_iter().map(|package| ((package.name, package.version), package.checksum)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(default_run: Value, binaries: &[&str]) -> Package {
        let target = |name: &&str| {
            json!({"name": name, "kind": ["bin"], "crate_types": ["bin"], "src_path": "/a.rs", "edition": "2024",
                   "doc": true, "doctest": false, "test": true})
        };
        let targets: Vec<Value> = binaries.iter().map(target).collect();
        serde_json::from_value(json!({
            "name": "app", "version": "1.0.0", "id": "path+file:///app#1.0.0", "dependencies": [], "features": {},
            "targets": targets, "manifest_path": "/app/Cargo.toml", "default_run": default_run, "metadata": null,
            "authors": [], "categories": [], "keywords": [], "edition": "2024"
        }))
        .unwrap()
    }

    #[test]
    fn the_only_binary_is_the_function() {
        assert_eq!(binary(&package(Value::Null, &["other"]), None).unwrap().name, "other");
    }

    #[test]
    fn of_several_binaries_the_one_named_like_the_package_is_the_function() {
        assert_eq!(binary(&package(Value::Null, &["other", "app"]), None).unwrap().name, "app");
    }

    #[test]
    fn default_run_decides_between_binaries_unless_one_is_named() {
        let package = package("other".into(), &["other", "app"]);
        assert_eq!(binary(&package, None).unwrap().name, "other");
        assert_eq!(binary(&package, Some("app")).unwrap().name, "app");
    }

    #[test]
    fn binaries_between_which_nothing_decides_are_named() {
        let error = binary(&package(Value::Null, &["one", "two"]), None).unwrap_err().to_string();
        assert!(error.contains("one, two") && error.contains("--bin") && error.contains("default-run"), "{error}");
    }

    #[test]
    fn a_binary_that_is_not_there_is_named_with_those_that_are_and_the_closest() {
        let error = binary(&package(Value::Null, &["server", "client"]), Some("sever")).unwrap_err().to_string();
        assert!(error.contains("did you mean server?") && error.contains("server, client"), "{error}");
    }

    #[test]
    fn a_key_that_is_unknown_is_named_with_those_that_are_known_and_the_closest() {
        let error = Defaults::parse(&json!({"lambda-musl": {"pin": "current"}}), "package").unwrap_err();
        let error = format!("{error:#}");
        assert!(error.starts_with("[package.metadata.lambda-musl]: the key pin is unknown (did you mean pins?)"), "{error}");
        assert!(error.ends_with("no-default-features, pins"), "{error}");
    }

    #[test]
    fn every_known_key_is_read() {
        let table = json!({"lambda-musl": {"arch": "arm64", "base": "b", "bin": "c", "classic-lock": "d", "features": ["e"],
                                           "no-default-features": true, "pins": "current"}});
        assert_eq!(table["lambda-musl"].as_object().unwrap().keys().collect::<Vec<_>>(), KEYS);
        let defaults = Defaults::parse(&table, "package").unwrap();
        assert_eq!((defaults.pins.as_deref(), defaults.classic_lock), (Some("current"), Some("d".into())));
    }

    #[test]
    fn a_line_of_cargo_tree_names_a_crate() {
        let id = |name: &str, version: &str| Some((name.to_owned(), version.to_owned()));
        assert_eq!(id_in_tree("serde v1.0.229"), id("serde", "1.0.229"));
        assert_eq!(id_in_tree("greeting v0.1.0 (/a directory)"), id("greeting", "0.1.0"));
        assert_eq!(id_in_tree("derive v1.0.0 (proc-macro) (*)"), id("derive", "1.0.0"));
        assert_eq!(id_in_tree(""), None);
    }

    #[test]
    fn a_lock_file_has_the_checksums_of_archives_and_none_of_directories() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry\"\nchecksum = \"0123\"\n\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\n";
        let checksums = checksums(lock);
        assert_eq!(checksums.len(), 1);
        assert_eq!(checksums[&("a".into(), "1.0.0".into())], "0123");
    }
}
