//! Checks that a test compiles, parses or runs every code block in the pages.

use std::collections::BTreeSet;
use std::fs;

use clap::CommandFactory;
use pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};

use super::{Page, assert_none, root};
use crate::options::{Options, without_variables};

/// Pages with languages that another test checks: the page, the languages and the file of the test.
const ELSEWHERE: [(&str, &[&str], &str); 1] =
    [("docs/deploy.md", &["hcl", "json", "python", "text", "yaml"], "tests/deploy/snippets.rs")];

/// The crates whose doctests compile the Rust blocks of the pages.
const DOCTESTS: [&str; 2] = ["src/lib.rs", "conformance/src/lib.rs"];

/// A code block.
struct Block {
    language: String,
    text: String,
    /// The `path:line` of its first line.
    position: String,
}

fn blocks(page: &Page) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (event, range) in page.events() {
        match (event, &mut open) {
            (Event::Start(Tag::CodeBlock(kind)), _) => {
                let language = match kind {
                    CodeBlockKind::Fenced(language) => language.into_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                open = Some(Block { language, text: String::new(), position: page.position(range.start) });
            }
            (Event::Text(text), Some(block)) => block.text.push_str(&text),
            (Event::End(TagEnd::CodeBlock), _) => blocks.extend(open.take()),
            _ => {}
        }
    }
    blocks
}

/// The commands in a shell block.
fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(Into::into).collect()
}

/// The words of a command up to the first shell operator, without leading variable assignments.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in command.chars() {
        match (c, quote) {
            (c, Some(end)) if c == end => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('|' | '>' | ';' | '&', None) => break,
            (' ', None) => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let is_variable = |word: &String| {
        word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
    };
    let variables = words.iter().take_while(|word| is_variable(word)).count();
    words.split_off(variables)
}

/// The problem with a command that can be found without running it, if any.
fn problem(command: &str, makefile: &str) -> Option<String> {
    let words = words(command);
    let list = |start: &str| {
        let text = makefile.replace("\\\n", " ");
        let line = text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default().to_owned();
        line.split_whitespace().map(Into::into).collect::<BTreeSet<String>>()
    };
    let verb = match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["cargo", "lambda-musl", ..] => &words[1..],
        ["scripts/cli", ..] => &words[..],
        ["make", arguments @ ..] => {
            let known: [BTreeSet<String>; 4] =
                ["verbs := ", ".PHONY: $(verbs) ", "options := ", "others := "].map(list);
            let is_known = |word: &&&str| match word.split_once('=') {
                Some((name, _)) => known[2..].iter().any(|names| names.contains(name)),
                None => known[..2].iter().any(|names| names.contains(**word)),
            };
            let unknown = arguments.iter().find(|word| !is_known(word));
            return unknown.map(|word| format!("make has no verb or option {word}"));
        }
        _ => return None,
    };
    let error = without_variables(Options::command(), &|_| true).try_get_matches_from(verb).err()?;
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
    (!matches!(error.kind(), DisplayHelp | DisplayVersion)).then(|| error.to_string())
}

/// The problems with a block.
fn check(page: &Page, block: &Block) -> Vec<String> {
    let of_page = page.path.to_str().unwrap();
    let language = block.language.split(',').next().unwrap();
    let elsewhere = ELSEWHERE.iter().any(|(path, languages, _)| *path == of_page && languages.contains(&language));
    let error = |said: String| vec![said];
    match language {
        _ if elsewhere => Vec::new(),
        "" => error("a block without a language; expected rust, sh, toml, json, yaml or text".into()),
        "rust" if block.language.contains("ignore") => {
            let found = fs::read_dir(root().join("examples")).unwrap().flatten().any(|example| {
                let test = fs::read_to_string(example.path().join("tests/program.rs")).unwrap_or_default();
                !test.is_empty()
                    && block.text.trim().lines().filter(|line| line.starts_with("fn ")).all(|line| test.contains(line))
            });
            match found {
                true => Vec::new(),
                false => error(
                    "nothing compiles a block with `ignore`, and no example's tests/program.rs contains its functions"
                        .into(),
                ),
            }
        }
        "rust" => {
            let name = of_page.rsplit('/').next().unwrap();
            let include = match of_page.strip_prefix("src/") {
                Some(_) => format!("include_str!(\"{name}\")"),
                None => format!("/{of_page}\")"),
            };
            let sources = DOCTESTS.map(|file| fs::read_to_string(root().join(file)).unwrap());
            match sources.iter().any(|source| source.contains(&include)) {
                true => Vec::new(),
                false => error(format!("nothing compiles this page's Rust; include the page in {}", DOCTESTS[0])),
            }
        }
        "toml" => block.text.parse::<toml::Table>().err().map(|error| error.to_string()).into_iter().collect(),
        "json" => {
            let value = serde_json::from_str::<serde_json::Value>(&block.text);
            value.err().map(|error| error.to_string()).into_iter().collect()
        }
        "yaml" => {
            let mut parser = saphyr_parser::Parser::new_from_str(&block.text);
            parser.find_map(Result::err).map(|error| error.to_string()).into_iter().collect()
        }
        "sh" => {
            let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
            commands(&block.text)
                .iter()
                .filter_map(|command| Some(format!("{command}: {}", problem(command, &makefile)?)))
                .collect()
        }
        // A text block shows the output of a program. In the reference, that is the help, which contains commands.
        "text" if of_page == "docs/reference.md" => Vec::new(),
        "text" => {
            const PROGRAMS: [&str; 9] = ["$ ", "aws ", "cargo ", "cross ", "curl ", "docker ", "gh ", "make", "sudo "];
            let command = block.text.lines().find(|line| PROGRAMS.iter().any(|program| line.starts_with(program)));
            command.map(|line| format!("a command in a text block; expected sh: {line}")).into_iter().collect()
        }
        other => error(format!("no test checks {other} blocks; expected rust, sh, toml, json, yaml or text")),
    }
}

#[test]
fn every_block_is_checked_by_a_test() {
    let mut problems = Vec::new();
    for page in Page::all() {
        for block in blocks(&page) {
            problems.extend(check(&page, &block).into_iter().map(|said| format!("{}: {said}", block.position)));
        }
    }
    assert_none(problems);
}

#[test]
fn a_test_elsewhere_names_the_page_that_it_reads() {
    let is_there = |path: &str| root().join(path).exists();
    let silent = ELSEWHERE.iter().filter(|(page, _, test)| {
        is_there(page) && !fs::read_to_string(root().join(test)).unwrap_or_default().contains(page)
    });
    assert_none(silent.map(|(page, _, test)| format!("{test}: does not read {page}")));
}

#[test]
fn every_example_in_the_help_is_a_valid_command() {
    let mut problems = Vec::new();
    for verb in Options::command().get_subcommands() {
        let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        for command in help.split('\n').filter_map(|line| Some(&line[line.find("cargo lambda-musl ")?..])) {
            problems.extend(problem(command, "").map(|said| format!("{}: {command}: {said}", verb.get_name())));
        }
    }
    assert_none(problems);
}

#[test]
fn an_unchecked_or_invalid_block_is_reported() {
    for (block, expected) in [
        ("```\na\n```", "without a language"),
        ("    indented\n", "without a language"),
        ("```python\na\n```", "no test checks python blocks"),
        ("```rust\nfn main() {}\n```", "include the page in src/lib.rs"),
        ("```rust,ignore\nfn nobody_has_this() {}\n```", "nothing compiles"),
        ("```toml\na =\n```", "TOML parse error"),
        ("```json\n{\"a\":}\n```", "expected value"),
        ("```yaml\na: [\n```", "expected node content"),
        ("```sh\ncargo lambda-musl build --nothing\n```", "unexpected argument '--nothing'"),
        ("```sh\ncargo lambda-musl nothing\n```", "unrecognized subcommand"),
        ("```sh\nOUT=a make nothing\n```", "make has no verb or option nothing"),
        ("```sh\nmake NOTHING=1\n```", "make has no verb or option NOTHING=1"),
        ("```text\nmake build\n```", "a command in a text block"),
    ] {
        let page = Page { path: "docs/none.md".into(), text: format!("# A\n\n{block}\n") };
        let problems: Vec<String> = blocks(&page).iter().flat_map(|block| check(&page, block)).collect();
        assert!(problems.len() == 1 && problems[0].contains(expected), "{block}: {problems:?}");
    }
    let right = "```sh\nmake invoke EVENT='{\"a\": \"b c\"}' | cat\ncargo lambda-musl build --arch arm64 && true\n```";
    let page = Page { path: "docs/none.md".into(), text: right.into() };
    assert!(blocks(&page).iter().all(|block| check(&page, block).is_empty()));
}
