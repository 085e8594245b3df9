//! make and the release scripts with only the programs of macOS. The programs of Linux stand in for them, but reject the arguments
//! that macOS rejects.

use std::{fs, path::Path};

use crate::{
    build,
    cache::other_cache,
    machine::{
        BUILD_OUTPUTS, Run, arch, command, find_program, programs_without, root, run, sha256, skip, write_program,
    },
};

/// Programs that macOS has from BSD, each with a shell pattern for the arguments that it rejects or that only newer versions accept.
const REFUSED: [(&str, &str); 9] = [
    ("cp", "-*[!HLPRSXacfilnpsv]*"),
    ("date", "-*[!Rjru]*|*%N*|*%-*"),
    ("find", "-daystart|-executable|-f*print*|-printf|-quit|-readable|-regextype|-writable"),
    ("head", "-*[!cn0-9]*|-[0-9]*"),
    ("mktemp", "-*[!dqt]*"),
    ("readlink", "-*[!n]*"),
    ("sed", "-*[!Eaeflnru]*"),
    ("stat", "-*"),
    ("wc", "-*[!clmw]*"),
];

/// Programs that macOS lacks.
const MISSING: [&str; 8] = ["flock", "nproc", "objcopy", "realpath", "setsid", "sha256sum", "tac", "timeout"];

/// Fills a directory for `PATH`, or returns which program this machine lacks for that.
fn programs_of_macos(directory: &Path) -> Result<(), &'static str> {
    let awk = find_program("original-awk").ok_or("original-awk is not installed")?;
    let tar = find_program("bsdtar").ok_or("bsdtar is not installed (Debian: libarchive-tools)")?;
    find_program("shasum").ok_or("shasum is not installed")?;
    let refused = REFUSED.map(|(program, _)| program);
    programs_without(&[&refused[..], &MISSING, &["awk", "tar"]].concat(), directory);
    for (program, real) in [("awk", awk), ("tar", tar)] {
        write_program(&directory.join(program), &format!("exec '{}' \"$@\"", real.display()));
    }
    for (program, arguments) in REFUSED {
        let real = find_program(program).unwrap().display().to_string();
        let call = match program {
            // macOS's wc pads the numbers.
            "wc" => format!("'{real}' \"$@\" | while read -r line; do echo \"       $line\"; done"),
            // The option turns off GNU's extensions to the commands.
            "sed" => format!("exec '{real}' --posix \"$@\""),
            _ => format!("exec '{real}' \"$@\""),
        };
        let refuse = format!("echo \"{program} of macOS rejects $argument\" >&2; exit 64");
        let check = format!("for argument; do case $argument in {arguments}) {refuse} ;; esac; done");
        write_program(&directory.join(program), &format!("{check}\n{call}"));
    }
    Ok(())
}

/// Runs a command in the clone with only these programs in `PATH`.
fn call_with(programs: &Path, call: &[&str]) -> Run {
    let mut command = command(call[0], root());
    command.args(&call[1..]);
    command.env("PATH", programs).env("LAMBDA_MUSL_CACHE", other_cache());
    run(command)
}

#[test]
#[ignore = "run by make test"]
fn make_compiles_openssl_and_builds_the_same_zip_with_the_programs_of_macos() {
    let directory = tempfile::tempdir().unwrap();
    if let Err(why) = programs_of_macos(directory.path()) {
        return skip("make with the programs of macOS", why);
    }
    let expected = sha256(&build());
    let prefix = other_cache().join("prefix");
    let _ = fs::remove_dir_all(&prefix);
    let make = |arguments: &[&str]| call_with(directory.path(), &[&["make"], arguments].concat());
    let made = make(&[]).succeeded().reported(&["OpenSSL 4."]);
    assert_eq!(made.checksum(), expected);
    make(&["verify"]).succeeded();
    make(&["invoke", r#"EVENT={"url":"http://127.0.0.1:1/"}"#]).succeeded();
    make(&["help"]).succeeded();
}

#[test]
#[ignore = "run by make test"]
fn the_release_scripts_work_with_the_programs_of_macos() {
    let directory = tempfile::tempdir().unwrap();
    let [programs, built, assets] = ["programs", "built", "assets"].map(|name| directory.path().join(name));
    fs::create_dir(&programs).unwrap();
    if let Err(why) = programs_of_macos(&programs) {
        return skip("a release with the programs of macOS", why);
    }
    let zip = build();
    for builder in ["first-function", "second-function"] {
        fs::create_dir_all(built.join(builder)).unwrap();
        for name in BUILD_OUTPUTS {
            fs::copy(zip.with_file_name(name), built.join(builder).join(name)).unwrap();
        }
    }
    let call = |call: &[&str]| call_with(&programs, call).succeeded();
    call(&["scripts/release-check", concat!("v", env!("CARGO_PKG_VERSION"))]);
    let [built, assets] = [built, assets].map(|path| path.display().to_string());
    let listed = call(&["scripts/release-assets", &built, &assets]).stdout;
    assert!(listed.contains(&format!("{}  function.zip\n", sha256(&zip))), "{listed}");
    if arch() == "x86_64" {
        let binary = "target/x86_64-unknown-linux-musl/release/probe";
        call(&["scripts/package", binary, &format!("{assets}/packaged.zip")]);
    }
}

#[test]
#[ignore = "run by make test"]
fn the_stand_ins_for_macos_reject_arguments_that_only_linux_accepts() {
    let directory = tempfile::tempdir().unwrap();
    if let Err(why) = programs_of_macos(directory.path()) {
        return skip("the programs of macOS", why);
    }
    let call = |line: &str| call_with(directory.path(), &line.split(' ').collect::<Vec<_>>());
    for line in ["sed -i s/a/b/ a", "date +%N", "find . -printf %p", "head -n -1 a", "stat -c %s a", "cp -T a b"] {
        call(line).failed_with(&["of macOS rejects"]);
    }
    let line = call("wc -l Makefile").succeeded().stdout;
    assert!(line.starts_with("  "), "{line}");
    call("find . -maxdepth 1 -type f -exec true {} ;").succeeded();
}
