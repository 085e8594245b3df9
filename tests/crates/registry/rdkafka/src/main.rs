//! Sends a message to the library's mock broker and receives it.

use std::{error::Error, time::Duration};

use lambda_musl::{Context, process};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message, mocking::MockCluster};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_musl::Error> {
    process(async |text: String, _: Context| send(&text).await).await
}

async fn send(text: &str) -> Result<Value, Box<dyn Error>> {
    let cluster = MockCluster::new(1)?;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    config.set("group.id", "readers").set("auto.offset.reset", "earliest");
    let producer: FutureProducer = config.create()?;
    let record = FutureRecord::<str, str>::to("texts").payload(text);
    producer.send(record, Duration::from_secs(10)).await.map_err(|(error, _)| error)?;
    let consumer: StreamConsumer = config.create()?;
    consumer.subscribe(&["texts"])?;
    let message = tokio::time::timeout(Duration::from_secs(20), consumer.recv()).await??;
    let text = message.payload().map(String::from_utf8_lossy);
    Ok(json!({ "offset": message.offset(), "text": text }))
}
