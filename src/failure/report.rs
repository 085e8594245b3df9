//! A failure in the formats of the Runtime API: the body of an error call, and the cause for AWS X-Ray.

use crate::{base64, failure::Failure};

/// The headers or trailers that report an error.
pub(crate) const ERROR_TYPE: &str = "Lambda-Runtime-Function-Error-Type";
pub(crate) const ERROR_BODY: &str = "Lambda-Runtime-Function-Error-Body";

/// The maximum length of a report in a trailer, in bytes before base64 encoding. AWS's emulator uses Go's HTTP server, which
/// refuses trailers of more than 4096 bytes.
const MAX_TRAILED: usize = 2600;

/// The maximum length of the header with the cause for X-Ray, in bytes. The Runtime API drops a longer one.
const MAX_CAUSE: usize = 64 * 1024;

/// The body of the [invocation error] call.
///
/// [invocation error]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-invokeerror
pub(crate) fn body(failure: &Failure) -> Vec<u8> {
    write_body(&failure.error_type, &failure.message, &failure.stack)
}

fn write_body(error_type: &str, message: &str, stack: &[String]) -> Vec<u8> {
    let mut json = Vec::with_capacity(message.len() + 128);
    json.extend_from_slice(b"{\"errorType\":");
    text(&mut json, error_type);
    json.extend_from_slice(b",\"errorMessage\":");
    text(&mut json, message);
    json.extend_from_slice(b",\"stackTrace\":");
    texts(&mut json, stack);
    json.push(b'}');
    json
}

/// The trailers of a response that failed while it was being sent, each with its line break.
pub(crate) fn trailers(failure: &Failure) -> Vec<u8> {
    let mut report = body(failure);
    for limit in [1024, 200] {
        if report.len() > MAX_TRAILED {
            let message = &failure.message[..failure.message.floor_char_boundary(limit)];
            report = write_body(&failure.error_type, message, &[]);
        }
    }
    let error_type = failure.error_type.replace(char::is_control, " ");
    format!("{ERROR_TYPE}: {error_type}\r\n{ERROR_BODY}: {}\r\n", base64::encode(&report)).into_bytes()
}

/// The value of `Lambda-Runtime-Function-XRay-Error-Cause`: one line of JSON in ASCII.
pub(crate) fn xray_cause(failure: &Failure) -> String {
    let whole = cause(failure, usize::MAX);
    if whole.len() <= MAX_CAUSE {
        return whole;
    }
    // A byte can need six bytes when escaped, and there are at most 35 texts.
    cause(failure, MAX_CAUSE / 6 / 40)
}

fn cause(failure: &Failure, max: usize) -> String {
    let mut json = Vec::with_capacity(512);
    let mut add = |before: &str, value: &str| {
        json.extend_from_slice(before.as_bytes());
        text(&mut json, &value[..value.floor_char_boundary(max)]);
    };
    let directory = std::env::current_dir().unwrap_or_default();
    add("{\"working_directory\":", &directory.to_string_lossy());
    add(",\"exceptions\":[{\"type\":", &failure.error_type);
    add(",\"message\":", &failure.message);
    // The stack of a panic is its location; the stack of an error is its sources.
    if let Some(place) = &failure.place {
        add(",\"stack\":[{\"path\":", &place.file);
        let rest = ",\"label\":\"panic\"}]}],\"paths\":[";
        add(&format!(",\"line\":{}{rest}", place.line), &place.file);
        json.extend_from_slice(b"]}");
    } else {
        for source in &failure.stack {
            add(",\"stack\":[]},{\"type\":\"Function.Error\",\"message\":", source);
        }
        json.extend_from_slice(b",\"stack\":[]}],\"paths\":[]}");
    }
    ascii(&String::from_utf8_lossy(&json))
}

/// Writes `items` with commas between them.
pub(crate) fn list<T>(json: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        write(json, item);
    }
}

/// Writes a string as JSON.
pub(crate) fn text(json: &mut Vec<u8>, text: &str) {
    // A string can always be serialized, and writing to a `Vec` cannot fail.
    let _ = serde_json::to_writer(json, text);
}

/// Writes a list of strings as JSON.
pub(crate) fn texts(json: &mut Vec<u8>, lines: &[String]) {
    json.push(b'[');
    list(json, lines, |json, line| text(json, line));
    json.push(b']');
}

/// Escapes all characters that a header cannot contain. In JSON, they occur only in strings, where every character can be
/// escaped.
fn ascii(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            ' '..='~' => line.push(character),
            _ => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| line.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::IntoFailure;
    use serde_json::{Value, json};

    fn parsed(failure: &Failure) -> Value {
        serde_json::from_slice(&body(failure)).unwrap()
    }

    #[test]
    fn a_report_has_the_documented_form() {
        let report = parsed(&"no such user".into_failure());
        assert_eq!(report, json!({"errorType": "Function.Error", "errorMessage": "no such user", "stackTrace": []}));
    }

    #[test]
    fn the_longest_report_stays_below_one_mebibyte_however_it_is_escaped() {
        let long = "\u{1}".repeat(2 * 1024 * 1024);
        let mut failure = Failure::new(long.clone(), long.clone());
        for _ in 0..100 {
            failure = Failure::new(long.clone(), Wrapper(long.clone(), failure));
        }
        assert!(body(&failure).len() < 1024 * 1024);
        parsed(&failure);
        assert!(trailers(&failure).len() < 4000);
        let cause = xray_cause(&failure);
        assert!(cause.len() <= MAX_CAUSE, "{}", cause.len());
        serde_json::from_str::<Value>(&cause).unwrap();
    }

    #[derive(Debug)]
    struct Wrapper(String, Failure);

    impl std::fmt::Display for Wrapper {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl std::error::Error for Wrapper {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.1)
        }
    }

    #[test]
    fn a_cause_is_one_line_of_ascii_without_loss() {
        let failure = Failure::new("Function.Odd", "Zoë\n\u{7f}🦀");
        let cause = xray_cause(&failure);
        assert!(cause.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        let cause: Value = serde_json::from_str(&cause).unwrap();
        assert_eq!(cause["exceptions"], json!([{"type": "Function.Odd", "message": "Zoë\n\u{7f}🦀", "stack": []}]));
        assert!(cause["working_directory"].is_string());
        assert_eq!(cause["paths"], json!([]));
    }
}
