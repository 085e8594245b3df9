//! Rebuilds a package whose sources have changed, with the command that built it. The cache stores that command and the
//! names of the files and variables that the build read.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::{fd::AsFd, unix::fs::MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};
use std::{io, iter};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use walkdir::{DirEntry, WalkDir};

use crate::cache::{Cache, write_private};
use crate::command::run_build;
use crate::files::identity;
use crate::package::Built;
use crate::step::say;
use crate::{environment, options};

/// How far the timestamps of files may lag behind the clock.
const TICK: Duration = Duration::from_millis(20);

/// Files that influence the build, in the package's directory and in the directories above it.
const DECIDING: [&str; 6] =
    [".cargo/config", ".cargo/config.toml", "Cargo.lock", "Cargo.toml", "rust-toolchain", "rust-toolchain.toml"];

const BUILD_SCRIPT: &str = "build.rs";

/// The command to repeat.
#[derive(Deserialize, Serialize)]
struct Repeat {
    /// The verb that built the package.
    verb: String,
    directory: PathBuf,
    arguments: Vec<OsString>,
    /// The verb's options that were set in environment variables. Variables of other verbs are left out, because their values may
    /// be secrets.
    variables: BTreeMap<String, OsString>,
}

/// The files and variables that a build read.
#[derive(Deserialize, Serialize)]
pub struct Sources {
    /// The directory of the function.
    package: PathBuf,
    /// The directories of crates with build scripts, which may read any file there. Nested crates are excluded.
    crates: Vec<PathBuf>,
    /// Other files and directories that the build reads if they exist.
    others: Vec<PathBuf>,
    /// Directories without sources, which are skipped inside `crates` and `others`.
    without: Vec<PathBuf>,
    /// The names of the environment variables that the build used. Their values are not stored.
    variables: Vec<String>,
}

#[derive(Deserialize, Serialize)]
struct Record {
    repeat: Repeat,
    sources: Sources,
    /// The state of the sources when the build began, or `None` if a source changed during the build.
    state: Option<String>,
    /// The state of the zip after the build.
    zip: Option<String>,
}

impl Repeat {
    fn of(verb: &str, arguments: Vec<OsString>, variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Self> {
        let set = variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let variables =
            set.filter(|(name, value)| options::is_variable_of_verb(verb, name) && !value.is_empty()).collect();
        Ok(Self { verb: verb.into(), directory: env::current_dir()?, arguments, variables })
    }
}

impl Sources {
    /// The sources of a function, including the files in `more`, which its build read.
    pub fn of(built: &Built, out: &Path, more: impl IntoIterator<Item = PathBuf>, cache: &Cache) -> Self {
        let function = built.function;
        let own = built.crates.iter().filter(|krate| krate.is_path());
        let of_own = own.clone().flat_map(|krate| ["Cargo.toml", BUILD_SCRIPT].map(|name| krate.directory.join(name)));
        let deciding = function.directory.ancestors().flat_map(|above| DECIDING.map(|name| above.join(name)));
        let others = deciding.chain(of_own).chain(function.include.clone()).chain(built.sources.clone()).chain(more);
        // For a crate without a build script, the compiled files suffice: they are in `built.sources`.
        let scripted = own.filter(|krate| krate.script.is_some() || krate.directory.join(BUILD_SCRIPT).exists());
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        Self {
            package: function.directory.clone(),
            crates: scripted.map(|krate| krate.directory.clone()).collect(),
            others: others.map(absolute).collect(),
            without: [function.target.clone(), cache.root.clone(), out.into()].map(absolute).into(),
            variables: environment::passed_by_name().collect(),
        }
    }

    /// A digest of the paths, sizes and modification times of all files, and the newest of these times.
    fn state(&self) -> (String, Option<SystemTime>) {
        let is_in = |entry: &DirEntry| {
            !self.without.iter().any(|other| other == entry.path())
                && !(entry.file_type().is_dir() && is_made(entry.path()))
        };
        let is_of_crate = |entry: &DirEntry| {
            let (path, is_below) = (entry.path(), entry.file_type().is_dir() && entry.depth() > 0);
            let is_target = entry.depth() == 1 && entry.file_name() == "target";
            is_in(entry) && !(is_below && (is_target || is_hidden(path) || path.join("Cargo.toml").exists()))
        };
        let crates = self.crates.iter().flat_map(|root| WalkDir::new(root).into_iter().filter_entry(is_of_crate));
        let others = self.others.iter();
        let others = others.flat_map(|root| WalkDir::new(root).follow_links(true).into_iter().filter_entry(is_in));
        let files = crates.chain(others).flatten().filter(|entry| !entry.file_type().is_dir());
        let mut newest = None;
        let file = |entry: DirEntry| {
            let metadata = entry.metadata().ok()?;
            newest = newest.max(metadata.modified().ok());
            Some((entry.path().to_owned(), state_of(&metadata)))
        };
        let files: BTreeMap<PathBuf, String> = files.filter_map(file).collect();
        let files = files.iter().flat_map(|(path, state)| [path.as_os_str().as_encoded_bytes(), state.as_bytes()]);
        (identity(files), newest)
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Whether a directory is a target directory of cargo, or an output directory of this program.
fn is_made(path: &Path) -> bool {
    path.join("CACHEDIR.TAG").exists() || path.join("SHA256SUMS").exists() && path.join("build.json").exists()
}

fn state_of(metadata: &Metadata) -> String {
    format!("{} {}.{}", metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

fn state_of_zip(zip: &Path) -> Option<String> {
    Some(state_of(&fs::metadata(zip).ok()?))
}

/// The source files of a binary, from the `.d` file that cargo writes next to it.
pub fn sources_beside(binary: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(binary.with_extension("d")).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    words(line.split_once(": ").map_or("", |(_, files)| files)).map(PathBuf::from).collect()
}

/// The words between spaces. A space in a word is escaped with a backslash; no other character is escaped.
fn words(text: &str) -> impl Iterator<Item = String> {
    let mut letters = text.chars().peekable();
    iter::from_fn(move || {
        let mut word = String::new();
        loop {
            match letters.next() {
                Some('\\') if letters.peek() == Some(&' ') => word.extend(letters.next()),
                Some(' ') | None if !word.is_empty() => return Some(word),
                Some(' ') => {}
                Some(letter) => word.push(letter),
                None => return None,
            }
        }
    })
}

/// Records that this program built a package from these sources in a build that began at `start`.
pub fn remember(verb: &str, zip: &Path, sources: Sources, start: SystemTime, cache: &Cache) -> Result<()> {
    let zip = std::path::absolute(zip)?;
    let repeat = Repeat::of(verb, env::args_os().skip(1).collect(), env::vars_os())?;
    let (state, newest) = sources.state();
    let has_changed = newest.is_some_and(|newest| newest + TICK > start);
    let record = Record { repeat, sources, state: (!has_changed).then_some(state), zip: state_of_zip(&zip) };
    forget_what_is_gone(cache)?;
    write_private(&path_of(&zip, cache)?, &serde_json::to_vec(&(&zip, record))?)
}

fn path_of(zip: &Path, cache: &Cache) -> Result<PathBuf> {
    Ok(cache.directory("builds")?.join(format!("{}.json", identity([zip.as_os_str().as_encoded_bytes()]))))
}

fn forget_what_is_gone(cache: &Cache) -> Result<()> {
    let records = fs::read_dir(cache.directory("builds")?)?.flatten().map(|entry| entry.path());
    let is_gone = |path: &PathBuf| {
        // Keep a record that cannot be read: it belongs to another user.
        let Ok(bytes) = fs::read(path) else { return false };
        let record: Option<(PathBuf, Record)> = serde_json::from_slice(&bytes).ok();
        record.is_none_or(|(zip, _)| !zip.exists())
    };
    records.filter(is_gone).for_each(|path| drop(fs::remove_file(path)));
    Ok(())
}

/// Whether the sources of a package have changed since it was built. A package that was built elsewhere, or whose sources no longer
/// exist, does not count as outdated.
pub fn is_outdated(zip: &Path, cache: &Cache) -> Result<bool> {
    Ok(outdated(zip, cache)?.is_some())
}

/// The record of a package whose sources have changed.
fn outdated(zip: &Path, cache: &Cache) -> Result<Option<Record>> {
    let record = fs::read(path_of(&std::path::absolute(zip)?, cache)?).unwrap_or_default();
    let Ok((_, record)) = serde_json::from_slice::<(PathBuf, Record)>(&record) else { return Ok(None) };
    let is_there = record.sources.package.join("Cargo.toml").exists();
    let is_of_build = is_there && record.zip.is_some() && record.zip == state_of_zip(zip);
    let is_outdated = is_of_build && record.state != Some(record.sources.state().0);
    Ok(is_outdated.then_some(record))
}

/// Rebuilds an outdated package with the command that built it.
pub fn refresh(zip: &Path, cache: &Cache) -> Result<()> {
    let Some(record) = outdated(zip, cache)? else { return Ok(()) };
    if let Some(name) = record.sources.variables.iter().find(|name| env::var_os(name).is_none()) {
        bail!(
            "{}: its sources have changed, but the variable {name}, which the last build used, is not set; set it to \
             the same value, or use the package unchanged with --zip {0}",
            zip.display()
        );
    }
    let Repeat { verb, directory, arguments, variables } = record.repeat;
    let shown = arguments.iter().filter(|word| *word != "lambda-musl").map(|word| word.to_string_lossy());
    let shown = shown.collect::<Vec<_>>().join(" ");
    say(&format!("{}: its sources have changed; rebuilding it with `{shown}`", zip.display()));
    let mut command = Command::new(env::current_exe()?);
    for (name, _) in env::vars().filter(|(name, _)| options::is_variable_of_verb(&verb, name)) {
        command.env_remove(name);
    }
    build(command.args(arguments).envs(variables).current_dir(directory))
}

/// Builds a missing package.
pub fn build_first(krate: &Path, out: &Path) -> Result<()> {
    say(&format!("{}: there is no deployment package yet; building one", out.display()));
    let mut command = Command::new(env::current_exe()?);
    build(command.arg("build").arg("--crate").arg(krate).arg("--out").arg(out))
}

/// Runs a build with its output on stderr, because stdout is reserved for the function's response.
fn build(command: &mut Command) -> Result<()> {
    let stderr = io::stderr().as_fd().try_clone_to_owned().context("duplicating stderr")?;
    run_build(command.stdout(stderr))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_state_covers_the_sources_of_a_crate_but_no_output_and_no_other_crate() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        write(&root.join("krate/src/main.rs"), "");
        write(&root.join("krate/Cargo.toml"), "");
        let sources = Sources {
            package: root.into(),
            crates: vec![root.join("krate")],
            others: vec![root.join("config"), root.join("Cargo.lock")],
            without: vec![root.join("krate/out")],
            variables: Vec::new(),
        };
        let mut last = sources.state().0;
        let mut changes = |name: &str| {
            write(&root.join(name), name);
            let state = sources.state().0;
            std::mem::replace(&mut last, state.clone()) != state
        };
        for name in ["krate/src/main.rs", "krate/src/target/a.rs", "krate/.env", "config/a/b", "Cargo.lock"] {
            assert!(changes(name), "{name}");
        }
        write(&root.join("krate/other/Cargo.toml"), "");
        write(&root.join("krate/other-target/CACHEDIR.TAG"), "");
        write(&root.join("krate/dist/SHA256SUMS"), "");
        write(&root.join("krate/dist/build.json"), "");
        for name in [
            "krate/out/a", "krate/other/src/a", "krate/target/a", "krate/other-target/a", "krate/dist/a",
            "krate/.git/a",
        ] {
            assert!(!changes(name), "{name}");
        }
    }

    #[test]
    fn a_record_contains_only_variables_of_its_verb_and_only_this_user_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache { root: directory.path().into() };
        let of = |verb: &str| {
            let set = ["ARCH", "BASE", "ENV_VAR", "VERBOSE", "HOME"].map(|name| (name.into(), "1".into()));
            let set = set.into_iter().chain([("BIN".into(), "".into())]);
            Repeat::of(verb, Vec::new(), set).unwrap().variables.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(of("build"), ["ARCH", "VERBOSE"]);
        assert_eq!(of("docker-build"), ["ARCH", "BASE", "VERBOSE"]);
        let (package, list) = (PathBuf::new(), Vec::new);
        let sources = Sources { package, crates: list(), others: list(), without: list(), variables: Vec::new() };
        let zip = directory.path().join("function.zip");
        remember("build", &zip, sources, SystemTime::now(), &cache).unwrap();
        let mode = fs::metadata(path_of(&zip, &cache).unwrap()).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_list_of_a_binarys_sources_may_contain_names_with_spaces() {
        let directory = tempfile::tempdir().unwrap();
        let binary = directory.path().join("app");
        fs::write(binary.with_extension("d"), "/my\\ t/app: /my\\ p/src/main.rs /my\\ p/a\\b.json\n").unwrap();
        assert_eq!(sources_beside(&binary), [Path::new("/my p/src/main.rs"), Path::new("/my p/a\\b.json")]);
        assert!(sources_beside(&directory.path().join("none")).is_empty());
    }
}
