//! The runtime against a Runtime API that follows a script. One file for each kind of behaviour.

#[path = "../support/runtime_api.rs"]
mod runtime_api;

mod child;
mod context;
mod end;
mod errors;
mod executors;
mod init;
mod panics;
mod responses;
mod streams;
mod support;
mod wire;
