//! The paths that a build leaves behind in a binary.

use std::{ops::Range, path::Path};

use super::LONGEST;

/// What to do about a path of the machine that built a binary.
pub const CURE: &str = "avoid env!(\"CARGO_MANIFEST_DIR\") and the like, or map it with --remap-path-prefix (in C: -ffile-prefix-map)";

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

/// What a compiler reads or writes; a function may name any other file in somebody's home.
const ENDINGS: [&str; 14] = [
    ".rs", ".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".inc", ".s", ".S", ".asm", ".o", ".a",
];

/// Directories of cargo and rustup, wherever they lie.
const TOOLS: [&str; 2] = ["/.cargo/", "/.rustup/"];

/// Directories of cargo, wherever its home lies, in which each name ends in a hash.
const HASHED: [&str; 2] = ["/registry/src/", "/git/checkouts/"];

/// What a build of ours maps the directories of its machine to, and where the crates lie that std was compiled with.
const MAPPED: [&str; 6] = [
    "/rustc/",
    "/rust/deps/",
    "/cargo/",
    "/lambda-musl/",
    "/function/",
    "/target/",
];

/// The first path that is one of `places`, which are absolute and may end in a slash, or below it.
pub fn known_path(bytes: &[u8], places: &[&Path]) -> Option<String> {
    let places = places.iter().map(|place| place.to_string_lossy());
    let places: Vec<_> = places.filter(|p| !p.trim_matches('/').is_empty()).collect();
    slashes(bytes).find_map(|slash| {
        let rest = &bytes[slash.at..];
        let is_in = |place: &str| {
            let next = rest.get(place.len());
            let is_whole = place.ends_with('/') || next.is_none_or(|b| *b == b'/' || !is_path(*b));
            // What a build maps paths to, where the clone lies in /cargo or the like.
            let is_mapped = |to: &&str| to.starts_with(place) && starts_with(rest, to);
            let is_own = match place.trim_matches('/').contains('/') {
                true => !slash.is_mapped,
                // A place of one name, like /src, stands in the middle of many a path.
                false => slash.path.start == slash.at,
            };
            starts_with(rest, place) && is_whole && is_own && !MAPPED.iter().any(|to| is_mapped(to))
        };
        let place = places.iter().find(|place| is_in(place))?;
        Some(shown(rest, place.len()))
    })
}

/// The first path that looks like one of the machine that built it: a source file in somebody's home, or one of cargo's own
/// directories.
pub fn likely_path(bytes: &[u8]) -> Option<String> {
    slashes(bytes).find_map(|slash| {
        let rest = &bytes[slash.at..slash.path.end];
        let is_in = |directory: &&str| starts_with(rest, directory);
        let is_hashed = |directory: &&str| is_in(directory) && is_hashed(&rest[directory.len()..]);
        let is_source = |(home, names): &(&str, usize)| {
            starts_with(rest, home) && is_source(&rest[home.len()..], *names)
        };
        let start = if !slash.is_mapped && HOMES.iter().any(is_source) {
            slash.at
        } else if !slash.is_mapped && TOOLS.iter().any(is_in) || HASHED.iter().any(is_hashed) {
            // From its start, but so that what was found is shown.
            slash.path.start.max(slash.at.saturating_sub(LONGEST / 2))
        } else {
            return None;
        };
        Some(shown(&bytes[start..], 0))
    })
}

/// A slash and the path around it.
struct Slash {
    at: usize,
    path: Range<usize>,
    /// Whether a build has mapped the path up to this slash.
    is_mapped: bool,
}

/// The slashes of a binary. Each path is searched for its end and for mapped names once, as all bytes may be one.
fn slashes(bytes: &[u8]) -> impl Iterator<Item = Slash> {
    let mut path = 0..0;
    let mut is_mapped = false;
    (0..bytes.len()).filter_map(move |at| {
        if at == path.end {
            let end = (at + 1..bytes.len()).find(|at| is_boundary(bytes, *at));
            path = at..end.unwrap_or(bytes.len());
            is_mapped = false;
        }
        if bytes[at] != b'/' {
            return None;
        }
        let slash = Slash {
            at,
            path: path.clone(),
            is_mapped,
        };
        is_mapped |= MAPPED.iter().any(|name| starts_with(&bytes[at..], name));
        Some(slash)
    })
}

/// Whether a path starts or ends before this byte. rustc puts one text behind the other: behind a source begins the next.
fn is_boundary(bytes: &[u8], at: usize) -> bool {
    !is_path(bytes[at])
        || !is_path(bytes[at - 1])
        || bytes[at] == b'/' && bytes[..at].ends_with(b".rs")
}

fn is_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+@".contains(&byte)
}

fn starts_with(bytes: &[u8], text: &str) -> bool {
    bytes.starts_with(text.as_bytes())
}

/// Whether a path of at least so many names leads to a file that a compiler reads or writes.
fn is_source(path: &[u8], names: usize) -> bool {
    let mut endings = ENDINGS.iter();
    let stem = endings.find_map(|ending| path.strip_suffix(ending.as_bytes()));
    stem.is_some_and(|stem| {
        let parts = stem.split(|byte| *byte == b'/').take(names);
        parts.count() == names && !stem.starts_with(b"/") && !stem.ends_with(b"/")
    })
}

/// Whether the first name ends as that of an index of crates does, or of a repository: `-` and 16 digits of a hash.
fn is_hashed(path: &[u8]) -> bool {
    let end = path.iter().position(|byte| *byte == b'/');
    let hash = end.and_then(|end| path[..end].last_chunk::<17>());
    hash.is_some_and(|hash| hash[0] == b'-' && hash[1..].iter().all(u8::is_ascii_hexdigit))
}

/// The path that starts here. As many bytes as are `known` belong to it, white space among them as well.
fn shown(bytes: &[u8], known: usize) -> String {
    let end = bytes.iter().skip(known).position(|byte| !is_path(*byte));
    let end = end.map_or(bytes.len(), |length| known + length);
    String::from_utf8_lossy(&bytes[..end.min(LONGEST)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_in(text: &str, places: &[&str]) -> Option<String> {
        let places: Vec<&Path> = places.iter().map(Path::new).collect();
        known_path(text.as_bytes(), &places).or_else(|| likely_path(text.as_bytes()))
    }

    fn found(text: &str) -> Option<String> {
        found_in(text, &["/work/my clone", "/ada/", "/", "//"])
    }

    #[test]
    fn paths_of_homes_of_cargo_and_of_the_given_places_are_found() {
        for line in "
            panicked at/home/ada/app/src/main.rs:1 => /home/ada/app/src/main.rs
            in:/Users/ada/app.o: => /Users/ada/app.o
            in /root/app.c => /root/app.c
            in:/builds/ada/app/a.cpp: => /builds/ada/app/a.cpp
            in:/opt/x/.cargo/registry/y: => /opt/x/.cargo/registry/y
            /usr/cargo/registry/src/index-1949cf8c6b5b557f/a-1/b.rs => /usr/cargo/registry/src/index-1949cf8c6b5b557f/a-1/b.rs
            /cargo/git/checkouts/app-1949cf8c6b5b557f/1/b => /cargo/git/checkouts/app-1949cf8c6b5b557f/1/b
            in:/work/my clone/target => /work/my clone/target
            in:/work/my clone: => /work/my clone
            in:/ada/app: => /ada/app
            /rustc/0123/library/std/src/rt.rs/work/my clone/a.txt => /work/my clone/a.txt
            /rustc/0123/library/std/src/rt.rs/ada/a.txt => /ada/a.txt
            /function/src/main.rs/home/ada/a.rs/target/b.rs => /home/ada/a.rs/target/b.rs"
            .lines()
            .skip(1)
        {
            let (text, path) = line.trim().split_once(" => ").unwrap();
            assert_eq!(found(text).as_deref(), Some(path), "{text}");
        }
    }

    #[test]
    fn what_a_function_may_say_is_not_a_path_of_a_builder() {
        for text in "/home/, /home/page, /home/page.c, /home/user/.config, /home/user/.c, /home/user/.ssh/key.rsa, \
            /home/user/data, in/home/ada/config.toml, /root/, /root/.aws/credentials, /Users, \
            https://scim.example.com/v2/Users/42/groups, https://gitlab.com/api/registry/src/x, \
            https://example.com/git/checkouts/x, /tmp/state.json, /tmp/cache, https://example.com, /work/other, \
            /work/my clones, /ada"
            .split(", ")
        {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn a_path_that_was_mapped_is_not_a_path_of_a_builder() {
        for text in "begins/rustc/0123/library/alloc/src/raw_vec/mod.rs, /rust/deps/gimli-0.34.0/src/read/line.rs, \
            /cargo/registry/serde-1.0.0/home/ada/lib.rs, /lambda-musl/src/lib.rs, /function/.cargo/config.toml, \
            /target/release/build/a/root/b.c, examples/greeting/src/main.rs"
            .split(", ")
        {
            for place in ["/src", "/library/alloc", "/cargo/", "/rust", "/lambda-musl"] {
                assert_eq!(found_in(text, &[place]), None, "{text} in {place}");
            }
        }
    }

    #[test]
    fn a_path_of_any_length_is_shown_in_part() {
        let text = format!("/{}/.cargo/{}", "a".repeat(5000), "b".repeat(5000));
        let shown = found(&text).unwrap();
        assert!(
            shown.len() == LONGEST && shown.contains("a/.cargo/b"),
            "{shown}"
        );
    }

    #[test]
    fn a_binary_full_of_starts_of_paths_is_read_in_no_time() {
        let start = std::time::Instant::now();
        for text in ["/home/", "/home/a", "/cargo/src", "/registry/src/"] {
            assert_eq!(found_in(&text.repeat(30_000), &["/src"]), None, "{text}");
        }
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
}
