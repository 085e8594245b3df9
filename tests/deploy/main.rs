//! `deploy`, `status` and `invoke --remote`, with the real `aws` client and moto, which simulates AWS.
//!
//! These tests take a minute, so `cargo test` skips them. `make test` runs them.

mod create;
mod errors;
mod journey;
mod layer;
mod remote;
mod snippets;
mod status;
mod together;
mod update;

mod aws;
#[path = "../support/machine.rs"]
mod machine;
#[allow(dead_code, reason = "only the tests of dev use all of it")]
#[path = "../dev/server.rs"]
mod server;
