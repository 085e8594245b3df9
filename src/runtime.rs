//! What a function learns about its Runtime API when it starts, and how it says that it does not.

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

/// A runtime for a Runtime API at an address of the caller's choice, which a test needs.
#[derive(Clone, Debug)]
pub struct Runtime {
    pub(crate) address: Address,
    /// How many invocations at once, on Lambda Managed Instances.
    pub(crate) concurrency: Option<NonZero<usize>>,
    /// Whether there will be a snapshot before the first invocation.
    pub(crate) snap_start: bool,
}

impl Runtime {
    /// The Runtime API that `AWS_LAMBDA_RUNTIME_API` names ([reserved environment variables]); without it, the one at
    /// `127.0.0.1`, port 80.
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

    /// The Runtime API at `address`. What else there is to know stands in Lambda's environment variables:
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
                        logs::error("", format_args!("{CONCURRENCY}={number:?} is no number of invocations: one at a time"));
                    })
                    .ok()
            }),
            snap_start: initialization.is_some_and(|kind| kind == "snap-start"),
        })
    }

    /// The Runtime API over a connection that is still to be opened.
    pub(crate) fn api(&self) -> Api<Connection> {
        Api::new(&self.address, Connection::new(&self.address))
    }

    /// Whether the trace id goes into the environment: not where invocations share it.
    pub(crate) fn sets_trace(&self) -> bool {
        self.concurrency.is_none()
    }

    /// Does a part of the function's start; where that fails or panics, Lambda is told why.
    pub(crate) async fn start<V, E>(
        &self,
        phase: Phase,
        part: impl Future<Output = Result<V, E>>,
    ) -> Result<V, Error>
    where
        E: IntoFailure,
    {
        panics::remember();
        let _watch = abort::watch(&self.address, || phase.clone());
        let done = guard(async { part.await.map_err(IntoFailure::into_failure) }).await;
        done.map_err(|failure| self.not_started(&phase, failure))
    }

    /// Tells Lambda why the function does not start. On this thread: there is nothing else left to do.
    pub(crate) fn not_started(&self, phase: &Phase, failure: Failure) -> Error {
        logs::failure("", &failure);
        logs::flush();
        match block_on(self.api().fail(phase, &failure)) {
            Ok(()) => Error::Init {
                error_type: failure.error_type.into_owned(),
                message: failure.message,
            },
            Err(error) => error,
        }
    }
}
