//! The files that are compiled into this program, so that it runs without a clone of the repository.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

macro_rules! of_docker {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../docker/", $name)))),*]
    };
}

/// The names and texts of the files that the builder image is built from, apart from the archives.
pub const DOCKER: [(&str, &str); 15] = of_docker![
    "Dockerfile", "packages.sh", "musl.sh", "musl.specs", "musl-gcc", "openssl.sh", "rust-musl-gcc", "rustc-wrapper",
    "libstdcxx.sh", "libstdcxx.c", "c++config.h", "os_defines.h", "ctype_base.h", "c++io.h", "c++locale.h",
];

/// The text of one of these files.
pub fn of_docker(name: &str) -> &'static str {
    DOCKER.iter().find(|file| file.0 == name).map_or("", |file| file.1)
}

/// Writes these files into a directory. Scripts are executable.
pub fn write_docker(directory: &Path) -> Result<()> {
    for (name, text) in DOCKER {
        let path = directory.join(name);
        if text.starts_with("#!") {
            write_program(&path, text)?;
        } else {
            fs::write(&path, text).at(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).at(&path)?;
        }
    }
    Ok(())
}

/// Writes a script that everyone can execute.
pub fn write_program(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).at(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).at(path)
}

/// The first bytes of a regular file. Any other kind of file is an error, because reading it could block or never end.
pub fn read_regular(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("expected a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A short hash of these parts, which identifies what is created from them.
pub fn identity(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
    let mut sum = Sha256::new();
    for part in parts {
        sum.update((part.as_ref().len() as u64).to_le_bytes());
        sum.update(part);
    }
    sum.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A temporary directory below `parent`, or below `other` if the path of `parent` contains whitespace, which not all
/// programs accept.
pub fn without_spaces(prefix: &str, parent: PathBuf, other: &str) -> Result<TempDir> {
    let has_spaces = parent.to_string_lossy().contains(char::is_whitespace);
    let parent = if has_spaces { other.into() } else { parent };
    tempfile::Builder::new().prefix(prefix).tempdir_in(&parent).at(&parent)
}

/// Adds the path of a file or directory to an error.
pub trait At<T> {
    fn at(self, path: impl AsRef<Path>) -> Result<T>;
}

impl<T, E> At<T> for Result<T, E>
where
    Self: Context<T, E>,
{
    fn at(self, path: impl AsRef<Path>) -> Result<T> {
        self.with_context(|| path.as_ref().display().to_string())
    }
}
