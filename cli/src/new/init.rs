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

/// The dependencies of an example that a call of the runtime may need.
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
    let directory = &function.directory;
    let mut manifest = Manifest::read(directory.join("Cargo.toml"))?;
    let dependencies = template.kind.dependencies(&template.runtime);
    // Each line is inserted before the previous one.
    for (name, line) in dependencies.iter().rev().filter(|(name, _)| CALLED.contains(name)) {
        manifest.depend(name, line, &mut report);
    }
    let root = function.workspace.join("Cargo.toml");
    match function.workspace == *directory {
        true => manifest.add("profile.release", PROFILE, &mut report),
        false if Manifest::read(root.clone())?.has("profile.release") => {}
        false => report.by_hand(&root, "a profile for small binaries", PROFILE),
    }
    manifest.add("package.metadata.lambda-musl", &template.fill(METADATA), &mut report);
    manifest.write(&mut report)?;
    for (name, text) in template.company() {
        let path = directory.join(name);
        let is_above = |name: &str| directory.ancestors().any(|above| above.join(name).exists());
        match name {
            WORKFLOW if repository(directory).is_some() => {
                report.leave(&path, "GitHub reads workflows only in the root of a repository");
            }
            "rust-toolchain.toml" if is_above(name) || is_above("rust-toolchain") => {
                report.leave(&path, "one exists already");
            }
            _ if path.exists() => complete(&path, &text, &mut report)?,
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
    report.print(directory);
    if let Some(fault) = template.runtime.fault() {
        say(&format!("note: {fault}"));
    }
    Ok(())
}

/// Reports the lines that an existing file lacks and needs.
fn complete(path: &Path, text: &str, report: &mut Report) -> Result<()> {
    let own = fs::read_to_string(path).at(path)?;
    let needed = match path.file_name().and_then(|name| name.to_str()) {
        Some(".gitignore") => text.lines().filter(|line| !own.lines().any(|other| same(other, line))).collect(),
        Some("Makefile") if !own.contains("build-Function:") => vec![text.trim_end()],
        _ => Vec::new(),
    };
    match needed.is_empty() {
        true => report.leave(path, "it exists already"),
        false => report.by_hand(path, "these lines", &needed.join("\n")),
    }
    Ok(())
}

/// Whether two lines of a .gitignore name the same directory.
fn same(one: &str, other: &str) -> bool {
    one.trim().trim_matches('/') == other.trim_matches('/')
}

/// A Cargo.toml that gets missing entries. Its existing text is not changed.
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

    /// Whether it contains a table or a key.
    fn has(&self, path: &str) -> bool {
        let mut keys = path.split('.');
        let first = keys.next().unwrap_or_default();
        let table = self.table();
        keys.try_fold(table.get(first), |value, key| value.map(|value| value.get(key))).flatten().is_some()
    }

    /// Adds a line to the dependencies. For an existing dependency, reports the features to add by hand.
    fn depend(&mut self, name: &str, line: &str, report: &mut Report) {
        let key = format!("dependencies.{name}");
        if self.has(&key) {
            if line.contains("features") {
                report.by_hand(&self.path, "the missing ones of these features", line);
            }
            return;
        }
        let header = "[dependencies]";
        let end = self.text.lines().scan(0, |at, line| {
            let start = *at;
            *at += line.len() + 1;
            Some((line.split('#').next().is_some_and(|line| line.trim() == header), start + line.len()))
        });
        let end = end.filter(|(is_header, _)| *is_header).map(|(_, end)| end).next();
        let text = match end {
            Some(end) => format!("{}\n{line}{}", &self.text[..end], &self.text[end..]),
            None => format!("{}\n\n{header}\n{line}\n", self.text.trim_end()),
        };
        self.take(text, &key, line, report);
    }

    /// Adds a table at the end.
    fn add(&mut self, path: &str, table: &str, report: &mut Report) {
        if !self.has(path) {
            let text = format!("{}\n\n{table}", self.text.trim_end());
            self.take(text, path, table, report);
        }
    }

    /// Replaces the text, unless the new one does not parse with the added entry.
    fn take(&mut self, text: String, path: &str, added: &str, report: &mut Report) {
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
        write_whole(&self.path, self.text.as_bytes())?;
        report.wrote(&self.path);
        Ok(())
    }
}

/// The files that were written and left unchanged, and the changes to make by hand.
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
