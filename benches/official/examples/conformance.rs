//! The function that `make conformance` tests, with lambda_runtime and the logging that its guide recommends.

use std::{env, fmt, time::Duration};

use lambda_runtime::{Error, LambdaEvent, MetadataPrelude, StreamResponse, run, service_fn, tracing};
use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::Value;

type Event = LambdaEvent<Value>;

/// How long the slow handler takes.
const PAUSE: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let mode = env::var("CONFORMANCE").unwrap_or_default();
    match mode.as_str() {
        "hello" => run(service_fn(async |_: Event| Ok::<_, Error>("hello conformance"))).await,
        "error" => run(service_fn(async |_: Event| Err::<(), Error>("this went wrong".into()))).await,
        "long error" => run(service_fn(async |_: Event| Err::<(), Error>("long ".repeat(400_000).into()))).await,
        "panic" => run(service_fn(async |_: Event| -> Result<(), Error> { panic!("this went wrong") })).await,
        "marshal" => run(service_fn(async |_: Event| Ok::<_, Error>(Odd))).await,
        // lambda_runtime has no function for this.
        "init" => Err("this went wrong".into()),
        "slow" => {
            run(service_fn(async |event: Event| {
                tokio::time::sleep(PAUSE).await;
                Ok::<_, Error>(event.payload)
            }))
            .await
        }
        "trace" => run(service_fn(async |_: Event| Ok::<_, Error>(env::var("_X_AMZN_TRACE_ID").ok()))).await,
        "stream" => run(service_fn(async |_: Event| Ok::<_, Error>(stream(vec![Ok("one "), Ok("two")], false)))).await,
        "broken stream" => {
            run(service_fn(async |_: Event| Ok::<_, Error>(stream(vec![Ok("one "), Err(Broken)], false)))).await
        }
        "http" => run(service_fn(async |_: Event| Ok::<_, Error>(stream(vec![Ok("hello")], true)))).await,
        _ => {
            #[cfg(not(feature = "concurrent"))]
            return run(service_fn(async |event: Event| Ok::<_, Error>(event.payload))).await;
            #[cfg(feature = "concurrent")]
            return lambda_runtime::run_concurrent(service_fn(echo)).await;
        }
    }
}

#[cfg(feature = "concurrent")]
async fn echo(event: Event) -> Result<Value, Error> {
    Ok(event.payload)
}

type Parts = tokio_stream::Iter<std::vec::IntoIter<Result<&'static str, Broken>>>;

fn stream(parts: Vec<Result<&'static str, Broken>>, http: bool) -> StreamResponse<Parts> {
    let mut metadata_prelude = MetadataPrelude::default();
    let headers = &mut metadata_prelude.headers;
    headers.insert("content-type", "text/plain".parse().expect("a header"));
    if http {
        metadata_prelude.status_code = 201.try_into().expect("a status");
        metadata_prelude.cookies.push("a=b".into());
    }
    StreamResponse { metadata_prelude, stream: tokio_stream::iter(parts) }
}

#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this went wrong")
    }
}

impl std::error::Error for Broken {}

/// A response that cannot be serialized.
struct Odd;

impl Serialize for Odd {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("this went wrong"))
    }
}
