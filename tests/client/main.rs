//! `lambda_musl::client` against servers that follow a script.

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
