//! `scripts/push-image`, which publishes the builder image of a release, tested with a local registry.

use std::{fs, net::TcpStream, path::Path, process::Stdio, time::Duration};

use crate::{
    complete_build, engine_call, free_address,
    machine::{Killed, arch, command, find_program, root, run, skip, wait_until},
};

/// Starts a registry on this machine.
pub fn start_registry(address: &str, directory: &Path) -> Killed {
    let config = format!(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
        directory.join("registry").display()
    );
    let file = directory.join("registry.yml");
    fs::write(&file, config).unwrap();
    let mut registry = command("docker-registry", directory);
    registry.arg("serve").arg(file);
    registry.stdout(Stdio::null()).stderr(Stdio::null());
    let registry = Killed(registry.spawn().unwrap());
    let listens = || TcpStream::connect(address).is_ok();
    assert!(wait_until(listens, Duration::from_secs(20)), "{address}");
    registry
}

#[test]
#[ignore = "run by make test"]
fn the_builder_image_is_pushed_and_its_digest_is_printed() {
    let Some(build) = complete_build("scripts/push-image") else { return };
    if find_program("docker-registry").is_none() {
        return skip("scripts/push-image", "docker-registry is not installed");
    }
    let directory = tempfile::tempdir().unwrap();
    let address = free_address();
    let _registry = start_registry(&address, directory.path());

    let mut push = command("scripts/push-image", root());
    push.args([&format!("{address}/Some/builder"), "v1-arch"])
        .envs(build.iter().map(|argument| argument.split_once('=').unwrap()))
        .env("ARCH", arch())
        .env("REGISTRY_USER", "somebody")
        .env("REGISTRY_TOKEN", "a secret")
        .env("DOCKER_CONFIG", directory.path().join("docker"));
    let pushed = run(push).succeeded();
    let lines: Vec<&str> = pushed.stdout.lines().collect();
    let [name, digest] = lines[..] else {
        panic!("{}", pushed.stdout);
    };
    // Image names must be lowercase.
    assert_eq!(name, format!("name={address}/some/builder"));
    let by_digest = format!("{address}/some/builder@{}", digest.trim_start_matches("digest="));
    engine_call(&["image", "rm", "--force", &by_digest, &format!("{address}/some/builder:v1-arch")]);
    engine_call(&["pull", &by_digest]).succeeded();
    engine_call(&["image", "rm", "--force", &by_digest]).succeeded();
}
