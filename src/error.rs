//! What ends the loop.

use std::{fmt, io};

/// Why a function stopped taking invocations.
///
/// Nothing that a caller sends and nothing that a handler does ends up here: those are reported to Lambda and the loop
/// goes on. `Debug` prints the same text as `Display`, so a `main` that returns this error ends with a readable line.
#[non_exhaustive]
pub enum Error {
    /// The address of the Runtime API is not `host:port` with an optional path.
    Address {
        /// The address as it was given.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
        /// The environment variable that it comes from; `None` where the program has chosen it.
        variable: Option<&'static str>,
    },
    /// The Runtime API could not be reached, or the connection broke.
    Connection {
        /// What was asked of the Runtime API.
        request: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The Runtime API answered with a status after which a function must not go on.
    Refused {
        /// What was asked of the Runtime API.
        request: String,
        /// The HTTP status of the answer.
        status: u16,
        /// The Runtime API's own words.
        message: String,
    },
    /// An invocation came without a usable request id, so that it cannot be answered.
    RequestId,
    /// The function could not be initialized; Lambda was told so.
    Init {
        /// What kind of error it was: `Function.Panic`, say.
        error_type: String,
        /// What went wrong.
        message: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Address {
                address,
                reason,
                variable,
            } => {
                let name = variable.unwrap_or("the address of the Runtime API");
                write!(f, "{name} is {address:?}: {reason}; expected host:port")
            }
            Error::Connection { request, source } => {
                write!(f, "{request}: the Runtime API cannot be reached: {source}")
            }
            Error::Refused {
                request,
                status,
                message,
            } => write!(f, "{request}: the Runtime API answered {status}: {message}"),
            Error::Init {
                error_type,
                message,
            } => write!(f, "the function does not start: {error_type}: {message:?}"),
            Error::RequestId => f.write_str(
                "an invocation came without a usable Lambda-Runtime-Aws-Request-Id: it cannot be answered",
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
