//! Compiles functions for this machine, as plain `cargo build` does, and lists the files to watch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Instant, SystemTime};
use std::{fs, process::Command};

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

use super::watch::Watched;
use crate::again::sources_beside;
use crate::command::output;
use crate::files::At;
use crate::step::{self, Step};
use crate::{cache::Cache, project::Function, rust::Rust};

/// Compiles the functions.
pub struct Builder {
    pub rust: Rust,
    pub cache: Cache,
    pub functions: Vec<Function>,
    /// The directory of the running programs. They are copies, because cargo may overwrite its own files while the programs run.
    pub directory: PathBuf,
    /// Set to stop the running build.
    stop: Arc<AtomicBool>,
    /// The programs that cargo compiled last, with their modification times and sizes.
    last: BTreeMap<String, (PathBuf, SystemTime, u64)>,
    /// The compiled source files.
    pub sources: BTreeSet<PathBuf>,
}

/// The result of a build.
#[derive(Default)]
pub struct Built {
    /// The functions that changed, and their programs.
    pub programs: Vec<(String, PathBuf)>,
    /// The functions that do not compile, and the compiler's messages.
    pub errors: Vec<(String, String)>,
    pub seconds: f64,
}

impl Builder {
    pub fn new(rust: Rust, cache: Cache, functions: Vec<Function>, directory: PathBuf, stop: Arc<AtomicBool>) -> Self {
        Self { rust, cache, functions, directory, stop, last: BTreeMap::new(), sources: BTreeSet::new() }
    }

    /// Compiles the functions that have changed. An error means that the state of all functions is unknown.
    pub fn build(&mut self) -> Result<Built> {
        let built = self.compile();
        if built.is_err() {
            // The programs of some functions may be new, so the next build returns all programs.
            self.last.clear();
        }
        built
    }

    fn compile(&mut self) -> Result<Built> {
        let (start, mut built) = (Instant::now(), Built::default());
        let packages: BTreeSet<&Path> = self.functions.iter().map(|function| &*function.directory).collect();
        for package in packages {
            let functions: Vec<&Function> =
                self.functions.iter().filter(|function| function.directory == package).collect();
            let mut cargo = self.cargo("build", package)?;
            let features: BTreeSet<String> = functions.iter().flat_map(|function| function.features()).collect();
            cargo.args(features).args(functions.iter().flat_map(|function| ["--bin", &function.binary]));
            // The project may set a target whose programs this machine cannot run.
            if functions[0].configuration.target()?.is_some() {
                cargo.args(["--target", &self.rust.host]);
            }
            let mut said = String::new();
            let step = Step::silent("compiling").stopped_by(&self.stop);
            let compiled = step::compile(&self.cache, step, &mut cargo, |_, text| {
                said = text.to_owned();
                lacks_openssl(text).then(|| OPENSSL.to_owned())
            });
            match compiled {
                Err(error) => {
                    crate::interrupt::check()?;
                    if said.is_empty() || self.stop.load(SeqCst) {
                        return Err(error);
                    }
                    if lacks_openssl(&said) {
                        step::say(OPENSSL);
                    }
                    built.errors.extend(functions.iter().map(|function| (function.binary.clone(), said.clone())));
                }
                Ok(messages) => {
                    for function in functions {
                        let name = &function.binary;
                        let program =
                            messages.executable(name).with_context(|| format!("cargo built no executable {name}"))?;
                        self.sources.extend(sources_beside(&program));
                        let metadata = program.metadata().at(&program)?;
                        let made = (program, metadata.modified()?, metadata.len());
                        if self.last.get(name) != Some(&made) || !self.directory.join(name).exists() {
                            built.programs.push((name.clone(), set_aside(&made.0, &self.directory, name)?));
                            self.last.insert(name.clone(), made);
                        }
                    }
                }
            }
        }
        built.seconds = start.elapsed().as_secs_f64();
        Ok(built)
    }

    /// The local packages that the functions consist of, and the files around them that influence the build.
    pub fn watched(&self) -> Result<Watched> {
        let mut watched = Watched::default();
        for function in &self.functions {
            let mut cargo = self.cargo("metadata", &function.directory)?;
            let metadata =
                MetadataCommand::parse(output(cargo.arg("--format-version=1"))?).context("cargo metadata")?;
            let manifest = function.directory.join("Cargo.toml");
            let local = metadata.packages.iter().filter(|package| package.source.is_none());
            let local: BTreeMap<_, _> = local.map(|package| (&package.id, &package.manifest_path)).collect();
            let own = local.iter().find(|(_, path)| path.as_std_path() == manifest).map(|(id, _)| *id);
            let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
            let nodes: BTreeMap<_, _> = nodes.map(|node| (&node.id, &node.dependencies)).collect();
            let (mut seen, mut open) = (BTreeSet::new(), Vec::from_iter(own));
            while let Some(id) = open.pop() {
                if let Some(manifest) = local.get(id).filter(|_| seen.insert(id)) {
                    watched.packages.extend(manifest.parent().map(|path| path.as_std_path().to_owned()));
                    open.extend(nodes.get(id).into_iter().flat_map(|list| list.iter()));
                }
            }
            watched.packages.insert(function.directory.clone());
            watched.targets.insert(function.target.clone());
            let around = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", "rust-toolchain.toml", "rust-toolchain"];
            watched.files.extend(around.map(|name| function.workspace.join(name)));
            watched.files.insert(function.directory.join(".cargo/config.toml"));
        }
        Ok(watched)
    }

    fn cargo(&self, verb: &str, package: &Path) -> Result<Command> {
        let mut cargo = self.rust.own_program("cargo")?;
        cargo.arg(verb).arg("--manifest-path").arg(package.join("Cargo.toml")).current_dir(package);
        Ok(cargo)
    }
}

/// Copies a program to a path where cargo does not replace it while it runs.
fn set_aside(program: &Path, directory: &Path, name: &str) -> Result<PathBuf> {
    let (path, new) = (directory.join(name), directory.join(format!(".{name}.new")));
    fs::copy(program, &new).with_context(|| format!("copying {} to {}", program.display(), new.display()))?;
    fs::rename(&new, &path).at(&path)?;
    Ok(path)
}

const OPENSSL: &str = "note: `dev` links the function with this machine's OpenSSL, which is missing; install it on Debian and Ubuntu \
    with `apt-get install libssl-dev pkg-config`, on Fedora with `dnf install openssl-devel`, on Alpine with `apk add openssl-dev \
    pkgconf`";

fn lacks_openssl(said: &str) -> bool {
    said.contains("openssl-sys") && said.contains("Could not find")
}
