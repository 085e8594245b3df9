//! Runs on an EventBridge schedule.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use lambda_musl::{Context, run};

async fn tidy_up(event: EventBridgeEvent, _: Context) -> Result<String, String> {
    // The scheduled time, which is the same in a retry of the invocation.
    let due = event.time.ok_or("the event has no time")?;
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
    fn it_runs_for_the_scheduled_time() {
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
