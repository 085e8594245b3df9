//! Clones as users have them: whatever git, tar and the umask made of the files, the zip is the same.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::{
    build_greeting,
    machine::{Run, call, command, copy_of_the_clone, root, run, sha256, skip},
};

/// A repository with the files of the clone as they are in the work tree.
fn origin(directory: &Path) -> PathBuf {
    let origin = directory.join("origin");
    copy_of_the_clone(&["."], &origin);
    git(&origin, &["init", "--quiet"]).succeeded();
    git(&origin, &["add", "--all"]).succeeded();
    git(&origin, &["commit", "--quiet", "--message=all"]).succeeded();
    origin
}

fn git(directory: &Path, arguments: &[&str]) -> Run {
    let mut git = command("git", directory);
    git.args([
        "-c",
        "user.name=somebody",
        "-c",
        "user.email=somebody@example.invalid",
    ]);
    // For a submodule that is a directory.
    git.args(["-c", "protocol.file.allow=always"]);
    git.args(arguments);
    run(git)
}

/// What one clone compiles, the next need not: the crates of the program and of the example.
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

/// Has make build the example in this clone, into `out`.
fn make_greeting(make: &mut Command, out: &Path) {
    make.args(["build", "CRATE=examples/greeting"])
        .arg(format!("OUT={}", out.display()))
        .env("CARGO_TARGET_DIR", target())
        .env("LAMBDA_MUSL_CACHE", root().join("target/cache"));
}

/// The clone builds the zip that this one builds.
#[track_caller]
fn builds_the_same(clone: &Path) {
    let out = clone.with_extension("out");
    let mut make = command("make", clone);
    make_greeting(&mut make, &out);
    run(make).succeeded();
    assert_eq!(sha256(&out.join("function.zip")), sha256(&build_greeting()));
}

#[test]
#[ignore = "through make"]
fn a_clone_with_autocrlf_builds_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let clone = directory.path().join("clone");
    let arguments = [
        "clone",
        "--quiet",
        "-c",
        "core.autocrlf=true",
        "-c",
        "core.eol=crlf",
    ];
    let mut git = command("git", directory.path());
    git.args(arguments)
        .arg(origin(directory.path()))
        .arg(&clone);
    run(git).succeeded();
    let with_crlf = call(
        "grep",
        &[
            "-rlI",
            "--exclude-dir=.git",
            "\r$",
            &clone.to_string_lossy(),
        ],
    );
    assert_eq!(with_crlf.stdout, "");
    builds_the_same(&clone);
}

#[test]
#[ignore = "through make"]
fn an_archive_without_git_builds_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let clone = directory.path().join("lambda-musl-0.1.0");
    copy_of_the_clone(&["."], &clone);
    builds_the_same(&clone);
}

#[test]
#[ignore = "through make"]
fn a_submodule_builds_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let outer = directory.path().join("outer");
    fs::create_dir(&outer).unwrap();
    git(&outer, &["init", "--quiet"]).succeeded();
    let origin = origin(directory.path());
    git(
        &outer,
        &[
            "submodule",
            "--quiet",
            "add",
            &origin.to_string_lossy(),
            "vendor/lambda-musl",
        ],
    )
    .succeeded();
    builds_the_same(&outer.join("vendor/lambda-musl"));
}

#[test]
#[ignore = "through make"]
fn the_umask_of_the_clone_is_not_in_the_zip() {
    for umask in ["077", "002"] {
        let directory = tempfile::tempdir().unwrap();
        let clone = directory.path().join("clone");
        let origin = origin(directory.path());
        let out = directory.path().join("out");
        let script = format!(
            "umask {umask} && git clone --quiet '{}' '{}' && cd '{}' && exec \"$@\"",
            origin.display(),
            clone.display(),
            clone.display()
        );
        let mut shell = command("/bin/sh", directory.path());
        shell.args(["-c", &script, "sh", "make"]);
        make_greeting(&mut shell, &out);
        run(shell).succeeded();
        assert_eq!(
            sha256(&out.join("function.zip")),
            sha256(&build_greeting()),
            "{umask}"
        );
    }
}

#[test]
#[ignore = "through make"]
fn a_clone_that_cannot_be_written_builds_the_same_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let clone = directory.path().join("clone");
    copy_of_the_clone(&["."], &clone);
    // Modes do not keep root from writing.
    let clone_text = clone.display();
    let read_only = format!(
        "mount --bind '{clone_text}' '{clone_text}' && mount -o remount,bind,ro '{clone_text}'"
    );
    let of_a_user = format!("chmod -R a-w '{clone_text}'");
    let is_root = call("id", &["-u"]).stdout == "0\n";
    let (around, protect): (&[&str], _) = match is_root {
        true => (&["unshare", "--mount", "/bin/sh", "-c"], read_only),
        false => (&["/bin/sh", "-c"], of_a_user),
    };
    let mut can = command(around[0], directory.path());
    can.args(&around[1..])
        .arg(format!("{protect} && ! touch '{clone_text}/new'"));
    if !run(can).success {
        return skip(
            "a clone that cannot be written",
            "a mount of its own is not allowed here",
        );
    }
    let out = directory.path().join("out");
    let mut shell = command(around[0], directory.path());
    shell
        .args(&around[1..])
        .arg(format!("{protect}; cd '{clone_text}' && exec \"$@\""));
    shell.args(["sh", "make"]);
    make_greeting(&mut shell, &out);
    run(shell).succeeded();
    assert_eq!(sha256(&out.join("function.zip")), sha256(&build_greeting()));
    call("chmod", &["-R", "u+w", &clone.to_string_lossy()]).succeeded();
}
