#![doc = include_str!("../README.md")]

mod address;
mod api;
mod background;
mod base64;
mod body;
mod chunks;
mod concurrent;
mod connection;
mod context;
mod error;
mod event;
mod executor;
mod failure;
mod handler;
mod head;
mod init;
mod logs;
mod panics;
mod prelude;
mod report;
mod request;
mod response;
mod runtime;
mod serve;
mod snapstart;
mod stream;
mod trace;
mod transport;

pub use concurrent::run_concurrent;
pub use context::Context;
pub use error::Error;
pub use event::FromEvent;
pub use failure::{Failure, IntoFailure};
pub use handler::LambdaHandler;
pub use init::{init, init_async};
pub use response::{IntoResponse, Raw};
pub use runtime::{Runtime, process, run};
pub use snapstart::snapshot;
pub use stream::Stream;

/// The HTTP client for functions; it speaks HTTPS with the feature `tls`.
pub use http_req;
