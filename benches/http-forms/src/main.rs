//! Gives the events and responses of `tests/http/cases.json` to this runtime and to lambda_http, and writes what each made of them:
//! all into `tests/http/recorded.json`, what differs into `docs/http.md`. A difference that nobody has explained is an error, and so
//! is an explanation of none.

#[path = "../../../tests/http/forms.rs"]
mod forms;

use std::{
    error::Error,
    fmt::Write,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use forms::{Cases, Facts, Reply, describe, parameters};
use lambda_http::{
    Adapter, Body, Context, IntoResponse, LambdaEvent, Request, RequestExt, Service,
    request::{LambdaRequest, RequestContext},
    service_fn,
};
use serde_json::{Map, Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TABLE: &str = "docs/http.md";
const MARK: &str = "<!-- What follows is written by `make http`. -->\n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // A panic is a result here.
    std::panic::set_hook(Box::new(|_| {}));
    let root = std::env::args()
        .nth(1)
        .ok_or("expected the directory of the clone")?;
    let cases = Cases::read();
    let (mut requests, mut responses) = (Rows::default(), Rows::default());
    for case in &cases.requests {
        let (ours, theirs) = (forms::request(&case.event), request(&case.event).await);
        requests.add(case.name.clone(), &case.differs, ours, theirs);
    }
    for reply in &cases.responses {
        let event = cases.event(&reply.to);
        let (ours, theirs) = (forms::response(reply, event), response(reply, event).await);
        responses.add(
            format!("{} to {}", reply.name, reply.to),
            &reply.differs,
            ours,
            theirs,
        );
    }

    let root = Path::new(&root);
    let recorded = json!({"requests": requests.recorded, "responses": responses.recorded});
    fs::write(
        root.join("tests/http/recorded.json"),
        format!("{recorded:#}\n"),
    )?;
    let page = fs::read_to_string(root.join(TABLE))?;
    let (before, _) = page
        .split_once(MARK)
        .ok_or("docs/http.md has lost the mark of its generated part")?;
    let lock = fs::read_to_string(root.join("benches/Cargo.lock"))?;
    let version = version(&lock);
    let notes: String = cases
        .notes
        .iter()
        .map(|(name, note)| format!("- **{name}**: {note}\n"))
        .collect();
    let page = format!(
        "{before}{MARK}\n## Beside lambda_http {version}\n\nThe same {} events and {} responses through both. {}\n\n{}\n{}\n\n{}\n{}\n\n{notes}",
        requests.recorded.len(),
        responses.recorded.len(),
        "A cell is empty where both agree.",
        requests.table("event"),
        "A response is what the client gets by AWS's documentation of who sends the request.",
        responses.table("response"),
        "The notes say who is right by AWS's documentation.",
    );
    fs::write(root.join(TABLE), page)?;
    for line in requests.unexplained.iter().chain(&responses.unexplained) {
        eprintln!("error: {line}");
    }
    match requests.unexplained.is_empty() && responses.unexplained.is_empty() {
        true => Ok(()),
        false => Err("tests/http/cases.json does not say of each difference, and of nothing else, who is right".into()),
    }
}

fn version(lock: &str) -> &str {
    let found = lock.split_once("name = \"lambda_http\"\nversion = \"");
    found
        .and_then(|(_, rest)| rest.split('"').next())
        .unwrap_or_default()
}

#[derive(Default)]
struct Rows {
    recorded: Map<String, Value>,
    table: String,
    unexplained: Vec<String>,
}

impl Rows {
    fn add(&mut self, name: String, differs: &[String], ours: Value, theirs: Value) {
        let differences = differences(&ours, &theirs);
        match (differences.is_empty(), differs.is_empty()) {
            (true, false) => self
                .unexplained
                .push(format!("{name}: both agree, and there is a note")),
            (false, true) => self.unexplained.push(format!("{name}: {differences:?}")),
            _ => {}
        }
        let cell = |text: &str| text.replace('|', "\\|");
        let shown: Vec<_> = differences
            .iter()
            .map(|[what, ours, theirs]| format!("{what}: {ours}; {theirs}"))
            .collect();
        // Writing to a text cannot fail.
        let _ = writeln!(
            self.table,
            "| {} | {} | {} |",
            cell(&name),
            cell(&shown.join("<br>")),
            differs.join(", ")
        );
        self.recorded
            .insert(name, json!({"ours": ours, "lambda_http": theirs}));
    }

    fn table(&self, what: &str) -> String {
        format!(
            "| {what} | ours; lambda_http's | notes |\n| --- | --- | --- |\n{}",
            self.table
        )
    }
}

/// What is not the same, here and there.
fn differences(ours: &Value, theirs: &Value) -> Vec<[String; 3]> {
    let text = |value: &Value| match value {
        Value::Null => "nothing".to_owned(),
        value => {
            let text = value.to_string();
            let short: String = text.chars().take(160).collect();
            let mark = if short.len() < text.len() { " …" } else { "" };
            // Two quotes, as bytes like a backtick are among the values.
            format!("``{short}``{mark}")
        }
    };
    // Errors have words of their own.
    let is_error = |value: &Value| value["error"].is_string();
    if is_error(ours) || is_error(theirs) {
        if is_error(ours) && is_error(theirs) {
            return Vec::new();
        }
        let shown = |value: &Value| match is_error(value) {
            true => format!(
                "{}: {}",
                value["error"].as_str().unwrap_or_default(),
                text(&value["message"])
            ),
            false => "a request".to_owned(),
        };
        return vec![["all".to_owned(), shown(ours), shown(theirs)]];
    }
    let mut differences = Vec::new();
    let (Value::Object(left), Value::Object(right)) = (ours, theirs) else {
        return vec![["all".to_owned(), text(ours), text(theirs)]];
    };
    let names: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
    for name in names {
        match (&ours[name], &theirs[name]) {
            (left, right) if left == right => {}
            (Value::Object(_), Value::Object(_)) => {
                let inner = self::differences(&ours[name], &theirs[name]).into_iter();
                differences.extend(
                    inner.map(|[inner, ours, theirs]| [format!("{name} {inner}"), ours, theirs]),
                );
            }
            (left, right) => differences.push([name.clone(), text(left), text(right)]),
        }
    }
    differences
}

/// What lambda_http makes of an event.
async fn request(event: &Value) -> Value {
    let shared = event.clone();
    let answer = answer(event, move |request: Request| {
        let context = request.request_context();
        let source_ip = match &context {
            RequestContext::ApiGatewayV2(known) => known.http.source_ip.clone(),
            RequestContext::ApiGatewayV1(known) => known.identity.source_ip.clone(),
            RequestContext::WebSocket(known) => known.identity.source_ip.clone(),
            _ => None,
        };
        let query = request.query_string_parameters();
        let facts = Facts {
            query: query
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            path_parameters: parameters(&shared, "pathParameters", |name| {
                request.path_parameters().first(name).map(str::to_owned)
            }),
            stage_variables: parameters(&shared, "stageVariables", |name| {
                request.stage_variables().first(name).map(str::to_owned)
            }),
            authorizer: authorizer(&context),
            source_ip: source_ip.into(),
            body: request.body().to_vec(),
        };
        let mut described = describe(&request, facts);
        if shared["rawQueryString"].is_null() {
            // The order is another one each time.
            let uri = described["uri"].as_str().unwrap_or_default().to_owned();
            if let Some((path, query)) = uri.split_once('?') {
                let mut pairs: Vec<_> = query.split('&').collect();
                pairs.sort_unstable();
                described["uri"] = format!("{path}?{}", pairs.join("&")).into();
            }
        }
        described
    })
    .await;
    match answer {
        Ok(answer) => serde_json::from_str(answer["body"].as_str().expect("a body")).expect("JSON"),
        Err(error) => error,
    }
}

/// The authorizer's findings: where there are none lambda_http has an empty object, and those of a REST API stand under `lambda`.
fn authorizer(context: &RequestContext) -> Value {
    let known = serde_json::to_value(context.authorizer()).expect("JSON");
    let inner = match context {
        RequestContext::ApiGatewayV2(_) => known,
        _ => known["lambda"].clone(),
    };
    match inner.as_object() {
        Some(members) if !members.is_empty() => inner,
        _ => Value::Null,
    }
}

/// What a client sees of a response with lambda_http.
async fn response(reply: &Reply, event: &Value) -> Value {
    // Within its closure there is no place for a reference.
    let response = std::sync::Mutex::new(Some(reply.response::<Body>()));
    let answer = answer(event, move |_| {
        response
            .lock()
            .expect("no panic")
            .take()
            .expect("one request")
    })
    .await;
    match answer {
        Ok(answer) => forms::client(&reply.to, &answer),
        Err(error) => error,
    }
}

/// The answer of lambda_http, or what it reports, or that it panics.
async fn answer<R: IntoResponse + Send + 'static>(
    event: &Value,
    handler: impl Fn(Request) -> R + Send + Sync + 'static,
) -> std::result::Result<Value, Value> {
    let request: LambdaRequest = serde_json::from_value(event.clone())
        .map_err(|error| json!({"error": "deserialization", "message": error.to_string()}))?;
    let handler = std::sync::Arc::new(handler);
    let mut service = Adapter::from(service_fn(move |request: Request| {
        let handler = handler.clone();
        async move { Ok::<_, std::convert::Infallible>(handler(request)) }
    }));
    let event = LambdaEvent::new(request, Context::default());
    // As the runtime does, it catches what a service throws.
    let panicked = |_| json!({"error": "panic", "message": null});
    let future = catch_unwind(AssertUnwindSafe(|| service.call(event))).map_err(panicked)?;
    let answer = tokio::spawn(future).await;
    let answer = answer.map_err(|_| json!({"error": "panic", "message": null}))?;
    let Ok(answer) = answer;
    serde_json::to_value(answer)
        .map_err(|error| json!({"error": "serialization", "message": error.to_string()}))
}
