//! The response of a function, as a test sees it.

use serde_json::{Value, json};

use super::http::{Headers, Request, find};
use crate::base64;

/// The result of one event: a response, or an error that the function reported.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The body as received; for a stream, the complete body.
    pub body: Vec<u8>,
    headers: Headers,
    trailers: Headers,
    is_error: bool,
}

/// An error that a function reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// The `errorType`, such as `Function.Panic`.
    pub error_type: String,
    /// The `errorMessage`.
    pub message: String,
    /// The lines of the `stackTrace`.
    pub stack_trace: Vec<String>,
}

impl Answer {
    /// Creates an error that Lambda reports on behalf of the function.
    pub(super) fn report(error_type: &str, message: &str) -> Self {
        let report = json!({"errorType": error_type, "errorMessage": message});
        Answer {
            body: report.to_string().into_bytes(),
            headers: Headers::new(),
            trailers: Headers::new(),
            is_error: true,
        }
    }

    /// Returns the error if the function reported one, either instead of a response or in the trailers of a [stream] that
    /// failed.
    ///
    /// [stream]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
    pub fn error(&self) -> Option<Reported> {
        if self.is_error {
            return Some(Reported::parse(&self.body));
        }
        let error_type = find(&self.trailers, "Lambda-Runtime-Function-Error-Type")?;
        let body = find(&self.trailers, "Lambda-Runtime-Function-Error-Body").unwrap_or("");
        let mut reported = Reported::parse(&base64::decode(body).unwrap_or_default());
        reported.error_type = error_type.to_owned();
        Some(reported)
    }

    /// Parses the body as JSON.
    ///
    /// # Panics
    ///
    /// Panics if the body is not JSON. The panic message contains the body.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("the response is not JSON: {error}: {:?}", self.text()),
        }
    }

    /// Returns the body as text, with invalid UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the media type of the body.
    pub fn content_type(&self) -> Option<&str> {
        self.header("Content-Type")
    }

    /// Returns the value of a header of the request that contained the response, ignoring the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Returns the value of a trailer of the request that contained the response, ignoring the case of its name.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        find(&self.trailers, name)
    }
}

#[doc(hidden)]
impl From<Request> for Answer {
    fn from(request: Request) -> Self {
        Answer {
            is_error: request.line.ends_with("/error"),
            body: request.body,
            headers: request.headers,
            trailers: request.trailers,
        }
    }
}

impl Reported {
    /// Parses a report. A member that is missing or not a string becomes an empty string.
    fn parse(report: &[u8]) -> Self {
        let report: Value = serde_json::from_slice(report).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let stack = report["stackTrace"].as_array().map(Vec::as_slice);
        Reported {
            error_type: text(&report["errorType"]),
            message: text(&report["errorMessage"]),
            stack_trace: stack.unwrap_or_default().iter().map(text).collect(),
        }
    }
}
