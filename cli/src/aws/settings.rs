//! The settings of a deployed function. Options take precedence over `[package.metadata.lambda-musl.deploy]` in Cargo.toml. A
//! setting that is in neither of them stays unchanged in AWS.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io::ErrorKind};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Deserialize;
use toml::{Table, Value};

use super::check_word;
use crate::project::{KEYS, unknown};
use crate::{env_file, files::At, options};

/// The keys of the table in Cargo.toml.
const SETTINGS: [&str; 9] = ["alias", "env-var", "layers", "memory", "role", "s3-bucket", "tags", "timeout", "url"];

/// Access to a function URL.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Url {
    /// Nobody: there is no function URL
    None,
    /// Callers with permission from IAM
    Iam,
    /// Everyone
    Public,
}

/// The settings, under the names of the metadata's keys and of the options.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    pub role: Option<String>,
    pub memory: Option<u32>,
    pub timeout: Option<u32>,
    pub env_var: BTreeMap<String, String>,
    pub layers: Option<Vec<String>>,
    pub url: Option<Url>,
    pub alias: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub s3_bucket: Option<String>,
}

impl Settings {
    /// Merges the options into the defaults. Variables and tags are merged one by one.
    pub fn of(options: &options::Deploy, defaults: Self) -> Result<Self> {
        let mut settings = defaults;
        if let Some(file) = &options.env_file {
            settings.env_var.extend(env_file::read(file).context("--env-file")?);
        }
        settings.env_var.extend(pairs("--env-var", &options.env_var)?);
        settings.tags.extend(pairs("--tags", &options.tags)?);
        let settings = Self {
            role: options.role.clone().or(settings.role),
            memory: options.memory.or(settings.memory),
            timeout: options.timeout.or(settings.timeout),
            layers: match &options.layers[..] {
                [] => settings.layers,
                [none] if none == "none" => Some(Vec::new()),
                layers => Some(layers.to_vec()),
            },
            url: options.url.or(settings.url),
            alias: options.alias.clone().or(settings.alias),
            s3_bucket: options.s3_bucket.clone().or(settings.s3_bucket),
            ..settings
        };
        settings.check().map(|()| settings)
    }

    /// Rejects invalid settings before anything is changed.
    fn check(&self) -> Result<()> {
        let is_between = |value: Option<u32>, least, most| value.is_none_or(|value| (least..=most).contains(&value));
        ensure!(is_between(self.memory, 128, 32768), "--memory: expected 128 to 32768 MB");
        ensure!(is_between(self.timeout, 1, 900), "--timeout: expected 1 to 900 seconds");
        for name in self.env_var.keys() {
            let mut letters = name.chars();
            let is_name = letters.next().is_some_and(|c| c.is_ascii_alphabetic())
                && letters.clone().count() > 0
                && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
            ensure!(
                is_name,
                "--env-var: the name {name:?} is invalid; expected two or more ASCII letters, digits or _, \
                 starting with a letter"
            );
        }
        for layer in self.layers.iter().flatten() {
            let parts: Vec<&str> = layer.split(':').collect();
            let is_version =
                matches!(parts[..], ["arn", _, "lambda", _, _, "layer", _, version] if version.parse::<u64>().is_ok());
            ensure!(
                is_version,
                "--layers: {layer:?}; expected ARNs of layer versions, such as arn:aws:lambda:…:layer:NAME:1, or none"
            );
        }
        if let Some(role) = &self.role {
            let is_name = |role: &str| {
                !role.is_empty() && role.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c))
            };
            let is_role = match role.split_once(":iam::") {
                Some((_, rest)) => role.starts_with("arn:") && rest.contains(":role/"),
                None => is_name(role) && role.len() <= 64 && !role.starts_with('-'),
            };
            ensure!(is_role, "--role: {role:?}; expected the name or the ARN of a role (arn:aws:iam::…:role/NAME)");
        }
        if let Some(alias) = &self.alias {
            check_word("--alias", alias, 128)?;
            ensure!(
                !alias.chars().all(|c| c.is_ascii_digit()),
                "--alias: {alias} could be a version number; expected a name with at least one letter"
            );
        }
        if let Some(bucket) = &self.s3_bucket {
            let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
            let is_bucket =
                (3..=63).contains(&bucket.len()) && bucket.chars().all(is_known) && !bucket.starts_with('-');
            ensure!(
                is_bucket,
                "--s3-bucket: {bucket:?} cannot be the name of a bucket; expected 3 to 63 characters from a to \
                 z, 0 to 9, - and ., and no - at the start"
            );
        }
        Ok(())
    }
}

/// The deploy defaults in the Cargo.toml of a package and of its workspace. If the current directory has no Cargo.toml,
/// there are no defaults: a zip can be deployed without its sources.
#[derive(Debug, Default)]
pub struct Manifest {
    /// The name of the package.
    pub name: Option<String>,
    pub defaults: Settings,
}

impl Manifest {
    pub fn of(krate: &Path) -> Result<Self> {
        let directory = env::current_dir()?.join(krate);
        let Some((path, own)) = read(&directory)? else {
            ensure!(
                krate == Path::new("."),
                "--crate {}: there is no Cargo.toml in this directory; expected the directory of a package (omit \
                 --crate for a zip without sources)",
                krate.display()
            );
            return Ok(Self::default());
        };
        let name = own.get("package").and_then(|package| package.get("name")).and_then(Value::as_str).map(Into::into);
        // As cargo does, take the nearest Cargo.toml with a workspace.
        let mut tables = Vec::new();
        for directory in directory.ancestors() {
            if let Some((path, table)) = read(directory)?.filter(|(_, table)| table.contains_key("workspace")) {
                tables.extend(metadata(&table, "workspace").at(&path)?.map(|table| (path, table)));
                break;
            }
        }
        tables.extend(metadata(&own, "package").at(&path)?.map(|table| (path, table)));
        let mut all = Table::new();
        for (path, table) in tables {
            check(&table).with_context(|| format!("{}: metadata.lambda-musl.deploy", path.display()))?;
            all.extend(table);
        }
        Ok(Self { name, defaults: all.try_into()? })
    }
}

fn read(directory: &Path) -> Result<Option<(PathBuf, Table)>> {
    let path = directory.join("Cargo.toml");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let table = text.parse().at(&path)?;
            Ok(Some((path, table)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at(&path),
    }
}

/// The table for `deploy`. The other keys are checked too, because one of them may be a misspelt `deploy`.
fn metadata(manifest: &Table, of: &str) -> Result<Option<Table>> {
    let metadata = manifest.get(of).and_then(|table| table.get("metadata"));
    let Some(own) = metadata.and_then(|table| table.get("lambda-musl")) else { return Ok(None) };
    let expected = |key: &str| format!("{of}.metadata.{key}: expected a table");
    let own = own.as_table().with_context(|| expected("lambda-musl"))?;
    for key in own.keys() {
        ensure!(KEYS.contains(&&**key), "[{of}.metadata.lambda-musl]: the key {}", unknown(key, &KEYS));
    }
    let Some(deploy) = own.get("deploy") else { return Ok(None) };
    deploy.as_table().cloned().with_context(|| expected("lambda-musl.deploy")).map(Some)
}

/// Fails if a key is unknown or its value is not of the expected type. The value is not shown, because it may be a secret.
fn check(table: &Table) -> Result<()> {
    for (key, value) in table {
        let one: Table = [(key.clone(), value.clone())].into_iter().collect();
        let expected = match key.as_str() {
            "memory" => "a number of MB, such as 256",
            "timeout" => "a number of seconds, such as 10",
            "env-var" | "tags" => "a table of strings, such as { NAME = \"value\" }",
            "layers" => "a list of strings",
            "url" => "\"none\", \"iam\" or \"public\"",
            _ => "a string",
        };
        let settings = one.try_into::<Settings>();
        ensure!(settings.is_ok() || !SETTINGS.contains(&&**key), "the key {key}: expected {expected}");
        ensure!(settings.is_ok(), "the key {}", unknown(key, &SETTINGS));
    }
    Ok(())
}

fn pairs(option: &str, words: &[String]) -> Result<BTreeMap<String, String>> {
    let pair = |word: &String| {
        let (key, value) = word.split_once('=').with_context(|| {
            // The entry is not shown, because it may be a secret.
            format!("{option}: expected NAME=VALUE, but an entry has no =")
        })?;
        Ok((key.to_owned(), value.to_owned()))
    };
    words.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_of_a_package_take_precedence_over_those_of_its_workspace() {
        let workspace = tempfile::tempdir().unwrap();
        let package = workspace.path().join("greeting");
        fs::create_dir(&package).unwrap();
        let write = |directory: &Path, text: &str| fs::write(directory.join("Cargo.toml"), text).unwrap();
        write(workspace.path(), "[workspace]\n[workspace.metadata.lambda-musl.deploy]\nmemory = 256\ntimeout = 5\n");
        write(&package, "[package]\nname = 'greeting'\n[package.metadata.lambda-musl.deploy]\nmemory = 512\n");
        let manifest = Manifest::of(&package).unwrap();
        assert_eq!(manifest.name.as_deref(), Some("greeting"));
        assert_eq!(manifest.defaults, Settings { memory: Some(512), timeout: Some(5), ..Settings::default() });
    }

    /// The error for a Cargo.toml with these contents.
    fn error_of(manifest: &[u8]) -> String {
        let package = tempfile::tempdir().unwrap();
        fs::write(package.path().join("Cargo.toml"), manifest).unwrap();
        format!("{:#}", Manifest::of(package.path()).unwrap_err())
    }

    #[test]
    fn a_default_of_the_wrong_type_is_an_error_that_names_the_file_and_says_what_is_expected() {
        for (setting, expected) in [
            ("memory = 'much'", "the key memory: expected a number of MB, such as 256"),
            ("memory = -1", "the key memory: expected a number of MB, such as 256"),
            ("timeout = 1.5", "the key timeout: expected a number of seconds, such as 10"),
            ("url = { a = 1 }", "the key url: expected \"none\", \"iam\" or \"public\""),
            ("env-var = ['KEY=hunter2']", "the key env-var: expected a table of strings, such as { NAME = \"value\" }"),
            ("layers = 'none'", "the key layers: expected a list of strings"),
            ("role = 5", "the key role: expected a string"),
            ("memmory = 5", "the key memmory is unknown (did you mean memory?); expected one of: alias, env-var, "),
        ] {
            let error = error_of(format!("[package.metadata.lambda-musl.deploy]\n{setting}\n").as_bytes());
            assert!(error.contains(&format!("Cargo.toml: metadata.lambda-musl.deploy: {expected}")), "{error}");
        }
        for (manifest, expected) in [
            ("[package.metadata]\nlambda-musl = 5", "package.metadata.lambda-musl: expected a table"),
            ("[package.metadata.lambda-musl]\ndeploy = 'x'", "package.metadata.lambda-musl.deploy: expected a table"),
            (
                "[workspace.metadata.lambda-musl]\ndeploy = []",
                "workspace.metadata.lambda-musl.deploy: expected a table",
            ),
            ("[package.metadata.lambda-musl.deplyo]", "the key deplyo is unknown (did you mean deploy?)"),
        ] {
            let error = error_of(manifest.as_bytes());
            assert!(error.contains("Cargo.toml: ") && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_manifest_that_is_missing_in_the_named_directory_or_cannot_be_read_is_an_error() {
        let package = tempfile::tempdir().unwrap();
        let typo = package.path().join("typo");
        let error = Manifest::of(&typo).unwrap_err().to_string();
        assert!(error.starts_with(&format!("--crate {}: there is no Cargo.toml", typo.display())), "{error}");
        let error = error_of(b"[package]\nname = '\xff'\n");
        assert!(error.contains("Cargo.toml: ") && error.contains("UTF-8"), "{error}");
        fs::create_dir_all(typo.join("Cargo.toml")).unwrap();
        let error = format!("{:#}", Manifest::of(&typo).unwrap_err());
        assert!(error.contains("Cargo.toml: Is a directory"), "{error}");
    }
}
