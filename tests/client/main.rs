//! Tests of `lambda_musl::client` against scripted servers.

#[cfg(feature = "tls")]
#[path = "../support/https.rs"]
#[allow(dead_code)]
mod https;
mod invocation;
mod kept;
mod redirects;
mod requests;
mod server;
mod table;
#[cfg(feature = "tls")]
mod tls;
