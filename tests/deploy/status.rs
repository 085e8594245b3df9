//! The output line and the exit status of `status`.

use std::{fs, path::Path};

use serde_json::json;

use crate::{
    aws::{Aws, ZIP, build},
    create::checksum,
    machine::{build_crate, git, root, sha256, write_crate},
    update::other_zip,
};

/// Runs `status`. Returns the exit status and the line on stdout, or stderr if stdout is empty.
fn status(aws: &Aws, arguments: &[&str]) -> (i32, String) {
    let output = aws.program(&[&["status"], arguments].concat()).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.lines().count() <= 1, "{stdout}");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = if stdout.is_empty() { stderr } else { stdout };
    (output.status.code().unwrap(), line)
}

#[test]
#[ignore = "run by make test"]
fn status_reports_the_same_bytes_or_both_checksums() {
    let aws = Aws::new();
    aws.deploy("compared", &["--alias", "live"]).succeeded();
    let (code, line) = status(&aws, &["compared", "--zip", ZIP]);
    let sha256 = sha256(&root().join(ZIP));
    let expected = format!("compared: the same bytes: CodeSha256 {}, sha256 {sha256}: greeting 0.1.0\n", checksum());
    assert_eq!((code, line), (0, expected));

    aws.create("compared-other", other_zip(), json!({}));
    let (code, line) = status(&aws, &["compared-other", "--zip", ZIP]);
    assert_eq!(code, 1, "{line}");
    assert!(
        line.contains("compared-other: differs: CodeSha256 is ")
            && line.contains(&format!(" in AWS, {} here", checksum())),
        "{line}"
    );
    for name in ["--alias", "--qualifier"] {
        let (code, line) = status(&aws, &["compared", "--zip", ZIP, name, "live"]);
        assert!(code == 0 && line.starts_with("compared:live: the same bytes"), "{line}");
    }
}

#[test]
#[ignore = "run by make test"]
fn a_function_is_rolled_back_by_its_alias_or_with_its_earlier_zip() {
    let aws = Aws::new();
    let alias = ["--alias", "live"];
    aws.deploy("back", &alias).succeeded();
    aws.run(&[&["deploy", "back", "--zip", other_zip()], &alias[..]].concat()).succeeded();
    let is_back = || status(&aws, &[&["back", "--zip", ZIP], &alias[..]].concat()).0 == 0;
    assert!(!is_back());
    let words = "lambda update-alias --function-name back --name live --function-version 1";
    aws.client_output(&words.split(' ').collect::<Vec<_>>());
    assert!(is_back());

    aws.run(&[&["deploy", "back", "--zip", other_zip()], &alias[..]].concat()).succeeded();
    assert!(!is_back());
    aws.deploy("back", &alias).succeeded();
    assert!(is_back());
}

#[test]
#[ignore = "run by make test"]
fn each_difference_is_reported_with_both_values() {
    build();
    let aws = Aws::new();
    let other = json!({"Runtime": "provided.al2", "Handler": "other", "Architectures": ["arm64"]});
    aws.create("differs", ZIP, other);
    let (code, line) = status(&aws, &["differs", "--zip", ZIP]);
    let expected = "differs: differs: architecture is arm64 in AWS, x86_64 here; runtime is provided.al2 in AWS, provided.al2023 here; \
        handler is other in AWS, bootstrap here; here: greeting 0.1.0\n";
    assert_eq!((code, &*line), (1, expected));
}

#[test]
#[ignore = "run by make test"]
fn a_failed_comparison_has_its_own_exit_status() {
    build();
    let aws = Aws::new();
    for (arguments, expected) in [
        (&["nobodys", "--zip", ZIP][..], "AWS has no function nobodys in this region and account"),
        (&["nobodys", "--zip", ZIP, "--qualifier", "7"], "nobodys with the version or alias 7"),
        (&["no name", "--zip", ZIP], "the name of the function is \"no name\""),
    ] {
        let (code, line) = status(&aws, arguments);
        assert!(code == 2 && line.contains(expected), "{code} {line}");
    }
}

/// Runs `make status` for a crate.
fn make_status(aws: &Aws, name: &str, krate: &Path) -> (Option<i32>, String) {
    let mut make = aws.command("make");
    make.args(["status", &format!("NAME={name}"), &format!("CRATE={}", krate.display())]);
    let output = make.output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), line)
}

#[test]
#[ignore = "run by make test"]
fn make_status_builds_the_sources_separately_and_prints_their_commit() {
    let aws = Aws::new();
    let directory = tempfile::tempdir().unwrap();
    let [krate, out] = ["my function", "out"].map(|name| directory.path().join(name));
    let manifest = "[package]\nname = 'mine'\nversion = '1.2.3'\n[workspace]\n";
    write_crate(&krate, manifest, "fn main() {}");
    fs::write(krate.join(".gitignore"), "target\n").unwrap();
    build_crate(&krate, &out, &[]).succeeded();
    git(&krate, &["init", "--quiet"]).succeeded();
    git(&krate, &["add", "."]).succeeded();
    git(&krate, &["commit", "--quiet", "--message=one"]).succeeded();
    let commit = git(&krate, &["rev-parse", "HEAD"]).succeeded().last_line().to_owned();
    let zip = out.join("function.zip");
    aws.run(&["deploy", "sources", "--zip", zip.to_str().unwrap()]).succeeded();
    let before = fs::metadata(&zip).unwrap().modified().unwrap();

    let (code, line) = make_status(&aws, "sources", &krate);
    assert_eq!(code, Some(0), "{line}");
    assert!(line.contains(": the same bytes") && line.ends_with(&format!(": mine 1.2.3, commit {commit}\n")), "{line}");
    assert_eq!(fs::metadata(&zip).unwrap().modified().unwrap(), before);

    fs::write(krate.join("src/main.rs"), "fn main() { std::process::exit(3) }").unwrap();
    let (_, line) = make_status(&aws, "sources", &krate);
    assert!(
        line.contains("differs: CodeSha256 is ") && line.ends_with(&format!("commit {commit} with changes\n")),
        "{line}"
    );
}
