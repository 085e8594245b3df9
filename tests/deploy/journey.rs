//! A new user's path from an empty directory to a function in AWS, verified against its sources.

use std::{path::Path, process::Command, time::Instant};

use serde_json::{Value, json};

use crate::{
    aws::Aws,
    machine::{Run, command, find_program, run, skip},
    server::{Dev, new_directory},
};

/// The commands that a new user types, with the time they take.
struct Journey {
    aws: Aws,
    commands: usize,
    start: Instant,
}

impl Journey {
    fn command(&mut self, directory: &Path, arguments: &[&str]) -> Command {
        self.commands += 1;
        let mut program = self.aws.program(arguments);
        program.current_dir(directory);
        program
    }

    fn step(&mut self, directory: &Path, arguments: &[&str]) -> Run {
        let command = self.command(directory, arguments);
        let output = run(command).succeeded();
        self.log(&format!("cargo lambda-musl {}", arguments.join(" ")));
        output
    }

    fn log(&self, what: &str) {
        let seconds = self.start.elapsed().as_secs();
        eprintln!("command {}, after {seconds} s: {what}", self.commands);
    }
}

#[test]
#[ignore = "run by make test"]
fn a_new_user_gets_from_an_empty_directory_to_a_verified_function_in_aws() {
    let directory = new_directory();
    let mut journey = Journey { aws: Aws::new(), commands: 0, start: Instant::now() };
    journey.step(directory.path(), &["new", "journey", "--http"]);
    let project = directory.path().join("journey");

    journey.commands += 1;
    let mut cargo = command(env!("CARGO"), &project);
    cargo.arg("test");
    run(cargo).succeeded();
    journey.log("cargo test");

    let answer = journey.step(&project, &["invoke", "--example", "url"]);
    let answer: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");

    let mut dev = Dev::run(journey.command(&project, &["dev", "--port", "0"]));
    let answer: Value = dev.get("page?name=Ada").json().unwrap();
    assert_eq!(answer, json!({"hello": "Ada", "path": "/page"}));
    match find_program("chromium") {
        None => skip("a new function in a browser", "chromium is not installed (Debian: apt-get install chromium)"),
        Some(chromium) => {
            let mut browser = command(chromium, directory.path());
            let profile = directory.path().join("profile");
            browser.args(["--headless", "--no-sandbox", "--disable-gpu"]);
            browser.args(["--disable-dev-shm-usage", "--dump-dom"]);
            browser.arg(format!("--user-data-dir={}", profile.display()));
            browser.arg(dev.url("page?name=Ada"));
            let page = run(browser).succeeded().stdout;
            assert!(page.contains("\"hello\":\"Ada\""), "{page}");
        }
    }
    journey.log("cargo lambda-musl dev, and a browser");
    dev.end("INT");

    let deployed = journey.step(&project, &["deploy", "journey"]);
    assert!(deployed.last_line().contains("CodeSha256"), "{}", deployed.stdout);
    let compared = journey.step(&project, &["status", "journey"]);
    assert!(compared.stdout.starts_with("journey: the same bytes"), "{}", compared.stdout);
}
