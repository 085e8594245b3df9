#![doc = include_str!("../README.md")]

mod abort;
mod address;
mod api;
mod background;
mod base64;
mod body;
mod chunks;
mod concurrent;
mod connection;
mod context;
mod current;
mod error;
mod event;
mod executor;
mod failure;
mod handler;
mod head;
mod init;
#[cfg(feature = "log")]
mod logger;
mod logs;
mod panics;
mod prelude;
mod report;
mod request;
mod response;
mod runtime;
mod serve;
#[cfg(feature = "shutdown")]
mod shutdown;
mod snapstart;
mod stream;
pub mod testing;
mod trace;
mod transport;
mod wire;

pub use concurrent::run_concurrent;
pub use context::Context;
pub use error::Error;
pub use event::FromEvent;
pub use failure::{Failure, IntoFailure};
pub use handler::LambdaHandler;
pub use init::{init, init_async};
#[cfg(feature = "log")]
pub use logger::init_logger;
pub use response::{IntoResponse, Raw, Respond};
pub use runtime::{Runtime, process, run};
#[cfg(feature = "shutdown")]
pub use shutdown::on_shutdown;
pub use snapstart::snapshot;
pub use stream::Stream;

/// The HTTP client for functions; it speaks HTTPS with the feature `tls`.
pub use http_req;
