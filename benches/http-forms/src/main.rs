//! Passes the events and responses of `tests/http/cases.json` to this runtime and to lambda_http. Writes this runtime's results
//! to `tests/http/recorded.json` and the differences to `docs/http.md`. A difference without an explanation is an error, and so is an
//! explanation without a difference.

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
const MARK: &str = "<!-- `make http` writes everything below. -->\n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // A panic is one of the results, so it is not printed.
    std::panic::set_hook(Box::new(|_| {}));
    let root = std::env::args().nth(1).ok_or("expected the directory of the clone")?;
    let cases = Cases::read();
    let (mut requests, mut responses) = (Rows::default(), Rows::default());
    for case in &cases.requests {
        let (ours, theirs) = (forms::request(&case.event), request(&case.event).await);
        requests.add(case.name.clone(), &case.differs, ours, theirs);
    }
    for reply in &cases.responses {
        let event = cases.event(&reply.to);
        let (ours, theirs) = (forms::response(reply, event), response(reply, event).await);
        responses.add(format!("{} to {}", reply.name, reply.to), &reply.differs, ours, theirs);
    }

    let root = Path::new(&root);
    let [recorded, of_responses] = [&requests, &responses].map(Rows::one_per_line);
    let recorded = format!("{{\"requests\": {recorded}, \"responses\": {of_responses}}}\n");
    fs::write(root.join("tests/http/recorded.json"), recorded)?;
    let page = fs::read_to_string(root.join(TABLE))?;
    let (before, _) =
        page.split_once(MARK).ok_or("docs/http.md does not contain the comment that starts its generated part")?;
    let lock = fs::read_to_string(root.join("benches/Cargo.lock"))?;
    let version = version(&lock);
    let notes: String = cases.notes.iter().map(|(name, note)| format!("- **{name}**: {note}\n")).collect();
    let page = format!(
        "{before}{MARK}\n## Compared with lambda_http {version}\n\nBoth runtimes processed the same {} events and {} responses. {}\n\n{}\n{}\n\n{}\n{}\n\n{notes}",
        requests.recorded.len(),
        responses.recorded.len(),
        "A cell is empty if both agree.",
        requests.table("event"),
        "A response is what the client receives, according to AWS's documentation of the service that sent the request.",
        responses.table("response"),
        "Each note says which runtime is right according to AWS's documentation: ours, lambda_http, both or neither.",
    );
    fs::write(root.join(TABLE), page)?;
    for line in requests.unexplained.iter().chain(&responses.unexplained) {
        eprintln!("error: {line}");
    }
    match requests.unexplained.is_empty() && responses.unexplained.is_empty() {
        true => Ok(()),
        false => Err("tests/http/cases.json: expected a note for each difference, and for nothing else".into()),
    }
}

fn version(lock: &str) -> &str {
    let found = lock.split_once("name = \"lambda_http\"\nversion = \"");
    found.and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default()
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
            (true, false) => self.unexplained.push(format!("{name}: a note, but no difference")),
            (false, true) => self.unexplained.push(format!("{name}: a difference without a note: {differences:?}")),
            _ => {}
        }
        let cell = |text: &str| text.replace('|', "\\|");
        let shown: Vec<_> =
            differences.iter().map(|[what, ours, theirs]| format!("{what}: {ours}; {theirs}")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(self.table, "| {} | {} | {} |", cell(&name), cell(&shown.join("<br>")), differs.join(", "));
        self.recorded.insert(name, ours);
    }

    fn one_per_line(&self) -> String {
        let line = |(name, value): (&String, &Value)| format!("{}: {value}", json!(name));
        let lines: Vec<_> = self.recorded.iter().map(line).collect();
        format!("{{\n{}\n}}", lines.join(",\n"))
    }

    fn table(&self, what: &str) -> String {
        format!("| {what} | ours; lambda_http's | notes |\n| --- | --- | --- |\n{}", self.table)
    }
}

/// The differences: the name of each, and both values.
fn differences(ours: &Value, theirs: &Value) -> Vec<[String; 3]> {
    let text = |value: &Value| match value {
        Value::Null => "nothing".to_owned(),
        value => {
            let text = value.to_string();
            let short: String = text.chars().take(160).collect();
            let mark = if short.len() < text.len() { " …" } else { "" };
            // Use double backticks, because a value may contain a backtick.
            format!("``{short}``{mark}")
        }
    };
    // The texts of errors always differ.
    let is_error = |value: &Value| value["error"].is_string();
    if is_error(ours) || is_error(theirs) {
        if is_error(ours) && is_error(theirs) {
            return Vec::new();
        }
        let shown = |value: &Value| match is_error(value) {
            true => format!("{}: {}", value["error"].as_str().unwrap_or_default(), text(&value["message"])),
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
                differences.extend(inner.map(|[inner, ours, theirs]| [format!("{name} {inner}"), ours, theirs]));
            }
            (left, right) => differences.push([name.clone(), text(left), text(right)]),
        }
    }
    differences
}

/// The request that lambda_http makes from an event, or its error.
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
            query: query.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
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
            // lambda_http's order is random.
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

/// The output of the authorizer. lambda_http returns an empty object if there is none, and puts a REST API's output under
/// `lambda`.
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

/// The response that a client receives with lambda_http.
async fn response(reply: &Reply, event: &Value) -> Value {
    // The closure must be `'static`, so it cannot borrow the response.
    let response = std::sync::Mutex::new(Some(reply.response::<Body>()));
    let answer = answer(event, move |_| response.lock().expect("no panic").take().expect("one request")).await;
    match answer {
        Ok(answer) => forms::client(&reply.to, &answer),
        Err(error) => error,
    }
}

/// The response of lambda_http, or the error that it reports, or its panic.
async fn answer<R: IntoResponse + Send + 'static>(
    event: &Value, handler: impl Fn(Request) -> R + Send + Sync + 'static,
) -> std::result::Result<Value, Value> {
    let request: LambdaRequest = serde_json::from_value(event.clone())
        .map_err(|error| json!({"error": "deserialization", "message": error.to_string()}))?;
    let handler = std::sync::Arc::new(handler);
    let mut service = Adapter::from(service_fn(move |request: Request| {
        let handler = handler.clone();
        async move { Ok::<_, std::convert::Infallible>(handler(request)) }
    }));
    let event = LambdaEvent::new(request, Context::default());
    // Catches a panic of the service, as the runtime does.
    let panicked = |_| json!({"error": "panic", "message": null});
    let future = catch_unwind(AssertUnwindSafe(|| service.call(event))).map_err(panicked)?;
    let answer = tokio::spawn(future).await;
    let answer = answer.map_err(|_| json!({"error": "panic", "message": null}))?;
    let Ok(answer) = answer;
    serde_json::to_value(answer).map_err(|error| json!({"error": "serialization", "message": error.to_string()}))
}
