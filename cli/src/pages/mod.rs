//! Tests of the repository's pages: those in the root directory, such as the README, those of the book, and the crate's page. The
//! tests check links, code blocks, error messages and the reference. None of this is compiled into the program.

mod blocks;
mod links;
mod reference;
mod troubleshoot;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser};

/// The pages in the root directory.
const BESIDE: [&str; 5] = ["CHANGELOG.md", "CONTRIBUTING.md", "README.md", "RELEASING.md", "SECURITY.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A page in Markdown.
struct Page {
    /// Its path in the repository.
    path: PathBuf,
    text: String,
}

impl Page {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(root().join(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, text }
    }

    /// All pages.
    fn all() -> Vec<Self> {
        let beside = BESIDE.iter().map(PathBuf::from).chain(["src/README.md".into()]);
        let mut book: Vec<PathBuf> = fs::read_dir(root().join("docs"))
            .unwrap()
            .map(|entry| Path::new("docs").join(entry.unwrap().file_name()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
            .collect();
        book.sort();
        beside.chain(book).map(Self::read).collect()
    }

    fn events(&self) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES).into_offset_iter()
    }

    /// The `path:line` of an offset in the text.
    fn position(&self, offset: usize) -> String {
        let line = self.text[..offset].matches('\n').count() + 1;
        format!("{}:{line}", self.path.display())
    }
}

/// Fails with a line for each problem, if there are any.
#[track_caller]
fn assert_none(problems: impl IntoIterator<Item = String>) {
    let problems: Vec<String> = problems.into_iter().collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
