//! Compresses and decompresses a text with zlib-ng.

use std::io::{self, Read};

use flate2::{Compression, read::GzDecoder, read::GzEncoder};
use lambda_musl::{Context, run};
use serde_json::{Value, json};

fn main() -> Result<(), lambda_musl::Error> {
    run(async |text: String, _: Context| compress(&text))
}

fn compress(text: &str) -> io::Result<Value> {
    let (mut compressed, mut back) = (Vec::new(), String::new());
    GzEncoder::new(text.as_bytes(), Compression::best()).read_to_end(&mut compressed)?;
    GzDecoder::new(&*compressed).read_to_string(&mut back)?;
    Ok(json!({ "header": compressed[..3], "text": back }))
}
