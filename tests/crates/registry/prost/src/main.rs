//! Encodes and decodes a message with code that protoc and prost generate.

use lambda_musl::{Context, run};
use prost::Message;
use serde_json::{Value, json};

include!(concat!(env!("OUT_DIR"), "/greeting.rs"));

fn main() -> Result<(), lambda_musl::Error> {
    run(async |event: Value, _: Context| {
        let name = event["name"].as_str().unwrap_or_default().to_owned();
        let count = event["count"].as_u64().unwrap_or_default();
        let encoded = Greeting { name, count }.encode_to_vec();
        let Greeting { name, count } = Greeting::decode(&*encoded)?;
        Ok::<Value, prost::DecodeError>(json!({ "encoded": encoded, "decoded": format!("{name} {count}") }))
    })
}
