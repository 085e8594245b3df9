//! Plans a deployment from the package, the settings and the current state in AWS, which is read first. The plan is
//! therefore complete, and can be printed, before anything changes. Steps that are already done, perhaps by another
//! deployment, are not repeated.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use super::settings::{Settings, Url};
use super::{Call, Client, if_there, lambda, sha256_base64, text};
use crate::verify::{Verified, archive, sha256_hex};

/// The runtime and the handler that a package needs.
pub const RUNTIME: &str = "provided.al2023";
pub const HANDLER: &str = "bootstrap";

/// A placeholder for the version number that AWS assigns.
pub const VERSION: &str = "<version>";

/// The policy statements that make a function URL public. Since October 2025, AWS requires both.
const STATEMENTS: [(&str, &str, [&str; 2]); 2] = [
    ("lambda-musl-url", "lambda:InvokeFunctionUrl", ["--function-url-auth-type", "NONE"]),
    ("lambda-musl-invoke", "lambda:InvokeFunction", ["--invoked-via-function-url", ""]),
];

/// A package and its path.
pub struct Package<'a> {
    pub path: &'a Path,
    pub zip: &'a Verified,
    /// The zip's checksum as AWS writes it.
    pub checksum: String,
}

impl<'a> Package<'a> {
    pub fn new(path: &'a Path, zip: &'a Verified) -> Self {
        Self { path, zip, checksum: sha256_base64(&zip.bytes) }
    }

    fn is_large(&self) -> bool {
        self.zip.bytes.len() as u64 > archive::ZIPPED
    }

    /// Fails if the zip is too large for a request and no bucket is named.
    pub fn check_size(&self, settings: &Settings) -> Result<()> {
        ensure!(
            !self.is_large() || settings.s3_bucket.is_some(),
            "{} is {} bytes long; Lambda accepts a zip over {} bytes only from an S3 bucket: name one with --s3-bucket",
            self.path.display(),
            self.zip.bytes.len(),
            archive::ZIPPED
        );
        Ok(())
    }
}

/// Calls that belong together.
#[derive(Debug, PartialEq)]
pub struct Step {
    pub text: String,
    pub calls: Vec<Call>,
    /// Whether the step uploads the zip.
    pub sends_zip: bool,
}

/// The state that the planner reads, and the steps that it has planned.
struct Planner<'a> {
    client: &'a Client,
    name: &'a str,
    package: &'a Package<'a>,
    settings: &'a Settings,
    steps: Vec<Step>,
}

/// The steps that deploy this package with these settings.
pub fn of_function(client: &mut Client, name: &str, package: &Package, settings: &Settings) -> Result<Vec<Step>> {
    package.check_size(settings)?;
    client.hide(settings.env_var.values());
    let function = if_there(client.call(&lambda("get-function", name, None)))?;
    let variables = function.as_ref().and_then(|function| function.pointer("/Configuration/Environment/Variables"));
    let values = variables.and_then(Value::as_object).into_iter().flat_map(|variables| variables.values());
    let values: Vec<String> = values.filter_map(|value| value.as_str().map(Into::into)).collect();
    client.hide(&values);
    let mut planner = Planner { client, name, package, settings, steps: Vec::new() };
    match &function {
        None => planner.create()?,
        Some(function) => planner.update(function)?,
    }
    planner.publish(function.is_some())?;
    planner.url(function.is_some())?;
    if let Some(function) = &function {
        planner.tags(function);
    }
    let configuration = lambda("get-function-configuration", name, settings.alias.as_deref());
    planner.step("reading the result", [configuration]);
    Ok(planner.steps)
}

/// The steps that deploy this package as the newest version of a layer.
pub fn of_layer(client: &Client, name: &str, package: &Package, settings: &Settings) -> Result<Vec<Step>> {
    package.check_size(settings)?;
    let only_bucket = Settings { s3_bucket: settings.s3_bucket.clone(), ..Settings::default() };
    ensure!(
        *settings == only_bucket,
        "{} is an extension, which is deployed as a layer and has no role, alias, URL or other function \
         settings; omit them",
        package.path.display()
    );
    let mut planner = Planner { client, name, package, settings, steps: Vec::new() };
    let layer = |operation: &str| Call::new(["lambda", operation]).with("--layer-name", name);
    let versions = if_there(client.call(&layer("list-layer-versions").with("--max-items", "1")))?.unwrap_or_default();
    let newest = versions.pointer("/LayerVersions/0/Version").and_then(Value::as_u64);
    let read = |version: u64| layer("get-layer-version").with("--version-number", version.to_string());
    if let Some(version) = newest {
        let call = read(version);
        if text(&client.call(&call)?, "/Content/CodeSha256") == package.checksum {
            planner.step("reading the result", [call]);
            return Ok(planner.steps);
        }
    }
    let code = planner.code(["--zip-file", "--content"], true);
    let mut publish = layer("publish-layer-version").with("--compatible-architectures", package.zip.arch.name());
    publish.words.extend(code);
    planner.sending(&format!("publishing a version of the layer {name}"), [publish]);
    Ok(planner.steps)
}

/// The name of the role that is created for a function. IAM allows up to 64 characters.
fn role_of(name: &str) -> String {
    let role = format!("lambda-musl-{name}");
    match role.len() {
        ..=64 => role,
        _ => format!("{}-{}", &role[..55], &sha256_hex(name.as_bytes())[..8]),
    }
}

impl Planner<'_> {
    fn step(&mut self, text: &str, calls: impl IntoIterator<Item = Call>) {
        self.steps.push(Step { text: text.into(), calls: calls.into_iter().collect(), sends_zip: false });
    }

    fn sending(&mut self, text: &str, calls: impl IntoIterator<Item = Call>) {
        self.steps.push(Step { text: text.into(), calls: calls.into_iter().collect(), sends_zip: true });
    }

    fn lambda(&self, operation: &str) -> Call {
        lambda(operation, self.name, None)
    }

    fn waiting(&self, waiter: &str) -> Call {
        Call::new(["lambda", "wait", waiter]).with("--function-name", self.name)
    }

    fn create(&mut self) -> Result<()> {
        let role = match &self.settings.role {
            Some(role) => self.arn_of(role)?,
            None => self.own_role()?,
        };
        let code = self.code(["--zip-file", "--code"], true);
        let mut create = self.lambda("create-function").with("--runtime", RUNTIME).with("--handler", HANDLER);
        create = create.with("--role", role).with("--architectures", self.package.zip.arch.name());
        create.words.extend(code);
        for (option, value) in [("--memory-size", self.settings.memory), ("--timeout", self.settings.timeout)] {
            create.words.extend(value.into_iter().flat_map(|value| [option.to_owned(), value.to_string()]));
        }
        if let Some(layers) = self.settings.layers.as_ref().filter(|layers| !layers.is_empty()) {
            create.words.extend(["--layers".to_owned()].into_iter().chain(layers.iter().cloned()));
        }
        if !self.settings.tags.is_empty() {
            create = create.with("--tags", json!(self.settings.tags).to_string());
        }
        if !self.settings.env_var.is_empty() {
            create = with_variables(create, &json!(self.settings.env_var));
        }
        let wait = self.waiting("function-active-v2");
        self.sending(&format!("creating {}", self.name), [create, wait]);
        Ok(())
    }

    fn update(&mut self, function: &Value) -> Result<()> {
        let has = |pointer: &str| text(function, &format!("/Configuration/{pointer}")).to_owned();
        let name = self.name;
        ensure!(
            has("PackageType") != "Image",
            "the function {name} is a container image, which AWS cannot change to a zip: choose another name, or delete the function first"
        );
        let wait = self.waiting("function-updated-v2");
        if has("State") == "Pending" {
            self.step("waiting for an earlier deployment to create the function", [self.waiting("function-active-v2")]);
        }
        if has("LastUpdateStatus") == "InProgress" {
            self.step("waiting for an earlier update to complete", [wait.clone()]);
        }
        let configure = self.configuration(function)?;
        if configure.words.len() > self.lambda("").words.len() {
            self.step(&format!("updating the configuration of {name}"), [configure, wait.clone()]);
        }
        let arch = self.package.zip.arch.name();
        if has("CodeSha256") != self.package.checksum || has("Architectures/0") != arch {
            let code = self.code(["--zip-file", ""], false);
            let mut update = self.lambda("update-function-code").with("--architectures", arch);
            update.words.extend(code);
            self.sending(&format!("updating the code of {name}"), [update, wait]);
        }
        Ok(())
    }

    /// The call that changes the named settings in the configuration, and keeps all others.
    fn configuration(&self, function: &Value) -> Result<Call> {
        let configuration = &function["Configuration"];
        let mut call = self.lambda("update-function-configuration");
        let role = self.settings.role.as_ref().map(|role| self.arn_of(role)).transpose()?;
        let number = |number: Option<u32>| number.map(|number| json!(number));
        for (option, key, wanted) in [
            ("--runtime", "Runtime", Some(json!(RUNTIME))),
            ("--handler", "Handler", Some(json!(HANDLER))),
            ("--role", "Role", role.map(Value::from)),
            ("--memory-size", "MemorySize", number(self.settings.memory)),
            ("--timeout", "Timeout", number(self.settings.timeout)),
        ] {
            if let Some(wanted) = wanted.filter(|wanted| configuration[key] != *wanted) {
                call = call.with(option, wanted.as_str().map_or_else(|| wanted.to_string(), Into::into));
            }
        }
        if let Some(layers) = &self.settings.layers {
            let of_aws = configuration["Layers"].as_array().into_iter().flatten().map(|layer| text(layer, "/Arn"));
            if !of_aws.eq(layers.iter()) {
                let none = layers.is_empty().then(|| "[]".to_owned());
                call.words.extend(["--layers".to_owned()].into_iter().chain(none).chain(layers.iter().cloned()));
            }
        }
        let Some(variables) = variables(self.name, configuration, &self.settings.env_var)? else { return Ok(call) };
        Ok(with_variables(call, &variables))
    }

    /// The ARN of an existing role.
    fn arn_of(&self, role: &str) -> Result<String> {
        if role.starts_with("arn:") {
            return Ok(role.into());
        }
        let found = if_there(self.client.call(&Call::new(["iam", "get-role"]).with("--role-name", role)))?;
        let found = found.with_context(|| format!("--role {role}: there is no such role in this account"))?;
        Ok(text(&found, "/Role/Arn").into())
    }

    /// The ARN of the default role for a function with this name. Plans to create the role if it does not exist. Its
    /// policy is always attached, because an interrupted deployment may have left the role without it.
    fn own_role(&mut self) -> Result<String> {
        let role = role_of(self.name);
        let call = |operation| Call::new(["iam", operation]).with("--role-name", &*role);
        let arn = match if_there(self.client.call(&call("get-role")))? {
            Some(found) => text(&found, "/Role/Arn").to_owned(),
            None => {
                let caller = self.client.call(&Call::new(["sts", "get-caller-identity"]))?;
                let partition = text(&caller, "/Arn").split(':').nth(1).unwrap_or("aws").to_owned();
                let arn = format!("arn:{partition}:iam::{}:role/{role}", text(&caller, "/Account"));
                let trust = json!({
                    "Version": "2012-10-17",
                    "Statement": [{
                        "Effect": "Allow",
                        "Principal": { "Service": "lambda.amazonaws.com" },
                        "Action": "sts:AssumeRole",
                    }],
                });
                let create = call("create-role").with("--assume-role-policy-document", trust.to_string());
                self.step(&format!("creating the role {role}"), [create]);
                arn
            }
        };
        let partition = arn.split(':').nth(1).unwrap_or("aws");
        let policy = format!("arn:{partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole");
        let attach = call("attach-role-policy").with("--policy-arn", policy);
        self.step(&format!("attaching the policy to {role}"), [attach]);
        Ok(arn)
    }

    /// The arguments that name the code in a call: the zip or, if the zip is large, its key in the bucket. A large zip is
    /// uploaded in a step before that call. The names of the options differ between operations.
    fn code(&mut self, [of_file, of_bucket]: [&str; 2], is_one_word: bool) -> Vec<String> {
        let path = self.package.path.display();
        let Some(bucket) = self.settings.s3_bucket.as_ref().filter(|_| self.package.is_large()) else {
            return vec![of_file.into(), format!("fileb://{path}")];
        };
        let key = format!("lambda-musl/{}/{}.zip", self.name, sha256_hex(&self.package.zip.bytes));
        let copy =
            ["s3", "cp", "--only-show-errors", &path.to_string(), &format!("s3://{bucket}/{key}")].map(Into::into);
        self.sending(&format!("uploading to {bucket}"), [Call::new::<String>(copy)]);
        match is_one_word {
            true => vec![of_bucket.into(), format!("S3Bucket={bucket},S3Key={key}")],
            false => vec!["--s3-bucket".into(), bucket.clone(), "--s3-key".into(), key],
        }
    }

    /// Publishes a version and points the alias to it. AWS creates no second version of the same code and configuration.
    fn publish(&mut self, exists: bool) -> Result<()> {
        let Some(alias) = &self.settings.alias else { return Ok(()) };
        let publish = self.lambda("publish-version").with("--code-sha256", &*self.package.checksum);
        let wait = self.waiting("published-version-active").with("--qualifier", VERSION);
        self.step(&format!("publishing a version of {}", self.name), [publish, wait]);
        let of_alias = |operation: &str| self.lambda(operation).with("--name", &**alias);
        let is_there = exists && if_there(self.client.call(&of_alias("get-alias")))?.is_some();
        let operation = if is_there { "update-alias" } else { "create-alias" };
        self.step(&format!("setting the alias {alias}"), [of_alias(operation).with("--function-version", VERSION)]);
        Ok(())
    }

    fn url(&mut self, exists: bool) -> Result<()> {
        let Some(url) = self.settings.url else { return Ok(()) };
        let call = |operation: &str| lambda(operation, self.name, self.settings.alias.as_deref());
        let read = |operation: &str| match exists {
            true => if_there(self.client.call(&call(operation))),
            false => Ok(None),
        };
        let found = read("get-function-url-config")?;
        let policy = read("get-policy")?.unwrap_or_default();
        let policy: Value = serde_json::from_str(text(&policy, "/Policy")).unwrap_or_default();
        let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
        let has = |id: &str| statements.iter().any(|statement| statement["Sid"] == id);
        let authentication = if url == Url::Public { "NONE" } else { "AWS_IAM" };
        let operation = match (&found, url) {
            (None, Url::None) => None,
            (Some(_), Url::None) => Some(call("delete-function-url-config")),
            (None, _) => Some(call("create-function-url-config").with("--auth-type", authentication)),
            // Update the configuration even if nothing changes, because the response contains the URL.
            (Some(_), _) => Some(call("update-function-url-config").with("--auth-type", authentication)),
        };
        let mut calls: Vec<Call> = operation.into_iter().collect();
        for (id, action, options) in STATEMENTS {
            match (url == Url::Public, has(id)) {
                (true, false) => {
                    let mut add = call("add-permission").with("--statement-id", id).with("--action", action);
                    add = add.with("--principal", "*");
                    add.words.extend(options.into_iter().filter(|word| !word.is_empty()).map(Into::into));
                    calls.push(add);
                }
                (false, true) => calls.push(call("remove-permission").with("--statement-id", id)),
                _ => {}
            }
        }
        if !calls.is_empty() {
            self.step("setting the function URL", calls);
        }
        Ok(())
    }

    fn tags(&mut self, function: &Value) {
        let tags = &self.settings.tags;
        if tags.iter().any(|(key, value)| function["Tags"][key] != *value) {
            let arn = text(function, "/Configuration/FunctionArn");
            let call = Call::new(["lambda", "tag-resource"]).with("--resource", arn);
            self.step("setting the tags", [call.with("--tags", json!(tags).to_string())]);
        }
    }
}

/// All variables, if one of the named variables is new or has another value: AWS replaces all variables at once.
fn variables(name: &str, configuration: &Value, named: &BTreeMap<String, String>) -> Result<Option<Value>> {
    let of_aws = &configuration["Environment"];
    let mut variables = match (of_aws, &of_aws["Variables"]) {
        (Value::Null | Value::Object(_), Value::Null) => Map::new(),
        (_, Value::Object(variables)) => variables.clone(),
        _ => bail!(
            "aws lambda get-function: expected an object with the environment variables of {name}, but the response contains \
             something else, so an update would delete them; is there a proxy between this machine and AWS?"
        ),
    };
    if named.iter().all(|(name, value)| variables.get(name).is_some_and(|other| other == value)) {
        return Ok(None);
    }
    if let Some(error) = of_aws.get("Error") {
        bail!("AWS does not return the environment variables of {name}, which an update would delete: {error}");
    }
    variables.extend(named.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
    Ok(Some(variables.into()))
}

/// Passes environment variables through the client's standard input, because they may be secrets.
fn with_variables(call: Call, variables: &Value) -> Call {
    let call = call.with("--environment", "file:///dev/stdin");
    Call { input: Some(json!({ "Variables": variables }).to_string()), ..call }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_keeps_all_variables_and_variables_in_an_unknown_form_are_an_error() {
        let named = BTreeMap::from([("NEW".to_owned(), "1".to_owned())]);
        let all = |environment: Value| variables("x", &json!({"Environment": environment}), &named);
        assert_eq!(all(Value::Null).unwrap(), Some(json!({"NEW": "1"})));
        assert_eq!(all(json!({"Variables": {"OLD": "2"}})).unwrap(), Some(json!({"NEW": "1", "OLD": "2"})));
        assert_eq!(all(json!({"Variables": {"NEW": "1"}})).unwrap(), None);
        for environment in [json!("hunter2"), json!([]), json!({"Variables": ["hunter2"]}), json!({"Error": "denied"})]
        {
            let error = all(environment).unwrap_err().to_string();
            assert!(error.contains("would delete") && !error.contains("hunter"), "{error}");
        }
    }

    #[test]
    fn the_name_of_a_role_contains_that_of_its_function_in_at_most_64_characters() {
        assert_eq!(role_of("greeting"), "lambda-musl-greeting");
        let longest = "a".repeat(64);
        let roles = [&longest, &format!("{}b", &longest[1..])].map(|name| role_of(name));
        assert!(roles.iter().all(|role| role.len() == 64 && role.starts_with("lambda-musl-aaa")), "{roles:?}");
        assert_ne!(roles[0], roles[1]);
    }
}
