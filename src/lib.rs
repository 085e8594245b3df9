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

/// The crate http_req, on whose [`Uri`](http_req::uri::Uri), [`Method`](http_req::request::Method),
/// [`RequestMessage`](http_req::request::RequestMessage) and
/// [`connect_with_timeout`](http_req::stream::connect_with_timeout) this one is built. With the feature `tls` it speaks HTTPS.
///
/// Use [`client`] for requests. http_req's own (`request::get`, `Request::send`) read what comes back in a way that a function
/// cannot trust, as of version 0.14.6: a connection that ends inside of a chunk keeps a thread spinning for as long as the
/// process lives; one that ends between two chunks, or before the length that was announced, or that fails, counts as the end of
/// the body, and the answer as whole; a head has no limit, one byte in it that is not UTF-8 fails all of it, and of two headers
/// of a name only the last stays. Each request opens a connection and starts a thread, may take an hour unless told otherwise,
/// sends the fragment of the URL, and has no check for line ends in headers, whose order is another each time.
///
/// The loop takes `Uri` and `Method` from it for its requests to the Runtime API. It does not take `RequestMessage`, as that
/// costs 2 µs for each request, a third of an invocation's time together, and 5 kB in every zip where it is used just once; nor
/// `Stream`, as Lambda's address is an IP address and its connection plain, nor the readers, for the reasons above.
pub use http_req;

/// Pages of the repository, whose code runs with the tests.
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
