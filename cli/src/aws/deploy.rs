//! `deploy`: uploads a verified package, waits for Lambda, and checks that AWS has the same bytes.

use std::path::Path;
use std::{fs, thread, time::Duration};

use anyhow::{Error, Result, ensure};
use serde_json::Value;

use super::plan::{self, Package, Step, VERSION};
use super::settings::{Manifest, Settings};
use super::{Call, Client, check_name, code, lambda, text};
use crate::command::quoted;
use crate::package::Form;
use crate::step::{self, say};
use crate::verify::{Verified, sha256_hex, verify};
use crate::{again, cache::Cache, environment, interrupt, options};

/// The maximum number of attempts if a concurrent deployment interferes, and the pause between them.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// The maximum number of attempts while Lambda cannot assume a new role yet, and the pause between them. The second
/// number is for a role that the user named, which is probably older.
const ROLE_ATTEMPTS: [u32; 2] = [20, 4];
const ROLE_PAUSE: Duration = Duration::from_secs(3);

pub fn run(options: options::Deploy) -> Result<()> {
    check_name(&options.name)?;
    let path = options.zip.path();
    let zip = verify(&path, None, &environment::roots()?)?;
    let manifest = Manifest::of(&options.krate)?;
    let is_own = manifest.name.as_ref().is_some_and(|name| name.escape_default().to_string() == zip.name);
    if !options.zip.is_named() {
        check_current(&path)?;
    }
    let defaults = match is_own {
        true => manifest.defaults,
        false => {
            if manifest.defaults != Settings::default() {
                let (path, name) = (path.display(), &zip.name);
                say(&format!(
                    "note: {path} contains {name}, so the deploy settings of Cargo.toml in {} are ignored",
                    options.krate.display()
                ));
            }
            Settings::default()
        }
    };
    let settings = Settings::of(&options, defaults)?;
    let deployment = Deployment { name: &options.name, package: Package::new(&path, &zip), settings };
    let mut client = Client::find()?;
    for attempt in 1.. {
        let steps = deployment.plan(&mut client)?;
        if options.dry_run {
            steps.iter().for_each(show);
            return Ok(());
        }
        match deployment.carry_out(&client, &steps) {
            Ok(line) => {
                println!("{line}");
                return Ok(());
            }
            Err(stop) if attempt < ATTEMPTS && is_of_another(&stop.error) => {
                say(&format!("note: another deployment of {} is running; trying again", options.name));
                thread::sleep(PAUSE);
            }
            Err(stop) => return Err(deployment.describe(&client, stop)),
        }
    }
    Ok(())
}

/// Whether AWS refused a call because another deployment is changing the function, or has changed it since this program read it.
fn is_of_another(error: &Error) -> bool {
    ["ResourceConflictException", "ConflictException", "EntityAlreadyExists", "ConcurrentModification"]
        .contains(&code(error))
}

/// Whether AWS refused a call because a new role has not propagated yet.
fn is_of_new_role(error: &Error) -> bool {
    let texts = [
        "cannot be assumed by Lambda",
        "execution role does not have permissions",
        "KMS key is invalid for CreateGrant",
    ];
    let said = error.to_string();
    code(error) == "InvalidParameterValueException" && texts.iter().any(|text| said.contains(text))
}

/// Fails if this program built the zip from sources that have changed since then.
fn check_current(zip: &Path) -> Result<()> {
    // Without a cache, there was no build.
    let Ok(cache) = Cache::open() else { return Ok(()) };
    let name = zip.display();
    ensure!(
        !again::is_outdated(zip, &cache)?,
        "{name}: its sources are newer; rebuild it with `cargo lambda-musl build` (in the clone: `make`), or \
         deploy it unchanged with --zip {name}"
    );
    Ok(())
}

/// Prints the commands of a step, without the client's input, which may contain secrets.
fn show(step: &Step) {
    for call in &step.calls {
        if let Some(input) = &call.input {
            let input: Value = serde_json::from_str(input).unwrap_or_default();
            let names: Vec<&String> = input["Variables"].as_object().into_iter().flat_map(|map| map.keys()).collect();
            let names = names.into_iter().map(String::as_str).collect::<Vec<_>>().join(" ");
            say(&format!("note: {} reads the environment variables {names} from its standard input", call.words[1]));
        }
        println!("{}", call.shown());
    }
}

struct Deployment<'a> {
    name: &'a str,
    package: Package<'a>,
    settings: Settings,
}

/// The step at which a deployment stopped, and the error.
struct Stop {
    step: String,
    /// The last checksum that AWS returned.
    checksum: Option<String>,
    error: Error,
}

impl Deployment<'_> {
    fn zip(&self) -> &Verified {
        self.package.zip
    }

    fn plan(&self, client: &mut Client) -> Result<Vec<Step>> {
        let name = self.name;
        let step = step::Step::begin(format!("reading the state of {name}"));
        let steps = match self.zip().form {
            Form::Extension => plan::of_layer(client, name, &self.package, &self.settings),
            Form::Script | Form::Single => plan::of_function(client, name, &self.package, &self.settings),
        }?;
        step.done();
        Ok(steps)
    }

    /// Carries out the steps, and returns a line that describes the result.
    fn carry_out(&self, client: &Client, steps: &[Step]) -> std::result::Result<String, Stop> {
        let mut version = String::new();
        let mut url = String::new();
        let mut checksum = None;
        let mut last = Value::Null;
        for step in steps {
            let shown = step::Step::begin(&step.text);
            for call in &step.calls {
                let mut call = call.clone();
                call.words.iter_mut().filter(|word| *word == VERSION).for_each(|word| word.clone_from(&version));
                let answer = match step.sends_zip {
                    true => self.unchanged().and_then(|()| self.call(client, &call)),
                    false => self.call(client, &call),
                };
                last = answer.map_err(|error| Stop { step: step.text.clone(), checksum: checksum.clone(), error })?;
                let said = |key| Some(text(&last, key)).filter(|said| !said.is_empty()).map(str::to_owned);
                version = said("/Version").unwrap_or(version);
                url = said("/FunctionUrl").unwrap_or(url);
                checksum = said("/CodeSha256").or_else(|| said("/Content/CodeSha256")).or(checksum);
            }
            shown.done();
        }
        let of_aws = checksum.clone().unwrap_or_default();
        let stop = |error| Stop { step: "comparing the checksums".into(), checksum: checksum.clone(), error };
        if of_aws != self.package.checksum {
            return Err(stop(Error::msg(format!(
                "AWS has the CodeSha256 {of_aws}, but the verified zip has {}: another deployment has replaced this one, or the zip has \
                 changed",
                self.package.checksum
            ))));
        }
        let arn = ["/FunctionArn", "/LayerVersionArn"].map(|key| text(&last, key)).concat();
        let alias =
            self.settings.alias.as_ref().map(|alias| format!(", alias {alias}: version {version}")).unwrap_or_default();
        let url = if url.is_empty() { url } else { format!(", {url}") };
        Ok(format!("{arn}{alias}{url}, CodeSha256 {of_aws}: the same as {}", self.package.path.display()))
    }

    /// Makes a call, and repeats it for a while if Lambda cannot use the function's role yet.
    fn call(&self, client: &Client, call: &Call) -> Result<Value> {
        for _ in 1..ROLE_ATTEMPTS[usize::from(self.settings.role.is_some())] {
            match client.call(call) {
                Err(error) if is_of_new_role(&error) => {
                    thread::sleep(ROLE_PAUSE);
                    interrupt::check()?;
                }
                other => return other,
            }
        }
        client.call(call)
    }

    /// Fails if the zip has changed since it was verified.
    fn unchanged(&self) -> Result<()> {
        let path = self.package.path;
        let is_same = fs::read(path).is_ok_and(|bytes| sha256_hex(&bytes) == sha256_hex(&self.zip().bytes));
        ensure!(is_same, "{} has changed since it was verified", path.display());
        Ok(())
    }

    /// Describes why the deployment stopped, the state in AWS, and what to do. After a signal, also prints the
    /// description, because errors are not printed then.
    fn describe(&self, client: &Client, stop: Stop) -> Error {
        let name = self.name;
        let has = match self.zip().form {
            Form::Extension => None,
            _ => Some(client.last_call(&lambda("get-function-configuration", name, None))),
        };
        let compared = |checksum: &str| match checksum == self.package.checksum {
            true => format!("the CodeSha256 {checksum}, the same as the zip"),
            false => format!("the CodeSha256 {checksum}, unlike the zip, which has {}", self.package.checksum),
        };
        let state = |answer: &Value| {
            let reasons =
                ["StateReason", "LastUpdateStatusReason"].map(|key| text(answer, &format!("/{key}")).to_owned());
            let reasons = reasons.into_iter().filter(|reason| !reason.is_empty()).map(|reason| format!("; {reason}"));
            format!("state {}{}", text(answer, "/State"), reasons.collect::<String>())
        };
        let now = match (has, &stop.checksum) {
            (Some(Ok(answer)), _) => {
                format!("In AWS, {name} now has {}; {}.", compared(text(&answer, "/CodeSha256")), state(&answer))
            }
            (Some(Err(error)), _) if code(&error) == "ResourceNotFoundException" => {
                format!("AWS has no function {name}.")
            }
            (_, Some(checksum)) => format!("In AWS's last response, {name} had {}.", compared(checksum)),
            (Some(Err(_)), None) => format!("The state of {name} in AWS is unknown."),
            (None, None) => "AWS has no new version of the layer.".to_owned(),
        };
        let signal = interrupt::signal().is_some();
        let why = if signal { String::new() } else { format!(": {:#}", stop.error) };
        let line = format!(
            "the deployment of {name} stopped at {}{why}\n{now}\nOnce the cause is removed, run the same command again to complete the deployment.",
            quoted(&stop.step)
        );
        if signal {
            say(&line);
        }
        Error::msg(line)
    }
}
