//! The source of the runtime for a new function.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use toml::{Table, Value};

/// The repository of this program, which contains the runtime at the tag of this program's version.
pub const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// The owner in the URL of a repository that has not been published.
const PLACEHOLDER: &str = "/OWNER/";

pub enum Runtime {
    Path(PathBuf),
    Git(String),
}

impl Runtime {
    /// The given runtime. The default is the clone in which this program was compiled or, without a clone, [`REPOSITORY`].
    pub fn named(name: Option<&str>) -> Result<Self> {
        match name {
            Some(url) if url.contains("://") => {
                // The URL is written to a manifest, a workflow and a README.
                let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/@%+=".contains(c);
                ensure!(url.chars().all(is_plain), "--runtime {url}: expected a URL without spaces, quotes, ? or #");
                Ok(Self::Git(url.into()))
            }
            Some(directory) => {
                let expected = "expected the directory of a clone of lambda-musl, or a URL";
                let describe = || format!("--runtime {directory}: {expected}");
                let directory = fs::canonicalize(directory).with_context(describe)?;
                ensure!(version(&directory).is_some(), describe());
                Ok(Self::Path(directory))
            }
            None => Ok(clone().map_or_else(|| Self::Git(REPOSITORY.into()), Self::Path)),
        }
    }

    /// The keys of the dependency on the runtime in a manifest.
    pub fn keys(&self) -> String {
        let quoted = |text: &str| Value::from(text).to_string();
        match self {
            Self::Path(path) => format!("path = {}", quoted(&path.to_string_lossy())),
            Self::Git(url) => format!("git = {}, tag = \"v{}\"", quoted(url), env!("CARGO_PKG_VERSION")),
        }
    }

    /// The reason why a package with this runtime cannot be built elsewhere, or at all, and what to do.
    pub fn fault(&self) -> Option<String> {
        match self {
            Self::Path(path) => Some(format!(
                "the runtime is {}, which other machines do not have; to build the package on them, name a repository in \
                 Cargo.toml (--runtime URL)",
                path.display()
            )),
            Self::Git(url) if url.contains(PLACEHOLDER) => Some(format!(
                "{url} has a placeholder for its owner: replace it with the repository's owner, or name a clone with --runtime DIR"
            )),
            Self::Git(_) => None,
        }
    }

    pub fn is_placeholder(&self) -> bool {
        matches!(self, Self::Git(url) if url.contains(PLACEHOLDER))
    }
}

/// The clone in which this program was compiled, if it still exists. Cargo's own checkouts do not count.
fn clone() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let is_clone = version(root)? == env!("CARGO_PKG_VERSION") && !root.join(".cargo-ok").exists();
    is_clone.then(|| root.to_owned())
}

/// The version of the runtime in a directory.
fn version(directory: &Path) -> Option<String> {
    let manifest: Table = toml::from_str(&fs::read_to_string(directory.join("Cargo.toml")).ok()?).ok()?;
    let package = manifest.get("package").filter(|package| package.get("name") == Some(&"lambda-musl".into()))?;
    package.get("version")?.as_str().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_the_directory_of_a_clone_or_a_url_with_the_tag_of_this_version() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let path = Runtime::named(root.to_str()).unwrap().keys();
        assert_eq!(path, format!("path = \"{}\"", root.display()));
        let git = Runtime::named(Some("https://example.com/a")).unwrap().keys();
        assert_eq!(git, format!("git = \"https://example.com/a\", tag = \"v{}\"", env!("CARGO_PKG_VERSION")));
        for (name, expected) in [
            ("nowhere", "expected the directory of a clone"),
            (env!("CARGO_MANIFEST_DIR"), "expected the directory of a clone"),
            ("https://example.com/a b", "expected a URL without"),
            ("https://example.com/'$(id)'", "expected a URL without"),
        ] {
            let error = Runtime::named(Some(name)).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
