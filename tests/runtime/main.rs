//! The runtime against a Runtime API that follows a script. One file for each kind of behaviour.

#[path = "../support/runtime_api.rs"]
mod runtime_api;

mod abort;
mod child;
mod concurrency;
mod context;
mod end;
mod errors;
mod executors;
mod init;
mod logs;
mod panics;
mod pool;
mod responses;
mod shutdown;
mod snapstart;
mod streams;
mod support;
mod table;
mod trace;
mod wire;
