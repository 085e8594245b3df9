//! The calls to the [Runtime API] that the loop makes: next invocation, response, error.
//!
//! [Runtime API]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

use std::{
    io::{self, Write},
    mem::take,
    sync::Arc,
};

use crate::{
    Context, Error, Raw,
    executor::{Alarm, guard},
    failure::Failure,
    failure::report::{self, ERROR_BODY, ERROR_TYPE},
    logs,
    logs::current,
    response::{Body, Start},
    wire::address::Address,
    wire::chunks::Chunks,
    wire::connection::Reply,
    wire::head::Memory,
    wire::request::{Call, Head, Request},
    wire::transport::{Transport, Upload},
};

/// The maximum number of bytes of an unexpected response that an error message shows.
const MAX_WORDS: usize = 1000;

/// An event with its context.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub context: Context,
    pub event: Raw,
}

/// A phase in which a function can fail: its initialization, its restore from a snapshot, or an invocation.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    Init,
    Restore,
    Invoke(Context),
}

impl Phase {
    pub fn context(&self) -> Option<&Context> {
        match self {
            Phase::Invoke(context) => Some(context),
            Phase::Init | Phase::Restore => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Api<T> {
    address: Address,
    transport: T,
    /// The memory of the last response, for the next request.
    memory: Request,
    /// The memory of the last context, for the request that ends the next invocation.
    pub spare: Memory,
    /// Wakes the thread that created this `Api`.
    pub alarm: Arc<Alarm>,
    /// The number of invocations received.
    pub taken: u64,
}

impl<T: Transport> Api<T> {
    pub fn new(address: &Address, transport: T) -> Self {
        Api {
            address: address.clone(),
            transport,
            memory: Default::default(),
            spare: Default::default(),
            alarm: Alarm::new(),
            taken: 0,
        }
    }

    /// Waits for the next invocation. There is no timeout, because Lambda may freeze the environment meanwhile.
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
        let event = Raw { content_type, body: reply.body };
        Ok(Invocation { context, event })
    }

    /// Sends a GET request; any status except 200 is an error. Lambda may freeze the function meanwhile, so the function's stdout
    /// is flushed first.
    pub async fn get(&mut self, path: &str) -> Result<Reply, Error> {
        logs::flush();
        let call = self.address.get(path);
        let request = Head::new(call, take(&mut self.memory)).with_body(None);
        expect_200(call, self.transport.exchange(request).await)
    }

    pub async fn respond(&mut self, context: &Context, response: Raw) -> Result<(), Error> {
        let headers = [("Content-Type", &*response.content_type)];
        self.post(response_to(context), Some(context), &headers, response.body).await
    }

    pub async fn fail(&mut self, phase: &Phase, failure: &Failure) -> Result<(), Error> {
        let path = match phase {
            Phase::Init => ["/init/error", "", ""],
            Phase::Restore => ["/restore/error", "", ""],
            Phase::Invoke(context) => ["/invocation/", context.request_id(), "/error"],
        };
        let headers = [
            ("Content-Type", "application/json"),
            (ERROR_TYPE, &failure.error_type),
            ("Lambda-Runtime-Function-XRay-Error-Cause", &report::xray_cause(failure)),
        ];
        self.post(path, phase.context(), &headers, report::body(failure)).await
    }

    async fn post(
        &mut self, path: [&str; 3], context: Option<&Context>, headers: &[(&str, &str)], body: Vec<u8>,
    ) -> Result<(), Error> {
        let call = self.address.post(path);
        let head = head(call, context, headers, take(&mut self.spare));
        let reply = self.transport.exchange(head.with_body(Some(body))).await;
        settle(call, context, reply, &mut self.memory)
    }

    /// Sends a body while it is being written. A failure ends the body and is reported in the trailers.
    pub async fn stream(&mut self, context: &Context, start: Start, body: impl Body) -> Result<(), Error> {
        let call = self.address.post(response_to(context));
        let headers = [
            ("Content-Type", &*start.content_type),
            ("Lambda-Runtime-Function-Response-Mode", "streaming"),
            ("Transfer-Encoding", "chunked"),
            ("Trailer", ERROR_TYPE),
            ("Trailer", ERROR_BODY),
        ];
        let head = head(call, Some(context), &headers, take(&mut self.spare));
        let reply = match self.transport.begin().await {
            Ok(upload) => send::<T>(upload, &self.alarm, context, head.end().head.text, &start.prelude, body).await,
            Err(error) => Err(error),
        };
        settle(call, Some(context), reply, &mut self.memory)
    }
}

/// Begins a POST request in `memory`.
fn head(call: Call<'_>, context: Option<&Context>, headers: &[(&str, &str)], memory: Memory) -> Head {
    let mut head = Head::new(call, Request { head: memory, ..Default::default() });
    if let Some(invocation_id) = context.and_then(Context::invocation_id) {
        head.add("Lambda-Runtime-Invocation-Id", invocation_id);
    }
    for (name, value) in headers {
        head.add(name, value);
    }
    head
}

/// The path for the response to a successful invocation.
fn response_to(context: &Context) -> [&str; 3] {
    ["/invocation/", context.request_id(), "/response"]
}

/// Keeps the memory of the response if the request was accepted. Returns an error only if the Runtime API itself has failed
/// (500). Other refusals and lost connections affect only this invocation, so they are logged.
fn settle(
    call: Call<'_>, context: Option<&Context>, reply: io::Result<Reply>, memory: &mut Request,
) -> Result<(), Error> {
    let error = match reply {
        Ok(reply) if (200..300).contains(&reply.head.status) => {
            *memory = reply.into_memory();
            return Ok(());
        }
        Ok(reply) => refused(call, &reply),
        Err(source) => lost(call, source),
    };
    match error {
        Error::Refused { status: 500, .. } => Err(error),
        _ => {
            let request_id = context.map_or("", Context::request_id);
            logs::error(request_id, format_args!("{error}"));
            Ok(())
        }
    }
}

async fn send<T: Transport>(
    mut upload: T::Upload<'_>, alarm: &Arc<Alarm>, context: &Context, head: Vec<u8>, prelude: &[u8], body: impl Body,
) -> io::Result<Reply> {
    let mut out = Chunks::new(head, |bytes: &mut Vec<u8>| upload.send(bytes));
    let written = match out.write_all(prelude) {
        Ok(()) => T::handle(alarm, context, current::with(context, guard(body.write(&mut out)))).await,
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
    // If the peer has closed the connection, its response may give the reason.
    let _ = out.end(&trailers);
    upload.finish().await
}

/// Returns the response if its status is 200; with any other status, the function cannot continue.
pub(crate) fn expect_200(call: Call<'_>, reply: io::Result<Reply>) -> Result<Reply, Error> {
    match reply {
        Ok(reply) if reply.head.status == 200 => Ok(reply),
        Ok(reply) => Err(refused(call, &reply)),
        Err(source) => Err(lost(call, source)),
    }
}

fn lost(call: Call<'_>, source: io::Error) -> Error {
    let request = call.to_string();
    Error::Connection { request, source }
}

/// An error with the beginning of the response body, usually JSON with `errorType` and `errorMessage`.
fn refused(call: Call<'_>, reply: &Reply) -> Error {
    let words = String::from_utf8_lossy(&reply.body);
    let words = words.trim_ascii();
    Error::Refused {
        request: call.to_string(),
        status: reply.head.status,
        message: words[..words.floor_char_boundary(MAX_WORDS)].to_owned(),
    }
}

/// Whether the text can be a path segment without percent-encoding.
fn is_path_segment(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"/?#%".contains(&byte);
    !matches!(text, "" | "." | "..") && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_that_would_change_the_path_is_refused() {
        for id in ["", ".", "..", "a b", "a/b", "a?b", "a#b", "a%2f", "ä", "a\r\n"] {
            assert!(!is_path_segment(id), "{id:?}");
        }
        assert!(is_path_segment("8476a536-e9f4-11e8-9739-2dfe598c3fcd"));
    }
}
