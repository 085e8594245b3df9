//! Lists the objects that were created in a bucket.

use aws_lambda_events::s3::S3Event;
use lambda_musl::{Context, run};
use percent_encoding::percent_decode_str;

async fn list(event: S3Event, _: Context) -> Result<Vec<String>, String> {
    let objects = event.records.into_iter().map(|record| {
        let bucket = record.s3.bucket.name.ok_or("the record has no bucket")?;
        let object = record.s3.object;
        // S3 encodes keys like form data.
        let key = object.key.ok_or("the record has no key")?.replace('+', " ");
        let key = percent_decode_str(&key).decode_utf8_lossy();
        let size = object.size.unwrap_or_default();
        Ok(format!("s3://{bucket}/{key}: {size} bytes"))
    });
    objects.collect()
}

fn main() -> Result<(), lambda_musl::Error> {
    run(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_musl::testing;
    use serde_json::json;

    #[test]
    fn an_object_is_listed_by_its_decoded_key() {
        let event = json!({"Records": [{
            "eventTime": "2026-01-02T03:04:05.678Z",
            "userIdentity": {},
            "requestParameters": {},
            "s3": {
                "bucket": {"name": "photos"},
                "object": {"key": "summer+2026/caf%C3%A9.jpg", "size": 1024},
            },
        }]});
        let [answer] = testing::run(list, [event]).unwrap();
        let expected = json!(["s3://photos/summer 2026/café.jpg: 1024 bytes"]);
        assert_eq!(answer.json(), expected);
    }
}
