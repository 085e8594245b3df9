//! `status`: compares the function in AWS with a build of the sources, or with a zip.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::plan::{HANDLER, Package, RUNTIME};
use super::{Client, check_name, check_qualifier, commit, if_there, lambda, text};
use crate::package::Form;
use crate::step::Step;
use crate::verify::{Verified, sha256_hex, verify};
use crate::{build, cache::Cache, environment, options};

/// The exit statuses for a function in AWS that differs, and for a comparison that failed.
const DIFFERS: u8 = 1;
pub const UNKNOWN: u8 = 2;

/// Prints one line with the result of the comparison.
pub fn run(options: options::Status) -> Result<ExitCode> {
    check_name(&options.name)?;
    check_qualifier(options.qualifier.as_deref())?;
    let client = Client::find()?;
    // Read this first, so that an error is reported before minutes of compiling.
    let of_aws = configuration(&client, &options)?;
    let ours = Ours::of(&options)?;
    let name = &options.name;
    let qualifier = options.qualifier.as_ref().map(|qualifier| format!(":{qualifier}")).unwrap_or_default();
    let differences = differences(&of_aws, &ours.zip, &ours.checksum);
    let (sha256, what) = (sha256_hex(&ours.zip.bytes), &ours.what);
    println!(
        "{name}{qualifier}: {}",
        match &differences[..] {
            [] => format!("the same bytes: CodeSha256 {}, sha256 {sha256}: {what}", ours.checksum),
            differences => format!("differs: {}; here: {what}", differences.join("; ")),
        }
    );
    Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}

fn configuration(client: &Client, options: &options::Status) -> Result<Value> {
    let (name, qualifier) = (&options.name, options.qualifier.as_deref());
    let step = Step::begin(format!("reading the state of {name}"));
    let answer = if_there(client.call(&lambda("get-function-configuration", name, qualifier)))?;
    step.done();
    answer.with_context(|| {
        let version = qualifier.map(|qualifier| format!(" with the version or alias {qualifier}")).unwrap_or_default();
        format!("AWS has no function {name}{version} in this region and account; create it with `cargo lambda-musl deploy {name}`")
    })
}

/// The local package and its description.
struct Ours {
    zip: Verified,
    checksum: String,
    what: String,
}

impl Ours {
    /// The named zip, or a build of the sources in a temporary directory.
    fn of(options: &options::Status) -> Result<Self> {
        let (zip, path, commit);
        match &options.zip {
            Some(named) => {
                (zip, path) = (verify(named, options.source.arch, &environment::roots()?)?, named.clone());
                commit = commit::attested(named, &sha256_hex(&zip.bytes));
            }
            None => {
                commit = commit::of_sources(&options.source.krate);
                (zip, path) = built(options)?;
            }
        };
        ensure!(
            zip.form != Form::Extension,
            "{} is an extension, and `status` compares only functions; `deploy --dry-run` shows whether the layer is up to date",
            path.display()
        );
        let commit = commit.map(|commit| format!(", {commit}")).unwrap_or_default();
        let what = format!("{} {}{commit}", zip.name, zip.version);
        let checksum = Package::new(&path, &zip).checksum;
        Ok(Self { zip, checksum, what })
    }
}

fn built(options: &options::Status) -> Result<(Verified, PathBuf)> {
    ensure!(!options.source.bins, "--bins: `status` compares one function; name its binary target with --bin");
    let work = Cache::open()?.temporary("status")?;
    let build = options::Build { source: options.source.clone(), out: work.path().to_owned(), oci: false };
    build::build(&build, |_| ())?;
    let files = Form::FILES.map(|name| work.path().join(name));
    let path = files.into_iter().find(|path| path.exists()).context("the build created no zip")?;
    Ok((verify(&path, None, &environment::roots()?)?, path))
}

/// The differences, each with both values.
fn differences(of_aws: &Value, zip: &Verified, checksum: &str) -> Vec<String> {
    let pairs = [
        ("CodeSha256", text(of_aws, "/CodeSha256"), checksum),
        ("architecture", text(of_aws, "/Architectures/0"), zip.arch.name()),
        ("runtime", text(of_aws, "/Runtime"), RUNTIME),
        ("handler", text(of_aws, "/Handler"), HANDLER),
    ];
    let differ = pairs.into_iter().filter(|(_, of_aws, ours)| of_aws != ours);
    let differ = differ.map(|(what, of_aws, ours)| {
        let of_aws = if of_aws.is_empty() { "none" } else { of_aws };
        format!("{what} is {of_aws} in AWS, {ours} here")
    });
    differ.collect()
}
