//! Takes orders from a queue. Lambda retries only the messages that fail.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_musl::{Context, run};
use serde::Deserialize;

#[derive(Deserialize)]
struct Order {
    article: String,
    count: u32,
}

fn take(body: &str) -> Result<(), String> {
    let order: Order = serde_json::from_str(body).map_err(|error| error.to_string())?;
    if order.count == 0 {
        return Err("count is 0".into());
    }
    println!("{} × {}", order.count, order.article);
    Ok(())
}

/// Lambda reads this response only if the event source mapping specifies `ReportBatchItemFailures`.
async fn handle(event: SqsEvent, _: Context) -> Result<SqsBatchResponse, String> {
    let mut response = SqsBatchResponse::default();
    for message in event.records {
        let id = message.message_id.ok_or("the message has no ID")?;
        if let Err(error) = take(message.body.as_deref().unwrap_or_default()) {
            println!("{id}: {error}");
            response.add_failure(id);
        }
    }
    Ok(response)
}

fn main() -> Result<(), lambda_musl::Error> {
    run(handle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_musl::testing;
    use serde_json::{Value, json};

    fn event(bodies: &[&str]) -> Value {
        let message = |(index, body)| json!({"messageId": format!("id-{index}"), "body": body});
        json!({"Records": bodies.iter().enumerate().map(message).collect::<Vec<_>>()})
    }

    #[test]
    fn only_the_messages_that_fail_are_reported() {
        let good = r#"{"article": "tea", "count": 2}"#;
        let events = [
            event(&[good, "two teas", r#"{"article": "tea", "count": 0}"#]),
            event(&[good]),
        ];
        let [some, none] = testing::run(handle, events).unwrap();
        let failures = json!([{"itemIdentifier": "id-1"}, {"itemIdentifier": "id-2"}]);
        assert_eq!(some.json(), json!({"batchItemFailures": failures}));
        assert_eq!(none.json(), json!({"batchItemFailures": []}));
    }
}
