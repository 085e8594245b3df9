//! `make soak`, `make fuzz` and `make conformance`, on a small scale. `make bench` takes minutes and is run by hand.

#[path = "support/machine.rs"]
mod machine;

use machine::{arch, command, make, root, run, skip};

#[test]
#[ignore = "run by make test"]
fn a_soak_prints_a_summary() {
    if arch() != "x86_64" {
        return skip("make soak", "it measures only on x86_64");
    }
    let run = make(&["soak", "INVOCATIONS=2000"]).succeeded();
    let line = run.last_line();
    assert!(line.starts_with("2500 events, each answered once; 1 connection(s)"), "{line}");
}

#[test]
#[ignore = "run by make test"]
fn a_soak_rejects_an_invalid_number_of_invocations() {
    if arch() != "x86_64" {
        return skip("make soak with an invalid number", "it measures only on x86_64");
    }
    make(&["soak", "INVOCATIONS=many"]).failed_with(&["INVOCATIONS=\"many\"", "expected a number"]);
}

#[test]
#[ignore = "run by make test"]
fn a_conformant_function_gets_a_tick_in_each_row() {
    let mut cargo = command("cargo", root());
    cargo.args(["build", "--locked", "--manifest-path", "benches/Cargo.toml"]);
    cargo.args(["--package", "ours", "--example", "conformance"]);
    cargo.args(["--target-dir", "target/bench/ours-conformance"]);
    run(cargo).succeeded();
    let binary = "BINARY=target/bench/ours-conformance/debug/examples/conformance";
    let run = make(&["conformance", binary]);
    assert!(
        run.stdout.contains("| an event | response, continues | response, continues | ✓ |"),
        "{}{}",
        run.stdout,
        run.stderr
    );
    assert!(!run.stdout.contains('✗') && run.success, "{}", run.stdout);
}

#[test]
#[ignore = "run by make test"]
fn a_program_that_is_not_a_function_is_reported() {
    make(&["conformance", "BINARY=/bin/true"]).failed_with(&["/bin/true", "expected a function that responds"]);
    make(&["conformance", "BINARY=/no/such/file"]).failed_with(&["/no/such/file"]);
}

#[test]
#[ignore = "run by make test"]
fn fuzz_rejects_an_invalid_number_of_seconds() {
    let run = make(&["fuzz", "FOR=ever"]);
    let expected = "FOR=ever: expected a number of seconds";
    assert!(run.stdout.contains(expected) && !run.success, "{}", run.stdout);
}
