#![doc = include_str!("../README.md")]

mod api;
mod background;
mod connection;
mod context;
mod error;
mod executor;
mod failure;
mod handler;
mod response;
mod runtime;
pub mod testing;

pub use context::Context;
pub use error::Error;
pub use handler::LambdaHandler;
pub use response::{IntoResponse, Raw};
pub use runtime::{Runtime, process, run};

/// The HTTP client that the runtime is built on; it speaks HTTPS with the feature `tls`.
pub use http_req;
