//! `base-image`: a base for `docker-build` from Debian's packages, where no registry can be reached.

use std::{
    fs,
    os::unix::fs::{MetadataExt, lchown},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    cache::Cache,
    command::output,
    doctor,
    engine::{Engine, check_emulation},
    options, step,
};

/// What packages.sh asks for, so that the image needs no network later.
const PACKAGES: &str = "gcc,libc6-dev,linux-libc-dev,make,perl,binutils,gzip,tar,patch";

/// Prints the name of the image.
pub fn run(options: options::BaseImage) -> Result<()> {
    let cache = Cache::open()?;
    let made = make(&options, &cache);
    // Root is needed for the image alone: what is made in the cache belongs to whoever it belonged to.
    hand_over(cache.root())?;
    let image = made?;
    println!("BASE={image}");
    Ok(())
}

fn make(options: &options::BaseImage, cache: &Cache) -> Result<String> {
    let arch = options.arch.unwrap_or_default();
    let engine = Engine::find()?;
    doctor::require(&[doctor::DEBOOTSTRAP, doctor::ROOT])?;
    check_emulation(arch)?;
    let mut image = format!("lambda-musl-base:{}", options.suite);
    if arch != Default::default() {
        image = format!("{image}-{}", arch.name());
    }
    // debootstrap takes no path with white space.
    let mut parent: PathBuf = cache.directory("tmp")?;
    if parent.to_string_lossy().contains(char::is_whitespace) {
        parent = "/var/tmp".into();
    }
    let work = tempfile::Builder::new().prefix("base.").tempdir_in(&parent)?;
    let root = work.path().join("root");
    let platform = arch.platform();
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.arg(format!("--arch={}", platform.rsplit('/').next().unwrap_or_default()));
    debootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}"), &options.suite]).arg(&root);
    debootstrap.args(&options.mirror);
    step::run(cache, &format!("Debian {}", options.suite), &mut debootstrap)?;
    for directory in ["var/cache/apt", "var/lib/apt/lists", "proc", "dev"] {
        let _ = fs::remove_dir_all(root.join(directory));
    }
    for directory in ["proc", "dev"] {
        fs::create_dir_all(root.join(directory))?;
    }
    // Not imported: old engines take what they import for an image of their own architecture.
    let context = work.path().join("context");
    fs::create_dir(&context)?;
    output(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(context.join("root.tar")).arg("."))?;
    fs::write(context.join("Dockerfile"), "FROM scratch\nADD root.tar /\n")?;
    let mut build = engine.command(["build", "--platform", platform, "--tag", &image]);
    step::run(cache, &format!("image {image}"), build.arg(&context))?;
    Ok(image)
}

/// Gives what root has made in a directory to the owner of the first directory above it that is not root's.
fn hand_over(directory: &Path) -> Result<()> {
    let mut below = directory;
    let owner = directory.ancestors().skip(1).find_map(|path| {
        let metadata = path.metadata().ok()?;
        if metadata.uid() == 0 {
            below = path;
            return None;
        }
        Some((metadata.uid(), metadata.gid()))
    });
    let Some((user, group)) = owner else {
        return Ok(());
    };
    let on_the_way = directory.ancestors().take_while(|path| path.starts_with(below));
    let mut left: Vec<PathBuf> = on_the_way.map(Path::to_owned).collect();
    let describe = |path: &Path| path.display().to_string();
    while let Some(path) = left.pop() {
        let metadata = path.symlink_metadata().with_context(|| describe(&path))?;
        if metadata.uid() == 0 {
            lchown(&path, Some(user), Some(group)).with_context(|| describe(&path))?;
        }
        if metadata.is_dir() && path.starts_with(directory) {
            left.extend(fs::read_dir(&path)?.flatten().map(|entry| entry.path()));
        }
    }
    Ok(())
}
