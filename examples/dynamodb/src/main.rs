//! Handles the changes to a table. Lambda retries from the first change that fails.

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_musl::{Context, run};
use serde::Deserialize;

/// An item of the table.
#[derive(Deserialize)]
struct Order {
    article: String,
    count: u32,
}

fn handle_change(record: &EventRecord) -> Result<(), serde_dynamo::Error> {
    let image = &record.change.new_image;
    if image.is_empty() {
        println!("{}: {:?}", record.event_name, record.change.keys);
        return Ok(());
    }
    let order: Order = serde_dynamo::from_item(image.clone())?;
    println!("{}: {} × {}", record.event_name, order.count, order.article);
    Ok(())
}

/// Lambda reads this response only if the event source mapping specifies `ReportBatchItemFailures`.
async fn handle(event: Event, _: Context) -> Result<DynamoDbEventResponse, String> {
    let mut response = DynamoDbEventResponse::default();
    for record in event.records {
        if let Err(error) = handle_change(&record) {
            println!("{}: {error}", record.event_id);
            let mut failure = DynamoDbBatchItemFailure::default();
            failure.item_identifier = record.change.sequence_number;
            response.batch_item_failures.push(failure);
            break;
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

    fn change(number: &str, image: Value) -> Value {
        json!({
            "eventID": number,
            "eventName": "INSERT",
            "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1767323045,
                "Keys": {"id": {"S": number}},
                "NewImage": image,
                "SequenceNumber": number,
                "SizeBytes": 26,
                "StreamViewType": "NEW_IMAGE",
            },
        })
    }

    #[test]
    fn the_first_change_that_fails_is_reported() {
        let tea = json!({"article": {"S": "tea"}, "count": {"N": "2"}});
        let odd = json!({"article": {"S": "tea"}, "count": {"S": "two"}});
        let events = [
            json!({"Records": [change("1", tea.clone()), change("2", odd), change("3", tea.clone())]}),
            json!({"Records": [change("4", tea)]}),
        ];
        let [failed, handled] = testing::run(handle, events).unwrap();
        let from = json!([{"itemIdentifier": "2"}]);
        assert_eq!(failed.json(), json!({"batchItemFailures": from}));
        assert_eq!(handled.json(), json!({"batchItemFailures": []}));
    }
}
