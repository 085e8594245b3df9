//! `invoke`: runs a deployment package for one event, as Lambda would, under AWS's Runtime Interface Emulator.

mod emulator;
mod examples;
mod image;
mod served;

use std::ffi::{OsStr, OsString};
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::{fs, net::SocketAddr, os::unix::ffi::OsStrExt, time::Duration};

use anyhow::{Context, Result, anyhow, bail, ensure};
use http_req::request::{Method, Request};
use http_req::uri::Uri;
use serde::de::IgnoredAny;
use serde_json::Value;
use zip::ZipArchive;

use crate::package::form::EXTENSIONS;
use crate::{again, aws::remote, cache::Cache, interrupt, options, verify};

/// How long the emulator may take to start listening.
const START: Duration = Duration::from_secs(20);

/// How long an invocation may take: Lambda's limit, plus the time to start.
const INVOCATION: Duration = Duration::from_secs(15 * 60 + 30);

/// Lambda's maximum size of an event and of a response, in bytes. The emulator silently truncates longer events.
pub const LONGEST_PAYLOAD: usize = 6_291_556;

const EXAMPLE: &str = r#"{"url":"https://example.com"}"#;

/// A status and a body.
type Answer = (u16, Vec<u8>);

/// Prints nothing but the function's response on stdout. The function's log goes to stderr.
pub fn run(options: options::Invoke) -> Result<()> {
    let event = match (&options.example, &options.event) {
        (Some(name), _) if name.is_empty() => {
            print!("{}", examples::list());
            return Ok(());
        }
        (Some(name), _) => examples::named(name)?,
        (None, Some(event)) => read_event(event)?,
        (None, None) => bail!(
            "--event is missing: use --event '{EXAMPLE}', --event @file or --example NAME, or in the clone: make invoke \
             EVENT='{EXAMPLE}'"
        ),
    };
    if let Some(name) = &options.remote {
        let (answer, is_error) = remote::invoke(name, options.qualifier.as_deref(), &event)?;
        print(&answer).context("printing the response")?;
        ensure!(!is_error, "the function reported an error");
        return Ok(());
    }
    let cache = Cache::open()?;
    let (status, answer) = if options.dev {
        served::invoke(&options.krate, options.bin.as_deref(), &event, &cache)?
    } else {
        let zip = up_to_date(&options, &cache)?;
        match options.image {
            Some(image) => image::invoke(&zip, &event, &image, options.arch.unwrap_or_default(), &cache)?,
            None => emulator::invoke(&zip, &event, &cache)?,
        }
    };
    print(&answer).context("printing the response")?;
    if status == 200 && kind_of_error(&answer).is_none() {
        return Ok(());
    }
    // If the program ends, for whatever reason, the response is empty.
    ensure!(!answer.is_empty(), "the program ended before it responded; does its main call `run`?");
    bail!("the function reported an error")
}

/// The package, which is built if it is missing or its sources have changed. A package named with `--zip` is never rebuilt.
fn up_to_date(options: &options::Invoke, cache: &Cache) -> Result<PathBuf> {
    let zip = options.zip.path();
    match options.zip.built_into() {
        Some(out) if !zip.exists() && options.krate.join("Cargo.toml").exists() => {
            again::build_first(&options.krate, out)?;
            // The new package may be an extension, whose zip has a different name.
            Ok(options.zip.path())
        }
        Some(_) => again::refresh(&zip, cache).map(|()| zip),
        None => Ok(zip),
    }
}

/// Invokes a package for `verify`, and describes the result. Without an event from the user, an error from the function
/// itself counts as a response, because the function may not accept `{}`.
pub fn try_out(zip: &Path, event: Option<OsString>) -> Result<String> {
    let given = event.is_some();
    let event = event.unwrap_or_else(|| "{}".into());
    let (status, answer) = emulator::invoke(zip, &read_event(&event)?, &Cache::open()?)?;
    let text = String::from_utf8_lossy(&answer).trim_end().to_owned();
    let shown = event.to_string_lossy();
    match kind_of_error(&answer) {
        None if status == 200 && !answer.is_empty() => {
            Ok(format!("it runs, and its response to the event {shown} is: {text}"))
        }
        Some(kind) if !given && (kind.starts_with("Function.") || kind == "Runtime.UnmarshalError") => {
            Ok(format!("it runs, and its response to the event {shown} is an error: {text}"))
        }
        _ => bail!("{}: it did not respond as expected under the emulator: {text}", zip.display()),
    }
}

fn read_event(event: &OsStr) -> Result<Vec<u8>> {
    let (name, bytes) = match event.as_bytes().strip_prefix(b"@") {
        Some(file) => {
            let name = format!("--event {}", event.display());
            let file = PathBuf::from(OsStr::from_bytes(file));
            // A read from a pipe may block, and one from a device may never end, so the read has a limit and can be interrupted.
            let read = move || -> io::Result<Vec<u8>> {
                let mut bytes = Vec::new();
                fs::File::open(file)?.take(LONGEST_PAYLOAD as u64 + 1).read_to_end(&mut bytes)?;
                Ok(bytes)
            };
            let bytes = interrupt::compute(read)?.with_context(|| name.clone())?;
            (name, bytes)
        }
        None => ("--event".to_owned(), event.as_bytes().to_vec()),
    };
    ensure!(bytes.len() <= LONGEST_PAYLOAD, "{name} is longer than the {LONGEST_PAYLOAD} bytes that Lambda accepts");
    let text = str::from_utf8(&bytes).with_context(|| format!("{name} is not JSON"))?;
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Ok(bytes),
        Err(error) => bail!("{name} is not JSON: {error}; expected something like '{EXAMPLE}'"),
    }
}

/// Prints a response unchanged, except that text gets a final newline.
fn print(answer: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(answer)?;
    if std::str::from_utf8(answer).is_ok_and(|text| !text.ends_with('\n')) {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}

/// The error type, if the response has the form of Lambda's errors. The emulator reports a failed invocation in no other way.
fn kind_of_error(answer: &[u8]) -> Option<String> {
    const KEYS: [&str; 5] = ["errorType", "errorMessage", "stackTrace", "requestId", "cause"];
    let Ok(Value::Object(object)) = serde_json::from_slice(answer) else { return None };
    let is_error = object.contains_key("errorMessage") && object.keys().all(|key| KEYS.contains(&key.as_str()));
    object.get("errorType").filter(|_| is_error).map(|kind| kind.as_str().unwrap_or_default().to_owned())
}

/// Unpacks a package, which must have an entry point, and returns the path of its binary.
fn unpack(zip: &Path, directory: &Path) -> Result<PathBuf> {
    let bytes = verify::read(zip, verify::archive::UNZIPPED)?;
    let describe = || format!("{}: expected a deployment package", zip.display());
    let mut archive = ZipArchive::new(Cursor::new(bytes)).with_context(describe)?;
    let is_bomb = archive.decompressed_size().is_none_or(|size| size > verify::archive::UNZIPPED.into());
    let limit = verify::archive::UNZIPPED;
    ensure!(!is_bomb, "{} unpacks to more than the {limit} bytes that Lambda accepts", zip.display());
    archive.extract(directory).with_context(describe)?;
    let [binary, bootstrap] = verify::archive::NAMES.map(|name| directory.join(name));
    let is_single = fs::read(&bootstrap).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF"));
    let missing = match (binary.is_file(), bootstrap.is_file()) {
        _ if is_single => return Ok(bootstrap),
        (true, true) => return Ok(binary),
        (false, false) if directory.join(EXTENSIONS).is_dir() => {
            "function: it is an extension, which Lambda runs next to a function"
        }
        (_, false) => "file named bootstrap",
        (false, true) => "file named binary",
    };
    Err(anyhow!("it contains no {missing}")).with_context(describe)
}

/// Sends an event to a listening emulator.
fn post(address: SocketAddr, event: &[u8]) -> Result<Answer> {
    post_to(address, "function", event).context("the emulator did not respond")
}

/// Sends an event to the function with this name.
fn post_to(address: SocketAddr, name: &str, event: &[u8]) -> Result<Answer> {
    let url = format!("http://{address}/2015-03-31/functions/{name}/invocations");
    let uri = Uri::try_from(url.as_str()).map_err(|error| anyhow!("{url}: {error}"))?;
    let mut answer = Vec::new();
    let response = Request::new(&uri)
        .method(Method::POST)
        .read_timeout(None::<Duration>)
        .timeout(INVOCATION)
        .body(event)
        .send(&mut answer)
        .map_err(|error| anyhow!("{error}"))?;
    Ok((u16::from(response.status_code()), answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_in_the_form_of_lambdas_errors_is_an_error_and_one_that_mentions_them_is_not() {
        for (answer, kind) in [
            (r#"{"errorType":"Function.Error","errorMessage":"no"}"#, Some("Function.Error")),
            (r#"{"errorType":"a","errorMessage":"b","stackTrace":[],"requestId":"c"}"#, Some("a")),
            (r#"{"errorType":"a"}"#, None),
            (r#"{"errorType":"a","errorMessage":"b","url":"c"}"#, None),
            (r#""errorType errorMessage""#, None),
            ("not JSON", None),
        ] {
            assert_eq!(kind_of_error(answer.as_bytes()).as_deref(), kind, "{answer}");
        }
    }
}
