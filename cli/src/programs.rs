//! Programs that build scripts call: which ones a function's crates need, here or in the builder image.

use std::fs;

use anyhow::Result;

use crate::crates::Crate;
use crate::doctor::{self, Need};

/// A program by its name for packages.sh, the crate that build scripts call it through, and what brings it.
const PROGRAMS: [(&str, &str, Need); 3] =
    [("cmake", "cmake", doctor::CMAKE), ("libclang", "clang-sys", doctor::LIBCLANG), ("nasm", "nasm-rs", doctor::NASM)];

/// What depends on such a crate and calls the program only where it has no code of its own for the target: it has for both.
const WITHOUT: [&str; 1] = ["aws-lc-sys"];

/// Where systems keep libclang, which bindgen loads.
const LIBRARIES: [&str; 6] = [
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/opt/homebrew/opt/llvm/lib",
    "/usr/local/opt/llvm/lib",
    "/Library/Developer/CommandLineTools/usr/lib",
];

fn needed(crates: &[Crate]) -> impl Iterator<Item = &'static (&'static str, &'static str, Need)> {
    let is_used = |krate: &Crate| {
        crates.iter().any(|user| user.depends_on.contains(&krate.id) && !WITHOUT.contains(&&*user.name))
    };
    PROGRAMS.iter().filter(move |(_, name, _)| crates.iter().any(|krate| krate.name == *name && is_used(krate)))
}

/// The programs that the builder image has to have, as packages.sh calls them.
pub fn in_image(crates: &[Crate]) -> Vec<&'static str> {
    needed(crates).map(|(program, ..)| *program).collect()
}

/// Fails before minutes of compiling where a program is missing here.
pub fn require(crates: &[Crate]) -> Result<()> {
    doctor::require(&needed(crates).map(|(.., need)| *need).collect::<Vec<_>>())
}

/// Whether bindgen would find libclang.
pub fn has_libclang() -> bool {
    let entries = |path: &str| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let directories = LIBRARIES.iter().flat_map(|path| entries(path).flat_map(|path| [path.join("lib"), path]));
    let is_libclang = |name: String| name.starts_with("libclang") && (name.contains(".so") || name.ends_with(".dylib"));
    let has = |path: &str| {
        entries(path).any(|path| path.file_name().is_some_and(|name| is_libclang(name.to_string_lossy().into_owned())))
    };
    LIBRARIES.iter().any(|path| has(path))
        || directories.filter(|path| path.is_dir()).any(|path| has(&path.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn krate(name: &str, depends_on: &[&str]) -> Crate {
        let depends_on = depends_on.iter().map(|name| (*name).to_owned()).collect();
        Crate { id: name.into(), name: name.into(), depends_on, ..Crate::default() }
    }

    #[test]
    fn the_programs_are_those_that_build_scripts_call_and_not_those_that_they_could_do_without() {
        let crates = [
            krate("libz-ng-sys", &["cmake"]),
            krate("cmake", &["cc"]),
            krate("bindgen", &["clang-sys"]),
            krate("clang-sys", &[]),
        ];
        assert_eq!(in_image(&crates), ["cmake", "libclang"]);
        assert!(in_image(&[krate("aws-lc-sys", &["cmake"]), krate("cmake", &[])]).is_empty());
    }
}
