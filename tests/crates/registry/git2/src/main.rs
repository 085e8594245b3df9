//! Writes a text to a repository and reads it again.

use git2::{Error, Repository, Version};
use lambda_musl::{Context, run};
use serde_json::{Value, json};

fn main() -> Result<(), lambda_musl::Error> {
    run(async |text: String, context: Context| store(&text, context.request_id()))
}

fn store(text: &str, name: &str) -> Result<Value, Error> {
    let repository = Repository::init_bare(std::env::temp_dir().join(name))?;
    let id = repository.blob(text.as_bytes())?;
    let text = String::from_utf8_lossy(repository.find_blob(id)?.content()).into_owned();
    let _ = std::fs::remove_dir_all(repository.path());
    let version = Version::get();
    Ok(json!({
        "blob": id.to_string(), "text": text, "https": version.https(), "ssh": version.ssh()
    }))
}
