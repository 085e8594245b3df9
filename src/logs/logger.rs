//! The facade of the crate `log`, in the form that Lambda wants.

use std::env;

use log::{LevelFilter, Log, Metadata, Record};

use crate::{
    logs::current,
    logs::{self, Line},
};

/// Sends what the function logs through the crate [`log`] to Lambda's log, on stderr: lines of text, or of JSON with
/// `timestamp`, `level`, `requestId` and `message` where `AWS_LAMBDA_LOG_FORMAT` is `JSON`, from the level on that
/// `AWS_LAMBDA_LOG_LEVEL` names, or else `INFO` ([advanced logging]). With the feature `log`.
///
/// A logger that is there already stays.
///
/// ```no_run
/// use lambda_musl::{Context, init_logger, run};
///
/// fn main() -> Result<(), lambda_musl::Error> {
///     init_logger();
///     run(async |name: String, _: Context| {
///         log::info!("greeting {name}");
///         Ok::<_, String>(format!("Hello, {name}!"))
///     })
/// }
/// ```
///
/// A thread that the function starts knows no request id.
///
/// [advanced logging]: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html
pub fn init_logger() {
    let logger = match logs::is_json() {
        true => &Logger { json: true },
        false => &Logger { json: false },
    };
    if log::set_logger(logger).is_ok() {
        log::set_max_level(level(env::var("AWS_LAMBDA_LOG_LEVEL").ok().as_deref()));
    }
}

/// Lambda's level, in the facade's words, which know of nothing worse than an error.
fn level(name: Option<&str>) -> LevelFilter {
    match name {
        Some(name) if name.eq_ignore_ascii_case("FATAL") => LevelFilter::Off,
        Some(name) => name.parse().unwrap_or(LevelFilter::Info),
        None => LevelFilter::Info,
    }
}

struct Logger {
    json: bool,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let mut line = Line::new(self.json, record.level().as_str(), &current::request_id());
            line.pair("target", record.target());
            line.write(*record.args());
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_lambdas_in_any_case_and_info_otherwise() {
        for (name, expected) in [
            (Some("TRACE"), LevelFilter::Trace),
            (Some("debug"), LevelFilter::Debug),
            (Some("WARN"), LevelFilter::Warn),
            (Some("FATAL"), LevelFilter::Off),
            (Some("loud"), LevelFilter::Info),
            (None, LevelFilter::Info),
        ] {
            assert_eq!(level(name), expected, "{name:?}");
        }
    }
}
