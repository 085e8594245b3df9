//! Programs that are called by build scripts: those that a function's crates need, on this machine or in the builder image.

use std::fs;

use anyhow::Result;

use crate::crates::Crate;
use crate::doctor::{self, Need};

/// Each program's name in packages.sh, the crate through which build scripts call it, and the packages that provide it.
const PROGRAMS: [(&str, &str, Need); 3] =
    [("cmake", "cmake", doctor::CMAKE), ("libclang", "clang-sys", doctor::LIBCLANG), ("nasm", "nasm-rs", doctor::NASM)];

/// Crates that depend on one of the crates above, but call its program only for targets for which they contain no pregenerated
/// code. For Lambda's targets, they contain it.
const WITHOUT: [&str; 1] = ["aws-lc-sys"];

/// The directories where systems keep libclang, which bindgen loads.
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

/// The programs that the builder image must contain, by their names in packages.sh.
pub fn in_image(crates: &[Crate]) -> Vec<&'static str> {
    needed(crates).map(|(program, ..)| *program).collect()
}

/// Fails, before minutes of compiling, if a program is missing on this machine.
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
    fn a_program_is_needed_if_a_build_script_calls_it_for_this_target() {
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
