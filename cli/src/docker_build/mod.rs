//! `docker-build`: with musl and OpenSSL from the pins, in the builder image, with cross.

mod cross;
mod proof;

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, anyhow, bail};

pub use cross::{Shim, install};

use crate::{
    build::{dependencies_by_path, remapped},
    cache::Cache,
    doctor,
    engine::{Engine, check_emulation},
    environment,
    files::identity,
    image::{self, Image, Stage},
    options,
    package::Built,
    pins::Pins,
    project::{Crate, Function, links_openssl, locked},
    rust::Rust,
    step::{self, say},
};

/// The last versions of crates that take OpenSSL 1.0.
pub const LAST_FOR_OPENSSL_1_0: [(&str, &str); 3] = [("native-tls", "0.2.15"), ("openssl", "0.10.73"), ("openssl-sys", "0.9.109")];

pub fn run(options: options::DockerBuild) -> Result<()> {
    let start = Instant::now();
    let out = &options.out.out;
    // The last step writes there, and may come after minutes.
    if !options.image_only {
        check_writable(out).with_context(|| format!("--out {}", out.display()))?;
    }
    if let Some(name) = environment::sets_rustflags() {
        bail!("{name} is set in this shell and would replace the flags that link the image's musl: unset {name}");
    }
    let cache = Cache::open()?;
    doctor::require(&[doctor::CC, doctor::RUSTUP])?;
    environment::say_what_is_left_out();
    let engine = Engine::find()?;
    if options.image_only {
        let arch = options.source.arch.unwrap_or_default();
        check_emulation(arch)?;
        let pins = Pins::named(options.pins.pins.as_deref())?;
        println!("{}", Image::new(&engine, &pins, arch, &options.image, &options.pins, None)?.build(Stage::Builder, &cache)?);
        return Ok(());
    }
    let rust = Rust::of(&options.source.krate, &cache)?;
    let function = Function::of(&options.source, &rust)?;
    check_emulation(function.arch)?;
    let pins = Pins::named(options.pins.pins.as_deref().or(function.pins.as_deref()))?;
    let lock = classic_lock(&pins, &function)?;
    function.fetch(&rust, &cache, lock.as_deref())?;
    let crates = function.crates(&rust, lock.as_deref())?;
    let image = Image::new(&engine, &pins, function.arch, &options.image, &options.pins, Some(&function))?;
    // cross is compiled while the image is.
    let (name, cross, container_rust) = thread::scope(|scope| {
        let tools = scope.spawn(|| anyhow::Ok((install(&rust, &cache)?, rust.in_container(function.arch, &cache)?)));
        let name = image.build(Stage::Builder, &cache)?;
        let (cross, container_rust) = tools.join().map_err(|_| anyhow!("installing cross"))??;
        anyhow::Ok((name, cross, container_rust))
    })?;
    let company = image.company(&name, &cache)?;

    // A directory for each workspace: cargo takes crates of one name that lie at one path, as they do in the container, for one.
    let directory = format!("{}-{}", name.rsplit(':').next().unwrap_or_default(), identity([&*function.workspace.to_string_lossy()]));
    let target = function.target.join("cross").join(directory);
    fs::create_dir_all(&target).with_context(|| target.display().to_string())?;
    let _lock = cache.lock(&format!("target-{}", identity([&*target.to_string_lossy()])))?;
    let mut build = cross::build(&cross::Call {
        cross: &cross,
        rust: &rust,
        container_rust: &container_rust,
        engine: &engine,
        image: &name,
        function: &function,
        target: &target,
        lock: lock.as_deref(),
    })?;
    build.command.env("CARGO_ENCODED_RUSTFLAGS", rustflags(&engine, &name, &function, &crates, &rust)?.join("\x1f"));
    step::cargo(&cache, "crates and link", &mut build.command)?;
    let release = target.join(function.arch.triple()).join("release");
    let binary = release.join(&function.binary);
    let binary = fs::read(&binary).with_context(|| binary.display().to_string())?;
    proof::check(&binary, &release.join("deps"), &pins.openssl.version)?;
    drop(_lock);

    let with_openssl = links_openssl(&crates);
    let parts = company.parts(&pins, with_openssl, cross::VERSION)?;
    let built = Built { function: &function, crates: &crates, parts, binary, work: vec![target] };
    let mut line = built.write(out, &rust, &cache)?;
    if with_openssl {
        line += &format!(", OpenSSL {}", pins.openssl.version);
    }
    println!("{line}, musl {}, {} s", pins.musl.version, start.elapsed().as_secs());
    if with_openssl && pins.has_openssl_1_0() {
        say(&format!("note: OpenSSL {} has been unsupported since 2016; its known flaws stay open.", pins.openssl.version));
        say("note: docker-build --pins current takes the newest musl and OpenSSL 3.5 LTS.");
    }
    Ok(())
}

fn check_writable(out: &Path) -> Result<()> {
    fs::create_dir_all(out)?;
    tempfile::tempfile_in(out).map(|_| ()).context("nothing can be written there")
}

/// The lock file for OpenSSL 1.0, which needs older crates than the newest: the one that the project names, or its own where
/// that has them.
fn classic_lock(pins: &Pins, function: &Function) -> Result<Option<PathBuf>> {
    if !pins.has_openssl_1_0() {
        return Ok(None);
    }
    if let Some(lock) = &function.classic_lock {
        let path = function.workspace.join(lock);
        if !path.is_file() || path.file_name().is_none_or(|name| name != "Cargo.lock") {
            bail!("classic-lock = {lock:?}: expected the path of a file that is called Cargo.lock, below {}", function.workspace.display());
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
    let numbers = |version: &str| version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect::<Vec<u32>>();
    let crates = locked(lock).into_iter();
    crates
        .filter_map(|((name, version), _)| {
            let (_, last) = LAST_FOR_OPENSSL_1_0.iter().find(|(known, _)| *known == name)?;
            (numbers(&version) > numbers(last)).then(|| format!("  cargo update --precise {last} {name}"))
        })
        .collect()
}

/// Those of the image, which link its musl, and others that keep paths of this machine out. cross mounts the project, the target
/// directory, cargo's and rustc's at paths that are the same for all, and crates that lie elsewhere where they are.
fn rustflags(engine: &Engine, image: &str, function: &Function, crates: &[Crate], rust: &Rust) -> Result<Vec<String>> {
    let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", function.arch.triple_in_variables());
    let of_image = image::environment(engine, image, &variable)?;
    let mut flags: Vec<String> = of_image.split_whitespace().map(Into::into).collect();
    flags.push("-Cstrip=none".into());
    let mut names: Vec<(PathBuf, String)> = dependencies_by_path(function, crates).collect();
    names.push(("/cargo/registry/src".into(), "/cargo".into()));
    names.push(("/project".into(), "/function".into()));
    names.push(("/rust/lib/rustlib/src/rust".into(), format!("/rustc/{}", rust.commit)));
    flags.extend(remapped(names));
    Ok(flags)
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
