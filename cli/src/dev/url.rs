//! Function URLs: a request becomes an event of payload format 2.0, and what the function answers becomes a response.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>

use std::time::{SystemTime, UNIX_EPOCH};
use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use form_urlencoded::parse;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{StatusCode, http::request::Parts, http::response::Builder};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::clock;

/// The content type of a stream that begins with a prelude.
pub const INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";

/// What stands between a prelude and the body.
const END_OF_PRELUDE: [u8; 8] = [0; 8];

/// Bytes of the longest prelude.
const LONGEST_PRELUDE: usize = 1 << 20;

/// Headers of one connection, which end where it does.
const OF_CONNECTION: [&str; 9] = [
    "connection",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
];

/// The event for a request that came from `client`. The trace id is that of the invocation.
pub fn event(head: &Parts, body: &[u8], client: SocketAddr, port: u16, id: &str, trace: &str) -> Value {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut headers = BTreeMap::<String, String>::new();
    let mut add = |name: &str, value: String| {
        headers.entry(name.to_owned()).and_modify(|values| *values = format!("{values},{value}")).or_insert(value);
    };
    let is_passed = |name: &HeaderName| *name != COOKIE && !OF_CONNECTION.contains(&name.as_str());
    head.headers.iter().filter(|(name, _)| is_passed(name)).for_each(|(name, value)| add(name.as_str(), text(value)));
    if head.headers.contains_key(CONTENT_LENGTH) || !body.is_empty() {
        add(CONTENT_LENGTH.as_str(), body.len().to_string());
    }
    add("x-forwarded-for", client.ip().to_string());
    // What stands before this server may know it better.
    headers.entry("x-forwarded-proto".into()).or_insert_with(|| "http".into());
    headers.entry("x-forwarded-port".into()).or_insert_with(|| port.to_string());
    headers.entry("x-amzn-trace-id".into()).or_insert_with(|| trace.to_owned());
    let cookies = head.headers.get_all(COOKIE).iter().map(text).collect::<Vec<_>>().join("; ");
    let cookies: Vec<&str> = cookies.split(';').map(str::trim).filter(|cookie| !cookie.is_empty()).collect();
    let query = head.uri.query().unwrap_or_default();
    let mut parameters = BTreeMap::<_, String>::new();
    for (name, value) in parse(query.as_bytes()) {
        parameters.entry(name).and_modify(|values| *values = format!("{values},{value}")).or_insert(value.into_owned());
    }
    let (path, host) = (head.uri.path(), headers.get(HOST.as_str()).cloned().unwrap_or_default());
    let domain = host.rsplit_once(':').map_or(&*host, |(name, _port)| name);
    let now = SystemTime::now();
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": domain,
            "domainPrefix": domain.split('.').next(),
            "http": {
                "method": head.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", head.version),
                "sourceIp": client.ip().to_string(),
                "userAgent": headers.get("user-agent"),
            },
            "requestId": id,
            "routeKey": "$default",
            "stage": "$default",
            "time": clock::of_logs(now),
            "timeEpoch": now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
        },
        "isBase64Encoded": false,
    });
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !parameters.is_empty() {
        event["queryStringParameters"] = json!(parameters);
    }
    if !body.is_empty() {
        match str::from_utf8(body).ok().filter(|_| is_text(&head.headers)) {
            Some(text) => event["body"] = text.into(),
            None => {
                event["body"] = BASE64_STANDARD.encode(body).into();
                event["isBase64Encoded"] = true.into();
            }
        }
    }
    event
}

/// Whether AWS hands a body of this content type over as it is: a form, for one, it does not.
fn is_text(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return !headers.contains_key(CONTENT_ENCODING) };
    let kind = String::from_utf8_lossy(kind.as_bytes()).to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_known = matches!(kind, "application/json" | "application/javascript" | "application/xml");
    let is_text = kind.starts_with("text/") || kind.ends_with("+json") || kind.ends_with("+xml") || is_known;
    is_text && !headers.contains_key(CONTENT_ENCODING)
}

/// Status, headers and cookies, as an answer or the prelude of a stream has them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    #[serde(default = "ok")]
    status_code: u16,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
}

fn ok() -> u16 {
    200
}

impl Head {
    fn response(self, content_type: &str) -> Result<Builder> {
        let status = StatusCode::from_u16(self.status_code).ok().filter(|status| status.as_u16() >= 200);
        let status = status.with_context(|| format!("its statusCode is {}: expected 200 to 599", self.status_code))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type)?);
        let values = self.headers.into_iter().flatten().map(|(name, value)| match value {
            Value::String(text) => Ok((name, text)),
            Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
            _ => bail!("its header {name} is {value}: expected a text"),
        });
        let cookies = self.cookies.into_iter().flatten().map(|cookie| Ok(("set-cookie".to_owned(), cookie)));
        for header in values.chain(cookies) {
            let (name, value) = header?;
            let key = HeaderName::from_bytes(name.as_bytes()).ok();
            let bytes = HeaderValue::from_bytes(value.as_bytes()).ok();
            let (key, value) = key.zip(bytes).with_context(|| format!("{name:?}: {value:?} is no header"))?;
            match key == CONTENT_TYPE {
                true => drop(headers.insert(key, value)),
                // How long the body is, the server sees itself.
                false if OF_CONNECTION.contains(&key.as_str()) => {}
                false => drop(headers.append(key, value)),
            }
        }
        let mut response = hyper::Response::builder().status(status);
        response.headers_mut().context("a response")?.extend(headers);
        Ok(response)
    }
}

/// The response that an answer describes; any other JSON is the body of one.
pub fn response(answer: &[u8]) -> Result<(Builder, Bytes)> {
    let value: Value = serde_json::from_slice(answer).context("it is not JSON")?;
    if value.get("statusCode").is_none() {
        let head = Head { status_code: 200, headers: None, cookies: None };
        let body = match value {
            Value::String(text) => text.into(),
            _ => Bytes::copy_from_slice(answer),
        };
        return Ok((head.response("application/json")?, body));
    }
    let body = match &value["body"] {
        Value::Null => Vec::new(),
        Value::String(text) if value["isBase64Encoded"] == true => {
            BASE64_STANDARD.decode(text).context("isBase64Encoded is true, and its body is not base64")?
        }
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    };
    let head: Head = serde_json::from_value(value)?;
    Ok((head.response("application/json")?, body.into()))
}

/// The beginning of a stream, which may come in any number of pieces.
#[derive(Default)]
pub struct Prelude(Vec<u8>);

impl Prelude {
    /// Takes a piece; once the prelude is whole, returns the response and what has come of its body.
    pub fn add(&mut self, piece: &[u8]) -> Result<Option<(Builder, Bytes)>> {
        self.0.extend_from_slice(piece);
        let end = self.0.windows(END_OF_PRELUDE.len()).position(|bytes| bytes == END_OF_PRELUDE);
        let Some(end) = end else {
            ensure!(self.0.len() < LONGEST_PRELUDE, "its prelude has no end within {LONGEST_PRELUDE} bytes");
            return Ok(None);
        };
        let body = Bytes::copy_from_slice(&self.0[end + END_OF_PRELUDE.len()..]);
        Ok(Some((plain(&self.0[..end])?, body)))
    }
}

/// The response of a prelude.
fn plain(prelude: &[u8]) -> Result<Builder> {
    let head: Head = serde_json::from_slice(prelude).context("its prelude is no JSON object with a statusCode")?;
    head.response("application/octet-stream")
}

/// The response of a stream without a prelude.
pub fn response_of_type(content_type: &str) -> Result<Builder> {
    Head { status_code: 200, headers: None, cookies: None }.response(content_type)
}
