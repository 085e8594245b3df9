//! Prints records of builds, events and responses on stdout: as text on a terminal, as JSON lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use indicatif::HumanBytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::clock;
use crate::{interrupt, options::Format, step};

/// The number of characters of an event or a response to show as text.
const SHOWN: usize = 240;

/// The maximum size in bytes of an event or a response in a line of JSON.
const LONGEST: usize = 256 * 1024;

pub struct Report {
    format: Format,
    colours: bool,
    /// Whether there are several functions, so that lines contain their names.
    several: bool,
    stdout: Mutex<io::Stdout>,
}

/// A function and its URL.
#[derive(Serialize)]
pub struct Served {
    pub name: String,
    pub url: String,
}

/// Something that happened.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Record<'a> {
    /// The server accepts requests.
    Serving { url: &'a str, functions: &'a [Served] },
    /// A build succeeded or failed.
    Build { ok: bool, seconds: f64, message: Option<&'a str> },
    /// An event arrived.
    #[serde(rename_all = "camelCase")]
    Event { function: &'a str, request_id: &'a str, source: &'a str, event: Value },
    /// A line that a function printed.
    Log { function: &'a str, stream: &'a str, line: &'a str },
    /// An invocation is over.
    #[serde(rename_all = "camelCase")]
    Answer {
        function: &'a str,
        request_id: &'a str,
        status: &'static str,
        duration_ms: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        init_ms: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_memory_bytes: Option<u64>,
        answer: Value,
    },
    /// A process ended unexpectedly.
    Exit { function: &'a str, reason: &'a str },
    /// A message for the user.
    Note { message: &'a str },
}

impl Report {
    pub fn new(format: Option<Format>, several: bool) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let usual = if is_terminal { Format::Text } else { Format::Json };
        let colours = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { format: format.unwrap_or(usual), colours, several, stdout: Mutex::new(io::stdout()) }
    }

    pub fn note(&self, message: impl AsRef<str>) {
        self.say(&Record::Note { message: message.as_ref() });
    }

    pub fn say(&self, record: &Record) {
        let line = match self.format {
            Format::Text => self.text(record),
            Format::Json => json_line(record),
        };
        let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        let mut written = Ok(());
        step::above(|| written = writeln!(stdout, "{line}").and_then(|()| stdout.flush()));
        // The reader has closed the pipe.
        if written.is_err() {
            interrupt::stop();
        }
    }

    fn text(&self, record: &Record) -> String {
        let of = |function: &str| if self.several { format!("{function} ") } else { String::new() };
        match record {
            Record::Serving { url, functions } => {
                let hint =
                    self.dim("\n  cargo lambda-musl invoke --dev --event JSON sends an event, Ctrl-C stops the server");
                let lines = functions.iter().map(|Served { name, url }| format!("\n  {name}: {url}"));
                match &functions[..] {
                    [one] => self.bold(&format!("{} is served at {url}", one.name)) + &hint,
                    _ => self.bold(&format!("functions are served at {url}")) + &lines.collect::<String>() + &hint,
                }
            }
            Record::Build { ok: true, seconds, .. } => self.dim(&format!("compiled in {seconds:.1} s")),
            // The compiler's message is on stderr.
            Record::Build { ok: false, seconds, .. } => self.red(&format!("does not compile ({seconds:.1} s)")),
            Record::Event { function, source, event, .. } => {
                let head = self.bold(&format!("{}← ", of(function)));
                match (event.pointer("/requestContext/http/method"), event.get("rawPath")) {
                    (Some(Value::String(method)), Some(Value::String(path))) if *source == "http" => {
                        let query = event["rawQueryString"].as_str().filter(|query| !query.is_empty());
                        format!("{head}{method} {path}{}", query.map(|query| format!("?{query}")).unwrap_or_default())
                    }
                    _ => head + &short(event),
                }
            }
            Record::Log { function, line, .. } => format!("{}{line}", self.dim(&format!("{}| ", of(function)))),
            Record::Answer { function, status, duration_ms, init_ms, max_memory_bytes, answer, .. } => {
                let init = init_ms.map(|time| format!(", init {time} ms")).unwrap_or_default();
                let memory = max_memory_bytes.map(|bytes| format!(", {}", HumanBytes(bytes))).unwrap_or_default();
                let cost = self.dim(&format!("({duration_ms} ms{init}{memory})"));
                match *status {
                    "ok" => format!("{} {cost}", self.green(&format!("{}→ {}", of(function), of_answer(answer)))),
                    _ => format!("{} {cost}", self.red(&format!("{}✗ {}", of(function), of_error(answer)))),
                }
            }
            Record::Exit { function, reason } => self.red(&format!("{}✗ {reason}", of(function))),
            Record::Note { message } => self.dim(message),
        }
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.styled("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.styled("2", text)
    }

    fn red(&self, text: &str) -> String {
        self.styled("31", text)
    }

    fn green(&self, text: &str) -> String {
        self.styled("32", text)
    }
}

/// A record as one line of JSON that begins with the time.
fn json_line(record: &Record) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        time: String,
        #[serde(flatten)]
        record: &'a Record<'a>,
    }
    let line = Line { time: clock::rfc3339(SystemTime::now()), record };
    serde_json::to_string(&line).unwrap_or_default()
}

/// The value for an event or a response in a record: the JSON itself, other text as a string, or else the number of bytes.
pub fn value(bytes: &[u8]) -> Value {
    if bytes.len() > LONGEST {
        return json!({"bytes": bytes.len()});
    }
    serde_json::from_slice(bytes).unwrap_or_else(|_| match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({"bytes": bytes.len()}),
    })
}

/// Formats an HTTP response as status, content type and body, and other responses as JSON.
fn of_answer(answer: &Value) -> String {
    let Some(status) = answer.get("statusCode") else { return short(answer) };
    let headers = answer.get("headers").and_then(Value::as_object).into_iter().flatten();
    let kind =
        headers.filter(|(name, _)| name.eq_ignore_ascii_case("content-type")).find_map(|(_, kind)| kind.as_str());
    let body = answer.get("body").filter(|body| *body != "").map(|body| format!(" {}", short(body)));
    format!("{status} {}{}", kind.unwrap_or_default(), body.unwrap_or_default())
}

/// JSON in one line of limited length.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

/// An error in one line.
pub fn of_error(error: &Value) -> String {
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    match (text("errorType"), text("errorMessage")) {
        (Some(kind), Some(message)) => format!("{kind}: {message}"),
        _ => short(error),
    }
}
