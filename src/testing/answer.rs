//! What a test gets back.

use serde_json::{Value, json};

use super::http::{Headers, Request, find};
use crate::base64;

/// What a function answered to one event: a response, or an error that it reported.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The body as it came; of a stream, all that came.
    pub body: Vec<u8>,
    headers: Headers,
    trailers: Headers,
    is_error: bool,
}

/// An error that a function reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// The `errorType`: `Function.Panic`, say.
    pub error_type: String,
    /// The `errorMessage`.
    pub message: String,
    /// The `stackTrace`, a line for each location.
    pub stack_trace: Vec<String>,
}

impl Answer {
    /// An error that Lambda reports in the function's place.
    pub(super) fn report(error_type: &str, message: &str) -> Self {
        let report = json!({"errorType": error_type, "errorMessage": message});
        Answer {
            body: report.to_string().into_bytes(),
            headers: Headers::new(),
            trailers: Headers::new(),
            is_error: true,
        }
    }

    /// The error, where the function reported one: in place of a response, or in the trailers of a [stream] that broke.
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

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is not JSON, showing it.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("the answer is not JSON: {error}: {:?}", self.text()),
        }
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The media type of the body.
    pub fn content_type(&self) -> Option<&str> {
        self.header("Content-Type")
    }

    /// A header that came with the answer, its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// A trailer that came behind the answer, its name in any case.
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
    /// What is missing in the report, or no text, is empty.
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
