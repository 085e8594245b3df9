//! The forms of a deployment package: the locations of files in a zip.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io, os::unix::fs::PermissionsExt};

use anyhow::{Context, Result, bail, ensure};
use walkdir::WalkDir;

use crate::files::At;
use crate::verify::{archive, sha256_hex};

/// The location of the binary, and what starts it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// Lambda starts the `bootstrap` script, which replaces itself with `binary`.
    Script,
    /// The binary is `bootstrap`.
    Single,
    /// A layer. Lambda unpacks it into `/opt`, and starts the programs in `/opt/extensions`:
    /// <https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html>
    Extension,
}

/// A file of a zip: its contents, and whether it is executable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Content {
    pub bytes: Vec<u8>,
    pub is_program: bool,
}

/// The files of a zip by name, in the order of the zip.
pub type Contents = BTreeMap<String, Content>;

/// The directory in a layer from which Lambda starts extensions.
pub const EXTENSIONS: &str = "extensions/";

impl Form {
    /// The names of the zips of functions and of extensions.
    pub const FILES: [&str; 2] = ["function.zip", "extension.zip"];

    /// The name of the zip.
    pub fn file(self) -> &'static str {
        Self::FILES[usize::from(self == Self::Extension)]
    }

    /// The form's name in the record of origin. The default form has none.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Script => None,
            Self::Single => Some("single"),
            Self::Extension => Some("extension"),
        }
    }

    /// The path of the binary in the zip.
    pub fn path_of(self, binary: &str) -> String {
        match self {
            Self::Script => "binary".into(),
            Self::Single => "bootstrap".into(),
            Self::Extension => format!("{EXTENSIONS}{binary}"),
        }
    }

    /// The form of a zip with these files, or the default form if they indicate no other.
    pub fn of(files: &Contents) -> Self {
        let is_binary = |name| files.get(name).is_some_and(|file: &Content| file.bytes.starts_with(b"\x7fELF"));
        match () {
            () if files.contains_key("binary") => Self::Script,
            () if is_binary("bootstrap") => Self::Single,
            () if files.keys().any(|name| is_extension(name)) && !files.contains_key("bootstrap") => Self::Extension,
            () => Self::Script,
        }
    }
}

/// Whether Lambda would start this file of a layer.
pub fn is_extension(name: &str) -> bool {
    name.strip_prefix(EXTENSIONS).is_some_and(|name| !name.contains('/'))
}

/// Whether a name is reserved for the binary or what starts it.
pub fn is_reserved(name: &str) -> bool {
    archive::NAMES.contains(&name) || is_extension(name)
}

/// The checksum of the names, modes and contents of the included files.
pub fn checksum<'a>(files: impl IntoIterator<Item = (&'a String, &'a Content)>) -> String {
    let line = |(name, file): (&String, &Content)| {
        let mode = if file.is_program { "0755" } else { "0644" };
        format!("{} {mode} {name}\n", sha256_hex(&file.bytes))
    };
    sha256_hex(files.into_iter().map(line).collect::<String>().as_bytes())
}

/// Reads the included files, except those in the `without` directories. The path of a file in the zip is relative to the
/// package's directory if the file is in that directory, otherwise to the parent of the included file or directory.
pub fn read(include: &[PathBuf], package: &Path, without: &[&Path]) -> Result<Contents> {
    let package = package.canonicalize().at(package)?;
    let without: Vec<PathBuf> = without.iter().filter_map(|path| path.canonicalize().ok()).collect();
    let mut contents = Contents::new();
    for path in include {
        let option = format!("--include {}", path.display());
        let places = [package.join(path), env::current_dir()?.join(path)];
        let found = places.iter().find_map(|path| located(path).ok());
        let found = found.with_context(|| {
            format!("{option}: no such file or directory in {} or in the current directory", package.display())
        })?;
        let base = if found.starts_with(&package) { &*package } else { found.parent().unwrap_or(&found) };
        let entries = WalkDir::new(&found).follow_links(true).sort_by_file_name().into_iter();
        let mut is_empty = true;
        for entry in entries.filter_entry(|entry| without.iter().all(|path| path != entry.path())) {
            let entry = entry.map_err(io::Error::from).with_context(|| option.clone())?;
            if !entry.file_type().is_dir() {
                let name = entry.path().strip_prefix(base).unwrap_or(entry.path());
                let content = content(entry.path()).with_context(|| option.clone())?;
                add(&mut contents, name, content).with_context(|| option.clone())?;
                is_empty = false;
            }
        }
        ensure!(
            !is_empty,
            "{option}: the directory contains no files; expected a directory with files, or the path of a file"
        );
    }
    Ok(contents)
}

/// The path with all links resolved, except in its last component: a link is packaged under its own name, with the contents
/// of its target.
fn located(path: &Path) -> io::Result<PathBuf> {
    let whole = path.canonicalize()?;
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok(parent.canonicalize()?.join(name)),
        _ => Ok(whole),
    }
}

fn add(contents: &mut Contents, name: &Path, content: Content) -> Result<()> {
    let Some(name) = name.to_str().filter(|name| !archive::is_odd(name.as_bytes())) else {
        bail!("{}: expected a UTF-8 name without backslashes, colons or control characters", name.display());
    };
    ensure!(!is_reserved(name), "{name} would replace a file that the build writes; rename the included file");
    let before = contents.insert(name.to_owned(), content.clone());
    ensure!(before.is_none_or(|before| before == content), "{name} is included twice, with different contents");
    Ok(())
}

fn content(path: &Path) -> Result<Content> {
    let metadata = fs::metadata(path).at(path)?;
    ensure!(metadata.is_file(), "{}: expected a regular file or a directory", path.display());
    ensure!(
        metadata.len() <= archive::UNZIPPED,
        "{} is {} bytes long; Lambda accepts packages of up to {} bytes, unpacked",
        path.display(),
        metadata.len(),
        archive::UNZIPPED
    );
    Ok(Content { bytes: fs::read(path).at(path)?, is_program: metadata.permissions().mode() & 0o100 != 0 })
}

/// Fails if a zip would unpack to more than Lambda accepts, with a list of the largest parts.
pub fn check_size(contents: &Contents, sections: impl FnOnce(&[u8]) -> Vec<(String, u64)>) -> Result<()> {
    let total: u64 = contents.values().map(|file| file.bytes.len() as u64).sum();
    if total <= archive::UNZIPPED {
        return Ok(());
    }
    let mut parts: Vec<(String, u64)> =
        contents.iter().map(|(name, file)| (name.clone(), file.bytes.len() as u64)).collect();
    if let Some((name, file)) = contents.iter().find(|(_, file)| file.bytes.starts_with(b"\x7fELF")) {
        parts.retain(|(other, _)| other != name);
        parts.extend(
            sections(&file.bytes).into_iter().map(|(section, size)| (format!("{name}, section {section}"), size)),
        );
    }
    parts.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let lines: String = parts.iter().take(5).map(|(name, size)| format!("\n  {size:>11}  {name}")).collect();
    bail!("the package unpacks to {total} bytes; Lambda accepts up to {}. The largest parts:{lines}", archive::UNZIPPED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("config/deep")).unwrap();
        fs::write(directory.path().join("config/a.json"), "{}").unwrap();
        fs::write(directory.path().join("config/deep/run"), "").unwrap();
        fs::set_permissions(directory.path().join("config/deep/run"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(directory.path().join("bootstrap"), "").unwrap();
        directory
    }

    fn names(include: &str, package: &Path) -> Result<Vec<(String, bool)>> {
        let contents = read(&[include.into()], package, &[&package.join("dist")])?;
        Ok(contents.into_iter().map(|(name, file)| (name, file.is_program)).collect())
    }

    #[test]
    fn a_directory_is_included_with_all_its_files_under_their_paths_in_the_package() {
        let package = package();
        let expected = [("config/a.json".into(), false), ("config/deep/run".into(), true)];
        assert_eq!(names("config", package.path()).unwrap(), expected);
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("key.pem"), "").unwrap();
        let path = elsewhere.path().join("key.pem");
        assert_eq!(names(path.to_str().unwrap(), package.path()).unwrap(), [("key.pem".into(), false)]);
    }

    #[test]
    fn the_output_of_an_earlier_build_is_not_included() {
        let package = package();
        fs::remove_file(package.path().join("bootstrap")).unwrap();
        fs::create_dir(package.path().join("dist")).unwrap();
        fs::write(package.path().join("dist/function.zip"), "").unwrap();
        let all: Vec<_> = names(".", package.path()).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(all, ["config/a.json", "config/deep/run"]);
    }

    #[test]
    fn a_link_is_included_under_its_own_name_with_the_contents_of_its_target() {
        let package = package();
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, package.path().join(name)).unwrap();
        link("config/deep/run", "start");
        link("config/deep", "programs");
        assert_eq!(names("start", package.path()).unwrap(), [("start".into(), true)]);
        assert_eq!(names("programs", package.path()).unwrap(), [("programs/run".into(), true)]);
        assert_eq!(names("./programs/..", package.path()).unwrap().len(), 2);
    }

    #[test]
    fn a_file_that_is_missing_or_would_replace_the_entry_point_is_named() {
        let package = package();
        fs::create_dir(package.path().join("nothing")).unwrap();
        for (include, expected) in
            [("none", "no such file"), ("bootstrap", "bootstrap would replace"), ("nothing", "contains no files")]
        {
            let error = format!("{:#}", names(include, package.path()).unwrap_err());
            assert!(error.starts_with(&format!("--include {include}: ")) && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_error_for_a_package_that_is_too_large_lists_its_five_largest_parts() {
        let file = |size: u64| Content { bytes: vec![0; size as usize], is_program: false };
        let mut contents: Contents = (1..=7).map(|n| (format!("{n}.bin"), file(n))).collect();
        check_size(&contents, |_| Vec::new()).unwrap();
        contents.insert("large.bin".into(), file(archive::UNZIPPED));
        let error = check_size(&contents, |_| Vec::new()).unwrap_err().to_string();
        let last: Vec<&str> = error.lines().skip(1).map(|line| line.split_whitespace().last().unwrap()).collect();
        assert_eq!(last, ["large.bin", "7.bin", "6.bin", "5.bin", "4.bin"]);
    }
}
