//! The verbs and their options. Each option can also be given in the variable of its name in capitals; an empty variable
//! counts as none, so that `make` can pass all of them.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
    builder::FalseyValueParser,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::arch::Arch;

/// A Rust function for AWS Lambda as one small static file, from a toolchain that anyone can rebuild to the byte.
#[derive(Parser)]
#[command(name = "cargo-lambda-musl", bin_name = "cargo lambda-musl", version, arg_required_else_help = true)]
#[command(after_help = "Defaults of a project stand in its Cargo.toml under [package.metadata.lambda-musl].")]
pub struct Options {
    #[command(subcommand)]
    pub verb: Verb,

    /// Print the output of every step as it comes
    #[arg(long, short, global = true, env, value_parser = FalseyValueParser::new())]
    pub verbose: bool,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Build the deployment package with zig: no Docker, no root
    #[command(after_help = "Example: cargo lambda-musl build --arch arm64")]
    Build(Build),

    /// Build it in a container image that compiles musl and OpenSSL from the pins, with cross
    #[command(after_help = "Example: cargo lambda-musl docker-build --pins current")]
    DockerBuild(DockerBuild),

    /// Say what a deployment package is, or print one line for each problem with it
    #[command(after_help = "Example: cargo lambda-musl verify --zip dist/function.zip --arch arm64")]
    Verify(Verify),

    /// Run the deployment package under AWS's Runtime Interface Emulator and print its answer
    #[command(after_help = "Example: cargo lambda-musl invoke --event '{\"url\":\"https://example.com\"}'")]
    Invoke(Invoke),

    /// Build twice under different conditions and compare every byte
    #[command(after_help = "Example: cargo lambda-musl reproduce --how docker-build")]
    Reproduce(Reproduce),

    /// Compile musl and OpenSSL from the pins into a directory of this Linux host
    #[command(after_help = "Example: cargo lambda-musl toolchain --prefix /opt/musl --pins current")]
    Toolchain(Toolchain),

    /// Download everything that a later build needs, so that it runs without a network
    #[command(after_help = "Example: cargo lambda-musl fetch --pins current")]
    Fetch(Fetch),

    /// Make a base image for docker-build from Debian's packages, where no registry can be reached
    #[command(after_help = "Example: sudo cargo lambda-musl base-image")]
    BaseImage(BaseImage),

    /// Say what this machine lacks for each verb, and the command that installs it
    #[command(after_help = "Example: cargo lambda-musl doctor --fix")]
    Doctor(Doctor),

    /// Write a zip of the entry point and a compiled binary
    #[command(after_help = "Example: cargo lambda-musl package target/release/greeting greeting.zip")]
    Package(Package),

    /// Say where two files, or the files of two directories, differ
    #[command(after_help = "Example: cargo lambda-musl difference dist other/dist")]
    Difference { first: PathBuf, second: PathBuf },

    /// Install pinned Python wheels into the cache and print their directory
    #[command(hide = true)]
    Wheel { name: String },

    /// Print a completion script for a shell
    #[command(after_help = "Example: cargo lambda-musl completions bash >~/.local/share/bash-completion/completions/cargo-lambda-musl")]
    Completions { shell: clap_complete::Shell },
}

/// What is built.
#[derive(Args, Clone)]
pub struct Source {
    /// The architecture of the function [default: x86_64]
    #[arg(long, env)]
    pub arch: Option<Arch>,

    /// The directory of the package [default: the current directory]
    #[arg(long = "crate", env = "CRATE", value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub krate: PathBuf,

    /// The binary target [default: default-run, or the only one, or the one named like the package]
    #[arg(long, env, value_name = "NAME")]
    pub bin: Option<String>,

    /// Features of the package, separated by commas
    #[arg(long, env, value_name = "LIST", value_delimiter = ',')]
    pub features: Vec<String>,

    /// Leave out the package's default features
    #[arg(long, env, value_parser = FalseyValueParser::new())]
    pub no_default_features: bool,
}

/// Where the result goes.
#[derive(Args, Clone)]
pub struct Out {
    /// The directory for the deployment package and what belongs to it
    #[arg(long, env, value_name = "DIR", default_value = "dist")]
    pub out: PathBuf,
}

/// What musl and OpenSSL are compiled from.
#[derive(Args, Clone)]
pub struct PinsOptions {
    /// classic (musl 1.2.1, OpenSSL 1.0.1k), current (the newest), or a pins file [default: classic]
    #[arg(long, env, value_name = "PINS")]
    pub pins: Option<String>,

    /// A directory with archives that then need not be downloaded
    #[arg(long, env, value_name = "DIR")]
    pub sources: Option<PathBuf>,
}

/// The container image that compiles.
#[derive(Args, Clone)]
pub struct ImageOptions {
    /// The base image [default: Amazon Linux 2023, pinned by digest]
    #[arg(long, env, value_name = "IMAGE")]
    pub base: Option<String>,

    /// Build the image anew, without the engine's build cache
    #[arg(long, env, value_parser = FalseyValueParser::new())]
    pub fresh: bool,
}

#[derive(Args)]
pub struct Build {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub out: Out,
}

#[derive(Args)]
pub struct DockerBuild {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub out: Out,
    #[command(flatten)]
    pub pins: PinsOptions,
    #[command(flatten)]
    pub image: ImageOptions,

    /// Build the builder image alone, for `cross build`, and print its name
    #[arg(long, env, value_parser = FalseyValueParser::new())]
    pub image_only: bool,
}

/// Which deployment package.
#[derive(Args, Clone)]
pub struct Zip {
    #[command(flatten)]
    pub out: Out,

    /// The deployment package [default: function.zip in --out]
    #[arg(long, env, value_name = "FILE")]
    pub zip: Option<PathBuf>,
}

impl Zip {
    pub fn path(&self) -> PathBuf {
        self.zip.clone().unwrap_or_else(|| self.out.out.join("function.zip"))
    }
}

#[derive(Args)]
pub struct Verify {
    #[command(flatten)]
    pub zip: Zip,

    /// The architecture that it must be for [default: either]
    #[arg(long, env)]
    pub arch: Option<Arch>,

    /// Invoke it as well, with --event or with {}
    #[arg(long, env, value_parser = FalseyValueParser::new())]
    pub run: bool,

    /// The event for --run: JSON, or @ and the path of a file
    #[arg(long, env, value_name = "JSON|@FILE")]
    pub event: Option<OsString>,
}

#[derive(Args)]
pub struct Invoke {
    #[command(flatten)]
    pub zip: Zip,

    /// The event: JSON, or @ and the path of a file
    #[arg(long, env, value_name = "JSON|@FILE")]
    pub event: Option<OsString>,

    /// Run it in this container image, like public.ecr.aws/lambda/provided:al2023, instead of on this machine
    #[arg(long, env, value_name = "IMAGE")]
    pub image: Option<String>,

    /// The architecture of that image [default: x86_64]
    #[arg(long, env)]
    pub arch: Option<Arch>,
}

/// A way to build.
#[derive(Clone, Copy, Default, Eq, PartialEq, ValueEnum)]
pub enum How {
    #[default]
    Build,
    DockerBuild,
}

#[derive(Args)]
pub struct Reproduce {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub pins: PinsOptions,
    #[command(flatten)]
    pub image: ImageOptions,

    /// Which verb builds
    #[arg(long, env, default_value = "build")]
    pub how: How,
}

#[derive(Args)]
pub struct Toolchain {
    #[command(flatten)]
    pub pins: PinsOptions,

    /// The directory that it goes into, which must not exist
    #[arg(long, env, value_name = "DIR")]
    pub prefix: Option<PathBuf>,

    /// The architecture, which has to be this machine's
    #[arg(long, env)]
    pub arch: Option<Arch>,
}

#[derive(Args)]
pub struct Fetch {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub pins: PinsOptions,
    #[command(flatten)]
    pub image: ImageOptions,
}

#[derive(Args)]
pub struct BaseImage {
    /// The architecture of the image [default: x86_64]
    #[arg(long, env)]
    pub arch: Option<Arch>,

    /// The release of Debian
    #[arg(long, env, default_value = "bookworm")]
    pub suite: String,

    /// The mirror of Debian [default: debootstrap's]
    #[arg(long, env, value_name = "URL")]
    pub mirror: Option<String>,
}

#[derive(Args)]
pub struct Doctor {
    /// Show the commands that install what is missing, and offer to run them
    #[arg(long, env, value_parser = FalseyValueParser::new())]
    pub fix: bool,

    /// With --fix: run them without asking
    #[arg(long, env, value_parser = FalseyValueParser::new())]
    pub yes: bool,
}

#[derive(Args)]
pub struct Package {
    /// The compiled function
    pub binary: PathBuf,

    /// The zip to write
    #[arg(default_value = "function.zip")]
    pub zip: PathBuf,
}

/// Reads the options, or ends with what is wrong with them and those that there are.
pub fn parse(mut arguments: Vec<OsString>) -> Options {
    // `cargo lambda-musl VERB` calls `cargo-lambda-musl lambda-musl VERB`.
    if arguments.get(1).is_some_and(|name| name == "lambda-musl") {
        arguments.remove(1);
    }
    let command = without_empty_variables(Options::command());
    let parsed = command.try_get_matches_from(arguments);
    parsed
        .and_then(|matches| Options::from_arg_matches(&matches))
        .unwrap_or_else(|error| {
            let known = known_options(&error);
            let _ = error.print();
            if let Some(known) = known {
                eprintln!("\nThe options are: {known}");
            }
            std::process::exit(error.exit_code())
        })
}

fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |name: &std::ffi::OsStr| std::env::var_os(name).is_some_and(|v| v.is_empty());
    command
        .mut_args(|argument| match argument.get_env() {
            Some(name) if is_empty(name) => argument.env(None::<&str>),
            _ => argument,
        })
        .mut_subcommands(without_empty_variables)
}

/// The options of the verb to which an unknown one was given.
fn known_options(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) else {
        return None;
    };
    let usage = usage.to_string();
    let command = Options::command();
    let verb = command
        .get_subcommands()
        .find(|verb| usage.split_whitespace().any(|word| word == verb.get_name()))?;
    let names = verb.get_arguments().filter_map(|option| option.get_long());
    Some(names.map(|name| format!("--{name}")).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_are_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn every_verb_and_option_says_what_it_does_and_every_verb_has_an_example() {
        for verb in Options::command().get_subcommands() {
            let name = verb.get_name();
            assert!(verb.get_about().is_some(), "{name}");
            let example = verb.get_after_help().map(ToString::to_string);
            let has_example = example.is_some_and(|text| text.contains(&format!("cargo lambda-musl {name}")));
            assert!(has_example || verb.is_hide_set(), "{name}");
            for option in verb.get_opts() {
                assert!(option.get_help().is_some(), "{name} {option}");
            }
        }
    }

    #[test]
    fn every_option_can_be_given_in_the_variable_of_its_name_in_capitals() {
        for verb in Options::command().get_subcommands() {
            for option in verb.get_opts() {
                let variable = option.get_long().unwrap().to_uppercase().replace('-', "_");
                assert_eq!(option.get_env().unwrap().to_str().unwrap(), variable);
            }
        }
    }
}
