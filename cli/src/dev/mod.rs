//! `dev`: compiles functions for this machine, serves them, and recompiles them when their sources are saved.

mod build;
mod clock;
pub mod found;
mod front;
mod function;
mod process;
mod report;
mod runtime_api;
mod saved;
mod url;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use hyper::body::Bytes;
use serde::de::IgnoredAny;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::build::{Builder, Built};
use self::found::{Directory, Server};
use self::front::Front;
use self::function::{Function, Invocation, LONGEST, Settings, new_id, new_trace};
use self::report::{Record, Report, Served};
use self::saved::Saved;
use self::watch::Watch;
use crate::invoke::LONGEST_PAYLOAD;
use crate::{cache::Cache, doctor, env_file, files::read_regular, interrupt, options, project, rust::Rust};

/// How long to wait after the last saved file before compiling, because editors may write several files.
const QUIET: Duration = Duration::from_millis(100);

/// Lambda's default timeout.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Lambda's default memory size in megabytes.
const MEMORY: u64 = 128;

pub fn run(options: options::Dev) -> Result<()> {
    doctor::require(&[doctor::CC, doctor::RUSTUP])?;
    let cache = Cache::open()?;
    let rust = Rust::of(&options.selection.krate, &cache)?;
    let functions = project::Function::served(&options.selection, &rust)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async { Dev::start(options, functions, rust, cache)?.serve().await });
    runtime.shutdown_background();
    served
}

/// A running build.
type Building = JoinHandle<(Builder, Result<Built>)>;

/// A server and everything that it manages.
struct Dev {
    front: Arc<Front>,
    report: Arc<Report>,
    watch: Watch,
    /// `None` during a build.
    builder: Option<Builder>,
    saved: Arc<Saved>,
    /// The `.env` file of each function, and whether it must exist.
    environments: Vec<(PathBuf, bool)>,
    events: Events,
    /// Stops the running build.
    stop: Arc<AtomicBool>,
    /// The server's own directory, which is removed at the end.
    directory: Directory,
}

/// The files that are sent as events whenever they are saved.
struct Events {
    /// Files, each with the index of its function.
    files: BTreeMap<PathBuf, usize>,
    /// Directories whose `.json` files are sent.
    directories: BTreeMap<PathBuf, usize>,
}

impl Events {
    fn of(&self, path: &Path) -> Option<usize> {
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        let of_directory = || path.parent().and_then(|directory| self.directories.get(directory)).filter(|_| is_json);
        self.files.get(path).or_else(of_directory).copied()
    }
}

impl Dev {
    fn start(options: options::Dev, functions: Vec<project::Function>, rust: Rust, cache: Cache) -> Result<Self> {
        let names: Vec<String> = functions.iter().map(|function| function.binary.clone()).collect();
        let events = events(&options.watch_event, &functions)?;
        let environments = functions.iter().map(|function| match &options.env_file {
            Some(file) => Ok((std::path::absolute(file)?, true)),
            None => Ok((function.directory.join(".env"), false)),
        });
        let environments = environments.collect::<Result<Vec<_>>>()?;
        let report = Arc::new(Report::new(options.format, functions.len() > 1));
        let saved = Arc::new(Saved::new());
        let mut served = Vec::new();
        for (function, (environment, is_required)) in functions.iter().zip(&environments) {
            let (timeout, memory) = (function.defaults.of_deploy("timeout")?, function.defaults.of_deploy("memory")?);
            let settings = Settings {
                directory: function.directory.clone(),
                timeout: limit(options.timeout, timeout)?,
                memory: memory.unwrap_or(MEMORY),
            };
            let served_one = Function::new(function.binary.clone(), settings, Arc::clone(&report), Arc::clone(&saved));
            if *is_required || environment.exists() {
                let variables = env_file::read(environment);
                let variables = if *is_required { variables.context("--env-file") } else { variables };
                served_one.set_environment(variables?);
            }
            served.push(served_one);
        }
        let (listeners, port) = front::bind(options.port)?;
        let directory = Directory::create(&functions[0].target, Server { port, functions: names })?;
        let stop = Arc::<AtomicBool>::default();
        let builder = Some(Builder::new(rust, cache, functions, directory.path.clone(), Arc::clone(&stop)));
        let front = Arc::new(Front { functions: served, port, report: Arc::clone(&report) });
        front.serve(listeners)?;
        let mut dev =
            Self { front, report, watch: Watch::new()?, builder, saved, environments, events, stop, directory };
        dev.look_at_sources()?;
        Ok(dev)
    }

    /// Watches the current sources of the functions.
    fn look_at_sources(&mut self) -> Result<()> {
        let Some(builder) = &self.builder else { return Ok(()) };
        let mut watched = builder.watched()?;
        watched.files.extend(self.environments.iter().map(|(path, _)| path.clone()));
        watched.files.extend(self.events.files.keys().cloned());
        watched.directories.extend(self.events.directories.keys().cloned());
        self.watch.set(watched)
    }

    /// Serves until this program is told to stop.
    async fn serve(mut self) -> Result<()> {
        let url = format!("http://localhost:{}/", self.front.port);
        let served =
            |function: &Arc<Function>| Served { name: function.name.clone(), url: self.front.url(&function.name) };
        let functions: Vec<Served> = self.front.functions.iter().map(served).collect();
        self.report.say(&Record::Serving { url: &url, functions: &functions });
        let served = self.watch_and_build().await;
        for function in &self.front.functions {
            function.stop_all();
        }
        let are_stopped = async {
            while !self.front.functions.iter().all(|function| function.is_stopped()) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = timeout(Duration::from_secs(2), are_stopped).await;
        self.report.finish().await;
        served
    }

    async fn watch_and_build(&mut self) -> Result<()> {
        let mut building = self.build();
        // When sources were last saved, whether a manifest was among them, and when each other file was saved.
        let (mut sources, mut is_manifest) = (None::<Instant>, false);
        let mut others = BTreeMap::<PathBuf, Instant>::new();
        // Whether the last build failed for a reason other than errors in the sources.
        let mut is_broken = false;
        // The number of builds in a row that were stopped because a file was saved. Each of them runs longer than the
        // last before it is stopped, because a build may itself save files.
        let mut stops = 0;
        loop {
            let is_stopping = self.stop.load(SeqCst);
            let wait = if building.is_some() { QUIET * 4_u32.pow(stops) } else { QUIET };
            let due = sources.filter(|_| !is_stopping).map(|saved| saved + wait);
            let other = others.values().min().map(|saved| *saved + QUIET);
            tokio::select! {
                // The order matters: a file that was saved before a build ended is not part of that build.
                biased;
                () = interrupted() => {
                    if let Some(building) = building {
                        // The build stops its own programs as well.
                        let _ = timeout(Duration::from_secs(2), building).await;
                    }
                    return interrupt::check();
                }
                changed = self.watch.next() => for path in changed? {
                    if self.events.of(&path).is_some() || self.environments.iter().any(|(file, _)| *file == path) {
                        others.insert(path, Instant::now());
                    } else if self.watch.is_another(&path) {
                        // From now on, events wait for the saved sources to be compiled.
                        self.saved.begin();
                        is_manifest |= path.file_name().is_some_and(|name| name == "Cargo.toml" || name == "Cargo.lock");
                        sources = Some(Instant::now());
                    }
                },
                () = until(due) => {
                    sources = None;
                    match building {
                        Some(_) => self.stop.store(true, SeqCst),
                        None => building = self.build(),
                    }
                }
                () = removed(&self.directory), if building.is_none() && !is_broken => {
                    self.saved.begin();
                    building = self.build();
                }
                () = until(other) => {
                    let is_due = |saved: &Instant| saved.elapsed() >= QUIET;
                    let paths: Vec<PathBuf> = others.extract_if(.., |_, saved| is_due(saved)).map(|(path, _)| path).collect();
                    paths.iter().for_each(|path| self.saved(path));
                }
                finished = finished(&mut building) => {
                    building = None;
                    let (builder, built) = finished?;
                    let compiled = builder.sources.clone();
                    self.builder = Some(builder);
                    let is_stopped = self.stop.swap(false, SeqCst);
                    if is_stopped && built.is_err() {
                        stops = (stops + 1).min(8);
                        building = self.build();
                        continue;
                    }
                    stops = 0;
                    let error = built.map(|built| self.take(built)).err().map(|error| format!("{error:#}"));
                    self.front.functions.iter().for_each(|function| function.set_broken(error.as_deref()));
                    error.iter().for_each(|error| self.report.note(format!("not compiled: {error}")));
                    is_broken = error.is_some();
                    if std::mem::take(&mut is_manifest)
                        && let Err(error) = self.look_at_sources()
                    {
                        self.report.note(format!("{error:#}"));
                    }
                    if is_stopped {
                        // The last build was complete before it could be stopped; a file was saved while it ran.
                        building = self.build();
                    }
                    self.saved.end(compiled, sources.is_none() && !is_stopped);
                }
            }
        }
    }

    fn build(&mut self) -> Option<Building> {
        let mut builder = self.builder.take()?;
        // Without this check, the target directory would be created in a project that was removed.
        let missing =
            builder.functions.iter().map(|function| &function.directory).find(|directory| !directory.is_dir());
        let restored = match missing {
            Some(directory) => Err(anyhow!("the package's directory {} is missing; restore it", directory.display())),
            None => self.directory.restore(),
        };
        Some(spawn_blocking(move || {
            let built = restored.and_then(|()| builder.build());
            (builder, built)
        }))
    }

    fn take(&self, built: Built) {
        let find = |name: &str| self.front.functions.iter().find(|function| function.name == name);
        let (seconds, is_new) = (built.seconds, !built.programs.is_empty());
        for (name, message) in &built.errors {
            find(name).inspect(|function| function.does_not_compile(message));
        }
        for (name, program) in built.programs {
            find(&name).inspect(|function| function.replace(program));
        }
        let messages: BTreeSet<&str> = built.errors.iter().map(|(_, message)| &**message).collect();
        if messages.is_empty() && is_new {
            self.report.say(&Record::Build { ok: true, seconds, message: None });
        }
        for message in messages {
            self.report.say(&Record::Build { ok: false, seconds, message: Some(message) });
        }
    }

    /// Handles a saved file that is not a source: sends an event, or updates environment variables.
    fn saved(&self, path: &Path) {
        let number = self.events.of(path);
        if let Some(Err(error)) = number.map(|number| self.send(path, &self.front.functions[number])) {
            self.report.note(format!("the event was not sent: {error:#}"));
        }
        for (function, (file, _)) in self.front.functions.iter().zip(&self.environments) {
            if file != path {
                continue;
            }
            let variables = match path.metadata() {
                Ok(metadata) if metadata.is_file() => env_file::read(path),
                // A pipe is read only at the start, because each read may be reported as a change.
                Ok(_) => continue,
                Err(_) => Ok(Vec::new()),
            };
            match variables {
                Ok(variables) => function.set_environment(variables),
                Err(error) => self.report.note(format!("the environment variables are unchanged: {error:#}")),
            }
        }
    }

    fn send(&self, path: &Path, function: &Arc<Function>) -> Result<()> {
        let bytes = match read_regular(path, LONGEST_PAYLOAD + 1) {
            // The file was removed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            result => result.with_context(|| path.display().to_string())?,
        };
        ensure!(
            bytes.len() <= LONGEST_PAYLOAD,
            "{} is longer than the {LONGEST_PAYLOAD} bytes that Lambda accepts",
            path.display()
        );
        serde_json::from_slice::<IgnoredAny>(&bytes).with_context(|| format!("{} is not JSON", path.display()))?;
        let (function, source) = (Arc::clone(function), path.display().to_string());
        let (id, trace) = (new_id(), new_trace());
        let invocation = Invocation { id, event: Bytes::from(bytes), trace, client_context: None };
        tokio::spawn(async move { function.invoke(invocation, &source).await });
        Ok(())
    }
}

/// The files that are sent as events whenever they are saved: the named ones, and `events/*.json` of each package or,
/// if the package has several functions, `events/NAME/*.json`.
fn events(named: &[String], functions: &[project::Function]) -> Result<Events> {
    let mut events = Events { files: BTreeMap::new(), directories: BTreeMap::new() };
    for (number, function) in functions.iter().enumerate() {
        let directory = function.directory.join("events");
        events.directories.insert(directory.join(&function.binary), number);
        let of_package = functions.iter().filter(|other| other.directory == function.directory).count();
        if of_package == 1 {
            events.directories.insert(directory, number);
        }
    }
    let names: Vec<&str> = functions.iter().map(|function| &*function.binary).collect();
    for named in named {
        let find = |(name, file)| Some((names.iter().position(|known| *known == name)?, file));
        let (number, file) = named.split_once('=').and_then(find).unwrap_or((0, named));
        ensure!(
            functions.len() == 1 || file != named,
            "--watch-event {named}: expected NAME=FILE, where NAME is one of: {}",
            names.join(", ")
        );
        let file = std::path::absolute(file)?;
        let is_there = file.parent().is_some_and(Path::is_dir);
        ensure!(
            is_there,
            "--watch-event {named}: its directory does not exist; expected a file in an existing directory"
        );
        events.files.insert(file, number);
    }
    Ok(events)
}

/// The timeout of an invocation, from the option or Cargo.toml. `None` means no limit.
fn limit(option: Option<u64>, of_deploy: Option<u64>) -> Result<Option<Duration>> {
    let longest = LONGEST.as_secs();
    let seconds = match (option, of_deploy) {
        (Some(0), _) => return Ok(None),
        (Some(seconds), _) => {
            ensure!(seconds <= longest, "--timeout: {seconds}; expected 1 to {longest} seconds, or 0 for no limit");
            seconds
        }
        (None, Some(seconds)) => {
            let name = "Cargo.toml: [package.metadata.lambda-musl.deploy]: timeout";
            ensure!((1..=longest).contains(&seconds), "{name}: {seconds}; expected 1 to {longest} seconds");
            seconds
        }
        (None, None) => return Ok(Some(TIMEOUT)),
    };
    Ok(Some(Duration::from_secs(seconds)))
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Waits for the build, and returns the builder and the result.
async fn finished(building: &mut Option<Building>) -> Result<(Builder, Result<Built>)> {
    match building {
        Some(building) => building.await.context("compiling"),
        None => std::future::pending().await,
    }
}

/// Waits until the server's directory is removed, for example by `cargo clean`.
async fn removed(directory: &Directory) {
    loop {
        // Wait first, so that no file is created while other files are still being removed.
        sleep(Duration::from_secs(1)).await;
        if !directory.is_there() {
            return;
        }
    }
}

async fn interrupted() {
    while interrupt::signal().is_none() {
        sleep(Duration::from_millis(50)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_at_most_lambdas_longest_and_0_as_the_option_means_no_limit() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(limit(None, None).unwrap(), seconds(3));
        assert_eq!(limit(Some(900), Some(5)).unwrap(), seconds(900));
        assert_eq!(limit(None, Some(5)).unwrap(), seconds(5));
        assert_eq!(limit(Some(0), Some(5)).unwrap(), None);
        for (option, of_deploy, expected) in [
            (Some(u64::MAX), None, "--timeout: 18446744073709551615; expected 1 to 900 seconds, or 0 for no limit"),
            (None, Some(901), "deploy]: timeout: 901; expected 1 to 900 seconds"),
            (None, Some(0), "deploy]: timeout: 0; expected 1 to 900 seconds"),
        ] {
            let error = limit(option, of_deploy).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{error}");
        }
    }
}
