//! Hashes a text, then encrypts and decrypts it.

use aws_lc_rs::{aead, digest, error::Unspecified, rand};
use lambda_musl::{Context, run};
use serde_json::{Value, json};

fn main() -> Result<(), lambda_musl::Error> {
    run(async |text: String, _: Context| hash_and_seal(&text))
}

fn hash_and_seal(text: &str) -> Result<Value, Unspecified> {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();

    let mut random = [0; 44];
    rand::SecureRandom::fill(&rand::SystemRandom::new(), &mut random)?;
    let (key, nonce) = random.split_at(32);
    let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, key)?);
    let nonce = || aead::Nonce::try_assume_unique_for_key(nonce);
    let mut bytes = text.as_bytes().to_vec();
    key.seal_in_place_append_tag(nonce()?, aead::Aad::empty(), &mut bytes)?;
    let opened = key.open_in_place(nonce()?, aead::Aad::empty(), &mut bytes)?;
    Ok(json!({ "sha256": hash, "opened": String::from_utf8_lossy(opened) }))
}
