//! Reads cargo's messages about the crates that it compiles: whether a crate is linked, and the output of its build script.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cargo_metadata::camino::Utf8PathBuf;
use cargo_metadata::{Artifact, BuildScript, Message};

/// The messages of one build: <https://doc.rust-lang.org/cargo/reference/external-tools.html#json-messages>.
#[derive(Clone, Default)]
pub struct Messages {
    artifacts: Vec<Artifact>,
    scripts: Vec<BuildScript>,
}

/// The result of compiling a package.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Compiled {
    /// Whether the package was compiled for the target. If not, its code ran during the build, in a build script or a procedural
    /// macro.
    pub linked: bool,
    pub script: Option<Script>,
}

/// The libraries that a build script for the target told rustc to link, their search paths, and the script's output directory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Script {
    /// As in rustc's `-l`: `static=z`.
    pub libraries: Vec<String>,
    /// As in rustc's `-L`: `native=/target/…/out`.
    pub paths: Vec<String>,
    pub out: PathBuf,
}

impl Messages {
    /// The executable of a binary target.
    pub fn executable(&self, name: &str) -> Option<PathBuf> {
        let is_meant = |artifact: &&Artifact| artifact.target.name == name && artifact.executable.is_some();
        Some(self.artifacts.iter().find(is_meant)?.executable.clone()?.into())
    }

    /// Stores the line if it is a message, and returns whether it is one.
    pub fn keep(&mut self, line: &str) -> bool {
        if !line.starts_with('{') {
            return false;
        }
        match serde_json::from_str(line) {
            Ok(Message::CompilerArtifact(artifact)) => self.artifacts.push(artifact),
            Ok(Message::BuildScriptExecuted(script)) => self.scripts.push(script),
            Ok(_) => {}
            Err(_) => return false,
        }
        true
    }

    /// The same messages, with paths in a container replaced by those on this machine.
    pub fn renamed(&self, directories: &[(&str, &Path)]) -> Self {
        let mut renamed = self.clone();
        let rename = |path: &mut Utf8PathBuf| {
            // A search path may begin with the kind of its libraries, as in `native=/path`.
            let (kind, real) = match path.as_str().split_once('=') {
                Some((kind, real)) if !kind.contains('/') => (format!("{kind}="), real),
                _ => (String::new(), path.as_str()),
            };
            let renamed = directories.iter().find_map(|(from, to)| {
                let rest = Path::new(real).strip_prefix(from).ok()?;
                Utf8PathBuf::from_path_buf(to.join(rest)).ok()
            });
            if let Some(renamed) = renamed {
                *path = format!("{kind}{renamed}").into();
            }
        };
        for artifact in &mut renamed.artifacts {
            rename(&mut artifact.manifest_path);
            artifact.filenames.iter_mut().for_each(rename);
        }
        for script in &mut renamed.scripts {
            rename(&mut script.out_dir);
            script.linked_paths.iter_mut().for_each(rename);
        }
        renamed
    }

    /// The packages by directory, not by cargo's ids, which contain the container's paths.
    pub fn packages(&self, triple: &str) -> BTreeMap<PathBuf, Compiled> {
        let is_for_target = |path: &Utf8PathBuf| path.as_str().contains(&format!("/{triple}/release/"));
        let mut packages: BTreeMap<PathBuf, Compiled> = BTreeMap::new();
        for artifact in &self.artifacts {
            let directory = artifact.manifest_path.parent().map(Into::into).unwrap_or_default();
            let package = packages.entry(directory).or_default();
            package.linked |= artifact.filenames.iter().any(is_for_target);
            let mut scripts = self.scripts.iter().filter(|script| script.package_id == artifact.package_id);
            if let Some(script) = scripts.find(|script| is_for_target(&script.out_dir)) {
                let texts = |list: &[Utf8PathBuf]| list.iter().map(ToString::to_string).collect();
                package.script = Some(Script {
                    libraries: texts(&script.linked_libs),
                    paths: texts(&script.linked_paths),
                    out: script.out_dir.clone().into(),
                });
            }
        }
        packages
    }
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::*;

    const TRIPLE: &str = "x86_64-unknown-linux-musl";

    /// Cargo's messages about a package in this directory, with the path of its library and the output of its build script.
    pub fn told(directory: &str, library: &str, script: Option<(&str, &[&str], &[&str])>) -> Vec<String> {
        let id = format!("path+file://{directory}#0.1.0");
        let artifact = json!({
            "reason": "compiler-artifact", "package_id": id, "manifest_path": format!("{directory}/Cargo.toml"),
            "target": {"kind": ["lib"], "crate_types": ["lib"], "name": "a", "src_path": "/a.rs", "edition": "2024",
                       "doc": true, "doctest": true, "test": true},
            "profile": {"opt_level": "3", "debuginfo": 0, "debug_assertions": false, "overflow_checks": false, "test": false},
            "features": [], "filenames": [library], "executable": null, "fresh": false
        });
        let script = script.map(|(out, libraries, paths)| {
            json!({"reason": "build-script-executed", "package_id": id, "linked_libs": libraries, "linked_paths": paths,
                   "cfgs": [], "env": [], "out_dir": out})
        });
        script.into_iter().chain([artifact]).map(|message| message.to_string()).collect()
    }

    pub fn messages(lines: impl IntoIterator<Item = String>) -> Messages {
        let mut messages = Messages::default();
        assert!(lines.into_iter().all(|line| messages.keep(&line)));
        messages
    }

    #[test]
    fn an_artifact_below_the_directory_of_the_target_is_linked() {
        let of_target = format!("/t/{TRIPLE}/release/deps/liba.rlib");
        let lines = [told("/a", &of_target, None), told("/b", "/t/release/deps/libb.so", None)].concat();
        let packages = messages(lines).packages(TRIPLE);
        let linked = |directory: &str| packages[Path::new(directory)].linked;
        assert_eq!([linked("/a"), linked("/b")], [true, false]);
    }

    #[test]
    fn only_a_build_script_for_the_target_counts_and_its_paths_are_those_on_this_machine() {
        let library = format!("/target/{TRIPLE}/release/deps/liba.rlib");
        let out = format!("/target/{TRIPLE}/release/build/a-1/out");
        let paths = [format!("native={out}"), "/usr/lib".into()];
        let paths = paths.each_ref().map(String::as_str);
        let lines = told("/project", &library, Some((&out, &["static=z"], &paths)));
        let of_host =
            told("/project", "/target/release/deps/liba.rlib", Some(("/target/release/build/a-2/out", &[], &[])));
        let messages = messages([lines, of_host].concat());
        let messages = messages.renamed(&[("/project", Path::new("/home/me/a")), ("/target", Path::new("/cache/t"))]);
        let renamed = format!("/cache/t/{TRIPLE}/release/build/a-1/out");
        let script = Script {
            libraries: vec!["static=z".into()],
            paths: vec![format!("native={renamed}"), "/usr/lib".into()],
            out: renamed.into(),
        };
        let expected = BTreeMap::from([("/home/me/a".into(), Compiled { linked: true, script: Some(script) })]);
        assert_eq!(messages.packages(TRIPLE), expected);
    }

    #[test]
    fn output_of_a_program_is_not_a_message() {
        let mut messages = Messages::default();
        for line in ["", "warning: unused", "{\"a\": 1}", "{\"reason\":\"compiler-artifact\"", "{\"reason\":1}"] {
            assert!(!messages.keep(line), "{line}");
        }
        assert!(messages.keep("{\"reason\":\"build-finished\",\"success\":true}"));
    }
}
