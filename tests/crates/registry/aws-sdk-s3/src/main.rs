//! Signs a URL for an object at a fixed time.

use std::{error::Error, time::Duration, time::SystemTime};

use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_s3::{Client, presigning::PresigningConfig};
use lambda_musl::{Context, process};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_musl::Error> {
    process(async |key: String, _: Context| sign(&key).await).await
}

async fn sign(key: &str) -> Result<String, Box<dyn Error>> {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(credentials);
    let client = Client::from_conf(config.build());
    let presigning = PresigningConfig::builder()
        .start_time(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600))
        .expires_in(Duration::from_secs(60));
    let request = client.get_object().bucket("bucket").key(key);
    let request = request.presigned(presigning.build()?).await?;
    Ok(request.uri().to_owned())
}
