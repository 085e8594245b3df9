//! Deployments of a function that already exists.

use std::{fs, path::Path};

use serde_json::json;

use crate::{
    aws::{ACCOUNT, Answer, Aws, ZIP, build, proxy},
    create::checksum,
    machine::{build_crate, make, write_crate},
};

/// Builds the package with the binary as its entry point, so that the zip differs from `ZIP`.
pub fn other_zip() -> &'static str {
    build();
    make(&["CRATE=examples/greeting", "OUT=dist/greeting-single", "LAYOUT=single"]).succeeded();
    "dist/greeting-single/function.zip"
}

#[test]
#[ignore = "run by make test"]
fn only_different_bytes_are_uploaded() {
    let aws = Aws::new();
    let other = other_zip();
    aws.run(&["deploy", "bytes", "--zip", other]).succeeded();
    aws.calls();
    aws.deploy("bytes", &[]).succeeded();
    assert_eq!(aws.changes(), ["update-function-code"]);
    assert_eq!(aws.function("bytes")["Configuration"]["CodeSha256"], checksum());
    aws.deploy("bytes", &[]).succeeded();
    assert_eq!(aws.changes(), [""; 0]);
}

#[test]
#[ignore = "run by make test"]
fn settings_that_are_not_given_stay_unchanged() {
    let aws = Aws::new();
    let variables = json!({"Variables": {"ONE": "1", "TWO": "2"}});
    let with = json!({"MemorySize": 512, "Timeout": 30, "Environment": variables, "Tags": {"a": "1"}});
    build();
    aws.create("stays", ZIP, with);
    let options = ["--timeout", "60", "--env-var", "TWO=3", "--tags", "b=2"];
    aws.deploy("stays", &options).succeeded();
    assert_eq!(aws.changes(), ["update-function-configuration", "tag-resource"]);
    let function = aws.function("stays");
    let configuration = &function["Configuration"];
    assert_eq!(configuration["MemorySize"], 512);
    assert_eq!(configuration["Timeout"], 60);
    let expected = json!({"Variables": {"ONE": "1", "TWO": "3"}});
    assert_eq!(configuration["Environment"], expected);
    assert_eq!(function["Tags"], json!({"a": "1", "b": "2"}));
}

#[test]
#[ignore = "run by make test"]
fn a_function_of_another_runtime_and_architecture_is_changed_to_fit_the_package() {
    build();
    let aws = Aws::new();
    let other = json!({"Runtime": "python3.13", "Handler": "a.b", "Architectures": ["arm64"]});
    aws.create("other-kind", ZIP, other);
    aws.deploy("other-kind", &[]).succeeded();
    let calls = aws.calls();
    let words = |operation: &str| calls.iter().find(|call| call[1] == operation).unwrap().join(" ");
    let code = words("update-function-code");
    assert!(code.contains(" --architectures x86_64 "), "{code}");
    let configuration = &aws.function("other-kind")["Configuration"];
    let has = ["Runtime", "Handler"].map(|key| configuration[key].clone());
    assert_eq!(has, ["provided.al2023", "bootstrap"]);
}

#[test]
#[ignore = "run by make test"]
fn an_alias_moves_to_the_new_version_and_a_url_changes_from_public_to_iam_to_none() {
    let aws = Aws::new();
    aws.run(&["deploy", "aliased", "--zip", other_zip(), "--alias", "live", "--url", "public"]).succeeded();
    aws.calls();
    let run = aws.deploy("aliased", &["--alias", "live", "--url", "iam"]).succeeded();
    assert!(run.last_line().contains("alias live: version 2, https://"), "{}", run.stdout);
    let expected = [
        "update-function-code", "publish-version", "update-alias", "update-function-url-config", "remove-permission",
        "remove-permission",
    ];
    assert_eq!(aws.changes(), expected);
    aws.deploy("aliased", &["--alias", "live", "--url", "none"]).succeeded();
    assert!(aws.changes().contains(&"delete-function-url-config".to_owned()));
    let alias = aws.get("/2015-03-31/functions/aliased/aliases/live");
    assert_eq!(alias["FunctionVersion"], "2");
}

#[test]
#[ignore = "run by make test"]
fn options_override_the_defaults_in_cargo_toml() {
    build();
    let aws = Aws::new();
    let directory = tempfile::tempdir().unwrap();
    let manifest = directory.path().join("Cargo.toml");
    let krate = directory.path().to_str().unwrap();
    let write_manifest = |name: &str, table: &str| {
        let table = format!("[package]\nname = '{name}'\n[package.metadata.lambda-musl.deploy]\n{table}");
        fs::write(&manifest, table).unwrap();
    };
    write_manifest(
        "greeting",
        "memory = 256\ntimeout = 10\nenv-var = { ONE = '1', TWO = '2' }\ntags = { a = 'b' }\nlayers = []\n",
    );
    let deploy = |options: &[&str]| aws.deploy("defaults", &[&["--crate", krate], options].concat());
    deploy(&["--timeout", "20", "--env-var", "TWO=3"]).succeeded();
    let function = aws.function("defaults");
    let configuration = &function["Configuration"];
    assert_eq!((&configuration["MemorySize"], &configuration["Timeout"]), (&json!(256), &json!(20)));
    assert_eq!(configuration["Environment"]["Variables"], json!({"ONE": "1", "TWO": "3"}));
    assert_eq!(function["Tags"], json!({"a": "b"}));

    write_manifest("another", "memory = 1024\n");
    deploy(&[]).succeeded().reported(&["contains greeting, so the deploy settings of Cargo.toml in", "are ignored"]);
    assert_eq!(aws.function("defaults")["Configuration"]["MemorySize"], 256);
}

#[test]
#[ignore = "run by make test"]
fn values_of_environment_variables_appear_in_no_command_line_and_no_error() {
    let aws = Aws::new();
    let file = aws.path("secrets");
    fs::write(&file, "# of the test\n\nAPI_KEY='hunter2 = \"$x\"'\n").unwrap();
    let options = ["--env-file", file.to_str().unwrap(), "--verbose"];
    let run = aws.deploy("secret", &options).succeeded();
    assert!(!format!("{run:?}").contains("hunter2"));
    assert!(!format!("{:?}", aws.calls()).contains("hunter2"));
    let variables = &aws.function("secret")["Configuration"]["Environment"]["Variables"];
    assert_eq!(*variables, json!({"API_KEY": "hunter2 = \"$x\""}));
    // In the error message, AWS may repeat the request that it rejects.
    aws.client(r#"[ "$2" != update-function-configuration ] || { cat >&2; exit 254; }"#);
    let run = aws.deploy("secret", &["--env-var", "OTHER=correct horse"]);
    let run = run.failed_with(&["API_KEY", "OTHER", "***"]);
    assert!(!run.stderr.contains("hunter2") && !run.stderr.contains("correct horse"), "{}", run.stderr);
}

#[test]
#[ignore = "run by make test"]
fn a_function_with_a_container_image_is_rejected() {
    let configuration = json!({
        "FunctionName": "image",
        "FunctionArn": format!("arn:aws:lambda:eu-central-1:{ACCOUNT}:function:image"),
        "PackageType": "Image",
        "CodeSha256": "00",
    });
    let function = json!({"Configuration": configuration}).to_string();
    let port = proxy(move |request| match request.line.starts_with("GET /2015-03-31/functions/image") {
        true => Answer::Instead(200, &[], function.clone()),
        false => Answer::Pass,
    });
    let aws = Aws::behind(port);
    aws.deploy("image", &[]).failed_with(&["is a container image"]);
    assert_eq!(aws.changes(), [""; 0]);
}

#[test]
#[ignore = "run by make test"]
fn a_zip_that_changes_after_it_was_verified_is_not_uploaded() {
    let zip = build();
    let aws = Aws::new();
    let copy = aws.path("function.zip");
    fs::copy(&zip, &copy).unwrap();
    let change = format!(r#"[ "$2" != get-function ] || echo >>'{}'"#, copy.display());
    aws.client(&change);
    let run = aws.run(&["deploy", "changed", "--zip", copy.to_str().unwrap()]);
    run.failed_with(&["function.zip has changed since it was verified", "AWS has no function changed."]);
    assert!(!aws.changes().contains(&"create-function".to_owned()));
}

#[test]
#[ignore = "run by make test"]
fn a_large_zip_is_uploaded_through_a_bucket_and_rejected_without_one() {
    let aws = Aws::new();
    let directory = tempfile::tempdir().unwrap();
    let large = large_zip(directory.path());
    let deploy = |options: &[&str]| aws.run(&[&["deploy", "large", "--zip", &large], options].concat());
    deploy(&[]).failed_with(&["over 52428800 bytes", "--s3-bucket"]);
    assert_eq!(aws.changes(), [""; 0]);
    let bucket = "--create-bucket-configuration=LocationConstraint=eu-central-1";
    aws.client_output(&["s3api", "create-bucket", "--bucket", "large-zips", bucket]);
    deploy(&["--s3-bucket", "large-zips"]).succeeded();
    assert_eq!(aws.changes(), ["cp", "create-function"]);
    let size = fs::metadata(&large).unwrap().len();
    assert_eq!(aws.function("large")["Configuration"]["CodeSize"], size);
}

/// Builds a package with a file that cannot be compressed.
fn large_zip(directory: &Path) -> String {
    let krate = directory.join("large");
    write_crate(&krate, "[package]\nname = 'large'\n[workspace]\n", "fn main() {}");
    let mut random = fs::File::open("/dev/urandom").unwrap();
    let mut file = fs::File::create(krate.join("data")).unwrap();
    std::io::copy(&mut std::io::Read::take(&mut random, 51 << 20), &mut file).unwrap();
    let out = directory.join("out");
    build_crate(&krate, &out, &["INCLUDE=data"]).succeeded();
    format!("{}/function.zip", out.display())
}
