//! The failure of an invocation, as it is reported to Lambda.

pub(crate) mod panics;
pub(crate) mod report;

use std::{
    any::Any,
    borrow::Cow,
    error::Error,
    fmt::{self, Display},
};

use crate::failure::panics::Place;

/// The maximum length of a message, in bytes. Even with every byte escaped, the report stays below the 1 MiB that Lambda
/// accepts.
const MAX_MESSAGE: usize = 128 * 1024;

/// The maximum length of a line of the stack, in bytes.
const MAX_LINE: usize = 1024;

/// The maximum number of lines of the stack.
const MAX_LINES: usize = 32;

/// The maximum length of an error type, in bytes.
const MAX_TYPE: usize = 128;

/// The failure of an invocation, with the parts of the [invocation error] call: an error type, a message and a stack.
///
/// Every error that implements [`Display`] is converted to a `Failure` automatically. Return a `Failure` to choose the error
/// type. A `Failure` keeps its error type inside a boxed error, at any depth.
///
/// ```
/// use lambda_musl::Failure;
///
/// fn find(user: &str) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
///     let id = user.parse().map_err(|error| Failure::new("Function.NoSuchUser", error))?;
///     Ok(id)
/// }
///
/// assert_eq!(find("me").unwrap_err().to_string(), "invalid digit found in string");
/// ```
///
/// [invocation error]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-invokeerror
#[derive(Debug)]
pub struct Failure {
    pub(crate) error_type: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) stack: Vec<String>,
    pub(crate) place: Option<Place>,
    /// The status and message for an HTTP caller, instead of 500 and "Internal Server Error".
    #[cfg(feature = "http")]
    pub(crate) answer: Option<Box<(::http::StatusCode, String)>>,
}

impl Failure {
    /// Creates a failure with the given error type. The [sources](Error::source) of the error become the failure's stack.
    ///
    /// Lambda's logs and metrics recognize error types of the form `Function.Word`; callers receive error types of any form.
    pub fn new(error_type: impl Into<Cow<'static, str>>, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Failure { error_type: cut(error_type.into(), MAX_TYPE), ..Failure::of(&*error.into()) }
    }

    /// Sets the response to an HTTP caller: this status and a JSON object with this `message`, instead of 500 and "Internal
    /// Server Error" ([`http`](crate::http)). Like the error type, this response is kept inside a boxed error.
    ///
    /// The caller never sees the failure's own message. The failure is logged only if the status is 500 or higher; a lower status
    /// means that the caller made the error.
    ///
    /// ```
    /// use lambda_musl::{Failure, http::StatusCode};
    ///
    /// Failure::new("Function.NoSuchUser", "row 7 is gone").answer(StatusCode::NOT_FOUND, "no such user");
    /// ```
    #[cfg(feature = "http")]
    #[must_use]
    pub fn answer(mut self, status: ::http::StatusCode, message: impl Into<String>) -> Self {
        self.answer = Some(Box::new((status, message.into())));
        self
    }

    pub(crate) fn text(error_type: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Failure {
            error_type: error_type.into(),
            message: cut(message.into(), MAX_MESSAGE).into_owned(),
            stack: Vec::new(),
            place: None,
            #[cfg(feature = "http")]
            answer: None,
        }
    }

    /// Converts an error with its sources. If the error or a source is a `Failure`, the error type of that `Failure` is used.
    fn of(error: &(dyn Error + 'static)) -> Self {
        let mut failure = Failure::text("Function.Error", error.to_string());
        let mut next = Some(error);
        for depth in 0..=MAX_LINES {
            let Some(error) = next else { break };
            next = error.source();
            if depth > 0 {
                failure.push(error.to_string());
            }
            if let Some(inner) = error.downcast_ref::<Failure>() {
                failure.error_type = inner.error_type.clone();
                failure.place = inner.place.clone();
                #[cfg(feature = "http")]
                failure.answer.clone_from(&inner.answer);
                inner.stack.iter().for_each(|line| failure.push(line.clone()));
                break;
            }
        }
        failure
    }

    fn push(&mut self, line: String) {
        if self.stack.len() < MAX_LINES {
            self.stack.push(cut(line.into(), MAX_LINE).into_owned());
        }
    }

    /// The failure if the event is not JSON or does not match the handler's type.
    pub(crate) fn unmarshal(error: &serde_json::Error) -> Self {
        let message = format!("the event is not what the function expects: {error}");
        Failure::text("Runtime.UnmarshalError", message)
    }

    /// The failure if the response cannot be serialized.
    pub(crate) fn marshal(error: &serde_json::Error) -> Self {
        let message = format!("the response cannot be serialized: {error}");
        Failure::text("Runtime.MarshalError", message)
    }

    /// The failure if a thread cannot be started.
    pub(crate) fn start(error: &std::io::Error) -> Self {
        let message = format!("cannot start a thread: {error}");
        Failure::text("Runtime.ThreadError", message)
    }

    /// The failure if the handler waits, but nothing can wake it.
    pub(crate) fn deadlock() -> Self {
        let message = "the handler is waiting, and no other thread could wake it. If it needs the async \
                       runtime that `run` blocks, such as tokio, call `process` instead of `run`";
        Failure::text("Function.Deadlock", message)
    }

    /// The failure if the handler panicked at `place`.
    pub(crate) fn panic(thrown: &dyn Any, place: Option<Place>) -> Self {
        let message = match thrown.downcast_ref::<&str>() {
            Some(text) => Cow::Borrowed(*text),
            None => match thrown.downcast_ref::<String>() {
                Some(text) => text.clone().into(),
                None => "a panic without a message".into(),
            },
        };
        let mut failure = Failure::text("Function.Panic", message);
        place.iter().for_each(|place| failure.push(place.to_string()));
        Failure { place, ..failure }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

/// A type that a handler can return as an error: any type that implements [`Display`], or a type of your own that implements
/// this trait instead.
///
/// `&str`, `String`, `Box<dyn Error>`, `anyhow::Error` and any other error type already implement `Display`. To choose the
/// error type that Lambda reports, implement this trait instead of `Display`, or convert the error to a [`Failure`] with `From`
/// and `?`.
///
/// ```
/// use lambda_musl::{Failure, IntoFailure};
///
/// enum Problem {
///     NoSuchUser(String),
///     Busy,
/// }
///
/// impl IntoFailure for Problem {
///     fn into_failure(self) -> Failure {
///         match self {
///             Problem::NoSuchUser(name) => Failure::new("Function.NoSuchUser", format!("no user {name}")),
///             Problem::Busy => Failure::new("Function.Busy", "try again later"),
///         }
///     }
/// }
/// ```
pub trait IntoFailure {
    /// Converts the error to the failure that Lambda receives.
    fn into_failure(self) -> Failure;
}

impl<E: Display + 'static> IntoFailure for E {
    fn into_failure(self) -> Failure {
        let mut error = Some(self);
        if let Some(failure) = (&mut error as &mut dyn Any).downcast_mut::<Option<Failure>>() {
            // The error is a `Failure` already, and the option is full.
            return failure.take().unwrap_or_else(|| unreachable!());
        }
        let Some(error) = error else { unreachable!() };
        match boxed(&error) {
            Some(error) => Failure::of(error),
            // In the alternate form, `anyhow` prints the sources as well.
            None => Failure::text("Function.Error", format!("{error:#}")),
        }
    }
}

/// Returns the error inside `error` if that is a box. The inner error gives access to its sources, but the box does not.
fn boxed(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    if let Some(error) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return Some(&**error);
    }
    #[cfg(feature = "anyhow")]
    if let Some(error) = error.downcast_ref::<anyhow::Error>() {
        return Some(error.as_ref());
    }
    if let Some(error) = error.downcast_ref::<Box<dyn Error + Send>>() {
        return Some(&**error);
    }
    error.downcast_ref::<Box<dyn Error>>().map(|error| &**error as &dyn Error)
}

/// Shortens a text to at most `max` bytes, at a character boundary.
fn cut(text: Cow<'static, str>, max: usize) -> Cow<'static, str> {
    const MARK: &str = " … (cut)";
    if text.len() <= max {
        return text;
    }
    let mut text = text.into_owned();
    text.truncate(text.floor_char_boundary(max - MARK.len()));
    text.push_str(MARK);
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(Failure);

    impl Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_long_text_is_cut_at_a_character_boundary() {
        for shift in 0..4 {
            let message = "x".repeat(shift) + &"🦀".repeat(MAX_MESSAGE);
            let failure = message.into_failure();
            assert!(failure.message.len() <= MAX_MESSAGE);
            assert!(failure.message.ends_with("(cut)"));
        }
    }

    #[test]
    fn the_sources_of_a_boxed_error_are_its_stack() {
        let error = Outer(Failure::new("Function.Deep", "inner"));
        let error: Box<dyn Error> = Box::new(error);
        let failure = error.into_failure();
        assert_eq!(failure.message, "outer");
        assert_eq!(failure.stack, ["inner"]);
    }

    #[test]
    fn a_failure_keeps_its_type_in_every_kind_of_box() {
        let failure = || Outer(Failure::new("Function.Deep", "inner"));
        let types = [
            (Box::new(failure()) as Box<dyn Error>).into_failure(),
            (Box::new(failure()) as Box<dyn Error + Send>).into_failure(),
            (Box::new(failure()) as Box<dyn Error + Send + Sync>).into_failure(),
            failure().0.into_failure(),
            Failure::new("Function.Deep", failure().0),
        ]
        .map(|failure| failure.error_type);
        assert_eq!(types, [const { "Function.Deep" }; 5]);
    }

    #[test]
    #[cfg(feature = "anyhow")]
    fn a_failure_keeps_its_type_inside_an_anyhow_error() {
        let inner = anyhow::Error::from(Failure::new("Function.Deep", "inner"));
        assert_eq!(inner.context("outer").into_failure().error_type, "Function.Deep");
        let bare = anyhow::Error::from(Failure::new("Function.Deep", "inner"));
        assert_eq!(bare.into_failure().error_type, "Function.Deep");
    }

    #[test]
    fn an_endless_chain_of_sources_is_cut() {
        #[derive(Debug)]
        struct Forever;
        impl Display for Forever {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("again")
            }
        }
        impl Error for Forever {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(self)
            }
        }
        let error: Box<dyn Error> = Box::new(Forever);
        assert!(error.into_failure().stack.len() <= MAX_LINES);
    }

    #[test]
    fn a_panic_whose_payload_is_not_text_still_has_a_message() {
        assert_eq!(Failure::panic(&7, None).message, "a panic without a message");
    }
}
