//! Two deployments at the same time, and a deployment that is stopped.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    aws::{Aws, ZIP, build},
    create::checksum,
    machine::kill,
    update::other_zip,
};

#[test]
#[ignore = "run by make test"]
fn two_concurrent_deployments_leave_one_function_with_the_right_bytes() {
    build();
    let both = [1, 2].map(|_| {
        thread::spawn(|| {
            let aws = Aws::new();
            // Neither deployment finds the function, so both try to create it.
            aws.client(r#"[ "$2" != create-role ] && [ "$2" != create-function ] || sleep 1"#);
            aws.deploy("at-once", &["--alias", "live", "--url", "iam"])
        })
    });
    let runs = both.map(|one| one.join().unwrap().succeeded());
    let notes = runs.iter().filter(|run| run.stderr.contains("note: another deployment of at-once is running"));
    assert!(notes.count() > 0, "{runs:?}");
    assert_eq!(Aws::new().function("at-once")["Configuration"]["CodeSha256"], checksum());
}

#[test]
#[ignore = "run by make test"]
fn a_stopped_deployment_reports_the_state_in_aws_and_the_next_one_completes() {
    let aws = Aws::new();
    build();
    aws.create("stopped", other_zip(), json!({}));
    aws.client(r#"[ "$2" != update-function-code ] || { echo now >&2; sleep 60; }"#);
    let mut deploy = aws.program(&["deploy", "stopped", "--zip", ZIP]);
    let mut deploy = deploy.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(deploy.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "updating the code of stopped …"));
    thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    kill("INT", deploy.id());
    let stderr = lines.collect::<Vec<_>>().join("\n");
    assert_eq!(deploy.wait().unwrap().code(), Some(130), "{stderr}");
    assert!(start.elapsed() < Duration::from_secs(10), "{stderr}");
    for expected in [
        "stopped at 'updating the code of stopped'",
        "In AWS, stopped now has the CodeSha256",
        "unlike the zip",
        "run the same command again",
    ] {
        assert!(stderr.contains(expected), "{stderr}");
    }
    aws.client("");
    aws.deploy("stopped", &[]).succeeded();
    assert_eq!(aws.function("stopped")["Configuration"]["CodeSha256"], checksum());
}
