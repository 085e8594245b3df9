//! `new` and `init`, and the builds that `invoke` starts.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use crate::machine::{Run, cargo_lambda_musl, command, git, kill, make, names, root, run, wait_until, write_crate};

/// Creates an empty directory with a space in its name.
fn empty(directory: &Path) -> PathBuf {
    let empty = directory.join("my functions");
    fs::create_dir(&empty).unwrap();
    empty
}

fn subcommand(directory: &Path, arguments: &[&str]) -> Run {
    let mut cargo = cargo_lambda_musl(directory);
    cargo.args(arguments);
    run(cargo)
}

/// Runs `cargo metadata` for a package, which builds nothing.
fn metadata(package: &Path) -> Run {
    let mut cargo = command(env!("CARGO"), package);
    cargo.args(["metadata", "--no-deps", "--format-version=1"]);
    run(cargo)
}

#[test]
#[ignore = "run by make test"]
fn new_creates_all_files_and_prints_the_next_steps() {
    let directory = tempfile::tempdir().unwrap();
    let parent = empty(directory.path());
    let made = subcommand(&parent, &["new", "hello"]).succeeded();
    assert!(made.stdout.starts_with("hello: a function that handles"));
    let next = "cd hello\n  cargo test\n  cargo lambda-musl invoke --event '{\"name\":\"Ada\"}'\n";
    assert!(made.stdout.ends_with(next), "{}", made.stdout);
    let expected = [
        ".github", ".gitignore", "Cargo.lock", "Cargo.toml", "Makefile", "README.md", "rust-toolchain.toml",
        "samconfig.toml", "src", "template.yaml",
    ];
    assert_eq!(names(&parent.join("hello")), expected);
    assert_eq!(names(&parent), ["hello"], "new created other files");
    let readme = fs::read_to_string(parent.join("hello/README.md")).unwrap();
    assert!(readme.starts_with("# hello\n") && !readme.contains('{'.to_string().repeat(2).as_str()));
}

#[test]
#[ignore = "run by make test"]
fn new_reports_invalid_arguments_and_creates_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let parent = empty(directory.path());
    for (arguments, expected) in [
        (&["serde"][..], ["the name \"serde\"", "depends on"]),
        (&["a", "--event", "sqss"], ["'sqss' for '--event", "sqs, s3, eventbridge, sns, dynamodb, cron"]),
        (&["a", "--http=rocket"], ["'rocket' for '--http", "closure, axum"]),
        (&["a", "--http", "--stream"], ["'--http", "cannot be used with '--stream'"]),
        (&["a", "--dir", "none/a"], ["none/a: ", "does not exist"]),
        (&["a", "--dir", "/proc/a"], ["/proc: ", "expected a writable directory"]),
        (&["a", "--runtime", "none"], ["--runtime none", "expected the directory of a clone"]),
        (&[], ["required arguments", "<NAME>"]),
    ] {
        subcommand(&parent, &[&["new"], arguments].concat()).failed_with(&expected);
        assert_eq!(names(&parent), [""; 0], "{arguments:?}");
    }
    fs::create_dir(parent.join("taken")).unwrap();
    fs::write(parent.join("taken/file"), "").unwrap();
    subcommand(&parent, &["new", "taken"]).failed_with(&["taken is not empty", "`init`"]);
    subcommand(&parent, &["new", "a", "--dir", "taken/file"]).failed_with(&["expected a new directory"]);
    assert_eq!(names(&parent.join("taken")), ["file"]);
}

#[test]
#[ignore = "run by make test"]
fn new_accepts_an_empty_directory_with_another_name() {
    let directory = tempfile::tempdir().unwrap();
    let parent = empty(directory.path());
    fs::create_dir(parent.join("there")).unwrap();
    subcommand(&parent, &["new", "hello", "--dir", "there"]).succeeded();
    let metadata = metadata(&parent.join("there")).succeeded();
    assert!(metadata.stdout.contains("\"name\":\"hello\""));
    assert_eq!(names(&parent), ["there"]);
}

#[test]
#[ignore = "run by make test"]
fn new_keeps_an_empty_current_directory_and_follows_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let here = empty(directory.path());
    let inode = || fs::metadata(&here).unwrap().ino();
    let before = inode();
    subcommand(&here, &["new", "hello", "--dir", "."]).succeeded();
    assert_eq!(inode(), before, "the directory was replaced");
    metadata(&here).succeeded();
    let (real, link) = (directory.path().join("real"), directory.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    subcommand(&here, &["new", "other", "--dir", link.to_str().unwrap()]).succeeded();
    metadata(&real).succeeded();
}

#[test]
#[ignore = "run by make test"]
fn an_interrupted_new_leaves_no_files() {
    let directory = tempfile::tempdir().unwrap();
    let parent = empty(directory.path());
    // A repository that accepts connections but never responds.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/runtime", silent.local_addr().unwrap());
    let mut new = cargo_lambda_musl(&parent);
    new.args(["new", "hello", "--runtime", &url]);
    let mut new = new.stderr(Stdio::null()).spawn().unwrap();
    let began = wait_until(|| !names(&parent).is_empty(), Duration::from_secs(20));
    assert!(began, "new never started");
    let _connection = silent.accept().unwrap();
    kill("INT", new.id());
    assert!(!new.wait().unwrap().success());
    let is_gone = wait_until(|| names(&parent).is_empty(), Duration::from_secs(5));
    assert!(is_gone, "{:?}", names(&parent));
}

#[test]
#[ignore = "run by make test"]
fn two_concurrent_calls_of_new_create_one_package() {
    let directory = tempfile::tempdir().unwrap();
    let parent = empty(directory.path());
    subcommand(&parent, &["new", "first"]).succeeded();
    let both = thread::scope(|scope| {
        let both = [1, 2].map(|_| scope.spawn(|| subcommand(&parent, &["new", "hello"])));
        both.map(|one| one.join().unwrap())
    });
    assert_eq!(both.iter().filter(|run| run.success).count(), 1, "{both:?}");
    assert_eq!(names(&parent), ["first", "hello"]);
}

#[test]
#[ignore = "run by make test"]
fn without_a_registry_new_creates_a_package_and_notes_that_it_has_no_lock_file() {
    let directory = tempfile::tempdir().unwrap();
    let parent = empty(directory.path());
    let mut new = cargo_lambda_musl(&parent);
    new.args(["new", "hello"]);
    new.env("CARGO_NET_OFFLINE", "true");
    new.env("CARGO_HOME", directory.path().join("cargo"));
    run(new).succeeded().reported(&["note: Cargo.lock was not created: "]);
    assert!(parent.join("hello/src/main.rs").exists());
    let mut of_a_release = cargo_lambda_musl(&parent);
    of_a_release.args(["new", "other", "--runtime", "https://example.invalid/lambda-musl"]);
    of_a_release.env("CARGO_NET_OFFLINE", "true").env("CARGO_HOME", directory.path().join("cargo"));
    run(of_a_release).succeeded().reported(&["https://example.invalid/lambda-musl has the tag v", "--runtime DIR"]);
}

#[test]
#[ignore = "run by make test"]
fn a_new_package_in_a_workspace_is_a_member_only_if_the_workspace_lists_it() {
    let directory = tempfile::tempdir().unwrap();
    let parent = empty(directory.path());
    let workspace = "[workspace]\nmembers = ['crates/*']\nresolver = '3'\n";
    fs::write(parent.join("Cargo.toml"), workspace).unwrap();
    fs::create_dir(parent.join("crates")).unwrap();
    subcommand(&parent, &["new", "other"]).succeeded();
    let member = subcommand(&parent, &["new", "member", "--dir", "crates/member"]).succeeded();
    member.reported(&["note: the package is a member of the workspace", "`cargo update --workspace`"]);
    let roots = ["other", "crates/member"].map(|package| {
        let metadata = metadata(&parent.join(package)).succeeded();
        assert_eq!(metadata.stderr, "", "cargo warns about {package}");
        let metadata: serde_json::Value = serde_json::from_str(&metadata.stdout).unwrap();
        PathBuf::from(metadata["workspace_root"].as_str().unwrap())
    });
    let parent = fs::canonicalize(parent).unwrap();
    assert_eq!(roots, [parent.join("other"), parent]);
}

#[test]
#[ignore = "run by make test"]
fn new_inside_a_repository_creates_no_workflow() {
    let directory = tempfile::tempdir().unwrap();
    let parent = empty(directory.path());
    git(&parent, &["init", "--quiet"]).succeeded();
    let made = subcommand(&parent, &["new", "hello"]).succeeded();
    made.reported(&["note: .github/workflows/ci.yml was not created"]);
    assert!(!parent.join("hello/.github").exists());
}

#[test]
#[ignore = "run by make test"]
fn new_with_a_repository_as_the_runtime_depends_on_the_tag_of_this_version() {
    let directory = tempfile::tempdir().unwrap();
    let repository = directory.path().join("runtime");
    crate::machine::copy_of_the_clone(
        &["src", "Cargo.toml", "conformance", "function", "examples/greeting", "examples/router"],
        &repository,
    );
    git(&repository, &["init", "--quiet"]).succeeded();
    git(&repository, &["add", "--all"]).succeeded();
    git(&repository, &["commit", "--quiet", "--message", "a release"]).succeeded();
    let tag = format!("v{}", env!("CARGO_PKG_VERSION"));
    git(&repository, &["tag", &tag]).succeeded();
    let parent = empty(directory.path());
    let url = format!("file://{}", repository.display());
    let made = subcommand(&parent, &["new", "hello", "--runtime", &url]).succeeded();
    assert!(!made.stderr.contains("note:"), "{}", made.stderr);
    let lock = fs::read_to_string(parent.join("hello/Cargo.lock")).unwrap();
    assert!(lock.contains(&format!("git+{url}?tag={tag}#")), "{lock}");
    let workflow = fs::read_to_string(parent.join("hello/.github/workflows/ci.yml")).unwrap();
    assert!(workflow.contains(&format!("--git {url} --tag {tag} cargo-lambda-musl")));
}

#[test]
#[ignore = "run by make test"]
fn the_workflow_of_a_new_package_uses_the_actions_that_this_clone_pins() {
    let own = fs::read_to_string(root().join(".github/workflows/ci.yml")).unwrap();
    let new = fs::read_to_string(root().join("cli/src/new/template/ci.yml")).unwrap();
    let uses = |text: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.split("uses: ").nth(1));
        lines.map(Into::into).collect()
    };
    let (own, new) = (uses(&own), uses(&new));
    assert_eq!(new.len(), 2);
    assert!(new.iter().all(|action| own.contains(action)), "{new:?}");
}

#[test]
#[ignore = "run by make test"]
fn make_new_passes_its_variables_to_new() {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("my orders");
    let dir = format!("DIR={}", package.display());
    make(&["new", "NAME=orders", &dir, "EVENT=sqs", "ARCH=arm64"]).succeeded();
    let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
    for text in ["name = \"orders\"", "features = [\"sqs\"]", "arch = \"arm64\""] {
        assert!(manifest.contains(text), "{manifest}");
    }
    let template = fs::read_to_string(package.join("template.yaml")).unwrap();
    assert!(template.contains("Architectures: [arm64]") && template.contains("Type: SQS"));
    make(&["new"]).failed_with(&["<NAME>"]);
}

#[test]
#[ignore = "run by make test"]
fn init_adds_missing_files_lists_manual_steps_and_changes_nothing_the_second_time() {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("my package");
    let manifest =
        "[package]\nname = 'mine'\nedition = '2024'\n\n[dependencies] # few\n\n[profile.release]\nlto = true\n";
    write_crate(&package, manifest, "fn main() {}\n");
    fs::write(package.join("Makefile"), "all:\n").unwrap();
    fs::write(package.join(".gitignore"), "target\n").unwrap();
    fs::write(package.join("README.md"), "mine").unwrap();
    let first = subcommand(&package, &["init", "--event", "sqs"]).succeeded();
    for line in [
        "wrote Cargo.toml\n",
        "wrote template.yaml\n",
        "wrote samconfig.toml\n",
        "wrote rust-toolchain.toml\n",
        "left README.md unchanged: it exists already\n",
        "add these lines to .gitignore by hand:\n  /dist/\n  /.aws-sam/\n",
        "add these lines to Makefile by hand:\n  # ",
        "add a call of the runtime, such as this one, to src/main.rs by hand:\n  fn main() ->",
    ] {
        assert!(first.stdout.contains(line), "stdout does not contain {line:?}:\n{}", first.stdout);
    }
    let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
    let begin = "[package]\nname = 'mine'\nedition = '2024'\n\n[dependencies] # few\n";
    assert!(manifest.starts_with(begin), "{manifest}");
    assert_eq!(manifest.matches("[profile.release]").count(), 1);
    assert!(manifest.contains("[package.metadata.lambda-musl]"));
    assert_eq!(fs::read_to_string(package.join("README.md")).unwrap(), "mine");
    metadata(&package).succeeded();
    let second = subcommand(&package, &["init", "--event", "sqs"]).succeeded();
    assert!(!second.stdout.contains("wrote"), "{}", second.stdout);
    assert_eq!(fs::read_to_string(package.join("Cargo.toml")).unwrap(), manifest);
}

#[test]
#[ignore = "run by make test"]
fn init_keeps_links_permissions_and_files_that_are_not_text() {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("linked");
    let manifest = "[package]\r\nname = 'linked'\r\nedition = '2024'\r\n\r\n[dependencies]\r\n";
    write_crate(&package, manifest, "fn main() {}\n");
    let [real, link] = [directory.path().join("real.toml"), package.join("Cargo.toml")];
    fs::rename(&link, &real).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    symlink(&real, &link).unwrap();
    fs::write(package.join("README.md"), b"\xff\xfe").unwrap();
    symlink("nowhere", package.join("Makefile")).unwrap();
    let run = subcommand(&package, &["init"]).succeeded();
    assert!(run.stdout.contains("left README.md unchanged"), "{}", run.stdout);
    for name in ["Cargo.toml", "Makefile"] {
        assert!(package.join(name).is_symlink(), "{name} was replaced");
    }
    assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o600);
    let text = fs::read_to_string(real).unwrap();
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
}

#[test]
#[ignore = "run by make test"]
fn init_needs_a_package_with_a_binary() {
    let directory = tempfile::tempdir().unwrap();
    let package = empty(directory.path());
    subcommand(&package, &["init"]).failed_with(&["there is no Cargo.toml in this directory"]);
    assert_eq!(names(&package), [""; 0]);
    write_crate(&package, "[package]\nname = 'mine'\nedition = '2024'\n", "");
    fs::rename(package.join("src/main.rs"), package.join("src/lib.rs")).unwrap();
    subcommand(&package, &["init"]).failed_with(&["no binary target, such as src/main.rs"]);
    assert_eq!(names(&package), ["Cargo.toml", "src"]);
}

/// Creates a package with a path dependency, an included file, and a source file outside the package.
fn package_with_sources(directory: &Path) -> PathBuf {
    let package = directory.join("my function");
    let manifest = format!(
        "[package]\nname = 'fresh'\nedition = '2024'\n[dependencies]\nlambda-musl = {{ path = '{}' }}\n\
         words = {{ path = '../words' }}\n[package.metadata.lambda-musl]\ninclude = ['data.txt']\n",
        root().display()
    );
    let main = "fn main() -> Result<(), lambda_musl::Error> {
        lambda_musl::run(async |_: (), _: lambda_musl::Context| {
            let data = std::fs::read_to_string(\"data.txt\").map_err(|error| error.to_string())?;
            Ok::<_, String>((words::WORD, data, include_str!(\"../../outside.txt\"), cfg!(feature = \"f\")))
        })
    }";
    write_crate(&package, &manifest, main);
    let words = directory.join("words");
    write_crate(&words, "[package]\nname = 'words'\nedition = '2024'\n", "");
    fs::rename(words.join("src/main.rs"), words.join("src/lib.rs")).unwrap();
    fs::write(words.join("src/lib.rs"), "pub const WORD: &str = \"one\";").unwrap();
    fs::write(package.join("data.txt"), "one").unwrap();
    fs::write(directory.join("outside.txt"), "one").unwrap();
    package
}

#[test]
#[ignore = "run by make test"]
fn invoke_builds_a_zip_that_is_missing_or_older_than_its_sources() {
    let directory = tempfile::tempdir().unwrap();
    let package = package_with_sources(directory.path());
    let invoke = |more: &[&str]| {
        let run = subcommand(&package, &[&["invoke", "--event", "null"], more].concat()).succeeded();
        (run.stdout.trim_end().to_owned(), run.stderr)
    };
    let (answer, stderr) = invoke(&[]);
    assert_eq!(answer, r#"["one","one","one",false]"#);
    assert!(stderr.contains("there is no deployment package yet"), "{stderr}");
    let (_, stderr) = invoke(&[]);
    assert!(!stderr.contains("building"), "{stderr}");
    let again = "its sources have changed; rebuilding it with `build ";
    for (file, text, expected) in [
        ("words/src/lib.rs", "pub const WORD: &str = \"two\";", r#"["two","one","one",false]"#),
        ("my function/data.txt", "two", r#"["two","two","one",false]"#),
        ("outside.txt", "two", r#"["two","two","two",false]"#),
    ] {
        fs::write(directory.path().join(file), text).unwrap();
        let (answer, stderr) = invoke(&[]);
        assert_eq!(answer, expected, "{file}");
        assert!(stderr.contains(again), "{stderr}");
    }
    // A file that is not a source does not start a build.
    fs::write(package.join("README.md"), "mine").unwrap();
    let (_, stderr) = invoke(&[]);
    assert!(!stderr.contains("building"), "{stderr}");
    // The defaults in `[package.metadata]` count as a source as well.
    let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
    let manifest = manifest.replace("include =", "features = ['f']\ninclude =") + "[features]\nf = []\n";
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    assert_eq!(invoke(&[]).0, r#"["two","two","two",true]"#);
    fs::write(directory.path().join("outside.txt"), "three").unwrap();
    let named = invoke(&["--zip", "dist/function.zip"]);
    assert_eq!(named.0, r#"["two","two","two",true]"#, "the zip that --zip names was built again");
    // A zip that the program did not write is not built again.
    let zip = package.join("dist/function.zip");
    fs::write(&zip, fs::read(&zip).unwrap()).unwrap();
    assert_eq!(invoke(&[]).0, r#"["two","two","two",true]"#);
}

#[test]
#[ignore = "run by make test"]
fn invoke_builds_again_with_the_options_of_the_last_build() {
    let directory = tempfile::tempdir().unwrap();
    let package = package_with_sources(directory.path());
    let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
    fs::write(package.join("Cargo.toml"), manifest + "[features]\nf = []\n").unwrap();
    let mut build: Command = cargo_lambda_musl(&package);
    build.arg("build").env("FEATURES", "f").env("LAYOUT", "single");
    run(build).succeeded();
    fs::write(directory.path().join("outside.txt"), "two").unwrap();
    let invoked = subcommand(&package, &["invoke", "--event", "null"]).succeeded();
    assert_eq!(invoked.stdout, "[\"one\",\"one\",\"two\",true]\n");
    let record = fs::read_to_string(package.join("dist/build.json")).unwrap();
    assert!(record.contains("single"), "{record}");
}
