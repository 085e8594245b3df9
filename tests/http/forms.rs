//! Converts the events of `cases.json` into requests, and responses into what a client receives, for the tests and for the comparison
//! with lambda_http.

use std::collections::BTreeMap;

use lambda_musl::{
    http::{self, Body, Json, Request, RequestContext, RequestExt, Response},
    testing::{self, decode_base64},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The contents of `cases.json`.
#[derive(Deserialize)]
pub struct Cases {
    pub requests: Vec<Case>,
    pub responses: Vec<Reply>,
    /// Which of the two runtimes is right where they differ, and why.
    #[allow(dead_code, reason = "used only by the comparison")]
    pub notes: BTreeMap<String, String>,
}

/// An event.
#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    pub event: Value,
    /// The names of the notes that explain the differences.
    #[serde(default)]
    #[allow(dead_code, reason = "used only by the comparison")]
    pub differs: Vec<String>,
}

/// A response to an event.
#[derive(Deserialize)]
pub struct Reply {
    pub name: String,
    /// The name of the event.
    pub to: String,
    pub status: u16,
    pub headers: Vec<(String, Value)>,
    pub body: Option<String>,
    pub base64: Option<String>,
    /// The length of a body of equal bytes.
    pub repeat: Option<usize>,
    #[serde(default)]
    #[allow(dead_code, reason = "used only by the comparison")]
    pub differs: Vec<String>,
}

impl Cases {
    pub fn read() -> Self {
        serde_json::from_str(include_str!("cases.json")).expect("cases")
    }

    pub fn event(&self, name: &str) -> &Value {
        let case = self.requests.iter().find(|case| case.name == name);
        &case.unwrap_or_else(|| panic!("no event {name:?}")).event
    }
}

impl Reply {
    pub fn response<B: From<Vec<u8>>>(&self) -> Response<B> {
        let body = match (&self.body, &self.base64, self.repeat) {
            (_, _, Some(length)) => vec![b'x'; length],
            (Some(text), ..) => text.clone().into_bytes(),
            (_, Some(base64), _) => decode_base64(base64).expect("base64"),
            _ => Vec::new(),
        };
        let mut response = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            response = match value {
                Value::String(value) => response.header(name, value),
                bytes => {
                    response.header(name, decode_base64(bytes["base64"].as_str().expect("base64")).expect("base64"))
                }
            };
        }
        response.body(body.into()).expect("a response")
    }
}

/// The parts of a request that each crate exposes in its own way.
pub struct Facts {
    pub query: Vec<(String, String)>,
    pub path_parameters: Value,
    pub stage_variables: Value,
    pub authorizer: Value,
    pub source_ip: Value,
    pub body: Vec<u8>,
}

pub fn describe<B>(request: &Request<B>, mut facts: Facts) -> Value {
    let mut headers = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in request.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.as_str()).or_default().push(value);
    }
    facts.query.sort();
    let body = match String::from_utf8(facts.body) {
        Ok(text) => json!(text),
        Err(error) => json!(error.into_bytes()),
    };
    json!({
        "method": request.method().as_str(),
        "uri": request.uri().to_string(),
        "headers": headers,
        "query": facts.query,
        "path parameters": facts.path_parameters,
        "stage variables": facts.stage_variables,
        "authorizer": facts.authorizer,
        "source IP": facts.source_ip,
        "body": body,
    })
}

/// The members of an object in the event, with the values that `get` returns for their names.
pub fn parameters(event: &Value, name: &str, get: impl Fn(&str) -> Option<String>) -> Value {
    let members = event[name].as_object().into_iter().flatten();
    members.map(|(name, _)| (name.clone(), json!(get(name)))).collect::<serde_json::Map<_, _>>().into()
}

/// The request that this crate makes from an event, or the error that it reports.
pub fn request(event: &Value) -> Value {
    let describe = async |request: Request<Body>| {
        let context = request.extensions().get::<RequestContext>().expect("a request context");
        let facts = Facts {
            query: request.query_pairs().map(|(name, value)| (name.into(), value.into())).collect(),
            path_parameters: parameters(event, "pathParameters", |name| request.path_parameter(name).map(Into::into)),
            stage_variables: parameters(event, "stageVariables", |name| request.stage_variable(name).map(Into::into)),
            authorizer: context.authorizer().cloned().unwrap_or_default(),
            source_ip: context.source_ip().map(|ip| ip.to_string()).into(),
            body: request.body().to_vec(),
        };
        Json(describe(&request, facts))
    };
    let [answer] = testing::run(http::handler(describe), [event.clone()]).expect("an answer");
    match answer.error() {
        Some(error) => json!({"error": error.error_type, "message": error.message}),
        None => serde_json::from_str(answer.json()["body"].as_str().expect("a body")).expect("JSON"),
    }
}

/// The response that a client receives with this crate.
pub fn response(reply: &Reply, event: &Value) -> Value {
    let handler = async |_: Request<Body>| reply.response::<Body>();
    let [answer] = testing::run(http::handler(handler), [event.clone()]).expect("an answer");
    client(&reply.to, &answer.json())
}

/// The response that a client receives for the handler's `answer`, according to AWS's documentation of the service that sent the event.
pub fn client(to: &str, answer: &Value) -> Value {
    let (single, multi, cookies) = match to {
        "load balancer: multi-value headers" => (false, true, false),
        _ if to.starts_with("load balancer") || to.starts_with("VPC Lattice") => (true, false, false),
        _ if to.starts_with("REST API") || to.starts_with("WebSocket API") => (true, true, false),
        _ => (true, false, true),
    };
    let mut headers = Vec::<(String, Value)>::new();
    let mut add = |name: &str, value: &Value| headers.push((name.to_ascii_lowercase(), value.clone()));
    let members = |name: &str| answer[name].as_object().cloned().unwrap_or_default();
    if multi {
        for (name, values) in members("multiValueHeaders") {
            values.as_array().into_iter().flatten().for_each(|value| add(&name, value));
        }
    }
    if single {
        members("headers").iter().for_each(|(name, value)| add(name, value));
    }
    if cookies {
        answer["cookies"].as_array().into_iter().flatten().for_each(|value| add("set-cookie", value));
    }
    headers.sort_by_key(|(name, value)| (name.clone(), value.to_string()));
    let body = answer["body"].as_str().unwrap_or_default();
    let bytes = match answer["isBase64Encoded"] == true {
        true => decode_base64(body).expect("base64"),
        false => body.as_bytes().to_vec(),
    };
    let body = match String::from_utf8(bytes) {
        Ok(text) if text.len() > 1000 => json!(format!("{} bytes", text.len())),
        Ok(text) => json!(text),
        Err(error) => json!(error.into_bytes()),
    };
    json!({
        "status": answer["statusCode"],
        "headers": headers,
        "body": body,
        "base64": answer["isBase64Encoded"],
    })
}
