//! A logger for the `log` crate that writes lines in Lambda's format.

use std::env;

use log::{LevelFilter, Log, Metadata, Record};

use crate::{
    logs::current,
    logs::{self, Line},
};

/// Installs a logger that writes the records of the [`log`] crate to Lambda's log, on stderr. Requires the `log` feature.
///
/// By default, the lines are text. If `AWS_LAMBDA_LOG_FORMAT` is `JSON`, they are JSON objects with `timestamp`, `level`,
/// `requestId`, `target` and `message`. `AWS_LAMBDA_LOG_LEVEL` sets the minimum level; the default is `INFO` ([advanced logging]).
///
/// If the program has already set a logger, it is kept.
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
/// Lines from threads that the function starts have no request ID.
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

/// Converts Lambda's level to a level of the `log` crate, which has no level above `Error`.
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
    fn level_names_ignore_case_and_default_to_info() {
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
