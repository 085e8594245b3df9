//! `invoke --remote`.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{
    aws::{Answer, Aws, proxy, refuse},
    machine::{make, run},
};

#[test]
#[ignore = "run by make test"]
fn invoke_remote_sends_the_event_and_prints_only_the_response_on_stdout() {
    let port = proxy(|request| {
        assert!(request.line.ends_with("/functions/greeting/invocations?Qualifier=live"), "{}", request.line);
        assert_eq!(request.body, r#"{"name":"Zoë \"$HOME\""}"#.as_bytes());
        // "START of the log\n"
        let headers = &[("X-Amz-Log-Result", "U1RBUlQgb2YgdGhlIGxvZwo=")];
        Answer::Instead(200, headers, r#"{"message":"Hello"}"#.into())
    });
    let aws = Aws::behind(port);
    let mut make = aws.command("make");
    make.args(["invoke", "REMOTE=greeting", "QUALIFIER=live", r#"EVENT={"name":"Zoë \"$HOME\""}"#]);
    let run = run(make).succeeded();
    assert_eq!(run.stdout, "{\"message\":\"Hello\"}\n");
    let note = "note: the environment variable REMOTE is set, so the event goes to the function greeting in AWS\n";
    assert_eq!(run.stderr, format!("{note}START of the log\n"));
}

#[test]
#[ignore = "run by make test"]
fn an_error_of_the_function_is_printed_and_makes_invoke_fail() {
    let port = proxy(|_| {
        let headers = &[("X-Amz-Function-Error", "Unhandled")];
        Answer::Instead(200, headers, r#"{"errorMessage":"no","errorType":"Function.Error"}"#.into())
    });
    let run = Aws::behind(port).run(&["invoke", "--remote", "fails", "--event", "{}"]);
    let run = run.failed_with(&["error: the function reported an error"]);
    assert_eq!(run.stdout, "{\"errorMessage\":\"no\",\"errorType\":\"Function.Error\"}\n");
}

#[test]
#[ignore = "run by make test"]
fn a_client_that_writes_no_response_is_reported() {
    let aws = Aws::new();
    aws.client(r#"echo '{"StatusCode":200}'; exit 0"#);
    let run = aws.run(&["invoke", "--remote", "silent", "--event", "{}"]);
    run.failed_with(&["aws lambda invoke: the client wrote no file with the function's response"]);
}

#[test]
#[ignore = "run by make test"]
fn an_event_is_sent_only_once_even_if_the_connection_is_lost() {
    static SENT: AtomicUsize = AtomicUsize::new(0);
    let port = proxy(|_| {
        SENT.fetch_add(1, Ordering::Relaxed);
        Answer::Cut
    });
    let run = Aws::behind(port).run(&["invoke", "--remote", "cut", "--event", "{}"]);
    run.failed_with(&["The connection to AWS failed"]);
    assert_eq!(SENT.load(Ordering::Relaxed), 1);
}

#[test]
#[ignore = "run by make test"]
fn a_missing_function_and_an_invalid_name_are_reported() {
    let port = proxy(|_| refuse(404, &[("x-amzn-errortype", "ResourceNotFoundException")]));
    let aws = Aws::behind(port);
    let none = aws.run(&["invoke", "--remote", "none", "--event", "{}", "--qualifier", "3"]);
    none.failed_with(&["AWS has no function none with the version or alias 3 in this region and account"]);
    for arguments in [&["--remote", "a b"][..], &["--remote", "a", "--qualifier", "b c"]] {
        let run = aws.run(&[&["invoke", "--event", "{}"], arguments].concat());
        run.failed_with(&["letters (a to z, A to Z)"]);
    }
    make(&["invoke", "EVENT={}", "QUALIFIER=1"])
        .failed_with(&["--remote", "The environment variable QUALIFIER sets --qualifier;"]);
}
