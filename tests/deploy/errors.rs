//! Errors of the client, the network and AWS.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    aws::{Answer, Aws, ZIP, build, free_port, proxy, python3, refuse},
    create::checksum,
    machine::{MARK, kill, processes, programs_without, run, wait_until},
    update::other_zip,
};

#[test]
#[ignore = "run by make test"]
fn a_missing_client_is_reported_with_the_command_that_installs_it() {
    build();
    let aws = Aws::new();
    let programs = tempfile::tempdir().unwrap();
    programs_without(&["aws"], programs.path());
    for subcommand in [&["deploy", "x"][..], &["status", "x"], &["invoke", "--event={}", "--remote=x"]] {
        let mut program = aws.program(subcommand);
        program.args(["--zip", ZIP]).env("PATH", programs.path());
        run(program).failed_with(&["this machine lacks:", "the aws client (aws)", "doctor --fix"]);
    }
    let mut doctor = aws.program(&["doctor"]);
    doctor.env("PATH", programs.path());
    let doctor = run(doctor);
    for subcommand in ["deploy", "status"] {
        let line = format!("{subcommand}: this machine lacks the aws client (aws)");
        assert!(doctor.stdout.contains(&line), "{}", doctor.stdout);
    }
}

#[test]
#[ignore = "run by make test"]
fn missing_credentials_or_a_missing_region_is_reported_with_the_solution() {
    build();
    let aws = Aws::new();
    for (variable, expected) in [
        ("AWS_ACCESS_KEY_ID", "There are no credentials: set them up with `aws configure`"),
        ("AWS_REGION", "No region is configured: set AWS_REGION"),
    ] {
        for (subcommand, status) in [("deploy", 1), ("status", 2)] {
            let mut program = aws.program(&[subcommand, "x", "--zip", ZIP]);
            program.env_remove(variable);
            if variable == "AWS_ACCESS_KEY_ID" {
                program.env_remove("AWS_SECRET_ACCESS_KEY");
            }
            let output = program.output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(status), "{stderr}");
            assert!(stderr.contains(expected), "{stderr}");
        }
    }
}

#[test]
#[ignore = "run by make test"]
fn a_missing_permission_is_named() {
    let port = proxy(|request| match request.line == "POST /2015-03-31/functions" {
        true => refuse(403, &[("x-amzn-errortype", "AccessDeniedException")]),
        false => Answer::Pass,
    });
    let aws = Aws::behind(port);
    aws.deploy("denied", &[]).failed_with(&[
        "stopped at 'creating denied'",
        "lack the permission lambda:CreateFunction",
        "AWS has no function denied.",
    ]);
}

/// Starts a proxy that counts the requests. Returns its port and the count.
fn counted(answer: impl Fn() -> Answer + Send + Sync + 'static) -> (u16, &'static AtomicUsize) {
    let count: &AtomicUsize = Box::leak(Box::default());
    let port = proxy(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        answer()
    });
    (port, count)
}

#[test]
#[ignore = "run by make test"]
fn a_throttled_request_is_tried_as_often_as_the_user_has_set() {
    build();
    let (port, count) = counted(|| refuse(429, &[("x-amzn-errortype", "TooManyRequestsException")]));
    let aws = Aws::behind(port);
    let mut status = aws.program(&["status", "throttled", "--zip", ZIP]);
    status.env("AWS_MAX_ATTEMPTS", "2");
    let output = status.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("AWS is throttling requests"), "{stderr}");
    assert_eq!(count.load(Ordering::Relaxed), 2);
}

#[test]
#[ignore = "run by make test"]
fn retries_are_set_only_if_the_user_has_not_set_them() {
    build();
    let aws = Aws::new();
    let seen = aws.path("seen");
    aws.client(&format!("echo \"$AWS_RETRY_MODE $AWS_MAX_ATTEMPTS $AWS_PAGER\" >'{}'; exit 1", seen.display()));
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
    assert_eq!(variables("AWS_CONFIG_FILE", config.to_str().unwrap()), "  \n");
}

#[test]
#[ignore = "run by make test"]
fn a_deployment_completes_after_an_earlier_one_lost_its_connection() {
    build();
    let (port, _) = counted(|| Answer::Cut);
    for port in [port, free_port()] {
        let aws = Aws::behind(port);
        let mut deploy = aws.program(&["deploy", "cut", "--zip", ZIP]);
        deploy.env("AWS_MAX_ATTEMPTS", "1");
        run(deploy).failed_with(&["aws lambda get-function: ", "The connection to AWS failed"]);
    }
    // The proxy cuts the connection in the middle of a deployment, at the upload.
    let port = proxy(|request| match request.line.ends_with("/code") {
        true => Answer::Cut,
        false => Answer::Pass,
    });
    let aws = Aws::new();
    aws.create("cut-midway", other_zip(), json!({}));
    let proxy = Aws::behind(port);
    let mut deploy = proxy.program(&["deploy", "cut-midway", "--zip", ZIP]);
    deploy.env("AWS_MAX_ATTEMPTS", "1");
    run(deploy).failed_with(&[
        "stopped at 'updating the code of cut-midway'",
        "The connection to AWS failed",
        "In AWS, cut-midway now has the CodeSha256",
        &format!("unlike the zip, which has {}", checksum()),
        "run the same command again to complete the deployment.",
    ]);
    aws.deploy("cut-midway", &[]).succeeded();
}

#[test]
#[ignore = "run by make test"]
fn credentials_that_expire_midway_are_reported_with_the_last_known_state() {
    build();
    Aws::new().create("expires", ZIP, json!({}));
    let is_expired = AtomicUsize::new(0);
    let port = proxy(move |request| {
        if request.line.ends_with("/versions") {
            is_expired.store(1, Ordering::Relaxed);
        }
        match is_expired.load(Ordering::Relaxed) {
            0 => Answer::Pass,
            _ => refuse(403, &[("x-amzn-errortype", "ExpiredTokenException")]),
        }
    });
    let aws = Aws::behind(port);
    aws.deploy("expires", &["--memory", "300", "--alias", "live"]).failed_with(&[
        "stopped at 'publishing a version of expires'",
        "The credentials have expired",
        &format!("In AWS's last response, expires had the CodeSha256 {}, the same as the zip.", checksum()),
    ]);
    let aws = Aws::new();
    aws.deploy("expires", &["--memory", "300", "--alias", "live"]).succeeded();
    assert_eq!(aws.changes(), ["publish-version", "create-alias"]);
}

#[test]
#[ignore = "run by make test"]
fn an_unexpected_response_is_shown_and_changes_nothing() {
    build();
    let aws = Aws::new();
    for response in ["<html>Log in to this network", r#"{"message":"Forbidden"}"#] {
        aws.client(&format!("echo '{response}'; exit 0"));
        let output = aws.program(&["status", "x", "--zip", ZIP]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("expected JSON") && stderr.contains(response), "{stderr}");
        aws.calls();
        aws.deploy("x", &["--env-var", "NEW=1"]).failed_with(&["expected JSON", response]);
        assert_eq!(aws.changes(), [""; 0]);
    }
    // Here, the real client reads such a response from the network.
    let (port, _) = counted(|| Answer::Instead(200, &[], "<html>Log in to this network".into()));
    Aws::behind(port).deploy("x", &[]).failed_with(&[
        "aws lambda get-function: expected JSON with Configuration.FunctionArn",
        "but the response is empty",
    ]);
}

#[test]
#[ignore = "run by make test"]
fn a_client_that_asks_for_input_on_the_terminal_is_ended_with_advice() {
    build();
    let aws = Aws::new();
    aws.client("read -r code </dev/tty");
    for arguments in
        [&["deploy", "x", "--zip", ZIP][..], &["status", "x", "--zip", ZIP], &["invoke", "--event={}", "--remote=x"]]
    {
        let program = aws.program(arguments);
        let in_terminal = "import os, pty, signal, sys; signal.alarm(60); sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
        let mut python = aws.command(python3());
        python.args(["-c", in_terminal]).arg(program.get_program()).args(program.get_args());
        let run = run(python);
        assert!(!run.success, "{run:?}");
        for text in ["aws asks for input on the terminal", "`aws sts get-caller-identity`"] {
            assert!(run.stdout.contains(text), "{run:?}");
        }
    }
}

#[test]
#[ignore = "run by make test"]
fn a_signal_ends_a_deployment_that_reads_the_state_after_a_failure() {
    build();
    let aws = Aws::new();
    aws.create("hangs-at-the-end", other_zip(), json!({}));
    let reads = aws.path("reads");
    aws.client(&format!(
        "case $2 in update-*) exit 254 ;; get-function-configuration) touch '{}'; sleep 60; sleep 60 ;; esac",
        reads.display()
    ));
    let mark = "hangs at the end";
    let mut deploy = aws.program(&["deploy", "hangs-at-the-end", "--zip", ZIP]);
    let mut deploy = deploy.env(MARK, mark).spawn().unwrap();
    assert!(wait_until(|| reads.exists(), Duration::from_secs(20)));
    kill("INT", deploy.id());
    let stopped = Instant::now();
    assert_eq!(deploy.wait().unwrap().code(), Some(130));
    assert!(stopped.elapsed() < Duration::from_secs(5));
    assert_eq!(processes(mark), "");
}

#[test]
#[ignore = "run by make test"]
fn a_client_without_a_required_option_is_reported_as_too_old() {
    let aws = Aws::new();
    aws.client(
        r#"case "$*" in *invoked-via*) echo 'Unknown options: --invoked-via-function-url' >&2; exit 252 ;; esac"#,
    );
    let run = aws.deploy("old-client", &["--url", "public"]);
    run.failed_with(&["stopped at 'setting the function URL'", "too old", "`aws --version`"]);
    aws.client("");
    aws.calls();
    aws.deploy("old-client", &["--url", "public"]).succeeded();
    assert_eq!(aws.changes(), ["update-function-url-config", "add-permission"]);
}
