//! Builds and invocations that a signal stops.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    GREETING, build, build_greeting,
    cache::other_cache,
    machine::{MARK, command, kill, make, names, processes, root, sha256, wait_until},
    touch_greeting,
};

#[test]
#[ignore = "run by make test"]
fn a_killed_build_leaves_no_partial_zip_and_the_next_build_succeeds() {
    let expected = sha256(&build_greeting());
    let zip = root().join("dist/killed/function.zip");
    let arguments = ["CRATE=examples/greeting", "OUT=dist/killed"];
    let _ = fs::remove_file(&zip);
    for milliseconds in [300, 1000, 2500, 5000] {
        touch_greeting();
        let mut make = command("make", root());
        make.args(arguments).process_group(0);
        let mut make = make.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(milliseconds));
        kill("KILL", format!("-{}", make.id()));
        make.wait().unwrap();
        if zip.exists() {
            assert_eq!(sha256(&zip), expected, "the zip is incomplete");
        }
    }
    make(&arguments).succeeded();
    assert_eq!(sha256(&zip), expected);
}

/// The steps at which a build is stopped, each with a crate that needs the step and the cache entry that must be missing for it.
const STEPS: [(&str, &str, &str); 3] = [
    ("OpenSSL", "function", "prefix"),
    ("crates and link", "examples/greeting", "packages"),
    ("compressing", "function", "packages"),
];

/// Stops a build at each of these steps. Asserts that it and all processes that it started end soon, and that it leaves no files.
fn stop_at(steps: &[(&str, &str, &str)], build: impl Fn() -> Command, stop: impl Fn(&Child)) {
    let cache = other_cache();
    for (step, krate, missing) in steps {
        touch_greeting();
        let aside = cache.join("aside");
        fs::rename(cache.join(missing), &aside).unwrap();
        let mut build = build();
        build.env("LAMBDA_MUSL_CACHE", &cache).env("CRATE", krate).env("OUT", "dist/stopped").env(MARK, step);
        build.process_group(0).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut build = build.spawn().unwrap();
        let mut stderr = BufReader::new(build.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(stderr.any(|line| line.starts_with(step)), "the build never reached {step}");
        thread::sleep(Duration::from_secs(2));
        stop(&build);
        let stopped = Instant::now();
        assert!(!build.wait().unwrap().success(), "{step} was not stopped");
        assert!(stopped.elapsed() < Duration::from_secs(3), "{step}");
        let ended = wait_until(|| processes(step).is_empty(), Duration::from_secs(3));
        assert!(ended, "still running after {step}: {}", processes(step));
        assert_eq!(names(&cache.join("tmp")), [""; 0], "{step}");
        let _ = fs::remove_dir_all(cache.join(missing));
        fs::rename(&aside, cache.join(missing)).unwrap();
    }
}

#[test]
#[ignore = "run by make test"]
fn a_signal_to_the_process_group_of_make_ends_a_build_and_leaves_nothing() {
    stop_at(&STEPS, || command("make", root()), |make| kill("TERM", format!("-{}", make.id())));
}

#[test]
#[ignore = "run by make test"]
fn a_signal_to_only_the_program_ends_a_build_and_leaves_nothing() {
    let program = || {
        let mut program = command("scripts/cli", root());
        program.arg("build");
        program
    };
    stop_at(&STEPS[1..2], program, |program| kill("TERM", program.id()));
}

#[test]
#[ignore = "run by make test"]
fn invoke_leaves_no_process_and_no_file_behind() {
    build_greeting();
    let mut make = command("make", root());
    make.args(["invoke", GREETING[1], r#"EVENT={"name":"you"}"#]).env(MARK, "invoke");
    assert!(make.status().unwrap().success());
    assert_eq!(processes("invoke"), "");
    assert_eq!(names(&root().join("target/cache/tmp")), [""; 0]);
}

#[test]
#[ignore = "run by make test"]
fn a_signal_to_only_make_ends_an_invocation_that_hangs() {
    build();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let event = json!({"url": url, "timeout_ms": 60_000});
    let mut make = command("make", root());
    make.args(["invoke", &format!("EVENT={event}")]).env(MARK, "hangs");
    let mut make = make.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // When the function requests the URL, all processes are running.
    listener.accept().unwrap();
    kill("TERM", make.id());
    make.wait().unwrap();
    let ended = wait_until(|| processes("hangs").is_empty(), Duration::from_secs(3));
    assert!(ended, "still running: {}", processes("hangs"));
}
