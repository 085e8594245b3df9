//! `build`: with zig as C compiler and linker, and the OpenSSL that the crate openssl-src packages.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Instant,
};

use anyhow::{Context, Result, anyhow};
use cargo_metadata::MetadataCommand;

use crate::{
    arch::Arch,
    cache::Cache,
    command::output,
    doctor, environment,
    files::{self, identity},
    options::{self, Source},
    package::{Built, Part},
    project::{Crate, Function, links_openssl, locked},
    rust::Rust,
    step,
    wheels::ZIG,
};

/// A package of its own, whose lock file pins the sources of OpenSSL.
const SOURCE: [(&str, &str); 3] = [
    ("Cargo.toml", include_str!("../openssl/Cargo.toml")),
    ("Cargo.lock", include_str!("../openssl/Cargo.lock")),
    ("src/lib.rs", include_str!("../openssl/src/lib.rs")),
];

pub fn run(options: options::Build) -> Result<()> {
    let start = Instant::now();
    let cache = Cache::open()?;
    environment::say_what_is_left_out();
    let prepared = Prepared::of(&options.source, &cache)?;
    let built = prepared.compile(&cache)?;
    let line = built.write(&options.out.out, &prepared.rust, &cache)?;
    println!("{line}, {} s", start.elapsed().as_secs());
    Ok(())
}

/// Everything that a build with zig needs.
pub struct Prepared {
    pub rust: Rust,
    pub function: Function,
    pub zig: PathBuf,
    crates: Vec<Crate>,
}

impl Prepared {
    /// Installs what is missing and downloads the crates.
    pub fn of(source: &Source, cache: &Cache) -> Result<Self> {
        require(source, cache)?;
        // The wheels come from another place than Rust and the crates.
        thread::scope(|scope| {
            let zig = scope.spawn(|| ZIG.install(cache));
            let rust = Rust::of(&source.krate, cache)?;
            let function = Function::of(source, &rust)?;
            function.fetch(&rust, cache, None)?;
            let crates = function.crates(&rust, None)?;
            let zig = zig.join().map_err(|_| anyhow!("installing zig"))??;
            Ok(Self { rust, function, zig, crates })
        })
    }

    /// The prefix with OpenSSL, where the function links it.
    pub fn openssl(&self, cache: &Cache) -> Result<Option<PathBuf>> {
        match links_openssl(&self.crates) {
            true => Ok(Some(openssl(self.function.arch, &self.rust, &self.zig, cache)?)),
            false => Ok(None),
        }
    }

    fn compile(&self, cache: &Cache) -> Result<Built<'_>> {
        let Self { rust, function, zig, crates } = self;
        let prefix = self.openssl(cache)?;
        let triple = function.arch.triple();
        let mut cargo = rust.program("cargo")?;
        cargo_zigbuild(&mut cargo, self, prefix.as_deref(), cache)?;
        cargo.args(["zigbuild", "--release", "--bin", &function.binary, "--target", triple]);
        cargo.args(function.arguments()).arg("--manifest-path").arg(&function.manifest);
        cargo.arg("--target-dir").arg(&function.target);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.rustflags()?.join("\x1f"));
        // Until the binary is read, no other build may put its own there.
        let lock = cache.lock(&format!("target-{}", identity([&*function.target.to_string_lossy()])))?;
        let compiling = format!("crates and link for {}", function.arch.name());
        cache.guarded("zig", |_| step::cargo(cache, &compiling, &mut cargo))?;
        let binary = function.target.join(triple).join("release").join(&function.binary);
        let binary = fs::read(&binary).with_context(|| binary.display().to_string())?;
        drop(lock);

        let musl = zig.join("ziglang/lib/libc/musl");
        let version = fs::read_to_string(musl.join("src/internal/version.h")).unwrap_or_default();
        let mut parts = vec![Part {
            text: Some(musl.join("COPYRIGHT")),
            ..Part::library("musl", version.split('"').nth(1).unwrap_or_default(), "https://musl.libc.org", "MIT")
        }];
        if let Some(prefix) = prefix {
            parts.push(Part {
                text: Some(prefix.join("LICENSE.openssl")),
                ..Part::library("OpenSSL", &openssl_version()?, "https://openssl-library.org", "Apache-2.0")
            });
        }
        parts.push(Part::tool("zig", ZIG.version("ziglang"), "https://ziglang.org", "MIT"));
        let zigbuild = ZIG.version("cargo-zigbuild");
        parts.push(Part::tool("cargo-zigbuild", zigbuild, "https://github.com/rust-cross/cargo-zigbuild", "MIT"));
        Ok(Built { function, crates, parts, binary, work: vec![cache.root().to_owned()] })
    }

    /// The binary is a static-pie with its symbols, and no path of this machine is in it.
    fn rustflags(&self) -> Result<Vec<String>> {
        let mut flags = vec!["-Clink-arg=-pie".to_owned(), "-Cstrip=none".to_owned()];
        let function = &self.function;
        let mut names = vec![(function.workspace.clone(), "/function".to_owned()), (function.target.clone(), "/target".into())];
        names.extend(dependencies_by_path(function, &self.crates));
        let cargo_home = environment::cargo_home()?;
        names.push((cargo_home.join("git/checkouts"), "/cargo/git".into()));
        for registry in fs::read_dir(cargo_home.join("registry/src")).into_iter().flatten().flatten() {
            names.push((registry.path(), "/cargo/registry".into()));
        }
        // Where the sources of std are installed, rustc puts their directory in the place of the name that std was compiled under.
        let std = self.rust.sysroot.join("lib/rustlib/src/rust");
        names.push((std, format!("/rustc/{}", self.rust.commit)));
        flags.extend(remapped(names));
        Ok(flags)
    }
}

/// The names that crates get which are neither in the workspace nor from a registry.
pub fn dependencies_by_path<'a>(function: &'a Function, crates: &'a [Crate]) -> impl Iterator<Item = (PathBuf, String)> + 'a {
    let outside = crates.iter().filter(|krate| krate.is_path && !krate.directory.starts_with(&function.workspace));
    outside.map(|krate| (krate.directory.clone(), format!("/dependency/{}", krate.id.0)))
}

/// Flags that give directories other names. rustc takes the last one that fits: the longer ones come later.
pub fn remapped(mut names: Vec<(PathBuf, String)>) -> impl Iterator<Item = String> {
    names.sort_by_key(|(path, _)| path.as_os_str().len());
    names.into_iter().map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display()))
}

/// Fails before anything is downloaded where something is missing that will be needed.
fn require(source: &Source, cache: &Cache) -> Result<()> {
    let mut needs = vec![doctor::CC, doctor::RUSTUP];
    if !ZIG.is_installed(cache) {
        needs.extend([doctor::PYTHON, doctor::PIP]);
    }
    let arch = source.arch.unwrap_or_default();
    if !cache.root().join(openssl_entry(arch)?).is_dir() && locks_openssl(&source.krate) {
        needs.extend([doctor::PERL, doctor::MAKE]);
    }
    doctor::require(&needs)
}

/// Whether a lock file has OpenSSL's crate, which is known before there is any cargo.
fn locks_openssl(krate: &Path) -> bool {
    let directory = krate.canonicalize().unwrap_or_default();
    let lock = directory.ancestors().find_map(|directory| fs::read_to_string(directory.join("Cargo.lock")).ok());
    locked(&lock.unwrap_or_default()).iter().any(|((name, _), _)| name == "openssl-sys")
}

/// Makes a command one that compiles with zig, and links the OpenSSL in `prefix`.
pub fn cargo_zigbuild(cargo: &mut Command, prepared: &Prepared, prefix: Option<&Path>, cache: &Cache) -> Result<()> {
    let zig = &prepared.zig;
    cargo.env("PATH", environment::path_with([&*zig.join("bin"), &*prepared.rust.bin])?);
    cargo.env("CARGO_ZIGBUILD_ZIG_PATH", zig.join("ziglang/zig"));
    for name in ["CARGO_ZIGBUILD_CACHE_DIR", "ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"] {
        cargo.env(name, cache.directory("zig")?);
    }
    if let Some(prefix) = prefix {
        // Where a crate asks for an OpenSSL of its own, it gets this one.
        let triple = prepared.function.arch.triple_in_variables();
        cargo.env(format!("{triple}_OPENSSL_DIR"), prefix);
        cargo.env("OPENSSL_STATIC", "1").env("OPENSSL_NO_VENDOR", "1");
    }
    Ok(())
}

/// The version of OpenSSL: `3.5.5` of `300.5.5+3.5.5`.
pub fn openssl_version() -> Result<String> {
    let crates = locked(SOURCE[1].1);
    let found = crates.into_iter().find(|((name, _), _)| name == "openssl-src");
    let version = found.and_then(|((_, version), _)| Some(version.split_once('+')?.1.to_owned()));
    version.ok_or_else(|| anyhow!("the lock file of openssl-src names no version of OpenSSL"))
}

/// How OpenSSL is compiled. It writes the compiler's command line into the library: zig is called by name alone.
fn openssl_compilers(arch: Arch) -> [(&'static str, String); 3] {
    let zig = |what: &str| format!("zig {what}");
    [("CC", format!("zig cc -target {} -g0", arch.zig_target())), ("AR", zig("ar")), ("RANLIB", zig("ranlib"))]
}

fn openssl_entry(arch: Arch) -> Result<String> {
    let compilers = openssl_compilers(arch);
    let recipe = [files::of_docker("openssl.sh"), ZIG.pins(), &compilers[0].1];
    Ok(format!("prefix/openssl-{}-{}-{}", openssl_version()?, arch.name(), identity(recipe)))
}

/// Compiles OpenSSL with zig.
pub fn openssl(arch: Arch, rust: &Rust, zig: &Path, cache: &Cache) -> Result<PathBuf> {
    cache.entry(&openssl_entry(arch)?, |directory| {
        doctor::require(&[doctor::PERL, doctor::MAKE])?;
        let work = cache.temporary("openssl")?;
        files::write_docker(work.path())?;
        let mut recipe = environment::command("sh");
        recipe.arg(work.path().join("openssl.sh")).arg(openssl_source(rust, cache)?);
        // It makes the prefix itself, whole or not at all.
        recipe.arg(work.path().join("build")).arg(work.path().join("prefix"));
        recipe.env("PATH", environment::path_with([&*zig.join("ziglang")])?).env("ARCH", arch.name());
        recipe.envs(openssl_compilers(arch)).env_remove("STRIP");
        let compiling = format!("OpenSSL {} for {}", openssl_version()?, arch.name());
        cache.guarded("zig", |zig_cache| {
            recipe.env("ZIG_GLOBAL_CACHE_DIR", zig_cache).env("ZIG_LOCAL_CACHE_DIR", zig_cache);
            step::run(cache, &compiling, &mut recipe)
        })?;
        fs::remove_dir(directory)?;
        fs::rename(work.path().join("prefix"), directory).with_context(|| directory.display().to_string())
    })
}

/// The sources of OpenSSL, which cargo downloads and checks.
pub fn openssl_source(rust: &Rust, cache: &Cache) -> Result<PathBuf> {
    let work = cache.temporary("openssl-source")?;
    fs::create_dir(work.path().join("src"))?;
    for (name, text) in SOURCE {
        fs::write(work.path().join(name), text)?;
    }
    let mut cargo = rust.program("cargo")?;
    cargo.args(["metadata", "--format-version=1", "--locked", "--quiet", "--manifest-path"]);
    let metadata = output(cargo.arg(work.path().join("Cargo.toml")))?;
    let metadata = MetadataCommand::parse(metadata).context("cargo metadata")?;
    let package = metadata.packages.iter().find(|package| package.name == "openssl-src");
    let directory = package.and_then(|package| package.manifest_path.parent());
    directory.map(|path| path.join("openssl").into_std_path_buf()).ok_or_else(|| anyhow!("cargo does not know openssl-src"))
}

/// Downloads all that a build with zig needs.
pub fn fetch(source: &Source, cache: &Cache) -> Result<Prepared> {
    let prepared = Prepared::of(source, cache)?;
    openssl_source(&prepared.rust, cache)?;
    Ok(prepared)
}

/// Directories whose paths may not be in a package that is made here.
pub fn places(function: &Function, crates: &[Crate], rust: &Rust) -> Result<Vec<PathBuf>> {
    let mut places = vec![function.workspace.clone(), function.directory.clone(), function.target.clone(), rust.sysroot.clone()];
    places.extend(dependencies_by_path(function, crates).map(|(path, _)| path));
    let mut cargo_home = environment::cargo_home()?.into_os_string();
    cargo_home.push("/");
    places.push(cargo_home.into());
    places.extend(env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).filter(|path| path.is_absolute()));
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_another_one_is_renamed_after_it() {
        let names = vec![("/a/b/c".into(), "/function".into()), ("/a/b".into(), "/dependency/b".into())];
        let flags: Vec<String> = remapped(names).collect();
        assert_eq!(flags, ["--remap-path-prefix=/a/b=/dependency/b", "--remap-path-prefix=/a/b/c=/function"]);
    }

    #[test]
    fn the_lock_file_of_openssl_names_its_version() {
        assert!(openssl_version().unwrap().starts_with("3."));
    }
}
