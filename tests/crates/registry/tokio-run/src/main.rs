//! Sleeps inside `run` on tokio's only thread, which nothing can wake.

use std::time::Duration;

use lambda_musl::{Context, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_musl::Error> {
    run(async |milliseconds: u64, _: Context| {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        Ok::<_, String>("rested")
    })
}
