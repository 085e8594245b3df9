//! The bytes that the Runtime API sends.

/// The length of the longest event in the suite, in bytes. Lambda's limit is slightly higher.
pub const LONGEST: usize = 6 * 1024 * 1024;

pub const EVENT: &str = r#"{"name":"Zoë"}"#;

/// The error message of a refusal.
pub const MESSAGE: &str = "this is the error message";

/// The usual headers of an invocation, except its request ID.
pub const USUAL: &str = "Lambda-Runtime-Deadline-Ms: 32503680000000\r\n\
    Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:f\r\n\
    Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700\r\n";

/// An invocation with these headers, as complete lines, and this event.
pub fn invocation(headers: impl AsRef<[u8]>, event: impl AsRef<[u8]>) -> Vec<u8> {
    conformance::invocation("id-1", headers, event)
}

/// An invocation with the usual headers and one more.
pub fn with(header: impl AsRef<[u8]>) -> Vec<u8> {
    invocation([USUAL.as_bytes(), header.as_ref(), b"\r\n"].concat(), EVENT)
}

/// An invocation with the usual headers and the usual event.
pub fn usual() -> Vec<u8> {
    invocation(USUAL, EVENT)
}

/// The head of an invocation with the usual headers and these additional ones.
pub fn head(headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: id-1\r\n{USUAL}{headers}\r\n").into_bytes()
}

/// The head of a chunked invocation, followed by these chunks.
pub fn chunked(chunks: &str) -> Vec<u8> {
    [head("Transfer-Encoding: chunked\r\n"), chunks.into()].concat()
}

/// A response with a status and an error in the format of the Runtime API.
pub fn refused(status: u16) -> Vec<u8> {
    let error = format!(r#"{{"errorType":"Odd.Type","errorMessage":"{MESSAGE}"}}"#);
    conformance::answer(status, &error)
}
