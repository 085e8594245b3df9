//! What runs on the host: finds out what a crate builds, packages a function, invokes it under Lambda's emulator.
//!
//! Each command is what the script of that name calls; the user's way in is `make`.

mod archive;
mod crates;
mod difference;
mod elf;
mod function;
mod invoke;
mod licences;
mod origin;
mod package;
mod record;
mod sbom;
#[cfg(test)]
mod specimen;
mod strings;
mod verify;

use std::{env, ffi::OsString, path::Path, process::ExitCode};

const USAGE: &str = "expected one of:
  function CRATE TARGET                    what CRATE builds, as shell variables
  package BOOTSTRAP BINARY CACHE ZIP       write the deployment package
  event EVENT FILE                         check an event, JSON or @file, and write it to FILE
  difference A B                           where two files, or the files of two folders, differ
  elf BINARY ARCH [FOLDER...]              check a binary, in which no path of a FOLDER may be
  record MANIFEST PACKAGE FEATURES TARGET PARTS FOLDER
                                           write parts list, licences and the note for the binary
  verify ZIP ARCH [FOLDER...]              check a package; ARCH may be empty
  invoke ZIP FILE EMULATORS FOLDER         run the package under the emulator
  send FILE ADDRESS                        send an event to an emulator that runs already
  openssl-source | openssl-version         the OpenSSL of the crate openssl-src";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let arguments: Vec<&Path> = arguments.iter().map(Path::new).collect();
    let command = arguments.first().and_then(|name| name.to_str());
    let result = match (command, arguments.get(1..).unwrap_or_default()) {
        (Some("function"), [crate_folder, target]) => function::describe(crate_folder, target),
        (Some("package"), [bootstrap, binary, cache, zip]) => {
            package::package(bootstrap, binary, cache, zip)
        }
        (Some("difference"), [a, b]) => difference::difference(a, b),
        (Some("elf"), [binary, arch, places @ ..]) => {
            elf::check(binary, &arch.to_string_lossy(), places)
        }
        (Some("record"), [manifest, package, features, target, parts, folder]) => {
            record::record(manifest, package, features, target, parts, folder)
        }
        (Some("verify"), [zip, arch, places @ ..]) => verify::verify(zip, arch, places),
        (Some("event"), [event, file]) => invoke::check_event(event, file),
        (Some("invoke"), [zip, event, emulators, folder]) => {
            invoke::invoke(zip, event, emulators, folder)
        }
        (Some("send"), [event, address]) => invoke::send(event, address),
        (Some("openssl-source"), []) => Ok(openssl_src::source_dir().display().to_string()),
        (Some("openssl-version"), []) => Ok(openssl_version().to_owned()),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(text) => {
            if !text.is_empty() {
                println!("{text}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The part of the crate's version that is OpenSSL's: `3.5.5` of `300.5.5+3.5.5`.
fn openssl_version() -> &'static str {
    let version = openssl_src::version();
    version.split_once('+').map_or(version, |(_, own)| own)
}

/// Nothing where nothing is wrong with a file, else a line for each fault.
fn verdict(name: &str, faults: Vec<String>) -> Result<String, String> {
    if faults.is_empty() {
        return Ok(String::new());
    }
    let lines: Vec<String> = faults
        .iter()
        .map(|fault| format!("{name}: {fault}"))
        .collect();
    Err(lines.join("\nerror: "))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
