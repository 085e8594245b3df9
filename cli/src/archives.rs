//! Finds the archives that the pins name, and verifies their checksums. The search begins in the directory of `--sources`,
//! continues in the cache, and ends with each URL in turn.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::pins::{Archive, Pins};
use crate::step::{self, say};
use crate::{cache::Cache, files::At, interrupt, verify::sha256_hex};

/// The paths of the verified archives, each with the file name that the recipes use.
pub struct Archives(Vec<(PathBuf, String)>);

impl Archives {
    pub fn of(pins: &Pins, sources: Option<&Path>, cache: &Cache) -> Result<Self> {
        if let Some(sources) = sources.filter(|sources| !sources.is_dir()) {
            bail!("--sources {}: no such directory", sources.display());
        }
        // The recipes apply the patches in the order of these file names.
        let patches = (0..).zip(&pins.patches).map(|(index, patch)| (patch, format!("patches/{index:02}.patch")));
        let libraries = [(&pins.musl.archive, "musl.tar.gz"), (&pins.openssl.archive, "openssl.tar.gz")];
        let all = libraries.map(|(archive, name)| (archive, name.to_owned())).into_iter().chain(patches);
        let files = all.map(|(archive, name)| Ok((file(archive, sources, cache)?, name)));
        Ok(Self(files.collect::<Result<_>>()?))
    }

    /// Copies the archives to the paths where the recipes expect them.
    pub fn copy(&self, directory: &Path) -> Result<()> {
        fs::create_dir(directory.join("patches")).at(directory)?;
        self.0.iter().try_for_each(|(path, name)| fs::copy(path, directory.join(name)).map(|_| ()).at(path))
    }

    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(path, _)| path.as_path())
    }
}

fn file(archive: &Archive, sources: Option<&Path>, cache: &Cache) -> Result<PathBuf> {
    let Archive { file, sha256, urls } = archive;
    let is_right = |what: &str, path: &Path| -> Result<bool> {
        let actual = sha256_hex(&fs::read(path).at(path)?);
        if actual != *sha256 {
            say(&format!("error: {what}: expected the SHA-256 checksum {sha256}, found {actual}"));
        }
        Ok(actual == *sha256)
    };
    let kept = cache.directory("sources")?.join(format!("{sha256}-{file}"));
    for path in sources.map(|sources| sources.join(file)).into_iter().chain([kept.clone()]) {
        if path.is_file() && is_right(&path.display().to_string(), &path)? {
            return Ok(path);
        }
    }
    for url in urls {
        let part = tempfile::Builder::new().prefix(".part.").tempfile_in(cache.directory("sources")?)?;
        if let Err(error) = step::download(url, part.path()) {
            interrupt::check()?;
            say(&format!("error: {error:#}"));
        } else if is_right(&format!("{url}: {file}"), part.path())? {
            part.persist(&kept).at(&kept)?;
            return Ok(kept);
        }
    }
    match sources {
        Some(sources) => bail!(
            "no usable source for {file}: --sources {} contains no file of this name with the checksum {sha256}; put one \
             there, or name other pins with --pins",
            sources.display()
        ),
        None => bail!(
            "no usable source for {file}; put the archive in a directory and name that directory with --sources DIR"
        ),
    }
}
