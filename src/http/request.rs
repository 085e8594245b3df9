//! The conversion of an event to a request.

use std::{borrow::Cow, fmt::Write, net::SocketAddr};

use ::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{COOKIE, HOST},
    request::Parts,
    uri::Authority,
};
use bytes::Bytes;

use super::{
    Body, Event, Origin, RequestContext,
    event::{Object, list, text},
    response::Form,
};
use crate::{Context, Failure, Raw, base64};

/// Extension methods for requests: query parameters, path parameters, stage variables and cookies by name.
///
/// ```
/// use lambda_musl::http::{Body, Request, RequestExt};
///
/// async fn item(request: Request<Body>) -> String {
///     let id = request.path_parameter("id").unwrap_or_default();
///     let tags: Vec<_> = request.query_all("tag").collect();
///     format!("{id} {tags:?} {:?}", request.cookie("session"))
/// }
/// ```
pub trait RequestExt {
    #[doc(hidden)]
    fn uri_and_headers(&self) -> (&Uri, &HeaderMap);

    #[doc(hidden)]
    fn event(&self) -> Option<&Event>;

    /// Returns the names and values of the query in their original order. They are decoded like form data: `+` is a space, and
    /// invalid UTF-8 is replaced.
    fn query_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let pairs = self.uri_and_headers().0.query().unwrap_or_default().split('&');
        pairs.filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
    }

    /// Returns all values of a query parameter.
    fn query_all(&self, name: &str) -> impl Iterator<Item = Cow<'_, str>> {
        self.query_pairs().filter(move |(known, _)| known == name).map(|(_, value)| value)
    }

    /// Returns the first value of a query parameter.
    fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        self.query_all(name).next()
    }

    /// Returns the part of the path that matches `{name}` or `{name+}` in the route, as sent by API Gateway.
    fn path_parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        Object::parse(&self.event()?.path_parameters).ok()?.text(name)
    }

    /// Returns a stage variable of the API.
    fn stage_variable(&self, name: &str) -> Option<Cow<'_, str>> {
        Object::parse(&self.event()?.stage_variables).ok()?.text(name)
    }

    /// Returns the value of a cookie exactly as the client sent it.
    fn cookie(&self, name: &str) -> Option<&str> {
        let headers = self.uri_and_headers().1.get_all(COOKIE).into_iter();
        let texts = headers.filter_map(|value| str::from_utf8(value.as_bytes()).ok());
        let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        Some(pairs.find(|(key, _)| *key == name)?.1)
    }
}

impl<B> RequestExt for Request<B> {
    fn uri_and_headers(&self) -> (&Uri, &HeaderMap) {
        (self.uri(), self.headers())
    }

    fn event(&self) -> Option<&Event> {
        self.extensions().get()
    }
}

impl RequestExt for Parts {
    fn uri_and_headers(&self) -> (&Uri, &HeaderMap) {
        (&self.uri, &self.headers)
    }

    fn event(&self) -> Option<&Event> {
        self.extensions.get()
    }
}

/// Converts an event in one of the forms of [`Origin`] to a request.
pub(crate) fn parse(event: Raw, context: &Context) -> Result<(Request<Body>, Form), Failure> {
    let bytes = Bytes::from(event.body);
    let members = Object::parse(&bytes).map_err(|error| odd(format_args!("it is not a JSON object: {error}")))?;
    let about = members.object("requestContext");
    let (origin, method) = origin(&members, &about)?;

    let headers = headers(&members)?;
    let (path, query) = match origin {
        Origin::FunctionUrl | Origin::HttpApi => {
            let query = members.text("rawQueryString").filter(|query| !query.is_empty());
            (required(&members, "rawPath")?, query.map(|query| carried(&query, QUERY)))
        }
        Origin::WebSocketApi => {
            let path = format!("/{}", about.text("routeKey").unwrap_or_default());
            (path.into(), query(&members, encoded))
        }
        Origin::RestApi => (required(&members, "path")?, query(&members, encoded)),
        // Neither a load balancer nor VPC Lattice decodes the query.
        Origin::LoadBalancer => (required(&members, "path")?, query(&members, |text| carried(text, QUERY))),
        Origin::Lattice => {
            let path = members.text("raw_path").map_or_else(|| required(&members, "path"), Ok)?;
            match path.split_once('?') {
                Some((path, query)) => (path.to_owned().into(), Some(carried(query, QUERY))),
                None => (path, query(&members, |text| carried(text, QUERY))),
            }
        }
    };
    let uri = uri(&headers, &about, &path, query)?;
    let body = body(&members, &bytes)?;

    let slice = |name| members.get(name).map(|json| bytes.slice_ref(json.get().as_bytes())).unwrap_or_default();
    let forwarded_for = match origin {
        Origin::LoadBalancer => forwarded_for(&headers),
        _ => None,
    };
    let request_context =
        RequestContext { origin, json: slice("requestContext"), forwarded_for, value: Default::default() };
    let form = Form::of(origin, members.get("multiValueHeaders").is_some());
    let event = Event { path_parameters: slice("pathParameters"), stage_variables: slice("stageVariables"), bytes };
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    let extensions = request.extensions_mut();
    extensions.insert(event);
    extensions.insert(request_context);
    extensions.insert(context.clone());
    Ok((request, form))
}

/// The failure for an event that is not an HTTP request or contains invalid parts.
fn odd(reason: std::fmt::Arguments<'_>) -> Failure {
    let message = format!(
        "the event is not what the function expects, an HTTP request from a function URL, API Gateway, an Application Load \
         Balancer or VPC Lattice: {reason}"
    );
    Failure::new("Runtime.UnmarshalError", message)
}

fn required<'a>(members: &Object<'a>, name: &str) -> Result<Cow<'a, str>, Failure> {
    members.text(name).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Failure {
    odd(format_args!("\"{name}\" is missing or not a string"))
}

/// The service that sent the event, and the request's method.
fn origin(members: &Object<'_>, about: &Object<'_>) -> Result<(Origin, Method), Failure> {
    let has = |name| about.get(name).is_some();
    let (origin, name, method) = if has("elb") {
        (Origin::LoadBalancer, "httpMethod", members.text("httpMethod"))
    } else if has("http") {
        let domain = about.text("domainName").unwrap_or_default();
        let origin = match domain.contains(".lambda-url.") {
            true => Origin::FunctionUrl,
            false => Origin::HttpApi,
        };
        (origin, "requestContext.http.method", about.object("http").text("method"))
    } else if has("connectionId") {
        let usual = match about.text("eventType").as_deref() {
            Some("CONNECT") => "GET",
            _ => "POST",
        };
        let method = members.text("httpMethod").unwrap_or(usual.into());
        (Origin::WebSocketApi, "httpMethod", Some(method))
    } else if members.get("httpMethod").is_some() {
        (Origin::RestApi, "httpMethod", members.text("httpMethod"))
    } else if members.get("rawPath").is_some() {
        (Origin::HttpApi, "requestContext.http.method", None)
    } else if members.get("method").is_some() || members.get("raw_path").is_some() || has("serviceArn") {
        (Origin::Lattice, "method", members.text("method"))
    } else {
        return Err(odd(format_args!(
            "\"requestContext.http\", \"requestContext.elb\", \"requestContext.connectionId\", \"httpMethod\" and \"method\" are \
             missing: expected one of them"
        )));
    };
    let method = method.ok_or_else(|| missing(name))?;
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return Err(odd(format_args!("\"{name}\" is {method:?}, which is not a valid method")));
    };
    Ok((origin, method))
}

/// Collects all headers. An event can have one value of each name in `headers`, all values in `multiValueHeaders`, or both.
fn headers(members: &Object<'_>) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::with_capacity(16);
    for member in ["multiValueHeaders", "headers"] {
        let object = members.object(member);
        let known: Vec<HeaderName> = headers.keys().cloned().collect();
        for (name, value) in object.texts() {
            let bad = || odd(format_args!("\"{member}\" contains {name:?}: {value:?}, which is not a valid header"));
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            if known.contains(&key) {
                continue;
            }
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad())?;
            let added = headers.try_append(key, value);
            added.map_err(|_| odd(format_args!("\"{member}\" contains too many headers")))?;
        }
    }
    let cookies = members.get("cookies").map(list).unwrap_or_default();
    if !cookies.is_empty() {
        let value = HeaderValue::try_from(cookies.join("; "));
        headers.insert(COOKIE, value.map_err(|_| odd(format_args!("\"cookies\" contains an invalid cookie")))?);
    }
    Ok(headers)
}

fn body(members: &Object<'_>, event: &Bytes) -> Result<Body, Failure> {
    let encoded = ["isBase64Encoded", "is_base64_encoded"].map(|name| (name, members.get(name)));
    let encoded = match encoded.into_iter().find_map(|(name, value)| Some((name, value?.get()))) {
        None | Some((_, "false")) => false,
        Some((_, "true")) => true,
        Some((name, other)) => {
            return Err(odd(format_args!("\"{name}\" is {other}: expected true or false")));
        }
    };
    let Some(json) = members.get("body") else {
        return Ok(Body::default());
    };
    let body = text(json).ok_or_else(|| odd(format_args!("\"body\" is not a string")))?;
    if encoded {
        let bytes = base64::decode(&body);
        let bytes = bytes.ok_or_else(|| odd(format_args!("\"body\" is not valid base64")))?;
        return Ok(bytes.into());
    }
    Ok(match body {
        Cow::Borrowed(body) => event.slice_ref(body.as_bytes()).into(),
        Cow::Owned(body) => body.into(),
    })
}

fn uri(headers: &HeaderMap, about: &Object<'_>, path: &str, query: Option<String>) -> Result<Uri, Failure> {
    let authority = |text: &[u8]| Authority::try_from(text).ok();
    let host = headers.get(HOST).and_then(|host| authority(host.as_bytes()));
    let host = host.or_else(|| authority(about.text("domainName")?.as_bytes()));
    let mut text = String::with_capacity(path.len() + 128);
    if let Some(host) = host {
        let proto = headers.get("x-forwarded-proto");
        text += match proto.is_some_and(|proto| proto == "http") {
            true => "http://",
            false => "https://",
        };
        text += host.as_str();
    }
    if !path.starts_with('/') {
        text.push('/');
    }
    carry(&mut text, path, PATH);
    if let Some(query) = query {
        text.push('?');
        text += &query;
    }
    let length = text.len();
    Uri::try_from(text)
        .map_err(|error| odd(format_args!("its path and query ({length} bytes) are not a valid URI: {error}")))
}

/// Builds the query of an event that contains only the query parameters.
fn query(members: &Object<'_>, write: impl Fn(&str) -> String) -> Option<String> {
    let names = ["multiValueQueryStringParameters", "queryStringParameters", "query_string_parameters"];
    let parameters = names.into_iter().find(|name| members.get(name).is_some())?;
    let object = members.object(parameters);
    let pairs = object.texts().map(|(name, value)| format!("{}={}", write(name), write(&value)));
    let query = pairs.collect::<Vec<_>>().join("&");
    (!query.is_empty()).then_some(query)
}

/// The characters that the http crate rejects or interprets in a path and in a query.
const PATH: &[u8] = b"?#<>`";
const QUERY: &[u8] = b"\"#<>";

/// Appends a text, percent-encoding only what a URI cannot contain.
fn carry(out: &mut String, text: &str, odd: &[u8]) {
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(byte @ (0..=b' ' | 0x7f)) => percent(out, byte),
            Ok(byte) if odd.contains(&byte) => percent(out, byte),
            _ => out.push(character),
        }
    }
}

fn carried(text: &str, odd: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    carry(&mut out, text, odd);
    out
}

/// Encodes a name or a value of a query that AWS has decoded.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => percent(&mut out, byte),
        }
    }
    out
}

fn percent(out: &mut String, byte: u8) {
    // Writing to a `String` cannot fail.
    let _ = write!(out, "%{byte:02X}");
}

/// Decodes a name or a value of a query like form data.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return text.into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        bytes.push(match (first, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    (high * 16 + low) as u8
                }
                _ => b'%',
            },
            (byte, _) => *byte,
        });
    }
    match String::from_utf8_lossy(&bytes) {
        Cow::Borrowed(text) => text.to_owned().into(),
        Cow::Owned(text) => text.into(),
    }
}

/// The last address in `X-Forwarded-For`, which the load balancer has added, possibly with a port.
fn forwarded_for(headers: &HeaderMap) -> Option<std::net::IpAddr> {
    let last = headers.get_all("x-forwarded-for").into_iter().next_back()?;
    let last = last.to_str().ok()?.rsplit(',').next()?.trim();
    let with_port = || last.parse::<SocketAddr>().map(|address| address.ip());
    last.parse().or_else(|_| with_port()).ok()
}
