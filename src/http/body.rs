//! The body of a request or a response.

use std::{ops::Deref, str::Utf8Error};

use ::http::StatusCode;
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::Failure;

/// The bytes of a request or a response; cloning it copies none.
///
/// It is a slice of bytes to whoever reads it, and made of text, bytes or nothing:
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
    /// The body as text.
    ///
    /// # Errors
    ///
    /// When it is not UTF-8.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        str::from_utf8(&self.0)
    }

    /// The body as JSON that becomes a `T`.
    ///
    /// # Errors
    ///
    /// When it is no JSON or does not fit `T`: a failure that, passed on by `?`, answers with 400 and says where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.0).map_err(|error| {
            let told = format!("the body is not the JSON that is expected: {error}");
            Failure::new("Function.BadRequest", told.clone()).answer(StatusCode::BAD_REQUEST, told)
        })
    }

    /// The bytes, of which none is copied.
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

/// A response of the type `application/json`, with the status 200.
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
