//! End-to-end tests of the commands that users run: make in the clone, `cargo lambda-musl` elsewhere.
//!
//! They take minutes and need the network, so `cargo test` skips them. `make test` runs them one after the other.

mod cache;
mod checkout;
mod clone;
mod crates;
mod doctor;
mod input;
mod invoke;
mod mac;
mod new;
mod pages;
mod project;
mod stop;
mod zip;

#[path = "../support/https.rs"]
mod https;
#[path = "../support/kinds.rs"]
mod kinds;
#[path = "../support/machine.rs"]
mod machine;

use std::{fs, path::PathBuf, time::SystemTime};

use machine::{Run, make, root};
use serde_json::Value;

/// The arguments that build the example, with its output directory.
const GREETING: [&str; 2] = ["CRATE=examples/greeting", "OUT=dist/greeting"];

/// Builds the function of the clone. Only the first call compiles it.
fn build() -> PathBuf {
    make(&[]).succeeded();
    root().join("dist/function.zip")
}

fn build_greeting() -> PathBuf {
    make(&GREETING).succeeded();
    root().join("dist/greeting/function.zip")
}

/// Makes cargo compile the example again.
fn touch_greeting() {
    let main = root().join("examples/greeting/src/main.rs");
    let main = fs::File::options().append(true).open(main).unwrap();
    main.set_modified(SystemTime::now()).unwrap();
}

fn answer(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"))
}
