//! What is downloaded and compiled once for a machine. Several builds share the cache at the same time: each entry is made
//! under a lock, aside, and moved into place whole. What was damaged since is noticed and made again.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use tempfile::TempDir;

use crate::{interrupt, step::say};

/// A directory for all of it.
pub struct Cache {
    root: PathBuf,
}

/// The files of an entry with their sizes in bytes: what was cut off has another one.
type Listing = BTreeMap<PathBuf, u64>;

impl Cache {
    /// The directory that `LAMBDA_MUSL_CACHE` names, else one below the user's cache home.
    pub fn open() -> Result<Self> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let below_home = match cfg!(target_os = "macos") {
            true => "Library/Caches",
            false => ".cache",
        };
        let root = set("LAMBDA_MUSL_CACHE")
            .or_else(|| Some(set("XDG_CACHE_HOME").filter(|path| path.is_absolute())?.join("lambda-musl")))
            .or_else(|| Some(set("HOME")?.join(below_home).join("lambda-musl")))
            .ok_or_else(|| anyhow!("neither LAMBDA_MUSL_CACHE nor HOME is set; expected one that says where the cache is"))?;
        fs::create_dir_all(&root)
            .and_then(|()| root.canonicalize())
            .map(|root| Self { root: root.clone() })
            .with_context(|| format!("the cache {} cannot be used; LAMBDA_MUSL_CACHE names another directory", root.display()))
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A directory in the cache, which exists.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.join(name);
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// A directory that goes with the value returned.
    pub fn temporary(&self, prefix: &str) -> Result<TempDir> {
        let directory = self.directory("tmp")?;
        let temporary = tempfile::Builder::new().prefix(&format!("{prefix}.")).tempdir_in(&directory);
        temporary.with_context(|| directory.display().to_string())
    }

    /// The directory of this name, which `make` fills where it is not there or damaged.
    pub fn entry(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let _lock = self.lock(name)?;
        let path = self.root.join(name);
        let listing = self.root.join(format!("{name}.json"));
        match damage(&path, &listing) {
            None => return Ok(path),
            Some(damage) if path.exists() => say(&format!("note: {} is damaged ({damage}): it is made again", path.display())),
            Some(_) => {}
        }
        let _ = fs::remove_file(&listing);
        let new = path.with_file_name(format!(".{}.new", path.file_name().unwrap_or_default().display()));
        for left in [&path, &new] {
            if left.exists() {
                fs::remove_dir_all(left).with_context(|| left.display().to_string())?;
            }
        }
        fs::create_dir_all(&new).with_context(|| new.display().to_string())?;
        let made = make(&new).and_then(|()| list(&new)).and_then(|files| {
            fs::rename(&new, &path).with_context(|| path.display().to_string())?;
            write_whole(&listing, serde_json::to_string(&files)?.as_bytes())
        });
        if made.is_err() {
            let _ = fs::remove_dir_all(&new);
        }
        made.map(|()| path)
    }

    /// Runs what reads and writes a directory of somebody else's in the cache, like zig's own cache. Where it was damaged since
    /// the last time, it starts from nothing.
    pub fn guarded<T>(&self, name: &str, run: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        let path = self.directory(name)?;
        let listing = self.root.join(format!("{name}.json"));
        {
            let _lock = self.lock(name)?;
            if let Some(damage) = damage(&path, &listing).filter(|_| listing.exists()) {
                say(&format!("note: {} is damaged ({damage}): it is made again", path.display()));
                fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
                fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
                fs::remove_file(&listing)?;
            }
        }
        let result = run(&path)?;
        let _lock = self.lock(name)?;
        let files = serde_json::to_string(&list(&path)?)?;
        if fs::read_to_string(&listing).ok().as_deref() != Some(&files) {
            write_whole(&listing, files.as_bytes())?;
        }
        Ok(result)
    }

    /// Waits until no other build makes what is called so.
    pub fn lock(&self, name: &str) -> Result<File> {
        let path = self.directory("locks")?.join(name.replace('/', "-"));
        let describe = || format!("the lock {}", path.display());
        let file = File::create(&path).with_context(describe)?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(error).with_context(describe),
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        say(&format!("waiting for another build that makes {name} …"));
                        told = true;
                    }
                    interrupt::check()?;
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }
}

/// Writes beside `path`, then moves into place: at `path` there is a whole file or none.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let directory = path.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = || -> std::io::Result<()> {
        fs::create_dir_all(directory)?;
        let mut file = tempfile::Builder::new().permissions(permissions()).tempfile_in(directory)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.persist(path)?;
        Ok(())
    };
    written().with_context(|| format!("writing {}", path.display()))
}

/// Those of a file that everybody may read.
fn permissions() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o644)
}

/// What is wrong with an entry, if anything is.
fn damage(path: &Path, listing: &Path) -> Option<String> {
    let Ok(text) = fs::read(listing) else {
        return Some("it is not listed".into());
    };
    let Ok(files) = serde_json::from_slice::<Listing>(&text) else {
        return Some("its listing cannot be read".into());
    };
    files.iter().find_map(|(name, size)| match path.join(name).symlink_metadata() {
        Ok(metadata) if metadata.len() == *size => None,
        Ok(metadata) => Some(format!("{} has {} bytes, expected {size}", name.display(), metadata.len())),
        Err(_) => Some(format!("{} is missing", name.display())),
    })
}

/// All files and links below a directory.
fn list(root: &Path) -> Result<Listing> {
    let mut listing = Listing::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            // Another build may tidy up in a directory that is not ours.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| directory.display().to_string()),
        };
        for entry in entries.flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => directories.push(entry.path()),
                Ok(metadata) => {
                    let name = entry.path().strip_prefix(root).unwrap_or(&entry.path()).to_owned();
                    listing.insert(name, metadata.len());
                }
                Err(_) => {}
            }
        }
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (TempDir, Cache) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_owned();
        (directory, Cache { root })
    }

    fn fill(path: &Path) -> Result<()> {
        fs::create_dir(path.join("lib"))?;
        fs::write(path.join("lib/a"), "content")?;
        Ok(())
    }

    #[test]
    fn an_entry_is_made_once() {
        let (_directory, cache) = cache();
        let first = cache.entry("wheels/a", fill).unwrap();
        let second = cache.entry("wheels/a", |_| panic!("it is there")).unwrap();
        assert_eq!(first, second);
        assert_eq!(fs::read_to_string(first.join("lib/a")).unwrap(), "content");
    }

    #[test]
    fn an_entry_of_which_any_file_is_cut_off_or_missing_is_made_again() {
        let (_directory, cache) = cache();
        let path = cache.entry("a", fill).unwrap();
        let file = path.join("lib/a");
        for damage in [|file: &Path| fs::write(file, "cont"), |file: &Path| fs::remove_file(file)] {
            damage(&file).unwrap();
            cache.entry("a", fill).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), "content");
        }
        fs::write(cache.root.join("a.json"), "{").unwrap();
        cache.entry("a", fill).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "content");
    }

    #[test]
    fn an_entry_that_was_interrupted_is_made_from_nothing() {
        let (_directory, cache) = cache();
        fs::create_dir(cache.root.join(".a.new")).unwrap();
        fs::write(cache.root.join(".a.new/half"), "").unwrap();
        fs::create_dir(cache.root.join("a")).unwrap();
        let path = cache.entry("a", fill).unwrap();
        assert!(path.join("lib/a").exists() && !path.join("half").exists());
    }

    #[test]
    fn an_entry_that_cannot_be_made_leaves_nothing() {
        let (_directory, cache) = cache();
        cache.entry("a", |path| fill(path).and_then(|()| Err(anyhow!("no")))).unwrap_err();
        assert!(!cache.root.join("a").exists() && !cache.root.join(".a.new").exists());
    }

    #[test]
    fn a_directory_of_somebody_else_starts_from_nothing_where_it_was_damaged() {
        let (_directory, cache) = cache();
        cache.guarded("zig", |path| Ok(fs::write(path.join("a"), "content")?)).unwrap();
        fs::write(cache.root.join("zig/a"), "cont").unwrap();
        cache
            .guarded("zig", |path| {
                assert!(!path.join("a").exists());
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let taken = directory.path().join("function.zip");
        fs::create_dir(&taken).unwrap();
        assert!(write_whole(&taken, b"zip").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
