//! `toolchain`: musl and OpenSSL from the pins, compiled into a directory of this host.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};

use crate::{
    arch::Arch, archives::Archives, cache::Cache, command::output, doctor, environment, files, image::check_musl, options,
    pins::Pins, step,
};

pub fn run(options: options::Toolchain) -> Result<()> {
    let prefix = options.prefix.ok_or_else(|| anyhow!("--prefix is missing: toolchain --prefix /path/of/a/new/directory"))?;
    if prefix.symlink_metadata().is_ok() {
        bail!("--prefix {}: is there already; expected the path of a new directory", prefix.display());
    }
    let arch = options.arch.or(Arch::of_this_machine()).unwrap_or_default();
    if Arch::of_this_machine() != Some(arch) {
        bail!("--arch {}: the toolchain is for the machine that compiles it, {}", arch.name(), env::consts::ARCH);
    }
    doctor::require(&doctor::TOOLCHAIN)?;
    let cache = Cache::open()?;
    let pins = Pins::named(options.pins.pins.as_deref())?;
    let archives = Archives::of(&pins, options.pins.sources.as_deref(), &cache)?;

    let work = directory_without_spaces()?;
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
    check_musl(&pins, &path("prefix"))?;
    let mut openssl = recipe("openssl.sh", &[&path("openssl.tar.gz"), &path("openssl"), &path("openssl-prefix")]);
    openssl.env("PATH", environment::path_with([&*path("prefix/bin")])?);
    openssl.envs([("CC", "musl-gcc"), ("AR", "ar"), ("RANLIB", "ranlib"), ("STRIP", "strip")]);
    step::run(&cache, &format!("OpenSSL {}", pins.openssl.version), &mut openssl)?;

    // Beside the prefix, then moved: there is all of it or none.
    let parent = prefix.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    let new = tempfile::Builder::new().prefix(".toolchain.").tempdir_in(parent)?;
    for part in ["prefix/.", "openssl-prefix/."] {
        output(std::process::Command::new("cp").arg("-R").arg(path(part)).arg(new.path()))?;
    }
    let linker = new.path().join("bin/rust-musl-gcc");
    fs::copy(path("rust-musl-gcc"), &linker).with_context(|| linker.display().to_string())?;
    fs::set_permissions(new.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    fs::rename(new.path(), &prefix).with_context(|| prefix.display().to_string())?;
    let _ = new.keep();
    println!("{}", prefix.display());
    Ok(())
}

/// The makefiles of OpenSSL 1.0.1 cannot be in a directory with white space.
fn directory_without_spaces() -> Result<tempfile::TempDir> {
    let mut parent: PathBuf = env::temp_dir();
    if parent.to_string_lossy().contains(char::is_whitespace) {
        parent = "/tmp".into();
    }
    tempfile::Builder::new().prefix("lambda-musl-toolchain.").tempdir_in(&parent).with_context(|| parent.display().to_string())
}
