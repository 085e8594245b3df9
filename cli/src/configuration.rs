//! Cargo's configuration for a project. Cargo reads it from the project's directory; this program needs only the flags for
//! rustc, which it combines with its own, and the settings that contradict a static function.
//!
//! <https://doc.rust-lang.org/cargo/reference/config.html>

use std::path::{Path, PathBuf};
use std::{fs, process::Command};

use anyhow::{Context, Result, anyhow, bail, ensure};
use cargo_metadata::cargo_platform::{Cfg, Platform};
use toml::{Table, Value};

use crate::files::{At, identity};
use crate::{arch::Arch, cache::Cache, command::output, environment, rust::Rust, step::say};

/// The configuration files of a project, in its directory and the directories above.
#[derive(Default)]
pub struct Configuration {
    /// The files and their contents, the nearest to the project first.
    files: Vec<(PathBuf, Table)>,
}

impl Configuration {
    /// The files that cargo finds from this directory, except the one in cargo's home, which belongs to this machine and not
    /// to the project.
    pub fn of(directory: &Path) -> Result<Self> {
        let home = environment::cargo_home().ok().and_then(|home| home.canonicalize().ok());
        let directory = directory.canonicalize().at(directory)?;
        let mut files = Vec::new();
        for configuration in directory.ancestors().map(|directory| directory.join(".cargo")) {
            // Cargo prefers the older name if both exist.
            let path =
                ["config", "config.toml"].map(|name| configuration.join(name)).into_iter().find(|path| path.is_file());
            if let Some(path) = path.filter(|_| configuration.canonicalize().ok() != home) {
                read(&path, &[], &mut files)?;
            }
        }
        Ok(Self { files })
    }

    /// The merged configuration of the files above the workspace. The container does not have these files, but their settings
    /// must apply there too.
    pub fn above(&self, workspace: &Path) -> Result<Option<String>> {
        let mut merged = Table::new();
        for (path, table) in self.files.iter().rev().filter(|(path, _)| !path.starts_with(workspace)) {
            let directories = ["paths", "source", "patch"].into_iter().filter(|key| names_directory(table.get(*key)));
            if let Some(key) = directories.into_iter().next() {
                bail!(
                    "{}: {key} names a directory that is not in the container; move this setting to {}, and the directory into the \
                     workspace",
                    path.display(),
                    workspace.join(".cargo/config.toml").display()
                );
            }
            merge(&mut merged, table.clone());
        }
        merged.remove("include");
        Ok((!merged.is_empty()).then(|| merged.to_string()))
    }

    /// A value from the nearest file that contains it, and the path of that file.
    fn get(&self, keys: &[&str]) -> Option<(&Path, &Value)> {
        self.files.iter().find_map(|(path, table)| Some((path.as_path(), find(table, keys)?)))
    }

    /// The project's `build.target`, if it is set, and the path of the file that sets it.
    pub fn target(&self) -> Result<Option<(&Path, &str)>> {
        let Some((path, target)) = self.get(&["build", "target"]) else { return Ok(None) };
        let target = match target {
            Value::Array(list) if list.len() == 1 => &list[0],
            target => target,
        };
        let target = target.as_str().with_context(|| {
            format!("{}: build.target is {target}; expected the name of one target", path.display())
        })?;
        Ok(Some((path, target)))
    }

    /// The architecture of the project's target, for builds whose options name no architecture.
    pub fn arch(&self) -> Result<Option<Arch>> {
        let Some((path, target)) = self.target()? else { return Ok(None) };
        let arch = [Arch::X86_64, Arch::Arm64].into_iter().find(|arch| arch.triple() == target);
        arch.map(Some).with_context(|| {
            format!(
                "{}: build.target is {target}; expected {} or {}: change or remove the key, or name the architecture with \
                 --arch",
                path.display(),
                Arch::X86_64.triple(),
                Arch::Arm64.triple()
            )
        })
    }

    /// Prints a note for each setting that the build replaces with its own.
    pub fn say_what_does_not_count(&self, arch: Arch) {
        let keys = [
            &["build", "rustc-wrapper"][..],
            &["build", "rustc-workspace-wrapper"],
            &["target", arch.triple(), "linker"],
        ];
        for keys in keys {
            if let Some((path, _)) = self.get(keys) {
                say(&format!(
                    "note: {}: {} is ignored, because the build uses its own",
                    path.display(),
                    keys.join(".")
                ));
            }
        }
    }

    /// The project's flags for rustc, combined as cargo combines them for this target.
    pub fn rustflags(&self, arch: Arch, rust: &Rust) -> Result<Vec<String>> {
        let triple = arch.triple();
        let names_cfg = |(_, table): &(PathBuf, Table)| find(table, &["target"]).is_some_and(has_cfg);
        let cfg = match self.files.iter().any(names_cfg) {
            true => cfg_of(triple, rust)?,
            false => Vec::new(),
        };
        let (mut of_target, mut of_build) = (Vec::new(), Vec::new());
        // The nearest file comes last, so its flags take precedence.
        for (path, table) in self.files.iter().rev() {
            let targets = find(table, &["target"]).and_then(Value::as_table).into_iter().flatten();
            for (name, target) in targets {
                let is_of = name.parse::<Platform>().is_ok_and(|platform| platform.matches(triple, &cfg));
                if let Some(flags) = target.get("rustflags").filter(|_| is_of) {
                    of_target.extend(list(flags, path)?);
                }
            }
            if let Some(flags) = find(table, &["build", "rustflags"]) {
                of_build.extend(list(flags, path)?);
            }
        }
        let flags = if of_target.is_empty() { of_build } else { of_target };
        let files: Vec<_> = self.files.iter().map(|(path, _)| path.display().to_string()).collect();
        check(&flags).with_context(|| files.join(", "))?;
        Ok(flags)
    }
}

/// Reads a file and the files that it includes. Its `include` key is a path, or a list whose entries are paths or tables with a
/// path. Each path is relative to the file. The last included file takes precedence over the others, and the file itself over
/// all of them.
fn read(path: &Path, including: &[&Path], files: &mut Vec<(PathBuf, Table)>) -> Result<()> {
    ensure!(!including.contains(&path), "{} includes itself", path.display());
    let including = [including, &[path]].concat();
    let text = fs::read_to_string(path).at(path)?;
    let table: Table = toml::from_str(&text).map_err(|error| anyhow!("{}", error.message())).at(path)?;
    let included = match table.get("include").cloned() {
        Some(Value::Array(list)) => list,
        other => other.into_iter().collect(),
    };
    files.push((path.to_owned(), table));
    for value in included.iter().rev() {
        let named = value.get("path").unwrap_or(value).as_str();
        let named = named.with_context(|| format!("{}: include contains {value}; expected a path", path.display()))?;
        let file = path.parent().unwrap_or(Path::new("")).join(named);
        let is_optional = value.get("optional").and_then(Value::as_bool).unwrap_or(false);
        if file.is_file() || !is_optional {
            read(&file, &including, files)?;
        }
    }
    Ok(())
}

/// Whether a table of a configuration names a directory on this machine.
fn names_directory(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Table(table)) => table.iter().any(|(key, value)| {
            ["directory", "local-registry", "path"].contains(&&**key) || names_directory(Some(value))
        }),
        Some(Value::Array(list)) => !list.is_empty(),
        _ => false,
    }
}

/// Merges the table of a nearer file: lists are concatenated, and any other value of the nearer file wins.
fn merge(into: &mut Table, nearer: Table) {
    for (key, value) in nearer {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(value)) => merge(into, value),
            (Some(Value::Array(into)), Value::Array(value)) => into.extend(value),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

/// Cargo's home and its configuration. Settings for the sources of crates apply; the others would affect the function's bytes
/// and are left out.
pub struct Home {
    /// The directory where cargo keeps its downloads.
    pub directory: PathBuf,
    /// The part of the configuration that applies; `None` if nothing is left out.
    pub counts: Option<String>,
    /// The keys that are left out.
    pub left_out: Vec<String>,
}

/// The tables that the build keeps from the configuration in cargo's home, and the keys that it keeps from the `build` table.
const OF_HOME: [&str; 8] = ["cache", "credential-alias", "http", "net", "registries", "registry", "source", "term"];
const OF_BUILD: [&str; 2] = ["jobs", "target-dir"];

impl Home {
    pub fn of_this_machine() -> Result<Self> {
        let directory = environment::cargo_home()?;
        let path = ["config", "config.toml"].map(|name| directory.join(name)).into_iter().find(|path| path.is_file());
        let Some(path) = path else { return Ok(Self { directory, counts: None, left_out: Vec::new() }) };
        let text = fs::read_to_string(&path).at(&path)?;
        let mut table: Table = toml::from_str(&text).map_err(|error| anyhow!("{}", error.message())).at(&path)?;
        let left_out = leave_out(&mut table);
        Ok(Self { directory, counts: (!left_out.is_empty()).then(|| table.to_string()), left_out })
    }

    /// A home with only the configuration that applies: cargo's home itself, or a directory in the cache with links to the rest
    /// of cargo's home.
    pub fn prepare(&self, cache: &Cache) -> Result<PathBuf> {
        let Some(text) = &self.counts else { return Ok(self.directory.clone()) };
        say(&format!(
            "note: these settings of cargo in {} are ignored, because the zip depends only on the sources: {}",
            self.directory.display(),
            self.left_out.join(" ")
        ));
        // The downloads are shared, and so are the locks that protect them.
        for name in ["registry", "git"] {
            fs::create_dir_all(self.directory.join(name)).at(&self.directory)?;
        }
        for name in [".package-cache", ".package-cache-mutate"] {
            let lock = self.directory.join(name);
            fs::File::options().create(true).append(true).open(&lock).at(&lock)?;
        }
        let shared = ["registry", "git", ".package-cache", ".package-cache-mutate", "credentials", "credentials.toml"];
        let shared = shared.into_iter().filter(|name| self.directory.join(name).exists());
        let shared: Vec<&str> = shared.collect();
        let parts = [text.as_bytes(), self.directory.as_os_str().as_encoded_bytes()];
        let name = identity(parts.into_iter().chain(shared.iter().map(|name| name.as_bytes())));
        cache.entry(&format!("cargo-home/{name}"), |directory| {
            for name in &shared {
                std::os::unix::fs::symlink(self.directory.join(name), directory.join(name)).at(directory)?;
            }
            fs::write(directory.join("config.toml"), text).at(directory)
        })
    }
}

/// Removes the keys that would affect the function, and returns their names.
fn leave_out(table: &mut Table) -> Vec<String> {
    let mut left_out = Vec::new();
    table.retain(|key, value| {
        let counts = OF_HOME.contains(&key);
        match value.as_table_mut().filter(|_| !counts) {
            Some(build) if key == "build" => {
                let foreign: Vec<String> = build.keys().filter(|key| !OF_BUILD.contains(&&***key)).cloned().collect();
                foreign.iter().for_each(|key| drop(build.remove(key)));
                left_out.extend(foreign.into_iter().map(|key| format!("build.{key}")));
                true
            }
            Some(table) if !table.is_empty() => {
                left_out.extend(table.keys().map(|name| format!("{key}.{name}")));
                false
            }
            _ => {
                left_out.extend((!counts).then(|| key.to_owned()));
                counts
            }
        }
    });
    left_out
}

fn find<'a>(table: &'a Table, keys: &[&str]) -> Option<&'a Value> {
    let (first, rest) = keys.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(*key))
}

fn has_cfg(targets: &Value) -> bool {
    targets.as_table().is_some_and(|targets| targets.keys().any(|name| name.starts_with("cfg(")))
}

/// The cfg values that rustc reports for a target.
fn cfg_of(triple: &str, rust: &Rust) -> Result<Vec<Cfg>> {
    let printed = output(Command::new(rust.bin.join("rustc")).args(["--print", "cfg", "--target", triple]))?;
    Ok(printed.lines().filter_map(|line| line.parse().ok()).collect())
}

/// The flags in a value, which is a string or a list of strings.
fn list(flags: &Value, path: &Path) -> Result<Vec<String>> {
    let list = match flags {
        Value::String(text) => Some(text.split_whitespace().map(Into::into).collect()),
        Value::Array(list) => list.iter().map(|flag| Some(flag.as_str()?.to_owned())).collect(),
        _ => None,
    };
    list.with_context(|| format!("{}: rustflags is {flags}; expected a string or a list of strings", path.display()))
}

/// Fails if a flag contradicts what a function must be: static, compiled for Lambda's processors, and independent of the
/// build machine.
fn check(flags: &[String]) -> Result<()> {
    // `-C name=value` can be one argument or two.
    let joined = flags.join("\x1f").replace("-C\x1f", "-C").replace("--codegen\x1f", "-C").replace("--codegen=", "-C");
    for flag in joined.split('\x1f').filter_map(|flag| flag.strip_prefix("-C")) {
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        let reason = match (&*name.replace('_', "-"), value) {
            ("target-feature", value) if value.split(',').any(|feature| feature == "-crt-static") => {
                "a function is linked statically"
            }
            ("prefer-dynamic", value) if !["no", "n", "off", "false"].contains(&value) => {
                "a function is linked statically"
            }
            ("relocation-model", value) if value != "pic" && value != "pie" => "a function is a static-pie",
            ("linker" | "linker-flavor" | "link-self-contained", _) => "the build chooses the linker",
            ("target-cpu", "native") => {
                "the function would depend on the machine that builds it, so name a processor instead, such as x86-64-v3 or \
                 neoverse-n1"
            }
            _ => continue,
        };
        bail!(
            "rustflags contains -C {flag}: {reason}; remove this flag for {} and {}",
            Arch::X86_64.triple(),
            Arch::Arm64.triple()
        );
    }
    let target = flags.iter().find(|flag| flag.starts_with("--target"));
    ensure!(target.is_none(), "rustflags contains --target; choose the architecture with --arch");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[&str]) -> Configuration {
        let table = |text: &&str| ("/fn/.cargo/config.toml".into(), toml::from_str(text).unwrap());
        Configuration { files: files.iter().map(table).collect() }
    }

    #[test]
    fn the_flags_of_the_nearest_file_come_last_and_flags_for_a_target_replace_those_for_the_build() {
        let rust = Rust::for_tests();
        let near = "[build]\nrustflags = '--cfg near'\n";
        let far = "[build]\nrustflags = ['--cfg', 'far']\n";
        let flags = |files: &[&str]| of(files).rustflags(Arch::X86_64, &rust).unwrap().join(" ");
        assert_eq!(flags(&[near, far]), "--cfg far --cfg near");
        let target = "[target.x86_64-unknown-linux-musl]\nrustflags = ['-Ctarget-cpu=x86-64-v3']\n";
        assert_eq!(flags(&[near, target]), "-Ctarget-cpu=x86-64-v3");
        assert_eq!(flags(&["[target.aarch64-unknown-linux-musl]\nrustflags = ['-g']"]), "");
    }

    #[test]
    fn a_file_takes_precedence_over_the_files_that_it_includes() {
        let directory = tempfile::tempdir().unwrap();
        let cargo = directory.path().join(".cargo");
        fs::create_dir(&cargo).unwrap();
        let write = |name: &str, text: &str| fs::write(cargo.join(name), text).unwrap();
        let include = "include = ['a.toml', { path = 'b.toml' }, { path = 'none.toml', optional = true }]";
        write("config.toml", &format!("{include}\n[build]\nrustflags = ['own']\n"));
        write("a.toml", "[build]\nrustflags = ['a']\n");
        write("b.toml", "[build]\nrustflags = ['b']\n");
        let rust = Rust::for_tests();
        let flags = || Configuration::of(directory.path())?.rustflags(Arch::X86_64, &rust);
        assert_eq!(flags().unwrap(), ["a", "b", "own"]);
        write("b.toml", "include = 'config.toml'");
        assert!(flags().unwrap_err().to_string().contains("includes itself"));
    }

    #[test]
    fn flags_that_contradict_a_static_function_are_named_with_the_reason() {
        for (flags, reason) in [
            ("-C target-feature=+aes,-crt-static", "linked statically"),
            ("-Cprefer-dynamic", "linked statically"),
            ("--codegen relocation-model=static", "static-pie"),
            ("-C linker=clang", "chooses the linker"),
            ("-Ctarget-cpu=native", "depend on the machine"),
            ("--target x86_64-unknown-linux-gnu", "--arch"),
        ] {
            let list: Vec<String> = flags.split(' ').map(Into::into).collect();
            let error = check(&list).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        check(&["-Ctarget-feature=+crt-static,+aes".into(), "-Cprefer-dynamic=no".into()]).unwrap();
    }

    #[test]
    fn only_settings_about_the_sources_of_crates_apply_from_cargos_home() {
        let text = "[build]\njobs = 2\nrustc-wrapper = 'sccache'\n[net]\noffline = true\n[env]\nA = '1'\n[alias]\nb = 'build'\n";
        let mut table: Table = toml::from_str(text).unwrap();
        let mut left_out = leave_out(&mut table);
        left_out.sort();
        assert_eq!(left_out, ["alias.b", "build.rustc-wrapper", "env.A"]);
        assert_eq!(table, toml::from_str("[build]\njobs = 2\n[net]\noffline = true\n").unwrap());
    }

    #[test]
    fn above_the_workspace_the_nearer_file_wins_and_a_directory_is_an_error() {
        let table = |text: &str| toml::from_str(text).unwrap();
        let files = |texts: [&str; 3]| Configuration {
            files: ["/a/b/.cargo/config.toml", "/a/.cargo/config.toml", "/.cargo/config.toml"]
                .into_iter()
                .zip(texts)
                .map(|(path, text)| (path.into(), table(text)))
                .collect(),
        };
        let merged = files(["[env]\nA = 'project'", "[env]\nA = 'near'", "[env]\nA = 'far'\nB = 'far'"]);
        let above = merged.above(Path::new("/a/b")).unwrap().unwrap();
        assert_eq!(table(&above), table("[env]\nA = 'near'\nB = 'far'"));
        assert_eq!(files(["[env]\nA = 'project'", "", ""]).above(Path::new("/a/b")).unwrap(), None);
        let vendored = files(["", "[source.vendored]\ndirectory = 'vendor'", ""]).above(Path::new("/a/b"));
        assert!(vendored.unwrap_err().to_string().contains("/a/.cargo/config.toml: source names a directory"));
    }

    #[test]
    fn a_lambda_target_sets_the_architecture_and_any_other_target_is_an_error() {
        assert_eq!(of(&["[build]\ntarget = 'aarch64-unknown-linux-musl'"]).arch().unwrap(), Some(Arch::Arm64));
        assert_eq!(of(&["[build]\njobs = 1"]).arch().unwrap(), None);
        for text in ["[build]\ntarget = 'x86_64-unknown-linux-gnu'", "[build]\ntarget = ['a', 'b']"] {
            assert!(format!("{:#}", of(&[text]).arch().unwrap_err()).contains("/fn/.cargo/config.toml"));
        }
    }
}
