//! `cargo lambda-musl` in a user's project, without a clone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use crate::cache::copy_of_the_cache;
use crate::machine::{cargo_lambda_musl, copy_of_the_clone, names, root, run, write_crate};

/// A program without dependencies.
const NO_DEPENDENCIES: &str = "fn main() {}";

/// Creates a project in a directory with a space in its name.
fn project(directory: &Path, manifest: &str, code: &str) -> PathBuf {
    let project = directory.join("my function");
    let package = "[package]\nname = 'mine'\nedition = '2024'\n";
    write_crate(&project, &format!("{package}{manifest}"), code);
    project
}

/// Creates a project that uses a copy of the runtime next to it. The copy's manifest has this version.
fn project_with_runtime(directory: &Path, version: &str) -> PathBuf {
    let runtime = directory.join("lambda-musl");
    copy_of_the_clone(&["src", "Cargo.toml"], &runtime);
    let manifest = fs::read_to_string(runtime.join("Cargo.toml")).unwrap();
    // Leave out the dev-dependencies and everything after them, which refer to packages that only the clone contains.
    let manifest = manifest.split("[dev-dependencies]").next().unwrap();
    let own = format!("version = \"{}\"", env!("CARGO_PKG_VERSION"));
    let manifest = manifest.replacen(&own, &format!("version = \"{version}\""), 1);
    fs::write(runtime.join("Cargo.toml"), manifest).unwrap();
    let code = "fn main() -> Result<(), lambda_musl::Error> {
        lambda_musl::run(async |n: u64, _: lambda_musl::Context| Ok::<_, String>(n * 2))
    }";
    let dependency = "[dependencies]\nlambda-musl = { path = '../lambda-musl' }\n";
    project(directory, dependency, code)
}

/// `cargo lambda-musl` with these arguments.
fn subcommand(project: &Path, arguments: &[&str]) -> Command {
    let mut cargo = cargo_lambda_musl(project);
    cargo.args(arguments);
    cargo
}

#[test]
#[ignore = "run by make test"]
fn a_project_is_built_verified_and_invoked_in_place() {
    let directory = tempfile::tempdir().unwrap();
    let project = project_with_runtime(directory.path(), env!("CARGO_PKG_VERSION"));
    let built = run(subcommand(&project, &["build"])).succeeded();
    assert!(built.last_line().starts_with("dist/function.zip: "), "{}", built.stdout);
    assert!(!built.stderr.contains("note: this is cargo-lambda-musl"), "{}", built.stderr);
    let verified = run(subcommand(&project, &["verify"])).succeeded();
    assert!(verified.stdout.contains("✓ mine "), "{}", verified.stdout);
    let invoked = run(subcommand(&project, &["invoke", "--event", "21"])).succeeded();
    assert_eq!(invoked.stdout, "42\n");
    let expected = ["Cargo.lock", "Cargo.toml", "dist", "src", "target"];
    assert_eq!(names(&project), expected);
}

#[test]
#[ignore = "run by make test"]
fn a_project_builds_the_same_zip_in_another_directory() {
    let checksums = [(); 2].map(|()| {
        let directory = tempfile::tempdir().unwrap();
        let project = project(directory.path(), "", NO_DEPENDENCIES);
        run(subcommand(&project, &["build"])).succeeded().checksum()
    });
    assert_eq!(checksums[0], checksums[1]);
}

#[test]
#[ignore = "run by make test"]
fn doctor_works_in_a_project() {
    let directory = tempfile::tempdir().unwrap();
    let project = project(directory.path(), "", NO_DEPENDENCIES);
    let doctor = run(subcommand(&project, &["doctor"]));
    assert!(doctor.stdout.contains("build: ready\n"), "{doctor:?}");
    let cache = format!("{}", root().join("target/cache").display());
    assert!(doctor.stdout.contains(&cache), "{doctor:?}");
}

#[test]
#[ignore = "run by make test"]
fn two_projects_that_are_built_at_the_same_time_share_one_cache() {
    let directories = [(); 2].map(|()| tempfile::tempdir().unwrap());
    // This cache lacks zig's compiled libc, which both builds need.
    let cache = tempfile::tempdir_in(root().join("target")).unwrap();
    copy_of_the_cache(cache.path(), &["zig", "zig.json"]);
    let build = |directory: &Path| {
        let project = project(directory, "", "fn main() { println!(\"hello\") }");
        let mut build = subcommand(&project, &["build"]);
        build.env("LAMBDA_MUSL_CACHE", cache.path());
        run(build)
    };
    for _ in ["from scratch", "again"] {
        thread::scope(|scope| {
            let both = directories.each_ref().map(|directory| scope.spawn(|| build(directory.path())));
            for one in both {
                let built = one.join().unwrap().succeeded();
                assert!(!built.stderr.contains("damaged"), "{}", built.stderr);
            }
        });
    }
}

#[test]
#[ignore = "run by make test"]
fn a_runtime_of_another_version_series_than_the_program_is_noted() {
    let directory = tempfile::tempdir().unwrap();
    let project = project_with_runtime(directory.path(), "99.0.0");
    let own = format!("cargo-lambda-musl {}", env!("CARGO_PKG_VERSION"));
    run(subcommand(&project, &["build"])).succeeded().reported(&["note: ", &own, "lambda-musl 99.0.0"]);
}

#[test]
#[ignore = "run by make test"]
fn an_unknown_option_is_rejected_with_the_closest_and_all_known_ones() {
    let directory = tempfile::tempdir().unwrap();
    let project = project(directory.path(), "", NO_DEPENDENCIES);
    run(subcommand(&project, &["build", "--acrh", "arm64"]))
        .failed_with(&["'--acrh'", "similar argument exists: '--arch'"])
        .reported(&["The options are: --arch --crate --bin --features --no-default-features --bins"]);
}

#[test]
#[ignore = "run by make test"]
fn an_unknown_metadata_key_is_rejected_with_the_closest_and_all_known_ones() {
    let directory = tempfile::tempdir().unwrap();
    let metadata = "[package.metadata.lambda-musl]\nbinary = 'mine'\n";
    let project = project(directory.path(), metadata, NO_DEPENDENCIES);
    run(subcommand(&project, &["build"]))
        .failed_with(&["[package.metadata.lambda-musl]: the key binary is unknown (did you mean bin?)"])
        .reported(&["arch, base, bin, classic-lock, deploy, extension, features, include, layout"]);
}

#[test]
#[ignore = "run by make test"]
fn package_metadata_sets_build_options_and_the_command_line_overrides_it() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = "[features]\none = []\ntwo = []
        [package.metadata.lambda-musl]\narch = 'arm64'\nbin = 'first'\nfeatures = ['one']\n";
    let project = project(directory.path(), manifest, NO_DEPENDENCIES);
    fs::create_dir(project.join("src/bin")).unwrap();
    for bin in ["first", "second"] {
        fs::write(project.join(format!("src/bin/{bin}.rs")), NO_DEPENDENCIES).unwrap();
    }
    let record = |options: &[&str]| {
        run(subcommand(&project, &[&["build"], options].concat())).succeeded();
        let record = fs::read_to_string(project.join("dist/build.json")).unwrap();
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        ["architecture", "binary", "features"].map(|key| record[key].to_string())
    };
    assert_eq!(record(&[]), ["\"arm64\"", "\"first\"", "[\"one\"]"]);
    let options = ["--arch", "x86_64", "--bin", "second", "--features", "two"];
    assert_eq!(record(&options), ["\"x86_64\"", "\"second\"", "[\"two\"]"]);
}
