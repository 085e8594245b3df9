//! The environment that cargo and the compilers run in: that of the user, without what is meant for other programs and would
//! be in the function then.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, anyhow};

use crate::step::say;

/// Whether a variable of the shell would decide what is in the function.
fn is_foreign(name: &str) -> bool {
    const STARTS: [&str; 6] = ["CARGO_PROFILE_", "CARGO_TARGET_", "CARGO_BUILD_", "RUSTC", "ZIG_", "CROSS_"];
    const NAMES: [&str; 7] = [
        "CARGO_INCREMENTAL", "CARGO_ENCODED_RUSTFLAGS", "CARGO_RESOLVER_LOCKFILE_PATH", "RUSTFLAGS", "DOCKER_OPTS",
        "MAKEFLAGS", "MFLAGS",
    ];
    const FLAGS: [&str; 4] = ["CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS"];
    let of_flags = name.strip_prefix("TARGET_").or_else(|| name.strip_prefix("HOST_")).unwrap_or(name);
    let is_flags = |flags: &str| of_flags.strip_prefix(flags).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    // Where cargo compiles is no matter of what it compiles.
    name != "CARGO_TARGET_DIR"
        && (NAMES.contains(&name) || STARTS.iter().any(|start| name.starts_with(start)) || FLAGS.iter().any(|flags| is_flags(flags)))
}

fn foreign() -> Vec<String> {
    let variables = env::vars_os().filter(|(_, value)| !value.is_empty());
    let names = variables.filter_map(|(name, _)| name.into_string().ok());
    let mut names: Vec<String> = names.filter(|name| is_foreign(name)).collect();
    names.sort();
    names
}

/// Names what is left out, as the user may have meant it.
pub fn say_what_is_left_out() {
    let mut names = foreign();
    // make sets these itself.
    names.retain(|name| name != "MAKEFLAGS" && name != "MFLAGS");
    if !names.is_empty() {
        say(&format!("note: left out, as the zip depends on the sources alone: {}", names.join(" ")));
    }
}

/// Whether the shell has set flags for rustc.
pub fn sets_rustflags() -> Option<String> {
    foreign().into_iter().find(|name| name.ends_with("RUSTFLAGS"))
}

/// A command that is not told what is meant for other programs.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
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
    env::join_paths(all).map_err(|error| anyhow!("PATH: {error}"))
}

/// Where cargo keeps what it downloads.
pub fn cargo_home() -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("CARGO_HOME").or_else(|| Some(set("HOME")?.join(".cargo")));
    let home = home.ok_or_else(|| anyhow!("HOME is not set; expected the directory where cargo and rustup keep what they download"))?;
    Ok(std::path::absolute(home)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_in_the_function_is_left_out() {
        for name in [
            "RUSTFLAGS", "CARGO_PROFILE_RELEASE_OPT_LEVEL", "CARGO_INCREMENTAL", "CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER",
            "CFLAGS", "TARGET_CFLAGS", "CXXFLAGS_x86_64_unknown_linux_musl", "ZIG_LIB_DIR", "RUSTC_WRAPPER", "CROSS_CONFIG",
        ] {
            assert!(is_foreign(name), "{name}");
        }
    }

    #[test]
    fn what_cargo_needs_to_reach_crates_passes() {
        for name in ["CARGO_HOME", "CARGO_HTTP_PROXY", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_MINE_TOKEN", "CARGO_TARGET_DIR", "PATH", "CC"] {
            assert!(!is_foreign(name), "{name}");
        }
    }
}
