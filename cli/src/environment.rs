//! The environment of cargo and the compilers. Only listed variables pass, so the user's shell cannot affect the function.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError, atomic::Ordering};
use std::{env, process::Command};

use anyhow::{Context, Result, ensure};

use crate::options;
use crate::step::{VERBOSE, say};

/// Variables that pass: the locations of programs, home directories and temporary files; the sources of crates, with their
/// proxies, certificates and credentials; the container engine; and the style of cargo's output.
const PASSED: [&str; 39] = [
    "ALL_PROXY", "CARGO_BUILD_JOBS", "CARGO_HOME", "CARGO_TARGET_DIR", "CONTAINER_ENGINE", "CURL_CA_BUNDLE",
    "DBUS_SESSION_BUS_ADDRESS", "DEVELOPER_DIR", "FTP_PROXY", "GIT_ASKPASS", "GIT_HTTP_PROXY_AUTHMETHOD",
    "GIT_TERMINAL_PROMPT", "GNUPGHOME", "HOME", "HTTPS_PROXY", "HTTP_PROXY", "LOGNAME", "NETRC", "NIX_SSL_CERT_FILE",
    "NO_COLOR", "NO_PROXY", "PATH", "REQUESTS_CA_BUNDLE", "RUST_MIN_STACK", "SSH_AGENT_PID", "SSH_ASKPASS",
    "SSH_AUTH_SOCK", "SSL_CERT_DIR", "SSL_CERT_FILE", "SUDO_ASKPASS", "TEMP", "TERM", "TMP", "TMPDIR", "USER",
    "all_proxy", "http_proxy", "https_proxy", "no_proxy",
];

/// The prefixes of other variables that pass.
const PASSED_STARTS: [&str; 15] = [
    "BUILDAH_", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_TERM_", "CONTAINERS_",
    "CONTAINER_HOST", "CONTAINER_SSHKEY", "DOCKER_", "GIT_CONFIG", "GIT_SSH", "GIT_SSL_", "RUSTUP_", "XDG_",
];

/// Exceptions to these prefixes: variables that choose the compiler or change how an image is built.
const KEPT_OUT: [&str; 2] = ["RUSTUP_TOOLCHAIN", "DOCKER_OPTS"];

/// Variables that `make` itself sets.
pub const OF_MAKE: [&str; 3] = ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"];

/// Parts of the names of variables that compilers, cargo and build scripts are known to read.
const READ_BY_BUILDS: [&str; 26] = [
    "AR_", "BINDGEN", "CARGO", "CC_", "CLANG", "CMAKE", "CPATH", "CPP", "CROSS_", "CXX", "FLAGS", "GCC", "INCLUDE",
    "LD_", "LIBRARY_PATH", "LIB_DIR", "LLVM", "MUSL", "OPENSSL", "PKG_CONFIG", "PROTO", "RANLIB", "RUST",
    "SOURCE_DATE", "TARGET_", "ZIG",
];
const READ_BY_BUILDS_AS_A_WHOLE: [&str; 9] = ["AR", "AS", "CC", "CPP", "LD", "NM", "OBJCOPY", "STRIP", "TARGET"];

/// The build time for compilers, in seconds since 1970: the earliest time that a zip can store.
pub const SOURCE_DATE_EPOCH: (&str, &str) = ("SOURCE_DATE_EPOCH", "315532800");

/// Variables that the project or the user lets through.
static LET_THROUGH: LazyLock<Mutex<BTreeSet<String>>> = LazyLock::new(Mutex::default);

fn let_through() -> BTreeSet<String> {
    LET_THROUGH.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Lets variables with these names pass to cargo and the compilers.
pub fn pass(names: &[String]) -> Result<()> {
    for name in names {
        let is_name = name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') && !name.is_empty();
        ensure!(is_name, "--pass-env {name:?}: expected the name of a variable, as in --pass-env API_URL");
    }
    LET_THROUGH.lock().unwrap_or_else(PoisonError::into_inner).extend(names.iter().cloned());
    Ok(())
}

/// The names of the variables that were let through and are set.
pub fn passed_by_name() -> impl Iterator<Item = String> {
    let_through().into_iter().filter(|name| env::var_os(name).is_some())
}

fn is_passed(name: &str) -> bool {
    let of_this_program = PASSED.contains(&name) || PASSED_STARTS.iter().any(|start| name.starts_with(start));
    of_this_program && !KEPT_OUT.contains(&name)
}

/// Variables that cargo and rustup set for a subcommand.
const OF_CARGO: [&str; 4] = ["CARGO", "LD_LIBRARY_PATH", "RUSTUP_TOOLCHAIN", "RUST_RECURSION_COUNT"];

fn is_read_by_builds(name: &str) -> bool {
    let has = |part: &&str| name.to_ascii_uppercase().contains(part);
    let is_known = READ_BY_BUILDS_AS_A_WHOLE.contains(&name) || READ_BY_BUILDS.iter().any(has);
    // RUST_BACKTRACE affects only error messages.
    is_known && name != "RUST_BACKTRACE"
}

/// Prints a note about the variables that are left out, because the user may have meant them for the build.
pub fn say_what_is_left_out() {
    let let_through = let_through();
    let is_in_cargo = env::var_os("CARGO").is_some();
    let is_left_out = |name: &String| {
        !is_passed(name)
            && !let_through.contains(name)
            && !OF_MAKE.contains(&&**name)
            && !name.starts_with("LAMBDA_MUSL_")
            && !(is_in_cargo && OF_CARGO.contains(&&**name))
    };
    let set = env::vars_os().filter(|(_, value)| !value.is_empty());
    let names: BTreeSet<String> = set.filter_map(|(name, _)| name.into_string().ok()).filter(is_left_out).collect();
    let names = names.into_iter().filter(|name| !options::is_variable(name));
    let (read, others): (Vec<_>, Vec<_>) = names.partition(|name| is_read_by_builds(name));
    if !read.is_empty() {
        let read = read.join(" ");
        say(&format!(
            "note: environment variables left out, because the zip depends only on the sources: {read}; --pass-env NAME \
             lets one through"
        ));
    }
    if VERBOSE.load(Ordering::Relaxed) && !others.is_empty() {
        say(&format!("note: environment variables also left out: {}", others.join(" ")));
    }
}

/// A command whose environment is the same on every machine, except for the variables that pass.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let let_through = let_through();
    let is_passed = |name: &OsString| name.to_str().is_some_and(|name| is_passed(name) || let_through.contains(name));
    command.env_clear().envs([("LC_ALL", "C"), ("TZ", "UTC"), SOURCE_DATE_EPOCH]);
    command.envs(env::vars_os().filter(|(name, value)| is_passed(name) && !value.is_empty()));
    // `reproduce` preloads this library to change the clock of the programs that a build runs.
    command.envs(path_in(PRELOAD).map(|library| ("LD_PRELOAD", library)));
    // A wrapper in a configuration file is specific to this machine; the build uses its own.
    command.env("CARGO_BUILD_RUSTC_WRAPPER", "").env("CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER", "");
    command
}

/// The variable for a library to preload into all programs that a build runs.
pub const PRELOAD: &str = "LAMBDA_MUSL_PRELOAD";

/// The value of `PATH` with these directories at its start.
pub fn path_with<'a>(directories: impl IntoIterator<Item = &'a Path>) -> Result<OsString> {
    let rest = env::var_os("PATH").unwrap_or_default();
    let all = directories.into_iter().map(Path::to_owned).chain(env::split_paths(&rest));
    env::join_paths(all).context("extending the variable PATH")
}

/// The path in a variable that is set and not empty.
pub fn path_in(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The directory where cargo keeps its downloads.
pub fn cargo_home() -> Result<PathBuf> {
    let home = path_in("CARGO_HOME").or_else(|| Some(path_in("HOME")?.join(".cargo")));
    let missing = "neither CARGO_HOME nor HOME is set; set one of them to locate cargo's downloads";
    Ok(std::path::absolute(home.context(missing)?)?)
}

/// Directories of this machine whose paths a package built here could contain: the workspace, and cargo's home. The path
/// of the latter ends in a slash, so that it does not match a longer name that begins with it.
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
    fn only_listed_variables_pass_and_others_that_builds_read_are_named() {
        let foreign = "RUSTFLAGS CARGO_PROFILE_RELEASE_OPT_LEVEL CARGO_INCREMENTAL CFLAGS TARGET_CFLAGS ZIG_LIB_DIR RUSTC_WRAPPER \
            CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER CXXFLAGS_x86_64_unknown_linux_musl CROSS_CONFIG CC CXX AR_x86 TARGET_CC \
            CC_x86_64_unknown_linux_musl OPENSSL_LIB_DIR X86_64_UNKNOWN_LINUX_MUSL_OPENSSL_DIR CPATH C_INCLUDE_PATH LIBRARY_PATH \
            PKG_CONFIG_PATH LD_PRELOAD LD_LIBRARY_PATH CMAKE_GENERATOR SOURCE_DATE_EPOCH RUSTUP_TOOLCHAIN CRATE_CC_NO_DEFAULTS \
            GCC_EXEC_PREFIX COMPILER_PATH_FLAGS LLVM_CONFIG_PATH PROTOC BINDGEN_EXTRA_CLANG_ARGS";
        for name in foreign.split_whitespace() {
            assert!(!is_passed(name) && is_read_by_builds(name), "{name}");
        }
        let needed = "CARGO_HOME CARGO_HTTP_PROXY CARGO_NET_OFFLINE CARGO_REGISTRIES_MINE_TOKEN CARGO_TARGET_DIR PATH https_proxy \
            RUSTUP_HOME DOCKER_HOST SSH_AUTH_SOCK";
        for name in needed.split_whitespace() {
            assert!(is_passed(name), "{name}");
        }
        assert!(!is_passed("EDITOR") && !is_read_by_builds("EDITOR"));
    }

    #[test]
    fn a_command_inherits_only_listed_variables() {
        let names: Vec<_> = command("true").get_envs().map(|(name, _)| name.to_owned()).collect();
        assert!(
            names.iter().any(|name| name == "SOURCE_DATE_EPOCH") && !names.iter().any(|name| name == "CARGO_PKG_NAME")
        );
    }
}
