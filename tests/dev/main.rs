//! `cargo lambda-musl dev`: functions on this machine, as people who type see them.
//!
//! These compile functions and start processes, so `cargo test` leaves them out; `make test` runs them, one after the other.

mod http;
mod processes;
mod server;
mod sources;

#[path = "../support/machine.rs"]
mod machine;
