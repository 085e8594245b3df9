//! `docker-build`: with musl and OpenSSL from the pins, in the builder image, with cross.

mod cross;
mod proof;

use std::path::{Path, PathBuf};
use std::{fs, thread, time::Instant};

use anyhow::{Context, Result, anyhow, bail};

pub use cross::{Cross, stand_in};

use crate::build::encoded;
use crate::cache::{Cache, lock_directory};
use crate::crates::{self, Crate, Locked, link_openssl, locked};
use crate::engine::{Engine, check_emulation};
use crate::files::{At, identity};
use crate::image::{Image, Stage, tag};
use crate::package::{Built, check_writable, vendored};
use crate::step::{self, say};
use crate::{doctor, environment, natives, options, pins::Pins, project::Function, rust::Rust};

/// The last versions of crates that take OpenSSL 1.0.
pub const LAST_FOR_OPENSSL_1_0: [(&str, &str); 3] =
    [("native-tls", "0.2.15"), ("openssl", "0.10.73"), ("openssl-sys", "0.9.109")];

pub fn run(options: options::DockerBuild) -> Result<()> {
    let start = Instant::now();
    let options::Build { source, out } = &options.build;
    // The last step writes there, and may come after minutes.
    if !options.image_only {
        check_writable(out)?;
    }
    if let Some(name) = environment::rustflags() {
        bail!("{name} is set in this shell and would replace the flags that link the image's musl: unset {name}");
    }
    let cache = Cache::open()?;
    doctor::require(&[doctor::CC, doctor::RUSTUP])?;
    environment::say_what_is_left_out();
    let engine = Engine::find()?;
    let rust = Rust::of(&source.krate, &cache)?;
    let function = Function::of(source, &rust)?;
    check_emulation(function.arch)?;
    let pins = Pins::named(options.image.pins.pins.as_deref().or(function.defaults.text("pins")))?;
    let image = Image::new(&engine, &pins, function.arch, &options.image, &function)?;
    if options.image_only {
        println!("{}", image.build(Stage::Builder, &cache)?);
        return Ok(());
    }
    let lock = classic_lock(&pins, &function)?;
    function.fetch(&rust, &cache, lock.as_deref())?;
    let crates = crates::of(&function, &rust, lock.as_deref())?;
    // cross is compiled while the image is.
    let (name, cross) = thread::scope(|scope| {
        let cross = scope.spawn(|| Cross::install(function.arch, &rust, &cache));
        let name = image.build(Stage::Builder, &cache)?;
        anyhow::Ok((name, cross.join().map_err(|_| anyhow!("installing cross"))??))
    })?;
    let with_openssl = link_openssl(&crates);
    let mut parts = image.parts(&name, with_openssl, cross::VERSION, &cache)?;

    // A directory for each workspace: cargo takes crates of one name that lie at one path, as they do in the container,
    // for one.
    let workspace = identity([&*function.workspace.to_string_lossy()]);
    let target = function.target.join("cross").join(format!("{}-{workspace}", tag(&name)));
    let lock_of_target = lock_directory(&target)?;
    let (mut command, _files) = cross.build(&function, &rust, &engine, &name, lock.as_deref())?;
    command.env("CARGO_ENCODED_RUSTFLAGS", rustflags(&engine, &name, &function, &crates, &rust)?);
    let release = target.join(function.arch.triple()).join("release");
    let binary = release.join(&function.binary);
    // What is there afterwards was put there by this build.
    let _ = fs::remove_file(&binary);
    let (triple, cargo_home) = (function.arch.triple(), environment::cargo_home()?);
    // As cross mounts them.
    let mounts = [("/project", &*function.workspace), ("/target", &target), ("/cargo", &cargo_home)];
    command.env("CARGO_TARGET_DIR", &target);
    let messages = step::compile(&cache, "crates and link", &mut command, |messages, said| {
        natives::explain(&crates::as_built(&crates, &messages.renamed(&mounts), triple), said, triple)
    })?;
    let crates = crates::as_built(&crates, &messages.renamed(&mounts), triple);
    let binary = fs::read(&binary).at(&binary)?;
    proof::check(&binary, &release.join("deps"), &pins.openssl.version)?;
    drop(lock_of_target);

    let gcc = parts.iter().find(|part| part.name == "gcc").and_then(|part| part.version.clone()).unwrap_or_default();
    parts.extend(vendored::of_gcc(&gcc, &rust, &binary));
    let built = Built { function: &function, crates, parts, binary, work: vec![target] };
    let mut line = built.write(out, &rust, &cache)?;
    if with_openssl {
        line += &format!(", OpenSSL {}", pins.openssl.version);
    }
    println!("{line}, musl {}, {} s", pins.musl.version, start.elapsed().as_secs());
    if with_openssl && pins.has_openssl_1_0() {
        let version = &pins.openssl.version;
        say(&format!("note: OpenSSL {version} has been unsupported since 2016; its known flaws stay open."));
        say("note: docker-build --pins current takes the newest musl and OpenSSL 3.5 LTS.");
    }
    Ok(())
}

/// The lock file for OpenSSL 1.0, which needs older crates than the newest: the one that the project names, or its own
/// where that has them.
fn classic_lock(pins: &Pins, function: &Function) -> Result<Option<PathBuf>> {
    if !pins.has_openssl_1_0() {
        return Ok(None);
    }
    if let Some(lock) = function.defaults.text("classic-lock") {
        let path = function.workspace.join(lock);
        if !path.is_file() || path.file_name().is_none_or(|name| name != "Cargo.lock") {
            bail!(
                "classic-lock = {lock:?}: expected the path of a file that is called Cargo.lock, below {}",
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
        "{} has crates that OpenSSL 1.0 is too old for; take older ones, in {}, or --pins current:\n{}",
        lock.display(),
        function.workspace.display(),
        lines.join("\n")
    )
}

/// What brings older versions of the crates that are too new for OpenSSL 1.0.
fn too_new(lock: &str) -> Vec<String> {
    let numbers =
        |version: &str| version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect::<Vec<u32>>();
    let lines = locked(lock).into_iter().filter_map(|Locked { name, version, .. }| {
        let (_, last) = LAST_FOR_OPENSSL_1_0.iter().find(|(known, _)| *known == name)?;
        (numbers(&version) > numbers(last)).then(|| format!("  cargo update --precise {last} {name}"))
    });
    lines.collect()
}

/// Those of the image, which link its musl, and others that keep paths of this machine out. cross mounts the project,
/// the target directory, cargo's and rustc's at paths that are the same for all, and crates that lie elsewhere where
/// they are.
fn rustflags(engine: &Engine, image: &str, function: &Function, crates: &[Crate], rust: &Rust) -> Result<String> {
    let name = format!("CARGO_TARGET_{}_RUSTFLAGS", function.arch.triple_in_variables());
    let variables = engine.inspect(image, "{{range .Config.Env}}{{println .}}{{end}}").unwrap_or_default();
    let of_image = variables.lines().find_map(|line| line.strip_prefix(&*name)?.strip_prefix('='));
    let missing = || format!("{image}: its environment does not have {name}; expected a builder image");
    let of_image = of_image.with_context(missing)?;
    let cargo = [("/cargo/registry/src".into(), "/cargo"), ("/cargo/git/checkouts".into(), "/cargo/git")];
    let names = cargo.into_iter().chain([("/project".into(), "/function")]);
    Ok(encoded(of_image.split_whitespace(), names, Path::new("/rust"), function, crates, rust))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_that_are_too_new_for_openssl_1_0_are_named_with_the_older_ones() {
        let lock = "[[package]]\nname = \"openssl-sys\"\nversion = \"0.9.110\"\n\n[[package]]\nname = \"openssl\"\nversion = \"0.10.73\"\n";
        assert_eq!(too_new(lock), ["  cargo update --precise 0.9.109 openssl-sys"]);
        assert!(too_new(&lock.replace("0.9.110", "0.9.98")).is_empty());
    }
}
