//! Complete container builds, from the archives to a response.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    complete_build, copy_lock_file, docker_build, emulator, engine, engine_call, free_address, https,
    machine::{best_of_three, call, command, make, make_executable, root, run, skip},
    stand_ins,
};

/// The value of a key in the pins of the stand-ins.
fn pinned(key: &str) -> String {
    let pins = fs::read_to_string(stand_ins().unwrap().join("pins.env")).unwrap();
    let line = pins.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim_start_matches('=').trim_matches('"').to_owned()
}

/// Starts an HTTPS server. Returns an event that probes it, and the file with the certificate of its authority.
fn probe(directory: &Path) -> (Value, PathBuf) {
    let authority = directory.join("ca.pem");
    let port = https::serve("hello", &authority);
    let event = json!({"url": format!("https://localhost:{port}/")});
    (event, authority)
}

fn assert_probed_with_the_pinned_openssl(answer: &str) {
    let answer: Value = serde_json::from_str(answer).unwrap();
    assert_eq!(answer["status"], 203, "{answer}");
    let tls = answer["tls"].as_str().unwrap();
    let expected = format!("OpenSSL {} ", pinned("OPENSSL_VERSION"));
    assert!(tls.starts_with(&expected), "{tls}");
}

#[test]
#[ignore = "run by make test"]
fn docker_build_links_the_pinned_musl_and_openssl() {
    let Some(build) = complete_build("make docker-build") else { return };
    let built = docker_build(&build, &["OUT=dist/container"]).succeeded();
    let (musl, openssl) = (pinned("MUSL_VERSION"), pinned("OPENSSL_VERSION"));
    let versions = format!("OpenSSL {openssl}, musl {musl}");
    let line = built.last_line();
    assert!(line.contains(&versions), "{line}");

    let directory = tempfile::tempdir().unwrap();
    let (event, authority) = probe(directory.path());
    let mut invoke = command("make", root());
    invoke.args(["invoke", "OUT=dist/container", &format!("EVENT={event}")]).env("SSL_CERT_FILE", &authority);
    assert_probed_with_the_pinned_openssl(&run(invoke).succeeded().stdout);

    let again = || {
        let again = docker_build(&build, &["OUT=dist/container"]).succeeded();
        assert_eq!(again.checksum(), built.checksum());
        again
    };
    let took = best_of_three(again);
    assert!(took < Duration::from_secs(2), "a build without changes took {took:?}");
}

#[test]
#[ignore = "run by make test"]
fn two_concurrent_docker_builds_create_the_same_zip() {
    let Some(build) = complete_build("two concurrent docker-builds") else { return };
    let both = ["OUT=dist/container", "OUT=dist/container 2"].map(|out| {
        let build = build.clone();
        thread::spawn(move || docker_build(&build, &[out]).succeeded())
    });
    let checksums = both.map(|run| run.join().unwrap().checksum());
    assert_eq!(checksums[0], checksums[1]);
}

#[test]
#[ignore = "run by make test"]
fn the_binary_runs_in_an_empty_image() {
    let Some(build) = complete_build("an empty image") else { return };
    docker_build(&build, &["OUT=dist/container"]).succeeded();
    let directory = tempfile::tempdir().unwrap();
    let (event, _) = probe(directory.path());
    let to = directory.path().to_string_lossy();
    let zip = "dist/container/function.zip";
    call("python3", &["-m", "zipfile", "-e", zip, &to]).succeeded();
    emulator(directory.path());
    make_executable(&directory.path().join("binary"));
    let dockerfile = "FROM scratch\nCOPY rie binary /\nCOPY ca.pem /etc/pki/tls/cert.pem\n";
    fs::write(directory.path().join("Dockerfile"), dockerfile).unwrap();
    let image = "lambda-musl-empty:test";
    engine_call(&["build", "--tag", image, &to]).succeeded();

    let (address, runtime_api) = (free_address(), free_address());
    let mut container = command(engine().unwrap(), root());
    container
        .args(["run", "--rm", "--network=host", "--entrypoint=/rie", image])
        .args(["--runtime-interface-emulator-address", &address])
        .args(["--runtime-api-address", &runtime_api, "/binary"])
        .stdout(Stdio::null());
    let mut container = container.stderr(Stdio::null()).spawn().unwrap();
    let url = format!("http://{address}/2015-03-31/functions/function/invocations");
    let mut post = command("curl", root());
    post.args(["--silent", "--show-error", "--retry", "30", "--retry-connrefused", "--retry-delay", "1"]);
    post.args(["--max-time", "60", "--data", &event.to_string(), &url]);
    let answer = run(post);
    let _ = container.kill();
    let _ = container.wait();
    let left = engine_call(&["ps", "--quiet", "--filter", &format!("ancestor={image}")]);
    for container in left.stdout.lines() {
        engine_call(&["rm", "--force", container]);
    }
    engine_call(&["image", "rm", image]);
    assert_probed_with_the_pinned_openssl(&answer.succeeded().stdout);
}

/// Creates a crate in `directory`, outside the clone. Its function doubles a number.
fn krate(directory: &Path) -> PathBuf {
    let krate = directory.join("my function");
    fs::create_dir_all(krate.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = 'mine'\nedition = '2024'\n[dependencies]\nlambda-musl = {{ path = '{}' }}\n",
        root().display()
    );
    fs::write(krate.join("Cargo.toml"), manifest).unwrap();
    write_main(&krate, "* 2");
    krate
}

fn write_main(krate: &Path, answer: &str) {
    let code = format!(
        "fn main() -> Result<(), lambda_musl::Error> {{
            lambda_musl::run(async |n: u64, _: lambda_musl::Context| Ok::<_, String>(n {answer}))
        }}"
    );
    fs::write(krate.join("src/main.rs"), code).unwrap();
}

#[test]
#[ignore = "run by make test"]
fn a_crate_outside_the_clone_builds_the_same_zip_anywhere_and_an_edit_compiles_no_library() {
    let Some(build) = complete_build("docker-build of a crate outside the clone") else { return };
    let directories = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let runs = directories.each_ref().map(|directory| {
        let krate = krate(directory.path());
        copy_lock_file(&krate);
        let krate = format!("CRATE={}", krate.display());
        docker_build(&build, &[&krate, "OUT=dist/mine"]).succeeded()
    });
    assert_eq!(runs[0].checksum(), runs[1].checksum());
    let answer = make(&["invoke", "OUT=dist/mine", "EVENT=21"]).succeeded();
    assert_eq!(answer.stdout, "42\n");
    let record = fs::read_to_string(root().join("dist/mine/build.json")).unwrap();
    assert!(record.contains("musl") && !record.contains("openssl"), "{record}");

    let krate = directories[1].path().join("my function");
    write_main(&krate, "* 3");
    let krate = format!("CRATE={}", krate.display());
    // cargo's progress is printed only with VERBOSE.
    let verbose = [&krate, "OUT=dist/mine", "VERBOSE=1"];
    let edited = docker_build(&build, &verbose).succeeded().reported(&["Compiling mine "]);
    let compiled: Vec<&str> = edited
        .stderr
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Compiling "))
        .filter(|line| !line.starts_with("mine "))
        .collect();
    assert!(compiled.is_empty(), "{compiled:?}");
    assert!(!edited.stderr.contains("musl 1"), "{}", edited.stderr);
    let answer = make(&["invoke", "OUT=dist/mine", "EVENT=21"]).succeeded();
    assert_eq!(answer.stdout, "63\n");
    // A different crate with the same name is built into its own function.
    let krate = format!("CRATE={}", directories[0].path().join("my function").display());
    let other = docker_build(&build, &[&krate, "OUT=dist/mine"]).succeeded();
    assert_eq!(other.checksum(), runs[0].checksum());
}

#[test]
#[ignore = "run by make test"]
fn invoke_rebuilds_a_docker_build_zip_with_docker_build() {
    let Some(build) = complete_build("invoke after docker-build") else { return };
    let directory = tempfile::tempdir().unwrap();
    let krate = krate(directory.path());
    copy_lock_file(&krate);
    let krate_option = format!("CRATE={}", krate.display());
    docker_build(&build, &[&krate_option, "OUT=dist/again"]).succeeded();
    let invoke = || make(&["invoke", "OUT=dist/again", "EVENT=21"]).succeeded();
    let first = invoke();
    assert!(!first.stderr.contains("rebuilding it"), "{}", first.stderr);
    write_main(&krate, "* 3");
    let second = invoke().reported(&["rebuilding it with `docker-build`"]);
    assert_eq!(second.stdout, "63\n");
    let record = fs::read_to_string(root().join("dist/again/build.json")).unwrap();
    assert!(record.contains(&pinned("MUSL_VERSION")), "{record}");
}

#[test]
#[ignore = "run by make test"]
fn verify_accepts_a_crate_with_a_git_dependency() {
    let Some(build) = complete_build("docker-build of a crate with a git dependency") else { return };
    if !root().join(".git").exists() {
        return skip("a git dependency", "this directory is not a git repository");
    }
    let directory = tempfile::tempdir().unwrap();
    let krate = krate(directory.path());
    let manifest = fs::read_to_string(krate.join("Cargo.toml")).unwrap();
    let url = format!("git = 'file://{}'", root().display().to_string().replace(' ', "%20"));
    let manifest = manifest.replace(&format!("path = '{}'", root().display()), &url);
    fs::write(krate.join("Cargo.toml"), manifest).unwrap();
    let krate = format!("CRATE={}", krate.display());
    docker_build(&build, &[&krate, "OUT=dist/git"]).succeeded();
    make(&["verify", "OUT=dist/git"]).succeeded();
}

#[test]
#[ignore = "run by make test"]
fn a_version_of_musl_that_differs_from_the_archive_is_reported() {
    let Some(build) = complete_build("a version of musl that differs from the archive") else { return };
    let directory = tempfile::tempdir().unwrap();
    let pins = fs::read_to_string(stand_ins().unwrap().join("pins.env")).unwrap();
    let musl = pinned("MUSL_VERSION");
    let line = |version: &str| format!("MUSL_VERSION={version}\n");
    let file = directory.path().join("pins.env");
    fs::write(&file, pins.replace(&line(&musl), &line("1.9.9"))).unwrap();
    let pins = format!("PINS={}", file.display());
    docker_build(&build, &[&pins]).failed_with(&["MUSL_VERSION is 1.9.9", &musl]);
}
