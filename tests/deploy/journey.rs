//! All the way: an empty directory, a function that answers, and the proof that it is the one in AWS.

use std::{path::Path, process::Command, time::Instant};

use serde_json::{Value, json};

use crate::{
    aws::Aws,
    machine::{Run, command, find_program, run, skip},
    server::{Dev, new_directory},
};

/// The commands that a new user types, each with the seconds that it takes.
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

    fn take(&mut self, directory: &Path, arguments: &[&str]) -> Run {
        let command = self.command(directory, arguments);
        let taken = run(command).succeeded();
        self.tell(&format!("cargo lambda-musl {}", arguments.join(" ")));
        taken
    }

    fn tell(&self, what: &str) {
        let seconds = self.start.elapsed().as_secs();
        eprintln!("command {}, after {seconds} s: {what}", self.commands);
    }
}

#[test]
#[ignore = "through make"]
fn from_an_empty_directory_to_a_function_in_aws_whose_bytes_are_those_of_the_sources() {
    let directory = new_directory();
    let mut journey = Journey {
        aws: Aws::new(),
        commands: 0,
        start: Instant::now(),
    };
    journey.take(directory.path(), &["new", "journey", "--http"]);
    let project = directory.path().join("journey");

    journey.commands += 1;
    let mut cargo = command(env!("CARGO"), &project);
    cargo.arg("test");
    run(cargo).succeeded();
    journey.tell("cargo test");

    let answer = journey.take(&project, &["invoke", "--example", "url"]);
    let answer: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");

    let mut dev = Dev::run(journey.command(&project, &["dev", "--port", "0"]));
    let answer: Value = dev.get("page?name=Ada").json().unwrap();
    assert_eq!(answer, json!({"hello": "Ada", "path": "/page"}));
    match find_program("chromium") {
        None => skip(
            "a new function in a browser",
            "chromium is not installed (Debian: apt-get install chromium)",
        ),
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
    journey.tell("cargo lambda-musl dev, and a browser");
    dev.end("INT");

    let deployed = journey.take(&project, &["deploy", "journey"]);
    assert!(
        deployed.last_line().contains("CodeSha256"),
        "{}",
        deployed.stdout
    );
    let compared = journey.take(&project, &["status", "journey"]);
    assert!(
        compared.stdout.starts_with("journey: the same bytes"),
        "{}",
        compared.stdout
    );
}
