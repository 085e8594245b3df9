//! What a test gets back.

use serde_json::{Value, json};

use super::http::{Headers, Request, header};

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
    /// The `stackTrace`, a line for each place.
    pub stack_trace: Vec<String>,
}

impl Answer {
    /// `is_error` where it came as an error.
    pub(super) fn new(request: Request, is_error: bool) -> Self {
        Answer {
            body: request.body,
            headers: request.headers,
            trailers: request.trailers,
            is_error,
        }
    }

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
        let error_type = header(&self.trailers, "Lambda-Runtime-Function-Error-Type")?;
        let body = header(&self.trailers, "Lambda-Runtime-Function-Error-Body").unwrap_or("");
        let mut reported = Reported::parse(&decode_base64(body).unwrap_or_default());
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
        header(&self.headers, name)
    }

    /// A trailer that came behind the answer, its name in any case.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        header(&self.trailers, name)
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

/// RFC 4648, section 4; `None` where it is something else.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::new();
    for group in text.chunks(4) {
        let mut bits = 0;
        for character in group {
            let value = match character {
                b'A'..=b'Z' => character - b'A',
                b'a'..=b'z' => character - b'a' + 26,
                b'0'..=b'9' => character - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - group.len());
        let [_, whole @ ..] = bits.to_be_bytes();
        // Two characters hold one byte, three hold two.
        bytes.extend(&whole[..group.len() - 1]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_at_every_length() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode_base64(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(decode_base64("Zm9\u{fc}"), None);
    }
}
