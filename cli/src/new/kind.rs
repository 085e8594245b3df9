//! The kinds of functions. The code of each kind comes from an example, and its resources come from a template.

use super::runtime::Runtime;
use crate::options::{Http, Purpose, Service};

pub struct Kind {
    /// What the function does, in a few words.
    pub does: &'static str,
    manifest: &'static str,
    pub code: &'static str,
    /// The lines after the function's properties in its SAM template.
    pub resources: &'static str,
    /// An option of `invoke` with an event that the function accepts.
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

const GREETING: Kind = kind!("greeting", "", "--event '{\"name\":\"Ada\"}'", "handles a JSON event");
const HTTP: Kind = kind!("http", resources!("http"), "--example url", "handles HTTP requests");
const AXUM: Kind = kind!("router", resources!("http"), "--example url", "handles HTTP requests with axum");
const STREAM: Kind = kind!("stream", resources!("stream"), "--example url", "streams its HTTP responses");
const SQS: Kind = kind!("sqs", resources!("sqs"), "--example sqs", "handles SQS messages");
const S3: Kind = kind!("s3", resources!("s3"), "--example s3", "handles S3 events");
const EVENTBRIDGE: Kind =
    kind!("eventbridge", resources!("eventbridge"), "--example eventbridge", "handles EventBridge events");
const SNS: Kind = kind!("sns", resources!("sns"), "--example sns", "handles SNS messages");
const DYNAMODB: Kind = kind!("dynamodb", resources!("dynamodb"), "--example dynamodb", "follows a DynamoDB table");
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

    pub fn is_http(&self) -> bool {
        self.event == HTTP.event
    }

    /// The example's manifest, with this name and this runtime.
    pub fn manifest(&self, name: &str, runtime: &Runtime) -> String {
        let (_, rest) = self.manifest.split_once("version = ").unwrap_or_default();
        format!("[package]\nname = \"{name}\"\nversion = {}", rest.replace(EXAMPLES_RUNTIME, &runtime.keys()))
    }

    /// The `main` function of the code.
    pub fn main(&self) -> &str {
        let start = self.code.find("#[tokio::main").or_else(|| self.code.find("fn main"));
        let code = &self.code[start.unwrap_or_default()..];
        code.split("\n\n").next().unwrap_or_default()
    }

    /// The dependencies, each with its name and its line.
    pub fn dependencies(&self, runtime: &Runtime) -> Vec<(&'static str, String)> {
        let (_, rest) = self.manifest.split_once("[dependencies]\n").unwrap_or_default();
        let lines = rest.lines().take_while(|line| !line.is_empty());
        let dependency =
            |line: &'static str| Some((line.split(' ').next()?, line.replace(EXAMPLES_RUNTIME, &runtime.keys())));
        lines.filter_map(dependency).collect()
    }
}

/// The key of the runtime in the examples' manifests.
const EXAMPLES_RUNTIME: &str = "path = \"../..\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_of_a_new_package_has_its_name_and_its_runtime() {
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
