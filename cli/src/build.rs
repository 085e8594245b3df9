//! `build`: builds with zig as the C compiler and linker, and with OpenSSL from the openssl-src crate.

use std::path::{Path, PathBuf};
use std::{fs, process::Command, thread, time::SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use cargo_metadata::{MetadataCommand, semver::Version};

use crate::again::{self, Sources};
use crate::cache::{self, Cache, lock_directory};
use crate::crates::{self, Crate, link_openssl, locked};
use crate::files::{self, At, identity};
use crate::names::{self, Locations};
use crate::options::{self, Source};
use crate::package::{Built, Part, check_writable, vendored};
use crate::project::{Function, manifest};
use crate::zig::{self, Tools};
use crate::{arch::Arch, command::output, doctor, environment, natives, programs, rust::Rust, step, wheels::ZIG};

/// A separate package, whose lock file pins the sources of OpenSSL.
const SOURCE: [(&str, &str); 3] = [
    ("Cargo.toml", include_str!("../openssl/Cargo.toml")),
    ("Cargo.lock", include_str!("../openssl/Cargo.lock")),
    ("src/lib.rs", include_str!("../openssl/src/lib.rs")),
];

pub fn run(options: options::Build) -> Result<()> {
    build(&options, |line| println!("{line}"))
}

/// Builds each function into its output directory, and reports one line about each package.
pub fn build(options: &options::Build, report: impl Fn(String)) -> Result<()> {
    let cache = Cache::open()?;
    check_writable(&options.out)?;
    let prepared = Prepared::of(&options.source, &cache)?;
    environment::say_what_is_left_out();
    for (function, crates) in &prepared.functions {
        function.configuration.say_what_does_not_count(function.arch);
        let (start, out) = (SystemTime::now(), out_of(function, options));
        let built = prepared.compile(function, crates, &cache)?;
        let sources = Sources::of(&built, &out, [], &cache);
        let line = built.write(&out, options.oci, &prepared.rust, &cache)?;
        again::remember("build", &out.join(function.form.file()), sources, start, &cache)?;
        report(format!("{line}, {} s", start.elapsed().unwrap_or_default().as_secs()));
    }
    Ok(())
}

/// Downloads everything that a build needs, so that the build can run later without a network.
pub fn prepare(source: &Source) -> Result<()> {
    let cache = Cache::open()?;
    let prepared = Prepared::of(source, &cache)?;
    openssl_source(&prepared.rust, &cache).map(drop)
}

/// The directory for a function's package. With `--bins`, each function has its own.
pub fn out_of(function: &Function, options: &options::Build) -> PathBuf {
    if options.source.bins { options.out.join(&function.binary) } else { options.out.clone() }
}

/// Everything that a build with zig needs.
pub struct Prepared {
    pub rust: Rust,
    /// The functions, each with its crates.
    pub functions: Vec<(Function, Vec<Crate>)>,
    zig: PathBuf,
    tools: Tools,
}

impl Prepared {
    /// Installs missing tools and downloads the crates.
    pub fn of(source: &Source, cache: &Cache) -> Result<Self> {
        require(source, cache)?;
        // Zig is downloaded in parallel with Rust and the crates.
        thread::scope(|scope| {
            let zig = scope.spawn(|| ZIG.install(cache));
            let rust = Rust::of(&source.krate, cache)?;
            let mut functions = Vec::new();
            for function in Function::all(source, &rust)? {
                function.fetch(&rust, cache, None)?;
                let crates = crates::of(&function, &rust, None)?;
                programs::require(&crates)?;
                functions.push((function, crates));
            }
            let zig = zig.join().map_err(|_| anyhow!("the thread that installs zig panicked"))??;
            let tools = Tools::prepare(&zig, cache)?;
            Ok(Self { rust, functions, zig, tools })
        })
    }

    fn compile<'a>(&self, function: &'a Function, crates: &[Crate], cache: &Cache) -> Result<Built<'a>> {
        let Self { rust, zig, tools, .. } = self;
        check_openssl_sys(crates)?;
        let prefix = link_openssl(crates).then(|| openssl(function.arch, rust, zig, cache)).transpose()?;
        let triple = function.arch.triple();
        let mut cargo = function.cargo(rust, "zigbuild", None)?;
        cargo.args(["--release", "--bin", &function.binary, "--target", triple, "--target-dir"]).arg(&function.target);
        cargo.args(function.features()).env("CARGO_BUILD_BUILD_DIR", &function.target);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", rustflags(["-Clink-arg=-pie"], function, rust)?);
        cargo.env("PATH", environment::path_with([&*zig.join("bin"), &*rust.bin])?);
        let locations = Locations {
            workspace: &*function.workspace,
            target: &function.target,
            cargo_home: &rust.cargo_home,
            sysroot: &rust.sysroot,
        };
        cargo.env(names::VARIABLE, locations.names(function, crates, rust)?);
        if let Some(prefix) = &prefix {
            // A crate that asks for a vendored OpenSSL gets this one. The names of the variables contain the target, so build
            // scripts, which are compiled for this machine, do not link it.
            let of_target = |name: &str| format!("{}_OPENSSL_{name}", function.arch.triple_in_variables());
            cargo.env(of_target("DIR"), prefix).env(of_target("STATIC"), "1").env(of_target("NO_VENDOR"), "1");
        }
        // Keep other builds from replacing the binary before it is read.
        let lock = lock_directory(&function.target)?;
        function.forget_other_workspaces(&function.target, crates)?;
        let binary = function.target.join(triple).join("release").join(&function.binary);
        // If a binary exists after the build, it is from this build.
        let _ = fs::remove_file(&binary);
        let messages = run_with_zig(&mut cargo, cache, |cargo, zig_cache| {
            tools.stand_before(cargo, function.arch, zig_cache);
            step::compile(
                cache,
                step::Step::begin(format!("crates and link for {}", function.arch.name())),
                cargo,
                |messages, said| natives::failed(&crates::as_built(crates, messages, triple), said, triple),
            )
        })?;
        let crates = crates::as_built(crates, &messages, triple);
        let sources = again::sources_beside(&binary);
        let binary = fs::read(&binary).at(&binary)?;
        drop(lock);

        let musl = zig.join("ziglang/lib/libc/musl");
        let version = fs::read_to_string(musl.join("src/internal/version.h")).unwrap_or_default();
        let version = version.split('"').nth(1).unwrap_or_default();
        let zigbuild = ("cargo-zigbuild", "https://github.com/rust-cross/cargo-zigbuild");
        let mut parts = vec![
            Part::library("musl", version, "https://musl.libc.org", "MIT", musl.join("COPYRIGHT")),
            Part::tool("zig", ZIG.version("ziglang"), "https://ziglang.org", "MIT"),
            Part::tool(zigbuild.0, ZIG.version(zigbuild.0), zigbuild.1, "MIT"),
        ];
        if let Some(prefix) = prefix.filter(|_| link_openssl(&crates)) {
            let (version, text) = (openssl_version()?, prefix.join("LICENSE.openssl"));
            let openssl = Part::library("OpenSSL", &version, "https://openssl-library.org", "Apache-2.0", text);
            parts.insert(1, openssl);
        }
        parts.extend(vendored::of_zig(zig, ZIG.version("ziglang"), &binary));
        Ok(Built { function, crates, parts, binary, sources, work: vec![cache.root.clone()] })
    }
}

/// The value of `CARGO_ENCODED_RUSTFLAGS`: the project's flags, those in `flags`, and the flag that keeps the symbols.
/// None is specific to one function, so functions with the same configuration share compiled crates.
pub fn rustflags<'a>(flags: impl IntoIterator<Item = &'a str>, function: &Function, rust: &Rust) -> Result<String> {
    let mut all = function.configuration.rustflags(function.arch, rust)?;
    all.extend(flags.into_iter().chain(["-Cstrip=none"]).map(Into::into));
    Ok(all.join("\x1f"))
}

/// If a program that the build needs is missing, fails before anything is downloaded.
fn require(source: &Source, cache: &Cache) -> Result<()> {
    manifest(source)?;
    let mut needs = vec![doctor::CC, doctor::RUSTUP];
    if !ZIG.is_installed(cache) {
        needs.extend([doctor::PYTHON, doctor::PIP]);
    }
    let arch = source.arch.unwrap_or_default();
    if !cache.root.join(openssl_entry(arch)?).is_dir() && locks_openssl(&source.krate) {
        needs.extend([doctor::PERL, doctor::MAKE]);
    }
    doctor::require(&needs)
}

/// Whether the lock file contains openssl-sys. The file is read without cargo, which may not be installed yet.
fn locks_openssl(krate: &Path) -> bool {
    let directory = krate.canonicalize().unwrap_or_default();
    let lock = directory.ancestors().find_map(|directory| fs::read_to_string(directory.join("Cargo.lock")).ok());
    locked(&lock.unwrap_or_default()).iter().any(|krate| krate.name == "openssl-sys")
}

/// Runs a command that compiles with zig and uses zig's own cache.
fn run_with_zig<T>(
    command: &mut Command, cache: &Cache, run: impl FnOnce(&mut Command, &Path) -> Result<T>,
) -> Result<T> {
    cache.with_zig(|directory| run(command.envs(zig::CACHES.map(|name| (name, directory))), directory))
}

/// Fails if openssl-sys is too old for OpenSSL 4.
fn check_openssl_sys(crates: &[Crate]) -> Result<()> {
    const FIRST: Version = Version::new(0, 9, 114);
    let mut versions =
        crates.iter().filter(|krate| krate.linked && krate.name == "openssl-sys").map(|krate| &krate.version);
    let Some(version) = versions.find(|version| Version::parse(version).is_ok_and(|version| version < FIRST)) else {
        return Ok(());
    };
    bail!(
        "openssl-sys {version} does not support OpenSSL {}; expected {FIRST} or newer. To update it:\n  \
         cargo update openssl openssl-sys",
        openssl_version()?
    )
}

/// The version of OpenSSL in the version number of openssl-src: `4.0.3` in `400.0.2+4.0.3`.
pub fn openssl_version() -> Result<String> {
    let crates = locked(SOURCE[1].1);
    let found = crates.into_iter().find(|krate| krate.name == "openssl-src");
    let version = found.and_then(|krate| Some(krate.version.split_once('+')?.1.to_owned()));
    version.context("the lock file for openssl-src contains no version of OpenSSL")
}

/// The programs that compile OpenSSL. OpenSSL stores the compiler's command line in the library, so zig is called
/// without its path.
fn openssl_compilers(arch: Arch) -> [(&'static str, String); 3] {
    let cc = format!("zig cc -target {}-linux-musl -g0", arch.machine());
    [("CC", cc), ("AR", "zig ar".into()), ("RANLIB", "zig ranlib".into())]
}

fn openssl_entry(arch: Arch) -> Result<String> {
    let compilers = openssl_compilers(arch);
    let recipe = [files::of_docker("openssl.sh"), ZIG.pins, &compilers[0].1];
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
        // The recipe creates the prefix itself, either completely or not at all.
        recipe.arg(work.path().join("build")).arg(work.path().join("prefix"));
        recipe.env("PATH", environment::path_with([&*zig.join("ziglang")])?).env("ARCH", arch.name());
        recipe.envs(openssl_compilers(arch)).env_remove("STRIP");
        let compiling = format!("OpenSSL {} for {}", openssl_version()?, arch.name());
        run_with_zig(&mut recipe, cache, |recipe, zig_cache| {
            cache::zig_compiles(zig_cache)?;
            step::run(cache, &compiling, recipe)
        })?;
        fs::remove_dir(directory)?;
        fs::rename(work.path().join("prefix"), directory).at(directory)
    })
}

/// The sources of OpenSSL, which cargo downloads and verifies.
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
    Ok(directory.context("cargo metadata does not list openssl-src")?.join("openssl").into())
}

/// Directories whose paths must not appear in a package that is built here.
pub fn roots(function: &Function, crates: &[Crate], rust: &Rust) -> Result<Vec<PathBuf>> {
    let mut roots = environment::roots()?;
    roots.extend([&function.workspace, &function.target, &rust.sysroot].map(Clone::clone));
    roots.extend(names::dependencies_by_path(function, crates).map(|(path, _)| path));
    Ok(roots)
}
