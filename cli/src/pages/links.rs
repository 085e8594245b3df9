//! Checks that every link has a target, on GitHub and in the book.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Tag, TagEnd};

use super::{Page, assert_none, root};

const REPOSITORY: &str = "https://github.com/OWNER/lambda-musl";

/// The anchors that GitHub and mdBook generate for the headings of a page.
fn anchors(page: &Page) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut heading: Option<String> = None;
    for (event, _) in page.events() {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::Text(text) | Event::Code(text), Some(heading)) => heading.push_str(&text),
            (Event::End(TagEnd::Heading(_)), Some(text)) => {
                let kept = text.to_lowercase().replace(|c: char| !(c.is_alphanumeric() || " -_".contains(c)), "");
                let anchor = kept.replace(' ', "-");
                let numbered = (1..).map(|number| format!("{anchor}-{number}"));
                let free = [anchor.clone()].into_iter().chain(numbered).find(|anchor| !anchors.contains(anchor));
                anchors.extend(free);
                heading = None;
            }
            _ => {}
        }
    }
    anchors
}

/// Resolves a relative path in a page to a path in the repository.
fn resolved(page: &Path, path: &str) -> PathBuf {
    let mut resolved = page.parent().unwrap_or(Path::new("")).to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::ParentDir => {
                assert!(resolved.pop(), "{}: {path} points outside the repository", page.display())
            }
            Component::CurDir => {}
            other => resolved.push(other),
        }
    }
    resolved
}

/// The problem with a link in a page, if any.
fn problem(page: &Page, link: &str) -> Option<String> {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = match path.strip_prefix(REPOSITORY) {
        Some(rest) => {
            let path = ["/blob/main/", "/tree/main/"].iter().find_map(|start| rest.strip_prefix(start))?;
            PathBuf::from(path)
        }
        None if path.contains("://") || path.starts_with("mailto:") => return None,
        None if path.is_empty() => page.path.clone(),
        None => resolved(&page.path, path),
    };
    if !root().join(&target).exists() {
        return Some(format!("{} does not exist", target.display()));
    }
    let anchor = anchor?;
    let known = anchors(&Page::read(target.clone()));
    let list = || known.iter().cloned().collect::<Vec<_>>().join(", ");
    (!known.contains(anchor)).then(|| format!("{} has no heading #{anchor}; it has {}", target.display(), list()))
}

#[test]
fn every_link_points_to_an_existing_file_and_heading() {
    let mut problems = Vec::new();
    for page in Page::all() {
        for (event, range) in page.events() {
            if let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = event {
                let problem = problem(&page, &dest_url);
                problems.extend(problem.map(|problem| format!("{}: {problem}", page.position(range.start))));
            }
        }
    }
    assert_none(problems);
}

#[test]
fn every_page_of_the_book_is_in_its_summary() {
    let summary = Page::read("docs/SUMMARY.md".into());
    let links = summary.events().filter_map(|(event, _)| match event {
        Event::Start(Tag::Link { dest_url, .. }) => Some(dest_url.into_string()),
        _ => None,
    });
    let listed: BTreeSet<String> = links.chain(["SUMMARY.md".to_owned()]).collect();
    let files =
        fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let missing = files.filter(|file| file.ends_with(".md") && !listed.contains(file));
    assert_none(missing.map(|file| format!("docs/SUMMARY.md: {file} is missing")));
}

#[test]
fn a_dead_link_and_a_missing_heading_are_reported() {
    let text = "# A\n\n## Two `words`, twice\n\n## Two words twice\n".to_owned();
    let page = Page { path: "docs/start.md".into(), text };
    assert_eq!(anchors(&page).into_iter().collect::<Vec<_>>(), ["a", "two-words-twice", "two-words-twice-1"]);
    for (link, expected) in [
        ("nothing.md", Some("docs/nothing.md does not exist")),
        ("../nothing", Some("nothing does not exist")),
        ("https://github.com/OWNER/lambda-musl/blob/main/nothing", Some("nothing does not exist")),
        ("../SECURITY.md#nothing", Some("SECURITY.md has no heading #nothing; it has ")),
        ("../SECURITY.md#how-to-report", None),
        ("https://github.com/OWNER/lambda-musl/security", None),
        ("https://example.com/nothing", None),
    ] {
        let problem = problem(&page, link);
        let starts = |expected| problem.as_deref().is_some_and(|problem| problem.starts_with(expected));
        assert!(expected.map_or(problem.is_none(), starts), "{link}: {problem:?}");
    }
}
