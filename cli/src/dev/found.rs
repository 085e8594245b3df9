//! How `invoke --dev` finds a server: by a file in the project's target directory, which the server keeps locked as long as it
//! runs.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::files::At;

/// What a server says of itself.
#[derive(Deserialize, Serialize)]
pub struct Server {
    pub port: u16,
    /// The names of its functions.
    pub functions: Vec<String>,
}

/// A directory of a running server, which goes with this.
pub struct Directory {
    pub path: PathBuf,
    _lock: File,
}

fn directory(target: &Path) -> PathBuf {
    target.join("lambda-musl-dev")
}

const FILE: &str = "server.json";

impl Directory {
    /// Makes the directory of the server on a port.
    pub fn create(target: &Path, server: &Server) -> Result<Self> {
        let path = directory(target).join(server.port.to_string());
        let is_new = !target.exists();
        fs::create_dir_all(&path).at(&path)?;
        if is_new {
            // As cargo does where it makes the directory itself: backups leave it out.
            let tag = target.join("CACHEDIR.TAG");
            fs::write(&tag, "Signature: 8a477f597d28d172789f06886806bc55\n").at(&tag)?;
        }
        let file = path.join(FILE);
        let lock = File::options().create(true).write(true).truncate(false).open(&file).at(&file)?;
        // Whoever had this port before was killed.
        let locked = lock.try_lock();
        ensure!(locked.is_ok(), "{}: another server holds it; remove it and start again", file.display());
        fs::write(&file, serde_json::to_vec(server)?).at(&file)?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The servers that run for a project.
pub fn servers(target: &Path) -> Vec<Server> {
    let entries = fs::read_dir(directory(target)).into_iter().flatten().flatten();
    let server = |entry: fs::DirEntry| {
        let path = entry.path().join(FILE);
        let runs = matches!(File::open(&path).ok()?.try_lock_shared(), Err(TryLockError::WouldBlock));
        serde_json::from_slice(&fs::read(&path).ok()?).ok().filter(|_| runs)
    };
    entries.filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_found_while_it_runs_and_leaves_nothing() {
        let target = tempfile::tempdir().unwrap();
        let server = |port| Server { port, functions: vec!["greeting".into()] };
        let running = Directory::create(target.path(), &server(9000)).unwrap();
        let killed = Directory::create(target.path(), &server(9001)).unwrap();
        killed._lock.unlock().unwrap();
        let found = servers(target.path());
        assert_eq!(found.iter().map(|server| server.port).collect::<Vec<_>>(), [9000]);
        assert!(Directory::create(target.path(), &server(9000)).is_err());
        assert!(Directory::create(target.path(), &server(9001)).is_ok(), "its port is free again");
        let path = running.path.clone();
        drop(running);
        assert!(!path.exists());
    }
}
