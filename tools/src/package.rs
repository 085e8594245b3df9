//! The deployment package: a zip whose bytes depend on what is in it and on nothing else.

use std::{
    fs,
    io::{Cursor, Write},
    path::Path,
    process,
};

use sha2::{Digest, Sha256};
use zip::{
    CompressionMethod, DateTime, System, ZipWriter, result::ZipResult, write::SimpleFileOptions,
};

use crate::hex;

/// All that decides how contents become bytes: this file and the versions of what it calls.
const RECIPE: [&[u8]; 2] = [
    include_bytes!("package.rs"),
    include_bytes!("../../Cargo.lock"),
];

/// Zopfli's five iterations stand behind deflate's nine levels; more of them save less than a thousandth.
const LEVEL: i64 = 9 + 5;

type Contents = [(&'static str, Vec<u8>); 2];

/// Writes the package of an entry point and a binary to `zip`, and says its name, size and sum.
///
/// Compressing takes seconds, so a package that was made before is taken from the folder `cache`.
pub fn package(
    bootstrap: &Path,
    binary: &Path,
    cache: &Path,
    zip: &Path,
) -> Result<String, String> {
    let contents = [("binary", read(binary)?), ("bootstrap", read(bootstrap)?)];
    let cached = cache.join(format!("{}.zip", identity(&contents)));
    let bytes = match fs::read(&cached) {
        Ok(bytes) => bytes,
        Err(_) => {
            let bytes = compress(&contents).map_err(|error| format!("packaging: {error}"))?;
            publish(&bytes, &cached)?;
            bytes
        }
    };
    publish(&bytes, zip)?;
    Ok(format!(
        "{}: {} bytes, sha256 {}",
        zip.display(),
        bytes.len(),
        hex(&Sha256::digest(&bytes))
    ))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A name for the package, known before it is made.
fn identity(contents: &Contents) -> String {
    let mut sum = Sha256::new();
    for part in RECIPE
        .iter()
        .copied()
        .chain(contents.iter().map(|(_, bytes)| &bytes[..]))
    {
        sum.update((part.len() as u64).to_le_bytes());
        sum.update(part);
    }
    hex(&sum.finalize())
}

/// The entries sorted by name, with the oldest time that a zip knows and the mode with which Lambda can start them.
fn compress(contents: &Contents) -> ZipResult<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL))
        .last_modified_time(DateTime::DEFAULT)
        .system(System::Unix)
        .unix_permissions(0o755);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in contents {
        writer.start_file(*name, options)?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}

/// Writes beside `path`, then moves into place: at `path` there is a whole file or none.
fn publish(bytes: &[u8], path: &Path) -> Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.join(format!(".{name}.{}", process::id()));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&aside, bytes))
        .and_then(|()| fs::rename(&aside, path))
        .map_err(|error| {
            let _ = fs::remove_file(&aside);
            format!("writing {}: {error}", path.display())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use zip::ZipArchive;

    fn contents() -> Contents {
        [
            ("binary", vec![0x7f; 4096]),
            ("bootstrap", b"#!/bin/sh\n".to_vec()),
        ]
    }

    #[test]
    fn a_package_holds_the_binary_and_the_entry_point_and_nothing_else() {
        let mut archive = ZipArchive::new(Cursor::new(compress(&contents()).unwrap())).unwrap();
        let names: Vec<String> = archive
            .file_names()
            .map(|name| name.unwrap().into_owned())
            .collect();
        assert_eq!(names, ["binary", "bootstrap"]);
        for (name, expected) in contents() {
            let mut file = archive.by_name(name).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, expected);
            assert_eq!(file.unix_mode().map(|mode| mode & 0o7777), Some(0o755));
            assert_eq!(file.last_modified(), Some(DateTime::DEFAULT));
        }
    }

    #[test]
    fn other_contents_have_another_identity_even_where_they_join_to_the_same() {
        let [(first, a), (second, b)] = contents();
        let mut joined = a.clone();
        joined.extend(&b);
        let shifted = [(first, joined), (second, Vec::new())];
        assert_ne!(identity(&contents()), identity(&shifted));
    }

    #[test]
    fn a_package_that_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("function.zip");
        fs::create_dir(&taken).unwrap();
        assert!(publish(b"zip", &taken).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_package_comes_out_of_the_cache_as_it_went_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("bootstrap"), "#!/bin/sh\n").unwrap();
        fs::write(path("binary"), "ELF").unwrap();
        let make = |zip: &str| {
            package(
                &path("bootstrap"),
                &path("binary"),
                &path("cache"),
                &path(zip),
            )
            .unwrap();
            fs::read(path(zip)).unwrap()
        };
        assert_eq!(make("first.zip"), make("second.zip"));
        assert_eq!(fs::read_dir(path("cache")).unwrap().count(), 1);
    }
}
