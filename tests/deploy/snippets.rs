//! The table and the code blocks of `docs/deploy.md`.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use crate::{
    aws::{Aws, ZIP, build, role},
    create::checksum,
    machine::{Run, call, command, find_program, root, run, skip},
    update::other_zip,
};

/// The only code block in this language.
fn block(language: &str) -> String {
    let page = fs::read_to_string(root().join("docs/deploy.md")).unwrap();
    let blocks: Vec<&str> = page.split(&format!("\n```{language}\n")).skip(1).collect();
    assert_eq!(blocks.len(), 1, "{language}");
    blocks[0].split("\n```").next().unwrap().to_owned()
}

/// Runs a Python program with these wheels, in a directory with the zip and these files.
fn python(wheels: &str, program: &str, files: &[(&str, &str)]) -> Run {
    let zip = build();
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("dist")).unwrap();
    fs::copy(zip, directory.path().join("dist/function.zip")).unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let wheels = call("scripts/cli", &["wheel", wheels]).succeeded();
    let mut python = command("python3", directory.path());
    python.args(["-c", program]).env("PYTHONPATH", wheels.last_line());
    run(python)
}

#[test]
#[ignore = "run by make test"]
fn the_table_contains_every_option_and_its_variable() {
    let page = fs::read_to_string(root().join("docs/deploy.md")).unwrap();
    let table: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `--")).flat_map(|line| line.split('`')).collect();
    let help = Aws::new().run(&["deploy", "--help"]).succeeded().stdout;
    let options = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
    let options: Vec<&str> = options.map(|line| line.split([' ', '=']).next().unwrap()).collect();
    assert!(options.len() > 12, "{help}");
    for option in options {
        let variable = option.to_uppercase().replace('-', "_");
        let is_there = table.contains(option) || table.contains(&*format!("--{option}"));
        assert!(is_there && table.contains(&*variable), "{option}");
    }
}

#[test]
#[ignore = "run by make test"]
fn the_policy_allows_every_call_of_a_deployment() {
    let policy: Value = serde_json::from_str(&block("json")).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let actions: BTreeSet<&str> = statements
        .iter()
        .flat_map(|statement| match &statement["Action"] {
            Value::String(action) => vec![&**action],
            list => list.as_array().unwrap().iter().map(|action| action.as_str().unwrap()).collect(),
        })
        .collect();
    let aws = Aws::without_role();
    aws.deploy("permitted", &["--alias", "live", "--url", "public"]).succeeded();
    let options = ["--alias", "live", "--url", "iam", "--tags", "a=b", "--memory", "256", "--role", "shared"];
    role();
    aws.run(&[&["deploy", "permitted", "--zip", other_zip()], &options[..]].concat()).succeeded();
    aws.deploy("permitted", &["--alias", "live", "--url", "none"]).succeeded();
    let calls = aws.calls();
    let permission = |call: &Vec<String>| {
        let operation = match (&*call[1], call.get(2)) {
            // The operations that the client calls while it waits.
            ("wait", Some(waiter)) if waiter.starts_with("function-") => "get-function",
            ("wait", _) => "get-function-configuration",
            (operation, _) => operation,
        };
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        format!("{}:{}", call[0], operation.split('-').map(capital).collect::<String>())
    };
    let needed: BTreeSet<String> = calls.iter().map(permission).collect();
    assert!(needed.len() > 15, "{needed:?}");
    for permission in &needed {
        assert!(actions.contains(&**permission), "{permission}");
    }
}

#[test]
#[ignore = "run by make test"]
fn the_keys_for_cargo_toml_are_accepted() {
    let aws = Aws::new();
    let manifest = format!("[package]\nname = 'greeting'\n{}", block("toml"));
    fs::write(aws.path("Cargo.toml"), manifest).unwrap();
    let krate = aws.path("");
    let run = aws.deploy("keys", &["--dry-run", "--crate", krate.to_str().unwrap()]).succeeded();
    for words in
        ["--memory-size 256 --timeout 10", r#"--tags '{"team":"greetings"}'"#, "--auth-type AWS_IAM", "--name live"]
    {
        assert!(run.stdout.contains(words), "stdout does not contain {words}:\n{}", run.stdout);
    }
}

#[test]
#[ignore = "run by make test"]
fn the_command_prints_the_checksum_in_the_encoding_of_aws() {
    build();
    let mut shell = command("/bin/sh", root());
    shell.args(["-euc", &block("sh").replace("dist/function.zip", ZIP)]);
    assert_eq!(run(shell).succeeded().stdout.trim(), checksum());
}

#[test]
#[ignore = "run by make test"]
fn cfn_lint_accepts_the_template() {
    let lint = "import sys; sys.argv = ['cfn-lint', 'template.yaml']; from cfnlint.runner import main; main()";
    let template = block("yaml");
    let run = python("templates", lint, &[("template.yaml", &template)]);
    assert_eq!(run.stdout, "");
    run.succeeded();
    // The linter does report a template with an error.
    let broken = template.replace("Handler: bootstrap", "Handlr: bootstrap");
    let run = python("templates", lint, &[("template.yaml", &broken)]);
    assert!(run.stdout.contains("Handlr"), "{run:?}");
}

/// The properties of a function, in AWS's terms.
fn function() -> Value {
    json!({"runtime": "provided.al2023", "handler": "bootstrap", "architectures": ["x86_64"]})
}

#[test]
#[ignore = "run by make test"]
fn the_terraform_resources_describe_the_function_that_deploy_creates() {
    let parse = "import hcl2, json; print(json.dumps(hcl2.load(open('main.tf'))))";
    let parsed = python("templates", parse, &[("main.tf", &block("hcl"))]).succeeded();
    let parsed = parsed.stdout.replace("\\\"", "");
    let parsed: Value = serde_json::from_str(&parsed).unwrap();
    let resources = parsed["resource"].as_array().unwrap();
    let resource = resources.iter().find_map(|resource| resource.pointer("/aws_lambda_function/greeting"));
    let resource = resource.unwrap_or_else(|| panic!("{parsed}"));
    for (key, value) in function().as_object().unwrap() {
        assert_eq!(resource[key], *value, "{key}");
    }
    let hash = resource["source_code_hash"].as_str().unwrap();
    assert!(hash.contains("filebase64sha256(dist/function.zip)"), "{hash}");
}

#[test]
#[ignore = "run by make test"]
fn the_cdk_program_describes_the_function_that_deploy_creates() {
    if find_program("node").is_none() {
        return skip("the CDK in docs/deploy.md", "node is not installed");
    }
    let program = block("python").replace("App()", "App(outdir='out')");
    let read = "import json; print(open('out/Greeting.template.json').read())";
    let run = python("cdk", &format!("{program}\n{read}"), &[]).succeeded();
    let template: Value = serde_json::from_str(&run.stdout).unwrap();
    let resources = template["Resources"].as_object().unwrap();
    let of_type = |kind: &str| resources.values().find(|resource| resource["Type"] == kind);
    let properties = &of_type("AWS::Lambda::Function").unwrap()["Properties"];
    for (key, value) in function().as_object().unwrap() {
        let key = key[..1].to_uppercase() + &key[1..];
        assert_eq!(properties[&key], *value, "{key}");
    }
    assert!(of_type("AWS::Lambda::Alias").is_some());
}
