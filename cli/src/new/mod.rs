//! `new`: creates a package that can be built, tested, run and deployed without changes.

pub mod init;
mod kind;
mod name;
mod runtime;
mod workspace;

use std::path::{Path, PathBuf};
use std::{fs, io::ErrorKind};

use anyhow::{Context, Error, Result, bail};

use crate::command::{find, output, quoted};
use crate::files::At;
use crate::options::Purpose;
use crate::step::{Step, say};
use crate::{cache::Cache, interrupt, options, rust::Rust};
use kind::Kind;
use runtime::{REPOSITORY, Runtime};
use workspace::Above;

const PROFILE: &str = include_str!("template/profile.toml");
const METADATA: &str = include_str!("template/metadata.toml");
const WORKFLOW: &str = ".github/workflows/ci.yml";

pub fn run(options: options::New) -> Result<()> {
    let options::New { name, dir, purpose } = options;
    let dir = dir.unwrap_or_else(|| PathBuf::from(&name));
    let template = Template::of(&name, &purpose)?;
    let dependencies = template.kind.dependencies(&template.runtime);
    name::check(&name, &dependencies.iter().map(|(name, _)| *name).collect::<Vec<_>>())?;
    let directory = resolved(&dir)?;
    check_free(&directory)?;
    let above = workspace::above(&directory)?;
    let parent = directory.parent().unwrap_or(Path::new("/"));
    let unwritable = || format!("{}: expected a writable directory for {name}", parent.display());
    // Create the package in a temporary directory first, so that an interruption leaves no incomplete package.
    let work = tempfile::Builder::new().prefix(&format!(".{name}.")).tempdir_in(parent).with_context(unwritable)?;
    let package = work.path().join(&name);
    let files = template.package(&above);
    let repository = repository(&directory);
    for (path, text) in files.iter().filter(|(path, _)| *path != WORKFLOW || repository.is_none()) {
        let path = package.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&package)).at(&path)?;
        fs::write(&path, text).at(&path)?;
    }
    let unlocked = match &above {
        Above::Member(_) => None,
        _ if template.runtime.is_placeholder() => Some(None),
        _ => lock(&package).err().map(Some),
    };
    interrupt::check()?;
    place(&package, &directory)?;
    println!("{}: a function that {}", dir.display(), template.kind.does);
    println!("{}", template.steps(&dir));
    template.notes(&above, repository.as_deref(), unlocked);
    Ok(())
}

/// The path of a directory that may not exist yet, without links and `..`.
fn resolved(dir: &Path) -> Result<PathBuf> {
    let directory = std::path::absolute(dir).at(dir)?;
    Ok(fs::canonicalize(&directory).unwrap_or_else(|_| {
        match (directory.parent().map(fs::canonicalize), directory.file_name()) {
            (Some(Ok(parent)), Some(name)) => parent.join(name),
            _ => directory,
        }
    }))
}

/// Moves the package to its location. An empty directory that exists is kept, because it may be somebody's current directory.
fn place(package: &Path, directory: &Path) -> Result<()> {
    check_free(directory)?;
    if !directory.exists() {
        return fs::rename(package, directory).at(directory);
    }
    let mut names: Vec<_> = fs::read_dir(package).at(package)?.flatten().map(|entry| entry.file_name()).collect();
    // Move Cargo.toml last: without it, the directory is not a package.
    names.sort_by_key(|name| name == "Cargo.toml");
    names.iter().try_for_each(|name| fs::rename(package.join(name), directory.join(name)).at(directory))
}

/// Fails if the new directory cannot be created.
fn check_free(directory: &Path) -> Result<()> {
    let shown = directory.display();
    match fs::read_dir(directory) {
        Ok(mut entries) => match entries.next() {
            Some(_) => bail!("{shown} is not empty; expected a new directory (for an existing package, use `init`)"),
            None => Ok(()),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => match directory.parent().is_none_or(Path::is_dir) {
            true => Ok(()),
            false => bail!("{shown}: its parent directory does not exist"),
        },
        Err(error) => Err(error).with_context(|| format!("{shown}: expected a new directory")),
    }
}

/// Writes the lock file.
fn lock(package: &Path) -> Result<()> {
    let rust = Rust::of(package, &Cache::open()?)?;
    let step = Step::begin("resolving the versions of crates");
    let mut cargo = rust.program("cargo")?;
    output(cargo.args(["generate-lockfile", "--quiet"]).current_dir(package))?;
    step.done();
    Ok(())
}

/// The repository that contains a directory, unless the directory is the repository's root.
fn repository(directory: &Path) -> Option<PathBuf> {
    directory.ancestors().skip(1).find(|above| above.join(".git").exists()).map(Into::into)
}

/// The template of a package.
struct Template {
    name: String,
    arch: &'static str,
    kind: &'static Kind,
    runtime: Runtime,
}

impl Template {
    fn of(name: &str, purpose: &Purpose) -> Result<Self> {
        let (kind, runtime) = (Kind::of(purpose), Runtime::named(purpose.runtime.as_deref())?);
        Ok(Self { name: name.into(), arch: purpose.arch.unwrap_or_default().name(), kind, runtime })
    }

    /// All files of a package.
    fn package(&self, above: &Above) -> Vec<(&'static str, String)> {
        let mut manifest = self.kind.manifest(&self.name, &self.runtime);
        manifest += &format!("\n{}", self.fill(METADATA));
        match above {
            // The profiles of the workspace apply.
            Above::Member(_) => {}
            Above::Nothing => manifest += &format!("\n{PROFILE}"),
            Above::Stranger(_) => {
                manifest += &format!("\n{PROFILE}\n# Not a member of the workspace above this package.\n[workspace]\n");
            }
        }
        let own = [("Cargo.toml", manifest), ("src/main.rs", self.kind.code.into())];
        own.into_iter().chain(self.company()).collect()
    }

    /// The files other than the manifest and the code.
    fn company(&self) -> [(&'static str, String); 7] {
        [
            ("rust-toolchain.toml", include_str!("../../../rust-toolchain.toml").into()),
            (".gitignore", include_str!("template/gitignore").into()),
            ("template.yaml", self.fill(include_str!("template/template.yaml")) + self.kind.resources),
            ("Makefile", include_str!("template/Makefile").into()),
            ("samconfig.toml", include_str!("template/samconfig.toml").into()),
            (WORKFLOW, self.fill(include_str!("template/ci.yml"))),
            ("README.md", self.fill(include_str!("template/README.md"))),
        ]
    }

    fn fill(&self, text: &str) -> String {
        let repository = match &self.runtime {
            Runtime::Git(url) => url,
            Runtime::Path(_) => REPOSITORY,
        };
        [
            ("{name}", &*self.name),
            ("{arch}", self.arch),
            ("{event}", self.kind.event),
            ("{url}", if self.kind.is_http() { " --url iam" } else { "" }),
            ("{repository}", repository),
            ("{version}", env!("CARGO_PKG_VERSION")),
        ]
        .into_iter()
        .fold(text.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
    }

    /// The next commands, as a user would type them here.
    fn steps(&self, dir: &Path) -> String {
        let (dir, event) = (quoted(&dir.to_string_lossy()), self.kind.event);
        if find("cargo-lambda-musl").is_some() {
            let dev = if self.kind.is_http() { "\n  cargo lambda-musl dev" } else { "" };
            return format!("  cd {dir}\n  cargo test\n  cargo lambda-musl invoke {event}{dev}");
        }
        let event = event.trim_start_matches("--").replacen(' ', "=", 1);
        let (variable, value) = event.split_once('=').unwrap_or_default();
        format!("  make invoke CRATE={dir} OUT={dir}/dist {}={value}", variable.to_uppercase())
    }

    /// Prints notes about results that may be unexpected.
    fn notes(&self, above: &Above, repository: Option<&Path>, unlocked: Option<Option<Error>>) {
        if let Above::Member(root) = above {
            say(&format!(
                "note: the package is a member of the workspace {}, whose profiles apply; `cargo update --workspace` \
                 adds it to the lock file",
                root.display()
            ));
        }
        if let Some(repository) = repository {
            say(&format!(
                "note: {WORKFLOW} was not created, because GitHub reads workflows only in the root of a repository: {}",
                repository.display()
            ));
        }
        if let Some(fault) = self.runtime.fault() {
            say(&format!("note: {fault}"));
        }
        if let Some(why) = unlocked {
            // Cargo's last line names the cause, unless that line is about an option that this program added.
            let text = why.map(|error| format!("{error:#}")).unwrap_or_default();
            let cause = text.lines().rfind(|line| !line.contains("--offline"));
            let cause = cause.map(|line| format!(": {}", line.trim())).unwrap_or_default();
            let condition = match &self.runtime {
                Runtime::Git(url) => {
                    let tag = env!("CARGO_PKG_VERSION");
                    format!(" if {url} has the tag v{tag}; otherwise, name a clone with --runtime DIR")
                }
                Runtime::Path(_) => String::new(),
            };
            say(&format!("note: Cargo.lock was not created{cause}; the first `build` creates it{condition}"));
        }
    }
}
