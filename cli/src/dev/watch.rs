//! Watches files, and reports those that were saved.

use std::collections::{BTreeSet, HashMap, hash_map::DefaultHasher};
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use anyhow::{Context, Result};
use notify::{ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::files::read_regular;

/// The maximum size in bytes of a file that is read to compare its content.
const LONGEST: usize = 1 << 20;

/// The files and directories to watch.
#[derive(Default)]
pub struct Watched {
    /// Directories of packages, with everything below them except other packages.
    pub packages: BTreeSet<PathBuf>,
    /// Single files, which need not exist.
    pub files: BTreeSet<PathBuf>,
    /// Directories whose files are watched, without subdirectories.
    pub directories: BTreeSet<PathBuf>,
    /// Cargo's target directories, which are not watched.
    pub targets: BTreeSet<PathBuf>,
}

pub struct Watch {
    watcher: RecommendedWatcher,
    events: UnboundedReceiver<notify::Result<notify::Event>>,
    watched: Watched,
    directories: BTreeSet<PathBuf>,
    /// Whether git ignores a path, for the paths checked so far.
    ignored: HashMap<PathBuf, bool>,
    /// Hashes of the contents of changed files.
    contents: HashMap<PathBuf, Option<u64>>,
}

impl Watch {
    pub fn new() -> Result<Self> {
        let (sender, events) = unbounded_channel();
        let watcher = notify::recommended_watcher(move |event| {
            // The receiver may have been dropped at shutdown.
            let _ = sender.send(event);
        });
        let watcher = watcher.map_err(explain)?;
        let (watched, directories) = (Watched::default(), BTreeSet::new());
        Ok(Self { watcher, events, watched, directories, ignored: HashMap::new(), contents: HashMap::new() })
    }

    /// Replaces the watched files and directories.
    pub fn set(&mut self, watched: Watched) -> Result<()> {
        let around = watched.files.iter().filter_map(|file| file.parent());
        let alone = around.chain(watched.directories.iter().map(PathBuf::as_path)).filter(|path| path.is_dir());
        let mut directories: BTreeSet<PathBuf> = alone.map(Path::to_owned).collect();
        for package in &watched.packages {
            directories.extend(below(package, &watched.targets));
        }
        for old in self.directories.difference(&directories) {
            // The directory may have been removed.
            let _ = self.watcher.unwatch(old);
        }
        for new in directories.difference(&self.directories) {
            self.watcher.watch(new, RecursiveMode::NonRecursive).map_err(explain)?;
        }
        self.ignored.clear();
        (self.watched, self.directories) = (watched, directories);
        Ok(())
    }

    /// Waits for files that were saved, created or removed.
    pub async fn next(&mut self) -> Result<BTreeSet<PathBuf>> {
        loop {
            let event = self.events.recv().await.context("the file watcher has stopped")?;
            let mut changed = BTreeSet::new();
            self.add(event, &mut changed)?;
            while let Ok(event) = self.events.try_recv() {
                self.add(event, &mut changed)?;
            }
            if !changed.is_empty() {
                return Ok(changed);
            }
        }
    }

    fn add(&mut self, event: notify::Result<notify::Event>, changed: &mut BTreeSet<PathBuf>) -> Result<()> {
        let event = match event {
            Ok(event) => event,
            // The file was removed in the meantime.
            Err(error) if matches!(error.kind, ErrorKind::PathNotFound | ErrorKind::Io(_)) => return Ok(()),
            Err(error) => return Err(explain(error)),
        };
        if event.need_rescan() {
            // Some events were lost.
            changed.extend(self.watched.packages.iter().cloned());
        }
        if matches!(event.kind, EventKind::Access(_)) {
            return Ok(());
        }
        for path in event.paths {
            // As in `below`, links to directories are not followed.
            if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                self.add_directory(&path, changed)?;
            } else if self.is_watched(&path) {
                changed.insert(path);
            }
        }
        Ok(())
    }

    /// Adds a new directory to the watched ones, and the files that have been created in it by now to `changed`.
    fn add_directory(&mut self, path: &Path, changed: &mut BTreeSet<PathBuf>) -> Result<()> {
        let Some(package) = self.package_of(path).map(Path::to_owned) else { return Ok(()) };
        if self.directories.contains(path)
            || is_left_out(path, &self.watched.targets)
            || !ignored(&package, [path]).is_empty()
        {
            return Ok(());
        }
        for directory in below(path, &self.watched.targets) {
            // Another program may have removed the directory.
            if self.watcher.watch(&directory, RecursiveMode::NonRecursive).is_err() {
                continue;
            }
            let files = fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path());
            changed.extend(files.filter(|path| path.is_file() && self.is_watched(path)));
        }
        Ok(())
    }

    fn package_of(&self, path: &Path) -> Option<&Path> {
        // Packages may be nested.
        let around = self.watched.packages.iter().filter(|package| path.starts_with(package));
        around.max_by_key(|package| package.components().count()).map(PathBuf::as_path)
    }

    fn is_watched(&mut self, path: &Path) -> bool {
        let directory = path.parent().unwrap_or(path);
        if self.watched.files.contains(path) || self.watched.directories.contains(directory) {
            return true;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == ".gitignore" {
            self.ignored.clear();
        }
        // Editors write files with such names next to the edited file.
        if name.starts_with(['.', '#']) || name.ends_with(['~', '#']) || name.parse::<u32>().is_ok() {
            return false;
        }
        let Some(package) = self.package_of(path).map(Path::to_owned) else { return false };
        let is_ignored = self.ignored.entry(path.to_owned());
        !*is_ignored.or_insert_with(|| !ignored(&package, [path]).is_empty())
    }

    /// Whether the content of a file has changed since the last call.
    pub fn is_another(&mut self, path: &Path) -> bool {
        let content = match path.metadata() {
            Ok(metadata) if metadata.len() > LONGEST as u64 || metadata.is_dir() => return true,
            _ => read_regular(path, LONGEST).ok().map(|bytes| {
                let mut hasher = DefaultHasher::new();
                bytes.hash(&mut hasher);
                hasher.finish()
            }),
        };
        self.contents.insert(path.to_owned(), content) != Some(content)
    }
}

fn is_left_out(path: &Path, targets: &BTreeSet<PathBuf>) -> bool {
    let name = path.file_name().unwrap_or_default();
    // Cargo marks the target directories of other projects with CACHEDIR.TAG as well. A nested package that is a dependency has its
    // own entry in `packages`.
    [".git", ".hg", ".jj", ".svn"].iter().any(|other| name == *other)
        || targets.contains(path)
        || path.join("CACHEDIR.TAG").exists()
        || path.join("Cargo.toml").exists()
}

/// A directory and its subdirectories, except directories that git ignores, target directories and other packages.
fn below(root: &Path, targets: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let (mut all, mut level) = (Vec::new(), vec![root.to_owned()]);
    while !level.is_empty() {
        all.extend(level.iter().cloned());
        let entries = level.iter().flat_map(|path| fs::read_dir(path).into_iter().flatten().flatten());
        let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let next: Vec<PathBuf> =
            directories.map(|entry| entry.path()).filter(|path| !is_left_out(path, targets)).collect();
        let ignored = ignored(root, next.iter().map(PathBuf::as_path));
        level = next.into_iter().filter(|path| !ignored.contains(path)).collect();
    }
    all
}

/// The paths that git ignores. Without git, there are none.
fn ignored<'a>(directory: &Path, paths: impl IntoIterator<Item = &'a Path>) -> BTreeSet<PathBuf> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let paths = paths.into_iter().map(|path| path.as_os_str().as_bytes());
    let input: Vec<u8> = paths.flat_map(|path| [path, b"\0"].concat()).collect();
    if input.is_empty() {
        return BTreeSet::new();
    }
    let ask = || -> io::Result<Vec<u8>> {
        let mut git = Command::new("git");
        git.arg("-C").arg(directory).args(["check-ignore", "-z", "--stdin"]);
        let mut git = git.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut stdin = git.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        // The paths are written on a separate thread, because git starts to write before it has read everything.
        let asking = std::thread::spawn(move || stdin.write_all(&input));
        let output = git.wait_with_output()?.stdout;
        let _ = asking.join();
        Ok(output)
    };
    let paths = ask().unwrap_or_default();
    let paths = paths.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    paths.map(|path| std::ffi::OsString::from_vec(path.to_vec()).into()).collect()
}

/// Adds advice to an error if the system's limit on watched files is reached.
fn explain(error: notify::Error) -> anyhow::Error {
    let is_full = match &error.kind {
        ErrorKind::Io(error) => error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()),
        kind => matches!(kind, ErrorKind::MaxFilesWatch),
    };
    anyhow::Error::from(error).context(match is_full {
        true => {
            "the system's limit on watched files is reached; raise it with `sudo sysctl \
            fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=1024`"
        }
        false => "watching files",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    /// A package with some directories to watch and some to ignore.
    fn package() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for path in ["src/deep", "data", "other/src", "target/debug", "elsewhere/debug", ".git"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        for path in ["Cargo.toml", "other/Cargo.toml", "elsewhere/CACHEDIR.TAG"] {
            fs::write(root.join(path), "").unwrap();
        }
        fs::remove_dir(root.join(".git")).unwrap();
        let is_made =
            Command::new("git").args(["init", "--quiet"]).arg(root).status().is_ok_and(|status| status.success());
        assert!(is_made, "these tests need git");
        fs::write(root.join(".gitignore"), "data\n*.log\n").unwrap();
        directory
    }

    fn watched(root: &Path) -> Watched {
        Watched {
            packages: [root.to_owned()].into(),
            files: [root.join("data/.env")].into(),
            directories: [root.join("events")].into(),
            targets: [root.join("target")].into(),
        }
    }

    #[test]
    fn a_package_is_watched_without_other_packages_target_directories_and_ignored_files() {
        let directory = package();
        let root = directory.path();
        let expected = ["", "src", "src/deep"].map(|path| root.join(path).components().collect::<PathBuf>());
        assert_eq!(below(root, &watched(root).targets), expected);
        let paths = ["src/a.log", "src/a.rs"].map(|path| root.join(path));
        assert_eq!(ignored(root, paths.iter().map(PathBuf::as_path)), [paths[0].clone()].into());
        assert!(ignored(Path::new("/nowhere"), [Path::new("/nowhere/a")]).is_empty());
    }

    #[tokio::test]
    async fn files_are_reported_when_they_are_saved_moved_removed_or_in_a_new_directory() {
        let directory = package();
        let root = directory.path();
        let mut watch = Watch::new().unwrap();
        watch.set(watched(root)).unwrap();
        let seen = async |watch: &mut Watch, expected: &str| {
            let mut seen = BTreeSet::new();
            while let Ok(changed) = timeout(Duration::from_millis(200), watch.next()).await {
                seen.extend(changed.unwrap().into_iter().map(|path| path.strip_prefix(root).unwrap().to_owned()));
            }
            let expected: BTreeSet<PathBuf> = expected.split_whitespace().map(Into::into).collect();
            assert_eq!(seen, expected);
        };
        for path in
            ["src/a.rs", "src/a.log", "src/.a.rs.swp", "src/4913", "other/src/b.rs", "target/c", "data/d", "data/.env"]
        {
            fs::write(root.join(path), "1").unwrap();
        }
        seen(&mut watch, "src/a.rs data/.env").await;
        assert!(watch.is_another(&root.join("src/a.rs")));
        assert!(!watch.is_another(&root.join("src/a.rs")), "its content is the same");
        fs::rename(root.join("src/.a.rs.swp"), root.join("src/a.rs")).unwrap();
        seen(&mut watch, "src/a.rs").await;
        fs::create_dir_all(root.join("src/new/deep")).unwrap();
        fs::write(root.join("src/new/deep/e.rs"), "1").unwrap();
        fs::create_dir(root.join("events")).unwrap();
        fs::write(root.join("events/f.log"), "1").unwrap();
        seen(&mut watch, "src/new/deep/e.rs events/f.log").await;
        fs::remove_file(root.join("src/new/deep/e.rs")).unwrap();
        seen(&mut watch, "src/new/deep/e.rs").await;
        assert!(watch.is_another(&root.join("src/new/deep/e.rs")));
    }

    #[tokio::test]
    async fn links_to_directories_are_not_followed_and_only_regular_files_are_read() {
        let directory = package();
        let root = directory.path();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::create_dir(elsewhere.path().join("deep")).unwrap();
        fs::write(elsewhere.path().join("deep/a.rs"), "1").unwrap();
        let mut watch = Watch::new().unwrap();
        watch.set(watched(root)).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), root.join("src/link")).unwrap();
        assert_eq!(watch.next().await.unwrap(), [root.join("src/link")].into());
        let pipe = root.join("src/pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(watch.next().await.unwrap(), [pipe.clone()].into());
        assert!(watch.is_another(&pipe) && !watch.is_another(&pipe));
        std::os::unix::fs::symlink("/dev/zero", root.join("src/zero")).unwrap();
        assert!(watch.is_another(&root.join("src/zero")));
    }
}
