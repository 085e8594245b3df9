//! Tests functions against correct and faulty behaviour of the Runtime API, and prints a table of the results.
//!
//! `conformance [NAME=]BINARY...` accepts any programs that Lambda could start. The first one determines the exit status. Rows that
//! need a special handler, such as one that returns an error, run only for the suite's own functions. Other functions can respond
//! with anything.

mod bytes;
mod rows;
mod story;

use std::{
    env, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use conformance::Reply;
use rows::{Outcome, Row};
use story::Script;

/// The number of rows that run at the same time. They spend most of their time waiting.
const AT_ONCE: usize = 8;

/// A function under test.
struct Subject {
    name: String,
    binary: PathBuf,
    /// Whether the binary is one of the suite's own functions.
    known: bool,
}

/// The outcome of a subject in each row, or `None` if the row does not apply to it.
type Column = Vec<Option<Outcome>>;

fn main() -> ExitCode {
    let subjects: Result<Vec<Subject>, String> = env::args().skip(1).map(|text| subject(&text)).collect();
    let subjects = match subjects {
        Ok(subjects) if !subjects.is_empty() => subjects,
        Ok(_) => return fail("expected [NAME=]BINARY..."),
        Err(error) => return fail(&error),
    };
    let rows = rows::all();
    let mut columns = Vec::new();
    for subject in &subjects {
        match column(&rows, subject) {
            Ok(column) => columns.push(column),
            Err(error) => return fail(&format!("{}: {error}", subject.binary.display())),
        }
    }
    print(&rows, &subjects, &columns);
    match columns[0].iter().flatten().all(|outcome| outcome.right) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn fail(what: &str) -> ExitCode {
    eprintln!("error: {what}");
    ExitCode::from(2)
}

fn subject(text: &str) -> Result<Subject, String> {
    let (name, path) = match text.split_once('=') {
        Some((name, path)) => (name.to_owned(), path),
        None => ("the function".to_owned(), text),
    };
    let binary = Path::new(path).canonicalize().map_err(|error| format!("{path}: {error}"))?;
    let hello = Script::one(Reply::Send(bytes::usual())).mode("hello").play(&binary);
    let hello = hello.map_err(|error| format!("{path}: {error}"))?;
    let known = hello.answer().is_some_and(|answer| answer.body == b"\"hello conformance\"");
    if hello.posts.is_empty() {
        return Err(format!(
            "{path}: expected a function that responds to an event; the program {hello}\n{}",
            hello.log
        ));
    }
    Ok(Subject { name, binary, known })
}

fn column(rows: &[Row], subject: &Subject) -> io::Result<Column> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut outcomes = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(row) = rows.get(number) else {
                return Ok(outcomes);
            };
            if subject.known || !row.own {
                outcomes.push((number, row.attempt(&subject.binary, subject.known)?));
            }
        }
    };
    let mut column: Column = rows.iter().map(|_| None).collect();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let outcomes: io::Result<Vec<_>> = worker.join().expect("a worker does not panic");
            for (number, outcome) in outcomes? {
                column[number] = Some(outcome);
            }
        }
        Ok(column)
    })
}

fn print(rows: &[Row], subjects: &[Subject], columns: &[Column]) {
    let names = subjects.iter().map(|subject| format!(" {} | |", subject.name));
    println!("| what the Runtime API does | expected |{}", names.collect::<String>());
    println!("| --- | --- |{}", " --- | --- |".repeat(subjects.len()));
    for (number, row) in rows.iter().enumerate() {
        let cells = columns.iter().map(|column| match &column[number] {
            Some(outcome) => format!(" {} | {} |", outcome.happened, if outcome.right { "✓" } else { "✗" }),
            None => " – | |".to_owned(),
        });
        println!("| {} | {} |{}", row.what, row.expected, cells.collect::<String>());
    }
    let totals = columns.iter().map(|column| {
        let right = column.iter().flatten().filter(|outcome| outcome.right).count();
        format!(" | {right} of {} |", column.iter().flatten().count())
    });
    println!("| | |{}", totals.collect::<String>());
}
