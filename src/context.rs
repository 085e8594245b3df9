//! The context of an invocation.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::de::DeserializeOwned;

use crate::wire::head::{Head, Memory};

/// The context of an invocation: what Lambda sends along with the event.
///
/// The values are the headers of the [next invocation][next], stored as received and parsed on access. A header that is missing
/// or empty is `None`; a malformed one never ends the function.
///
/// ```
/// use lambda_musl::Context;
/// use std::time::Duration;
///
/// async fn work(_: (), context: Context) -> Result<String, &'static str> {
///     let device: Option<String> = context.client_context().map_err(|_| "expected a string as the client context")?;
///     if context.time_left() < Some(Duration::from_millis(100)) {
///         return Err("not enough time left");
///     }
///     Ok(format!("{} from {device:?}", context.request_id()))
/// }
/// ```
///
/// The default is an empty context, for tests that call a handler directly.
///
/// [next]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-next
#[derive(Clone, Debug, Default)]
pub struct Context {
    head: Arc<Head>,
}

impl Context {
    pub(crate) fn new(head: Head) -> Self {
        let head = Arc::new(head);
        Context { head }
    }

    /// Returns the memory of this context, whose invocation has ended, unless the function still uses the context.
    pub(crate) fn into_memory(self) -> Memory {
        Arc::into_inner(self.head).map(Head::into_memory).unwrap_or_default()
    }

    /// Returns the ID of the invocation, as it appears in Lambda's logs; empty in a default context.
    pub fn request_id(&self) -> &str {
        self.header("Lambda-Runtime-Aws-Request-Id").unwrap_or("")
    }

    /// Returns the AWS X-Ray tracing header.
    pub fn trace_id(&self) -> Option<&str> {
        self.header("Lambda-Runtime-Trace-Id")
    }

    /// Returns the ARN that was invoked. Its version or alias may differ from one invocation to the next.
    pub fn function_arn(&self) -> Option<&str> {
        self.header("Lambda-Runtime-Invoked-Function-Arn")
    }

    /// Returns the time at which Lambda stops the invocation, in whole milliseconds.
    pub fn deadline(&self) -> Option<SystemTime> {
        let unix_ms = self.header("Lambda-Runtime-Deadline-Ms")?.parse().ok()?;
        UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms))
    }

    /// Returns the time left until the [`deadline`](Self::deadline); zero if it has passed.
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = self.deadline()?;
        Some(deadline.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// Returns the client context, which the caller of [Invoke] chooses.
    ///
    /// # Errors
    ///
    /// Returns an error if the header is not JSON or does not match `C`.
    ///
    /// [Invoke]: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#lambda-Invoke-request-ClientContext
    pub fn client_context<C: DeserializeOwned>(&self) -> serde_json::Result<Option<C>> {
        self.json("Lambda-Runtime-Client-Context")
    }

    /// Returns the Amazon Cognito identity of a caller that uses the AWS Mobile SDK: JSON with `cognitoIdentityId` and
    /// `cognitoIdentityPoolId`.
    ///
    /// # Errors
    ///
    /// Returns an error if the header is not JSON or does not match `C`.
    pub fn cognito_identity<C: DeserializeOwned>(&self) -> serde_json::Result<Option<C>> {
        self.json("Lambda-Runtime-Cognito-Identity")
    }

    /// Returns the ID of the tenant that the invocation is for, if the function uses tenant isolation.
    pub fn tenant_id(&self) -> Option<&str> {
        self.header("Lambda-Runtime-Aws-Tenant-Id")
    }

    /// Returns the value of the header that Lambda expects back with the response.
    pub(crate) fn invocation_id(&self) -> Option<&str> {
        self.header("Lambda-Runtime-Invocation-Id")
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.get(name).filter(|value| !value.is_empty())
    }

    fn json<C: DeserializeOwned>(&self, name: &str) -> serde_json::Result<Option<C>> {
        self.header(name).map(serde_json::from_str).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn context(name: &str, value: &str) -> Context {
        Context::new(Head::with(name, value))
    }

    #[test]
    fn a_deadline_is_milliseconds_since_1970() {
        let context = context("Lambda-Runtime-Deadline-Ms", "1500");
        let deadline = UNIX_EPOCH + Duration::from_millis(1500);
        assert_eq!(context.deadline(), Some(deadline));
    }

    #[test]
    fn a_deadline_that_has_passed_leaves_no_time() {
        let context = context("Lambda-Runtime-Deadline-Ms", "1500");
        assert_eq!(context.time_left(), Some(Duration::ZERO));
    }

    #[test]
    fn a_deadline_that_is_not_a_number_is_none() {
        for text in ["", "soon", "-1", "1e3", "99999999999999999999999"] {
            let context = context("Lambda-Runtime-Deadline-Ms", text);
            assert_eq!(context.deadline(), None, "{text}");
            assert_eq!(context.time_left(), None, "{text}");
        }
    }

    #[test]
    fn a_deadline_beyond_the_clock_does_not_panic() {
        let context = context("Lambda-Runtime-Deadline-Ms", &u64::MAX.to_string());
        context.deadline();
        context.time_left();
    }

    #[test]
    fn an_empty_header_counts_as_missing() {
        assert_eq!(context("Lambda-Runtime-Trace-Id", "").trace_id(), None);
    }

    #[test]
    fn a_client_context_may_be_nested_and_contain_non_ascii_text() {
        let context = context("Lambda-Runtime-Client-Context", r#"{"custom":{"who":"Zoë"}}"#);
        let value: Value = context.client_context().unwrap().unwrap();
        assert_eq!(value, json!({"custom": {"who": "Zoë"}}));
    }

    #[test]
    fn a_client_context_that_is_not_json_does_not_affect_other_headers() {
        let context = context("Lambda-Runtime-Client-Context", "{");
        assert!(context.client_context::<Value>().is_err());
        assert_eq!(context.trace_id(), None);
    }

    #[test]
    fn a_cognito_identity_that_was_not_sent_is_none() {
        let context = context("Lambda-Runtime-Trace-Id", "Root=1");
        assert!(context.cognito_identity::<Value>().unwrap().is_none());
    }
}
