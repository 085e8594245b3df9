//! The body of a request or response.

use std::{ops::Deref, str::Utf8Error};

use ::http::StatusCode;
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::Failure;

/// The body of a request or response. Cloning it does not copy the bytes.
///
/// It dereferences to a byte slice, and can be created from text, bytes or `()`:
///
/// ```
/// use lambda_musl::http::Body;
///
/// assert_eq!(Body::from("text").len(), 4);
/// assert!(Body::from(()).is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body(Bytes);

impl Body {
    /// Returns the body as text.
    ///
    /// # Errors
    ///
    /// Returns an error if the body is not UTF-8.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        str::from_utf8(&self.0)
    }

    /// Parses the body as JSON.
    ///
    /// # Errors
    ///
    /// Returns a failure if the body is not JSON or does not match `T`. If the handler returns it, the caller gets the status
    /// 400 and a message with the position of the error.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.0).map_err(|error| {
            let message = format!("the body is not the expected JSON: {error}");
            Failure::new("Function.BadRequest", message.clone()).answer(StatusCode::BAD_REQUEST, message)
        })
    }

    /// Returns the bytes without copying them.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Body::default()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Body(text.into())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Body(text.into())
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Body(bytes.into())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body(bytes)
    }
}

/// A response with the content type `application/json` and the status 200.
///
/// ```
/// use lambda_musl::http::{IntoResponse, Json};
///
/// let response = Json(["a", "b"]).into_response()?;
/// assert_eq!(response.body().text()?, r#"["a","b"]"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Json<T: Serialize>(pub T);
