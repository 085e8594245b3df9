//! Why there is no answer.

use std::{error, fmt, io, time::Duration};

/// Why a request has no answer that can be used.
///
/// Each says whether the server may have taken the request: none of [`Url`](Error::Url), [`Header`](Error::Header),
/// [`Method`](Error::Method), [`Resolve`](Error::Resolve), [`Connect`](Error::Connect) and [`Tls`](Error::Tls) has sent any
/// of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The text is no URL that can be asked.
    Url {
        /// The URL, or the `Location` of a redirect.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A header cannot be sent as it is.
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The method is for proxies alone.
    Method(http_req::request::Method),
    /// The name of the host could not be looked up.
    Resolve {
        /// The host.
        host: String,
        /// What went wrong.
        source: io::Error,
    },
    /// No address of the host takes a connection.
    Connect {
        /// Host and port.
        address: String,
        /// What went wrong with the last address.
        source: io::Error,
    },
    /// The TLS handshake failed: the certificate, say.
    Tls {
        /// The host.
        host: String,
        /// What went wrong.
        source: Box<dyn error::Error + Send + Sync>,
    },
    /// The time is over.
    Timeout {
        /// Host and port.
        address: String,
        /// How long the whole exchange was allowed to take.
        timeout: Duration,
        /// What it was doing when it ended.
        during: During,
    },
    /// The connection ended before a byte of the answer came. Whether the server has taken the request is unknown; where
    /// that could do no harm, it was sent once more already.
    NoAnswer {
        /// Host and port.
        address: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The connection ended inside of the answer.
    Cut {
        /// Host and port.
        address: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The answer does not follow HTTP/1.1.
    Malformed {
        /// Host and port.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The status line and the headers are longer than the request takes.
    HeadTooLong {
        /// Bytes that it takes.
        limit: u64,
    },
    /// The body is longer than the request takes.
    BodyTooLong {
        /// Bytes that it takes.
        limit: u64,
    },
    /// More redirects came than the request follows.
    Redirects {
        /// How many it follows.
        limit: u32,
        /// Where the next one would go.
        location: String,
    },
}

/// What a request was doing when its time was over.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum During {
    /// Nothing was sent.
    Connecting,
    /// The request, or a part of it, was sent; there is no whole answer.
    Exchange,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Url { url, reason } => {
                write!(f, "{url:?} is not a URL that can be asked: {reason}")
            }
            Error::Header { name, reason } => {
                write!(f, "the header {name:?} cannot be sent: {reason}")
            }
            Error::Method(method) => {
                write!(
                    f,
                    "{} is for proxies: expected another method",
                    method.as_str()
                )
            }
            Error::Resolve { host, source } => write!(f, "looking up {host}: {source}"),
            Error::Connect { address, source } => write!(f, "connecting to {address}: {source}"),
            Error::Tls { host, source } => write!(f, "the TLS handshake with {host}: {source}"),
            Error::Timeout {
                address,
                timeout,
                during,
            } => {
                let during = match during {
                    During::Connecting => "it was still connecting",
                    During::Exchange => "the request was sent, at least in part",
                };
                write!(f, "{address}: no answer within {timeout:?}: {during}")
            }
            Error::NoAnswer { address, source } => write!(
                f,
                "{address}: the connection ended without an answer, and the request may have been taken: {source}"
            ),
            Error::Cut { address, source } => {
                write!(
                    f,
                    "{address}: the connection ended inside of the answer: {source}"
                )
            }
            Error::Malformed { address, reason } => {
                write!(f, "{address}: the answer is not HTTP/1.1: {reason}")
            }
            Error::HeadTooLong { limit } => write!(
                f,
                "the head of the answer is longer than {limit} bytes: `max_head` takes a longer one"
            ),
            Error::BodyTooLong { limit } => write!(
                f,
                "the body of the answer is longer than {limit} bytes: `max_body` takes a longer one"
            ),
            Error::Redirects { limit, location } => write!(
                f,
                "more than {limit} redirects, the next one to {location:?}: `redirects` follows more"
            ),
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
