//! The verb: the checks, and with `--run` an invocation.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::verify;
use crate::{environment, invoke, options};

/// Prints what a package is.
pub fn run(options: options::Verify) -> Result<()> {
    let zip = options.zip.path();
    let places = places()?;
    let places: Vec<&Path> = places.iter().map(PathBuf::as_path).collect();
    println!("{}", verify(&zip, options.arch, &places)?);
    if options.run {
        println!("{}", invoke::try_out(&zip, options.event)?);
    }
    Ok(())
}

/// Directories of this machine that a package which was built here could name: the workspace and cargo's home.
fn places() -> Result<Vec<PathBuf>> {
    let here = std::env::current_dir()?;
    let workspace = here.ancestors().filter(|directory| directory.join("Cargo.lock").is_file()).last();
    let mut cargo_home = environment::cargo_home()?.into_os_string();
    cargo_home.push("/");
    Ok(workspace.map(Path::to_owned).into_iter().chain([cargo_home.into()]).collect())
}
