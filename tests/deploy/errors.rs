//! What can go wrong between here and AWS.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::{
    aws::{Answer, Aws, ZIP, between, build, free_port, refuse},
    create::checksum,
    machine::{programs_without, run},
    update::other_zip,
};

#[test]
#[ignore = "through make"]
fn without_a_client_the_command_that_installs_one_is_named() {
    build();
    let aws = Aws::new();
    let programs = tempfile::tempdir().unwrap();
    programs_without(&["aws"], programs.path());
    for verb in [
        &["deploy", "x"][..],
        &["status", "x"],
        &["invoke", "--event={}", "--remote=x"],
    ] {
        let mut program = aws.program(verb);
        program.args(["--zip", ZIP]).env("PATH", programs.path());
        run(program).failed_with(&[
            "this machine lacks:",
            "the aws client (aws)",
            "doctor --fix",
        ]);
    }
    let mut doctor = aws.program(&["doctor"]);
    doctor.env("PATH", programs.path());
    let doctor = run(doctor);
    for verb in ["deploy", "status"] {
        let line = format!("{verb}: this machine lacks the aws client (aws)");
        assert!(doctor.stdout.contains(&line), "{}", doctor.stdout);
    }
}

#[test]
#[ignore = "through make"]
fn without_credentials_or_a_region_the_error_says_what_sets_them() {
    build();
    let aws = Aws::new();
    for (variable, expected) in [
        (
            "AWS_ACCESS_KEY_ID",
            "There are no credentials: set them up with `aws configure`",
        ),
        ("AWS_REGION", "There is no region: set AWS_REGION"),
    ] {
        for (verb, status) in [("deploy", 1), ("status", 2)] {
            let mut program = aws.program(&[verb, "x", "--zip", ZIP]);
            program.env_remove(variable);
            if variable == "AWS_ACCESS_KEY_ID" {
                program.env_remove("AWS_SECRET_ACCESS_KEY");
            }
            let output = program.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(status), "{said}");
            assert!(said.contains(expected), "{said}");
        }
    }
}

#[test]
#[ignore = "through make"]
fn a_permission_that_is_missing_is_named() {
    let port = between(
        |request| match request.line.starts_with("POST /2015-03-31/functions ") {
            true => refuse(403, &[("x-amzn-errortype", "AccessDeniedException")]),
            false => Answer::Pass,
        },
    );
    let aws = Aws::behind(port);
    aws.deploy("denied", &[]).failed_with(&[
        "stopped at 'creating denied'",
        "lack the permission lambda:CreateFunction",
        "AWS has no function denied.",
    ]);
}

/// Counts the requests.
fn counted(answer: impl Fn() -> Answer + Send + Sync + 'static) -> (u16, &'static AtomicUsize) {
    let count: &AtomicUsize = Box::leak(Box::default());
    let port = between(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        answer()
    });
    (port, count)
}

#[test]
#[ignore = "through make"]
fn where_aws_takes_no_more_requests_it_is_tried_as_often_as_the_user_says() {
    build();
    let (port, count) =
        counted(|| refuse(429, &[("x-amzn-errortype", "TooManyRequestsException")]));
    let aws = Aws::behind(port);
    let mut status = aws.program(&["status", "throttled", "--zip", ZIP]);
    status.env("AWS_MAX_ATTEMPTS", "2");
    let output = status.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("AWS is throttling requests"), "{said}");
    assert_eq!(count.load(Ordering::Relaxed), 2);
}

#[test]
#[ignore = "through make"]
fn retries_are_set_only_where_the_user_has_set_none() {
    build();
    let aws = Aws::new();
    let seen = aws.path("seen");
    aws.client(&format!(
        "echo \"$AWS_RETRY_MODE $AWS_MAX_ATTEMPTS $AWS_PAGER\" >'{}'; exit 1",
        seen.display()
    ));
    let variables = |name: &str, value: &str| {
        let mut status = aws.program(&["status", "x", "--zip", ZIP]);
        status.env(name, value).env("AWS_PAGER", "less");
        run(status);
        std::fs::read_to_string(&seen).unwrap()
    };
    assert_eq!(variables("UNRELATED", "1"), "standard 5 \n");
    assert_eq!(variables("AWS_MAX_ATTEMPTS", "9"), " 9 \n");
    let config = aws.path("config");
    std::fs::write(&config, "[default]\nretry_mode = adaptive\n").unwrap();
    assert_eq!(
        variables("AWS_CONFIG_FILE", config.to_str().unwrap()),
        "  \n"
    );
}

#[test]
#[ignore = "through make"]
fn a_connection_that_is_cut_or_refused_is_an_error_and_the_next_run_completes() {
    build();
    let (port, _) = counted(|| Answer::Cut);
    for port in [port, free_port()] {
        let aws = Aws::behind(port);
        let mut deploy = aws.program(&["deploy", "cut", "--zip", ZIP]);
        deploy.env("AWS_MAX_ATTEMPTS", "1");
        run(deploy).failed_with(&["aws lambda get-function: ", "The connection to AWS failed"]);
    }
    // In the middle: what is cut is the answer to the upload, and AWS has the bytes.
    let port = between(|request| match request.line.contains("/code ") {
        true => Answer::Cut,
        false => Answer::Pass,
    });
    let aws = Aws::new();
    aws.create("cut-midway", other_zip(), json!({}));
    let between = Aws::behind(port);
    let mut deploy = between.program(&["deploy", "cut-midway", "--zip", ZIP]);
    deploy.env("AWS_MAX_ATTEMPTS", "1");
    run(deploy).failed_with(&[
        "stopped at 'updating the code of cut-midway'",
        "The connection to AWS failed",
        "In AWS, cut-midway now has the CodeSha256",
        &format!("unlike the zip, which has {}", checksum()),
        "Run the same command again to complete the deployment.",
    ]);
    aws.deploy("cut-midway", &[]).succeeded();
}

#[test]
#[ignore = "through make"]
fn credentials_that_expire_midway_are_named_with_what_aws_had_last() {
    build();
    Aws::new().create("expires", ZIP, json!({}));
    let is_expired = AtomicUsize::new(0);
    let port = between(move |request| {
        if request.line.contains("/versions ") {
            is_expired.store(1, Ordering::Relaxed);
        }
        match is_expired.load(Ordering::Relaxed) {
            0 => Answer::Pass,
            _ => refuse(403, &[("x-amzn-errortype", "ExpiredTokenException")]),
        }
    });
    let aws = Aws::behind(port);
    aws.deploy("expires", &["--memory", "300", "--alias", "live"])
        .failed_with(&[
            "stopped at 'publishing a version of expires'",
            "The credentials have expired",
            &format!(
                "In the last response of AWS, expires had the CodeSha256 {}, the same as the zip.",
                checksum()
            ),
        ]);
    let aws = Aws::new();
    aws.deploy("expires", &["--memory", "300", "--alias", "live"])
        .succeeded();
    assert_eq!(aws.changes(), ["publish-version", "create-alias"]);
}

#[test]
#[ignore = "through make"]
fn an_answer_that_is_not_json_is_shown() {
    build();
    let aws = Aws::new();
    aws.client("echo '<html>Log in to this network'; exit 0");
    let output = aws
        .program(&["status", "x", "--zip", ZIP])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("expected JSON") && said.contains("<html>Log in"),
        "{said}"
    );
    // What comes from the network, the client reads itself.
    let (port, _) = counted(|| Answer::Instead(200, &[], "<html>Log in to this network".into()));
    Aws::behind(port)
        .deploy("x", &[])
        .failed_with(&["aws lambda get-function: expected JSON, but the response is empty"]);
}

#[test]
#[ignore = "through make"]
fn a_client_that_does_not_know_an_option_is_called_too_old() {
    let aws = Aws::new();
    aws.client(r#"case "$*" in *invoked-via*) echo 'Unknown options: --invoked-via-function-url' >&2; exit 252 ;; esac"#);
    let run = aws.deploy("old-client", &["--url", "public"]);
    run.failed_with(&[
        "stopped at 'setting the function URL'",
        "too old",
        "`aws --version`",
    ]);
    aws.client("");
    aws.calls();
    aws.deploy("old-client", &["--url", "public"]).succeeded();
    assert_eq!(
        aws.changes(),
        ["update-function-url-config", "add-permission"]
    );
}
