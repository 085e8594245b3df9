//! The ways to send requests to the Runtime API. Each is a separate type, so that a function links only the one it uses.

use std::{io, sync::Arc};

use crate::{
    Context,
    executor::{Alarm, block_on_handler},
    failure::Failure,
    wire::background::{self, Background},
    wire::connection::{self, Connection, Reply},
    wire::request::Request,
};

pub(crate) trait Transport {
    /// A request whose body is written piece by piece.
    type Upload<'a>: Upload
    where
        Self: 'a;

    async fn exchange(&mut self, request: Request) -> io::Result<Reply>;
    async fn begin(&mut self) -> io::Result<Self::Upload<'_>>;

    /// Runs `future`, which is the function's own code in an invocation.
    async fn handle<T>(
        alarm: &Arc<Alarm>, context: &Context, future: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure>;
}

/// A request in progress. Dropping it before it is finished leaves the request incomplete.
pub(crate) trait Upload: Send {
    /// Sends the contents of `bytes` and leaves the vector empty.
    fn send(&mut self, bytes: &mut Vec<u8>) -> io::Result<()>;
    /// Waits for the response, which may arrive before the complete body is sent.
    async fn finish(self) -> io::Result<Reply>;
}

/// Sends requests on this thread, which blocks.
impl Transport for Connection {
    type Upload<'a> = connection::Upload<'a>;

    async fn exchange(&mut self, request: Request) -> io::Result<Reply> {
        Connection::exchange(self, request)
    }

    async fn begin(&mut self) -> io::Result<Self::Upload<'_>> {
        Connection::begin(self)
    }

    async fn handle<T>(
        alarm: &Arc<Alarm>, context: &Context, future: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        block_on_handler(alarm, context, future)
    }
}

impl Upload for connection::Upload<'_> {
    fn send(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let sent = connection::Upload::send(self, bytes);
        bytes.clear();
        sent
    }

    async fn finish(self) -> io::Result<Reply> {
        connection::Upload::finish(self)
    }
}

/// Sends requests on a separate thread, without blocking this one.
impl Transport for Background {
    type Upload<'a> = background::Upload;

    async fn exchange(&mut self, request: Request) -> io::Result<Reply> {
        Background::exchange(self, request).await
    }

    async fn begin(&mut self) -> io::Result<Self::Upload<'_>> {
        Ok(Background::begin(self))
    }

    async fn handle<T>(
        _: &Arc<Alarm>, _: &Context, future: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        future.await
    }
}

impl Upload for background::Upload {
    fn send(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        background::Upload::send(self, std::mem::take(bytes))
    }

    async fn finish(self) -> io::Result<Reply> {
        background::Upload::finish(self).await
    }
}
