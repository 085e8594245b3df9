//! The processes of functions and of the server.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use lambda_musl::{client::Request, http_req::request::Method};
use serde_json::{Value, json};

use crate::{
    machine::{kill, processes, run, wait_until},
    server::{Dev, PATIENCE, SUBJECT, cargo, marked, new_directory, project},
};

fn process(answer: &Value) -> u64 {
    answer["process"].as_u64().unwrap_or_else(|| panic!("{answer}"))
}

#[test]
#[ignore = "run by make test"]
fn a_process_that_ends_returns_lambdas_error_and_is_replaced() {
    let directory = new_directory();
    let project = project(directory.path(), "ends", SUBJECT);
    let dev = Dev::start(&project, &["--timeout", "1"]);
    let mut last = process(&dev.invoke("ends", &json!({})));
    assert_eq!(process(&dev.invoke("ends", &json!({}))), last, "the process was replaced after one event");
    for (what, kind, message) in [
        ("loop", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
        ("exit", "Runtime.ExitError", "Runtime exited with error: exit status 7"),
        ("abort", "Runtime.ExitError", "Runtime exited with error: signal: aborted"),
    ] {
        let answer = dev.invocation("ends", &json!({"do": what}));
        assert_eq!((answer.status(), answer.header("x-amz-function-error")), (200, Some("Unhandled")));
        let error: Value = answer.json().unwrap();
        let id = answer.header("x-amzn-requestid").unwrap();
        assert_eq!(error["errorType"], kind, "{error}");
        assert_eq!(error["errorMessage"], format!("RequestId: {id} Error: {message}"));
        dev.wait_for("answer", |record| record["requestId"] == id && record["answer"] == error);
        let next = process(&dev.invoke("ends", &json!({})));
        assert_ne!(next, last);
        assert!(!fs::exists(format!("/proc/{last}")).unwrap(), "{what}");
        last = next;
    }
}

#[test]
#[ignore = "run by make test"]
fn panics_errors_and_logs_are_shown_and_the_process_continues() {
    let directory = new_directory();
    let project = project(directory.path(), "fails", SUBJECT);
    let dev = Dev::start(&project, &[]);
    let before = process(&dev.invoke("fails", &json!({"do": "print"})));
    for (what, kind, message) in [("panic", "Function.Panic", "oh no"), ("fail", "Function.Error", "it cannot")] {
        let error = dev.invoke("fails", &json!({"do": what}));
        assert_eq!(error["errorType"], kind, "{error}");
        assert!(error["errorMessage"].as_str().unwrap().contains(message), "{error}");
        dev.wait_for("answer", |record| record["status"] == "error" && record["answer"]["errorType"] == kind);
    }
    assert_eq!(process(&dev.invoke("fails", &json!({}))), before);
    // What a function prints before it responds is also shown before its response.
    let records = dev.records();
    let position = |kind: &str, key: &str, value: Value| {
        let is_meant = |record: &Value| record["type"] == kind && record[key] == value;
        records.iter().position(is_meant).unwrap_or_else(|| panic!("{records:?}"))
    };
    let log = position("log", "line", "a line of the handler".into());
    assert!(position("event", "event", json!({"do": "print"})) < log);
    assert!(log < position("answer", "status", "ok".into()));
    let answer = &records[position("answer", "status", "ok".into())];
    assert!(answer["durationMs"].as_f64().unwrap() > 0.0 && answer["maxMemoryBytes"].as_u64().unwrap() > 100_000);
}

#[test]
#[ignore = "run by make test"]
fn a_program_that_requests_no_event_is_started_once_for_each_event() {
    let directory = new_directory();
    let main = "fn main() { println!(\"started\"); std::process::exit(3) }";
    let project = project(directory.path(), "refuses", main);
    let dev = Dev::start(&project, &[]);
    for _ in 0..2 {
        let error = dev.invoke("refuses", &json!({}));
        assert!(error["errorMessage"].as_str().unwrap().ends_with("exit status 3"), "{error}");
    }
    thread::sleep(Duration::from_millis(500));
    let started = dev.of_type("log").iter().filter(|record| record["line"] == "started").count();
    assert_eq!(started, 2);
}

#[test]
#[ignore = "run by make test"]
fn an_error_of_the_init_phase_is_the_response() {
    let directory = new_directory();
    let main = "fn main() -> Result<(), lambda_musl::Error> {
        lambda_musl::init(|| Err::<(), _>(\"no database\"))?;
        Ok(())
    }";
    let project = project(directory.path(), "inits", main);
    let dev = Dev::start(&project, &[]);
    let error = dev.invoke("inits", &json!({}));
    assert_eq!(error["errorMessage"], "no database", "{error}");
    dev.wait_for("exit", |record| record["reason"].as_str().unwrap().contains("no database"));
}

#[test]
#[ignore = "run by make test"]
fn several_workers_handle_events_at_the_same_time() {
    let directory = new_directory();
    let main = "fn main() -> Result<(), lambda_musl::Error> {
        lambda_musl::run_concurrent(async |ms: u64, _: lambda_musl::Context| {
            std::thread::sleep(std::time::Duration::from_millis(ms));
            Ok::<_, String>(std::process::id())
        })
    }";
    let project = project(directory.path(), "workers", main);
    fs::write(project.join(".env"), "AWS_LAMBDA_MAX_CONCURRENCY=4\n").unwrap();
    let dev = Dev::start(&project, &[]);
    dev.invoke("workers", &json!(0));
    let start = Instant::now();
    let answers = thread::scope(|scope| {
        let four = [(); 4].map(|()| scope.spawn(|| dev.invoke("workers", &json!(1000))));
        four.map(|one| one.join().unwrap())
    });
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(answers.iter().all(|answer| answer.is_u64() && *answer == answers[0]), "{answers:?}");
}

#[test]
#[ignore = "run by make test"]
fn a_signal_ends_the_server_and_all_processes_of_its_functions() {
    let directory = new_directory();
    let project = project(directory.path(), "stops", SUBJECT);
    for (signal, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mark = format!("dev-{signal}");
        let mut dev = Dev::run(marked(cargo(&project, &["dev", "--port", "0", "--timeout", "0"]), &mark));
        dev.invoke("stops", &json!({"do": "child"}));
        // The signal arrives during an invocation that never ends.
        let event = json!({"do": "loop"}).to_string();
        let mut caller = TcpStream::connect((Ipv4Addr::LOCALHOST, dev.port)).unwrap();
        let head = format!(
            "POST /2015-03-31/functions/stops/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
            event.len()
        );
        caller.write_all((head + &event).as_bytes()).unwrap();
        dev.wait_for("event", |record| record["event"]["do"] == "loop");
        assert!(processes(&mark).contains("sleep 1000"), "{}", processes(&mark));
        assert_eq!(dev.end(signal), Some(status));
        let ended = wait_until(|| processes(&mark).is_empty(), Duration::from_secs(3));
        assert!(ended, "still running: {}", processes(&mark));
    }
}

#[test]
#[ignore = "run by make test"]
fn a_shutdown_hook_runs_when_the_function_is_replaced_and_when_the_server_ends() {
    let directory = new_directory();
    let main = "fn main() -> Result<(), lambda_musl::Error> {
        lambda_musl::on_shutdown(|| println!(\"one ends\"))?;
        lambda_musl::run(async |_: serde_json::Value, _: lambda_musl::Context| Ok::<_, String>(()))
    }";
    let project = project(directory.path(), "hooks", main);
    let mut dev = Dev::start(&project, &[]);
    dev.invoke("hooks", &json!({}));
    crate::server::edit(&project, "one ends", "two ends");
    dev.invoke("hooks", &json!({}));
    dev.wait_for("log", |record| record["line"] == "one ends");
    dev.end("INT");
    dev.wait_for("log", |record| record["line"] == "two ends");
}

#[test]
#[ignore = "run by make test"]
fn a_closed_output_pipe_ends_the_server() {
    let directory = new_directory();
    let project = project(directory.path(), "piped", SUBJECT);
    let mut command = marked(cargo(&project, &["dev", "--port", "0"]), "dev-pipe");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(60), "the server is still running");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(processes("dev-pipe"), "");
}

#[test]
#[ignore = "run by make test"]
fn a_replaced_process_finishes_its_current_event() {
    let directory = new_directory();
    let project = project(directory.path(), "replaced", SUBJECT);
    let dev = Dev::start(&project, &["--timeout", "20"]);
    let old = process(&dev.invoke("replaced", &json!({})));
    thread::scope(|scope| {
        let slow = scope.spawn(|| dev.invoke("replaced", &json!({"do": "sleep", "ms": 4000})));
        dev.wait_for("event", |record| record["event"]["do"] == "sleep");
        crate::server::edit(&project, "oh no", "oh yes");
        let new = process(&dev.invoke("replaced", &json!({})));
        assert_ne!(new, old);
        assert!(!slow.is_finished(), "the event must take longer than the compiler");
        assert_eq!(process(&slow.join().unwrap()), old);
    });
    let is_gone = || !fs::exists(format!("/proc/{old}")).unwrap();
    assert!(wait_until(is_gone, Duration::from_secs(3)));
}

#[test]
#[ignore = "run by make test"]
fn two_servers_of_a_project_work_and_a_port_in_use_is_reported() {
    let directory = new_directory();
    let project = project(directory.path(), "twice", SUBJECT);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    run(cargo(&project, &["dev", "--port", &port]))
        .failed_with(&[&format!("--port {port}: another program is using this port"), "choose a free one"]);
    // Without --port, the second server uses a different port.
    let both = [(); 2].map(|()| Dev::run(cargo(&project, &["dev"])));
    assert_ne!(both[0].port, both[1].port);
    let answers = both.each_ref().map(|dev| process(&dev.invoke("twice", &json!({}))));
    assert_ne!(answers[0], answers[1]);
    crate::server::edit(&project, "oh no", "oh yes");
    let answers = both.each_ref().map(|dev| process(&dev.invoke("twice", &json!({}))));
    assert_ne!(answers[0], answers[1]);
    let invoked = run(cargo(&project, &["invoke", "--dev", "--event", "{\"do\":\"fail\"}"]));
    assert!(invoked.stdout.contains("it cannot"), "{invoked:?}");
    invoked.failed_with(&["the function reported an error"]);
    drop(both);
    run(cargo(&project, &["invoke", "--dev", "--event", "1"])).failed_with(&["no server is running for this project"]);
}

#[test]
#[ignore = "run by make test"]
fn a_killed_server_does_not_block_the_next_one() {
    let directory = new_directory();
    let project = project(directory.path(), "killed", SUBJECT);
    let dev = Dev::start(&project, &[]);
    let port = dev.port.to_string();
    dev.invoke("killed", &json!({}));
    kill("KILL", dev.id());
    drop(dev);
    run(cargo(&project, &["invoke", "--dev", "--event", "1"])).failed_with(&["no server is running for this project"]);
    let dev = Dev::run(cargo(&project, &["dev", "--port", &port]));
    process(&dev.invoke("killed", &json!({})));
}

#[test]
#[ignore = "run by make test"]
fn the_timeout_applies_to_a_function_that_prints_without_end() {
    let directory = new_directory();
    let main = "
        use std::io::Write;
        fn flood() { while std::io::stdout().write_all(&[b'\\n'; 65536]).is_ok() {} }
        fn main() -> Result<(), lambda_musl::Error> {
            if std::env::var_os(\"FLOOD\").is_some() { flood() }
            lambda_musl::run(async |event: bool, _: lambda_musl::Context| -> Result<bool, String> {
                if event { flood() }
                Ok(event)
            })
        }";
    let project = project(directory.path(), "floods", main);
    let dev = Dev::start(&project, &["--timeout", "2"]);
    assert_eq!(dev.invoke("floods", &json!(false)), false);
    let timed_out = |seconds: u64| {
        let start = Instant::now();
        let error = dev.invoke("floods", &json!(true));
        assert!(error["errorMessage"].as_str().unwrap().contains("Task timed out after"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(seconds), "{:?}", start.elapsed());
    };
    timed_out(5);
    assert_eq!(dev.invoke("floods", &json!(false)), false);
    // The timeout also applies to the init phase.
    fs::write(project.join(".env"), "FLOOD=1").unwrap();
    dev.wait_for("answer", |record| record["status"] == "ok");
    thread::sleep(Duration::from_secs(1));
    timed_out(13);
}

#[test]
#[ignore = "run by make test"]
fn a_server_with_a_blocked_output_continues_and_can_be_stopped() {
    let directory = new_directory();
    let project = project(directory.path(), "blocked", SUBJECT);
    let mut child =
        cargo(&project, &["dev", "--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let serving: Value = serde_json::from_str(&line).unwrap();
    let url = format!("{}2015-03-31/functions/blocked/invocations", serving["url"].as_str().unwrap());
    // The text is longer than a pipe's buffer.
    let event = json!({"text": "x".repeat(100_000)});
    for _ in 0..5 {
        let request = Request::new(Method::POST, &*url).json(&event).unwrap();
        assert_eq!(request.timeout(PATIENCE).send().unwrap().status(), 200);
    }
    kill("INT", child.id());
    let start = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}
