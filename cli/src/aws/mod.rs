//! Calls AWS through the `aws` client, which uses the user's own credentials, region and endpoint.

mod commit;
pub mod deploy;
mod plan;
pub mod remote;
mod settings;
pub mod status;

pub use settings::Url;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fmt, fs, thread};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::command::{collect, collect_given, collect_while, shown};
use crate::{doctor, environment::path_in, interrupt};

/// The maximum number of characters to show of an unexpected response, which can be an HTML page, and of an error.
const SHOWN: usize = 200;
const LONGEST: usize = 2000;

/// How long [`Client::last_call`] may take, including the start of the client.
const LAST_CALL: Duration = Duration::from_secs(15);

/// The minimum length of an environment variable's value that is hidden in errors. A shorter value could also be part of other
/// words.
const SHORTEST: usize = 4;

/// The `aws` client.
pub struct Client {
    /// The values of environment variables, which errors must not show.
    secrets: BTreeSet<String>,
}

/// A call of the client.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub words: Vec<String>,
    /// The standard input, for secrets: all users of this machine can see the command line.
    pub input: Option<String>,
}

impl Call {
    pub fn new<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self { words: words.into_iter().map(Into::into).collect(), input: None }
    }

    /// Adds an option and its value.
    pub fn with(mut self, option: &str, value: impl Into<String>) -> Self {
        self.words.extend([option.to_owned(), value.into()]);
        self
    }

    /// The command as a user would type it.
    pub fn shown(&self) -> String {
        shown(Command::new("aws").args(&self.words))
    }

    /// The beginning of the command, which names the operation.
    fn name(&self) -> String {
        format!("aws {}", self.words.iter().take(2).cloned().collect::<Vec<_>>().join(" "))
    }

    /// The members that every response of the operation has; empty if the operation has no response.
    fn members(&self) -> &'static [&'static str] {
        match self.words.get(1).map_or("", String::as_str) {
            "add-permission" => &["Statement"],
            "create-alias" | "get-alias" | "update-alias" => &["AliasArn"],
            "create-function"
            | "get-function-configuration"
            | "update-function-code"
            | "update-function-configuration" => &["FunctionArn", "CodeSha256"],
            "create-function-url-config" | "get-function-url-config" | "update-function-url-config" => &["FunctionUrl"],
            "create-role" | "get-role" => &["Role.Arn"],
            "get-caller-identity" => &["Account", "Arn"],
            "get-function" => &["Configuration.FunctionArn", "Configuration.CodeSha256"],
            "get-layer-version" | "publish-layer-version" => &["LayerVersionArn", "Content.CodeSha256"],
            "get-policy" => &["Policy"],
            "invoke" => &["StatusCode"],
            "list-layer-versions" => &["LayerVersions"],
            "publish-version" => &["Version", "CodeSha256"],
            _ => &[],
        }
    }

    /// The IAM permission that the call needs: `lambda:GetFunction` for `lambda get-function`.
    fn permission(&self) -> String {
        let [service, operation] = [0, 1].map(|index| self.words.get(index).map_or("", String::as_str));
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        let operation: String = operation.split('-').filter(|word| !word.is_empty()).map(capital).collect();
        format!("{service}:{operation}")
    }
}

/// The `lambda OPERATION --function-name NAME` call, with `--qualifier` if a version or an alias is given.
pub fn lambda(operation: &str, name: &str, qualifier: Option<&str>) -> Call {
    let call = Call::new(["lambda", operation]).with("--function-name", name);
    match qualifier {
        Some(qualifier) => call.with("--qualifier", qualifier),
        None => call,
    }
}

/// An error of the client.
#[derive(Debug)]
pub struct Refusal {
    /// AWS's error code; empty if the error is not from AWS.
    pub code: String,
    text: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

/// AWS's error code, or an empty string.
pub fn code(error: &Error) -> &str {
    error.downcast_ref::<Refusal>().map_or("", |refusal| &refusal.code)
}

/// Turns the error about a missing resource into `None`.
pub fn if_there(result: Result<Value>) -> Result<Option<Value>> {
    match result {
        Err(error) if ["ResourceNotFoundException", "NoSuchEntity"].contains(&code(&error)) => Ok(None),
        other => other.map(Some),
    }
}

impl Client {
    pub fn find() -> Result<Self> {
        doctor::require(&[doctor::AWS])?;
        Ok(Self { secrets: BTreeSet::new() })
    }

    /// Hides values in errors, both unchanged and escaped as in JSON.
    pub fn hide<'a>(&mut self, values: impl IntoIterator<Item = &'a String>) {
        for value in values.into_iter().filter(|value| value.len() >= SHORTEST) {
            let json = Value::from(value.as_str()).to_string();
            self.secrets.extend([value.clone(), json.trim_matches('"').to_owned()]);
        }
    }

    /// Runs a call, and returns its response, or null if there is none.
    pub fn call(&self, call: &Call) -> Result<Value> {
        self.call_with(call, &[])
    }

    /// Like [`Self::call`], with environment variables for the client.
    pub fn call_with(&self, call: &Call, variables: &[(&str, &str)]) -> Result<Value> {
        let mut command = command(call);
        command.envs(variables.iter().copied());
        let output = match &call.input {
            None => collect(&mut command),
            Some(input) => {
                let (reader, mut writer) = io::pipe().context("creating a pipe")?;
                let input = input.clone();
                // The input is written on a separate thread, because a write to a full pipe blocks until the client
                // reads from it.
                thread::spawn(move || writer.write_all(input.as_bytes()));
                collect_given(&mut command, reader)
            }
        };
        let output = output.map_err(|error| match advice(&error.to_string(), "", call) {
            Some(advice) => anyhow!("{}: {error}\n{advice}", call.name()),
            None => error,
        })?;
        self.read(call, &output)
    }

    /// Makes a last call within seconds, even if this program has already been told to stop.
    pub fn last_call(&self, call: &Call) -> Result<Value> {
        let mut command = command(call);
        command.args(["--cli-connect-timeout", "5", "--cli-read-timeout", "5"]).env("AWS_MAX_ATTEMPTS", "1");
        let (start, was_stopped) = (Instant::now(), interrupt::signal().is_some());
        let output = collect_while(&mut command, Stdio::null(), || {
            ensure!(start.elapsed() < LAST_CALL, "{} took longer than {} s", call.name(), LAST_CALL.as_secs());
            if was_stopped { Ok(()) } else { interrupt::check() }
        })?;
        self.read(call, &output)
    }

    fn read(&self, call: &Call, output: &Output) -> Result<Value> {
        let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        let name = call.name();
        if !output.status.success() {
            let said = self.shown(stderr.trim(), LONGEST);
            let code = code_in(&said).to_owned();
            let advice = advice(&said, &code, call).map(|advice| format!("\n{advice}")).unwrap_or_default();
            let said = if said.is_empty() { format!("failed with {}", output.status) } else { said };
            return Err(Refusal { code, text: format!("{name}: {said}{advice}") }.into());
        }
        let members = call.members();
        if members.is_empty() {
            return Ok(Value::Null);
        }
        let mut response: Option<Value> = serde_json::from_str(&stdout).ok();
        let has = |response: &Value, member: &str| {
            let value = response.pointer(&format!("/{}", member.replace('.', "/"))).unwrap_or(&Value::Null);
            match member {
                "LayerVersions" => value.is_array(),
                "StatusCode" => value.is_u64(),
                _ => value.as_str().is_some_and(|text| !text.is_empty()),
            }
        };
        if let Some(response) = response.take_if(|response| members.iter().all(|member| has(response, member))) {
            return Ok(response);
        }
        let shown = match response {
            Some(mut response) => {
                // The values of variables may be secrets.
                for pointer in ["/Configuration/Environment", "/Environment"] {
                    response.pointer_mut(pointer).into_iter().for_each(|variables| *variables = "***".into());
                }
                response.to_string()
            }
            None => stdout.into_owned(),
        };
        // The client itself treats a response that is not JSON as an empty one.
        let shown = match shown.trim() {
            "" => "empty".to_owned(),
            shown => format!("\n{}", self.shown(shown, SHOWN)),
        };
        bail!(
            "{name}: expected JSON with {}, but the response is {shown}\nIs there a proxy between this machine and AWS?",
            members.join(" and ")
        )
    }

    /// The beginning of text from the client, without secrets and without characters that control a terminal.
    fn shown(&self, text: &str, longest: usize) -> String {
        // Replace the longest secrets first, because one secret may be part of another.
        let mut secrets: Vec<&String> = self.secrets.iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let text = secrets.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"));
        let is_shown = |c: &char| !c.is_control() || ['\n', '\t'].contains(c);
        text.chars().filter(is_shown).take(longest).collect()
    }
}

/// Creates a command that runs the client. It inherits the user's complete environment, for the credentials and the endpoint.
fn command(call: &Call) -> Command {
    let mut command = Command::new("aws");
    command.args(&call.words);
    command.envs([("AWS_PAGER", ""), ("AWS_CLI_AUTO_PROMPT", "off"), ("AWS_DEFAULT_OUTPUT", "json")]);
    // Version 1 of the client reads only AWS_DEFAULT_REGION.
    if let (Some(region), None) = (path_in("AWS_REGION"), path_in("AWS_DEFAULT_REGION")) {
        command.env("AWS_DEFAULT_REGION", region);
    }
    if !has_retries_of_its_own() {
        command.envs([("AWS_RETRY_MODE", "standard"), ("AWS_MAX_ATTEMPTS", "5")]);
    }
    command
}

/// Whether the user has configured retries.
fn has_retries_of_its_own() -> bool {
    let file = path_in("AWS_CONFIG_FILE").or_else(|| Some(path_in("HOME")?.join(".aws/config")));
    let file = file.and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
    let names = ["retry_mode", "max_attempts"];
    names.iter().any(|name| file.contains(name) || env::var_os(format!("AWS_{}", name.to_uppercase())).is_some())
}

/// The code in a message like `An error occurred (CODE) when calling …`.
fn code_in(said: &str) -> &str {
    said.split_once("An error occurred (").and_then(|(_, rest)| rest.split_once(')')).map_or("", |(code, _)| code)
}

/// Advice for the user on an error.
fn advice(said: &str, code: &str, call: &Call) -> Option<String> {
    let says = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    let is = |codes: &[&str]| codes.iter().any(|known| code.starts_with(known));
    let advice = match () {
        () if is(&["ExpiredToken", "RequestExpired"])
            || says(&["Token has expired", "token has expired", "session has expired"]) =>
        {
            "The credentials have expired: renew them, for example with `aws sso login`, and try again."
        }
        () if says(&["Unable to locate credentials", "NoCredentials"]) => {
            "There are no credentials: set them up with `aws configure` or `aws sso login`, or select a profile with AWS_PROFILE."
        }
        () if is(&["UnrecognizedClient", "InvalidClientTokenId", "InvalidSignature", "SignatureDoesNotMatch"]) => {
            "AWS does not accept these credentials: check them with `aws sts get-caller-identity`, or select a profile with AWS_PROFILE."
        }
        () if says(&["must specify a region"]) => {
            "No region is configured: set AWS_REGION, for example to eu-central-1, or run `aws configure set region eu-central-1`."
        }
        () if is(&["AccessDenied", "UnauthorizedOperation"]) => {
            let named =
                said.split_once("not authorized to perform: ").and_then(|(_, rest)| rest.split_whitespace().next());
            let permission = named.map_or_else(|| call.permission(), Into::into);
            return Some(format!(
                "These credentials lack the permission {permission}; docs/deploy.md lists the required permissions."
            ));
        }
        () if is(&["Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown"]) || says(&["Rate exceeded"]) => {
            "AWS is throttling requests: try again later, or raise the number of attempts with AWS_MAX_ATTEMPTS."
        }
        () if says(&[
            "Could not connect", "Connection was closed", "onnect timeout", "Read timeout", "Connection reset",
            "IncompleteRead", "Connection broken",
        ]) =>
        {
            "The connection to AWS failed: check the network and the region, and try again."
        }
        () if says(&["asks for input on the terminal"]) => {
            "Sign in first, for example with `aws sts get-caller-identity`, and try again."
        }
        () if says(&["Unknown options", "nvalid choice"]) => {
            "The aws client is too old for this call: `aws --version` prints its version; install a newer one."
        }
        () => return None,
    };
    Some(advice.into())
}

/// Fails if AWS would not accept the name of a function:
/// <https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html>
pub fn check_name(name: &str) -> Result<()> {
    check_word("the name of the function", name, 64)
}

/// Fails if AWS would not accept the name of a version or an alias.
pub fn check_qualifier(qualifier: Option<&str>) -> Result<()> {
    match qualifier {
        None | Some("$LATEST") => Ok(()),
        Some(qualifier) => check_word("--qualifier", qualifier, 128),
    }
}

fn check_word(what: &str, word: &str, longest: usize) -> Result<()> {
    let is_known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    ensure!(
        (1..=longest).contains(&word.len()) && word.chars().all(is_known) && !word.starts_with('-'),
        "{what} is {word:?}; expected up to {longest} letters (a to z, A to Z), digits, - and _, not starting with -"
    );
    Ok(())
}

/// The checksum as AWS writes it: the SHA-256 in base64.
pub fn sha256_base64(bytes: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(bytes))
}

/// A string in a response, or an empty string.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn answer(status: i32, stdout: &str, stderr: &str, secrets: &[&str]) -> Result<Value> {
        let mut client = Client { secrets: BTreeSet::new() };
        client.hide(&secrets.iter().map(|secret| (*secret).to_owned()).collect::<Vec<_>>());
        let output = Output { status: ExitStatus::from_raw(status << 8), stdout: stdout.into(), stderr: stderr.into() };
        client.read(&lambda("get-function", "x", None), &output)
    }

    #[test]
    fn an_error_has_the_message_of_the_client_and_advice() {
        let of_aws = |code: &str, said: &str| {
            format!("An error occurred ({code}) when calling the GetFunction operation: {said}")
        };
        for (said, expected) in [
            (
                of_aws("ExpiredTokenException", "The security token included in the request is expired"),
                "`aws sso login`",
            ),
            ("Error when retrieving token from sso: Token has expired and refresh failed".into(), "have expired"),
            (
                "Unable to locate credentials. You can configure credentials by running \"aws configure\".".into(),
                "no credentials",
            ),
            (
                of_aws("UnrecognizedClientException", "The security token is invalid."),
                "does not accept these credentials",
            ),
            ("You must specify a region. You can also …".into(), "AWS_REGION"),
            (of_aws("AccessDeniedException", "no"), "lack the permission lambda:GetFunction;"),
            (
                of_aws("AccessDenied", "User: a is not authorized to perform: iam:PassRole on resource: r"),
                "lack the permission iam:PassRole;",
            ),
            (of_aws("TooManyRequestsException", "Rate exceeded"), "AWS_MAX_ATTEMPTS"),
            ("Could not connect to the endpoint URL: \"http://127.0.0.1:1/\"".into(), "connection to AWS failed"),
            ("Unknown options: --invoked-via-function-url".into(), "too old"),
        ] {
            let error = answer(255, "", &said, &[]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("aws lambda get-function: {said}\n")), "{error}");
            assert!(error.lines().last().unwrap().contains(expected), "{error}");
        }
    }

    #[test]
    fn the_beginning_of_a_response_that_is_not_json_is_shown() {
        let page = format!("<html>{}", "x".repeat(1000));
        let error = answer(0, &page, "", &[]).unwrap_err().to_string();
        assert!(error.contains("expected JSON") && error.contains("<html>") && error.len() < 500, "{error}");
        let error = answer(0, " \n", "", &[]).unwrap_err().to_string();
        assert!(error.contains("the response is empty"), "{error}");
    }

    #[test]
    fn a_response_without_the_members_that_are_used_is_an_error() {
        for response in [r#"{"message":"Forbidden"}"#, "[]", "null", r#"{"Configuration":{"FunctionArn":"a"}}"#] {
            let error = answer(0, response, "", &[]).unwrap_err().to_string();
            let expected = "aws lambda get-function: expected JSON with Configuration.FunctionArn and Configuration.CodeSha256, but";
            assert!(error.starts_with(expected) && error.contains(response), "{error}");
        }
        let response = r#"{"Configuration":{"Environment":{"Variables":{"KEY":"hunter2"}}}}"#;
        let error = answer(0, response, "", &[]).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        answer(0, r#"{"Configuration":{"FunctionArn":"a","CodeSha256":"b"}}"#, "", &[]).unwrap();
    }

    #[test]
    fn an_error_contains_no_characters_that_control_the_terminal() {
        let error = answer(254, "", "a\x1b[2J\u{9b}b\r\n\tc", &[]).unwrap_err().to_string();
        assert_eq!(error, "aws lambda get-function: a[2Jb\n\tc");
        let error = answer(0, "<html>\x1b]0;title\x07", "", &[]).unwrap_err().to_string();
        assert!(!error.contains(['\x1b', '\x07']), "{error}");
    }

    #[test]
    fn no_error_contains_values_of_variables() {
        let said = r#"Value '{KEY=hunter2, hunter22}' at 'environment.variables' failed: {"KEY": "a \"b\""}"#;
        let error = answer(254, "", said, &["hunter2", "hunter22", "a \"b\""]).unwrap_err().to_string();
        assert!(!error.contains("hunter") && !error.contains("***2") && !error.contains("a \\"), "{error}");
    }

    #[test]
    fn a_missing_resource_is_not_an_error() {
        let said = "An error occurred (ResourceNotFoundException) when calling the GetFunction operation: no";
        assert_eq!(if_there(answer(254, "", said, &[])).unwrap(), None);
        assert!(if_there(answer(254, "", &said.replace("ResourceNotFound", "Service"), &[])).is_err());
    }

    #[test]
    fn names_must_match_the_documented_pattern() {
        let longest = "a".repeat(64);
        for name in ["a", "My_function-1", &longest] {
            check_name(name).unwrap();
        }
        let too_long = "a".repeat(65);
        for name in ["", "a b", "a/b", "a.b", "ä", "a:live", "--help", "a\n", &too_long] {
            let error = check_name(name).unwrap_err().to_string();
            assert!(error.contains(&format!("{name:?}; expected up to 64 letters")), "{error}");
        }
        check_qualifier(Some("$LATEST")).unwrap();
        assert!(check_qualifier(Some("$OTHER")).is_err());
    }
}
