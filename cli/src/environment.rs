//! The environment that cargo and the compilers run in: that of the user, without what is meant for other programs and
//! would be in the function then.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::{env, process::Command};

use anyhow::{Context, Result};

use crate::step::say;

/// Variables that would decide what is in the function, by their beginnings and by their names.
const STARTS: [&str; 14] = [
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "CARGO_BUILD_",
    "RUSTC",
    "ZIG_",
    "CROSS_",
    "CC_",
    "CXX_",
    "AR_",
    "RANLIB_",
    "TARGET_CC",
    "TARGET_CXX",
    "TARGET_AR",
    "OPENSSL_",
];
const NAMES: [&str; 5] =
    ["CARGO_INCREMENTAL", "CARGO_ENCODED_RUSTFLAGS", "CARGO_RESOLVER_LOCKFILE_PATH", "RUSTFLAGS", "DOCKER_OPTS"];
const FLAGS: [&str; 4] = ["CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS"];
/// What make sets itself.
const OF_MAKE: [&str; 2] = ["MAKEFLAGS", "MFLAGS"];

fn is_foreign(name: &str) -> bool {
    let of_flags = name.strip_prefix("TARGET_").or(name.strip_prefix("HOST_")).unwrap_or(name);
    let is_of =
        |flags: &&str| of_flags.strip_prefix(flags).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    let has_flags = FLAGS.iter().any(is_of);
    let starts = STARTS.iter().any(|start| name.starts_with(start)) || name.contains("_OPENSSL_");
    // Where cargo compiles is no matter of what it compiles.
    name != "CARGO_TARGET_DIR" && (starts || has_flags || NAMES.contains(&name) || OF_MAKE.contains(&name))
}

fn foreign() -> impl Iterator<Item = String> {
    let variables = env::vars_os().filter(|(_, value)| !value.is_empty());
    variables.filter_map(|(name, _)| name.into_string().ok()).filter(|name| is_foreign(name))
}

/// Names what is left out, as the user may have meant it.
pub fn say_what_is_left_out() {
    let mut names: Vec<String> = foreign().filter(|name| !OF_MAKE.contains(&name.as_str())).collect();
    names.sort();
    if !names.is_empty() {
        say(&format!("note: left out, as the zip depends on the sources alone: {}", names.join(" ")));
    }
}

/// The variable with which the shell has set flags for rustc.
pub fn rustflags() -> Option<String> {
    foreign().find(|name| name.ends_with("RUSTFLAGS"))
}

/// A command that is not told what is meant for other programs.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in foreign() {
        command.env_remove(name);
    }
    command
}

/// Puts directories before those in which programs are looked for.
pub fn path_with<'a>(directories: impl IntoIterator<Item = &'a Path>) -> Result<OsString> {
    let rest = env::var_os("PATH").unwrap_or_default();
    let all = directories.into_iter().map(Path::to_owned).chain(env::split_paths(&rest));
    env::join_paths(all).context("PATH")
}

/// A variable that is set, and not to nothing.
pub fn path_in(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Where cargo keeps what it downloads.
pub fn cargo_home() -> Result<PathBuf> {
    let home = path_in("CARGO_HOME").or_else(|| Some(path_in("HOME")?.join(".cargo")));
    let missing = "HOME is not set; expected the directory where cargo and rustup keep what they download";
    Ok(std::path::absolute(home.context(missing)?)?)
}

/// Directories of this machine that any package which was built here could name: the workspace, and cargo's home
/// with a slash at its end, as what only begins like its name may be anything.
pub fn roots() -> Result<Vec<PathBuf>> {
    let here = env::current_dir()?;
    let workspace = here.ancestors().filter(|directory| directory.join("Cargo.lock").is_file()).last();
    let cargo_home = cargo_home().ok().map(|home| home.join(""));
    Ok(workspace.map(Path::to_owned).into_iter().chain(cargo_home).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_in_the_function_is_left_out_and_what_cargo_needs_passes() {
        let foreign = "RUSTFLAGS CARGO_PROFILE_RELEASE_OPT_LEVEL CARGO_INCREMENTAL CFLAGS TARGET_CFLAGS ZIG_LIB_DIR RUSTC_WRAPPER \
            CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER CXXFLAGS_x86_64_unknown_linux_musl CROSS_CONFIG MAKEFLAGS \
            CC_x86_64_unknown_linux_musl OPENSSL_LIB_DIR X86_64_UNKNOWN_LINUX_MUSL_OPENSSL_DIR";
        for name in foreign.split_whitespace() {
            assert!(is_foreign(name), "{name}");
        }
        let needed =
            "CARGO_HOME CARGO_HTTP_PROXY CARGO_NET_OFFLINE CARGO_REGISTRIES_MINE_TOKEN CARGO_TARGET_DIR PATH CC";
        for name in needed.split_whitespace() {
            assert!(!is_foreign(name), "{name}");
        }
    }
}
