#![doc = include_str!("README.md")]

mod abort;
mod api;
mod base64;
mod concurrent;
mod context;
mod error;
mod executor;
mod failure;
mod handler;
#[cfg(feature = "http")]
pub mod http;
mod init;
mod logs;
mod response;
mod run;
mod runtime;
#[cfg(feature = "shutdown")]
mod shutdown;
mod snapstart;
mod stack;
mod stream;
pub mod testing;
#[cfg(feature = "tower")]
pub mod tower;
mod trace;
mod wire;

pub use concurrent::run_concurrent;
pub use context::Context;
pub use error::Error;
pub use failure::{Failure, IntoFailure};
pub use handler::{FromEvent, LambdaHandler};
pub use init::{init, init_async};
#[cfg(feature = "log")]
pub use logs::logger::init_logger;
pub use response::{IntoResponse, Raw, Respond};
pub use run::{process, run};
#[cfg(feature = "shutdown")]
pub use shutdown::on_shutdown;
pub use snapstart::snapshot;
pub use stream::Stream;

/// The HTTP client for functions; it speaks HTTPS with the feature `tls`.
pub use http_req;
