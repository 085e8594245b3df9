//! `reproduce`: builds twice, once here and once elsewhere under different conditions, and compares every byte.

mod cause;
mod difference;
mod elsewhere;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{env, ffi::OsString, fs, process::Command};

use anyhow::{Context, Result, anyhow};
use clap::ValueEnum;

use cause::{Left, causes};
use difference::difference;
use elsewhere::Elsewhere;

use crate::command::run_build;
use crate::files::At;
use crate::options::How;
use crate::{cache::Cache, crates, environment, options, project::Function, rust::Rust, step::say};

/// Builds twice, and prints the checksums if both builds are identical.
pub fn run(options: options::Reproduce) -> Result<()> {
    let cache = Cache::open()?;
    let rust = Rust::of(&options.of.source.krate, &cache)?;
    let function = Function::of(&options.of.source, &rust)?;
    // This directory is outside the cache and the project, because its path is one of the conditions that must differ.
    let work = tempfile::Builder::new().prefix("reproduce.").tempdir_in("/var/tmp").at("/var/tmp")?;
    fs::set_permissions(work.path(), fs::Permissions::from_mode(0o755))?;
    let here = work.path().join("here");
    let variables = variables(&options.of)?;
    // Each value of `--how` is the name of a verb.
    let how = options.how.to_possible_value().context("--how")?;
    say("== here, with the existing caches");
    let mut command = Command::new(env::current_exe()?);
    command.envs(variables.iter().cloned()).env("CRATE", &function.directory).env("OUT", &here);
    run_build(command.arg(how.get_name()))?;
    let cargo_home = environment::cargo_home()?;
    let directories =
        [&function.workspace, &function.target, &cache.root, &cargo_home, &rust.sysroot].map(Clone::clone);
    // Read the output before another build compiles into the same directory.
    let left_here = left(options.how, &function, &function.target, &directories);
    say("== elsewhere");
    let crates = crates::of(&function, &rust, None)?;
    let elsewhere = Elsewhere::prepare(&options, &function, &crates, work.path())?;
    elsewhere.build(how.get_name(), &variables)?;
    difference(&here, &elsewhere.out()).map_err(|error| {
        let left_there = left(options.how, &function, &elsewhere.target(), &elsewhere.directories(&function, &rust));
        let causes = causes(&function.name, &crates, [&left_here, &left_there]);
        anyhow!("{error}\nthe differences come from:\n  {}", causes.join("\n  "))
    })?;
    print!("{}", fs::read_to_string(here.join("SHA256SUMS"))?);
    println!("✓ both builds are identical, byte for byte");
    Ok(())
}

/// The output of the last build of this kind in a target directory, in which each builder image has its own directory.
fn left(how: How, function: &Function, target: &Path, directories: &[PathBuf]) -> Left {
    let triple = function.arch.triple();
    // Every build writes its binary into this directory, which updates the directory's time.
    let time = |target: &PathBuf| target.join(triple).join("release").metadata()?.modified();
    let images = || fs::read_dir(target.join("cross")).into_iter().flatten().flatten().map(|image| image.path());
    let last = match how {
        How::Build => None,
        How::DockerBuild => images().max_by_key(|image| time(image).ok()),
    };
    Left::of(&last.unwrap_or_else(|| target.to_owned()), triple, directories)
}

/// `difference`: fails if two packages, or two directories of build outputs, differ.
pub fn compare(first: &Path, second: &Path) -> Result<()> {
    difference(first, second)?;
    println!("✓ {} and {} are identical, byte for byte", first.display(), second.display());
    Ok(())
}

/// The options of both builds. Paths are absolute, because the second build runs in a different directory.
fn variables(options: &options::Fetch) -> Result<Vec<(&'static str, OsString)>> {
    let (source, image) = (&options.source, &options.image);
    let absolute = |path: &Path| std::path::absolute(path).map(Into::into);
    let pins = image.pins.pins.as_ref().map(|pins| match Path::new(pins).is_file() {
        true => absolute(Path::new(pins)),
        false => Ok(pins.into()),
    });
    let variables = [
        ("ARCH", source.arch.map(|arch| arch.name().into())),
        ("BIN", source.bin.as_ref().map(Into::into)),
        ("FEATURES", Some(source.features.join(",").into())),
        ("NO_DEFAULT_FEATURES", source.no_default_features.then(|| "1".into())),
        ("PINS", pins.transpose()?),
        ("SOURCES", image.pins.sources.as_deref().map(absolute).transpose()?),
        ("BASE", image.base.as_ref().map(Into::into)),
    ];
    Ok(variables.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect())
}
