//! Hashes the text of the event at compile time.

fn main() {
    let hash = openssl::sha::sha256(b"abc").map(|byte| format!("{byte:02x}"));
    println!("cargo::rustc-env=HASH={}", hash.concat());
    println!("cargo::rerun-if-changed=build.rs");
}
