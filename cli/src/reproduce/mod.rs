//! `reproduce`: builds twice, here as it is and elsewhere with everything different that may differ, and compares every byte.

mod difference;
mod elsewhere;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

pub use difference::difference;

use crate::{
    cache::Cache,
    environment,
    interrupt::Running,
    options::{self, How},
    project::Function,
    rust::Rust,
    step::say,
};

/// Prints the checksums of what both builds made.
pub fn run(options: options::Reproduce) -> Result<()> {
    let cache = Cache::open()?;
    let rust = Rust::of(&options.source.krate, &cache)?;
    let function = Function::of(&options.source, &rust)?;
    let call = Call::of(&options)?;
    // Not below the cache or the project: another directory is the point.
    let work = tempfile::Builder::new().prefix("reproduce.").tempdir_in("/var/tmp").context("/var/tmp")?;
    fs::set_permissions(work.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let here = work.path().join("here");
    say("== here, with what is there already");
    let own = std::env::current_exe().context("the path of this program")?;
    let mut command = Command::new(own);
    command.args(call.arguments(&function.directory, &here));
    build(&mut command)?;
    say("== elsewhere");
    let crates = function.crates(&rust, None)?;
    let elsewhere = elsewhere::Elsewhere::prepare(&options, &function, &crates, work.path())?;
    elsewhere.build(&call)?;
    difference(&here, &elsewhere.out())?;
    print!("{}", fs::read_to_string(here.join("SHA256SUMS"))?);
    println!("✓ both builds are the same to the byte");
    Ok(())
}

/// What this program is called with to build.
struct Call {
    verb: &'static str,
    options: Vec<OsString>,
}

impl Call {
    fn of(options: &options::Reproduce) -> Result<Self> {
        let source = &options.source;
        let mut words: Vec<OsString> = Vec::new();
        let mut add = |option: &str, value: OsString| words.extend([option.into(), value]);
        // What is named from here would not be found from elsewhere.
        let absolute = |path: &Path| std::path::absolute(path).map(PathBuf::into_os_string);
        if let Some(arch) = source.arch {
            add("--arch", arch.name().into());
        }
        if let Some(bin) = &source.bin {
            add("--bin", bin.into());
        }
        if !source.features.is_empty() {
            add("--features", source.features.join(",").into());
        }
        if options.how == How::DockerBuild {
            if let Some(pins) = &options.pins.pins {
                let file = Path::new(pins);
                add("--pins", if file.is_file() { absolute(file)? } else { pins.into() });
            }
            if let Some(sources) = &options.pins.sources {
                add("--sources", absolute(sources)?);
            }
            if let Some(base) = &options.image.base {
                add("--base", base.into());
            }
        }
        if source.no_default_features {
            words.push("--no-default-features".into());
        }
        let verb = if options.how == How::Build { "build" } else { "docker-build" };
        Ok(Self { verb, options: words })
    }

    fn arguments(&self, krate: &Path, out: &Path) -> Vec<OsString> {
        let places = ["--crate".into(), krate.into(), "--out".into(), out.into()];
        [OsString::from(self.verb)].into_iter().chain(self.options.iter().cloned()).chain(places).collect()
    }
}

/// Runs a build whose messages are the user's to read.
fn build(command: &mut Command) -> Result<()> {
    let mut running = Running::start(command.stdin(Stdio::null()))?;
    let status = running.wait()?;
    crate::interrupt::check()?;
    match status.success() {
        true => Ok(()),
        false => bail!("the build ended with {status}"),
    }
}

/// A program with these words before it.
fn wrapped(words: &[OsString], program: &Path) -> Command {
    let mut words = words.iter().map(OsString::as_os_str).chain([program.as_os_str()]);
    let mut command = environment::command(words.next().unwrap_or_default());
    command.args(words);
    command
}
