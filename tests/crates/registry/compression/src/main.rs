//! Compresses a text with each library in turn, then decompresses it again.

use std::io::{self, Read};

use lambda_musl::{Context, run};
use serde_json::{Value, json};

fn main() -> Result<(), lambda_musl::Error> {
    run(async |text: String, _: Context| thrice(&text))
}

fn thrice(text: &str) -> io::Result<Value> {
    let (mut bzip2, mut xz, mut back) = (Vec::new(), Vec::new(), String::new());
    bzip2::read::BzEncoder::new(text.as_bytes(), bzip2::Compression::best()).read_to_end(&mut bzip2)?;
    xz2::read::XzEncoder::new(&*bzip2, 9).read_to_end(&mut xz)?;
    let zstd = zstd::encode_all(&*xz, 19)?;

    let xz_again = xz2::read::XzDecoder::new(zstd::Decoder::new(&*zstd)?);
    bzip2::read::BzDecoder::new(xz_again).read_to_string(&mut back)?;
    let magic = [&bzip2, &xz, &zstd].map(|bytes| format!("{:02x} {:02x} {:02x}", bytes[0], bytes[1], bytes[2]));
    Ok(json!({ "magic": magic, "text": back }))
}
