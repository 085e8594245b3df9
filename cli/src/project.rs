//! The functions of a package: their binaries, their features, and the defaults in its Cargo.toml.

use std::path::{Path, PathBuf};
use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use cargo_metadata::{Metadata, MetadataCommand, Package, Target, TargetKind};
use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::cache::write_whole;
use crate::command::{output, succeeds};
use crate::configuration::Configuration;
use crate::crates::Crate;
use crate::files::At;
use crate::options::{Layout, Selection, Source};
use crate::step::{self, say};
use crate::{arch::Arch, cache::Cache, environment, names, package::Form, rust::Rust};

/// A function to build.
pub struct Function {
    pub arch: Arch,
    pub name: String,
    pub version: String,
    /// The directory of the package.
    pub directory: PathBuf,
    pub workspace: PathBuf,
    /// cargo's target directory.
    pub target: PathBuf,
    pub binary: String,
    pub features: Vec<String>,
    no_default_features: bool,
    pub form: Form,
    /// The files and directories to include in the zip.
    pub include: Vec<PathBuf>,
    pub configuration: Configuration,
    pub defaults: Defaults,
}

/// The settings in a Cargo.toml under `[package.metadata.lambda-musl]` or `[workspace.metadata.lambda-musl]`: `deploy` is a
/// table of settings for `deploy`, and `classic-lock` is the path, relative to the workspace, of a lock file with crate versions
/// that support OpenSSL 1.0. All other keys have the names and meanings of options.
#[derive(Clone)]
pub struct Defaults(Map<String, Value>);

pub const KEYS: [&str; 12] = [
    "arch", "base", "bin", "classic-lock", "deploy", "extension", "features", "include", "layout",
    "no-default-features", "pass-env", "pins",
];

impl Function {
    /// The function that the options name.
    pub fn of(source: &Source, rust: &Rust) -> Result<Self> {
        let functions = Self::all(source, rust)?;
        let names: Vec<_> = functions.iter().map(|function| &*function.binary).collect();
        ensure!(
            functions.len() == 1,
            "--bins: this verb accepts only one binary target; name one of {} with --bin",
            names.join(", ")
        );
        functions.into_iter().next().context("no binary target")
    }

    /// The function that the options name or, with `--bins`, all functions of the package.
    pub fn all(source: &Source, rust: &Rust) -> Result<Vec<Self>> {
        Self::select(source, rust, |metadata, manifest| Ok(vec![package(metadata, manifest)?]))
    }

    /// The functions to serve on this machine. With `--bins`, these are all functions of the package or, in the directory of a
    /// workspace, of the workspace's default members.
    pub fn served(selection: &Selection, rust: &Rust) -> Result<Vec<Self>> {
        let source = Source::of_this_machine(selection.clone());
        let functions = Self::select(&source, rust, |metadata, manifest| match own_package(metadata, manifest) {
            None if selection.bins && is_of_workspace(metadata, manifest) => Ok(default_members(metadata).collect()),
            _ => Ok(vec![package(metadata, manifest)?]),
        })?;
        let mut names = BTreeSet::new();
        for function in &functions {
            let (name, directory) = (&function.binary, function.directory.display());
            ensure!(
                names.insert(name),
                "two functions are called {name}, one of them in {directory}; expected a different name for each"
            );
        }
        ensure!(!names.is_empty(), "no binary target found; expected a package with one, such as src/main.rs");
        Ok(functions)
    }

    fn select(
        source: &Source, rust: &Rust, packages: impl for<'a> Fn(&'a Metadata, &Path) -> Result<Vec<&'a Package>>,
    ) -> Result<Vec<Self>> {
        let manifest = manifest(source)?;
        let of_manifest = || {
            let mut cargo = rust.program("cargo")?;
            cargo.args(["metadata", "--format-version=1", "--no-deps", "--manifest-path"]).arg(&manifest);
            cargo.current_dir(manifest.parent().unwrap_or(Path::new("/")));
            let metadata = MetadataCommand::parse(output(&mut cargo)?).context("cargo metadata")?;
            let mut functions = Vec::new();
            for package in packages(&metadata, &manifest)? {
                let defaults = Defaults::of(package, &metadata)?;
                environment::pass(&[&*source.pass_env, &defaults.list("pass-env")].concat())?;
                let binaries = match source.bins {
                    true => binaries(package).collect(),
                    false => vec![binary(package, source.bin.as_deref().or(defaults.text("bin")))?],
                };
                for binary in binaries {
                    functions.push(Self::in_metadata(source, &metadata, package, &defaults, binary)?);
                }
            }
            Ok::<_, Error>(functions)
        };
        of_manifest().with_context(|| format!("--crate {}", source.krate.display()))
    }

    fn in_metadata(
        source: &Source, metadata: &Metadata, package: &Package, defaults: &Defaults, binary: &Target,
    ) -> Result<Self> {
        let directory: PathBuf = package.manifest_path.parent().map(Into::into).unwrap_or_default();
        for path in [&metadata.workspace_root, &metadata.target_directory] {
            names::checked(path.as_std_path())?;
        }
        let configuration = Configuration::of(&directory)?;
        let arch = match source.arch.or(defaults.value("arch")?) {
            Some(arch) => arch,
            None => configuration.arch()?.unwrap_or_default(),
        };
        let mut features = source.features.clone();
        if features.is_empty() {
            features = defaults.list("features");
        }
        features.extend(binary.required_features.iter().cloned());
        let is_extension = source.extension || source.layout.is_none() && defaults.is_set("extension");
        let form = match source.layout.or(defaults.value("layout")?) {
            _ if is_extension => Form::Extension,
            Some(Layout::Single) => Form::Single,
            Some(Layout::Script) | None => Form::Script,
        };
        let mut include = source.include.clone();
        if include.is_empty() {
            include = defaults.list("include").into_iter().map(|path| directory.join(path)).collect();
        }
        Ok(Self {
            arch,
            name: package.name.to_string(),
            version: package.version.to_string(),
            directory,
            workspace: metadata.workspace_root.clone().into(),
            target: metadata.target_directory.clone().into(),
            binary: binary.name.clone(),
            features,
            no_default_features: source.no_default_features || defaults.is_set("no-default-features"),
            form,
            include,
            configuration,
            defaults: defaults.clone(),
        })
    }

    /// A cargo command for this package, with its own lock file or with `lock`.
    pub fn cargo(&self, rust: &Rust, verb: &str, lock: Option<&Path>) -> Result<Command> {
        let mut cargo = rust.program("cargo")?;
        // Cargo runs in the package's directory, where it looks for the project's configuration.
        cargo.args([verb, "--locked", "--manifest-path"]).arg(self.directory.join("Cargo.toml"));
        cargo.current_dir(&self.directory);
        if let Some(lock) = lock {
            cargo.env("CARGO_RESOLVER_LOCKFILE_PATH", lock);
        }
        Ok(cargo)
    }

    /// The cargo options that select the features.
    pub fn features(&self) -> impl Iterator<Item = String> {
        let list = (!self.features.is_empty()).then(|| format!("--features={}", self.features.join(",")));
        let without = self.no_default_features.then(|| "--no-default-features".to_owned());
        list.into_iter().chain(without)
    }

    /// Downloads the crates, and creates the lock file if there is none.
    pub fn fetch(&self, rust: &Rust, cache: &Cache, lock: Option<&Path>) -> Result<()> {
        if lock.is_none() && !self.workspace.join("Cargo.lock").exists() {
            let name = &self.name;
            say(&format!("note: {name} has no Cargo.lock, so cargo creates one; keep it for a reproducible zip"));
            let mut cargo = rust.program("cargo")?;
            cargo.args(["generate-lockfile", "--manifest-path"]).arg(self.directory.join("Cargo.toml"));
            output(cargo.current_dir(&self.directory))?;
        }
        let mut fetch = self.cargo(rust, "fetch", lock)?;
        fetch.args(["--target", self.arch.triple()]);
        let mut offline = self.cargo(rust, "fetch", lock)?;
        offline.args(["--offline", "--target", self.arch.triple()]);
        // If everything has been downloaded already, there is nothing to report.
        if succeeds(&mut offline) {
            return Ok(());
        }
        let fetched = step::cargo(cache, &format!("crates of {}", self.name), &mut fetch);
        // cargo's message is on the screen already; only the advice about a lock file is new.
        fetched.map_err(|error| match output(&mut offline) {
            Err(said) if is_of_lock(&said) => self.describe(said),
            _ => error,
        })
    }

    /// Makes cargo compile the workspace's own crates again if the last build in this target directory was for a different
    /// workspace. Otherwise, cargo could mistake a crate of that workspace for one of this workspace with the same name and
    /// version, because it does not compile sources that are older than the last build. All other crates are compiled only once.
    pub fn forget_other_workspaces(&self, target: &Path, crates: &[Crate]) -> Result<()> {
        let (last, own) = (target.join("lambda-musl.workspace"), self.workspace.to_string_lossy());
        if fs::read_to_string(&last).is_ok_and(|last| last == own) {
            return Ok(());
        }
        let is_own = |krate: &&Crate| krate.is_path() && krate.directory.starts_with(&self.workspace);
        let names: Vec<&str> = crates.iter().filter(is_own).map(|krate| &*krate.name).collect();
        for directory in [target.join(self.arch.triple()), target.to_owned()] {
            for entry in fs::read_dir(directory.join("release/.fingerprint")).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.rsplit_once('-').is_some_and(|(name, _hash)| names.contains(&name)) {
                    fs::remove_dir_all(entry.path()).at(entry.path())?;
                }
            }
        }
        write_whole(&last, own.as_bytes())
    }

    /// Replaces cargo's error about an outdated lock file with one that says how to update the file.
    pub fn describe(&self, error: Error) -> Error {
        match is_of_lock(&error) {
            true => anyhow!(
                "--crate {}: Cargo.lock does not match Cargo.toml; run `cargo update --workspace` in that directory, then build \
                 again",
                self.directory.display()
            ),
            false => error,
        }
    }
}

impl Defaults {
    /// The defaults of a package, which take precedence over those of its workspace.
    fn of(package: &Package, metadata: &Metadata) -> Result<Self> {
        let mut table = Self::table(&metadata.workspace_metadata, "workspace")?;
        table.extend(Self::table(&package.metadata, "package")?);
        Ok(Self(table))
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }

    /// A number in the table for `deploy`.
    pub fn of_deploy(&self, key: &str) -> Result<Option<u64>> {
        let Some(value) = self.0.get("deploy").and_then(|deploy| deploy.get(key)) else { return Ok(None) };
        let number = value.as_u64().with_context(|| {
            format!("Cargo.toml: metadata.lambda-musl.deploy: {key} is {value}; expected a whole number")
        });
        number.map(Some)
    }

    fn list(&self, key: &str) -> Vec<String> {
        let list = self.0.get(key).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(Into::into).collect()
    }

    fn is_set(&self, key: &str) -> bool {
        self.0.get(key) == Some(&true.into())
    }

    /// The value of an option, or an error that lists the valid values.
    fn value<T: ValueEnum>(&self, key: &str) -> Result<Option<T>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let known =
            T::value_variants().iter().filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned()));
        let expected =
            || format!("its metadata has {key} = {text:?}; expected {}", known.collect::<Vec<_>>().join(" or "));
        T::from_str(text, false).ok().with_context(expected).map(Some)
    }

    fn table(metadata: &Value, whose: &str) -> Result<Map<String, Value>> {
        let Some(table) = metadata.get("lambda-musl") else { return Ok(Map::new()) };
        let table = table.as_object().with_context(|| format!("{whose}.metadata.lambda-musl is not a table"))?;
        for (key, value) in table {
            let (is_right, expected) = match key.as_str() {
                "features" | "include" | "pass-env" => {
                    (value.as_array().is_some_and(|list| list.iter().all(Value::is_string)), "a list of strings")
                }
                "no-default-features" | "extension" => (value.is_boolean(), "true or false"),
                // The `deploy` verb checks the contents of this table.
                "deploy" => (value.is_object(), "a table"),
                _ => (value.is_string(), "a string"),
            };
            let describe = format!("[{whose}.metadata.lambda-musl]: the key");
            ensure!(KEYS.contains(&key.as_str()), "{describe} {}", unknown(key, &KEYS));
            ensure!(is_right, "{describe} {key} is {value}; expected {expected}");
        }
        Ok(table.clone())
    }
}

fn is_of_lock(error: &Error) -> bool {
    error.to_string().contains("--locked was passed")
}

/// A message about an unknown word, with the most similar known word and a list of all known words.
pub fn unknown(word: &str, known: &[&str]) -> String {
    let likeness = |other: &&&str| (strsim::jaro_winkler(word, other) * 1000.0) as u32;
    let closest = known.iter().max_by_key(likeness).filter(|other| likeness(other) > 750);
    let closest = closest.map(|other| format!(" (did you mean {other}?)")).unwrap_or_default();
    format!("{word} is unknown{closest}; expected one of: {}", known.join(", "))
}

/// The manifest that the options name. It is found without cargo, which may not be installed yet.
pub fn manifest(source: &Source) -> Result<PathBuf> {
    let expected = "there is no Cargo.toml in this directory; expected the directory of a package with a binary target";
    let missing = || format!("--crate {}: {expected}", source.krate.display());
    // Resolve only the directory: if Cargo.toml is a link, its target may have a name that cargo does not accept.
    let manifest = fs::canonicalize(&source.krate).ok().map(|directory| directory.join("Cargo.toml"));
    manifest.filter(|manifest| manifest.is_file()).with_context(missing)
}

/// The target directory of a project.
pub fn target_directory(krate: &Path, rust: &Rust) -> Result<PathBuf> {
    let mut cargo = rust.own_program("cargo")?;
    cargo.args(["metadata", "--format-version=1", "--no-deps", "--manifest-path"]).arg(krate.join("Cargo.toml"));
    Ok(MetadataCommand::parse(output(&mut cargo)?).context("cargo metadata")?.target_directory.into())
}

/// The package of a manifest or, if it builds no binary, the only default member of the workspace that builds one.
fn package<'a>(metadata: &'a Metadata, manifest: &Path) -> Result<&'a Package> {
    if let Some(package) = own_package(metadata, manifest) {
        return Ok(package);
    }
    let defaults = default_members(metadata).filter(|_| is_of_workspace(metadata, manifest));
    if let [package] = defaults.collect::<Vec<_>>()[..] {
        return Ok(package);
    }
    let reason = match metadata.packages.iter().any(|package| is_of(package, manifest)) {
        true => "this package has no binary target, such as src/main.rs",
        false => "this is a workspace, and none of its packages is named",
    };
    let directories = functions(metadata).filter_map(|package| Some(package.manifest_path.parent()?.as_str()));
    let directories = directories.collect::<Vec<_>>().join(" ");
    ensure!(!directories.is_empty(), "{reason}; expected the directory of a package with a binary target");
    bail!("{reason}; expected the directory of a package with a binary target, such as one of: {directories}")
}

fn is_of(package: &Package, manifest: &Path) -> bool {
    fs::canonicalize(&package.manifest_path).is_ok_and(|path| path == manifest)
}

fn functions(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    metadata.packages.iter().filter(|package| binaries(package).next().is_some())
}

/// The package of a manifest, if it builds a binary.
fn own_package<'a>(metadata: &'a Metadata, manifest: &Path) -> Option<&'a Package> {
    functions(metadata).find(|package| is_of(package, manifest))
}

fn is_of_workspace(metadata: &Metadata, manifest: &Path) -> bool {
    manifest.parent() == Some(metadata.workspace_root.as_std_path())
}

/// The default members of the workspace that build a binary.
fn default_members(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    functions(metadata).filter(|package| metadata.workspace_default_members.contains(&package.id))
}

fn binaries(package: &Package) -> impl Iterator<Item = &Target> {
    package.targets.iter().filter(|target| target.kind.contains(&TargetKind::Bin))
}

/// The binary that was named, or the one that `cargo run` would run.
fn binary<'a>(package: &'a Package, named: Option<&str>) -> Result<&'a Target> {
    let list: Vec<&Target> = binaries(package).collect();
    let names: Vec<&str> = list.iter().map(|binary| &*binary.name).collect();
    let find = |name: &str| list.iter().copied().find(|binary| binary.name == name);
    let own = || package.default_run.as_deref().and_then(find).or_else(|| find(&package.name));
    match (named, &list[..]) {
        (Some(name), _) => find(name).with_context(|| format!("the binary target {}", unknown(name, &names))),
        (None, [binary]) => Ok(binary),
        (None, _) => own().with_context(|| {
            let names = names.join(", ");
            format!("it has the binary targets {names}: name one with --bin, or as default-run in its Cargo.toml; --bins builds all")
        }),
    }
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
        serde_json::from_value(json!({
            "name": "app", "version": "1.0.0", "id": "path+file:///app#1.0.0", "dependencies": [], "features": {},
            "targets": binaries.iter().map(target).collect::<Vec<_>>(), "manifest_path": "/app/Cargo.toml",
            "default_run": default_run, "metadata": null, "authors": [], "categories": [], "keywords": [], "edition": "2024"
        }))
        .unwrap()
    }

    #[test]
    fn the_function_is_the_binary_that_was_named_or_that_cargo_would_run() {
        for (binaries, default_run, named, expected) in [
            (&["other"][..], Value::Null, None, "other"),
            (&["other", "app"], Value::Null, None, "app"),
            (&["other", "app"], "other".into(), None, "other"),
            (&["other", "app"], "other".into(), Some("app"), "app"),
        ] {
            assert_eq!(binary(&package(default_run, binaries), named).unwrap().name, expected);
        }
    }

    #[test]
    fn an_error_about_an_ambiguous_or_unknown_binary_lists_them_and_suggests_the_closest() {
        for (named, expected) in [
            (None, ["server, client: ", "--bin", "default-run"]),
            (Some("sever"), ["sever is unknown", "did you mean server?", "server, client"]),
        ] {
            let error = binary(&package(Value::Null, &["server", "client"]), named).unwrap_err().to_string();
            assert!(expected.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
