//! Text in a binary: names, and the paths that a build leaves behind.

use std::{ops::Range, path::Path};

/// Where people and services build, and how many names a path there has at least: `/home/page.c` may be an address of
/// the function's, `/home/ada/app.c` is a file.
const HOMES: [(&str, usize); 10] = [
    ("/home/", 2),
    ("/Users/", 2),
    ("/root/", 1),
    ("/builds/", 2),
    ("/__w/", 2),
    ("/github/workspace/", 1),
    ("/workspace/", 1),
    ("/workspaces/", 2),
    ("/codebuild/", 2),
    ("/jenkins/", 2),
];

/// What a compiler reads or writes; a function may name any other file of somebody's.
const ENDINGS: [&[u8]; 14] = [
    b".rs", b".c", b".cc", b".cpp", b".cxx", b".h", b".hh", b".hpp", b".inc", b".s", b".S",
    b".asm", b".o", b".a",
];

/// Folders of cargo and rustup, wherever they lie.
const TOOLS: [&str; 2] = ["/.cargo/", "/.rustup/"];

/// Folders of cargo, wherever its home lies, in which each name ends in a hash.
const HASHED: [&str; 2] = ["/registry/src/", "/git/checkouts/"];

/// What a build puts in the place of folders of its machine (scripts/rustflags, scripts/cross-build), and where the
/// crates lie that std was compiled with.
const MAPPED: [&str; 6] = [
    "/rustc/",
    "/rust/deps/",
    "/cargo/",
    "/lambda-musl/",
    "/function/",
    "/target/",
];

/// The longest path that is shown, in bytes.
const SHOWN: usize = 120;

/// The first path that is one of `places`, which may end in a slash, or below it.
pub fn known_path(bytes: &[u8], places: &[&str]) -> Option<String> {
    let below = places
        .iter()
        .filter(|place| !place.trim_matches('/').is_empty());
    let below = below.filter_map(|place| {
        let ends_at = |at: &usize| {
            let next = bytes.get(at + place.len());
            place.ends_with('/') || next.is_none_or(|next| *next == b'/' || !is_path(next))
        };
        // What a build calls so itself, where the clone is /cargo or the like.
        let names_it = |at: &usize| {
            let mut names = MAPPED.iter().filter(|name| name.starts_with(*place));
            names.any(|name| bytes[*at..].starts_with(name.as_bytes()))
        };
        let mut paths = Paths::of(bytes);
        let mut is_own = |at: &usize| match place.trim_matches('/').contains('/') {
            true => !paths.is_mapped(*at),
            // A place of one name, like /src, stands in the middle of many a path.
            false => paths.around(*at).start == *at,
        };
        let at = positions(bytes, place).find(|at| ends_at(at) && !names_it(at) && is_own(at))?;
        Some((at, place.len()))
    });
    first(bytes, below)
}

/// The first path that looks like one of the machine that built it: a source file in somebody's home, or one of cargo's own
/// folders.
pub fn likely_path(bytes: &[u8]) -> Option<String> {
    let homes = HOMES.iter().filter_map(|(home, names)| {
        let mut paths = Paths::of(bytes);
        let mut is_file = |at: &usize| {
            let end = paths.around(*at).end;
            is_source(&bytes[at + home.len()..end], *names) && !paths.is_mapped(*at)
        };
        Some((positions(bytes, home).find(|at| is_file(at))?, 0))
    });
    let tools = TOOLS.iter().filter_map(|tool| {
        let mut paths = Paths::of(bytes);
        let at = positions(bytes, tool).find(|at| !paths.is_mapped(*at))?;
        Some((shown_from(paths.around(at).start, at), 0))
    });
    let hashed = HASHED.iter().filter_map(|folder| {
        let is_index = |at: &usize| is_hashed(&bytes[at + folder.len()..]);
        let at = positions(bytes, folder).find(is_index)?;
        Some((shown_from(Paths::of(bytes).around(at).start, at), 0))
    });
    first(bytes, homes.chain(tools).chain(hashed))
}

/// Of paths, where they are and how many bytes are known to belong to them, the first.
fn first(bytes: &[u8], paths: impl Iterator<Item = (usize, usize)>) -> Option<String> {
    let first = paths.min_by_key(|(at, _)| *at);
    first.map(|(at, known)| shown(&bytes[at..], known))
}

fn positions<'a>(bytes: &'a [u8], text: &'a str) -> impl Iterator<Item = usize> + 'a {
    memchr::memmem::find_iter(bytes, text)
}

fn is_path(byte: &u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' | b'+' | b'@')
}

/// Whether a path ends before this place. rustc puts one text behind the other: behind a source begins the next.
fn ends_before(bytes: &[u8], at: usize) -> bool {
    !is_path(&bytes[at]) || bytes[at] == b'/' && bytes[..at].ends_with(b".rs")
}

/// The paths of a binary, which are asked for in their order: each byte is looked at once, as all of it may be one path.
struct Paths<'a> {
    bytes: &'a [u8],
    mapped: [memchr::memmem::Finder<'a>; MAPPED.len()],
    path: Range<usize>,
    /// Where a folder is in the path that was given another name.
    renamed: Option<usize>,
}

impl<'a> Paths<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            mapped: MAPPED.map(memchr::memmem::Finder::new),
            path: 0..0,
            renamed: None,
        }
    }

    /// The path of which this slash is a part.
    fn around(&mut self, slash: usize) -> Range<usize> {
        if slash >= self.path.end {
            let ends = |at: &usize| ends_before(self.bytes, *at);
            let first = self.path.end;
            let start = (first..=slash)
                .rev()
                .find(ends)
                .map_or(first, |end| end + usize::from(!is_path(&self.bytes[end])));
            let end = (slash + 1..self.bytes.len()).find(ends);
            self.path = start..end.unwrap_or(self.bytes.len());
            let path = &self.bytes[self.path.clone()];
            let renamed = self.mapped.iter().filter_map(|name| name.find(path));
            self.renamed = renamed.min().map(|at| start + at);
        }
        self.path.clone()
    }

    /// Whether this slash stands in a path that a build has given another name.
    fn is_mapped(&mut self, slash: usize) -> bool {
        self.around(slash);
        self.renamed.is_some_and(|renamed| renamed < slash)
    }
}

/// Whether a path of so many names leads to a file that a compiler reads or writes.
fn is_source(path: &[u8], names: usize) -> bool {
    let stem = ENDINGS.iter().find_map(|ending| path.strip_suffix(*ending));
    stem.is_some_and(|stem| {
        let parts = stem.split(|byte| *byte == b'/').take(names);
        parts.count() == names && !stem.starts_with(b"/") && !stem.ends_with(b"/")
    })
}

/// Whether the name here ends as that of an index of crates does, or of a repository: `-` and 16 digits of a hash.
fn is_hashed(bytes: &[u8]) -> bool {
    let bytes = &bytes[..bytes.len().min(SHOWN)];
    let end = bytes.iter().position(|byte| *byte == b'/');
    let hash = end.and_then(|end| bytes[..end].last_chunk::<17>());
    hash.is_some_and(|hash| hash[0] == b'-' && hash[1..].iter().all(u8::is_ascii_hexdigit))
}

/// Where a path from `start` on is shown, so that what stands at this place can be seen.
fn shown_from(start: usize, at: usize) -> usize {
    start.max(at.saturating_sub(SHOWN / 2))
}

/// The path that starts here. As many bytes as are `known` belong to it, white space among them as well.
fn shown(bytes: &[u8], known: usize) -> String {
    let bytes = &bytes[..bytes.len().min(known + SHOWN)];
    let end = bytes[known..]
        .iter()
        .position(|byte| !is_path(byte))
        .map_or(bytes.len(), |length| known + length);
    String::from_utf8_lossy(&bytes[..end.min(SHOWN)]).into_owned()
}

/// The versions of OpenSSL that are in a binary, from the text that it says when asked: `OpenSSL 3.5.5 27 Jan 2026`.
pub fn openssl_versions(bytes: &[u8]) -> impl Iterator<Item = String> {
    const NAME: &str = "OpenSSL ";
    positions(bytes, NAME).filter_map(|at| {
        let text = &bytes[at + NAME.len()..];
        let text = &text[..text.len().min(SHOWN)];
        let mut words = text.split(|byte| *byte == b' ' || *byte == 0);
        let (version, day, month) = (words.next()?, words.next()?, words.next()?);
        // 1.0.1 puts two spaces before a day of one digit.
        let day = if day.is_empty() { month } else { day };
        let is_date = !day.is_empty() && day.len() <= 2 && day.iter().all(u8::is_ascii_digit);
        let is_version =
            version.first().is_some_and(u8::is_ascii_digit) && version.iter().all(is_path);
        (is_date && is_version).then(|| String::from_utf8_lossy(version).into_owned())
    })
}

/// What glibc says in a binary: a static program of it has not its name, but the names that it reads from its
/// environment and from libraries, and what it says when it fails.
pub fn glibc(bytes: &[u8]) -> Option<&'static str> {
    const TEXTS: [&str; 4] = [
        "GNU C Library",
        "GLIBC_TUNABLES",
        "GLIBC_PRIVATE",
        "glibc error:",
    ];
    let mut texts = TEXTS.into_iter();
    texts.find(|text| positions(bytes, text).next().is_some())
}

/// The text before the first null, as far as it can be shown on a line.
pub fn until_null(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(SHOWN)];
    on_a_line(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// A name of a file, which may hold anything as well: where it is a usual one, as it is.
pub fn file_name(path: &Path) -> String {
    let name = path.to_string_lossy().escape_debug().to_string();
    name.replace("\\'", "'").replace("\\\"", "\"")
}

/// The beginning of a text that may hold anything.
pub fn on_a_line(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(SHOWN)];
    String::from_utf8_lossy(bytes).escape_debug().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<String> {
        found_of(text, &["/work/my clone", "/ada/", "/", "//"])
    }

    fn found_of(text: &str, places: &[&str]) -> Option<String> {
        let bytes = text.as_bytes();
        known_path(bytes, places).or_else(|| likely_path(bytes))
    }

    #[test]
    fn paths_of_homes_of_cargo_and_of_the_given_places_are_found() {
        for (text, path) in [
            (
                "panicked at/home/ada/app/src/main.rs:1",
                "/home/ada/app/src/main.rs",
            ),
            ("\0/Users/ada/app.o\0", "/Users/ada/app.o"),
            ("in /root/app.c", "/root/app.c"),
            ("\0/builds/ada/app/a.cpp\0", "/builds/ada/app/a.cpp"),
            ("\0/opt/x/.cargo/registry/y\0", "/opt/x/.cargo/registry/y"),
            (
                "/usr/local/cargo/registry/src/index.example.com-1949cf8c6b5b557f/a-1/b.rs",
                "/usr/local/cargo/registry/src/index.example.com-1949cf8c6b5b557f/a-1/b.rs",
            ),
            ("\0/work/my clone/target", "/work/my clone/target"),
            ("\0/work/my clone\0", "/work/my clone"),
            ("\0/ada/app\0", "/ada/app"),
        ] {
            assert_eq!(found(text).as_deref(), Some(path), "{text}");
        }
    }

    #[test]
    fn what_a_function_may_say_is_no_path_of_a_builder() {
        for text in [
            "/home/",
            "/home/page",
            "/home/page.c",
            "/home/user/.config",
            "/home/user/.c",
            "/home/user/.ssh/key.rsa",
            "/home/user/data",
            "/root/",
            "/root/.aws/credentials",
            "/Users",
            "https://scim.example.com/v2/Users/42/groups",
            "https://gitlab.com/api/registry/src/x",
            "https://example.com/git/checkouts/x",
            "/tmp/state.json",
            "/tmp/cache",
            "https://example.com",
            "/work/other",
            "/work/my clones",
            "/ada",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn a_path_that_was_given_another_name_is_no_path_of_a_builder() {
        for text in [
            "begins/rustc/0123/library/alloc/src/raw_vec/mod.rs",
            "/rust/deps/gimli-0.34.0/src/read/line.rs",
            "/cargo/registry/serde-1.0.0/home/ada/lib.rs",
            "/lambda-musl/src/lib.rs",
            "/function/.cargo/config.toml",
            "/target/release/build/a/root/b.c",
            "examples/greeting/src/main.rs",
        ] {
            for place in ["/src", "/library/alloc", "/cargo/", "/rust", "/lambda-musl"] {
                assert_eq!(found_of(text, &[place]), None, "{text} in {place}");
            }
        }
    }

    #[test]
    fn a_path_of_a_builder_is_found_directly_behind_one_with_another_name() {
        let text = "/rustc/0123/library/std/src/rt.rs/work/clone/a.txt";
        for place in ["/work/clone", "/work"] {
            let path = found_of(text, &[place]);
            assert_eq!(path.as_deref(), Some("/work/clone/a.txt"), "{place}");
        }
        let text = "/function/src/main.rs/home/ada/a.rs/target/b.rs";
        assert_eq!(found(text).as_deref(), Some("/home/ada/a.rs/target/b.rs"));
    }

    #[test]
    fn a_binary_full_of_starts_of_paths_is_read_in_no_time() {
        let start = std::time::Instant::now();
        for start in ["/home/", "/home/a", "/cargo/src", "/registry/src/"] {
            let text = start.repeat(30_000);
            assert_eq!(found_of(&text, &["/src"]), None, "{start}");
        }
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }

    #[test]
    fn the_version_of_openssl_is_the_one_before_a_date() {
        for (text, version) in [
            (
                "OpenSSL 3 is new\0OpenSSL 3.5.5 27 Jan 2026\0",
                Some("3.5.5"),
            ),
            ("\0OpenSSL 1.0.1k 8 Jan 2015", Some("1.0.1k")),
            ("\0OpenSSL 1.0.1  3 Mar 2012", Some("1.0.1")),
            ("OpenSSL 3.5.5 is meant", None),
            ("OpenSSL ", None),
        ] {
            assert_eq!(
                openssl_versions(text.as_bytes()).next().as_deref(),
                version,
                "{text}"
            );
        }
    }

    #[test]
    fn a_usual_name_of_a_file_is_shown_as_it_is_and_any_on_one_line() {
        for name in [
            "dist/function.zip",
            "/home/Ada's \"new\" caf\u{e9}/\u{444}.zip",
        ] {
            assert_eq!(file_name(Path::new(name)), name);
        }
        for (name, shown) in [
            ("a\n\u{2713} b.zip", "a\\n\u{2713} b.zip"),
            ("\u{1b}[32ma\r", "\\u{1b}[32ma\\r"),
            ("\u{202e}piz", "\\u{202e}piz"),
        ] {
            assert_eq!(file_name(Path::new(name)), shown);
        }
    }

    #[test]
    fn a_name_is_shown_on_one_line_and_not_at_any_length() {
        assert_eq!(until_null(b"a\nb\0c"), "a\\nb");
        assert_eq!(until_null(&[b'a'; 9999]).len(), SHOWN);
    }
}
