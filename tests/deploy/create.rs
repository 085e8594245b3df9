//! A function that is not there yet.

use serde_json::{Value, json};

use crate::{
    aws::{ACCOUNT, Aws, ZIP, build, role},
    machine::{make, python, root, run, write_program},
};

/// The checksum of a zip as AWS has it.
pub fn checksum() -> String {
    let code = "import base64, hashlib, sys; \
        print(base64.b64encode(hashlib.sha256(open(sys.argv[1], 'rb').read()).digest()).decode())";
    python(code, &[&build()]).trim().to_owned()
}

#[test]
#[ignore = "through make"]
fn make_deploy_creates_a_function_with_all_that_was_named() {
    build();
    let aws = Aws::without_role();
    let mut make = aws.command("make");
    make.args([
        "deploy",
        "NAME=created",
        "OUT=dist/greeting",
        "CRATE=examples/greeting",
    ]);
    make.args([
        "MEMORY=256",
        "TIMEOUT=20",
        "ENV_VAR=TABLE=a, b=c",
        "TAGS=team=a b,stage=test",
        "URL=public",
        "ALIAS=live",
    ]);
    let run = run(make).succeeded();
    let arn = format!("arn:aws:lambda:eu-central-1:{ACCOUNT}:function:created");
    let line = run.last_line();
    assert!(
        line.starts_with(&arn) && line.contains("alias live: version 1, https://"),
        "{line}"
    );
    assert!(
        line.ends_with(&format!("CodeSha256 {}: that of {ZIP}", checksum())),
        "{line}"
    );
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
    let policy = aws.ask(
        "GET",
        "/2015-03-31/functions/created/policy?Qualifier=live",
        &json!({}),
    );
    let policy: Value = serde_json::from_str(policy["Policy"].as_str().unwrap()).unwrap();
    let of_statement = |index: usize, key: &str| policy["Statement"][index][key].clone();
    let actions = [0, 1].map(|index| of_statement(index, "Action"));
    assert_eq!(
        actions,
        ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"]
    );
    assert_eq!(of_statement(0, "FunctionUrlAuthType"), "NONE");
    assert_eq!(of_statement(1, "InvokedViaFunctionUrl"), true);
    let policies = [
        "iam",
        "list-attached-role-policies",
        "--role-name",
        "lambda-musl-created",
    ];
    let policies = aws.client_says(&policies);
    assert_eq!(
        policies["AttachedPolicies"][0]["PolicyName"],
        "AWSLambdaBasicExecutionRole"
    );
}

#[test]
#[ignore = "through make"]
fn a_dry_run_prints_word_for_word_what_then_runs_and_changes_nothing() {
    let aws = Aws::without_role();
    let options = [
        "--alias",
        "it",
        "--url",
        "iam",
        "--memory",
        "512",
        "--env-var",
        "KEY=it's $HOME",
        "--tags",
        "a=b c",
    ];
    for is_first in [true, false] {
        let name = "dry";
        let dry = aws
            .deploy(name, &[&options[..], &["--dry-run"]].concat())
            .succeeded();
        let questions = aws.calls();
        // The shell reads the lines, and a stand-in for the client says which words it got.
        let shell = aws.path("dry");
        write_program(&shell, &dry.stdout);
        let real = std::fs::read(aws.path("bin/aws")).unwrap();
        aws.client("exit 0");
        run(aws.command(shell.to_str().unwrap())).succeeded();
        let printed = aws.calls();
        std::fs::write(aws.path("bin/aws"), real).unwrap();
        assert!(printed.len() > 4, "{}", dry.stdout);
        let before = [&questions[..], &printed].concat();

        let deployed = aws.deploy(name, &options).succeeded();
        let version = deployed
            .last_line()
            .split("version ")
            .nth(1)
            .unwrap()
            .split(',')
            .next()
            .unwrap();
        let with_version = |word: &String| {
            if word == "<version>" {
                version.to_owned()
            } else {
                word.clone()
            }
        };
        let before: Vec<Vec<String>> = before
            .iter()
            .map(|call| call.iter().map(with_version).collect())
            .collect();
        assert_eq!(aws.calls(), before);
        assert!(!dry.stdout.contains("it's $HOME") && !dry.stderr.contains("it's $HOME"));
        // The second finds them in AWS already.
        assert_eq!(
            is_first,
            dry.stderr.contains("the environment variables KEY")
        );
    }
}

#[test]
#[ignore = "through make"]
fn a_role_that_was_left_without_its_policy_gets_it() {
    let aws = Aws::without_role();
    aws.client(r#"[ "$2" != attach-role-policy ] || { echo 'An error occurred (ServiceFailure) when calling it' >&2; exit 254; }"#);
    let run = aws.deploy("roles", &[]);
    run.failed_with(&[
        "stopped at 'the policy of lambda-musl-roles'",
        "ServiceFailure",
        "AWS has no function roles now",
        "The same command again",
    ]);
    aws.client("");
    aws.calls();
    aws.deploy("roles", &[]).succeeded();
    assert_eq!(aws.changes(), ["attach-role-policy", "create-function"]);
}

#[test]
#[ignore = "through make"]
fn a_role_that_lambda_cannot_assume_yet_is_waited_for() {
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
#[ignore = "through make"]
fn a_role_by_its_name_has_to_exist() {
    let aws = Aws::new();
    let none = aws.deploy("named", &["--role", "nobodys"]);
    none.failed_with(&["--role nobodys: there is no such role"]);
    assert_eq!(aws.changes(), [""; 0]);
    aws.deploy("named", &["--role", "shared"]).succeeded();
    assert_eq!(aws.function("named")["Configuration"]["Role"], role());
}

#[test]
#[ignore = "through make"]
fn a_name_that_aws_does_not_take_is_an_error_before_anything_runs() {
    let aws = Aws::new();
    let too_long = "a".repeat(65);
    for name in ["", "a b", "a:live", "function/x", "naïve", &too_long] {
        let run = aws.run(&["deploy", name, "--zip", "none.zip"]);
        run.failed_with(&["the name of the function is", "expected up to 64 letters"]);
    }
    for (option, value, expected) in [
        ("--alias", "1", "a letter in it"),
        ("--memory", "1", "128 to 32768"),
        ("--timeout", "1000", "1 to 900"),
        ("--env-var", "A-B=c", "the name \"A-B\""),
        ("--env-var", "no pair", "expected NAME=VALUE"),
        ("--layers", "mine", "ARNs of layer versions"),
        ("--role", "a role", "the name or the ARN of a role"),
        ("--s3-bucket", "A", "the name of a bucket"),
        ("--url", "open", "possible values: none, iam, public"),
    ] {
        aws.deploy("named", &[option, value])
            .failed_with(&[expected]);
    }
    assert_eq!(aws.calls(), [[""; 0]; 0]);
}

#[test]
#[ignore = "through make"]
fn a_zip_that_is_not_there_or_older_than_its_sources_names_what_builds_it() {
    build();
    let aws = Aws::new();
    aws.run(&["deploy", "x", "--out", "dist/none"])
        .failed_with(&["none/function.zip", "`build` creates one"]);
    let directory = tempfile::tempdir().unwrap();
    let krate = directory.path().join("greeting");
    std::fs::create_dir_all(krate.join("src")).unwrap();
    std::fs::copy(root().join(ZIP), directory.path().join("function.zip")).unwrap();
    std::fs::write(krate.join("Cargo.toml"), "[package]\nname = 'greeting'\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    std::fs::write(krate.join("src/main.rs"), "").unwrap();
    let [krate, out] = [&krate, directory.path()].map(|path| path.to_str().unwrap());
    let older = aws.run(&["deploy", "older", "--out", out, "--crate", krate]);
    older.failed_with(&["is older than", "cargo lambda-musl build"]);
    assert_eq!(aws.calls(), [[""; 0]; 0]);
    let zip = format!("{out}/function.zip");
    aws.run(&["deploy", "older", "--zip", &zip, "--crate", krate])
        .succeeded();
    let make = make(&["deploy"]);
    make.failed_with(&["<NAME>"]);
}
