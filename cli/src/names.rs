//! The names that replace directories in compiled code. They are the same on every machine, and for both `build` and
//! `docker-build`.

use std::path::{Path, PathBuf};
use std::{ffi::OsStr, fs};

use anyhow::{Context, Result, bail};

use crate::{crates::Crate, environment, project::Function, rust::Rust};

/// The variable that passes the names to the compiler wrappers: a `DIRECTORY=NAME` line for each directory. Longer paths come
/// later, because compilers use the last match.
pub const VARIABLE: &str = "LAMBDA_MUSL_NAMES";

/// The locations of directories as the compilers see them.
pub struct Locations<P = &'static str> {
    pub workspace: P,
    pub target: P,
    pub cargo_home: P,
    pub sysroot: P,
}

impl<P: AsRef<Path>> Locations<P> {
    /// The value of the variable.
    pub fn names(&self, function: &Function, crates: &[Crate], rust: &Rust) -> Result<String> {
        let [workspace, target, cargo_home, sysroot] =
            [&self.workspace, &self.target, &self.cargo_home, &self.sysroot].map(AsRef::as_ref);
        // With path dependencies, cross mounts the workspace at its path on this machine.
        let own = [workspace, &function.workspace].map(|path| (path.to_owned(), "/function".to_owned()));
        let target = (target.to_owned(), "/target".to_owned());
        let registries = fs::read_dir(environment::cargo_home()?.join("registry/src")).into_iter().flatten().flatten();
        let registry = |index: &OsStr| (cargo_home.join("registry/src").join(index), "/cargo/registry".to_owned());
        let registries = registries.map(|index| registry(&index.file_name()));
        let git = (cargo_home.join("git/checkouts"), "/cargo/git".to_owned());
        // If the sources of std are installed, rustc uses their directory instead of the one that std was compiled in.
        let std = (sysroot.join("lib/rustlib/src/rust"), format!("/rustc/{}", rust.commit));
        let outside = dependencies_by_path(function, crates);
        lines(own.into_iter().chain(registries).chain([target, git, std]).chain(outside).collect())
    }
}

/// The directories and names of path dependencies outside the workspace.
pub fn dependencies_by_path<'a>(
    function: &'a Function, crates: &'a [Crate],
) -> impl Iterator<Item = (PathBuf, String)> + 'a {
    let outside = crates.iter().filter(|krate| krate.is_path() && !krate.directory.starts_with(&function.workspace));
    outside.map(|krate| (krate.directory.clone(), format!("/dependency/{}", krate.name)))
}

fn lines(mut names: Vec<(PathBuf, String)>) -> Result<String> {
    names.sort_by(|(a, _), (b, _)| (a.as_os_str().len(), a).cmp(&(b.as_os_str().len(), b)));
    names.dedup();
    let line = |(path, name): (PathBuf, String)| Ok(format!("{}={name}", checked(&path)?));
    Ok(names.into_iter().map(line).collect::<Result<Vec<_>>>()?.join("\n"))
}

/// The text of a path. Fails if a compiler, linker or engine would not accept the path.
pub fn checked(path: &Path) -> Result<&str> {
    without(path, ":=%\n")
}

/// The text of a path. Fails if the path contains one of these characters.
pub fn without<'a>(path: &'a Path, signs: &str) -> Result<&'a str> {
    let text = path.to_str().with_context(|| format!("{}: expected a path in UTF-8", path.display()))?;
    match text.chars().find(|c| signs.contains(*c)) {
        None => Ok(text),
        Some(odd) => bail!(
            "{text:?}: expected a path without {odd:?}, which has a special meaning for compilers, linkers and container engines; rename the directory"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_comes_after_the_directory_that_contains_it() {
        let names = vec![("/a/b/c".into(), "/function".into()), ("/a/b".into(), "/dependency/b".into())];
        assert_eq!(lines(names).unwrap(), "/a/b=/dependency/b\n/a/b/c=/function");
        for odd in ["/a\nb", "/year=2026", "/a:b", "/100%"] {
            assert!(lines(vec![(odd.into(), "/function".into())]).is_err(), "{odd}");
        }
        assert!(checked(Path::new("/o dd/it's $HOME/\u{fc}n\u{ef};&(1)#,+@")).is_ok());
    }
}
