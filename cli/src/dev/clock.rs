//! Formats times as they appear in Lambda's reports and in log files.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Day, month, year and time of day of a time in UTC.
fn parts(time: SystemTime) -> [String; 4] {
    let date = httpdate::fmt_http_date(time);
    // `Wed, 25 Nov 2026 00:00:00 GMT`
    let mut words = date.split(' ').skip(1).map(Into::into);
    std::array::from_fn(|_| words.next().unwrap_or_default())
}

/// The format of log files: `25/Nov/2026:00:00:00 +0000`.
pub fn of_logs(time: SystemTime) -> String {
    let [day, month, year, of_day] = parts(time);
    format!("{day}/{month}/{year}:{of_day} +0000")
}

/// The format of RFC 3339: `2026-11-25T00:00:00.000Z`.
pub fn rfc3339(time: SystemTime) -> String {
    let [day, month, year, of_day] = parts(time);
    let month = MONTHS.iter().position(|name| *name == month).unwrap_or_default() + 1;
    let milliseconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().subsec_millis();
    format!("{year}-{month:02}-{day}T{of_day}.{milliseconds:03}Z")
}

/// Milliseconds with two decimal places, as in Lambda's reports.
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_formatted_for_logs_and_as_rfc_3339() {
        let time = UNIX_EPOCH + Duration::from_millis(1_795_564_800_007);
        assert_eq!(of_logs(time), "25/Nov/2026:00:00:00 +0000");
        assert_eq!(rfc3339(time), "2026-11-25T00:00:00.007Z");
    }
}
