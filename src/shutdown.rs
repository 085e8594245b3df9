//! A hook that runs when Lambda shuts down the execution environment.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    process, thread,
};

use signal_hook::{consts::SIGTERM, iterator::Signals};

use crate::{
    Error, Failure,
    api::{self, Phase},
    logs,
    runtime::Runtime,
    wire::connection::Connection,
    wire::request::{Head, Request},
};

/// The header that identifies an extension to Lambda.
const IDENTIFIER: &str = "Lambda-Extension-Identifier";

/// Runs `hook` on its own thread when Lambda shuts down the execution environment, then exits the program. Requires the
/// `shutdown` feature.
///
/// Call `on_shutdown` before [`run`](crate::run). Lambda sends SIGTERM only if an extension is registered, so `on_shutdown`
/// registers an internal extension that subscribes to no events ([Extensions API]). The hook has about 500 ms to run. If Lambda
/// refuses the registration, the refusal is logged, and a SIGTERM from elsewhere still runs the hook.
///
/// `on_shutdown` is tested against the documented Extensions API, but has not yet run on AWS itself.
///
/// ```no_run
/// use lambda_musl::{Context, on_shutdown, run};
///
/// fn main() -> Result<(), lambda_musl::Error> {
///     on_shutdown(|| eprintln!("closing the database"))?;
///     run(async |_: (), _: Context| Ok::<_, String>("open"))
/// }
/// ```
///
/// # Errors
///
/// Returns [`Error::Init`], which is also reported to Lambda, if the signal handler cannot be installed or a thread cannot be
/// started. Returns [`Error::Address`] if `AWS_LAMBDA_RUNTIME_API` is not a valid address.
///
/// [Extensions API]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
pub fn on_shutdown(hook: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let runtime = Runtime::from_env()?;
    let reporter = runtime.clone();
    let not_started = |error: io::Error| reporter.not_started(&Phase::Init, Failure::start(&error));
    let mut signals = Signals::new([SIGTERM]).map_err(|error| {
        let message = format!("cannot handle SIGTERM: {error}");
        reporter.not_started(&Phase::Init, Failure::text("Runtime.SignalError", message))
    })?;
    let wait = move || {
        if signals.forever().next().is_some() {
            // The process must exit even if the hook panics.
            let _ = catch_unwind(AssertUnwindSafe(hook));
            process::exit(0);
        }
    };
    spawn("shutdown", wait).map_err(not_started)?;
    match register(&runtime) {
        Ok(identifier) => spawn("extension", move || rest(&runtime, &identifier)).map_err(not_started),
        Err(error) => {
            logs::error("", format_args!("Lambda will not send SIGTERM: {error}"));
            Ok(())
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop)
}

/// Registers an extension and returns its identifier.
fn register(runtime: &Runtime) -> Result<String, Error> {
    let Runtime { address, .. } = runtime;
    let call = address.post_extension("/register");
    let mut head = Head::new(call, Request::default());
    head.add("Lambda-Extension-Name", env!("CARGO_PKG_NAME"));
    head.add("Content-Type", "application/json");
    let request = head.with_body(Some(br#"{"events":[]}"#.to_vec()));
    let reply = Connection::new(address).exchange(request);
    let reply = api::expect_200(call, reply)?;
    Ok(reply.head.get(IDENTIFIER).unwrap_or_default().to_owned())
}

/// Requests the first event, which never arrives: Lambda considers an extension ready once the extension has sent this request.
fn rest(runtime: &Runtime, identifier: &str) {
    let Runtime { address, .. } = runtime;
    let call = address.get_extension("/event/next");
    let mut head = Head::new(call, Request::default());
    head.add(IDENTIFIER, identifier);
    let reply = Connection::new(address).exchange(head.with_body(None));
    if let Err(error) = api::expect_200(call, reply) {
        logs::error("", format_args!("SIGTERM might not arrive: {error}"));
    }
}
