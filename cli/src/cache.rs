//! The cache of everything that is downloaded or compiled once per machine. Several builds can use it at the same time:
//! each entry is created in a temporary directory while a lock is held, and moved to its path when it is complete. A damaged
//! entry is detected and created again.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, thread, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{Access, access};
use tempfile::{NamedTempFile, TempDir};
use walkdir::{DirEntry, WalkDir};

use crate::{environment::path_in, files::At, interrupt, names, step::say};

/// A cache and its root directory.
pub struct Cache {
    pub root: PathBuf,
}

/// The files of an entry with their sizes in bytes, which reveal a truncated file.
type Listing = BTreeMap<PathBuf, u64>;

/// The file in zig's cache that exists if zig may have changed other files there.
const CHANGED: &str = "changed";

impl Cache {
    /// Opens the directory that `LAMBDA_MUSL_CACHE` names, or one in the user's cache directory.
    pub fn open() -> Result<Self> {
        let below_home = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
        let root = path_in("LAMBDA_MUSL_CACHE")
            .or_else(|| Some(path_in("XDG_CACHE_HOME").filter(|path| path.is_absolute())?.join("lambda-musl")))
            .or_else(|| Some(path_in("HOME")?.join(below_home).join("lambda-musl")))
            .context("neither LAMBDA_MUSL_CACHE nor HOME is set; set one of them to locate the cache")?;
        let created = fs::create_dir_all(&root).and_then(|()| root.canonicalize());
        let root = created.with_context(|| {
            format!("the cache {} cannot be used; set LAMBDA_MUSL_CACHE to another directory", root.display())
        })?;
        // These characters have a special meaning for zig or for the scripts that call it.
        names::without(&root, ":%\n$\"\\`")
            .context("the cache cannot be used; set LAMBDA_MUSL_CACHE to another directory")?;
        // A single build as root leaves files that only root can write.
        let entries = fs::read_dir(&root).at(&root)?.flatten().map(|entry| entry.path());
        let is_foreign = |path: &PathBuf| access(path, Access::WRITE_OK).is_err();
        if let Some(foreign) = [root.clone()].into_iter().chain(entries).find(is_foreign) {
            let (foreign, root) = (foreign.display(), root.display());
            bail!(
                "{foreign} is not writable; give {root} to this user with `chown -R`, or set LAMBDA_MUSL_CACHE to another directory"
            );
        }
        Ok(Self { root })
    }

    /// A directory in the cache, created if it does not exist.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.join(name);
        if path.is_file() {
            remove(&path)?;
        }
        fs::create_dir_all(&path).at(&path)?;
        Ok(path)
    }

    /// A temporary directory, removed when the returned value is dropped.
    pub fn temporary(&self, prefix: &str) -> Result<TempDir> {
        let directory = self.directory("tmp")?;
        // Directories older than a day are from builds that were killed; nothing else removes them.
        let is_old = |entry: &fs::DirEntry| {
            entry.metadata()?.modified().map(|time| time.elapsed().is_ok_and(|age| age.as_secs() > 24 * 60 * 60))
        };
        let left = fs::read_dir(&directory).at(&directory)?.flatten();
        left.filter(|entry| is_old(entry).unwrap_or(false)).try_for_each(|entry| remove(&entry.path()))?;
        tempfile::Builder::new().prefix(&format!("{prefix}.")).tempdir_in(&directory).at(&directory)
    }

    /// The directory with this name. If it is missing or damaged, this function calls `make` to fill it.
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
            ensure!(!files.is_empty(), "creating {name} left no files");
            [&path, &listing].into_iter().try_for_each(|path| remove(path))?;
            fs::rename(&new, &path).at(&path)?;
            write_whole(&listing, &serde_json::to_vec(&files)?)
        });
        if made.is_err() {
            let _ = remove(&new);
        }
        made.map(|()| path)
    }

    /// Calls `run` with the directory of zig's cache. Zig trusts everything in this cache. If no other build uses the cache at the
    /// start, this function removes the files that interrupted builds left behind, or the complete cache if a listed file is
    /// damaged. If no other build uses the cache at the end, this function lists the files in it. `run` must call [`zig_compiles`]
    /// before zig compiles.
    pub fn with_zig<T>(&self, run: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        let (path, listing) = (self.directory("zig")?, self.root.join("zig.json"));
        let lock = self.directory("locks")?.join("zig");
        let lock = File::create(&lock).at(&lock)?;
        if lock.try_lock().is_ok() {
            let (found, listed) = (list(&path), listed(&listing));
            if listing.exists() && is_damaged(&path, listed.as_ref(), |name| found.get(name).copied()) {
                [&path, &listing].into_iter().try_for_each(|path| remove(path))?;
                self.directory("zig")?;
            } else {
                let listed = listed.unwrap_or_default();
                let left = found.keys().filter(|name| !listed.contains_key(*name)).map(|name| path.join(name));
                left.into_iter().try_for_each(|left| fs::remove_file(&left).at(left))?;
            }
        }
        lock.lock_shared()?;
        let result = run(&path)?;
        lock.unlock()?;
        // There may be tens of thousands of files, so they are listed only if they may have changed.
        if path.join(CHANGED).exists() && lock.try_lock().is_ok() {
            [CHANGED, "tmp"].into_iter().try_for_each(|name| remove(&path.join(name)))?;
            write_whole(&listing, &serde_json::to_vec(&list(&path))?)?;
        }
        Ok(result)
    }

    /// Waits until no other build is creating the entry with this name, and locks the entry.
    pub fn lock(&self, name: &str) -> Result<File> {
        let path = self.directory("locks")?.join(name.replace('/', "-"));
        wait_for(File::create(&path).at(&path)?, name)
    }
}

/// Marks zig's cache as one in which zig may have added or changed files.
pub fn zig_compiles(zig_cache: &Path) -> Result<()> {
    let changed = zig_cache.join(CHANGED);
    File::create(&changed).map(drop).at(changed)
}

/// Locks a directory once no other build is working in it. The lock also keeps out builds with a different cache.
pub fn lock_directory(path: &Path) -> Result<File> {
    fs::create_dir_all(path).at(path)?;
    wait_for(File::open(path).at(path)?, &path.display().to_string())
}

fn wait_for(file: File, name: &str) -> Result<File> {
    let mut tries = 0;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(100)),
            result => return result.map(|()| file).with_context(|| format!("locking {name}")),
        }
        // Print this only after a second: a build that only checks an entry releases the lock sooner.
        if tries == 10 {
            say(&format!("waiting for another build that uses {name} …"));
        }
        tries += 1;
        interrupt::check()?;
    }
}

/// Writes a file next to `path` and then moves it to `path`, which therefore never holds a partial file.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write_all_whole(&[(path.to_owned(), bytes)], || ())
}

/// Writes files next to their destinations. When all are written, calls `clear` and moves the files to their destinations in
/// the given order.
pub fn write_all_whole(files: &[(PathBuf, &[u8])], clear: impl FnOnce()) -> Result<()> {
    let everyone_may_read = 0o644;
    let written = files.iter().map(|(path, bytes)| {
        beside(path, bytes, everyone_may_read).with_context(|| format!("writing {}", path.display()))
    });
    let written = written.collect::<Result<Vec<_>>>()?;
    clear();
    for ((path, _), file) in files.iter().zip(written) {
        file.persist(path).map_err(|error| error.error).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// Like [`write_whole`], but only this user can read the file.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = beside(path, bytes, 0o600).and_then(|file| Ok(file.persist(path)?));
    written.map(drop).with_context(|| format!("writing {}", path.display()))
}

fn beside(path: &Path, bytes: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let permissions = fs::Permissions::from_mode(mode);
    let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(directory)?;
    file.as_file_mut().write_all(bytes)?;
    Ok(file)
}

/// Removes a file, link or directory, if it exists.
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

/// Whether a directory has all its files. Prints a note if it exists and is damaged.
fn is_whole(path: &Path, listing: &Path) -> bool {
    let size = |name: &Path| Some(path.join(name).symlink_metadata().ok()?.len());
    !is_damaged(path, listed(listing).as_ref(), size)
}

/// Whether a listed file is missing or has a size other than the listed one. If so, and if the directory exists, prints a note.
fn is_damaged(path: &Path, listed: Option<&Listing>, size: impl Fn(&Path) -> Option<u64>) -> bool {
    let damaged = match listed {
        Some(files) if path.is_dir() => {
            files.iter().find(|(name, listed)| size(name) != Some(**listed)).map(|(name, _)| name.as_path())
        }
        _ => Some(Path::new("its listing")),
    };
    if let Some(what) = damaged.filter(|_| path.exists()) {
        say(&format!("note: {} is damaged ({}) and will be created again", path.display(), what.display()));
    }
    damaged.is_some()
}

/// All files and links below a directory. A file that disappears during the walk is skipped: another build removed it.
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
    fn an_entry_is_created_once() {
        let (_directory, cache) = cache();
        let first = cache.entry("wheels/a", fill).unwrap();
        let second = cache.entry("wheels/a", |_| panic!("it exists already")).unwrap();
        assert_eq!(first, second);
        assert_eq!(fs::read_to_string(first.join("lib/a")).unwrap(), "content");
    }

    #[test]
    fn an_entry_with_a_truncated_or_missing_file_is_created_again() {
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
    fn an_entry_replaces_files_and_directories_at_its_paths() {
        let (_directory, cache) = cache();
        fs::write(cache.root.join("a"), "").unwrap();
        fs::create_dir(cache.root.join("a.json")).unwrap();
        fs::write(cache.root.join("locks"), "").unwrap();
        assert!(cache.entry("a", |_| Ok(())).unwrap_err().to_string().contains("left no files"));
        assert!(cache.entry("a", fill).unwrap().join("lib/a").exists());
    }

    #[test]
    fn an_interrupted_entry_is_created_from_scratch() {
        let (_directory, cache) = cache();
        fs::create_dir(cache.root.join(".a.new")).unwrap();
        fs::write(cache.root.join(".a.new/half"), "").unwrap();
        fs::create_dir(cache.root.join("a")).unwrap();
        let path = cache.entry("a", fill).unwrap();
        assert!(path.join("lib/a").exists() && !path.join("half").exists());
    }

    #[test]
    fn an_entry_that_cannot_be_created_leaves_nothing_behind() {
        let (_directory, cache) = cache();
        cache.entry("a", |path| fill(path).and_then(|()| anyhow::bail!("no"))).unwrap_err();
        assert!(!cache.root.join("a").exists() && !cache.root.join(".a.new").exists());
    }

    #[test]
    fn zigs_cache_starts_over_after_damage_and_loses_the_files_of_interrupted_builds() {
        let (_directory, cache) = cache();
        let write = |name: &'static str| {
            move |zig: &Path| {
                zig_compiles(zig)?;
                Ok(fs::write(zig.join(name), "content")?)
            }
        };
        let exist = |zig: &Path| Ok(["a", "b"].map(|name| zig.join(name).exists()));
        cache.with_zig(write("a")).unwrap();
        let stopped = |zig: &Path| write("b")(zig).and_then(|()| anyhow::bail!("stopped"));
        cache.with_zig::<()>(stopped).unwrap_err();
        assert_eq!(cache.with_zig(exist).unwrap(), [true, false]);
        fs::write(cache.root.join("zig/a"), "cont").unwrap();
        assert_eq!(cache.with_zig(exist).unwrap(), [false, false]);
    }

    #[test]
    fn a_file_is_written_completely_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let taken = directory.path().join("function.zip");
        fs::create_dir(&taken).unwrap();
        assert!(write_whole(&taken, b"zip").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
