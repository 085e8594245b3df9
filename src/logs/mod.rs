//! Lines for the function's log, in the format that [`AWS_LAMBDA_LOG_FORMAT`][format] selects.
//!
//! [format]: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html

pub(crate) mod current;
#[cfg(feature = "log")]
pub(crate) mod logger;

use std::{
    env,
    fmt::Arguments,
    io::{self, Write},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{failure::Failure, failure::report, wire::head};

/// A line that is being built. Lambda filters JSON lines by `timestamp` and `level`.
pub(crate) struct Line {
    json: bool,
    bytes: Vec<u8>,
}

impl Line {
    pub fn new(json: bool, level: &str, request_id: &str) -> Self {
        let mut line = Line { json, bytes: Vec::with_capacity(256) };
        if json {
            let now = SystemTime::now();
            let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
            line.bytes.push(b'{');
            line.pair("timestamp", &rfc3339(now));
            line.pair("level", level);
            if !request_id.is_empty() {
                line.pair("requestId", request_id);
            }
        } else {
            line.bytes.extend_from_slice(level.as_bytes());
            if !request_id.is_empty() {
                line.bytes.extend_from_slice(b" RequestId: ");
                line.bytes.extend_from_slice(request_id.as_bytes());
            }
            line.bytes.push(b' ');
        }
        line
    }

    fn key(&mut self, key: &str) {
        if self.bytes.len() > 1 {
            self.bytes.push(b',');
        }
        report::text(&mut self.bytes, key);
        self.bytes.push(b':');
    }

    /// Adds a member to a JSON line; does nothing for text.
    pub fn pair(&mut self, key: &str, value: &str) {
        if self.json {
            self.key(key);
            report::text(&mut self.bytes, value);
        }
    }

    /// Adds the message and writes the complete line at once. Errors are ignored: a function can run without its log.
    pub fn write(mut self, message: Arguments<'_>) {
        if self.json {
            self.pair("message", &message.to_string());
            self.bytes.push(b'}');
        } else {
            let _ = self.bytes.write_fmt(message);
        }
        self.bytes.push(b'\n');
        let _ = io::stderr().write_all(&self.bytes);
    }
}

/// Whether the function's log consists of JSON lines.
pub(crate) fn is_json() -> bool {
    env::var("AWS_LAMBDA_LOG_FORMAT").is_ok_and(|format| head::same(&format, "JSON"))
}

/// Flushes the function's stdout: std buffers an unfinished line, and Lambda freezes the function once it has the response.
/// Call this after the runtime has logged; otherwise, the runtime's lines would be appended to the unfinished one.
pub(crate) fn flush() {
    let _ = io::stdout().flush();
}

/// Logs an error of the runtime itself.
pub(crate) fn error(request_id: &str, message: Arguments<'_>) {
    Line::new(is_json(), "ERROR", request_id).write(message);
}

/// Logs a failed invocation.
pub(crate) fn failure(request_id: &str, failure: &Failure) {
    let mut line = Line::new(is_json(), "ERROR", request_id);
    let Failure { error_type, message, stack, .. } = failure;
    line.pair("errorType", error_type);
    line.pair("errorMessage", message);
    if line.json {
        line.key("stackTrace");
        report::texts(&mut line.bytes, stack);
        return line.write(format_args!("{error_type}: {message}"));
    }
    // Quote the message, so that the failure is a single line in the log.
    let stack = stack.iter().map(|at| format!(" at {}", escaped(at)));
    let stack: String = stack.collect();
    line.write(format_args!("{}: {message:?}{stack}", escaped(error_type)));
}

/// Escapes a text so that it is a single line. std's `escape_debug` does the same, but adds 2 kB to the program.
fn escaped(text: &str) -> String {
    let quoted = format!("{text:?}");
    quoted[1..quoted.len() - 1].to_owned()
}

/// Formats a time since 1970 as RFC 3339, in UTC with milliseconds.
fn rfc3339(since: Duration) -> String {
    let seconds = since.as_secs();
    let (days, rest) = (seconds / 86400, seconds % 86400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The Gregorian date `days` days after 1 January 1970. The calculation uses years that begin in March and the cycle of
/// 400 years, or 146097 days, after which the calendar repeats.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Five consecutive months that begin with March or August have 153 days.
    let month = (5 * day + 2) / 153;
    let first = (153 * month + 2) / 5;
    let next = u64::from(month >= 10);
    (era * 400 + year + next, month + 3 - 12 * next, day - first + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_formatted_as_rfc_3339() {
        // `date --utc --date=@… --iso-8601=seconds` prints the same times, without milliseconds.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (68_169_599, "1972-02-28T23:59:59.007Z"),
            (68_169_600, "1972-02-29T00:00:00.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (1_735_689_599, "2024-12-31T23:59:59.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
            (253_402_300_799, "9999-12-31T23:59:59.007Z"),
        ] {
            let since = Duration::new(seconds, 7_999_999);
            assert_eq!(rfc3339(since), text);
        }
    }

    #[test]
    fn the_largest_time_does_not_panic() {
        rfc3339(Duration::MAX);
    }
}
