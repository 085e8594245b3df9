//! The files that this program brings with it, so that it needs no clone.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// A file of the builder image.
pub struct File {
    pub name: &'static str,
    pub text: &'static str,
}

macro_rules! of_docker {
    ($($name:literal),* $(,)?) => {
        [$(File { name: $name, text: include_str!(concat!("../../docker/", $name)) }),*]
    };
}

/// What the builder image is built from, beside the archives.
pub const DOCKER: [File; 7] =
    of_docker!["Dockerfile", "packages.sh", "musl.sh", "musl.specs", "musl-gcc", "openssl.sh", "rust-musl-gcc"];

/// The text of one of them.
pub fn of_docker(name: &str) -> &'static str {
    let file = DOCKER.iter().find(|file| file.name == name);
    file.map_or("", |file| file.text)
}

/// Writes them into a directory; what starts like a script is a program.
pub fn write_docker(directory: &Path) -> Result<()> {
    for file in &DOCKER {
        let path = directory.join(file.name);
        let mode = if file.text.starts_with("#!") { 0o755 } else { 0o644 };
        fs::write(&path, file.text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
            .with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// A short name for what is made from these parts; other parts give another name.
pub fn identity<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut sum = Sha256::new();
    for part in parts {
        sum.update((part.len() as u64).to_le_bytes());
        sum.update(part);
    }
    let digest = sum.finalize();
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_parts_have_another_identity_even_where_they_join_to_the_same() {
        assert_ne!(identity(["ab", "c"]), identity(["a", "bc"]));
        assert_eq!(identity(["a"]).len(), 16);
    }
}
