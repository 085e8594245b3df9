//! `invoke --remote`.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{
    aws::{Answer, Aws, between, refuse},
    machine::{make, run},
};

#[test]
#[ignore = "through make"]
fn the_event_goes_to_the_function_and_the_answer_comes_alone_on_stdout() {
    let port = between(|request| {
        assert!(
            request
                .line
                .contains("/functions/greeting/invocations?Qualifier=live "),
            "{}",
            request.line
        );
        assert_eq!(request.body, r#"{"name":"Zoë \"$HOME\""}"#.as_bytes());
        // "START of the log\n"
        let headers = &[("X-Amz-Log-Result", "U1RBUlQgb2YgdGhlIGxvZwo=")];
        Answer::Instead(200, headers, r#"{"message":"Hello"}"#.into())
    });
    let aws = Aws::behind(port);
    let mut make = aws.command("make");
    make.args([
        "invoke",
        "REMOTE=greeting",
        "QUALIFIER=live",
        r#"EVENT={"name":"Zoë \"$HOME\""}"#,
    ]);
    let run = run(make).succeeded();
    assert_eq!(run.stdout, "{\"message\":\"Hello\"}\n");
    assert_eq!(run.stderr, "START of the log\n");
}

#[test]
#[ignore = "through make"]
fn an_error_of_the_function_is_its_answer_and_a_failure() {
    let port = between(|_| {
        let headers = &[("X-Amz-Function-Error", "Unhandled")];
        Answer::Instead(
            200,
            headers,
            r#"{"errorMessage":"no","errorType":"Function.Error"}"#.into(),
        )
    });
    let run = Aws::behind(port).run(&["invoke", "--remote", "fails", "--event", "{}"]);
    let run = run.failed_with(&["error: the function reported an error"]);
    assert_eq!(
        run.stdout,
        "{\"errorMessage\":\"no\",\"errorType\":\"Function.Error\"}\n"
    );
}

#[test]
#[ignore = "through make"]
fn an_event_is_sent_once_whatever_becomes_of_the_connection() {
    static SENT: AtomicUsize = AtomicUsize::new(0);
    let port = between(|_| {
        SENT.fetch_add(1, Ordering::Relaxed);
        Answer::Cut
    });
    let run = Aws::behind(port).run(&["invoke", "--remote", "cut", "--event", "{}"]);
    run.failed_with(&["The connection to AWS failed"]);
    assert_eq!(SENT.load(Ordering::Relaxed), 1);
}

#[test]
#[ignore = "through make"]
fn a_function_that_is_not_there_and_a_name_that_cannot_be_are_named() {
    let port = between(|_| refuse(404, &[("x-amzn-errortype", "ResourceNotFoundException")]));
    let aws = Aws::behind(port);
    let none = aws.run(&[
        "invoke",
        "--remote",
        "none",
        "--event",
        "{}",
        "--qualifier",
        "3",
    ]);
    none.failed_with(&[
        "AWS has no function none with the version or alias 3 in this region and account",
    ]);
    for arguments in [
        &["--remote", "a b"][..],
        &["--remote", "a", "--qualifier", "b c"],
    ] {
        let run = aws.run(&[&["invoke", "--event", "{}"], arguments].concat());
        run.failed_with(&["letters (a to z, A to Z)"]);
    }
    make(&["invoke", "EVENT={}", "QUALIFIER=1"]).failed_with(&["--remote"]);
}
