//! `scripts/push-image`, which publishes the builder image of a release, with a local registry.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use crate::{
    complete_build, engine_call, free_address,
    machine::{arch, command, find_program, root, run, skip, wait_until},
};

/// A registry on this machine that ends with the test.
pub struct Registry(Child);

impl Registry {
    pub fn start(address: &str, directory: &Path) -> Self {
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
            directory.join("registry").display()
        );
        let file = directory.join("registry.yml");
        fs::write(&file, config).unwrap();
        let mut registry = command("docker-registry", directory);
        registry.arg("serve").arg(file);
        registry.stdout(Stdio::null()).stderr(Stdio::null());
        let child = registry.spawn().unwrap();
        let listens = || TcpStream::connect(address).is_ok();
        assert!(wait_until(listens, Duration::from_secs(20)), "{address}");
        Self(child)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "run by make test"]
fn the_builder_image_is_pushed_and_its_digest_is_printed() {
    let build = match complete_build() {
        Ok(build) => build,
        Err(why) => return skip("scripts/push-image", why),
    };
    if find_program("docker-registry").is_none() {
        return skip("scripts/push-image", "docker-registry is not installed");
    }
    let directory = tempfile::tempdir().unwrap();
    let address = free_address();
    let _registry = Registry::start(&address, directory.path());

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
    // Image names are in lower case.
    assert_eq!(name, format!("name={address}/some/builder"));
    let by_digest = format!("{address}/some/builder@{}", digest.trim_start_matches("digest="));
    engine_call(&["image", "rm", "--force", &by_digest, &format!("{address}/some/builder:v1-arch")]);
    engine_call(&["pull", &by_digest]).succeeded();
    engine_call(&["image", "rm", "--force", &by_digest]).succeeded();
}
