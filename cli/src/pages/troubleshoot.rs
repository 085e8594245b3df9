//! Checks that the programs print the error messages of the troubleshooting page.

use pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};
use walkdir::WalkDir;

use super::{Page, assert_none, root};

/// Directories whose files contain error messages.
const SOURCES: [&str; 4] = ["cli/src", "docker", "scripts", "src"];

/// All sources except these tests, with the lines of each string literal joined.
fn sources() -> String {
    let files = SOURCES.iter().flat_map(|directory| WalkDir::new(root().join(directory)));
    let files = files.map(Result::unwrap).filter(|file| file.file_type().is_file());
    let files = files.filter(|file| !file.path().starts_with(root().join("cli/src/pages")));
    let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    let text = texts.collect::<String>().replace("\\\"", "\"");
    text.split("\\\n").map(str::trim_start).collect()
}

#[test]
fn every_error_message_of_the_page_is_in_the_sources() {
    let page = Page::read("docs/troubleshoot.md".into());
    let sources = sources();
    let (mut is_message, mut messages, mut problems) = (false, 0, Vec::new());
    for (event, range) in page.events() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => is_message = level == HeadingLevel::H3,
            Event::End(TagEnd::Heading(_)) => is_message = false,
            Event::Code(message) if is_message => {
                messages += 1;
                let parts = message.split('…').map(str::trim).filter(|part| part.len() > 2);
                let missing = parts.filter(|part| !sources.contains(part));
                problems.extend(missing.map(|part| format!("{}: nothing prints {part:?}", page.position(range.start))));
            }
            Event::Text(text) if is_message => {
                problems.push(format!("{}: {text:?} is not an error message", page.position(range.start)));
            }
            _ => {}
        }
    }
    assert!(messages > 20, "{messages}");
    assert_none(problems);
}
