//! The errors that end the loop.

use std::{fmt, io};

/// The reason why a function stopped accepting invocations.
///
/// No event and no failure of a handler causes an `Error`: failures are reported to Lambda, and the loop continues. `Debug`
/// prints the same text as `Display`, so a `main` that returns this error prints a readable line.
#[non_exhaustive]
pub enum Error {
    /// The address of the Runtime API is not `host:port` with an optional path.
    Address {
        /// The address as it was given.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
        /// The environment variable that contains the address; `None` if the program chose the address.
        variable: Option<&'static str>,
    },
    /// The Runtime API could not be reached, or the connection to it was lost.
    Connection {
        /// What failed, usually a request to the Runtime API: its method and URL.
        request: String,
        /// The cause.
        source: io::Error,
    },
    /// The Runtime API responded with a status after which a function must not continue.
    Refused {
        /// The method and URL of the request to the Runtime API.
        request: String,
        /// The HTTP status of the response.
        status: u16,
        /// The start of the response body, up to 1000 bytes.
        message: String,
    },
    /// An invocation has no usable request ID, so the function cannot respond to it.
    RequestId,
    /// The function failed to initialize, and this was reported to Lambda.
    Init {
        /// The error type, such as `Function.Panic`.
        error_type: String,
        /// The error message.
        message: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Address { address, reason, variable } => {
                let name = variable.unwrap_or("the address of the Runtime API");
                write!(f, "{name} is {address:?}: {reason}; expected host:port")
            }
            Error::Connection { request, source } => {
                write!(f, "{request}: the connection to the Runtime API failed: {source}")
            }
            Error::Refused { request, status, message } => {
                write!(f, "{request}: the Runtime API responded with {status}: {message}")
            }
            Error::Init { error_type, message } => write!(f, "the function failed to start: {error_type}: {message:?}"),
            Error::RequestId => f.write_str(
                "an invocation has no usable Lambda-Runtime-Aws-Request-Id: the function cannot respond to it",
            ),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Connection { source, .. } => Some(source),
            _ => None,
        }
    }
}
