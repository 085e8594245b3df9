//! The three calls of the [Runtime API] that a function lives on: next invocation, response, error.
//!
//! [Runtime API]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

use std::io::{self, Write};

use crate::{
    Context, Error, Raw,
    background::Background,
    connection::{Connection, Reply, Request},
    failure::Failure,
};
use http_req::request::Method;

/// Characters of an answer that is not the expected one that are shown.
const MAX_WORDS: usize = 1000;

/// Where the Runtime API is: `host:port`, and a path where an emulator has one.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    host: String,
    port: u16,
    base: String,
}

impl Address {
    pub fn parse(address: &str) -> Result<Self, Error> {
        let invalid = |reason| Error::Address {
            address: address.to_owned(),
            reason,
        };
        let (authority, path) = address.split_once('/').unwrap_or((address, ""));
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an IPv6 address without a port are inside its brackets.
            Some((host, port)) if !port.ends_with(']') => {
                let port = port
                    .parse()
                    .map_err(|_| invalid("the port is no number below 65536"))?;
                (host, port)
            }
            _ => (authority, 80),
        };
        if host.is_empty() {
            return Err(invalid("the host is missing"));
        }
        if address.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(invalid("there is white space in it"));
        }
        let path = path.trim_end_matches('/');
        let slash = if path.is_empty() { "" } else { "/" };
        Ok(Address {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            base: format!("http://{authority}{slash}{path}/2018-06-01/runtime"),
        })
    }

    pub fn connection(&self) -> Connection {
        Connection::new(self.host.clone(), self.port)
    }
}

/// How requests reach the Runtime API. A type of its own for each way, so that a function links only the one it uses.
pub(crate) trait Transport {
    async fn exchange(&mut self, request: Request) -> io::Result<Reply>;
}

/// On this thread, which waits.
impl Transport for Connection {
    async fn exchange(&mut self, request: Request) -> io::Result<Reply> {
        Connection::exchange(self, &request)
    }
}

/// On a thread of its own, while this one does something else.
impl Transport for Background {
    async fn exchange(&mut self, request: Request) -> io::Result<Reply> {
        Background::exchange(self, request).await
    }
}

/// An event with what Lambda says about it.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub context: Context,
    pub event: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Api<T> {
    base: String,
    transport: T,
}

impl<T: Transport> Api<T> {
    pub fn new(address: &Address, transport: T) -> Self {
        let base = address.base.clone();
        Api { base, transport }
    }

    /// Waits for the next invocation: without a timeout, as the environment is frozen meanwhile.
    pub async fn next(&mut self) -> Result<Invocation, Error> {
        let request = Request {
            method: Method::GET,
            url: format!("{}/invocation/next", self.base),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let what = what(&request);
        let reply = match self.transport.exchange(request).await {
            Ok(reply) => reply,
            Err(source) => {
                let request = what;
                return Err(Error::Connection { request, source });
            }
        };
        if reply.status != 200 {
            return Err(refused(what, &reply));
        }
        let context = Context::new(reply.headers);
        if !is_path_segment(context.request_id()) {
            return Err(Error::RequestId);
        }
        let event = reply.body;
        Ok(Invocation { context, event })
    }

    pub async fn respond(&mut self, context: &Context, response: Raw) -> Result<(), Error> {
        let headers = vec![("Content-Type", response.content_type)];
        self.post(context, "response", headers, response.body).await
    }

    pub async fn fail(&mut self, context: &Context, failure: &Failure) -> Result<(), Error> {
        let headers = vec![
            ("Content-Type", "application/json".to_owned()),
            (
                "Lambda-Runtime-Function-Error-Type",
                failure.error_type.to_owned(),
            ),
        ];
        self.post(context, "error", headers, failure.to_json())
            .await
    }

    /// Sends the one answer of an invocation. Only a Runtime API that is broken is an error: what it refuses is lost to
    /// this invocation, not to the next.
    async fn post(
        &mut self,
        context: &Context,
        call: &str,
        mut headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    ) -> Result<(), Error> {
        let id = context.request_id();
        if let Some(invocation_id) = context.invocation_id() {
            headers.push(("Lambda-Runtime-Invocation-Id", invocation_id.to_owned()));
        }
        let request = Request {
            method: Method::POST,
            url: format!("{}/invocation/{id}/{call}", self.base),
            headers,
            body,
        };
        let request_text = what(&request);
        match self.transport.exchange(request).await {
            Ok(reply) if (200..300).contains(&reply.status) => {}
            Ok(reply) if reply.status == 500 => return Err(refused(request_text, &reply)),
            Ok(reply) => log(id, format_args!("{}", refused(request_text, &reply))),
            Err(source) => {
                let request = request_text;
                log(
                    id,
                    format_args!("{}", Error::Connection { request, source }),
                );
            }
        }
        Ok(())
    }
}

/// One line for the log of the function. A log that cannot be written is no reason to stop.
pub(crate) fn log(request_id: &str, what: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "ERROR RequestId: {request_id} {what}");
}

fn what(request: &Request) -> String {
    format!("{} {}", request.method, request.url)
}

/// The error in the Runtime API's own words: JSON with an errorType and an errorMessage, where all is well with it.
fn refused(request: String, reply: &Reply) -> Error {
    let words = String::from_utf8_lossy(&reply.body);
    Error::Refused {
        request,
        status: reply.status,
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
    fn an_address_is_a_host_a_port_and_perhaps_a_path() {
        for (address, host, port, base) in [
            ("127.0.0.1", "127.0.0.1", 80, "http://127.0.0.1"),
            ("127.0.0.1:9001", "127.0.0.1", 9001, "http://127.0.0.1:9001"),
            ("[::1]:9001", "::1", 9001, "http://[::1]:9001"),
            ("[::1]", "::1", 80, "http://[::1]"),
            ("host:1/a/b", "host", 1, "http://host:1/a/b"),
            ("host:1/", "host", 1, "http://host:1"),
        ] {
            let parsed = Address::parse(address).unwrap();
            assert_eq!((parsed.host.as_str(), parsed.port), (host, port));
            assert_eq!(parsed.base, format!("{base}/2018-06-01/runtime"));
        }
    }

    #[test]
    fn an_address_that_is_none_is_named_with_the_reason() {
        for address in [
            "",
            ":9001",
            "host:",
            "host:99999",
            "host:http",
            "a b:1",
            "h:1/\r\n",
        ] {
            let error = Address::parse(address).unwrap_err().to_string();
            assert!(error.contains(&format!("{address:?}")), "{error}");
            assert!(error.contains("expected host:port"), "{error}");
        }
    }

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
