//! The events that a test sends.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// An event with the headers of an invocation.
///
/// Text and bytes are sent unchanged, so that a test can send invalid input; a [`Value`] is sent as JSON. The headers of the
/// [next invocation][next] have default values, which [`header`](Self::header) replaces.
///
/// ```
/// use lambda_musl::{Context, testing::{self, Event}};
///
/// let tenant = async |_: (), context: Context| {
///     Ok::<_, String>(context.tenant_id().map(str::to_owned))
/// };
/// let event = Event::from("null").header("Lambda-Runtime-Aws-Tenant-Id", "blue");
/// let [answer] = testing::run(tenant, [event])?;
/// assert_eq!(answer.json(), "blue");
/// # Ok::<(), lambda_musl::Error>(())
/// ```
///
/// [next]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-next
#[derive(Clone, Debug)]
pub struct Event {
    pub(super) body: Vec<u8>,
    pub(super) timeout: Duration,
    headers: Vec<(String, Vec<u8>)>,
}

impl Event {
    /// Creates an event from bytes, which need not be JSON.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Event { body: body.into(), timeout: Duration::from_secs(60), headers: Vec::new() }
    }

    /// Sets a header. Its value can contain any bytes except line breaks.
    ///
    /// # Panics
    ///
    /// Panics if the name or the value contains a line break.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        let (name, value) = (name.into(), value.into());
        let mut bytes = name.bytes().chain(value.iter().copied());
        assert!(
            !bytes.any(|byte| byte == b'\r' || byte == b'\n'),
            "the header {name:?} of an event contains a line break"
        );
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        self.headers.push((name, value));
        self
    }

    /// Sets the time limit of the invocation, from which the function's deadline is calculated. The default is 60 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Returns the headers to send: the test's own and the defaults for all others. `number` is the number of the event.
    pub(super) fn headers(&self, number: u64) -> Vec<(String, Vec<u8>)> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let deadline = since_1970.unwrap_or_default().saturating_add(self.timeout);
        let usual = [
            ("Aws-Request-Id", format!("00000000-0000-4000-8000-{number:012}")),
            ("Deadline-Ms", deadline.as_millis().to_string()),
            ("Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:test".into()),
            ("Trace-Id", format!("Root=1-00000000-{number:024x};Sampled=0")),
        ];
        let mut headers = self.headers.clone();
        for (name, value) in usual {
            let name = format!("Lambda-Runtime-{name}");
            if !headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(&name)) {
                headers.push((name, value.into_bytes()));
            }
        }
        headers
    }
}

impl From<&str> for Event {
    fn from(text: &str) -> Self {
        Event::new(text)
    }
}

impl From<String> for Event {
    fn from(text: String) -> Self {
        Event::new(text)
    }
}

impl From<Vec<u8>> for Event {
    fn from(bytes: Vec<u8>) -> Self {
        Event::new(bytes)
    }
}

impl From<Value> for Event {
    fn from(value: Value) -> Self {
        Event::new(value.to_string())
    }
}
