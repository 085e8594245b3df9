//! `lambda_musl::client` against servers that follow a script.

mod invocation;
mod kept;
mod redirects;
mod requests;
mod server;
mod table;
