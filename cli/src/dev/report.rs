//! Prints records of builds, events and responses on stdout: as text on a terminal, as JSON lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, SystemTime};

use indicatif::HumanBytes;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::clock;
use crate::{interrupt, options::Format, step};

/// The maximum number of characters of an event or a response to show as text.
const SHOWN: usize = 240;

/// The maximum size in bytes of an event or a response in a line of JSON.
const LONGEST: usize = 256 * 1024;

/// The number of bytes that may wait for a blocked output. Further lines are dropped.
const WAITING: usize = 16 << 20;

/// The number of waiting bytes above which the logs of functions are no longer read.
const BEHIND: usize = 1 << 20;

pub struct Report {
    format: Format,
    colours: bool,
    /// Whether there are several functions, in which case each line contains the name of its function.
    several: bool,
    output: Output,
}

/// Prints lines on a separate thread, because a terminal or a pipe may block indefinitely.
struct Output {
    lines: mpsc::Sender<String>,
    /// The number of bytes that are not printed yet.
    waiting: Arc<AtomicUsize>,
    /// The number of dropped lines that no note has mentioned yet.
    dropped: AtomicUsize,
}

impl Output {
    fn new(mut print: impl FnMut(&str) -> io::Result<()> + Send + 'static) -> Self {
        let (lines, queue) = mpsc::channel::<String>();
        let waiting = Arc::<AtomicUsize>::default();
        let printed = Arc::clone(&waiting);
        thread::spawn(move || {
            for line in queue {
                // An error means that the reader has closed the pipe.
                if print(&line).is_err() {
                    interrupt::stop();
                }
                printed.fetch_sub(line.len(), SeqCst);
            }
        });
        Self { lines, waiting, dropped: AtomicUsize::new(0) }
    }

    /// Prints a line unless too many bytes are waiting.
    fn add(&self, line: String) {
        if self.waiting.fetch_add(line.len(), SeqCst) < WAITING {
            let _ = self.lines.send(line);
        } else {
            self.waiting.fetch_sub(line.len(), SeqCst);
            self.dropped.fetch_add(1, SeqCst);
        }
    }
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
        let output = Output::new(move |line| {
            let mut written = Ok(());
            let mut print = || written = writeln!(io::stdout(), "{line}").and_then(|()| io::stdout().flush());
            // Running steps are shown on the same terminal.
            if is_terminal {
                step::above(print)
            } else {
                print()
            }
            written
        });
        Self { format: format.unwrap_or(usual), colours, several, output }
    }

    pub fn note(&self, message: impl AsRef<str>) {
        self.say(&Record::Note { message: message.as_ref() });
    }

    pub fn say(&self, record: &Record) {
        if self.output.waiting.load(SeqCst) < WAITING {
            let dropped = self.output.dropped.swap(0, SeqCst);
            if dropped > 0 {
                let message = format!("{dropped} lines are missing here, because the output was blocked");
                self.output.add(self.line(&Record::Note { message: &message }));
            }
        }
        self.output.add(self.line(record));
    }

    fn line(&self, record: &Record) -> String {
        match self.format {
            Format::Text => self.text(record),
            Format::Json => json_line(record),
        }
    }

    /// Waits until most lines are printed.
    pub async fn catch_up(&self) {
        while self.output.waiting.load(SeqCst) > BEHIND {
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until all lines are printed, unless the output is blocked.
    pub async fn finish(&self) {
        let are_printed = async {
            while self.output.waiting.load(SeqCst) > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let _ = timeout(Duration::from_secs(1), are_printed).await;
    }

    fn text(&self, record: &Record) -> String {
        let of = |function: &str| if self.several { format!("{function} ") } else { String::new() };
        let [bold, dim, red, green] = ["1", "2", "31", "32"].map(|code| move |text: &str| self.styled(code, text));
        match record {
            Record::Serving { url, functions } => {
                let hint = dim(
                    "\n  cargo lambda-musl invoke --dev --event JSON (or --example NAME) sends an event; Ctrl-C stops the server",
                );
                let lines = functions.iter().map(|Served { name, url }| format!("\n  {name}: {url}"));
                match &functions[..] {
                    [one] => bold(&format!("{} is served at {url}", one.name)) + &hint,
                    _ => bold(&format!("the functions are served at {url}")) + &lines.collect::<String>() + &hint,
                }
            }
            Record::Build { ok: true, seconds, .. } => dim(&format!("compiled in {seconds:.1} s")),
            // The compiler's message is on stderr.
            Record::Build { ok: false, seconds, .. } => red(&format!("does not compile ({seconds:.1} s)")),
            Record::Event { function, source, event, .. } => {
                let head = bold(&format!("{}← ", of(function)));
                match (event.pointer("/requestContext/http/method"), event.get("rawPath")) {
                    (Some(Value::String(method)), Some(Value::String(path))) if *source == "http" => {
                        let query = event["rawQueryString"].as_str().filter(|query| !query.is_empty());
                        format!("{head}{method} {path}{}", query.map(|query| format!("?{query}")).unwrap_or_default())
                    }
                    _ => head + &short(event),
                }
            }
            Record::Log { function, line, .. } => format!("{}{line}", dim(&format!("{}| ", of(function)))),
            Record::Answer { function, status, duration_ms, init_ms, max_memory_bytes, answer, .. } => {
                let init = init_ms.map(|time| format!(", init {time} ms")).unwrap_or_default();
                let memory = max_memory_bytes.map(|bytes| format!(", {}", HumanBytes(bytes))).unwrap_or_default();
                let cost = dim(&format!("({duration_ms} ms{init}{memory})"));
                match *status {
                    "ok" => format!("{} {cost}", green(&format!("{}→ {}", of(function), of_answer(answer)))),
                    _ => format!("{} {cost}", red(&format!("{}✗ {}", of(function), of_error(answer)))),
                }
            }
            Record::Exit { function, reason } => red(&format!("{}✗ {reason}", of(function))),
            Record::Note { message } => dim(message),
        }
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
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

/// The value that stands for an event or a response in a record: JSON as it is, other text as a string, and long or binary
/// content as the number of its bytes.
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

/// JSON on one line of limited length.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

/// An error on one line.
pub fn of_error(error: &Value) -> String {
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    match (text("errorType"), text("errorMessage")) {
        (Some(kind), Some(message)) => format!("{kind}: {message}"),
        _ => short(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_output_does_not_block_the_server_and_the_dropped_lines_are_counted() {
        let (unblock, blocked) = mpsc::channel::<()>();
        let (printed, lines) = mpsc::channel();
        let output = Output::new(move |line| {
            let _ = blocked.recv();
            printed.send(line.to_owned()).map_err(io::Error::other)
        });
        let report = Report { format: Format::Text, colours: false, several: false, output };
        let long = "x".repeat(WAITING / 4);
        (0..7).for_each(|_| report.note(&long));
        drop(unblock);
        (0..4).for_each(|_| assert_eq!(lines.recv().unwrap(), long));
        while report.output.waiting.load(SeqCst) > 0 {
            thread::yield_now();
        }
        report.note("more");
        assert_eq!(lines.recv().unwrap(), "3 lines are missing here, because the output was blocked");
        assert_eq!(lines.recv().unwrap(), "more");
    }
}
