//! `cargo lambda-musl dev`, as users run it.
//!
//! The tests compile functions and start processes, so `cargo test` skips them. `make test` runs them one after the other.

mod http;
mod processes;
mod server;
mod sources;

#[path = "../support/machine.rs"]
mod machine;
