//! `build --oci`, which creates an image without an engine, for all engines.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    emulator, free_address,
    machine::{arch, call, find_program, make, root, sha256, skip},
    push::start_registry,
};

const GREETING: &str = "CRATE=examples/greeting";

/// Builds the image of the example for this machine.
fn image(out: &str, more: &[&str]) -> PathBuf {
    let arguments = [GREETING, &format!("OUT={out}"), &format!("ARCH={}", arch()), "OCI=1"];
    make(&[&arguments[..], more].concat()).succeeded();
    root().join(out).join("function.oci.tar")
}

/// Reads a JSON file from the archive.
fn read(archive: &Path, name: &str) -> Value {
    let text = call("tar", &["-xOf", &archive.to_string_lossy(), name]).succeeded();
    serde_json::from_str(&text.stdout).unwrap()
}

#[test]
#[ignore = "run by make test"]
fn an_image_is_reproducible_and_does_not_change_the_zip() {
    let [first, second] = ["dist/oci", "dist/oci-again"].map(|out| image(out, &[]));
    assert_eq!(sha256(&first), sha256(&second));
    let checksums = fs::read_to_string(first.with_file_name("SHA256SUMS")).unwrap();
    assert!(checksums.contains(&format!("{}  function.oci.tar\n", sha256(&first))), "{checksums}");
    // A build without an image deletes the image of an earlier build.
    let zip = second.with_file_name("function.zip");
    let with = sha256(&zip);
    make(&[GREETING, "OUT=dist/oci-again", &format!("ARCH={}", arch())]).succeeded();
    assert!(!second.exists());
    assert_eq!(sha256(&zip), with);
    make(&[GREETING, "OUT=dist/oci-extension", "OCI=1", "EXTENSION=1"]).failed_with(&["--extension"]);
}

#[test]
#[ignore = "run by make test"]
fn an_image_runs_under_awss_emulator_in_each_engine() {
    let engines = ["docker", "podman"].into_iter();
    let engines: Vec<&str> =
        engines.filter(|name| find_program(name).is_some() && call(name, &["info"]).success).collect();
    if engines.is_empty() {
        return skip("running the image of build --oci in an engine", "no container engine works on this machine");
    }
    let directory = tempfile::tempdir().unwrap();
    emulator(directory.path());
    for layout in ["script", "single"] {
        let image = image("dist/oci", &[&format!("LAYOUT={layout}")]);
        for engine in &engines {
            let loaded = call(engine, &["load", "--input", &image.to_string_lossy()]).succeeded();
            let name = loaded.last_line().split_once("image: ").or(loaded.last_line().split_once("image(s): "));
            let name = name.unwrap_or_else(|| panic!("{loaded:?}")).1;
            assert!(name.ends_with("greeting:0.1.0"), "{name}");
            let (address, runtime_api) = (free_address(), free_address());
            let volume = format!("{}:/rie:ro", directory.path().join("rie").display());
            let run = [
                "run", "--detach", "--network=host",
                // Some machines do not let podman raise these limits.
                "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--read-only", "--volume", &volume,
                "--entrypoint=/rie", name,
            ];
            let emulated = [
                "--runtime-interface-emulator-address", &address, "--runtime-api-address", &runtime_api,
                "/var/task/bootstrap",
            ];
            let container = call(engine, &[&run[..], &emulated].concat()).succeeded();
            let url = format!("http://{address}/2015-03-31/functions/function/invocations");
            let retry = ["--retry", "30", "--retry-connrefused", "--retry-delay", "1", "--max-time", "60"];
            let post = ["--silent", "--data", r#"{"name":"Ada"}"#, &url];
            let answer = call("curl", &[&retry[..], &post].concat());
            call(engine, &["rm", "--force", container.last_line()]);
            call(engine, &["image", "rm", "--force", name]);
            assert!(answer.stdout.contains("Hello, Ada!"), "{engine} {layout}: {answer:?}");
        }
    }
}

#[test]
#[ignore = "run by make test"]
fn pushing_an_image_keeps_its_digest() {
    let (skopeo, registry) = (find_program("skopeo"), find_program("docker-registry"));
    let (Some(_), Some(_)) = (skopeo, registry) else {
        return skip("pushing the image of build --oci to a registry", "skopeo or docker-registry is not installed");
    };
    let image = image("dist/oci", &[]);
    let directory = tempfile::tempdir().unwrap();
    let address = free_address();
    let _registry = start_registry(&address, directory.path());
    let [from, to] = [format!("oci-archive:{}", image.display()), format!("docker://{address}/greeting:1")];
    call("skopeo", &["copy", "--dest-tls-verify=false", &from, &to]).succeeded();
    let inspected = call("skopeo", &["inspect", "--tls-verify=false", &to]).succeeded();
    let inspected: Value = serde_json::from_str(&inspected.stdout).unwrap();
    assert_eq!(inspected["Digest"], read(&image, "index.json")["manifests"][0]["digest"]);
}
