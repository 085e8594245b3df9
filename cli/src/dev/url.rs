//! Function URLs: converts a request to an event of payload format 2.0, and the function's response to an HTTP response.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>

use std::time::{SystemTime, UNIX_EPOCH};
use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use form_urlencoded::parse;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue};
use hyper::{StatusCode, http::request::Parts, http::response::Builder};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::clock;

/// The content type of a stream that begins with a prelude.
pub const INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";

/// The separator between a prelude and the body.
const END_OF_PRELUDE: [u8; 8] = [0; 8];

/// The maximum length of a prelude in bytes.
const LONGEST_PRELUDE: usize = 1 << 20;

/// Headers that apply to one connection and are not forwarded.
const OF_CONNECTION: [&str; 9] = [
    "connection", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    "content-length",
];

/// The client and the function of a request.
pub struct Route<'a> {
    pub function: &'a str,
    pub client: SocketAddr,
    pub port: u16,
    /// The ids of the invocation and of its trace.
    pub id: &'a str,
    pub trace: &'a str,
}

/// The event for a request.
pub fn event(head: &Parts, body: &[u8], route: &Route) -> Value {
    let Route { function, client, port, id, trace } = *route;
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
    // A proxy in front of this server may have set these headers already.
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
    let (path, now) = (head.uri.path(), SystemTime::now());
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": function,
            // Lets functions detect that they are called through a function URL, which supports streams.
            "domainName": format!("{function}.lambda-url.localhost"),
            "domainPrefix": function,
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

/// Whether AWS passes a body of this content type as text. AWS encodes a form, for example, in base64.
fn is_text(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return !headers.contains_key(CONTENT_ENCODING) };
    let kind = String::from_utf8_lossy(kind.as_bytes()).to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_known = matches!(kind, "application/json" | "application/javascript" | "application/xml");
    let is_text = kind.starts_with("text/") || kind.ends_with("+json") || kind.ends_with("+xml") || is_known;
    is_text && !headers.contains_key(CONTENT_ENCODING)
}

/// The status, headers and cookies of a response, or of the prelude of a stream.
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
        let status = StatusCode::from_u16(self.status_code).ok().filter(|status| (200..600).contains(&status.as_u16()));
        let status = status.with_context(|| format!("its statusCode is {}: expected 200 to 599", self.status_code))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type)?);
        let values = self.headers.into_iter().flatten().map(|(name, value)| match value {
            Value::String(text) => Ok((name, text)),
            Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
            _ => bail!("its header {name} is {value}: expected a string"),
        });
        let cookies = self.cookies.into_iter().flatten().map(|cookie| Ok(("set-cookie".to_owned(), cookie)));
        for header in values.chain(cookies) {
            let (name, value) = header?;
            let key = HeaderName::from_bytes(name.as_bytes()).ok();
            let bytes = HeaderValue::from_bytes(value.as_bytes()).ok();
            let (key, value) = key.zip(bytes).with_context(|| format!("{name:?}: {value:?} is not a valid header"))?;
            match key == CONTENT_TYPE {
                true => drop(headers.insert(key, value)),
                // The server sets the content length itself.
                false if OF_CONNECTION.contains(&key.as_str()) => {}
                false => drop(headers.append(key, value)),
            }
        }
        let mut response = hyper::Response::builder().status(status);
        response.headers_mut().context("a response")?.extend(headers);
        Ok(response)
    }
}

/// The HTTP response that a function's response describes. Any JSON without a `statusCode` becomes the body.
pub fn response(answer: &[u8]) -> Result<(Builder, Bytes)> {
    let value: Value = serde_json::from_slice(answer).context("it is not JSON")?;
    if value.get("statusCode").is_none() {
        let body = match value {
            Value::String(text) => text.into(),
            _ => Bytes::copy_from_slice(answer),
        };
        return Ok((response_of_type("application/json")?, body));
    }
    let body = match &value["body"] {
        Value::Null => Vec::new(),
        Value::String(text) if value["isBase64Encoded"] == true => {
            BASE64_STANDARD.decode(text).context("isBase64Encoded is true, but its body is not base64")?
        }
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    };
    let head: Head = serde_json::from_value(value)?;
    Ok((head.response("application/json")?, body.into()))
}

/// The prelude of a stream, which may arrive in any number of pieces.
#[derive(Default)]
pub struct Prelude(Vec<u8>);

impl Prelude {
    /// Adds a piece. Once the prelude is complete, returns the response and the received part of its body.
    pub fn add(&mut self, piece: &[u8]) -> Result<Option<(Builder, Bytes)>> {
        self.0.extend_from_slice(piece);
        let end = self.0.windows(END_OF_PRELUDE.len()).position(|bytes| bytes == END_OF_PRELUDE);
        let Some(end) = end else {
            ensure!(self.0.len() < LONGEST_PRELUDE, "its prelude has no end within {LONGEST_PRELUDE} bytes");
            return Ok(None);
        };
        let body = Bytes::copy_from_slice(&self.0[end + END_OF_PRELUDE.len()..]);
        let head = serde_json::from_slice::<Head>(&self.0[..end]);
        let head = head.context("its prelude is not a JSON object with a statusCode")?;
        Ok(Some((head.response("application/octet-stream")?, body)))
    }
}

/// An HTTP response with this content type and no other headers.
pub fn response_of_type(content_type: &str) -> Result<Builder> {
    Head { status_code: 200, headers: None, cookies: None }.response(content_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    /// Events of function URLs, from the cases that the runtime's own tests use.
    fn cases() -> Vec<(String, Value)> {
        let cases: Value = serde_json::from_str(include_str!("../../../tests/http/cases.json")).unwrap();
        let cases = cases["requests"].as_array().unwrap().iter();
        let cases = cases.map(|case| (case["name"].as_str().unwrap().to_owned(), case["event"].clone()));
        cases.filter(|(name, _)| name.starts_with("function URL: ")).collect()
    }

    fn bytes(event: &Value) -> Vec<u8> {
        let body = event["body"].as_str().unwrap_or_default();
        if event["isBase64Encoded"] == true { BASE64_STANDARD.decode(body).unwrap() } else { body.into() }
    }

    /// The request that corresponds to an event from AWS.
    fn request(event: &Value) -> Parts {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let query = Some(text(&event["rawQueryString"])).filter(|query| !query.is_empty());
        let uri = text(&event["rawPath"]) + &query.map(|query| format!("?{query}")).unwrap_or_default();
        let mut request = Request::builder().uri(uri).method(&*text(&event["requestContext"]["http"]["method"]));
        for (name, value) in event["headers"].as_object().unwrap() {
            request = request.header(name, text(value));
        }
        if event["headers"]["cookie"].is_null() {
            for cookie in event["cookies"].as_array().into_iter().flatten() {
                request = request.header("cookie", text(cookie));
            }
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_request_becomes_the_same_event_as_on_aws() {
        let client = "192.0.2.1:50000".parse().unwrap();
        for (name, expected) in cases() {
            let route = Route { function: "orders", client, port: 9000, id: "id-1", trace: "Root=1" };
            let mut head = request(&expected);
            // `event` adds this header.
            head.headers.remove("x-forwarded-for");
            let event = event(&head, &bytes(&expected), &route);
            for key in ["version", "rawPath", "rawQueryString", "cookies", "routeKey"] {
                assert_eq!(event[key], expected[key], "{name}: {key}");
            }
            assert_eq!(bytes(&event), bytes(&expected), "{name}");
            for (header, value) in expected["headers"].as_object().unwrap().iter().filter(|(name, _)| *name != "cookie")
            {
                assert_eq!(event["headers"][header], *value, "{name}: {header}");
            }
            if !expected["queryStringParameters"].is_null() {
                assert_eq!(event["queryStringParameters"], expected["queryStringParameters"], "{name}");
            }
            let context = ["http", "requestId", "stage", "routeKey"];
            for key in context {
                assert_eq!(event["requestContext"][key], expected["requestContext"][key], "{name}: {key}");
            }
            assert_eq!(event["requestContext"]["domainName"], "orders.lambda-url.localhost");
        }
    }

    fn response_of(answer: &str) -> (u16, Vec<(String, String)>, Vec<u8>) {
        let (response, body) = response(answer.as_bytes()).unwrap();
        let response = response.body(()).unwrap();
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        (response.status().as_u16(), headers, body.to_vec())
    }

    #[test]
    fn a_response_describes_an_http_response_or_is_the_body_of_one() {
        let json = ("content-type".to_owned(), "application/json".to_owned());
        for (answer, body) in [
            (r#"{"a":1}"#, &br#"{"a":1}"#[..]),
            (r#""text""#, b"text"),
            ("[1, 2]", b"[1, 2]"),
            ("null", b"null"),
            (r#"{"statusCode":200,"body":{"a":1}}"#, br#"{"a":1}"#),
            (r#"{"statusCode":200,"body":"AP8=","isBase64Encoded":true}"#, b"\0\xff"),
        ] {
            assert_eq!(response_of(answer), (200, vec![json.clone()], body.to_vec()), "{answer}");
        }
        let (status, headers, body) = response_of(
            r#"{"statusCode":404,"headers":{"Content-Type":"text/html","X-Count":7,"Content-Length":"9"},"cookies":["a=b","c=d"]}"#,
        );
        let expected = [("content-type", "text/html"), ("x-count", "7"), ("set-cookie", "a=b"), ("set-cookie", "c=d")];
        assert_eq!((status, body), (404, Vec::new()));
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn the_error_of_an_invalid_response_explains_the_problem() {
        for (answer, expected) in [
            ("no JSON", "it is not JSON"),
            (r#"{"statusCode":199}"#, "expected 200 to 599"),
            (r#"{"statusCode":600}"#, "expected 200 to 599"),
            (r#"{"statusCode":"ok"}"#, "invalid type"),
            (r#"{"statusCode":200,"headers":{"a b":"c"}}"#, "\"a b\": \"c\" is not a valid header"),
            (r#"{"statusCode":200,"headers":{"a":{}}}"#, "its header a is {}: expected a string"),
            (r#"{"statusCode":200,"body":"?","isBase64Encoded":true}"#, "its body is not base64"),
        ] {
            let error = format!("{:#}", response(answer.as_bytes()).map(drop).unwrap_err());
            assert!(error.contains(expected), "{answer}: {error}");
        }
    }

    #[test]
    fn a_prelude_may_arrive_in_pieces_of_any_size() {
        let stream =
            [br#"{"statusCode":201,"headers":{"a":"b"},"cookies":["c=d"]}"#, &END_OF_PRELUDE[..], b"body"].concat();
        for length in 1..=stream.len() {
            let (mut prelude, mut begun, mut body) = (Prelude::default(), None, Vec::new());
            for piece in stream.chunks(length) {
                match &begun {
                    Some(_) => body.extend_from_slice(piece),
                    None => begun = prelude.add(piece).unwrap(),
                }
            }
            let (response, first) = begun.unwrap();
            let response = response.body(()).unwrap();
            assert_eq!((response.status().as_u16(), &response.headers()["set-cookie"]), (201, &"c=d".parse().unwrap()));
            assert_eq!([&first[..], &body].concat(), b"body", "in pieces of {length}");
        }
        assert!(Prelude::default().add(&[b'['; LONGEST_PRELUDE]).is_err());
        assert!(Prelude::default().add(&[b"no JSON", &END_OF_PRELUDE[..]].concat()).is_err());
    }
}
