//! What Lambda is told of an invocation that failed.

use std::{
    any::Any,
    cell::RefCell,
    fmt::{self, Display},
    panic,
    sync::Once,
};

use serde::{Serialize, Serializer, ser::SerializeMap};

/// Bytes of a message that are kept: with every byte escaped, the report still is below the 1 MiB that Lambda takes.
const MAX_MESSAGE: usize = 128 * 1024;

/// A failed invocation, in the words of the [invocation error] call.
///
/// [invocation error]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-invokeerror
#[derive(Debug)]
pub(crate) struct Failure {
    pub error_type: &'static str,
    message: String,
    stack: Vec<String>,
}

impl Failure {
    fn new(error_type: &'static str, message: String) -> Self {
        Failure {
            error_type,
            message: cut(message),
            stack: Vec::new(),
        }
    }

    /// The event is not JSON, or not what the handler takes.
    pub fn unmarshal(error: serde_json::Error) -> Self {
        let message = format!("the event is not what the function expects: {error}");
        Failure::new("Runtime.UnmarshalError", message)
    }

    /// The handler returned an error. The alternate form makes `anyhow` print the causes as well.
    pub fn handler(error: impl Display) -> Self {
        Failure::new("Function.Error", format!("{error:#}"))
    }

    /// The response does not serialize.
    pub fn marshal(error: serde_json::Error) -> Self {
        let message = format!("the response does not serialize: {error}");
        Failure::new("Runtime.MarshalError", message)
    }

    /// The handler panicked, on this thread, just now.
    pub fn panic(thrown: &(dyn Any + Send)) -> Self {
        let message = match thrown.downcast_ref::<&str>() {
            Some(text) => (*text).to_owned(),
            None => match thrown.downcast_ref::<String>() {
                Some(text) => text.clone(),
                None => "a panic without a message".to_owned(),
            },
        };
        Failure {
            stack: PLACE.take().into_iter().collect(),
            ..Failure::new("Function.Panic", message)
        }
    }

    /// The body of the call.
    pub fn to_json(&self) -> Vec<u8> {
        // A map of strings and lists of strings always serializes.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("errorType", self.error_type)?;
        map.serialize_entry("errorMessage", &self.message)?;
        map.serialize_entry("stackTrace", &self.stack)?;
        map.end()
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Quoted, so that one failure is one line of the log.
        write!(f, "{}: {:?}", self.error_type, self.message)?;
        self.stack.iter().try_for_each(|at| write!(f, " at {at}"))
    }
}

/// Shortens a message to [`MAX_MESSAGE`] bytes, between two characters.
fn cut(mut message: String) -> String {
    const MARK: &str = " … (cut)";
    if message.len() > MAX_MESSAGE {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE - MARK.len()));
        message.push_str(MARK);
    }
    message
}

thread_local! {
    /// Where the last panic of this thread happened.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes panics leave their place for [`Failure::panic`]; what the program does about them otherwise stays.
pub(crate) fn remember_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // A thread that ends has no place any more.
            let _ = PLACE.try_with(|place| {
                place.replace(panic.location().map(ToString::to_string));
            });
            previous(panic);
        }));
    });
}

/// Forgets the place of a panic that was caught by others: it is not that of the next one.
pub(crate) fn forget_panics() {
    PLACE.take();
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn report(failure: &Failure) -> Value {
        serde_json::from_slice(&failure.to_json()).unwrap()
    }

    #[test]
    fn a_report_is_what_the_runtime_api_documents() {
        let report = report(&Failure::handler("no such user"));
        assert_eq!(
            report,
            json!({"errorType": "Function.Error", "errorMessage": "no such user", "stackTrace": []})
        );
    }

    #[test]
    fn the_longest_message_stays_below_one_mebibyte_however_it_is_escaped() {
        let failure = Failure::handler("\u{1}".repeat(2 * MAX_MESSAGE));
        assert!(failure.to_json().len() < 1024 * 1024);
        assert!(failure.message.ends_with("(cut)"));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        for shift in 0..4 {
            let message = "x".repeat(shift) + &"🦀".repeat(MAX_MESSAGE);
            assert!(cut(message).len() <= MAX_MESSAGE);
        }
    }

    #[test]
    fn a_failure_is_one_line_of_the_log() {
        let line = Failure::handler("two\nlines").to_string();
        assert_eq!(line, r#"Function.Error: "two\nlines""#);
    }

    #[test]
    fn a_panic_that_throws_no_text_still_has_a_message() {
        let failure = Failure::panic(&7);
        assert_eq!(
            report(&failure)["errorMessage"],
            "a panic without a message"
        );
    }
}
