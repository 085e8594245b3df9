//! Clones with unusual git settings, from archives, and with unusual file modes: each builds the same zip.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::{
    build_greeting,
    machine::{call, command, copy_of_the_clone, git, root, run, sha256, skip},
};

/// A repository with the files of the clone's work tree.
fn origin(directory: &Path) -> PathBuf {
    let origin = directory.join("origin");
    copy_of_the_clone(&["."], &origin);
    git(&origin, &["init", "--quiet"]).succeeded();
    git(&origin, &["add", "--all"]).succeeded();
    git(&origin, &["commit", "--quiet", "--message=all"]).succeeded();
    origin
}

/// A target directory for all clones, so that the crates of the program and of the example are compiled once.
fn target() -> &'static Path {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    TARGET.get_or_init(|| {
        build_greeting();
        let target = root().join("target/checkouts");
        let _ = fs::remove_dir_all(&target);
        fs::create_dir_all(&target).unwrap();
        call("cp", &["-Rp", "target/cli", &target.to_string_lossy()]).succeeded();
        target
    })
}

/// Asserts that make builds the same zip of the example in this clone as in the clone under test.
#[track_caller]
fn assert_same_zip(clone: &Path, mut make: Command) {
    let out = clone.with_extension("out");
    make.args(["build", "CRATE=examples/greeting"])
        .arg(format!("OUT={}", out.display()))
        .env("CARGO_TARGET_DIR", target())
        .env("LAMBDA_MUSL_CACHE", root().join("target/cache"));
    run(make).succeeded();
    assert_eq!(sha256(&out.join("function.zip")), sha256(&build_greeting()));
}

#[test]
#[ignore = "run by make test"]
fn a_submodule_with_autocrlf_builds_the_same_zip() {
    let directory = tempfile::tempdir().unwrap();
    let outer = directory.path().join("outer");
    fs::create_dir(&outer).unwrap();
    git(&outer, &["init", "--quiet"]).succeeded();
    let origin = origin(directory.path());
    let crlf = ["-c", "core.autocrlf=true", "-c", "core.eol=crlf"];
    // Allows a local directory as a submodule.
    let local = ["-c", "protocol.file.allow=always"];
    let add = ["submodule", "--quiet", "add"];
    let to = [&*origin.to_string_lossy(), "vendor/lambda-musl"];
    git(&outer, &[&crlf[..], &local, &add, &to].concat()).succeeded();
    let clone = outer.join("vendor/lambda-musl");
    let text = clone.to_string_lossy();
    let with_crlf = call("grep", &["-rlI", "--exclude-dir=.git", "\r$", &text]);
    assert_eq!(with_crlf.stdout, "");
    assert_same_zip(&clone, command("make", &clone));
}

#[test]
#[ignore = "run by make test"]
fn a_read_only_archive_without_git_that_only_its_owner_can_read_builds_the_same_zip() {
    let directory = tempfile::tempdir().unwrap();
    let clone = directory.path().join("lambda-musl-0.1.0");
    copy_of_the_clone(&["."], &clone);
    let text = clone.to_string_lossy();
    call("chmod", &["-R", "go-rwx", &text]).succeeded();
    // File modes do not stop root from writing.
    let is_root = call("id", &["-u"]).stdout == "0\n";
    let (around, protect): (&[&str], _) = match is_root {
        true => (
            &["unshare", "--mount", "/bin/sh", "-c"],
            format!("mount --bind '{text}' '{text}' && mount -o remount,bind,ro '{text}'"),
        ),
        false => (&["/bin/sh", "-c"], format!("chmod -R a-w '{text}'")),
    };
    let shell = |script: String| {
        let mut shell = command(around[0], directory.path());
        shell.args(&around[1..]).arg(script);
        shell
    };
    if !run(shell(format!("{protect} && ! touch '{text}/new'"))).success {
        let reason = "this machine does not allow a private mount";
        return skip("a read-only clone", reason);
    }
    let script = format!("umask 077; {protect}; cd '{text}' && exec \"$@\"");
    let mut make = shell(script);
    make.args(["sh", "make"]);
    assert_same_zip(&clone, make);
    call("chmod", &["-R", "u+w", &text]).succeeded();
}
