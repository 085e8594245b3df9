//! `docker-build`: builds with musl and OpenSSL from the pins, using cross in the builder image.

mod cross;
mod proof;

use std::path::{Path, PathBuf};
use std::{fs, thread, time::SystemTime};

use anyhow::{Context, Result, anyhow, bail};

pub use cross::{Cross, stand_in};

use crate::again::{self, Sources};
use crate::build::{out_of, rustflags};
use crate::cache::{Cache, lock_directory};
use crate::crates::{self, Crate, Locked, link_openssl, locked};
use crate::engine::{Engine, check_emulation};
use crate::files::At;
use crate::image::{Image, Stage, tag};
use crate::names::{self, Locations};
use crate::package::{Built, check_writable, vendored};
use crate::step::{self, Step, say};
use crate::{doctor, environment, natives, options, pins::Pins, programs, project::Function, rust::Rust};

/// The last versions of these crates that support OpenSSL 1.0.
pub const LAST_FOR_OPENSSL_1_0: [(&str, &str); 3] =
    [("native-tls", "0.2.15"), ("openssl", "0.10.73"), ("openssl-sys", "0.9.109")];

pub fn run(options: options::DockerBuild) -> Result<()> {
    let options::Build { source, out, oci } = &options.build;
    // Check this now, because the step that writes to this directory may run minutes later.
    if !options.image_only {
        check_writable(out)?;
    }
    let cache = Cache::open()?;
    doctor::require(&[doctor::CC, doctor::RUSTUP])?;
    let engine = Engine::find()?;
    let rust = Rust::of(&source.krate, &cache)?;
    let functions = Function::all(source, &rust)?;
    let function = functions.first().context("the package has no binary target, such as src/main.rs")?;
    environment::say_what_is_left_out();
    // The time in the first line of output includes the time to build the image.
    let mut start = SystemTime::now();
    check_emulation(function.arch)?;
    let pins_named = options.image.pins.pins.as_deref().or(function.defaults.text("pins"));
    let pins = Pins::named(pins_named)?;
    let mut image = Image::new(&engine, &pins, function.arch, &options.image, function)?;
    if options.image_only {
        println!("{}", image.build(Stage::Builder, &cache)?);
        return Ok(());
    }
    let lock = classic_lock(&pins, function)?;
    function.fetch(&rust, &cache, lock.as_deref())?;
    let crates_of = |function: &Function| crates::of(function, &rust, lock.as_deref());
    let crates = functions.iter().map(crates_of).collect::<Result<Vec<_>>>()?;
    image.tools = programs::in_image(&crates.concat());
    // cross is compiled in parallel with the image.
    let (name, cross) = thread::scope(|scope| {
        let cross = scope.spawn(|| Cross::install(function.arch, &rust, &cache));
        let name = image.build(Stage::Builder, &cache)?;
        anyhow::Ok((name, cross.join().map_err(|_| anyhow!("the thread that installs cross panicked"))??))
    })?;
    let mut with_openssl = false;
    for (function, crates) in functions.iter().zip(&crates) {
        function.configuration.say_what_does_not_count(function.arch);
        let out = out_of(function, &options.build);
        let builder =
            Builder { engine: &engine, image: &image, name: &name, cross: &cross, rust: &rust, cache: &cache };
        let built = builder.compile(function, crates, &pins, lock.as_deref())?;
        // In a workspace, cargo lists crates with the features that any member requests. Only the build shows what is compiled.
        let links_openssl = link_openssl(&built.crates);
        let named = pins_named.map(PathBuf::from).filter(|path| path.is_file());
        let sources = Sources::of(&built, &out, named.into_iter().chain(lock.clone()), &cache);
        let mut line = built.write(&out, *oci, &rust, &cache)?;
        again::remember("docker-build", &out.join(function.form.file()), sources, start, &cache)?;
        if links_openssl {
            line += &format!(", OpenSSL {}", pins.openssl.version);
            with_openssl = true;
        }
        println!("{line}, musl {}, {} s", pins.musl.version, start.elapsed().unwrap_or_default().as_secs());
        start = SystemTime::now();
    }
    if with_openssl && pins.has_openssl_1_0() {
        let version = &pins.openssl.version;
        say(&format!("note: OpenSSL {version} is no longer supported; its known vulnerabilities are not fixed"));
        say("note: docker-build --pins current uses the newest musl and OpenSSL 3.5 LTS");
    }
    Ok(())
}

/// Everything that a build in the container needs.
struct Builder<'a> {
    engine: &'a Engine,
    image: &'a Image<'a>,
    /// The name of the image.
    name: &'a str,
    cross: &'a Cross,
    rust: &'a Rust,
    cache: &'a Cache,
}

impl Builder<'_> {
    fn compile<'a>(
        &self, function: &'a Function, crates: &[Crate], pins: &Pins, lock: Option<&Path>,
    ) -> Result<Built<'a>> {
        let target = function.target.join("cross").join(tag(self.name));
        let _lock = lock_directory(&target)?;
        let release = target.join(function.arch.triple()).join("release");
        function.forget_other_workspaces(&target, crates)?;
        let (mut command, _files) = self.cross.build(function, self.rust, self.engine, self.name, lock)?;
        command
            .env("CARGO_ENCODED_RUSTFLAGS", rustflags(self.flags(function)?.split_whitespace(), function, self.rust)?);
        command.env(names::VARIABLE, IN_CONTAINER.names(function, crates, self.rust)?);
        let binary = release.join(&function.binary);
        // If a binary exists after the build, it is from this build.
        let _ = fs::remove_file(&binary);
        command.env("CARGO_TARGET_DIR", &target);
        let triple = function.arch.triple();
        // The paths at which cross mounts these directories.
        let mounts = [("/project", &*function.workspace), ("/target", &target), ("/cargo", &self.rust.cargo_home)];
        let messages = step::compile(self.cache, Step::begin("crates and link"), &mut command, |messages, said| {
            natives::failed(&crates::as_built(crates, &messages.renamed(&mounts), triple), said, triple)
        })?;
        let crates = crates::as_built(crates, &messages.renamed(&mounts), triple);
        let sources = again::sources_beside(&binary).into_iter();
        let sources = sources
            .map(|path| path.strip_prefix("/project").map_or(path.clone(), |rest| function.workspace.join(rest)));
        let sources = sources.collect();
        let binary = fs::read(&binary).at(&binary)?;
        proof::check(&binary, &release.join("deps"), &pins.openssl.version)?;
        let mut parts = self.image.parts(self.name, link_openssl(&crates), cross::VERSION, self.cache)?;
        parts.extend(vendored::of_gcc(&parts, self.rust, &binary));
        Ok(Built { function, crates, parts, binary, sources, work: vec![target] })
    }

    /// The flags for rustc in the image's environment, which link the image's musl.
    fn flags(&self, function: &Function) -> Result<String> {
        let name = format!("CARGO_TARGET_{}_RUSTFLAGS", function.arch.triple_in_variables());
        let variables = self.engine.inspect(self.name, "{{range .Config.Env}}{{println .}}{{end}}").unwrap_or_default();
        let flags = variables.lines().find_map(|line| line.strip_prefix(&*name)?.strip_prefix('='));
        let missing = || format!("{}: the image does not set {name}; expected a builder image", self.name);
        flags.map(Into::into).with_context(missing)
    }
}

/// The paths at which cross mounts the project, the target directory, cargo's home and the sysroot. It mounts crates outside
/// the project at their own paths.
const IN_CONTAINER: Locations =
    Locations { workspace: "/project", target: "/target", cargo_home: "/cargo", sysroot: "/rust" };

/// The lock file for OpenSSL 1.0, which the newest versions of some crates do not support: the one that the project names, or
/// `None` if the versions in the project's own lock file support it.
fn classic_lock(pins: &Pins, function: &Function) -> Result<Option<PathBuf>> {
    if !pins.has_openssl_1_0() {
        return Ok(None);
    }
    if let Some(lock) = function.defaults.text("classic-lock") {
        let path = function.workspace.join(lock);
        if !path.is_file() || path.file_name().is_none_or(|name| name != "Cargo.lock") {
            bail!(
                "classic-lock = {lock:?}: expected the path of a file called Cargo.lock below {}",
                function.workspace.display()
            );
        }
        return Ok(Some(path));
    }
    let lock = function.workspace.join("Cargo.lock");
    let lines = too_new(&fs::read_to_string(&lock).unwrap_or_default());
    if lines.is_empty() {
        return Ok(None);
    }
    bail!(
        "{} has crates that do not support OpenSSL 1.0; use --pins current, or run these commands in {}:\n{}",
        lock.display(),
        function.workspace.display(),
        lines.join("\n")
    )
}

/// The commands that select older versions of the crates that are too new for OpenSSL 1.0.
fn too_new(lock: &str) -> Vec<String> {
    let numbers =
        |version: &str| version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect::<Vec<u32>>();
    let lines = locked(lock).into_iter().filter_map(|Locked { name, version, .. }| {
        let (_, last) = LAST_FOR_OPENSSL_1_0.iter().find(|(known, _)| *known == name)?;
        (numbers(&version) > numbers(last)).then(|| format!("  cargo update --precise {last} {name}"))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_that_are_too_new_for_openssl_1_0_are_named_with_older_versions() {
        let lock = "[[package]]\nname = \"openssl-sys\"\nversion = \"0.9.110\"\n\n[[package]]\nname = \"openssl\"\nversion = \"0.10.73\"\n";
        assert_eq!(too_new(lock), ["  cargo update --precise 0.9.109 openssl-sys"]);
        assert!(too_new(&lock.replace("0.9.110", "0.9.98")).is_empty());
    }
}
