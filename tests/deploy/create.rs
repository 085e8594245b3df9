//! Deployments of a function that does not exist yet.

use std::fs;

use serde_json::{Value, json};

use crate::{
    aws::{ACCOUNT, Aws, ZIP, build, role},
    machine::{build_crate, make, python, run, write_crate, write_program},
};

/// The checksum of the zip in AWS's encoding.
pub fn checksum() -> String {
    let code = "import base64, hashlib, sys; \
        print(base64.b64encode(hashlib.sha256(open(sys.argv[1], 'rb').read()).digest()).decode())";
    python(code, &[&build()]).trim().to_owned()
}

#[test]
#[ignore = "run by make test"]
fn make_deploy_creates_a_function_with_all_given_settings() {
    build();
    let aws = Aws::without_role();
    let mut make = aws.command("make");
    make.args(["deploy", "NAME=created", "OUT=dist/greeting", "CRATE=examples/greeting"]);
    make.args([
        "MEMORY=256", "TIMEOUT=20", "ENV_VAR=TABLE=a, b=c", "TAGS=team=a b,stage=test", "URL=public", "ALIAS=live",
    ]);
    let run = run(make).succeeded();
    let arn = format!("arn:aws:lambda:eu-central-1:{ACCOUNT}:function:created");
    let line = run.last_line();
    assert!(line.starts_with(&arn) && line.contains("alias live: version 1, https://"), "{line}");
    assert!(line.ends_with(&format!("CodeSha256 {}: the same as {ZIP}", checksum())), "{line}");
    assert_eq!(run.stdout.lines().count(), 1);

    let function = aws.function("created");
    let has = |pointer: &str| function.pointer(pointer).cloned().unwrap_or_default();
    let configuration = |key: &str| has(&format!("/Configuration/{key}"));
    let role = format!("arn:aws:iam::{ACCOUNT}:role/lambda-musl-created");
    for (key, expected) in [
        ("Runtime", json!("provided.al2023")),
        ("Handler", json!("bootstrap")),
        ("Architectures", json!(["x86_64"])),
        ("MemorySize", json!(256)),
        ("Timeout", json!(20)),
        ("Role", json!(role)),
        ("CodeSha256", json!(checksum())),
        ("Environment", json!({"Variables": {"TABLE": "a, b=c"}})),
    ] {
        assert_eq!(configuration(key), expected, "{key}");
    }
    assert_eq!(has("/Tags"), json!({"team": "a b", "stage": "test"}));
    let policy = aws.get("/2015-03-31/functions/created/policy?Qualifier=live");
    let policy: Value = serde_json::from_str(policy["Policy"].as_str().unwrap()).unwrap();
    let statement = |index: usize, key: &str| policy["Statement"][index][key].clone();
    let actions = [0, 1].map(|index| statement(index, "Action"));
    assert_eq!(actions, ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"]);
    assert_eq!(statement(0, "FunctionUrlAuthType"), "NONE");
    assert_eq!(statement(1, "InvokedViaFunctionUrl"), true);
    let policies = ["iam", "list-attached-role-policies", "--role-name", "lambda-musl-created"];
    let policies = aws.client_output(&policies);
    assert_eq!(policies["AttachedPolicies"][0]["PolicyName"], "AWSLambdaBasicExecutionRole");
}

#[test]
#[ignore = "run by make test"]
fn a_dry_run_prints_the_exact_commands_of_the_deployment_and_changes_nothing() {
    let aws = Aws::without_role();
    let options =
        ["--alias", "it", "--url", "iam", "--memory", "512", "--env-var", "KEY=it's $HOME", "--tags", "a=b c"];
    for is_first in [true, false] {
        let name = "dry";
        let dry = aws.deploy(name, &[&options[..], &["--dry-run"]].concat()).succeeded();
        let reads = aws.calls();
        // A shell runs the printed commands with a client that only logs its arguments.
        let shell = aws.path("dry");
        write_program(&shell, &dry.stdout);
        let real = fs::read(aws.path("bin/aws")).unwrap();
        aws.client("exit 0");
        run(aws.command(shell.to_str().unwrap())).succeeded();
        let printed = aws.calls();
        fs::write(aws.path("bin/aws"), real).unwrap();
        assert!(printed.len() > 4, "{}", dry.stdout);
        let before = [&reads[..], &printed].concat();

        let deployed = aws.deploy(name, &options).succeeded();
        let version = deployed.last_line().split("version ").nth(1).unwrap().split(',').next().unwrap();
        let with_version = |word: &String| {
            if word == "<version>" { version.to_owned() } else { word.clone() }
        };
        let before: Vec<Vec<String>> = before.iter().map(|call| call.iter().map(with_version).collect()).collect();
        assert_eq!(aws.calls(), before);
        assert!(!dry.stdout.contains("it's $HOME") && !dry.stderr.contains("it's $HOME"));
        // The second dry run finds the variables in AWS already.
        assert_eq!(is_first, dry.stderr.contains("the environment variables KEY"));
    }
}

#[test]
#[ignore = "run by make test"]
fn the_next_deployment_attaches_the_missing_policy_to_a_role() {
    let aws = Aws::without_role();
    aws.client(r#"[ "$2" != attach-role-policy ] || { echo 'An error occurred (ServiceFailure) when calling it' >&2; exit 254; }"#);
    let run = aws.deploy("roles", &[]);
    run.failed_with(&[
        "stopped at 'attaching the policy to lambda-musl-roles'",
        "ServiceFailure",
        "AWS has no function roles.",
        "run the same command again",
    ]);
    aws.client("");
    aws.calls();
    aws.deploy("roles", &[]).succeeded();
    assert_eq!(aws.changes(), ["attach-role-policy", "create-function"]);
}

#[test]
#[ignore = "run by make test"]
fn deploy_waits_for_a_role_that_lambda_cannot_assume_yet() {
    let aws = Aws::without_role();
    let not_yet = "An error occurred (InvalidParameterValueException) when calling the CreateFunction operation: \
        The role defined for the function cannot be assumed by Lambda.";
    let seen = aws.path("seen");
    let first = format!(
        r#"[ "$2" != create-function ] || [ -e '{0}' ] || {{ touch '{0}'; echo '{not_yet}' >&2; exit 254; }}"#,
        seen.display()
    );
    aws.client(&first);
    aws.deploy("patient", &[]).succeeded();
    assert!(seen.exists());
}

#[test]
#[ignore = "run by make test"]
fn a_role_given_by_its_name_must_exist() {
    let aws = Aws::new();
    let none = aws.deploy("named", &["--role", "nobodys"]);
    none.failed_with(&["--role nobodys: there is no such role"]);
    assert_eq!(aws.changes(), [""; 0]);
    aws.deploy("named", &["--role", "shared"]).succeeded();
    assert_eq!(aws.function("named")["Configuration"]["Role"], role());
}

#[test]
#[ignore = "run by make test"]
fn an_invalid_name_or_option_is_rejected_before_any_call_to_aws() {
    let aws = Aws::new();
    let too_long = "a".repeat(65);
    for name in ["", "a b", "a:live", "function/x", "naïve", &too_long] {
        let run = aws.run(&["deploy", name, "--zip", "none.zip"]);
        run.failed_with(&["the name of the function is", "expected up to 64 letters"]);
    }
    for (option, value, expected) in [
        ("--alias", "1", "could be a version number"),
        ("--memory", "1", "128 to 32768"),
        ("--timeout", "1000", "1 to 900"),
        ("--env-var", "A-B=c", "the name \"A-B\""),
        ("--env-var", "no pair", "expected NAME=VALUE"),
        ("--layers", "mine", "ARNs of layer versions"),
        ("--role", "a role", "the name or the ARN of a role"),
        ("--s3-bucket", "A", "the name of a bucket"),
        ("--url", "open", "possible values: none, iam, public"),
    ] {
        aws.deploy("named", &[option, value]).failed_with(&[expected]);
    }
    assert_eq!(aws.calls(), [[""; 0]; 0]);
}

#[test]
#[ignore = "run by make test"]
fn a_missing_or_outdated_zip_is_reported_with_the_command_that_builds_it() {
    build();
    let aws = Aws::new();
    aws.run(&["deploy", "x", "--out", "dist/none"]).failed_with(&["none/function.zip", "`build` creates a zip"]);
    let directory = tempfile::tempdir().unwrap();
    let (krate, out) = (directory.path().join("changing"), directory.path().join("dist"));
    write_crate(
        &krate,
        "[package]\nname = 'changing'\nversion = '0.1.0'\nedition = '2024'\n[workspace]\n",
        "fn main() {}",
    );
    build_crate(&krate, &out, &[]).succeeded();
    fs::write(krate.join("src/main.rs"), "fn main() { println!() }").unwrap();
    let out = out.to_str().unwrap();
    let outdated = aws.run(&["deploy", "outdated", "--out", out]);
    outdated.failed_with(&["its sources are newer", "cargo lambda-musl build"]);
    assert_eq!(aws.calls(), [[""; 0]; 0]);
    let zip = format!("{out}/function.zip");
    aws.run(&["deploy", "outdated", "--zip", &zip]).succeeded();
    let make = make(&["deploy"]);
    make.failed_with(&["<NAME>"]);
}
