//! The verb: the checks, and with `--run` an invocation.

use std::{env, path::Path};

use anyhow::Result;

use super::verify;
use crate::{environment, invoke, options};

/// Prints what a package is.
pub fn run(options: options::Verify) -> Result<()> {
    let zip = options.zip.path();
    // Directories of this machine that a package which was built here could name: the workspace and cargo's home.
    let (here, cargo_home) = (env::current_dir()?, environment::cargo_home().unwrap_or_default().join(""));
    let workspace = here.ancestors().filter(|directory| directory.join("Cargo.lock").is_file()).last();
    let roots: Vec<&Path> = workspace.into_iter().chain([&*cargo_home]).collect();
    println!("{}", verify(&zip, options.arch, &roots)?);
    if options.run {
        println!("{}", invoke::try_out(&zip, options.event)?);
    }
    Ok(())
}
