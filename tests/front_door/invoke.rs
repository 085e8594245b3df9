//! Invocations of the function in the zip with AWS's emulator.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    thread,
};

use serde_json::{Value, json};

use crate::{
    answer, build, build_greeting, https,
    machine::{Run, arch, command, find_program, make, python, root, run, skip, write_crate},
};

fn invoke(event: &Value) -> Run {
    make(&["invoke", &format!("EVENT={event}")])
}

fn invoke_greeting(event: &str) -> Run {
    make(&["invoke", "OUT=dist/greeting", &format!("EVENT={event}")])
}

#[test]
#[ignore = "run by make test"]
fn an_https_endpoint_is_probed_with_the_openssl_in_the_zip() {
    build();
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("ca.pem");
    let port = https::serve("hello", &authority);
    let event = json!({"url": format!("https://localhost:{port}/path?query")});
    let mut make = command("make", root());
    make.args(["invoke", &format!("EVENT={event}")]);
    make.env("SSL_CERT_FILE", &authority);
    // The emulator's report is on stderr, and stdout contains only the response.
    let run = run(make).succeeded().reported(&["REPORT RequestId"]);
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
    let answer = answer(&run);
    let seen = (&answer["status"], &answer["bytes"]);
    assert_eq!(seen, (&json!(203), &json!(5)), "{answer}");
    assert!(answer["elapsed_ms"].is_u64());
    let tls = answer["tls"].as_str().unwrap();
    assert!(tls.starts_with("OpenSSL 4.0."), "{tls}");
}

#[test]
#[ignore = "run by make test"]
fn an_untrusted_certificate_is_reported_in_the_response() {
    build();
    let directory = tempfile::tempdir().unwrap();
    let port = https::serve("hello", &directory.path().join("ca.pem"));
    let run = invoke(&json!({"url": format!("https://localhost:{port}/")})).succeeded();
    let error = answer(&run)["error"].as_str().unwrap().to_owned();
    assert!(error.contains("certificate verify failed"), "{error}");
}

#[test]
#[ignore = "run by make test"]
fn a_silent_endpoint_is_reported_in_the_response_after_the_timeout() {
    build();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    for scheme in ["http", "https"] {
        let url = format!("{scheme}://{address}/");
        let answer = answer(&invoke(&json!({"url": url, "timeout_ms": 300})).succeeded());
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains("no response within"), "{answer}");
        let elapsed = answer["elapsed_ms"].as_u64().unwrap();
        assert!((300..1000).contains(&elapsed), "{answer}");
    }
}

#[test]
#[ignore = "run by make test"]
fn a_url_that_fails_is_reported_in_the_response_with_the_reason() {
    build();
    for (url, reason) in [
        ("http://127.0.0.1:1/", "refused"),
        ("https://nowhere.invalid/", "nowhere.invalid"),
        ("gopher://example.com", "is not a URL"),
        ("https://", "is not a URL"),
        ("https://a b/", "is not a URL"),
        ("", "is not a URL"),
    ] {
        let answer = answer(&invoke(&json!({"url": url})).succeeded());
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(reason), "{answer}");
    }
}

#[test]
#[ignore = "run by make test"]
fn an_event_without_a_url_is_an_error_with_an_example_of_an_event() {
    build();
    for event in [json!({}), json!({"url": 7}), json!([]), json!({"url": "x", "timeout_ms": "soon"})] {
        let run = invoke(&event).failed_with(&["the function reported an error"]);
        let answer = answer(&run);
        assert_eq!(answer["errorType"], "Function.Error");
        let message = answer["errorMessage"].as_str().unwrap();
        assert!(message.contains(r#"expected an event like {"url":"#), "{message}");
    }
}

#[test]
#[ignore = "run by make test"]
fn an_event_reaches_the_function_unchanged() {
    build_greeting();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("my event.json");
    let name = "it's \"$HOME\" $(shell date) # `ls` \\ Zoë";
    let event = json!({"name": name}).to_string();
    fs::write(&file, &event).unwrap();
    for event in [event, format!("@{}", file.display())] {
        let run = invoke_greeting(&event).succeeded();
        assert_eq!(answer(&run)["message"], format!("Hello, {name}!"));
    }
}

#[test]
#[ignore = "run by make test"]
fn an_event_of_3_mb_reaches_the_function() {
    build_greeting();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("event.json");
    let name = "x".repeat(3_000_000);
    fs::write(&file, json!({"name": name}).to_string()).unwrap();
    let run = invoke_greeting(&format!("@{}", file.display())).succeeded();
    assert_eq!(answer(&run)["message"], format!("Hello, {name}!"));
}

#[test]
#[ignore = "run by make test"]
fn concurrent_invocations_work_with_the_default_ports_taken() {
    build_greeting();
    // The emulator's default ports. If another program already uses them, that serves the test just as well.
    let _taken = [8080, 9001].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
    let both = [1, 2].map(|_| thread::spawn(|| invoke_greeting(r#"{"name":"you"}"#)));
    for one in both {
        one.join().unwrap().succeeded();
    }
}

#[test]
#[ignore = "run by make test"]
fn the_function_exits_with_status_1_and_one_line_without_a_runtime_api() {
    build_greeting();
    if arch() != "x86_64" {
        return skip("running the binary by hand", "the binary is for x86_64");
    }
    let binary = root().join("target/x86_64-unknown-linux-musl/release/greeting");
    let mut function = command(binary, root());
    function.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1");
    let output = function.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    let url = "127.0.0.1:1/2018-06-01/runtime/invocation/next";
    assert!(stderr.contains(url), "{stderr}");
}

#[test]
#[ignore = "run by make test"]
fn a_program_that_exits_before_it_responds_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = "[package]\nname = 'ends'\n[workspace]\n";
    write_crate(directory.path(), manifest, "fn main() {}");
    let krate = format!("CRATE={}", directory.path().display());
    make(&[&krate, "OUT=dist/ends"]).succeeded();
    make(&["invoke", "OUT=dist/ends", "EVENT={}"]).failed_with(&["ended before it responded"]);
}

#[test]
#[ignore = "run by make test"]
fn a_build_for_arm64_creates_an_arm64_binary_that_runs() {
    make(&["ARCH=arm64", "OUT=dist/arm64"]).succeeded();
    let e_machine = "import sys, zipfile; print(zipfile.ZipFile(sys.argv[1]).read('binary')[18])";
    let zip = root().join("dist/arm64/function.zip");
    assert_eq!(python(e_machine, &[&zip]), "183\n");
    let qemu = find_program("qemu-aarch64-static").or(find_program("qemu-aarch64"));
    if arch() != "arm64" && qemu.is_none() {
        return skip("running the arm64 zip", "qemu-user is not installed");
    }
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("ca.pem");
    let port = https::serve("hello", &authority);
    let event = json!({"url": format!("https://localhost:{port}/"), "timeout_ms": 20000});
    let mut make = command("make", root());
    make.args(["invoke", "OUT=dist/arm64", &format!("EVENT={event}")]);
    make.env("SSL_CERT_FILE", &authority);
    let answer = answer(&run(make).succeeded());
    assert_eq!(answer["status"], 203, "{answer}");
}
