//! Finds out whether a new package would belong to a workspace above it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use glob::Pattern;
use toml::{Table, Value};

use crate::files::At;

/// The workspace above a package.
#[derive(Debug, Eq, PartialEq)]
pub enum Above {
    Nothing,
    /// A workspace that does not list the package as a member. Cargo would reject the package.
    Stranger(PathBuf),
    /// A workspace with a pattern in `members` that matches the package.
    Member(PathBuf),
}

/// Searches for the workspace in the same way as cargo.
pub fn above(package: &Path) -> Result<Above> {
    for directory in package.ancestors().skip(1) {
        let manifest = directory.join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&manifest) else { continue };
        let table: Table = toml::from_str(&text).at(&manifest)?;
        let Some(workspace) = table.get("workspace") else { continue };
        let path = package.strip_prefix(directory).unwrap_or(package);
        let list = |key: &str| -> Vec<&str> {
            let list = workspace.get(key).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str)
                .map(|pattern| pattern.trim_start_matches("./").trim_end_matches('/'))
                .collect()
        };
        let is_member = |pattern: &&str| Pattern::new(pattern).is_ok_and(|pattern| matches(&pattern, path));
        let is_excluded = list("exclude").iter().any(|excluded| path.starts_with(excluded));
        match list("members").iter().any(is_member) {
            true => return Ok(Above::Member(directory.to_owned())),
            false if !is_excluded => return Ok(Above::Stranger(directory.to_owned())),
            false => {}
        }
    }
    Ok(Above::Nothing)
}

/// Matches a pattern in which `*` does not match `/`.
fn matches(pattern: &Pattern, path: &Path) -> bool {
    let options = glob::MatchOptions { require_literal_separator: true, ..Default::default() };
    pattern.matches_path_with(path, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_belongs_to_the_workspace_whose_patterns_match_it() {
        let root = tempfile::tempdir().unwrap();
        let [root, inner] = [root.path(), &root.path().join("inner")];
        fs::create_dir(inner).unwrap();
        let of = |path: &str, manifest: &str| {
            fs::write(root.join("Cargo.toml"), manifest).unwrap();
            above(&root.join(path)).unwrap()
        };
        let members = "[workspace]\nmembers = ['crates/*', './own/']\nexclude = ['inner']";
        assert_eq!(of("crates/a", members), Above::Member(root.into()));
        assert_eq!(of("own", members), Above::Member(root.into()));
        assert_eq!(of("crates/a/b", members), Above::Stranger(root.into()));
        assert_eq!(of("other", members), Above::Stranger(root.into()));
        assert_eq!(of("other", "[package]\nname = 'a'"), Above::Nothing);
        assert_eq!(of("inner/a", members), Above::Nothing);
        fs::write(inner.join("Cargo.toml"), "[workspace]").unwrap();
        assert_eq!(of("inner/a", members), Above::Stranger(inner.into()));
    }
}
