//! `invoke --remote`: sends an event to a function in AWS.

use std::fs;

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Client, check_name, check_qualifier, if_there, lambda, text};
use crate::{cache::Cache, files::At};

/// Returns the function's response and whether it is an error. Prints the end of the function's log on stderr.
pub fn invoke(name: &str, qualifier: Option<&str>, event: &[u8]) -> Result<(Vec<u8>, bool)> {
    check_name(name)?;
    check_qualifier(qualifier)?;
    let client = Client::find()?;
    let work = Cache::open()?.temporary("remote")?;
    let [payload, answer] = ["event.json", "answer"].map(|file| work.path().join(file));
    fs::write(&payload, event).at(&payload)?;
    let mut call = lambda("invoke", name, qualifier).with("--log-type", "Tail");
    // With fileb://, both versions of the client send the bytes unchanged. The read timeout exceeds the 15 minutes for
    // which a function can run.
    call = call.with("--payload", format!("fileb://{}", payload.display())).with("--cli-read-timeout", "930");
    call.words.push(answer.display().to_string());
    // There are no retries, because the event may have reached the function already.
    let said = if_there(client.call_with(&call, &[("AWS_MAX_ATTEMPTS", "1")]))?;
    let said = said.with_context(|| {
        let version = qualifier.map(|qualifier| format!(" with the version or alias {qualifier}")).unwrap_or_default();
        format!("AWS has no function {name}{version} in this region and account")
    })?;
    let log = STANDARD.decode(text(&said, "/LogResult")).unwrap_or_default();
    eprint!("{}", String::from_utf8_lossy(&log));
    let status = &said["StatusCode"];
    ensure!(*status == 200, "AWS responded with status {status}; expected 200");
    let answer = fs::read(&answer).context(
        "aws lambda invoke: the client wrote no file with the function's response; check the client with `aws --version`",
    )?;
    Ok((answer, !text(&said, "/FunctionError").is_empty()))
}
