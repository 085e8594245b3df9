//! What a function is for: its code is that of an example, and its resources those of a template.

use super::runtime::Runtime;
use crate::options::{Http, Purpose, Service};

pub struct Kind {
    /// What such a function does.
    pub does: &'static str,
    manifest: &'static str,
    pub code: &'static str,
    /// What stands below the function's properties in its SAM template.
    pub resources: &'static str,
    /// The option of `invoke` with an event that it takes.
    pub event: &'static str,
}

macro_rules! kind {
    ($example:literal, $resources:expr, $event:literal, $does:literal) => {
        Kind {
            does: $does,
            manifest: include_str!(concat!("../../../examples/", $example, "/Cargo.toml")),
            code: include_str!(concat!("../../../examples/", $example, "/src/main.rs")),
            resources: $resources,
            event: $event,
        }
    };
}

macro_rules! resources {
    ($name:literal) => {
        include_str!(concat!("template/resources/", $name, ".yaml"))
    };
}

const GREETING: Kind = kind!("greeting", "", "--event '{\"name\":\"Ada\"}'", "takes a JSON event");
const HTTP: Kind = kind!("http", resources!("http"), "--example url", "answers HTTP");
const AXUM: Kind = kind!("router", resources!("http"), "--example url", "answers HTTP with a router of axum");
const STREAM: Kind = kind!("stream", resources!("stream"), "--example url", "answers HTTP with a stream");
const SQS: Kind = kind!("sqs", resources!("sqs"), "--example sqs", "takes messages of SQS");
const S3: Kind = kind!("s3", resources!("s3"), "--example s3", "takes events of S3");
const EVENTBRIDGE: Kind =
    kind!("eventbridge", resources!("eventbridge"), "--example eventbridge", "takes events of EventBridge");
const SNS: Kind = kind!("sns", resources!("sns"), "--example sns", "takes messages of SNS");
const DYNAMODB: Kind = kind!("dynamodb", resources!("dynamodb"), "--example dynamodb", "follows a table of DynamoDB");
const CRON: Kind = kind!("cron", resources!("cron"), "--example cron", "runs on a schedule");

impl Kind {
    pub fn of(purpose: &Purpose) -> &'static Self {
        match (purpose.http, purpose.event) {
            (Some(Http::Closure), _) => &HTTP,
            (Some(Http::Axum), _) => &AXUM,
            (None, None) if purpose.stream => &STREAM,
            (None, None) => &GREETING,
            (None, Some(Service::Sqs)) => &SQS,
            (None, Some(Service::S3)) => &S3,
            (None, Some(Service::Eventbridge)) => &EVENTBRIDGE,
            (None, Some(Service::Sns)) => &SNS,
            (None, Some(Service::Dynamodb)) => &DYNAMODB,
            (None, Some(Service::Cron)) => &CRON,
        }
    }

    /// The example's manifest, with this name and this runtime.
    pub fn manifest(&self, name: &str, runtime: &Runtime) -> String {
        let (_, rest) = self.manifest.split_once("version = ").unwrap_or_default();
        format!("[package]\nname = \"{name}\"\nversion = {}", rest.replace(EXAMPLES_RUNTIME, &runtime.keys()))
    }

    /// The function `main` of its code.
    pub fn main(&self) -> &str {
        let start = self.code.find("#[tokio::main").or_else(|| self.code.find("fn main"));
        let code = &self.code[start.unwrap_or_default()..];
        code.split("\n\n").next().unwrap_or_default()
    }

    /// The dependencies with their names, a line for each.
    pub fn dependencies(&self, runtime: &Runtime) -> Vec<(&'static str, String)> {
        let (_, rest) = self.manifest.split_once("[dependencies]\n").unwrap_or_default();
        let lines = rest.lines().take_while(|line| !line.is_empty());
        let dependency =
            |line: &'static str| Some((line.split(' ').next()?, line.replace(EXAMPLES_RUNTIME, &runtime.keys())));
        lines.filter_map(dependency).collect()
    }
}

/// Where the examples have the runtime.
const EXAMPLES_RUNTIME: &str = "path = \"../..\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_of_an_example_gets_the_name_and_the_runtime_of_the_new_package() {
        let runtime = Runtime::Git("https://example.com/runtime".into());
        let all = [&GREETING, &HTTP, &AXUM, &STREAM, &SQS, &S3, &EVENTBRIDGE, &SNS, &DYNAMODB, &CRON];
        for kind in all {
            let manifest = kind.manifest("hello", &runtime);
            let table: toml::Table = toml::from_str(&manifest).unwrap();
            assert_eq!(table["package"]["name"].as_str(), Some("hello"));
            assert_eq!(table["package"]["edition"].as_str(), Some("2024"));
            let dependencies = table["dependencies"].as_table().unwrap();
            assert_eq!(dependencies["lambda-musl"]["git"].as_str(), Some("https://example.com/runtime"));
            assert!(!manifest.contains("../.."), "{manifest}");
            let lines = kind.dependencies(&runtime);
            assert_eq!(lines.len(), dependencies.len());
            assert!(lines.iter().all(|(name, line)| dependencies.contains_key(*name) && manifest.contains(line)));
        }
    }
}
