//! Tracks whether all saved files are compiled. An event can arrive before the system's notification that a file was saved, so the
//! files themselves are checked as well.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use tokio::{sync::watch, time::timeout};

use super::process::lock;

/// How long to wait for the system's notification of a saved file.
const NOTICE: Duration = Duration::from_millis(500);

/// How long an event waits for the compiler.
const HOLD: Duration = Duration::from_secs(15 * 60);

pub struct Saved {
    /// Whether all saved files that are known so far are compiled.
    ready: watch::Sender<bool>,
    /// The sources of the last build, with their modification times.
    sources: Mutex<Vec<(PathBuf, Option<SystemTime>)>>,
}

impl Saved {
    pub fn new() -> Self {
        Self { ready: watch::channel(false).0, sources: Mutex::default() }
    }

    /// Records that a file was saved.
    pub fn begin(&self) {
        self.ready.send_replace(false);
    }

    /// Records that these sources were compiled. `is_ready` is true if no file was saved in the meantime.
    pub fn end(&self, sources: impl IntoIterator<Item = PathBuf>, is_ready: bool) {
        let sources = sources.into_iter().map(|path| (time(&path), path)).map(|(time, path)| (path, time));
        *lock(&self.sources) = sources.collect();
        self.ready.send_replace(is_ready);
    }

    /// Waits until all files saved so far are compiled.
    pub async fn compiled(&self) {
        let mut ready = self.ready.subscribe();
        if self.is_newer() {
            // The wait has a limit, because no build begins if the content is the same as before.
            let _ = timeout(NOTICE, ready.wait_for(|ready| !ready)).await;
        }
        let _ = timeout(HOLD, ready.wait_for(|ready| *ready)).await;
    }

    /// Whether a file has been saved since the last call.
    fn is_newer(&self) -> bool {
        let mut is_newer = false;
        for (path, known) in lock(&self.sources).iter_mut() {
            let time = time(path);
            is_newer |= time != *known;
            *known = time;
        }
        is_newer
    }
}

fn time(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[tokio::test]
    async fn an_event_waits_for_a_saved_file_without_a_notification() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("main.rs");
        fs::write(&source, "one").unwrap();
        let saved = Saved::new();
        saved.end([source.clone()], true);
        let is_compiled = async || timeout(Duration::from_millis(50), saved.compiled()).await.is_ok();
        assert!(is_compiled().await);
        let later = SystemTime::now() + Duration::from_secs(1);
        fs::File::options().write(true).open(&source).unwrap().set_modified(later).unwrap();
        assert!(!is_compiled().await);
        saved.begin();
        assert!(!is_compiled().await);
        saved.end([source], true);
        assert!(is_compiled().await);
    }
}
