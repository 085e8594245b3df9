//! Runs when a schedule of EventBridge says so.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use lambda_musl::{Context, run};

async fn tidy_up(event: EventBridgeEvent, _: Context) -> Result<String, String> {
    // Not the time of this invocation: one that is tried again has the same.
    let due = event.time.ok_or("an event without a time")?;
    Ok(format!("tidied up for {}", due.format("%F %H:%M")))
}

fn main() -> Result<(), lambda_musl::Error> {
    run(tidy_up)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_musl::testing;
    use serde_json::json;

    #[test]
    fn it_runs_for_the_time_that_was_due() {
        let event = json!({
            "source": "aws.events",
            "detail-type": "Scheduled Event",
            "time": "2026-01-02T03:04:00Z",
            "detail": {},
        });
        let [answer] = testing::run(tidy_up, [event]).unwrap();
        assert_eq!(answer.json(), "tidied up for 2026-01-02 03:04");
    }
}
