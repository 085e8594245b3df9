//! The errors of the HTTP client.

use std::{error, fmt, io, time::Duration};

/// The reason why a request has no usable response.
///
/// The variant tells whether the server may have received the request: [`Url`](Error::Url), [`Header`](Error::Header),
/// [`Method`](Error::Method), [`Resolve`](Error::Resolve), [`Connect`](Error::Connect) and [`Tls`](Error::Tls) occur before any
/// part of the request is sent. Earlier requests that were redirected, and an earlier attempt of an idempotent request on a kept
/// connection, do not count.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The URL is invalid or not supported.
    Url {
        /// The URL, or the `Location` of a redirect.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A header is invalid.
    Header {
        /// The name of the header.
        name: String,
        /// What is wrong with the header.
        reason: &'static str,
    },
    /// The method is CONNECT, which is only for proxies.
    Method(http_req::request::Method),
    /// The name of the host could not be resolved.
    Resolve {
        /// The host.
        host: String,
        /// The cause.
        source: io::Error,
    },
    /// No address of the host accepted a connection.
    Connect {
        /// Host and port.
        address: String,
        /// The error for the last address.
        source: io::Error,
    },
    /// The TLS handshake failed, for example because of the certificate.
    Tls {
        /// The host.
        host: String,
        /// The cause.
        source: Box<dyn error::Error + Send + Sync>,
    },
    /// The deadline has passed.
    Timeout {
        /// Host and port.
        address: String,
        /// The time limit for the complete exchange.
        timeout: Duration,
        /// The stage of the exchange when it timed out.
        during: During,
    },
    /// The connection closed before the first byte of the response. The server may have processed the request. An idempotent
    /// request that failed on a kept connection has already been sent a second time.
    NoAnswer {
        /// Host and port.
        address: String,
        /// The cause.
        source: io::Error,
    },
    /// The connection closed before the end of the response.
    Cut {
        /// Host and port.
        address: String,
        /// The cause.
        source: io::Error,
    },
    /// The response is not valid HTTP/1.1.
    Malformed {
        /// Host and port.
        address: String,
        /// What is wrong with the response.
        reason: String,
    },
    /// The status line and headers exceed the limit of the request.
    HeadTooLong {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The body exceeds the limit of the request.
    BodyTooLong {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The server sent more redirects than the request follows.
    Redirects {
        /// The maximum number of redirects.
        limit: u32,
        /// The URL of the next redirect.
        location: String,
    },
}

/// The stage of a request when its deadline passed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum During {
    /// Nothing had been sent.
    Connecting,
    /// At least part of the request had been sent, but the response was incomplete.
    Exchange,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Url { url, reason } => {
                write!(f, "{url:?} is not a URL that can be requested: {reason}")
            }
            Error::Header { name, reason } => {
                write!(f, "the header {name:?} cannot be sent: {reason}")
            }
            Error::Method(method) => {
                write!(f, "the {} method is only for proxies: use another one", method.as_str())
            }
            Error::Resolve { host, source } => write!(f, "cannot resolve {host}: {source}"),
            Error::Connect { address, source } => {
                write!(f, "cannot connect to {address}: {source}")
            }
            Error::Tls { host, source } => {
                write!(f, "the TLS handshake with {host} failed: {source}")
            }
            Error::Timeout { address, timeout, during } => {
                let during = match during {
                    During::Connecting => "still connecting, and nothing was sent",
                    During::Exchange => "at least part of the request was sent",
                };
                write!(f, "{address}: no response within {timeout:?}: {during}")
            }
            Error::NoAnswer { address, source } => write!(
                f,
                "{address}: the connection closed without a response, but the server may have processed the request: {source}"
            ),
            Error::Cut { address, source } => {
                write!(f, "{address}: the connection closed before the end of the response: {source}")
            }
            Error::Malformed { address, reason } => {
                write!(f, "{address}: the response is not valid HTTP/1.1: {reason}")
            }
            Error::HeadTooLong { limit } => {
                write!(f, "the head of the response is longer than {limit} bytes: raise the limit with `max_head`")
            }
            Error::BodyTooLong { limit } => {
                write!(f, "the body of the response is longer than {limit} bytes: raise the limit with `max_body`")
            }
            Error::Redirects { limit, location } => {
                write!(f, "more than {limit} redirects, the next one to {location:?}: raise the limit with `redirects`")
            }
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Error::Resolve { source, .. }
            | Error::Connect { source, .. }
            | Error::NoAnswer { source, .. }
            | Error::Cut { source, .. } => Some(source),
            Error::Tls { source, .. } => Some(&**source),
            _ => None,
        }
    }
}
