//! The verb: the checks, and with `--run` an invocation.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::verify;
use crate::{environment, invoke, options};

/// Prints what a package is.
pub fn run(options: options::Verify) -> Result<()> {
    let zip = options.zip.path();
    let roots = environment::roots()?;
    let roots: Vec<&Path> = roots.iter().map(PathBuf::as_path).collect();
    println!("{}", verify(&zip, options.arch, &roots)?);
    if options.run {
        println!("{}", invoke::try_out(&zip, options.event)?);
    }
    Ok(())
}
