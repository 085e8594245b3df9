//! `init`: adds the files that `new` creates to an existing package, without overwriting any.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml::Table;

use super::{METADATA, PROFILE, Template, WORKFLOW, repository};
use crate::cache::{Cache, write_whole};
use crate::command::find;
use crate::files::At;
use crate::options::{self, Source};
use crate::project::Function;
use crate::rust::Rust;
use crate::step::say;

/// The examples' dependencies that a call of the runtime may need.
const CALLED: [&str; 4] = ["aws_lambda_events", "axum", "lambda-musl", "tokio"];

pub fn run(options: options::Init) -> Result<()> {
    let options::Init { krate, purpose } = options;
    let mut source = Source::of(&krate);
    source.selection.bins = true;
    crate::project::manifest(&source)?;
    let rust = Rust::of(&krate, &Cache::open()?)?;
    // Fails if the package has no binary.
    let functions = Function::all(&source, &rust)?;
    let function = functions.first().context("no binary target")?;
    let template = Template::of(&function.name, &purpose)?;
    let mut report = Report::default();
    let added = add(function, &template, &mut report);
    report.print(&function.directory);
    added?;
    if let Some(fault) = template.runtime.fault() {
        say(&format!("note: {fault}"));
    }
    Ok(())
}

/// Adds what is missing, up to the first error.
fn add(function: &Function, template: &Template, report: &mut Report) -> Result<()> {
    let directory = &function.directory;
    let mut manifest = Manifest::read(directory.join("Cargo.toml"))?;
    let dependencies = template.kind.dependencies(&template.runtime);
    // The order is reversed, because each line is inserted before the previous one.
    for (name, line) in dependencies.iter().rev().filter(|(name, _)| CALLED.contains(name)) {
        manifest.depend(name, line, report);
    }
    let root = function.workspace.join("Cargo.toml");
    match function.workspace == *directory {
        true => manifest.add("profile.release", PROFILE, report),
        false if Manifest::read(root.clone())?.has("profile.release") => {}
        false => report.by_hand(&root, "a profile for small binaries", PROFILE),
    }
    manifest.add("package.metadata.lambda-musl", &template.fill(METADATA), report);
    manifest.write(report)?;
    for (name, text) in template.company() {
        let path = directory.join(name);
        let is_above = |name: &str| directory.ancestors().any(|above| above.join(name).exists());
        match name {
            WORKFLOW if repository(directory).is_some() => {
                report.leave(&path, "GitHub reads workflows only in the root of a repository");
            }
            "rust-toolchain.toml" if is_above(name) || is_above("rust-toolchain") => {
                report.leave(&path, "a toolchain file exists already");
            }
            // A link to a missing file counts as an existing file.
            _ if path.symlink_metadata().is_ok() => complete(&path, &text, report),
            _ => {
                write_whole(&path, text.as_bytes())?;
                report.wrote(&path);
            }
        }
    }
    let calls = fs::read_dir(directory.join("src")).into_iter().flatten().flatten();
    let is_call = |path: PathBuf| fs::read_to_string(path).is_ok_and(|text| text.contains("lambda_musl::"));
    if !calls.into_iter().any(|entry| is_call(entry.path())) {
        report.by_hand(
            &directory.join("src/main.rs"),
            "a call of the runtime, such as this one,",
            template.kind.main(),
        );
    }
    Ok(())
}

/// Reports the lines that an existing file needs but lacks.
fn complete(path: &Path, text: &str, report: &mut Report) {
    // A file that is not text lacks all lines.
    let own = || fs::read_to_string(path).unwrap_or_default();
    let needed = match path.file_name().and_then(|name| name.to_str()) {
        Some(".gitignore") => {
            let own = own();
            text.lines().filter(|line| !own.lines().any(|other| same(other, line))).collect()
        }
        Some("Makefile") if !own().contains("build-Function:") => vec![text.trim_end()],
        _ => Vec::new(),
    };
    match needed.is_empty() {
        true => report.leave(path, "it exists already"),
        false => report.by_hand(path, "these lines", &needed.join("\n")),
    }
}

/// Whether two lines of a .gitignore name the same directory.
fn same(one: &str, other: &str) -> bool {
    one.trim().trim_matches('/') == other.trim_matches('/')
}

/// A Cargo.toml to which missing entries are added, with the file's own line endings. The existing text is not changed.
struct Manifest {
    path: PathBuf,
    before: String,
    text: String,
}

impl Manifest {
    fn read(path: PathBuf) -> Result<Self> {
        let text = fs::read_to_string(&path).at(&path)?;
        Ok(Self { path, before: text.clone(), text })
    }

    fn table(&self) -> Table {
        toml::from_str(&self.text).unwrap_or_default()
    }

    /// Whether the manifest contains a table or a key.
    fn has(&self, path: &str) -> bool {
        let mut keys = path.split('.');
        let first = keys.next().unwrap_or_default();
        let table = self.table();
        keys.try_fold(table.get(first), |value, key| value.map(|value| value.get(key))).flatten().is_some()
    }

    /// Adds a line to the dependencies. For an existing dependency, reports the features to add by hand.
    fn depend(&mut self, name: &str, line: &str, report: &mut Report) {
        let key = format!("dependencies.{name}");
        if self.has(&key) || self.has_renamed(name) {
            if line.contains("features") {
                report.by_hand(&self.path, "the missing ones of these features", line);
            }
            return;
        }
        let mut end = 0;
        let header = self.text.split_inclusive('\n').find(|line| {
            end += line.len();
            is_dependencies(line)
        });
        let text = match header {
            Some(_) => format!("{}{line}\n{}", &self.text[..end], &self.text[end..]),
            None => format!("{}\n\n[dependencies]\n{line}\n", self.text.trim_end()),
        };
        self.take(text, &key, line, report);
    }

    /// Whether a package is a dependency under a different name.
    fn has_renamed(&self, package: &str) -> bool {
        let table = self.table();
        let dependencies = table.get("dependencies").and_then(toml::Value::as_table).into_iter().flatten();
        dependencies.into_iter().any(|(_, value)| value.get("package").and_then(toml::Value::as_str) == Some(package))
    }

    /// Adds a table at the end.
    fn add(&mut self, path: &str, table: &str, report: &mut Report) {
        if !self.has(path) {
            let text = format!("{}\n\n{table}", self.text.trim_end());
            self.take(text, path, table, report);
        }
    }

    /// Replaces the text if the new text parses and contains the added entry. Otherwise, reports the entry to add by
    /// hand.
    fn take(&mut self, text: String, path: &str, added: &str, report: &mut Report) {
        let text = match self.before.contains("\r\n") {
            true => text.replace("\r\n", "\n").replace('\n', "\r\n"),
            false => text,
        };
        let before = std::mem::replace(&mut self.text, text);
        if !self.has(path) {
            self.text = before;
            report.by_hand(&self.path, "these lines, which could not be inserted,", added);
        }
    }

    fn write(self, report: &mut Report) -> Result<()> {
        if self.text == self.before {
            report.leave(&self.path, "nothing is missing");
            return Ok(());
        }
        // If the manifest is a link, write the file that it points to. Keep the permissions.
        let file = fs::canonicalize(&self.path).at(&self.path)?;
        let permissions = fs::metadata(&file).at(&file)?.permissions();
        write_whole(&file, self.text.as_bytes())?;
        fs::set_permissions(&file, permissions).at(&file)?;
        report.wrote(&self.path);
        Ok(())
    }
}

fn is_dependencies(line: &str) -> bool {
    let header = line.split('#').next().unwrap_or_default().trim();
    header
        .strip_prefix('[')
        .and_then(|header| header.strip_suffix(']'))
        .is_some_and(|name| name.trim() == "dependencies")
}

/// The files that were written, the files that were left unchanged, and the changes to make by hand.
#[derive(Default)]
struct Report {
    wrote: Vec<PathBuf>,
    left: Vec<(PathBuf, &'static str)>,
    by_hand: Vec<(PathBuf, &'static str, String)>,
}

impl Report {
    fn wrote(&mut self, path: &Path) {
        self.wrote.push(path.into());
    }

    fn leave(&mut self, path: &Path, why: &'static str) {
        self.left.push((path.into(), why));
    }

    fn by_hand(&mut self, path: &Path, what: &'static str, text: &str) {
        self.by_hand.push((path.into(), what, text.into()));
    }

    fn print(&self, directory: &Path) {
        let shown = |path: &Path| path.strip_prefix(directory).unwrap_or(path).display().to_string();
        for path in &self.wrote {
            println!("wrote {}", shown(path));
        }
        for (path, why) in &self.left {
            println!("left {} unchanged: {why}", shown(path));
        }
        for (path, what, text) in &self.by_hand {
            let text: String = text.lines().map(|line| format!("  {line}\n")).collect();
            print!("add {what} to {} by hand:\n{text}", shown(path));
        }
        if find("cargo-lambda-musl").is_some() {
            println!("next: cargo lambda-musl build");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> Manifest {
        Manifest { path: "Cargo.toml".into(), before: text.into(), text: text.into() }
    }

    #[test]
    fn a_dependency_is_added_after_the_header_and_the_rest_is_unchanged() {
        let mut report = Report::default();
        let mut own = manifest("[package]\nname = 'x'\n\n[dependencies] # own\na = '1' # kept\n");
        own.depend("b", "b = \"2\"", &mut report);
        own.depend("a", "a = \"3\"", &mut report);
        assert_eq!(own.text, "[package]\nname = 'x'\n\n[dependencies] # own\nb = \"2\"\na = '1' # kept\n");
        // An inline table cannot be extended.
        let mut closed = manifest("dependencies = { a = '1' }\n");
        closed.depend("b", "b = \"2\"", &mut report);
        assert_eq!((closed.text.as_str(), report.by_hand.len()), (closed.before.as_str(), 1));
        let mut own = manifest("[package]\nname = 'x'");
        own.depend("b", "b = \"2\"", &mut report);
        assert_eq!(own.text, "[package]\nname = 'x'\n\n[dependencies]\nb = \"2\"\n");
        assert_eq!(report.by_hand.len(), 1);
    }

    #[test]
    fn added_lines_have_the_line_endings_of_the_file() {
        let mut report = Report::default();
        let mut own = manifest("[package]\r\nname = 'é'\r\n\r\n[ dependencies ]\r\na = '1'\r\n");
        own.depend("b", "b = \"2\"", &mut report);
        own.add("profile.release", "[profile.release]\nlto = true\n", &mut report);
        let expected = "[package]\r\nname = 'é'\r\n\r\n[ dependencies ]\r\nb = \"2\"\r\na = '1'\r\n\r\n[profile.release]\r\nlto = true\r\n";
        assert_eq!(own.text, expected);
        assert!(report.by_hand.is_empty());
    }

    #[test]
    fn a_dependency_under_another_name_is_not_added_again() {
        let mut own = manifest("[dependencies]\nruntime = { package = 'lambda-musl', version = '1' }\n");
        own.depend("lambda-musl", "lambda-musl = \"1\"", &mut Report::default());
        assert_eq!(own.text, own.before);
    }

    #[test]
    fn a_table_is_added_unless_it_exists_in_any_form() {
        let mut report = Report::default();
        for text in
            ["[profile.release]\nlto = true\n", "[profile]\nrelease = { lto = true }\n", "profile.release.lto = true\n"]
        {
            let mut own = manifest(text);
            own.add("profile.release", PROFILE, &mut report);
            assert_eq!(own.text, text);
        }
        let mut own = manifest("[profile.dev]\ndebug = false\n");
        own.add("profile.release", PROFILE, &mut report);
        assert_eq!(own.text, format!("[profile.dev]\ndebug = false\n\n{PROFILE}"));
        let mut closed = manifest("profile = { dev = { debug = false } }\n");
        closed.add("profile.release", PROFILE, &mut report);
        assert_eq!((closed.text.as_str(), report.by_hand.len()), (closed.before.as_str(), 1));
    }
}
