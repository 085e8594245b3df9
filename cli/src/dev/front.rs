//! The HTTP server in front of the functions. It accepts HTTP requests, as a function URL does, and Invoke calls from the `aws`
//! client.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use form_urlencoded::parse;
use http_body_util::{BodyExt, Either, Full, channel::Channel};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioTimer;
use serde_json::json;

use super::function::{Answer, Function, Invocation, new_id, new_trace};
use super::report::Report;
use super::runtime_api::{Broken, Stream, accept, read};
use super::url::{self, Route};
use crate::{invoke::LONGEST_PAYLOAD, step::say};

/// The default port, and the number of ports to try, starting with the default.
pub const PORT: u16 = 9000;
const PORTS: u16 = 10;

type Reply = Response<Either<Full<Bytes>, Channel<Bytes, Broken>>>;

/// The server in front of the functions.
pub struct Front {
    pub functions: Vec<Arc<Function>>,
    pub port: u16,
    pub report: Arc<Report>,
}

/// Binds the given port, or the first free one.
pub fn bind(port: Option<u16>) -> Result<(Vec<TcpListener>, u16)> {
    if let Some(port) = port {
        return listen(port).map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => {
                anyhow!("--port {port}: another program is using this port; choose a free one, or 0 for any free port")
            }
            _ => anyhow!("--port {port}: {error}"),
        });
    }
    for port in PORT..PORT + PORTS {
        match listen(port) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                say(&format!("note: another program is using port {port}"));
            }
            result => return result.with_context(|| format!("port {port}")),
        }
    }
    bail!("other programs are using the ports {PORT} to {}; name a free port with --port", PORT + PORTS - 1)
}

/// Listens on both addresses of `localhost`.
fn listen(port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let port = first.local_addr()?.port();
    match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
        Ok(second) => Ok((vec![first, second], port)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(error),
        // The machine may not support IPv6.
        Err(_) => Ok((vec![first], port)),
    }
}

impl Front {
    /// The URL of a function.
    pub fn url(&self, name: &str) -> String {
        match self.functions.len() {
            1 => format!("http://localhost:{}/", self.port),
            _ => format!("http://{}.localhost:{}/", name.to_ascii_lowercase(), self.port),
        }
    }

    /// Starts accepting connections.
    pub fn serve(self: &Arc<Self>, listeners: Vec<TcpListener>) -> Result<()> {
        for listener in listeners {
            let front = Arc::clone(self);
            accept(listener, move |connection, client| {
                let front = Arc::clone(&front);
                async move {
                    let reply = |request| front.reply(client, request);
                    let mut server = http1::Builder::new();
                    let server = server.timer(TokioTimer::new()).max_headers(1000);
                    let _ = server.serve_connection(connection, service_fn(reply)).await;
                }
            })?;
        }
        Ok(())
    }

    async fn reply(&self, client: SocketAddr, request: Request<Incoming>) -> Result<Reply, Infallible> {
        let (head, body) = request.into_parts();
        if !is_local(host(&head)) {
            let why = format!(
                "the host {:?} is not accepted; expected localhost, NAME.localhost, 127.0.0.1 or [::1], because web \
                 pages from other sites must not call functions on this machine. To call one yourself, send the header Host: \
                 localhost:{}",
                host(&head),
                self.port
            );
            return Ok(text(StatusCode::FORBIDDEN, why));
        }
        let segments: Vec<&str> = head.uri.path().split('/').collect();
        let reply = match segments[..] {
            ["", "2015-03-31", "functions", name, "invocations"] if head.method == Method::POST => {
                let name = parse(name.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default();
                self.invoke(&name, &head.headers, body).await
            }
            _ => match self.of_host(&head) {
                Some(function) => self.request(function, client, &head, body).await,
                None => Ok(self.list(head.uri.path())),
            },
        };
        // An incomplete body means that the client has gone away.
        Ok(reply.unwrap_or_else(|error| text(StatusCode::BAD_REQUEST, error.to_string())))
    }

    /// The only function, or the one named by the host: `NAME.localhost` or, as in events, `NAME.lambda-url.localhost`.
    fn of_host(&self, head: &Parts) -> Option<&Arc<Function>> {
        if let [function] = &self.functions[..] {
            return Some(function);
        }
        let name = host(head).strip_suffix(".localhost")?;
        let name = name.strip_suffix(".lambda-url").unwrap_or(name);
        self.functions.iter().find(|function| function.name.eq_ignore_ascii_case(name))
    }

    /// The function with this name, which may be followed by a version, or with this ARN. A single function also has the name
    /// `function`, as under the emulator.
    fn of_name(&self, name: &str) -> Option<&Arc<Function>> {
        let name = name.rsplit_once(":function:").map_or(name, |(_, name)| name);
        let name = name.split(':').next().unwrap_or_default();
        let found = self.functions.iter().find(|function| function.name == name);
        found.or_else(|| self.functions.first().filter(|_| name == "function" && self.functions.len() == 1))
    }

    /// A list of the functions, for requests that name no function.
    fn list(&self, path: &str) -> Reply {
        let line = |function: &Arc<Function>| {
            let (name, url) = (&function.name, self.url(&function.name));
            format!("<li><a href=\"{url}\">{name}</a>: {url}</li>\n")
        };
        let lines: String = self.functions.iter().map(line).collect();
        let page = format!("<!doctype html>\n<title>Functions</title>\n<ul>\n{lines}</ul>\n");
        let code = if path == "/" { StatusCode::OK } else { StatusCode::NOT_FOUND };
        let mut reply = text(code, page);
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        reply
    }

    /// Handles an HTTP request as a function URL does.
    async fn request(
        &self, function: &Arc<Function>, client: SocketAddr, head: &Parts, body: Incoming,
    ) -> Result<Reply, hyper::Error> {
        let too_large = || text(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
        let Some(body) = read(body, LONGEST_PAYLOAD).await? else { return Ok(too_large()) };
        let given = head.headers.get("x-amzn-trace-id").and_then(|trace| trace.to_str().ok());
        let (id, trace) = (new_id(), given.map_or_else(new_trace, Into::into));
        let route = Route { function: &function.name, client, port: self.port, id: &id, trace: &trace };
        let event = Bytes::from(url::event(head, &body, &route).to_string());
        if event.len() > LONGEST_PAYLOAD {
            return Ok(too_large());
        }
        let invocation = Invocation { id: id.clone(), event, trace, client_context: None };
        let (response, body) = match function.invoke(invocation, "http").await {
            Answer::Whole(answer) => match url::response(&answer) {
                Ok((response, body)) => (response, Either::Left(Full::new(body))),
                Err(error) => return Ok(self.bad_gateway(function, &error)),
            },
            Answer::Stream(stream) => match begin(stream).await {
                Ok((response, body)) => (response, Either::Right(body)),
                Err(error) => return Ok(self.bad_gateway(function, &error)),
            },
            Answer::Error(_) => return Ok(text(StatusCode::BAD_GATEWAY, "Internal Server Error")),
            Answer::Nothing(why) => return Ok(text(StatusCode::SERVICE_UNAVAILABLE, why)),
        };
        let response = response.header("x-amzn-requestid", id).body(body);
        Ok(response.unwrap_or_else(|error| text(StatusCode::BAD_GATEWAY, error.to_string())))
    }

    /// The response that Lambda sends in place of an invalid one. A note explains the problem.
    fn bad_gateway(&self, function: &Function, why: &anyhow::Error) -> Reply {
        self.report.note(format!("{}: its response is not valid for a function URL: {why:#}", function.name));
        text(StatusCode::BAD_GATEWAY, "Internal Server Error")
    }

    /// Handles a call of Invoke: <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>.
    async fn invoke(&self, name: &str, headers: &HeaderMap, body: Incoming) -> Result<Reply, hyper::Error> {
        let refuse = |code, kind: &'static str, message: String| {
            let mut reply = text(code, json!({"Type": "User", "Message": message}).to_string());
            reply.headers_mut().insert(CONTENT_TYPE, JSON);
            reply.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(kind));
            Ok(reply)
        };
        if headers.contains_key(ORIGIN) {
            let message = "Invoke calls from web pages are not accepted, because any site could send them; send the event without the \
                Origin header, or send an HTTP request to the function's URL";
            return refuse(StatusCode::FORBIDDEN, "AccessDeniedException", message.to_owned());
        }
        let Some(event) = read(body, LONGEST_PAYLOAD).await? else {
            let message =
                format!("Request must be smaller than {LONGEST_PAYLOAD} bytes for the InvokeFunction operation");
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", message);
        };
        let Some(function) = self.of_name(name) else {
            let names: Vec<&str> = self.functions.iter().map(|function| &*function.name).collect();
            let message = format!("Function not found: {name}; expected one of: {}", names.join(", "));
            return refuse(StatusCode::NOT_FOUND, "ResourceNotFoundException", message);
        };
        // The aws client sends an empty body if it was given no payload.
        let event = if event.is_empty() { Bytes::from_static(b"{}") } else { event };
        if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&event) {
            let message = format!("Could not parse request body into json: {error}");
            return refuse(StatusCode::BAD_REQUEST, "InvalidRequestContentException", message);
        }
        let decoded = |value| HeaderValue::from_bytes(&BASE64_STANDARD.decode(value).ok()?).ok();
        let client_context = headers.get("x-amz-client-context").map(decoded);
        if client_context == Some(None) {
            let message = "Client context must be a valid Base64-encoded JSON object.".to_owned();
            return refuse(StatusCode::BAD_REQUEST, "InvalidRequestContentException", message);
        }
        let (id, trace) = (new_id(), new_trace());
        let invocation = Invocation { id: id.clone(), event, trace, client_context: client_context.flatten() };
        let mut reply = match headers.get("x-amz-invocation-type").map(HeaderValue::as_bytes) {
            Some(b"DryRun") => text(StatusCode::NO_CONTENT, ""),
            Some(b"Event") => {
                let function = Arc::clone(function);
                tokio::spawn(async move { function.invoke(invocation, "invoke").await });
                text(StatusCode::ACCEPTED, "")
            }
            _ => {
                let answer = match function.invoke(invocation, "invoke").await {
                    Answer::Whole(body) => Ok(body),
                    Answer::Stream(stream) => stream
                        .body
                        .collect()
                        .await
                        .map(|body| body.to_bytes())
                        .map_err(|error| super::function::error("Runtime.TruncatedResponse", &error.to_string())),
                    Answer::Error(error) => Err(error),
                    Answer::Nothing(why) => {
                        return refuse(StatusCode::BAD_REQUEST, "InvalidRuntimeException", why);
                    }
                };
                let is_error = answer.is_err();
                let mut reply = text(StatusCode::OK, answer.unwrap_or_else(|error| error));
                reply.headers_mut().insert(CONTENT_TYPE, JSON);
                if is_error {
                    reply.headers_mut().insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
                }
                reply
            }
        };
        let headers = reply.headers_mut();
        headers.insert("x-amz-executed-version", HeaderValue::from_static("$LATEST"));
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert("x-amzn-requestid", id);
        }
        Ok(reply)
    }
}

/// The host of a request without its port; empty if the request names no host.
fn host(head: &Parts) -> &str {
    let given = head.headers.get(HOST).map(|host| host.to_str().unwrap_or("?"));
    let host = head.uri.host().or(given).unwrap_or_default();
    let port = |(_, port): &(&str, &str)| port.bytes().all(|byte| byte.is_ascii_digit());
    host.rsplit_once(':').filter(port).map_or(host, |(name, _)| name).trim_end_matches('.')
}

/// Whether a host is this machine. Browsers send the host of the page's URL, even if the owner of that name makes it
/// resolve to this machine.
fn is_local(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    ["", "localhost", "127.0.0.1", "[::1]"].contains(&&*host) || host.ends_with(".localhost")
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The HTTP response that a stream describes. Its body is forwarded as it arrives.
async fn begin(stream: Stream) -> Result<(hyper::http::response::Builder, Channel<Bytes, Broken>)> {
    let Stream { content_type, mut body } = stream;
    let content_type = content_type.and_then(|kind| kind.to_str().map(Into::into).ok());
    let content_type = content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
    if content_type != url::INTEGRATION {
        return Ok((url::response_of_type(&content_type)?, body));
    }
    let mut prelude = url::Prelude::default();
    let (response, first) = loop {
        let frame = body.frame().await.context("the stream ended before the end of its prelude")??;
        let Ok(piece) = frame.into_data() else { continue };
        if let Some(begun) = prelude.add(&piece)? {
            break begun;
        }
    };
    let (mut sender, rest) = Channel::new(1);
    tokio::spawn(async move {
        if !first.is_empty() && sender.send(Frame::data(first)).await.is_err() {
            return;
        }
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => {
                    if sender.send(frame).await.is_err() {
                        return;
                    }
                }
                Err(error) => return sender.abort(error),
            }
        }
    });
    Ok((response, rest))
}

fn text(code: StatusCode, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(body.into())));
    *reply.status_mut() = code;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_this_machine_are_accepted() {
        let accepts = |given: &str| {
            let head = Request::builder().uri("/").header(HOST, given).body(()).unwrap().into_parts().0;
            is_local(host(&head))
        };
        for given in
            ["localhost", "LOCALHOST:9000", "127.0.0.1:9000", "[::1]:9000", "[::1]", "a.localhost:1", "localhost."]
        {
            assert!(accepts(given), "{given}");
        }
        for given in [
            "attacker.example", "attacker.example:9000", "localhost.example", "notlocalhost", "127.0.0.1.example",
            "a@b", "::1", "\u{e9}",
        ] {
            assert!(!accepts(given), "{given}");
        }
        let without = Request::builder().uri("/").body(()).unwrap().into_parts().0;
        assert!(is_local(host(&without)), "browsers always send the header");
    }
}
