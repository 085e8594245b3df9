//! AWS SAM with the files that `new` creates for it.

use std::{fs, path::Path, process::Command, sync::OnceLock};

use crate::{
    Image, base, engine_call,
    machine::{arch, call, cargo_lambda_musl, command, root, run},
};

/// The directory of SAM's wheels, which contain too many files to check at every call.
fn wheels() -> &'static str {
    static WHEELS: OnceLock<String> = OnceLock::new();
    WHEELS.get_or_init(|| {
        let wheels = call("scripts/cli", &["wheel", "sam"]).succeeded();
        wheels.last_line().to_owned()
    })
}

/// The `sam` command in the directory of a project, with its state in `home`.
fn sam(project: &Path, home: &Path, arguments: &[&str]) -> Command {
    // This also copies the program to a directory in `PATH`.
    let cargo = cargo_lambda_musl(project);
    let mut sam = command("python3", project);
    let variables = cargo.get_envs();
    sam.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    sam.args(["-m", "samcli"]).args(arguments);
    sam.env("PYTHONPATH", wheels()).env("__SAM_CLI_APP_DIR", home);
    sam.env("SAM_CLI_TELEMETRY", "0").env("AWS_DEFAULT_REGION", "us-east-1");
    sam
}

/// Creates a package in `parent`.
fn package(parent: &Path, name: &str, options: &[&str]) {
    let mut new = cargo_lambda_musl(parent);
    new.args(["new", name, "--arch", arch()]).args(options);
    run(new).succeeded();
}

#[test]
#[ignore = "run by make test"]
fn sam_accepts_the_template_of_every_kind_of_package() {
    let directory = tempfile::tempdir().unwrap();
    let parent = directory.path().join("my functions");
    fs::create_dir(&parent).unwrap();
    let kinds = [
        &[][..],
        &["--http"],
        &["--stream"],
        &["--event", "sqs"],
        &["--event", "s3"],
        &["--event", "eventbridge"],
        &["--event", "sns"],
        &["--event", "dynamodb"],
        &["--event", "cron"],
    ];
    for (index, options) in kinds.into_iter().enumerate() {
        let name = format!("kind-{index}");
        package(&parent, &name, options);
        let template = format!("{name}/template.yaml");
        let validated = run(sam(&parent, directory.path(), &["validate", "--lint", "--template", &template]));
        assert!(validated.stdout.contains("is a valid SAM Template"), "{options:?} {validated:?}");
    }
}

#[test]
#[ignore = "run by make test"]
fn sam_builds_and_invokes_a_new_package() {
    let Some(base) = base("sam local invoke") else { return };
    let directory = tempfile::tempdir().unwrap();
    let parent = directory.path().join("my functions");
    fs::create_dir(&parent).unwrap();
    package(&parent, "orders", &["--event", "sqs"]);
    let project = parent.join("orders");
    let built = run(sam(&project, directory.path(), &["build"])).succeeded();
    assert!(built.stdout.contains("Build Succeeded"), "{built:?}");
    assert!(project.join("target").exists(), "cargo compiled in a copy of the project");
    // Replaces AWS's image. SAM adds the emulator to any image.
    let name = "lambda-musl-like-aws-for-sam";
    let images = [format!("{name}:test"), format!("{name}:rapid-{}", arch())].map(Image);
    engine_call(&["tag", base, &images[0].0]).succeeded();
    let event = directory.path().join("event.json");
    fs::copy(root().join("cli/src/invoke/examples/sqs.json"), &event).unwrap();
    let event = event.to_string_lossy();
    let invoke = ["local", "invoke", "--skip-pull-image", "--invoke-image", &images[0].0, "--event", &event];
    let invoked = run(sam(&project, directory.path(), &invoke)).succeeded();
    let answer: serde_json::Value = serde_json::from_str(&invoked.stdout).expect(&invoked.stdout);
    let failed = &answer["batchItemFailures"][0]["itemIdentifier"];
    assert_eq!(failed, "00000000-0000-4000-8000-000000000002");
}
