//! The calls of the [Runtime API] that a function lives on: next invocation, response, error.
//!
//! [Runtime API]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

use std::io::{self, Write};

use crate::{
    Context, Error, Raw,
    executor::guard,
    failure::Failure,
    failure::abort,
    failure::report::{self, ERROR_BODY, ERROR_TYPE},
    logs,
    logs::current,
    stream::{Body, Start},
    wire::address::Address,
    wire::chunks::Chunks,
    wire::connection::Reply,
    wire::request::{Call, Head, Request},
    wire::transport::{Transport, Upload},
};

/// Characters of an answer that is not the expected one that are shown.
const MAX_WORDS: usize = 1000;

/// An event with what Lambda says about it.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub context: Context,
    pub event: Raw,
}

#[derive(Debug)]
pub(crate) struct Api<T> {
    address: Address,
    transport: T,
    /// Invocations that came in.
    pub taken: u64,
}

impl<T: Transport> Api<T> {
    pub fn new(address: &Address, transport: T) -> Self {
        Api {
            address: address.clone(),
            transport,
            taken: 0,
        }
    }

    /// Waits for the next invocation: without a timeout, as the environment is frozen meanwhile.
    pub async fn next(&mut self) -> Result<Invocation, Error> {
        let reply = self.get("/invocation/next").await?;
        self.taken += 1;
        let content_type = match reply.head.get("Content-Type") {
            Some("application/json") | None => "application/json".into(),
            Some(other) => other.to_owned().into(),
        };
        let context = Context::new(reply.head);
        if !is_path_segment(context.request_id()) {
            return Err(Error::RequestId);
        }
        let event = Raw {
            content_type,
            body: reply.body,
        };
        Ok(Invocation { context, event })
    }

    /// A GET that is answered with 200, or there is no way to go on. Lambda may freeze the function meanwhile, with what
    /// its threads have printed.
    pub async fn get(&mut self, path: &str) -> Result<Reply, Error> {
        logs::flush();
        let call = self.address.get(path);
        let request = Head::new(&call).with_body(None);
        expect_200(&call, self.transport.exchange(request).await)
    }

    pub async fn respond(&mut self, context: &Context, response: Raw) -> Result<(), Error> {
        let call = answer(&self.address, context, "/response");
        let mut head = head(&call, context);
        head.add("Content-Type", &response.content_type);
        let request = head.with_body(Some(response.body));
        let reply = self.transport.exchange(request).await;
        settle(&call, context, reply)
    }

    pub async fn fail(&mut self, context: &Context, failure: &Failure) -> Result<(), Error> {
        let call = answer(&self.address, context, "/error");
        let request = report(head(&call, context), failure);
        let reply = self.transport.exchange(request).await;
        settle(&call, context, reply)
    }

    /// What fails outside of an invocation: `path` is `/init/error` or `/restore/error`.
    pub async fn fail_outside(&mut self, path: &str, failure: &Failure) -> Result<(), Error> {
        let call = self.address.post(&[path]);
        let request = report(Head::new(&call), failure);
        let reply = self.transport.exchange(request).await;
        settle(&call, &Context::default(), reply)
    }

    /// Has a panic reported to this invocation for which the program aborts, until the watch is dropped.
    pub fn watch(&self, context: &Context) -> Option<abort::Watch> {
        abort::watch(&self.address, Ok(context))
    }

    /// Sends a body while it is written. A failure on its way ends it, with the report in the trailers.
    pub async fn stream(
        &mut self,
        context: &Context,
        start: Start,
        body: impl Body,
    ) -> Result<(), Error> {
        let call = answer(&self.address, context, "/response");
        let mut head = head(&call, context);
        head.add("Content-Type", &start.content_type);
        head.add("Lambda-Runtime-Function-Response-Mode", "streaming");
        head.add("Transfer-Encoding", "chunked");
        head.add("Trailer", ERROR_TYPE);
        head.add("Trailer", ERROR_BODY);
        let reply = match self.transport.begin().await {
            Ok(upload) => send::<T>(upload, context, head.end(), &start.prelude, body).await,
            Err(error) => Err(error),
        };
        settle(&call, context, reply)
    }
}

/// The one answer of an invocation.
fn answer(address: &Address, context: &Context, call: &str) -> Call {
    address.post(&["/invocation/", context.request_id(), call])
}

fn head(call: &Call, context: &Context) -> Head {
    let mut head = Head::new(call);
    if let Some(invocation_id) = context.invocation_id() {
        head.add("Lambda-Runtime-Invocation-Id", invocation_id);
    }
    head
}

fn report(mut head: Head, failure: &Failure) -> Request {
    head.add("Content-Type", "application/json");
    head.add(ERROR_TYPE, &failure.error_type);
    let cause = report::xray_cause(failure);
    head.add("Lambda-Runtime-Function-XRay-Error-Cause", &cause);
    head.with_body(Some(report::body(failure)))
}

/// Only a Runtime API that is broken is an error: what it refuses is lost to this invocation, not to the next.
fn settle(call: &Call, context: &Context, reply: io::Result<Reply>) -> Result<(), Error> {
    let error = match reply {
        Ok(reply) if (200..300).contains(&reply.head.status) => return Ok(()),
        Ok(reply) => refused(call, &reply),
        Err(source) => lost(call, source),
    };
    match error {
        Error::Refused { status: 500, .. } => Err(error),
        _ => {
            logs::error(context.request_id(), format_args!("{error}"));
            Ok(())
        }
    }
}

async fn send<T: Transport>(
    mut upload: T::Upload<'_>,
    context: &Context,
    head: Vec<u8>,
    prelude: &[u8],
    body: impl Body,
) -> io::Result<Reply> {
    let mut out = Chunks::new(head, |bytes: &mut Vec<u8>| upload.send(bytes));
    let written = match out.write_all(prelude) {
        Ok(()) => T::handle(context, current::with(context, guard(body.write(&mut out)))).await,
        Err(error) => return Err(error),
    };
    let trailers = match written {
        Ok(()) => Vec::new(),
        Err(failure) => {
            logs::failure(context.request_id(), &failure);
            report::trailers(&failure)
        }
    };
    logs::flush();
    // A peer that has closed may have said why.
    let _ = out.end(&trailers);
    upload.finish().await
}

/// The answer, where it is 200: without that there is no way to go on.
pub(crate) fn expect_200(call: &Call, reply: io::Result<Reply>) -> Result<Reply, Error> {
    match reply {
        Ok(reply) if reply.head.status == 200 => Ok(reply),
        Ok(reply) => Err(refused(call, &reply)),
        Err(source) => Err(lost(call, source)),
    }
}

fn lost(call: &Call, source: io::Error) -> Error {
    let request = call.to_string();
    Error::Connection { request, source }
}

/// The error in the Runtime API's own words: JSON with an errorType and an errorMessage, where all is well with it.
fn refused(call: &Call, reply: &Reply) -> Error {
    let words = String::from_utf8_lossy(&reply.body);
    Error::Refused {
        request: call.to_string(),
        status: reply.head.status,
        message: words.trim().chars().take(MAX_WORDS).collect(),
    }
}

/// Whether the text can stand between two slashes of a path as it is.
fn is_path_segment(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"/?#%".contains(&byte);
    !["", ".", ".."].contains(&text) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_that_would_change_the_path_is_refused() {
        for id in [
            "", ".", "..", "a b", "a/b", "a?b", "a#b", "a%2f", "ä", "a\r\n",
        ] {
            assert!(!is_path_segment(id), "{id:?}");
        }
        assert!(is_path_segment("8476a536-e9f4-11e8-9739-2dfe598c3fcd"));
    }
}
