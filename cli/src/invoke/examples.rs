//! The example events for `--example`.

use anyhow::{Result, bail};

use crate::project::unknown;

macro_rules! examples {
    ($(($name:literal, $about:literal)),* $(,)?) => {
        [$(($name, $about, include_str!(concat!("examples/", $name, ".json")))),*]
    };
}

const EXAMPLES: [(&str, &str, &str); 13] = examples![
    ("url", "a request to a function URL"),
    ("http-api", "a request to an HTTP API of API Gateway"),
    ("rest-api", "a request to a REST API of API Gateway"),
    ("websocket", "a message to a WebSocket API of API Gateway"),
    ("alb", "a request to an Application Load Balancer"),
    ("lattice", "a request to a VPC Lattice service"),
    ("sqs", "two messages from an SQS queue"),
    ("sns", "a message from an SNS topic"),
    ("s3", "a new object in an S3 bucket"),
    ("dynamodb", "two changes in a DynamoDB table"),
    ("kinesis", "a record from a Kinesis stream"),
    ("eventbridge", "an event from an EventBridge bus"),
    ("cron", "an event from an EventBridge schedule"),
];

/// The event with this name, or an error that lists the available names.
pub fn named(name: &str) -> Result<Vec<u8>> {
    let names = EXAMPLES.map(|(name, ..)| name);
    match EXAMPLES.iter().find(|(other, ..)| *other == name) {
        Some((.., event)) => Ok(event.as_bytes().to_vec()),
        None => bail!("--example: {}", unknown(name, &names)),
    }
}

/// A list of all examples, one per line.
pub fn list() -> String {
    EXAMPLES.iter().map(|(name, about, _)| format!("{name:<12} {about}\n")).collect()
}
