//! The crate in tests/crates/kinds, which combines many kinds of sources and settings. It is built with zig and in the container.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use crate::machine::{Run, make, run};

pub const KINDS: [&str; 3] = ["CRATE=tests/crates/kinds", "BIN=api", "INCLUDE=data"];

/// The function's response to the event 1, without the name of the C compiler.
pub fn expected() -> Value {
    json!({
        "env": "orders", "flag": true, "dependency": 2, "crate": true, "file": "/function/c/kinds.c",
        "date": "Jan  1 1980 00:00:00", "sse2": 1, "quotient": 2.0, "cpp": 3, "included": "hello\n"
    })
}

/// Invokes the function in `out`. Returns the name of the C compiler and the rest of the response.
pub fn invoked(out: &Path) -> (String, Value) {
    let answer = make(&["invoke", &format!("OUT={}", out.display()), "EVENT=1"]).succeeded();
    let mut answer: Value = serde_json::from_str(&answer.stdout).unwrap();
    let compiler = answer.as_object_mut().unwrap().remove("compiler").unwrap();
    (compiler.as_str().unwrap().to_owned(), answer)
}

/// Environment variables that would change the function if they reached the build, each with a valid value.
const HOSTILE: [(&str, &str); 32] = [
    ("AR_x86_64_unknown_linux_musl", "ar"),
    ("CARGO_BUILD_RUSTFLAGS", "--cfg hostile"),
    ("CARGO_ENCODED_RUSTFLAGS", "-Copt-level=1"),
    ("CARGO_INCREMENTAL", "1"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "2"),
    ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER", "gcc"),
    ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS", "-Copt-level=1"),
    ("CC", "gcc"),
    ("CC_x86_64_unknown_linux_musl", "gcc"),
    ("CFLAGS", "-O1"),
    ("CFLAGS_x86_64_unknown_linux_musl", "-O1 -DX=1"),
    ("CMAKE_BUILD_TYPE", "Debug"),
    ("COMPILER_PATH", "/usr/bin"),
    ("CPATH", "/usr/include"),
    ("CPLUS_INCLUDE_PATH", "/usr/include"),
    ("CRATE_CC_NO_DEFAULTS", "1"),
    ("CXX", "g++"),
    ("CXXFLAGS", "-O1"),
    ("CXX_x86_64_unknown_linux_musl", "g++"),
    ("C_INCLUDE_PATH", "/usr/include"),
    ("GCC_COLORS", "error=01;31"),
    ("LDFLAGS", "-s"),
    ("LIBRARY_PATH", "/usr/lib"),
    ("PKG_CONFIG_ALLOW_CROSS", "1"),
    ("PKG_CONFIG_PATH", "/usr/lib/pkgconfig"),
    ("RUSTFLAGS", "-Copt-level=0"),
    ("SOURCE_DATE_EPOCH", "1"),
    ("TABLE_NAME", "from the shell"),
    ("TARGET_CC", "gcc"),
    ("TARGET_CFLAGS", "-O1"),
    ("TZ", "Asia/Tokyo"),
];

/// Runs a build with these variables and asserts that it reports the variables that it leaves out.
pub fn run_in_a_hostile_shell(mut build: Command) -> Run {
    let built = run({
        build.envs(HOSTILE);
        build
    });
    built
        .succeeded()
        .reported(&["left out", "CC_x86_64_unknown_linux_musl", "CPATH", "RUSTFLAGS", "TARGET_CC", "--pass-env"])
}
