//! `cargo lambda-musl`: builds a Rust function for AWS Lambda as one small static binary, which anyone can reproduce
//! byte for byte. Each verb is a module; the other modules contain shared code.

mod again;
mod arch;
mod archives;
mod aws;
mod base_image;
mod build;
mod cache;
mod command;
mod configuration;
mod crates;
mod dev;
mod docker_build;
mod doctor;
mod engine;
mod env_file;
mod environment;
mod fetch;
mod files;
mod image;
mod interrupt;
mod invoke;
mod messages;
mod names;
mod natives;
mod new;
mod options;
mod package;
#[cfg(test)]
mod pages;
mod pins;
mod programs;
mod project;
mod reproduce;
mod rust;
mod step;
mod toolchain;
mod verify;
mod wheels;
mod zig;

use std::{env, ffi::OsString, panic, path::Path, process::ExitCode, sync::atomic::Ordering};

use clap::CommandFactory;
use options::{Options, Verb};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    let name = arguments.first().map(Path::new).and_then(Path::file_name);
    if let Some(code) = name
        .and_then(|name| docker_build::stand_in(name, &arguments[1..]).or_else(|| zig::stand_in(name, &arguments[1..])))
    {
        return code;
    }
    // A reader that closes the pipe has read enough: print no message. Unwinding still removes temporary files.
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| match panic.payload_as_str() {
        Some(text) if text.starts_with("failed printing to") => {}
        _ => usual(panic),
    }));
    let options = options::parse(arguments);
    step::VERBOSE.store(options.verbose, Ordering::Relaxed);
    // For `status`, exit status 1 means that the function in AWS differs from the build.
    let failure = if let Verb::Status(_) = options.verb { aws::status::UNKNOWN } else { 1 };
    match interrupt::watch().and_then(|()| run(options.verb)) {
        Ok(code) => code,
        Err(_) if interrupt::signal().is_some() => ExitCode::from(128 + interrupt::signal().unwrap_or_default()),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(failure)
        }
    }
}

fn run(verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Status(options) => return aws::status::run(options),
        Verb::Deploy(options) => aws::deploy::run(options),
        Verb::Build(options) => build::run(options),
        Verb::DockerBuild(options) => docker_build::run(options),
        Verb::Verify(options) => verify::run(options),
        Verb::Invoke(options) => invoke::run(options),
        Verb::New(options) => new::run(options),
        Verb::Init(options) => new::init::run(options),
        Verb::Dev(options) => dev::run(options),
        Verb::Reproduce(options) => reproduce::run(options),
        Verb::Toolchain(options) => toolchain::run(options),
        Verb::Fetch(options) => fetch::run(options),
        Verb::BaseImage(options) => base_image::run(options),
        Verb::Doctor { fix, yes } => doctor::run(fix, yes),
        Verb::Package { binary, zip } => package::run(&binary, &zip),
        Verb::Difference { first, second } => reproduce::compare(&first, &second),
        Verb::Prepare(source) => build::prepare(&source),
        Verb::Wheel { name } => wheels::run(&name),
        Verb::Completions { shell } => {
            let mut command = Options::command();
            let name = command.get_name().to_owned();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, name, &mut script);
            print!("{}", String::from_utf8_lossy(&script));
            Ok(())
        }
    }?;
    Ok(ExitCode::SUCCESS)
}
