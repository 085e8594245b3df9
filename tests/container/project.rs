//! `docker-build` in a user's project, and cross without make.

use std::fs;

use crate::{
    complete_build, docker_build,
    machine::{arch, cargo_lambda_musl, command, copy_of_the_clone, names, root, run, write_crate},
};

#[test]
#[ignore = "run by make test"]
fn a_project_without_a_clone_is_built_in_the_builder_image() {
    let Some(build) = complete_build("docker-build without a clone") else { return };
    let directory = tempfile::tempdir().unwrap();
    let project = directory.path().join("my function");
    let manifest = "[package]\nname = 'mine'\nedition = '2024'\n";
    write_crate(&project, manifest, "fn main() { println!(\"hello\") }");
    let mut cargo = cargo_lambda_musl(&project);
    cargo.args(["docker-build", "--arch", arch()]);
    for variable in &build {
        let (option, value) = variable.split_once('=').unwrap();
        cargo.args([&format!("--{}", option.to_lowercase()), value]);
    }
    let built = run(cargo).succeeded();
    assert!(built.last_line().starts_with("dist/function.zip: "), "{}", built.stdout);
    let mut verify = cargo_lambda_musl(&project);
    verify.arg("verify");
    let verified = run(verify).succeeded();
    assert!(verified.last_line().contains("✓ mine "), "{}", verified.stdout);
}

#[test]
#[ignore = "run by make test"]
fn cross_links_the_libraries_of_the_last_image_of_docker_build() {
    let Some(build) = complete_build("cross without make") else { return };
    docker_build(&build, &["OUT=dist/container"]).succeeded();
    let directory = tempfile::tempdir().unwrap();
    copy_of_the_clone(&["."], directory.path());
    let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let mut cross = command(root().join("target/cache/cross-0.2.5/bin/cross"), directory.path());
    cross.args(["build", "--release", "--target", &triple]);
    run(cross).succeeded();
    let deps = directory.path().join("target").join(triple).join("release/deps");
    let is_map = |name: &&String| name.starts_with("probe-") && name.ends_with(".map");
    let map = names(&deps).iter().find(is_map).map(|name| deps.join(name)).expect("a linker map");
    let map = fs::read(map).unwrap();
    let map = String::from_utf8_lossy(&map);
    for library in ["libc.a", "libssl.a", "libcrypto.a"] {
        let member = format!("/{library}(");
        let mut members = map.lines().filter(|line| line.contains(&member)).peekable();
        assert!(members.peek().is_some(), "{library} is not linked");
        for line in members {
            assert!(line.contains("/opt/lambda-musl/"), "{line}");
        }
    }
}
