//! Failures of the container engine, of the base image, and of the commands that run in it.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Stdio,
    time::Duration,
};

use crate::{
    base, docker_build, engine, engine_call, is_root,
    machine::{
        Run, arch, call, command, copy_of_the_clone, kill, make, make_executable, programs_without, root, run, sha256,
        skip, wait_until, write_program,
    },
    make_docker_build,
};

/// Creates pins for a musl whose configure runs `script`, and a patch that makes it print `patched` first.
fn pins_of_a_musl_with(script: &str, directory: &Path) -> Vec<String> {
    let musl = directory.join("musl-9");
    fs::create_dir(&musl).unwrap();
    fs::write(musl.join("configure"), format!("#!/bin/sh\n: not patched\n{script}\n")).unwrap();
    let patch = "--- a/configure\n+++ b/configure\n@@ -1,2 +1,2 @@\n #!/bin/sh\n-: not patched\n+echo patched\n";
    fs::write(musl.join("VERSION"), "9\n").unwrap();
    fs::write(directory.join("A.patch"), patch).unwrap();
    make_executable(&musl.join("configure"));
    let text = directory.to_string_lossy();
    call("tar", &["-czf", &format!("{text}/musl.tgz"), "-C", &text, "musl-9"]).succeeded();
    fs::write(directory.join("openssl.tgz"), "").unwrap();
    let pins = format!(
        "MUSL_VERSION=9\nMUSL_SHA256={}\nMUSL_URLS=http://127.0.0.1:1/musl.tgz\n\
         MUSL_PATCH_A=\"{} http://127.0.0.1:1/1\"\n\
         OPENSSL_VERSION=9\nOPENSSL_SHA256={}\nOPENSSL_URLS=http://127.0.0.1:1/openssl.tgz\n",
        sha256(&directory.join("musl.tgz")),
        sha256(&directory.join("A.patch")),
        sha256(&directory.join("openssl.tgz")),
    );
    fs::write(directory.join("my pins.env"), pins).unwrap();
    vec![format!("PINS={text}/my pins.env"), format!("SOURCES={text}")]
}

#[test]
#[ignore = "run by make test"]
fn a_library_that_fails_to_compile_is_reported_with_its_log_and_its_status() {
    let Some(base) = base("a library that fails to compile") else { return };
    let base = format!("BASE={base}");
    let directory = tempfile::tempdir().unwrap();
    let script = "echo output of the compiler; exit 77";
    let build = pins_of_a_musl_with(script, directory.path());
    let run = docker_build(&build, &[&base]).failed_with(&["output of the compiler", "patched", "77"]);
    let log = run.stderr.split("the full log: ").nth(1).unwrap();
    let log = fs::read_to_string(log.lines().next().unwrap()).unwrap();
    assert!(log.contains("output of the compiler"), "{log}");
    assert!(!run.stderr.contains("OpenSSL 9 …"), "{}", run.stderr);
}

#[test]
#[ignore = "run by make test"]
fn a_stopped_docker_build_leaves_no_image_and_no_container() {
    let Some(base) = base("a stopped docker-build") else { return };
    let base = format!("BASE={base}");
    let directory = tempfile::tempdir().unwrap();
    let build = pins_of_a_musl_with("sleep 300", directory.path());
    let tags = || {
        let images = engine_call(&["images", "--quiet", "lambda-musl-builder"]);
        images.succeeded().stdout
    };
    let before = tags();
    let mut make = make_docker_build();
    make.args(&build).arg(&base).process_group(0);
    let mut make = make.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let building = || engine_call(&["ps", "--no-trunc"]).stdout.contains("musl.sh");
    let began = wait_until(building, Duration::from_secs(120));
    assert!(began, "the container never started");
    kill("INT", format!("-{}", make.id()));
    assert!(!make.wait().unwrap().success());
    assert_eq!(tags(), before);
    let ended = wait_until(|| !building(), Duration::from_secs(30));
    assert!(ended, "the compiler is still running");
}

#[test]
#[ignore = "run by make test"]
fn without_an_engine_docker_build_fails_and_names_the_alternative() {
    let directory = tempfile::tempdir().unwrap();
    programs_without(&["docker", "podman"], directory.path());
    let mut make = make_docker_build();
    make.env("PATH", directory.path());
    run(make).failed_with(&["no container engine", "docker or podman", "or use `build`"]);
}

/// Runs `make docker-build` with a `docker` that prints `text` and fails.
fn docker_build_with_failing_docker(text: &str) -> Run {
    let directory = tempfile::tempdir().unwrap();
    programs_without(&["docker", "podman"], directory.path());
    write_program(&directory.path().join("docker"), &format!("echo '{text}' >&2\nexit 1"));
    let mut make = make_docker_build();
    make.env("PATH", directory.path());
    run(make)
}

#[test]
#[ignore = "run by make test"]
fn an_engine_that_does_not_run_is_reported_with_its_message() {
    let message = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
    docker_build_with_failing_docker(message).failed_with(&["docker", "not running", message, "or use `build`"]);
}

#[test]
#[ignore = "run by make test"]
fn a_socket_without_permission_is_reported_with_the_solution() {
    let message = "permission denied while trying to connect to the Docker daemon socket";
    docker_build_with_failing_docker(message)
        .failed_with(&["no permission to use its socket", "the docker group", message]);
}

#[test]
#[ignore = "run by make test"]
fn a_base_that_cannot_be_pulled_is_reported_with_the_alternative() {
    let Some(_) = base("a base that cannot be pulled") else { return };
    docker_build(&[], &["BASE=registry.invalid/no/such:image"])
        .failed_with(&["registry.invalid/no/such:image", "create a base with base-image"]);
}

#[test]
#[ignore = "run by make test"]
fn files_that_root_creates_for_a_base_image_belong_to_the_owner_of_the_clone() {
    if let Err(why) = engine() {
        return skip("the owner of the files that `make base-image` creates", why);
    }
    if !is_root() {
        return skip("the owner of the files that `make base-image` creates", "only root can create a base image");
    }
    let directory = tempfile::tempdir().unwrap();
    let (clone, programs) = (directory.path().join("clone"), directory.path().join("bin"));
    copy_of_the_clone(&["."], &clone);
    // Copy the compiled dependencies, so that only the program itself is compiled.
    fs::create_dir(clone.join("target")).unwrap();
    let compiled = [root(), &clone].map(|clone| clone.join("target/cli").display().to_string());
    call("cp", &["-a", &compiled[0], &compiled[1]]).succeeded();
    fs::create_dir(&programs).unwrap();
    programs_without(&["debootstrap"], &programs);
    write_program(&programs.join("debootstrap"), "exit 77");
    chown(&clone, Some(65534), Some(65534)).unwrap();
    let mut make = command("make", &clone);
    make.args(["base-image", &format!("ARCH={}", arch())]).env("PATH", programs);
    run(make).failed_with(&["77"]);
    let owner = |directory: &str| fs::metadata(clone.join(directory)).unwrap().uid();
    let made = ["target/cache", "target/cache/tmp", "target/cache/logs"];
    assert_eq!(made.map(owner), [65534; 3]);
}

#[test]
#[ignore = "run by make test"]
fn an_architecture_that_needs_an_emulator_is_reported_with_the_alternative() {
    let (other, name) = match arch() {
        "arm64" => ("x86_64", "x86_64"),
        _ => ("arm64", "aarch64"),
    };
    if Path::new("/proc/sys/fs/binfmt_misc").join(format!("qemu-{name}")).exists() {
        return skip("another architecture without an emulator", "an emulator is set up");
    }
    make(&["docker-build", &format!("ARCH={other}")]).failed_with(&[
        &format!("--arch {other}: this machine is"),
        &format!("build --arch {other} needs no container"),
        "qemu-user-static",
    ]);
}
