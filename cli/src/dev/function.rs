//! A served function. Its events wait in a queue, and its process handles them one by one.

use std::collections::{BTreeMap, VecDeque, hash_map::RandomState};
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};
use std::{env, mem, pin::pin};

use anyhow::Result;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::process::{End, Process, describe, lock};
use super::report::{self, Record, Report};
use super::saved::Saved;
use super::{clock, runtime_api, runtime_api::Stream};
use crate::{environment::OF_MAKE, interrupt, options};

/// The maximum duration of the init phase, which ends when the function requests its first event. Lambda has the same
/// limit.
const INIT: Duration = Duration::from_secs(10);

/// The time between SIGTERM and SIGKILL for a function that has registered for shutdown, as on Lambda.
const SHUTDOWN: Duration = Duration::from_millis(500);

/// Lambda's longest timeout.
pub const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The region if none is configured.
const REGION: &str = "us-east-1";

/// The settings of a function.
pub struct Settings {
    /// The directory of the package. On Lambda, the function runs in the directory of the unpacked zip.
    pub directory: PathBuf,
    /// `None` means no limit.
    pub timeout: Option<Duration>,
    /// The memory size in megabytes that is reported to the function. It is not enforced.
    pub memory: u64,
}

pub struct Function {
    pub name: String,
    settings: Settings,
    report: Arc<Report>,
    saved: Arc<Saved>,
    state: Mutex<State>,
    /// Signals that an event may be waiting.
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// The last program that compiled.
    program: Option<PathBuf>,
    /// The compiler's message, if the last build failed.
    error: String,
    /// Why the last build could not be completed. In that case, the last program may be outdated even if its sources
    /// compile.
    broken: Option<String>,
    /// The variables of the `.env` file.
    environment: Vec<(String, String)>,
    queue: VecDeque<(Invocation, oneshot::Sender<Answer>)>,
    /// The running processes. All except the current one end once they have responded.
    instances: BTreeMap<u64, Instance>,
    current: Option<u64>,
    /// The number of processes started so far.
    count: u64,
}

/// An event on its way to the function.
pub struct Invocation {
    pub id: String,
    pub event: Bytes,
    pub trace: String,
    /// The client context that the caller of Invoke passed, as JSON.
    pub client_context: Option<HeaderValue>,
}

/// A process and its open invocations.
struct Instance {
    process: Process,
    /// The task that accepts the process's connections to the Runtime API.
    server: AbortHandle,
    started: Instant,
    /// The duration of the init phase, which ended when the process requested its first event.
    init: Option<Duration>,
    /// The error that the process reported for its init phase.
    init_error: Option<Bytes>,
    taken: BTreeMap<String, Taken>,
    /// The id of the last invocation that the process responded to.
    answered: String,
    /// Whether the process has registered for shutdown.
    is_registered: bool,
    is_stopped: bool,
}

impl Instance {
    fn new(process: Process, server: AbortHandle) -> Self {
        Self {
            process,
            server,
            started: Instant::now(),
            init: None,
            init_error: None,
            taken: BTreeMap::new(),
            answered: String::new(),
            is_registered: false,
            is_stopped: false,
        }
    }
}

/// An invocation that a process is handling.
struct Taken {
    start: Instant,
    init: Option<Duration>,
    /// `None` once a stream has begun.
    answer: Option<oneshot::Sender<Answer>>,
}

/// The outcome of an invocation.
pub enum Answer {
    Whole(Bytes),
    Stream(Stream),
    /// An error in Lambda's format.
    Error(Bytes),
    /// The reason why no process can handle the invocation.
    Nothing(String),
}

/// Why a response was rejected.
pub enum Refused {
    /// There is no such invocation.
    Unknown,
    /// The invocation already has a response.
    Answered,
}

/// An error in Lambda's format.
pub fn error(kind: &str, message: &str) -> Bytes {
    json!({"errorType": kind, "errorMessage": message}).to_string().into()
}

/// A random id in the form of a UUID.
pub fn new_id() -> String {
    let [a, b] = [(); 2].map(|()| RandomState::new().hash_one(SystemTime::now()));
    let (c, d, e) = (a & 0xffff, (a >> 16) & 0xfff, (b & 0x3fff) | 0x8000);
    format!("{:08x}-{c:04x}-4{d:03x}-{e:04x}-{:012x}", a >> 32, b >> 16)
}

/// The id of a trace that is not sampled.
pub fn new_trace() -> String {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let id = new_id().replace('-', "");
    format!("Root=1-{seconds:08x}-{};Parent={};Sampled=0", &id[..24], &id[16..])
}

impl Function {
    pub fn new(name: String, settings: Settings, report: Arc<Report>, saved: Arc<Saved>) -> Arc<Self> {
        let (state, changed) = (Mutex::default(), Notify::new());
        Arc::new(Self { name, settings, report, saved, state, changed })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The ARN that Lambda would give to the function.
    pub fn arn(&self) -> String {
        let region = env::var("AWS_REGION").ok().filter(|region| !region.is_empty());
        format!("arn:aws:lambda:{}:000000000000:function:{}", region.as_deref().unwrap_or(REGION), self.name)
    }

    /// Sends an event, and waits for the response.
    pub async fn invoke(self: &Arc<Self>, invocation: Invocation, source: &str) -> Answer {
        let (request_id, event) = (&*invocation.id, report::value(&invocation.event));
        self.report.say(&Record::Event { function: &self.name, request_id, source, event });
        // After a file was saved, the new program must respond.
        self.saved.compiled().await;
        let (sender, answer) = oneshot::channel();
        {
            let mut state = self.lock();
            if let Some(why) = &state.broken {
                self.not_taken(&invocation.id, (&**why).into());
                return Answer::Nothing(format!(
                    "{} could not be compiled: {why}; save a source file to try again",
                    self.name
                ));
            }
            if state.program.is_none() {
                self.not_taken(&invocation.id, "it does not compile".into());
                return Answer::Nothing(format!("{} does not compile:\n{}", self.name, state.error));
            }
            state.queue.push_back((invocation, sender));
            self.ensure_started(&mut state);
        }
        self.changed.notify_waiters();
        answer.await.unwrap_or_else(|_| Answer::Nothing("the server is stopping".to_owned()))
    }

    /// Replaces the running program. The old process completes the invocations that it has taken.
    pub fn replace(self: &Arc<Self>, program: PathBuf) {
        let mut state = self.lock();
        state.program = Some(program);
        self.restart(&mut state);
    }

    /// Records why the last build could not be completed, or `None` if it was completed. Events are refused with this reason.
    pub fn set_broken(&self, why: Option<&str>) {
        self.lock().broken = why.map(Into::into);
    }

    /// Stores the compiler's message.
    pub fn does_not_compile(&self, message: &str) {
        self.lock().error = message.to_owned();
    }

    /// Sets the variables of the `.env` file, and restarts the process if they have changed.
    pub fn set_environment(self: &Arc<Self>, environment: Vec<(String, String)>) {
        let mut state = self.lock();
        if state.environment != environment {
            state.environment = environment;
            self.restart(&mut state);
        }
    }

    fn restart(self: &Arc<Self>, state: &mut State) {
        let Some(number) = state.current.take() else { return };
        if let Some(instance) = state.instances.get_mut(&number)
            && instance.taken.is_empty()
        {
            self.stop(number, instance);
        }
        self.ensure_started(state);
    }

    /// Ends all processes.
    pub fn stop_all(self: &Arc<Self>) {
        for (number, instance) in &mut self.lock().instances {
            self.stop(*number, instance);
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.lock().instances.is_empty()
    }

    fn stop(self: &Arc<Self>, number: u64, instance: &mut Instance) {
        instance.is_stopped = true;
        if !instance.is_registered {
            return instance.process.signal(Signal::KILL);
        }
        instance.process.signal(Signal::TERM);
        let function = Arc::clone(self);
        tokio::spawn(async move {
            sleep(SHUTDOWN).await;
            if let Some(instance) = function.lock().instances.get(&number) {
                instance.process.signal(Signal::KILL);
            }
        });
    }

    /// Starts a process unless a current one exists.
    fn ensure_started(self: &Arc<Self>, state: &mut State) {
        if state.current.is_some() || interrupt::signal().is_some() {
            return;
        }
        state.count += 1;
        let number = state.count;
        if let Err(error) = self.start(state, number) {
            let message = format!("{error:#}");
            self.fail_queued(state, |id| error_of(id, "Runtime.InvalidEntrypoint", &message));
        }
    }

    fn start(self: &Arc<Self>, state: &mut State, number: u64) -> Result<()> {
        let Some(program) = &state.program else { return Ok(()) };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut command = self.command(program, &state.environment);
        command.env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string());
        command.env("AWS_LAMBDA_LOG_STREAM_NAME", format!("local/{number}"));
        let (process, end) = Process::start(&mut command, &self.name, &self.report)?;
        let server = runtime_api::serve(Arc::clone(self), number, listener)?;
        state.instances.insert(number, Instance::new(process, server));
        state.current = Some(number);
        let function = Arc::clone(self);
        tokio::spawn(async move {
            if let Ok(end) = end.await {
                function.ended(number, &end);
            }
        });
        let function = Arc::clone(self);
        tokio::spawn(async move {
            sleep(INIT).await;
            function.wait_for_debugger(number, |instance| instance.init.is_none()).await;
            function.time_out_init(number);
        });
        Ok(())
    }

    /// The command that runs a program, with the environment of the shell, the variables of the `.env` file and those
    /// of Lambda.
    fn command(&self, program: &Path, environment: &[(String, String)]) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.settings.directory);
        // Variables that `make` passes without a value were not set by the user.
        let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_of_make = |name: &str| OF_MAKE.contains(&name) || options::is_variable(name) && !is_set(name);
        let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        for name in names.filter(|name| is_of_make(name)) {
            command.env_remove(name);
        }
        let regions = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().filter(|name| !is_set(name));
        command.envs(regions.map(|name| (name, REGION)));
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        // Lambda's reserved variables.
        command.env("AWS_LAMBDA_FUNCTION_NAME", &self.name).env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
        command.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", self.settings.memory.to_string());
        command.env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", self.name));
        command.env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand").env("_HANDLER", "bootstrap");
        command.env("LAMBDA_TASK_ROOT", &self.settings.directory);
        command
    }

    /// Waits for the next event for a process, and returns it with its deadline. A replaced process gets no events.
    pub async fn next(self: &Arc<Self>, number: u64) -> (Invocation, SystemTime) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(taken) = self.take(number) {
                return taken;
            }
            changed.await;
        }
    }

    fn take(self: &Arc<Self>, number: u64) -> Option<(Invocation, SystemTime)> {
        let mut state = self.lock();
        let is_current = state.current == Some(number);
        let State { instances, queue, .. } = &mut *state;
        let instance = instances.get_mut(&number)?;
        let init = *instance.init.get_or_insert(instance.started.elapsed());
        if !is_current {
            return None;
        }
        // Drop events whose sender has gone away.
        while queue.front().is_some_and(|(_, answer)| answer.is_closed()) {
            queue.pop_front();
        }
        let (invocation, answer) = queue.pop_front()?;
        let is_first = instance.answered.is_empty() && instance.taken.is_empty();
        let taken = Taken { start: Instant::now(), init: is_first.then_some(init), answer: Some(answer) };
        instance.taken.insert(invocation.id.clone(), taken);
        drop(state);
        if let Some(timeout) = self.settings.timeout {
            let (function, id) = (Arc::clone(self), invocation.id.clone());
            tokio::spawn(async move {
                sleep(timeout).await;
                function.wait_for_debugger(number, |instance| instance.taken.contains_key(&id)).await;
                function.time_out(number, &id, timeout);
            });
        }
        let deadline = SystemTime::now() + self.settings.timeout.unwrap_or(LONGEST);
        Some((invocation, deadline))
    }

    /// Waits while a debugger is attached to a process that has exceeded its time limit.
    async fn wait_for_debugger(&self, number: u64, is_late: impl Fn(&Instance) -> bool) {
        let is_traced = || {
            let state = self.lock();
            let instance = state.instances.get(&number);
            instance.is_some_and(|instance| is_late(instance) && instance.process.is_traced())
        };
        while is_traced() {
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn time_out(self: &Arc<Self>, number: u64, id: &str, timeout: Duration) {
        let mut state = self.lock();
        let Some(instance) = state.instances.get_mut(&number) else { return };
        let Some(taken) = instance.taken.remove(id) else { return };
        let message = format!("Task timed out after {:.2} seconds", timeout.as_secs_f64());
        let error = error_of(id, "Sandbox.Timedout", &message);
        self.over(instance, id, &taken, "timeout", report::value(&error));
        if let Some(answer) = taken.answer {
            let _ = answer.send(Answer::Error(error));
        }
        instance.is_stopped = true;
        instance.process.signal(Signal::KILL);
        self.forget(&mut state, number);
    }

    fn time_out_init(self: &Arc<Self>, number: u64) {
        let mut state = self.lock();
        let Some(instance) = state.instances.get_mut(&number).filter(|instance| instance.init.is_none()) else {
            return;
        };
        instance.is_stopped = true;
        instance.process.signal(Signal::KILL);
        let message = format!("the function requested no event within {} s; does its main call `run`?", INIT.as_secs());
        self.report.say(&Record::Exit { function: &self.name, reason: &message });
        let message = format!("Task timed out after {:.2} seconds", INIT.as_secs_f64());
        self.fail_queued(&mut state, |id| error_of(id, "Sandbox.Timedout", &message));
        self.forget(&mut state, number);
    }

    /// Sends no more events to a process, and starts another one if events are waiting.
    fn forget(self: &Arc<Self>, state: &mut State, number: u64) {
        if state.current == Some(number) {
            state.current = None;
        }
        if !state.queue.is_empty() {
            self.ensure_started(state);
        }
    }

    fn ended(self: &Arc<Self>, number: u64, end: &End) {
        let mut state = self.lock();
        let Some(mut instance) = state.instances.remove(&number) else { return };
        instance.server.abort();
        instance.process.finish();
        let reason = describe(end);
        if !instance.is_stopped && instance.taken.is_empty() && interrupt::signal().is_none() {
            self.report.say(&Record::Exit { function: &self.name, reason: &reason });
        }
        for (id, taken) in mem::take(&mut instance.taken) {
            let error = error_of(&id, "Runtime.ExitError", &reason);
            self.over(&instance, &id, &taken, "error", report::value(&error));
            if let Some(answer) = taken.answer {
                let _ = answer.send(Answer::Error(error));
            }
        }
        // Another process would fail in the same way.
        if instance.init.is_none() && state.current == Some(number) {
            self.fail_queued(&mut state, |id| match &instance.init_error {
                Some(error) => error.clone(),
                None => error_of(id, "Runtime.ExitError", &reason),
            });
        }
        self.forget(&mut state, number);
    }

    fn fail_queued(&self, state: &mut State, error: impl Fn(&str) -> Bytes) {
        for (invocation, answer) in state.queue.drain(..) {
            let error = error(&invocation.id);
            self.not_taken(&invocation.id, report::value(&error));
            let _ = answer.send(Answer::Error(error));
        }
    }

    /// Reports an invocation that no process has taken.
    fn not_taken(&self, request_id: &str, answer: Value) {
        self.report.say(&Record::Answer {
            function: &self.name,
            request_id,
            status: "error",
            duration_ms: 0.0,
            init_ms: None,
            max_memory_bytes: None,
            answer,
        });
    }

    /// Reports that an invocation is over.
    fn over(&self, instance: &Instance, id: &str, taken: &Taken, status: &'static str, answer: Value) {
        instance.process.drain();
        self.report.say(&Record::Answer {
            function: &self.name,
            request_id: id,
            status,
            duration_ms: clock::milliseconds(taken.start.elapsed()),
            init_ms: taken.init.map(clock::milliseconds),
            max_memory_bytes: instance.process.memory(),
            answer,
        });
    }

    /// Returns the sender for the response to an invocation. A stream continues after that, until `end_answer` is
    /// called.
    pub fn begin_answer(&self, number: u64, id: &str) -> Result<oneshot::Sender<Answer>, Refused> {
        let mut state = self.lock();
        let instance = state.instances.get_mut(&number).ok_or(Refused::Unknown)?;
        match instance.taken.get_mut(id) {
            Some(taken) => taken.answer.take().ok_or(Refused::Answered),
            None if instance.answered == id => Err(Refused::Answered),
            None => Err(Refused::Unknown),
        }
    }

    /// Records that a response is complete, or that an error replaced it.
    pub fn end_answer(self: &Arc<Self>, number: u64, id: &str, is_error: bool, answer: Value) {
        let mut state = self.lock();
        let is_current = state.current == Some(number);
        let Some(instance) = state.instances.get_mut(&number) else { return };
        let Some(taken) = instance.taken.remove(id) else { return };
        instance.answered = id.to_owned();
        self.over(instance, id, &taken, if is_error { "error" } else { "ok" }, answer);
        if !is_current && instance.taken.is_empty() {
            self.stop(number, instance);
        }
    }

    /// Stores the error of the init phase, unless that phase is over.
    pub fn fail_init(&self, number: u64, error: &Bytes) -> bool {
        let mut state = self.lock();
        let instance = state.instances.get_mut(&number).filter(|instance| instance.init.is_none());
        let Some(instance) = instance else { return false };
        instance.process.drain();
        let reason = report::of_error(&report::value(error));
        self.report.say(&Record::Exit { function: &self.name, reason: &reason });
        instance.init_error = Some(error.clone());
        instance.is_stopped = true;
        true
    }

    /// Records that a process has registered for shutdown.
    pub fn register(&self, number: u64) {
        if let Some(instance) = self.lock().instances.get_mut(&number) {
            instance.is_registered = true;
        }
    }
}

/// An error that Lambda reports in place of the function's response.
fn error_of(id: &str, kind: &str, message: &str) -> Bytes {
    error(kind, &format!("RequestId: {id} Error: {message}"))
}
