//! What is downloaded and compiled once for a machine. Several builds share the cache at the same time: each entry is
//! made under a lock, aside, and moved into place whole. What was damaged since is noticed and made again.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, thread, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{Access, access};
use tempfile::{NamedTempFile, TempDir};
use walkdir::{DirEntry, WalkDir};

use crate::{environment::path_in, files::At, interrupt, names, step::say};

/// A directory for all of it.
pub struct Cache {
    pub root: PathBuf,
}

/// The files of an entry with their sizes in bytes: what was cut off has another one.
type Listing = BTreeMap<PathBuf, u64>;

impl Cache {
    /// The directory that `LAMBDA_MUSL_CACHE` names, else one below the user's cache home.
    pub fn open() -> Result<Self> {
        let below_home = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
        let root = path_in("LAMBDA_MUSL_CACHE")
            .or_else(|| Some(path_in("XDG_CACHE_HOME").filter(|path| path.is_absolute())?.join("lambda-musl")))
            .or_else(|| Some(path_in("HOME")?.join(below_home).join("lambda-musl")))
            .context("neither LAMBDA_MUSL_CACHE nor HOME is set; expected one that says where the cache is")?;
        let created = fs::create_dir_all(&root).and_then(|()| root.canonicalize());
        let root = created.with_context(|| {
            format!("the cache {} cannot be used; LAMBDA_MUSL_CACHE names another directory", root.display())
        })?;
        // Scripts that call zig, and zig itself, read these as signs of their own.
        names::without(&root, ":%\n$\"\\`")
            .context("the cache cannot be used; LAMBDA_MUSL_CACHE names another directory")?;
        // One build as root is enough to make part of it root's.
        let entries = fs::read_dir(&root).at(&root)?.flatten().map(|entry| entry.path());
        let is_foreign = |path: &PathBuf| access(path, Access::WRITE_OK).is_err();
        if let Some(foreign) = [root.clone()].into_iter().chain(entries).find(is_foreign) {
            let (foreign, root) = (foreign.display(), root.display());
            bail!(
                "{foreign} cannot be written; `chown -R` gives {root} to this user, LAMBDA_MUSL_CACHE names another cache"
            );
        }
        Ok(Self { root })
    }

    /// A directory in the cache, which exists.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.join(name);
        if path.is_file() {
            remove(&path)?;
        }
        fs::create_dir_all(&path).at(&path)?;
        Ok(path)
    }

    /// A directory that goes with the value returned.
    pub fn temporary(&self, prefix: &str) -> Result<TempDir> {
        let directory = self.directory("tmp")?;
        // What was killed a day ago has left what nobody else removes.
        let is_old = |entry: &fs::DirEntry| {
            entry.metadata()?.modified().map(|time| time.elapsed().is_ok_and(|age| age.as_secs() > 24 * 60 * 60))
        };
        let left = fs::read_dir(&directory).at(&directory)?.flatten();
        left.filter(|entry| is_old(entry).unwrap_or(false)).try_for_each(|entry| remove(&entry.path()))?;
        tempfile::Builder::new().prefix(&format!("{prefix}.")).tempdir_in(&directory).at(&directory)
    }

    /// The directory of this name, which `make` fills where it is not there or damaged.
    pub fn entry(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let _lock = self.lock(name)?;
        let (path, listing) = (self.root.join(name), self.root.join(format!("{name}.json")));
        if is_whole(&path, &listing) {
            return Ok(path);
        }
        let new = path.with_file_name(format!(".{}.new", path.file_name().unwrap_or_default().display()));
        remove(&new)?;
        fs::create_dir_all(&new).at(&new)?;
        let made = make(&new).and_then(|()| {
            let files = list(&new);
            ensure!(!files.is_empty(), "what makes {name} has left nothing");
            [&path, &listing].into_iter().try_for_each(|path| remove(path))?;
            fs::rename(&new, &path).at(&path)?;
            write_whole(&listing, &serde_json::to_vec(&files)?)
        });
        if made.is_err() {
            let _ = remove(&new);
        }
        made.map(|()| path)
    }

    /// Runs what keeps a cache of its own, zig, which trusts all that it finds there. A build that is alone with it
    /// removes what builds that were stopped have left, and all of it where a file was damaged since the last build
    /// that ended alone.
    pub fn with_zig<T>(&self, run: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        let (path, listing) = (self.directory("zig")?, self.root.join("zig.json"));
        let lock = self.directory("locks")?.join("zig");
        let lock = File::create(&lock).at(&lock)?;
        if lock.try_lock().is_ok() {
            if listing.exists() && !is_whole(&path, &listing) {
                [&path, &listing].into_iter().try_for_each(|path| remove(path))?;
                self.directory("zig")?;
            }
            let listed = listed(&listing).unwrap_or_default();
            list(&path)
                .keys()
                .filter(|name| !listed.contains_key(*name))
                .try_for_each(|name| fs::remove_file(path.join(name)).at(path.join(name)))?;
        }
        lock.lock_shared()?;
        let result = run(&path)?;
        lock.unlock()?;
        if lock.try_lock().is_ok() {
            remove(&path.join("tmp"))?;
            let files = serde_json::to_vec(&list(&path))?;
            if fs::read(&listing).ok().as_ref() != Some(&files) {
                write_whole(&listing, &files)?;
            }
        }
        Ok(result)
    }

    /// Waits until no other build makes what is called so.
    pub fn lock(&self, name: &str) -> Result<File> {
        let path = self.directory("locks")?.join(name.replace('/', "-"));
        wait_for(File::create(&path).at(&path)?, name)
    }
}

/// Waits until no other build works in a directory, whatever its cache.
pub fn lock_directory(path: &Path) -> Result<File> {
    fs::create_dir_all(path).at(path)?;
    wait_for(File::open(path).at(path)?, &path.display().to_string())
}

fn wait_for(file: File, name: &str) -> Result<File> {
    let mut tries = 0;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(100)),
            result => return result.map(|()| file).with_context(|| format!("the lock of {name}")),
        }
        // After a second: who only looks whether it is whole is no reason to tell.
        if tries == 10 {
            say(&format!("waiting for another build that uses {name} …"));
        }
        tries += 1;
        interrupt::check()?;
    }
}

/// Writes beside `path`, then moves into place: at `path` there is a whole file or none.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write_all_whole(&[(path.to_owned(), bytes)], || ())
}

/// Writes files beside their paths and, once all of them are written, moves them into place in this order, after `clear`.
pub fn write_all_whole(files: &[(PathBuf, &[u8])], clear: impl FnOnce()) -> Result<()> {
    let written =
        files.iter().map(|(path, bytes)| beside(path, bytes).with_context(|| format!("writing {}", path.display())));
    let written = written.collect::<Result<Vec<_>>>()?;
    clear();
    for ((path, _), file) in files.iter().zip(written) {
        file.persist(path).map_err(|error| error.error).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn beside(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let everybody_may_read = fs::Permissions::from_mode(0o644);
    fs::create_dir_all(directory)?;
    let mut file = tempfile::Builder::new().permissions(everybody_may_read).tempfile_in(directory)?;
    file.as_file_mut().write_all(bytes)?;
    Ok(file)
}

/// Removes what is there, whatever it is.
fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).at(path),
        _ => Ok(()),
    }
}

fn listed(listing: &Path) -> Option<Listing> {
    serde_json::from_slice(&fs::read(listing).ok()?).ok()
}

/// Whether a directory has all of its files; says so where it had and has not any more.
fn is_whole(path: &Path, listing: &Path) -> bool {
    let listed = listed(listing);
    let is_damaged = |(name, size): &(&PathBuf, &u64)| {
        path.join(name).symlink_metadata().map(|metadata| metadata.len()).ok() != Some(**size)
    };
    let damaged = match &listed {
        Some(files) if path.is_dir() => files.iter().find(is_damaged).map(|(name, _)| name.as_path()),
        _ => Some(Path::new("its listing")),
    };
    if let Some(what) = damaged.filter(|_| path.exists()) {
        say(&format!("note: {} is damaged ({}): it is made again", path.display(), what.display()));
    }
    damaged.is_none()
}

/// All files and links below a directory. Those that vanish meanwhile are another build's to tidy up.
fn list(root: &Path) -> Listing {
    let entries = WalkDir::new(root).into_iter().flatten().filter(|entry| !entry.file_type().is_dir());
    let size = |entry: DirEntry| Some((entry.path().strip_prefix(root).ok()?.to_owned(), entry.metadata().ok()?.len()));
    entries.filter_map(size).collect()
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
        for (file, cut_off) in [("a/lib/a", Some("cont")), ("a/lib/a", None), ("a.json", Some("{"))] {
            let file = cache.root.join(file);
            cut_off.map_or_else(|| fs::remove_file(&file), |text| fs::write(&file, text)).unwrap();
            cache.entry("a", fill).unwrap();
            assert_eq!(fs::read_to_string(path.join("lib/a")).unwrap(), "content");
        }
    }

    #[test]
    fn an_entry_is_a_directory_with_files_whatever_was_in_its_place() {
        let (_directory, cache) = cache();
        fs::write(cache.root.join("a"), "").unwrap();
        fs::create_dir(cache.root.join("a.json")).unwrap();
        fs::write(cache.root.join("locks"), "").unwrap();
        assert!(cache.entry("a", |_| Ok(())).unwrap_err().to_string().contains("has left nothing"));
        assert!(cache.entry("a", fill).unwrap().join("lib/a").exists());
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
        cache.entry("a", |path| fill(path).and_then(|()| anyhow::bail!("no"))).unwrap_err();
        assert!(!cache.root.join("a").exists() && !cache.root.join(".a.new").exists());
    }

    #[test]
    fn the_cache_of_zig_starts_from_nothing_where_a_file_was_damaged_and_loses_what_was_stopped() {
        let (_directory, cache) = cache();
        let write = |name: &'static str| move |zig: &Path| Ok(fs::write(zig.join(name), "content")?);
        let exist = |zig: &Path| Ok(["a", "b"].map(|name| zig.join(name).exists()));
        cache.with_zig(write("a")).unwrap();
        let stopped = |zig: &Path| write("b")(zig).and_then(|()| anyhow::bail!("stopped"));
        cache.with_zig::<()>(stopped).unwrap_err();
        assert_eq!(cache.with_zig(exist).unwrap(), [true, false]);
        fs::write(cache.root.join("zig/a"), "cont").unwrap();
        assert_eq!(cache.with_zig(exist).unwrap(), [false, false]);
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
