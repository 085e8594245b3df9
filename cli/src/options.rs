//! The verbs and their options. Each option can also be set with the environment variable that has its name in capitals.
//! An empty variable counts as unset, which lets `make` pass all of them.

use std::ffi::{OsStr, OsString};
use std::{env, ops::Deref, path::Path, path::PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap::{builder::FalseyValueParser, parser::ValueSource};

use crate::{arch::Arch, aws::Url, package::Form};

const AFTER_HELP: &str = "Each option can also be set with the environment variable that has its name in capitals. A project's \
    defaults are in its Cargo.toml under [package.metadata.lambda-musl].\n\nLAMBDA_MUSL_CACHE names the directory for downloads and \
    compiled libraries; CONTAINER_ENGINE names the container engine.";

const DEPLOY_HELP: &str = "Examples:\n  \
    cargo lambda-musl deploy greeting\n  \
    cargo lambda-musl deploy greeting --alias live --url iam --memory 256 --env-var TABLE=names\n  \
    cargo lambda-musl deploy greeting --dry-run\n\n\
    A setting that is not given as an option comes from [package.metadata.lambda-musl.deploy] in Cargo.toml; if it is \
    not there either, AWS keeps its current value. The aws client supplies the credentials, region and endpoint, and \
    reads AWS_PROFILE, AWS_REGION and AWS_ENDPOINT_URL. docs/deploy.md describes the details.";

const STATUS_HELP: &str = "Examples:\n  \
    cargo lambda-musl status greeting\n  \
    cargo lambda-musl status greeting --qualifier live --zip dist/function.zip\n\n\
    The exit status is 0 if the bytes, architecture, runtime and handler match, 1 if they differ (the printed line lists the \
    differences), and 2 if the comparison failed.";
const EXAMPLES_OF_DEV: &str = "Examples:
  cargo lambda-musl dev
  cargo lambda-musl dev --bins --port 8000 --timeout 0
  cargo lambda-musl invoke --dev --event '{\"name\":\"Ada\"}'
  curl -i http://localhost:9000/orders/0
  aws lambda invoke --endpoint-url http://localhost:9000 --function-name greeting --payload '{}' /dev/stdout";

/// Build a Rust function for AWS Lambda as one small static file, with a toolchain that anyone can rebuild byte for byte.
#[derive(Parser)]
#[command(name = "cargo-lambda-musl", bin_name = "cargo lambda-musl", version, arg_required_else_help = true)]
#[command(after_help = AFTER_HELP)]
pub struct Options {
    #[command(subcommand)]
    pub verb: Verb,
    /// Print the output of every step as it runs
    #[arg(long, short, global = true, env, value_parser = FalseyValueParser::new())]
    pub verbose: bool,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Build the deployment package with zig: no Docker, no root
    #[command(after_help = "Example: cargo lambda-musl build --arch arm64")]
    Build(Build),
    /// Build the deployment package with cross, in an image with musl and OpenSSL compiled from the pins
    #[command(after_help = "Example: cargo lambda-musl docker-build --pins current")]
    DockerBuild(DockerBuild),
    /// Describe a deployment package, or print one line for each problem with it
    #[command(after_help = "Example: cargo lambda-musl verify --zip dist/function.zip --arch arm64")]
    Verify(Verify),
    /// Run the deployment package under AWS's Runtime Interface Emulator and print the response
    #[command(
        after_help = "Examples:\n  cargo lambda-musl invoke --event '{\"url\":\"https://example.com\"}'\n  cargo lambda-musl invoke --example sqs\n  cargo lambda-musl invoke --remote greeting --event @event.json"
    )]
    Invoke(Invoke),
    /// Create a package: a function with a test, a SAM template and a workflow
    #[command(
        after_help = "Examples:\n  cargo lambda-musl new hello\n  cargo lambda-musl new hello --http\n  cargo lambda-musl new orders --event sqs --dir services/orders"
    )]
    New(New),
    /// Add to an existing package the files that `new` would create, and overwrite none
    #[command(after_help = "Example: cargo lambda-musl init --event sqs")]
    Init(Init),
    /// Serve functions on this machine, and recompile them when their sources are saved
    #[command(after_help = EXAMPLES_OF_DEV)]
    Dev(Dev),
    /// Verify the deployment package, upload it, wait for Lambda, and check that AWS has the package's bytes
    #[command(after_help = DEPLOY_HELP)]
    Deploy(Deploy),
    /// Compare the function in AWS with a build of these sources, or with the package in --zip
    #[command(after_help = STATUS_HELP)]
    Status(Status),
    /// Build twice under different conditions and compare every byte
    #[command(after_help = "Example: cargo lambda-musl reproduce --how docker-build")]
    Reproduce(Reproduce),
    /// Compile musl and OpenSSL from the pins into a directory on this Linux host
    #[command(after_help = "Example: cargo lambda-musl toolchain --prefix /opt/musl --pins current")]
    Toolchain(Toolchain),
    /// Download everything that a later build needs to run without a network
    #[command(after_help = "Example: cargo lambda-musl fetch --pins current")]
    Fetch(Fetch),
    /// Create a base image for docker-build from Debian packages, for machines that cannot reach a registry
    #[command(after_help = "Example: cargo lambda-musl base-image")]
    BaseImage(BaseImage),
    /// List the programs that each verb needs and this machine lacks, with the commands that install them
    #[command(after_help = "Example: cargo lambda-musl doctor --fix")]
    Doctor {
        /// Offer to run the commands that install the missing programs
        #[arg(long, env, value_parser = FalseyValueParser::new())]
        fix: bool,
        /// With --fix: run the commands without asking
        #[arg(long, env, value_parser = FalseyValueParser::new())]
        yes: bool,
    },
    /// Write a zip with the entry point and a compiled binary
    #[command(after_help = "Example: cargo lambda-musl package target/release/greeting greeting.zip")]
    Package {
        /// The compiled function
        binary: PathBuf,
        /// The zip to write
        #[arg(default_value = "function.zip")]
        zip: PathBuf,
    },
    /// Show where two files, or the files in two directories, differ
    #[command(after_help = "Example: cargo lambda-musl difference dist other/dist")]
    Difference {
        /// A file or a directory
        first: PathBuf,
        /// The file or directory to compare it with
        second: PathBuf,
    },
    /// Print a completion script for a shell
    #[command(after_help = "Example: cargo lambda-musl completions bash >>~/.bashrc")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Download everything that `build` needs
    #[command(hide = true)]
    Prepare(Source),
    /// Install pinned Python wheels into the cache and print their directory
    #[command(hide = true)]
    Wheel { name: String },
}

/// The package and its functions.
#[derive(Args, Clone, Default)]
pub struct Selection {
    /// The directory of the package [default: the current directory]
    #[arg(long = "crate", env = "CRATE", value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub krate: PathBuf,
    /// The binary target [default: default-run, or the only target, or the one with the package's name]
    #[arg(long, env, value_name = "NAME")]
    pub bin: Option<String>,
    /// Features of the package, separated by commas
    #[arg(long, env, value_name = "LIST", value_delimiter = ',')]
    pub features: Vec<String>,
    /// Leave out the package's default features
    #[arg(long, env, value_parser = FalseyValueParser::new())]
    pub no_default_features: bool,
    /// Select every binary target of the package; `build` writes each into its own directory under --out
    #[arg(long, env, value_parser = FalseyValueParser::new(), conflicts_with = "bin")]
    pub bins: bool,
}

/// The sources and the form of a build.
#[derive(Args, Clone, Default)]
pub struct Source {
    /// The architecture of the function [default: x86_64]
    #[arg(long, env)]
    pub arch: Option<Arch>,
    #[command(flatten)]
    pub selection: Selection,
    /// Files or directories to add to the zip, under their paths relative to the package's directory
    #[arg(long, env, value_name = "PATH", value_delimiter = ',')]
    pub include: Vec<PathBuf>,
    /// The layout of the zip [default: script]
    #[arg(long, env)]
    pub layout: Option<Layout>,
    /// Build a Lambda extension: the zip is a layer with the binary in extensions/
    #[arg(long, env, value_parser = FalseyValueParser::new(), conflicts_with = "layout")]
    pub extension: bool,
    /// Environment variables to pass to cargo and the compilers
    #[arg(long, env, value_name = "NAME", value_delimiter = ',')]
    pub pass_env: Vec<String>,
}

impl Source {
    /// The package in a directory, without any other option.
    pub fn of(krate: &Path) -> Self {
        Self::of_this_machine(Selection { krate: krate.into(), ..Selection::default() })
    }

    /// A selection that cargo compiles for this machine.
    pub fn of_this_machine(selection: Selection) -> Self {
        Self { selection, ..Self::default() }
    }
}

impl Deref for Source {
    type Target = Selection;

    fn deref(&self) -> &Selection {
        &self.selection
    }
}

/// The layout of a function in its zip.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Layout {
    /// A script named bootstrap, which starts the file named binary
    Script,
    /// The binary itself, named bootstrap
    Single,
}

/// The sources of musl and OpenSSL.
#[derive(Args)]
pub struct PinsOptions {
    /// classic (musl 1.2.1, OpenSSL 1.0.1k), current (the newest musl, the newest OpenSSL 3.5), or a pins file [default: classic]
    #[arg(long, env, value_name = "PINS")]
    pub pins: Option<String>,
    /// A directory with archives to use instead of downloading them
    #[arg(long, env, value_name = "DIR")]
    pub sources: Option<PathBuf>,
}

/// The builder image.
#[derive(Args)]
pub struct ImageOptions {
    #[command(flatten)]
    pub pins: PinsOptions,
    /// The base image [default: Amazon Linux 2023, pinned by digest]
    #[arg(long, env, value_name = "IMAGE")]
    pub base: Option<String>,
    /// Build the image from scratch, without the engine's build cache
    #[arg(long, env, value_parser = FalseyValueParser::new())]
    pub fresh: bool,
}

#[derive(Args)]
pub struct Build {
    #[command(flatten)]
    pub source: Source,
    /// The directory for the deployment package and its accompanying files
    #[arg(long, env, value_name = "DIR", default_value = "dist")]
    pub out: PathBuf,
    /// Also write a container image of the function, function.oci.tar, for skopeo, podman and docker
    #[arg(long, env, value_parser = FalseyValueParser::new(), conflicts_with = "extension")]
    pub oci: bool,
}

#[derive(Args)]
pub struct DockerBuild {
    #[command(flatten)]
    pub build: Build,
    #[command(flatten)]
    pub image: ImageOptions,
    /// Build only the builder image, for `cross build`, and print its name
    #[arg(long, env, value_parser = FalseyValueParser::new())]
    pub image_only: bool,
}

/// The deployment package.
#[derive(Args)]
pub struct Zip {
    /// The directory that contains the deployment package
    #[arg(long, env, value_name = "DIR", default_value = "dist")]
    out: PathBuf,
    /// The deployment package [default: function.zip or extension.zip in --out]
    #[arg(long, env, value_name = "FILE")]
    zip: Option<PathBuf>,
}

impl Zip {
    /// The directory of the build's output, unless --zip names a file.
    pub fn built_into(&self) -> Option<&Path> {
        self.zip.is_none().then_some(&self.out)
    }

    pub fn path(&self) -> PathBuf {
        let [function, extension] = Form::FILES.map(|name| self.out.join(name));
        let default = if extension.exists() && !function.exists() { extension } else { function };
        self.zip.clone().unwrap_or(default)
    }

    pub fn is_named(&self) -> bool {
        self.zip.is_some()
    }
}

#[derive(Args)]
pub struct Verify {
    #[command(flatten)]
    pub zip: Zip,
    /// The architecture that the package must be for [default: either]
    #[arg(long, env)]
    pub arch: Option<Arch>,
    /// Also invoke the function, with the event in --event or with {}
    #[arg(long, env, value_parser = FalseyValueParser::new())]
    pub run: bool,
    /// The event for --run: JSON, or @ followed by the path of a file
    #[arg(long, env, value_name = "JSON|@FILE")]
    pub event: Option<OsString>,
}

#[derive(Args)]
pub struct Invoke {
    /// Send the event to the server that `dev` runs for this project
    #[arg(long, env, value_parser = FalseyValueParser::new(), conflicts_with_all = ["image", "arch", "remote"])]
    pub dev: bool,
    /// With --dev: the function to invoke, if there are several
    #[arg(long, env, value_name = "NAME")]
    pub bin: Option<String>,
    #[command(flatten)]
    pub zip: Zip,
    /// The event: JSON, or @ followed by the path of a file (required without --example)
    #[arg(long, env, value_name = "JSON|@FILE")]
    pub event: Option<OsString>,
    /// Send an example event of a service; without a name, list the examples
    #[arg(long, env, value_name = "NAME", num_args = 0..=1, default_missing_value = "", conflicts_with = "event")]
    pub example: Option<String>,
    /// The directory of the package, which is built if its zip is missing or older than its sources [default: the current directory]
    #[arg(long = "crate", env = "CRATE", value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub krate: PathBuf,
    /// Run the function in this container image, such as public.ecr.aws/lambda/provided:al2023, instead of on this machine
    #[arg(long, env, value_name = "IMAGE")]
    pub image: Option<String>,
    /// The architecture of the image in --image [default: x86_64]
    #[arg(long, env)]
    pub arch: Option<Arch>,
    /// Send the event to the function with this name in AWS instead
    #[arg(long, env, value_name = "NAME", conflicts_with = "image")]
    pub remote: Option<String>,
    /// With --remote: a version or an alias
    #[arg(long, env, value_name = "VERSION|ALIAS", requires = "remote")]
    pub qualifier: Option<String>,
}

#[derive(Args)]
pub struct Deploy {
    /// The name of the function or, for an extension, of its layer
    pub name: String,
    #[command(flatten)]
    pub zip: Zip,
    /// The directory of the package, whose Cargo.toml can contain defaults [default: the current directory]
    #[arg(long = "crate", env = "CRATE", value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub krate: PathBuf,
    /// The name or ARN of the function's execution role [default: lambda-musl-NAME, created if it does not exist]
    #[arg(long, env)]
    pub role: Option<String>,
    /// Memory in MB, 128 to 32768
    #[arg(long, env, value_name = "MB")]
    pub memory: Option<u32>,
    /// Timeout of an invocation in seconds, 1 to 900
    #[arg(long, env, value_name = "SECONDS")]
    pub timeout: Option<u32>,
    /// An environment variable of the function; the ENV_VAR variable can contain several, one per line
    #[arg(long, env, value_name = "NAME=VALUE", value_delimiter = '\n', hide_env_values = true)]
    pub env_var: Vec<String>,
    /// A file of environment variables, in the format of the .env file that `dev` reads
    #[arg(long, env, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// ARNs of layer versions, separated by commas, or `none` to remove all layers
    #[arg(long, env, value_name = "LIST", value_delimiter = ',')]
    pub layers: Vec<String>,
    /// Who can call the function URL
    #[arg(long, env)]
    pub url: Option<Url>,
    /// Publish a version, and point this alias to it; the function URL then belongs to the alias
    #[arg(long, env)]
    pub alias: Option<String>,
    /// Tags, separated by commas
    #[arg(long, env, value_name = "KEY=VALUE", value_delimiter = ',')]
    pub tags: Vec<String>,
    /// The S3 bucket for the upload of a zip of more than 50 MB
    #[arg(long, env, value_name = "BUCKET")]
    pub s3_bucket: Option<String>,
    /// Print the commands that would run, but run only those that change nothing
    #[arg(long, env, value_parser = FalseyValueParser::new())]
    pub dry_run: bool,
}

#[derive(Args)]
pub struct Status {
    /// The name of the function
    pub name: String,
    #[command(flatten)]
    pub source: Source,
    /// The deployment package to compare, instead of building one
    #[arg(long, env, value_name = "FILE")]
    pub zip: Option<PathBuf>,
    /// A version or an alias [default: $LATEST]
    #[arg(long, env, value_name = "VERSION|ALIAS", visible_alias = "alias")]
    pub qualifier: Option<String>,
}

/// The kind of function. Without an option, it handles JSON events.
#[derive(Args)]
pub struct Purpose {
    /// Handle HTTP requests; without FORM, in a closure
    #[arg(long, env, value_name = "FORM", num_args = 0..=1, require_equals = true, default_missing_value = "closure")]
    #[arg(conflicts_with_all = ["event", "stream"])]
    pub http: Option<Http>,
    /// Handle the events of a service
    #[arg(long, env, value_name = "SERVICE", conflicts_with = "stream")]
    pub event: Option<Service>,
    /// Handle HTTP requests, and stream the responses
    #[arg(long, env, value_parser = FalseyValueParser::new())]
    pub stream: bool,
    /// The architecture of the function [default: x86_64]
    #[arg(long, env)]
    pub arch: Option<Arch>,
    /// The location of the runtime: a clone, or the URL of a repository with the tag of this version [default: the clone in
    /// which this program was compiled, or its repository]
    #[arg(long, env, value_name = "DIR|URL")]
    pub runtime: Option<String>,
}

/// The form of an HTTP handler.
#[derive(Clone, Copy, ValueEnum)]
pub enum Http {
    /// A closure that takes a request
    Closure,
    /// An axum router
    Axum,
}

/// A service whose events a function handles.
#[derive(Clone, Copy, ValueEnum)]
pub enum Service {
    Sqs,
    S3,
    Eventbridge,
    Sns,
    Dynamodb,
    /// An EventBridge schedule
    Cron,
}

#[derive(Args)]
pub struct New {
    /// The name of the package and of the function
    pub name: String,
    /// The directory to create [default: NAME]
    #[arg(long, env)]
    pub dir: Option<PathBuf>,
    #[command(flatten)]
    pub purpose: Purpose,
}

#[derive(Args)]
pub struct Init {
    /// The directory of the package [default: the current directory]
    #[arg(long = "crate", env = "CRATE", value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub krate: PathBuf,
    #[command(flatten)]
    pub purpose: Purpose,
}

/// The output format of `dev`.
#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    /// Text for people
    Text,
    /// One JSON object per line
    Json,
}

#[derive(Args)]
pub struct Dev {
    #[command(flatten)]
    pub selection: Selection,
    /// The port of the server [default: 9000, or the next free port]
    #[arg(long, env)]
    pub port: Option<u16>,
    /// Timeout of an invocation in seconds, 0 for no limit [default: the deploy timeout in Cargo.toml, or 3]
    #[arg(long, env, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// A file of environment variables for the function [default: .env in the package's directory, if it exists]
    #[arg(long, env, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Event files to send whenever they are saved, in addition to events/*.json; NAME=FILE if there are several functions
    #[arg(long, env, value_name = "FILE", value_delimiter = ',')]
    pub watch_event: Vec<String>,
    /// The output format [default: text on a terminal, json elsewhere]
    #[arg(long, env)]
    pub format: Option<Format>,
}

/// A way to build.
#[derive(Clone, Copy, ValueEnum)]
pub enum How {
    Build,
    DockerBuild,
}

#[derive(Args)]
pub struct Reproduce {
    #[command(flatten)]
    pub of: Fetch,
    /// The verb that builds
    #[arg(long, env, default_value = "build")]
    pub how: How,
}

#[derive(Args)]
pub struct Toolchain {
    #[command(flatten)]
    pub pins: PinsOptions,
    /// The directory to create, which must not exist (required)
    #[arg(long, env, value_name = "DIR")]
    pub prefix: Option<PathBuf>,
    /// The architecture, which must be this machine's [default: this machine's]
    #[arg(long, env)]
    pub arch: Option<Arch>,
}

/// The options that `build` and `docker-build` share with `fetch` and `reproduce`.
#[derive(Args)]
pub struct Fetch {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub image: ImageOptions,
}

#[derive(Args)]
pub struct BaseImage {
    /// The architecture of the image [default: x86_64]
    #[arg(long, env)]
    pub arch: Option<Arch>,
    /// The Debian release
    #[arg(long, env, default_value = "bookworm")]
    pub suite: String,
    /// The Debian mirror [default: debootstrap's]
    #[arg(long, env, value_name = "URL")]
    pub mirror: Option<String>,
}

/// Parses the options. On an error, prints the problem and the available options, and exits.
pub fn parse(mut arguments: Vec<OsString>) -> Options {
    // `cargo lambda-musl VERB` calls `cargo-lambda-musl lambda-musl VERB`.
    if arguments.get(1).is_some_and(|name| name == "lambda-musl") {
        arguments.remove(1);
    }
    let matches = matches(&arguments, &[]);
    if let Some(invoke) = matches.as_ref().ok().and_then(|matches| matches.subcommand_matches("invoke")) {
        say_where_the_event_goes(invoke);
    }
    let options = matches.and_then(|matches| Options::from_arg_matches(&matches));
    options.unwrap_or_else(|error| {
        let _ = error.print();
        for name in causes(&error, &arguments) {
            let option = name.to_lowercase().replace('_', "-");
            eprintln!("\nThe environment variable {name} sets --{option}; unset it if you do not need this option.");
        }
        if let Some(known) = known_options(&error) {
            eprintln!("\nThe options are: {known}");
        }
        std::process::exit(error.exit_code())
    })
}

/// Whether a variable of this name sets an option of any verb.
pub fn is_variable(name: &str) -> bool {
    is_variable_of(name, |_| true)
}

/// Whether a variable of this name sets an option of the verb.
pub fn is_variable_of_verb(verb: &str, name: &str) -> bool {
    is_variable_of(name, |other| other == verb)
}

fn is_variable_of(name: &str, is_meant: impl Fn(&str) -> bool) -> bool {
    let command = Options::command();
    let verbs = command.get_subcommands().filter(|verb| is_meant(verb.get_name()));
    let mut arguments = command.get_arguments().chain(verbs.flat_map(Command::get_arguments));
    arguments.any(|argument| argument.get_env().is_some_and(|variable| variable == name))
}

/// Reads the arguments and the variables, except for empty variables and those in `ignored`.
fn matches(arguments: &[OsString], ignored: &[&str]) -> Result<ArgMatches, clap::Error> {
    let is_ignored = |name: &OsStr| {
        ignored.iter().any(|other| name == *other) || env::var_os(name).is_some_and(|value| value.is_empty())
    };
    without_variables(Options::command(), &is_ignored).try_get_matches_from(arguments)
}

pub fn without_variables(command: Command, is_ignored: &dyn Fn(&OsStr) -> bool) -> Command {
    let arguments = command.mut_args(|argument| match argument.get_env() {
        Some(name) if is_ignored(name) => argument.env(None::<&str>),
        _ => argument,
    });
    arguments.mut_subcommands(|verb| without_variables(verb, is_ignored))
}

/// The variables without which there would be no error, or a different one.
fn causes(error: &clap::Error, arguments: &[OsString]) -> Vec<String> {
    let about = |error: &clap::Error| (error.kind(), error.get(ContextKind::InvalidArg).map(ToString::to_string));
    let set = env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(|name| is_variable(name));
    set.filter(|name| matches(arguments, &[name]).map_or_else(|other| about(&other) != about(error), |_| true))
        .collect()
}

/// Prints a note if a variable, which may have been set by accident, sends the event of `invoke` elsewhere.
fn say_where_the_event_goes(invoke: &ArgMatches) {
    let is_variable = |option: &str| invoke.value_source(option) == Some(ValueSource::EnvVariable);
    if is_variable("dev") && invoke.get_flag("dev") {
        eprintln!("note: the environment variable DEV is set, so the event goes to the server of `dev`");
    }
    if let Some(name) = invoke.get_one::<String>("remote").filter(|_| is_variable("remote")) {
        eprintln!("note: the environment variable REMOTE is set, so the event goes to the function {name} in AWS");
    }
}

/// The options of the verb that was given an unknown option.
fn known_options(error: &clap::Error) -> Option<String> {
    let ContextValue::StyledStr(usage) = error.get(ContextKind::Usage)? else { return None };
    let usage = usage.to_string();
    let command = Options::command();
    let is_meant = |verb: &&Command| usage.split_whitespace().any(|word| word == verb.get_name());
    let verb = command.get_subcommands().find(is_meant).filter(|_| error.kind() == ErrorKind::UnknownArgument)?;
    let names = verb.get_opts().filter_map(|option| Some(format!("--{}", option.get_long()?)));
    Some(names.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_are_consistent_and_every_verb_has_an_example() {
        Options::command().debug_assert();
        for verb in Options::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let example = verb.get_after_help().unwrap().to_string();
            assert!(example.contains(&format!("cargo lambda-musl {}", verb.get_name())), "{example}");
        }
    }

    #[test]
    fn every_option_can_be_set_in_the_variable_of_its_name_in_capitals() {
        for option in Options::command().get_subcommands().flat_map(|verb| verb.get_opts()) {
            let variable = option.get_long().unwrap().to_uppercase().replace('-', "_");
            assert_eq!(option.get_env().unwrap().to_str(), Some(&*variable));
        }
    }
}
