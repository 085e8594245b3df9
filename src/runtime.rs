//! The address of the Runtime API, the settings of the runtime, and the report to Lambda if the function fails to start.

use std::{env, num::NonZero};

use crate::{
    Error, Failure, IntoFailure, abort,
    api::{Api, Phase},
    executor::{block_on, guard},
    failure::panics,
    logs, stack,
    wire::address::Address,
    wire::connection::Connection,
};

const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";
pub(crate) const CONCURRENCY: &str = "AWS_LAMBDA_MAX_CONCURRENCY";

/// A runtime that uses the Runtime API at a given address, for example in a test.
#[derive(Clone, Debug)]
pub struct Runtime {
    pub(crate) address: Address,
    /// The number of concurrent invocations, on Lambda Managed Instances.
    pub(crate) concurrency: Option<NonZero<usize>>,
    /// Whether Lambda takes a snapshot before the first invocation.
    pub(crate) snap_start: bool,
}

impl Runtime {
    /// Uses the Runtime API that `AWS_LAMBDA_RUNTIME_API` names ([reserved environment variables]), or the one at `127.0.0.1`,
    /// port 80, if that variable is unset.
    ///
    /// [reserved environment variables]: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    pub(crate) fn from_env() -> Result<Self, Error> {
        let address = env::var_os(RUNTIME_API).unwrap_or("127.0.0.1".into());
        let mut runtime = Runtime::at(&address.to_string_lossy());
        if let Err(Error::Address { variable, .. }) = &mut runtime {
            *variable = Some(RUNTIME_API);
        }
        runtime
    }

    /// Uses the Runtime API at `address`. The other settings come from the environment variables
    /// `AWS_LAMBDA_MAX_CONCURRENCY` and `AWS_LAMBDA_INITIALIZATION_TYPE`.
    pub fn at(address: &str) -> Result<Self, Error> {
        stack::prepare();
        let concurrency = env::var(CONCURRENCY).ok();
        let initialization = env::var_os("AWS_LAMBDA_INITIALIZATION_TYPE");
        Ok(Runtime {
            address: Address::parse(address)?,
            concurrency: concurrency.and_then(|number| {
                let parsed = number.trim_ascii().parse();
                parsed
                    .inspect_err(|_| {
                        let reason = "is not a positive integer, so the function handles one invocation at a time";
                        logs::error("", format_args!("{CONCURRENCY}={number:?} {reason}"));
                    })
                    .ok()
            }),
            snap_start: initialization.is_some_and(|kind| kind == "snap-start"),
        })
    }

    /// Returns a client for the Runtime API, whose first request opens the connection.
    pub(crate) fn api(&self) -> Api<Connection> {
        Api::new(&self.address, Connection::new(&self.address))
    }

    /// Whether to set the environment variable with the trace ID: not if concurrent invocations share the variable.
    pub(crate) fn sets_trace(&self) -> bool {
        self.concurrency.is_none()
    }

    /// Runs a part of the function's start. If that part fails or panics, reports this to Lambda.
    pub(crate) async fn start<V, E>(&self, phase: Phase, part: impl Future<Output = Result<V, E>>) -> Result<V, Error>
    where
        E: IntoFailure,
    {
        panics::remember();
        let _watch = abort::watch(&self.address, || phase.clone());
        let done = guard(async { part.await.map_err(IntoFailure::into_failure) }).await;
        done.map_err(|failure| self.not_started(&phase, failure))
    }

    /// Reports to Lambda why the function failed to start. Blocks this thread, which has nothing else left to do.
    pub(crate) fn not_started(&self, phase: &Phase, failure: Failure) -> Error {
        logs::failure("", &failure);
        logs::flush();
        match block_on(self.api().fail(phase, &failure)) {
            Ok(()) => Error::Init { error_type: failure.error_type.into_owned(), message: failure.message },
            Err(error) => error,
        }
    }
}
