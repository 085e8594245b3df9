//! Turns pins into verified files: from the directory that the user brought, else from what was downloaded before, else from
//! each of the URLs in turn.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    cache::Cache,
    pins::{Archive, Pins},
    step::{self, say},
    verify::sha256_hex,
};

/// The files of pins, each with the checksum that they name.
pub struct Archives {
    pub musl: PathBuf,
    pub openssl: PathBuf,
    pub patches: Vec<PathBuf>,
}

impl Archives {
    pub fn of(pins: &Pins, sources: Option<&Path>, cache: &Cache) -> Result<Self> {
        if let Some(sources) = sources.filter(|sources| !sources.is_dir()) {
            bail!("--sources {}: there is no such directory", sources.display());
        }
        let file = |what: &str, archive| file(what, archive, sources, cache);
        let patches = pins.patches.iter().map(|(name, archive)| file(&format!("musl's patch {name}"), archive));
        Ok(Self {
            musl: file("musl", &pins.musl.archive)?,
            openssl: file("OpenSSL", &pins.openssl.archive)?,
            patches: patches.collect::<Result<_>>()?,
        })
    }

    /// Copies them as the recipes take them: musl.tar.gz, openssl.tar.gz, and patches/ in the order of their names.
    pub fn copy(&self, directory: &Path) -> Result<()> {
        let patches = directory.join("patches");
        let copy = |from: &Path, to: PathBuf| fs::copy(from, to).with_context(|| from.display().to_string());
        fs::create_dir(&patches).with_context(|| patches.display().to_string())?;
        copy(&self.musl, directory.join("musl.tar.gz"))?;
        copy(&self.openssl, directory.join("openssl.tar.gz"))?;
        for (index, patch) in self.patches.iter().enumerate() {
            copy(patch, patches.join(format!("{:02}.patch", index + 1)))?;
        }
        Ok(())
    }

    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        [&self.musl, &self.openssl].into_iter().chain(&self.patches).map(PathBuf::as_path)
    }
}

fn file(what: &str, archive: &Archive, sources: Option<&Path>, cache: &Cache) -> Result<PathBuf> {
    let differs = |path: &Path| -> Result<Option<String>> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        Ok(Some(sha256_hex(&bytes)).filter(|actual| *actual != archive.sha256))
    };
    if let Some(brought) = sources.map(|sources| sources.join(&archive.file)).filter(|path| path.is_file()) {
        match differs(&brought)? {
            None => return Ok(brought),
            Some(actual) => say(&format!("error: {}: expected the SHA-256 {}, but it is {actual}", brought.display(), archive.sha256)),
        }
    }
    let directory = cache.directory("sources")?;
    let kept = directory.join(format!("{}-{}", archive.sha256, archive.file));
    if kept.is_file() && differs(&kept)?.is_none() {
        return Ok(kept);
    }
    for url in &archive.urls {
        let part = tempfile::Builder::new().prefix(".part.").tempfile_in(&directory)?;
        if let Err(error) = step::download(url, part.path()) {
            crate::interrupt::check()?;
            say(&format!("error: {error:#}"));
        } else if let Some(actual) = differs(part.path())? {
            say(&format!("error: {url}: {}: expected the SHA-256 {}, but it is {actual}", archive.file, archive.sha256));
        } else {
            part.persist(&kept).with_context(|| kept.display().to_string())?;
            return Ok(kept);
        }
    }
    bail!("{what}: no source of {} is left; put the archive into a directory, and name that with --sources DIR", archive.file)
}
