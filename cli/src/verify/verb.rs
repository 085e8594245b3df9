//! The verb: the checks, and with `--run` an invocation.

use anyhow::Result;

use super::verify;
use crate::{environment, invoke, options};

/// Prints what a package is.
pub fn run(options: options::Verify) -> Result<()> {
    let zip = options.zip.path();
    println!("{}", verify(&zip, options.arch, &environment::roots()?)?.report);
    if options.run {
        println!("{}", invoke::try_out(&zip, options.event)?);
    }
    Ok(())
}
