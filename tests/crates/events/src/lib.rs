//! Compares the events of `invoke --example` with the types of `aws_lambda_events`.

#[cfg(test)]
mod tests {
    use aws_lambda_events::{
        alb::AlbTargetGroupRequest,
        apigw::{ApiGatewayProxyRequest, ApiGatewayV2httpRequest, ApiGatewayWebsocketProxyRequest},
        dynamodb, eventbridge,
        kinesis::KinesisEvent,
        lambda_function_urls::LambdaFunctionUrlRequest,
        s3::S3Event,
        sns::SnsEvent,
        sqs::SqsEvent,
        vpc_lattice::VpcLatticeRequestV2,
    };
    use serde::{Serialize, de::DeserializeOwned};
    use serde_json::Value;

    type Known = fn(&str) -> Value;

    const TYPES: [(&str, Known); 13] = [
        ("alb", known::<AlbTargetGroupRequest>),
        ("cron", known::<eventbridge::EventBridgeEvent>),
        ("dynamodb", known::<dynamodb::Event>),
        ("eventbridge", known::<eventbridge::EventBridgeEvent>),
        ("http-api", known::<ApiGatewayV2httpRequest>),
        ("kinesis", known::<KinesisEvent>),
        ("lattice", known::<VpcLatticeRequestV2>),
        ("rest-api", known::<ApiGatewayProxyRequest>),
        ("s3", known::<S3Event>),
        ("sns", known::<SnsEvent>),
        ("sqs", known::<SqsEvent>),
        ("url", url),
        ("websocket", known::<ApiGatewayWebsocketProxyRequest>),
    ];

    /// The part of an event that a type preserves.
    fn known<T: DeserializeOwned + Serialize>(event: &str) -> Value {
        let event: T = serde_json::from_str(event).unwrap();
        serde_json::to_value(event).unwrap()
    }

    /// A function URL sends the same events as an HTTP API. The type for function URLs has fewer fields.
    fn url(event: &str) -> Value {
        known::<LambdaFunctionUrlRequest>(event);
        known::<ApiGatewayV2httpRequest>(event)
    }

    /// The paths of the values in `event` that are missing or different in `known`.
    fn unknown(event: &Value, known: &Value, path: &str) -> Vec<String> {
        match (event, known) {
            (Value::Object(event), Value::Object(known)) => {
                let below = |(key, value): (&String, &Value)| {
                    let path = format!("{path}.{key}");
                    match known.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)) {
                        Some((_, known)) => unknown(value, known, &path),
                        None => vec![path],
                    }
                };
                event.iter().flat_map(below).collect()
            }
            (Value::Array(event), Value::Array(known)) if event.len() == known.len() => {
                let pairs = event.iter().zip(known).enumerate();
                let below = |(index, (event, known))| unknown(event, known, &format!("{path}[{index}]"));
                pairs.flat_map(below).collect()
            }
            // Some types store a number as a string.
            _ if event == known || event.is_number() && known.as_str() == Some(&event.to_string()) => Vec::new(),
            _ => vec![format!("{path}: {event} is {known}")],
        }
    }

    #[test]
    fn the_types_preserve_every_field_of_every_example() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../cli/src/invoke/examples");
        let mut names: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, TYPES.map(|(name, _)| format!("{name}.json")));
        for (name, known) in TYPES {
            let text = std::fs::read_to_string(format!("{directory}/{name}.json")).unwrap();
            let event = serde_json::from_str(&text).unwrap();
            let unknown = unknown(&event, &known(&text), name);
            assert_eq!(unknown, [""; 0]);
        }
    }
}
