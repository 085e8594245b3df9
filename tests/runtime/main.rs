//! The runtime against a Runtime API that follows a script. One file for each kind of behaviour.

#[path = "../support/runtime_api.rs"]
mod runtime_api;

mod child;
mod concurrency;
mod context;
mod end;
mod errors;
mod executors;
mod init;
mod logs;
mod panics;
mod responses;
mod snapstart;
mod streams;
mod support;
mod trace;
mod wire;
