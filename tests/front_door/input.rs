//! The error messages of make for invalid input and missing programs.

use std::{fs, path::Path, process::Command};

use crate::{
    GREETING, build_greeting,
    machine::{command, find_program, make, names, programs_without, root, run, sha256, write_crate, write_program},
};

#[test]
#[ignore = "run by make test"]
fn an_unknown_architecture_is_rejected_with_a_list_of_the_known_ones() {
    make(&["ARCH=sparc"]).failed_with(&["'sparc' for '--arch", "x86_64, arm64"]);
}

#[test]
#[ignore = "run by make test"]
fn a_variable_that_causes_an_invalid_option_is_named_and_no_other_one() {
    for (variables, arguments, expected) in [
        (&["PORT=abc", "CRATE=function"][..], &["dev"][..], &["PORT sets --port;"][..]),
        (&["MEMORY=1g", "TIMEOUT=1"], &["deploy", "x"], &["MEMORY sets --memory;"]),
        (&["EXAMPLE=sqs"], &["invoke", "--event={}"], &["EXAMPLE sets --example;"]),
        (&["QUALIFIER=1", "EVENT={}"], &["invoke"], &["QUALIFIER sets --qualifier;"]),
        (&["BIN=a", "BINS=1"], &["build"], &["BIN sets --bin;", "BINS sets --bins;"]),
        (&["ARCH=arm64", "OUT=a"], &["build", "--arch=sparc"], &[]),
    ] {
        let mut program = command("scripts/cli", root());
        program.args(arguments);
        program.envs(variables.iter().filter_map(|variable| variable.split_once('=')));
        let run = run(program).failed_with(expected);
        let named = run.stderr.matches("The environment variable ").count();
        assert_eq!(named, expected.len(), "{}", run.stderr);
    }
}

#[test]
#[ignore = "run by make test"]
fn a_variable_that_sends_an_event_elsewhere_is_named() {
    for (name, value, expected) in [
        ("DEV", "1", "DEV is set, so the event goes to the server of `dev`"),
        ("REMOTE", "no name", "REMOTE is set, so the event goes to the function no name in AWS"),
    ] {
        let mut program = command("scripts/cli", root());
        program.args(["invoke", "--event={}"]).env(name, value);
        run(program).failed_with(&[&format!("note: the environment variable {expected}")]);
    }
}

#[test]
#[ignore = "run by make test"]
fn an_unknown_variable_is_rejected_with_a_list_of_the_known_ones() {
    make(&["ARHC=arm64"]).failed_with(&["unknown: ARHC", "The variables are ALIAS ARCH BASE BIN "]);
}

#[test]
#[ignore = "run by make test"]
fn a_missing_crate_is_reported_with_what_was_expected() {
    let expected = "expected the directory of a package with a binary target";
    make(&["CRATE=nowhere"]).failed_with(&["--crate nowhere", "no Cargo.toml", expected]);
    let run = make(&["dev", "CRATE=nowhere"]).failed_with(&["--crate nowhere: there is no Cargo.toml"]);
    assert_eq!(run.stderr.matches("--crate").count(), 1, "{}", run.stderr);
}

#[test]
#[ignore = "run by make test"]
fn a_crate_without_a_binary_is_reported_with_the_workspace_members_that_have_one() {
    let directory = tempfile::tempdir().unwrap();
    let only_lib = directory.path().join("only-lib");
    write_crate(&only_lib, "[package]\nname = 'only-lib'\nedition = '2024'\n", "");
    fs::rename(only_lib.join("src/main.rs"), only_lib.join("src/lib.rs")).unwrap();
    let function = directory.path().join("function");
    write_crate(&function, "[package]\nname = 'function'\nedition = '2024'\n", "fn main() {}");
    let workspace = "[workspace]\nmembers = ['only-lib', 'function']\nresolver = '3'\n";
    fs::write(directory.path().join("Cargo.toml"), workspace).unwrap();
    let krate = only_lib.display();
    make(&[&format!("CRATE={krate}")])
        .failed_with(&[&format!("--crate {krate}: this package has no binary target"), function.to_str().unwrap()]);
}

#[test]
#[ignore = "run by make test"]
fn an_outdated_lock_file_is_reported_with_the_command_that_updates_it() {
    let directory = tempfile::tempdir().unwrap();
    write_crate(directory.path(), "[package]\nname = 'mine'\n", "fn main() {}");
    fs::write(directory.path().join("Cargo.lock"), "version = 4\n").unwrap();
    let krate = directory.path().display();
    make(&[&format!("CRATE={krate}"), "OUT=dist/greeting"])
        .failed_with(&[&format!("--crate {krate}"), "cargo update --workspace"]);
}

#[test]
#[ignore = "run by make test"]
fn an_outdated_openssl_sys_is_reported_with_the_command_that_updates_it() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = "[package]\nname = 'old'\n[dependencies]\nopenssl-sys = '=0.9.113'\n[workspace]\n";
    write_crate(directory.path(), manifest, "use openssl_sys as _; fn main() {}");
    let krate = format!("CRATE={}", directory.path().display());
    let expected = ["openssl-sys 0.9.113", "0.9.114 or newer", "cargo update openssl openssl-sys"];
    make(&[&krate, "OUT=dist/old"]).failed_with(&expected);
}

#[test]
#[ignore = "run by make test"]
fn a_failed_build_keeps_the_previous_zip() {
    let directory = tempfile::tempdir().unwrap();
    write_crate(directory.path(), "[package]\nname = 'wrong'\n", "fn main() { wrong }");
    let zip = build_greeting();
    let before = sha256(&zip);
    let krate = format!("CRATE={}", directory.path().display());
    make(&[&krate, "OUT=dist/greeting"]).failed_with(&["cannot find value `wrong`"]);
    assert_eq!(sha256(&zip), before);
}

#[test]
#[ignore = "run by make test"]
fn an_invalid_event_is_reported_before_the_function_starts() {
    build_greeting();
    let run = make(&["invoke", "OUT=dist/greeting", r#"EVENT={"name":}"#])
        .failed_with(&["--event is not JSON", "line 1 column 9"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), b"\"\xff\"").unwrap();
    let event = format!("EVENT=@{}", file.path().display());
    make(&["invoke", "OUT=dist/greeting", &event]).failed_with(&["is not JSON", "utf-8"]);
    assert!(!run.stderr.contains("START"), "{}", run.stderr);
    make(&["invoke", "EVENT=@nowhere.json"]).failed_with(&["--event @nowhere.json", "No such file"]);
    make(&["invoke"]).failed_with(&["--event is missing", "make invoke EVENT="]);
}

#[test]
#[ignore = "run by make test"]
fn a_missing_or_invalid_zip_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("function.zip");
    let name = file.to_str().unwrap();
    let zip = format!("ZIP={name}");
    make(&["invoke", "EVENT={}", &zip]).failed_with(&[name, "No such file", "`build` creates a zip"]);
    fs::write(&file, "PK, but no zip").unwrap();
    make(&["invoke", "EVENT={}", &zip]).failed_with(&[name, "deployment package"]);
}

/// `make` with only the programs in this directory, and without the cache of earlier builds.
fn make_without_cache(programs: &Path) -> Command {
    let mut make = command("make", root());
    make.env("PATH", programs).env("LAMBDA_MUSL_CACHE", programs.join("cache"));
    make
}

#[test]
#[ignore = "run by make test"]
fn a_missing_program_is_reported_with_the_command_that_installs_it() {
    for (program, named, install) in [
        ("python3", "python3", "apt-get install -y python3 python3-pip\n"),
        ("perl", "perl", "apt-get install -y perl\n"),
        ("cc", "a C compiler", "apt-get install -y gcc libc6-dev\n"),
        ("rustup", "rustup, which installs the pinned Rust", "https://sh.rustup.rs | sh"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        programs_without(&[program, "apt-get"], directory.path());
        write_program(&directory.path().join("apt-get"), "exit 1");
        let mut make = make_without_cache(directory.path());
        if program == "rustup" {
            // The build also looks for rustup in cargo's home.
            make.env("HOME", directory.path()).env_remove("CARGO_HOME");
        }
        run(make).failed_with(&[named, install, "make doctor FIX=1"]);
    }
}

#[test]
#[ignore = "run by make test"]
fn a_python_without_pip_is_reported_with_the_command_that_installs_pip() {
    let directory = tempfile::tempdir().unwrap();
    programs_without(&["python3", "apt-get"], directory.path());
    write_program(&directory.path().join("apt-get"), "exit 1");
    let python = find_program("python3").unwrap();
    let script = format!("[ \"$2\" != pip ] || exit 1\nexec '{}' \"$@\"", python.display());
    write_program(&directory.path().join("python3"), &script);
    run(make_without_cache(directory.path())).failed_with(&["pip for python3", "apt-get install -y python3-pip\n"]);
}

#[test]
#[ignore = "run by make test"]
fn a_download_with_the_wrong_checksum_is_reported_and_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let pins = fs::read_to_string(root().join("cli/wheels/zig.txt")).unwrap();
    let pinned = |before: &str| pins.split(before).nth(1).unwrap().split_whitespace().next().unwrap();
    let wheel = format!("ziglang-{}-py3-none-any.whl", pinned("ziglang=="));
    let wheel = directory.path().join(wheel);
    fs::write(&wheel, "something else").unwrap();
    let cache = directory.path().join("cache");
    let mut make = command("make", root());
    make.args(GREETING).env("LAMBDA_MUSL_CACHE", &cache);
    make.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", directory.path());
    let got = sha256(&wheel);
    run(make).failed_with(&["ziglang", pinned("--hash=sha256:"), &got, "the full log: "]);
    assert_eq!(names(&cache.join("wheels")), [""; 0], "the wheel was kept");
}

#[test]
#[ignore = "run by make test"]
fn a_cache_path_with_a_dollar_sign_is_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let mut make = command("make", root());
    make.args(GREETING).env("LAMBDA_MUSL_CACHE", directory.path().join("c$x"));
    run(make).failed_with(&["LAMBDA_MUSL_CACHE", "c$x", "without '$'"]);
}
