//! Lets `invoke --dev` find a running server, through a file in the project's target directory that the server keeps locked while
//! it runs.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{cache::lock_directory, files::At};

/// The description of a server in its file.
#[derive(Deserialize, Serialize)]
pub struct Server {
    pub port: u16,
    /// The names of its functions.
    pub functions: Vec<String>,
}

/// A running server's directory, which is removed when the value is dropped.
pub struct Directory {
    pub path: PathBuf,
    target: PathBuf,
    server: Server,
    _lock: File,
}

fn directory(target: &Path) -> PathBuf {
    target.join("lambda-musl-dev")
}

const FILE: &str = "server.json";

impl Directory {
    /// Creates the directory of a server.
    pub fn create(target: &Path, server: Server) -> Result<Self> {
        let path = directory(target).join(server.port.to_string());
        let _lock = Self::write(target, &path, &server)?;
        Ok(Self { path, target: target.to_owned(), server, _lock })
    }

    /// Whether the server's file, by which `invoke --dev` finds the server, still exists. `cargo clean` removes the
    /// file.
    pub fn is_there(&self) -> bool {
        self.path.join(FILE).exists()
    }

    /// Creates the directory again if it was removed.
    pub fn restore(&mut self) -> Result<()> {
        if !self.is_there() {
            self._lock = Self::write(&self.target, &self.path, &self.server)?;
        }
        Ok(())
    }

    /// Creates the directory and the server's file, and returns the locked file.
    fn write(target: &Path, path: &Path, server: &Server) -> Result<File> {
        let is_new = !target.exists();
        let _lock_of_all = lock_directory(&directory(target))?;
        // Killed servers leave their directories behind.
        for left in entries(target).filter(|(_, is_running)| !is_running).map(|(path, _)| path) {
            fs::remove_dir_all(&left).at(&left)?;
        }
        fs::create_dir_all(path).at(path)?;
        if is_new {
            // Mark a new target directory as cargo does, so that backup programs skip it.
            let tag = target.join("CACHEDIR.TAG");
            fs::write(&tag, "Signature: 8a477f597d28d172789f06886806bc55\n").at(&tag)?;
        }
        let file = path.join(FILE);
        let lock = File::options().create(true).write(true).truncate(false).open(&file).at(&file)?;
        lock.try_lock().with_context(|| format!("{} is locked by another program", file.display()))?;
        fs::write(&file, serde_json::to_vec(server)?).at(&file)?;
        Ok(lock)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The directories of servers, and whether each server is running.
fn entries(target: &Path) -> impl Iterator<Item = (PathBuf, bool)> {
    let is_held = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    let entries = fs::read_dir(directory(target)).into_iter().flatten().flatten();
    entries.map(move |entry| (entry.path(), File::open(entry.path().join(FILE)).is_ok_and(is_held)))
}

/// The running servers of a project.
pub fn servers(target: &Path) -> Vec<Server> {
    let running = entries(target).filter(|(_, is_running)| *is_running);
    running.filter_map(|(path, _)| serde_json::from_slice(&fs::read(path.join(FILE)).ok()?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_found_while_it_runs_and_leaves_no_files_behind() {
        let target = tempfile::tempdir().unwrap();
        let server = |port| Server { port, functions: vec!["greeting".into()] };
        let mut running = Directory::create(target.path(), server(9000)).unwrap();
        let killed = Directory::create(target.path(), server(9001)).unwrap();
        killed._lock.unlock().unwrap();
        let found = servers(target.path());
        assert_eq!(found.iter().map(|server| server.port).collect::<Vec<_>>(), [9000]);
        assert!(Directory::create(target.path(), server(9000)).is_err());
        let left = killed.path.clone();
        let _another = Directory::create(target.path(), server(9002)).unwrap();
        assert!(!left.exists(), "the next server removes it");
        fs::remove_dir_all(target.path()).unwrap();
        assert!(!running.is_there());
        running.restore().unwrap();
        assert!(running.is_there() && target.path().join("CACHEDIR.TAG").exists());
        assert_eq!(servers(target.path()).len(), 1, "a removed directory is created again");
        let path = running.path.clone();
        drop(running);
        assert!(!path.exists());
    }
}
