//! Tests of the runtime against `lambda_musl::testing`, or against a scripted server if raw bytes matter. Each file tests one kind of
//! behaviour.

mod abort;
#[cfg(target_os = "linux")]
mod blocked;
mod child;
mod concurrency;
mod context;
mod end;
mod errors;
mod executors;
mod init;
mod logged;
mod logs;
mod panics;
mod responses;
mod shutdown;
mod snapstart;
#[cfg(target_os = "linux")]
mod stack;
mod stdout;
mod streams;
mod support;
mod trace;
mod wire;
