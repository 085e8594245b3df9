//! `verify`: runs the checks and, with `--run`, an invocation.

use anyhow::Result;

use super::verify;
use crate::{environment, invoke, options};

/// Prints a description of a package.
pub fn run(options: options::Verify) -> Result<()> {
    let zip = options.zip.path();
    println!("{}", verify(&zip, options.arch, &environment::roots()?)?.report);
    if options.run {
        println!("{}", invoke::try_out(&zip, options.event)?);
    }
    Ok(())
}
