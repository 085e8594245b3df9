//! `base-image`: builds a base image for `docker-build` from Debian packages, for machines that cannot reach a registry.

use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};
use std::{fs, process::Command};

use anyhow::{Result, ensure};
use walkdir::WalkDir;

use crate::engine::{Engine, check_emulation};
use crate::files::{self, At, without_spaces};
use crate::{arch::Arch, cache::Cache, command::output, doctor, options, step};

/// All the tools that packages.sh supports, so that a build on this base needs no network to install any of them.
const TOOLS: [&str; 4] = ["cmake", "libclang", "nasm", "pkg-config"];

/// Builds the image and prints its name. Only debootstrap and the programs that handle its files run as root. If this
/// program itself runs as root, it gives the files that it creates in the cache to the cache's owner.
pub fn run(options: options::BaseImage) -> Result<()> {
    let cache = Cache::open()?;
    let made = make(&options, &cache);
    hand_over(&cache.root)?;
    println!("BASE={}", made?);
    Ok(())
}

fn make(options: &options::BaseImage, cache: &Cache) -> Result<String> {
    let arch = options.arch.unwrap_or_default();
    let engine = Engine::find()?;
    doctor::require(&[doctor::DEBOOTSTRAP, doctor::SUDO])?;
    check_emulation(arch)?;
    // sudo asks for a password now, because it cannot do so within a step.
    if !doctor::is_root() {
        ensure!(
            Command::new("sudo").arg("--validate").status()?.success(),
            "sudo --validate failed; run base-image as root, or as a user with permission to use sudo"
        );
    }
    let suffix = if arch == Arch::default() { String::new() } else { format!("-{}", arch.name()) };
    let image = format!("lambda-musl-base:{}{suffix}", options.suite);
    // debootstrap does not accept a path with whitespace.
    let work = without_spaces("base.", cache.directory("tmp")?, "/var/tmp")?;
    let system = System(work.path().join("root"));
    let (root, platform) = (&system.0, arch.platform());
    let mut debootstrap = as_root("debootstrap");
    debootstrap.arg(format!("--arch={}", platform.rsplit('/').next().unwrap_or_default()));
    debootstrap.args(["--variant=minbase", &options.suite]).arg(root);
    step::run(cache, &format!("Debian {}", options.suite), debootstrap.args(&options.mirror))?;
    let script = work.path().join("packages.sh");
    fs::write(&script, files::of_docker("packages.sh")).at(&script)?;
    output(as_root("cp").arg(&script).arg(root.join("packages.sh")))?;
    let mut packages = as_root("chroot");
    step::run(cache, "packages", packages.arg(root).args(["sh", "packages.sh"]).args(TOOLS))?;
    // The image is built, not imported, because old engines assign their own architecture to an imported image.
    let context = work.path().join("context");
    fs::create_dir(&context)?;
    let mut tar = as_root("tar");
    tar.arg("-C").arg(root).arg("-cf").arg(context.join("root.tar"));
    tar.args([
        "--exclude=./packages.sh", "--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*",
        "--exclude=./proc/*", "--exclude=./dev/*",
    ]);
    output(tar.arg("."))?;
    fs::write(context.join("Dockerfile"), "FROM scratch\nADD root.tar /\n")?;
    let mut build = engine.command(["build", "--platform", platform, "--tag", &image]);
    step::run(cache, &format!("image {image}"), build.arg(&context))?;
    Ok(image)
}

/// The file system that debootstrap creates. Its files belong to root, and are removed when the value is dropped.
struct System(PathBuf);

impl Drop for System {
    fn drop(&mut self) {
        let _ = as_root("rm").arg("-rf").arg(&self.0).status();
    }
}

fn as_root(program: &str) -> Command {
    if doctor::is_root() {
        return Command::new(program);
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["--non-interactive", program]);
    sudo
}

/// Gives root's files in a directory to the owner of the nearest ancestor that does not belong to root. The ancestors below
/// that one get the same owner.
fn hand_over(directory: &Path) -> Result<()> {
    let is_of_root = |path: &&Path| path.metadata().is_ok_and(|metadata| metadata.uid() == 0);
    let on_the_way: Vec<&Path> = directory.ancestors().take_while(is_of_root).collect();
    let Some(owner) = directory.ancestors().nth(on_the_way.len()) else { return Ok(()) };
    let owner = owner.metadata()?;
    let inside = WalkDir::new(directory).into_iter().flatten().map(|entry| entry.into_path());
    for path in on_the_way.into_iter().map(Path::to_owned).chain(inside) {
        if path.symlink_metadata()?.uid() == 0 {
            lchown(&path, Some(owner.uid()), Some(owner.gid())).at(&path)?;
        }
    }
    Ok(())
}
