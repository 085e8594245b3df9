//! `toolchain`: compiles musl and OpenSSL from the pins into a directory on this machine.

use std::{env, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::files::{self, At};
use crate::{
    arch::Arch, archives::Archives, cache::Cache, command::output, doctor, environment, options, pins::Pins, step,
};

pub fn run(options: options::Toolchain) -> Result<()> {
    let prefix = options
        .prefix
        .context("--prefix is missing; expected a new directory, as in toolchain --prefix /path/to/a/new/directory")?;
    if prefix.symlink_metadata().is_ok() {
        bail!("--prefix {}: this path already exists; expected the path of a new directory", prefix.display());
    }
    let arch = options.arch.or(Arch::of_this_machine()).unwrap_or_default();
    if Arch::of_this_machine() != Some(arch) {
        bail!("--arch {}: the toolchain can be compiled only for this machine ({})", arch.name(), env::consts::ARCH);
    }
    doctor::require(&doctor::TOOLCHAIN)?;
    let cache = Cache::open()?;
    let pins = Pins::named(options.pins.pins.as_deref())?;
    let archives = Archives::of(&pins, options.pins.sources.as_deref(), &cache)?;

    // The files are created next to the prefix and then moved, so that the prefix is either complete or missing.
    let parent = prefix.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).at(parent)?;
    let new = tempfile::Builder::new().prefix(".toolchain.").tempdir_in(parent)?;
    // The makefiles of OpenSSL 1.0.1 do not work in a path with whitespace.
    let work = files::without_spaces("lambda-musl-toolchain.", env::temp_dir(), "/tmp")?;
    let path = |name: &str| work.path().join(name);
    files::write_docker(work.path())?;
    archives.copy(work.path())?;
    let recipe = |name: &str, arguments: &[&Path]| {
        let mut command = environment::command("sh");
        command.arg(path(name)).args(arguments).env("ARCH", arch.name());
        command
    };
    let mut musl = recipe("musl.sh", &[&path("musl.tar.gz"), &path("patches"), &path("musl"), &path("prefix")]);
    step::run(&cache, &format!("musl {}", pins.musl.version), &mut musl)?;
    pins.check_musl(&path("prefix"))?;
    step::run(&cache, "C++", &mut recipe("libstdcxx.sh", &[&path("prefix")]))?;
    let mut openssl = recipe("openssl.sh", &[&path("openssl.tar.gz"), &path("openssl"), &path("openssl-prefix")]);
    openssl.env("PATH", environment::path_with([&*path("prefix/bin")])?);
    openssl.envs([("CC", "musl-gcc"), ("AR", "ar"), ("RANLIB", "ranlib"), ("STRIP", "strip")]);
    step::run(&cache, &format!("OpenSSL {}", pins.openssl.version), &mut openssl)?;

    for part in ["prefix/.", "openssl-prefix/."] {
        output(Command::new("cp").arg("-R").arg(path(part)).arg(new.path()))?;
    }
    let linker = new.path().join("bin/rust-musl-gcc");
    fs::copy(path("rust-musl-gcc"), &linker).at(&linker)?;
    fs::set_permissions(new.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    fs::rename(new.path(), &prefix).at(&prefix)?;
    let _ = new.keep();
    println!("{}", prefix.display());
    Ok(())
}
