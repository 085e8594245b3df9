//! The function that `make conformance` tests. `CONFORMANCE` selects its behaviour.

use std::{
    convert::Infallible,
    env,
    io::{self, Write},
    thread,
    time::Duration,
};

use lambda_musl::{Context, Stream, init, run, run_concurrent};
use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::Value;

/// How long the slow handler takes.
const PAUSE: Duration = Duration::from_millis(50);

fn main() -> Result<(), lambda_musl::Error> {
    let mode = env::var("CONFORMANCE").unwrap_or_default();
    match mode.as_str() {
        "hello" => run(async |_: Value, _: Context| Ok::<_, Infallible>("hello conformance")),
        "error" => run(async |_: Value, _: Context| Err::<(), _>("this went wrong")),
        "long error" => run(async |_: Value, _: Context| Err::<(), _>("long ".repeat(400_000))),
        "panic" => run(async |_: Value, _: Context| -> Result<(), Infallible> { panic!("this went wrong") }),
        "marshal" => run(async |_: Value, _: Context| Ok::<_, Infallible>(Odd)),
        "init" => {
            init(|| Err::<(), _>("this went wrong"))?;
            run(async |event: Value, _: Context| Ok::<_, Infallible>(event))
        }
        "slow" => run(async |event: Value, _: Context| {
            thread::sleep(PAUSE);
            Ok::<_, Infallible>(event)
        }),
        "trace" => run(async |_: Value, _: Context| Ok::<_, Infallible>(env::var("_X_AMZN_TRACE_ID").ok())),
        "stream" => run(async |_: Value, _: Context| {
            let body = async |out: &mut (dyn Write + Send)| {
                out.write_all(b"one ")?;
                out.flush()?;
                out.write_all(b"two")
            };
            Ok::<_, Infallible>(Stream::new("text/plain", body))
        }),
        "broken stream" => run(async |_: Value, _: Context| {
            let body = async |out: &mut (dyn Write + Send)| {
                out.write_all(b"one ")?;
                out.flush()?;
                Err(io::Error::other("this went wrong"))
            };
            Ok::<_, Infallible>(Stream::new("text/plain", body))
        }),
        "http" => run(async |_: Value, _: Context| {
            let body = async |out: &mut (dyn Write + Send)| out.write_all(b"hello");
            let stream = Stream::new("text/plain", body).status(201).cookie("a=b");
            Ok::<_, Infallible>(stream)
        }),
        _ => run_concurrent(async |event: Value, _: Context| Ok::<_, Infallible>(event)),
    }
}

/// A response that cannot be serialized.
struct Odd;

impl Serialize for Odd {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("this went wrong"))
    }
}
