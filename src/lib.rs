#![doc = include_str!("README.md")]

mod abort;
mod api;
mod base64;
pub mod client;
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

/// The http_req crate, whose [`Uri`](http_req::uri::Uri), [`Method`](http_req::request::Method),
/// [`RequestMessage`](http_req::request::RequestMessage) and [`connect_with_timeout`](http_req::stream::connect_with_timeout) this
/// crate uses. The `tls` feature enables http_req's HTTPS support.
///
/// Use [`client`] for requests. As of version 0.14.6, http_req's own functions (`request::get`, `Request::send`) are not reliable
/// enough for a function:
///
/// - A connection that closes inside a chunk keeps a thread spinning for the lifetime of the process.
/// - If a connection fails, or closes between two chunks or before the announced length has arrived, this counts as the end of
///   the body: a truncated response is taken for a complete one.
/// - The size of the head is not limited, a single byte in it that is not UTF-8 makes the request fail, and only the last of
///   several headers with the same name is kept.
/// - Each request opens a connection, starts a thread, and may take an hour unless a timeout is set. The fragment of the URL is
///   sent. Headers are not checked for line breaks, and their order changes from request to request.
///
/// The loop uses `Uri` and `Method` for its requests to the Runtime API. It does not use `RequestMessage`, which costs 2 µs of CPU
/// time per request, and 5 kB in every zip whose function uses it nowhere else. It uses neither
/// `Stream`, because the Runtime API has an IP address and no TLS, nor http_req's readers, for the reasons above.
pub use http_req;

/// Pages of the repository whose code examples run with the tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../docs/function.md")]
    mod function {}

    #[doc = include_str!("../docs/http.md")]
    mod http {}

    #[doc = include_str!("../docs/requests.md")]
    mod requests {}

    #[doc = include_str!("../docs/test.md")]
    mod test {}
}
