//! Reads messages from an SNS topic.

use aws_lambda_events::sns::SnsEvent;
use lambda_musl::{Context, run};

async fn read(event: SnsEvent, _: Context) -> Result<Vec<String>, String> {
    let notices = event.records.into_iter().map(|record| {
        let notice = record.sns;
        let subject = notice.subject.unwrap_or("no subject".into());
        format!("{subject}: {}", notice.message)
    });
    Ok(notices.collect())
}

fn main() -> Result<(), lambda_musl::Error> {
    run(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_musl::testing;
    use serde_json::json;

    #[test]
    fn each_message_is_read_with_its_subject() {
        let event = json!({"Records": [{
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": "arn:aws:sns:us-east-1:123456789012:news:1",
            "Sns": {
                "Type": "Notification",
                "MessageId": "1",
                "TopicArn": "arn:aws:sns:us-east-1:123456789012:news",
                "Subject": "Tea",
                "Message": "It is ready.",
                "Timestamp": "2026-01-02T03:04:05.678Z",
                "SignatureVersion": "1",
                "Signature": "",
                "SigningCertUrl": "",
                "UnsubscribeUrl": "",
            },
        }]});
        let [answer] = testing::run(read, [event]).unwrap();
        assert_eq!(answer.json(), json!(["Tea: It is ready."]));
    }
}
