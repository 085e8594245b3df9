//! Encodes and decodes an image of one colour in each format. Responds with the decoded colour, or, for JPEG, with whether it is close
//! to the original colour.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, ImageResult, Rgb, RgbImage};
use lambda_musl::{Context, run};
use serde_json::{Map, Value, json};

fn main() -> Result<(), lambda_musl::Error> {
    run(async |colour: [u8; 3], _: Context| through_all(colour))
}

fn through_all(colour: [u8; 3]) -> ImageResult<Value> {
    use ImageFormat::{Gif, Jpeg, Png, WebP};
    let image = DynamicImage::from(RgbImage::from_pixel(64, 64, Rgb(colour)));
    let mut answer = Map::new();
    for format in [Gif, Jpeg, Png, WebP] {
        let mut file = Cursor::new(Vec::new());
        image.write_to(&mut file, format)?;
        let decoded = image::load_from_memory_with_format(file.get_ref(), format)?.to_rgb8();
        let Rgb(found) = *decoded.get_pixel(32, 32);
        let near = || found.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 4);
        let value = if format == Jpeg { json!(near()) } else { json!(found) };
        answer.insert(format!("{format:?}"), value);
    }
    Ok(answer.into())
}
