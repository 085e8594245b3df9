//! The paths that a build leaves behind in a binary.

use std::{ops::Range, path::PathBuf};

use super::LONGEST;

/// What to do about a path of the machine that built a binary.
const CURE: &str = "avoid env!(\"CARGO_MANIFEST_DIR\"), env!(\"OUT_DIR\") and the like: include_str!(\"file\") embeds a file, and \
    --include adds one to the package";

/// Directories that a function can use at run time. A build can run in one of them as well, but only the paths of source
/// files are evidence of that.
const RUN_TIME: [&str; 16] = [
    "/bin", "/dev", "/etc", "/lib", "/lib64", "/mnt", "/opt", "/proc", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var",
    "/var/task", "/var/runtime",
];

/// The problem with a binary that contains a path of the machine that built it: a path at or below one of `roots`,
/// which are absolute and can end in a slash, or a path that looks like one from a different build machine.
pub fn fault(bytes: &[u8], roots: &[PathBuf]) -> Option<String> {
    let known =
        known_path(bytes, roots).map(|path| format!("contains a path of the machine that built it: {path}; {CURE}"));
    let likely = |path| format!("contains what looks like a path of the machine that built it: {path}; {CURE}");
    known.or_else(|| likely_path(bytes).map(likely))
}

/// The directories in which people and services build, and the minimum number of names in a path there: `/home/page.c` may be
/// the path of a URL, but `/home/ada/app.c` is a file.
const HOMES: [(usize, &[&[u8]]); 2] = [
    (1, &[b"/root/", b"/github/workspace/", b"/workspace/"]),
    (2, &[b"/home/", b"/Users/", b"/builds/", b"/__w/", b"/workspaces/", b"/codebuild/", b"/jenkins/"]),
];

/// The extensions of files that a compiler reads or writes. Paths of other files in a home directory are allowed.
const ENDINGS: [&[u8]; 14] =
    [b".rs", b".c", b".cc", b".cpp", b".cxx", b".h", b".hh", b".hpp", b".inc", b".s", b".S", b".asm", b".o", b".a"];

/// Directories of cargo and rustup, wherever they are located.
const TOOLS: [&[u8]; 2] = [b"/.cargo/", b"/.rustup/"];

/// Directories in cargo's home, wherever that is located, in which each name ends in a hash.
const HASHED: [&[u8]; 2] = [b"/registry/src/", b"/git/checkouts/"];

/// The names that our builds use in place of directories, and the directories of the crates that std was compiled with.
const MAPPED: [&[u8]; 6] = [b"/rustc/", b"/rust/deps/", b"/cargo/", b"/dependency/", b"/function/", b"/target/"];

/// The first path at or below one of `roots`, which are absolute and can end in a slash.
fn known_path(bytes: &[u8], roots: &[PathBuf]) -> Option<String> {
    let roots = roots.iter().map(|root| {
        let names = root.components().count().saturating_sub(1);
        (root.as_os_str().as_encoded_bytes(), names)
    });
    let roots: Vec<_> = roots.filter(|(_, names)| *names > 0).collect();
    slashes(bytes).find_map(|(at, path, is_mapped)| {
        let rest = &bytes[at..];
        let is_below = |(root, names): &&(&[u8], usize)| {
            let next = rest.get(root.len());
            let is_whole = root.ends_with(b"/") || next.is_none_or(|b| *b == b'/' || !is_path(*b));
            let is_own = match names {
                // A single name, such as /src, also occurs in the middle of other paths.
                1 => path.start == at,
                _ => !is_mapped,
            };
            // A mapped name is not a build path, even if the root is a directory such as /cargo.
            let mut mapped = MAPPED.iter().filter(|to| to.starts_with(root));
            let means_something =
                RUN_TIME.iter().any(|directory| directory.as_bytes() == root.strip_suffix(b"/").unwrap_or(root));
            let below = || rest[..path.end - at].get(root.len()..).unwrap_or_default();
            let is_meant = || means_something && !is_source(below().strip_prefix(b"/").unwrap_or(below()), 1);
            rest.starts_with(root) && is_whole && is_own && !is_meant() && !mapped.any(|to| rest.starts_with(to))
        };
        let (root, _) = roots.iter().find(is_below)?;
        Some(shown(rest, root.len()))
    })
}

/// The first path that looks like one of the machine that built the binary: a source file in a home directory, or one of
/// cargo's own directories.
fn likely_path(bytes: &[u8]) -> Option<String> {
    slashes(bytes).find_map(|(at, path, is_mapped)| {
        let rest = &bytes[at..path.end];
        let is_in = |directory: &&[u8]| rest.starts_with(directory);
        let is_hashed = |directory: &&[u8]| is_in(directory) && is_hashed(&rest[directory.len()..]);
        let is_source = |(names, homes): &(usize, &[&[u8]])| {
            homes.iter().any(|home| is_in(home) && is_source(&rest[home.len()..], *names))
        };
        let start = if !is_mapped && HOMES.iter().any(is_source) {
            at
        } else if !is_mapped && TOOLS.iter().any(is_in) || HASHED.iter().any(is_hashed) {
            // Show the path from its start, or from a later byte if the match would otherwise be cut off.
            path.start.max(at.saturating_sub(LONGEST / 2))
        } else {
            return None;
        };
        Some(shown(&bytes[start..], 0))
    })
}

/// The slashes of a binary, each with the path around it, and whether that path contains a mapped name before the slash. Each
/// path is scanned only once, because a single path can consist of all bytes.
fn slashes(bytes: &[u8]) -> impl Iterator<Item = (usize, Range<usize>, bool)> {
    let (mut path, mut is_mapped) = (0..0, false);
    memchr::memchr_iter(b'/', bytes).map(move |at| {
        if at >= path.end {
            let start = (path.end + 1..=at).rev().find(|at| is_boundary(bytes, *at));
            let end = (at + 1..bytes.len()).find(|at| is_boundary(bytes, *at));
            path = start.unwrap_or(path.end)..end.unwrap_or(bytes.len());
            is_mapped = false;
        }
        let slash = (at, path.clone(), is_mapped);
        is_mapped |= MAPPED.iter().any(|to| bytes[at..].starts_with(to));
        slash
    })
}

/// Whether a path starts or ends before this byte. rustc places texts directly after one another, so a path can start right
/// after the name of a source file.
fn is_boundary(bytes: &[u8], at: usize) -> bool {
    !is_path(bytes[at]) || !is_path(bytes[at - 1]) || bytes[at] == b'/' && bytes[..at].ends_with(b".rs")
}

fn is_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+@".contains(&byte)
}

/// Whether a path has at least this many names and the extension of a file that a compiler reads or writes.
fn is_source(path: &[u8], names: usize) -> bool {
    let stem = ENDINGS.iter().find_map(|ending| path.strip_suffix(*ending));
    stem.is_some_and(|stem| {
        let parts = stem.split(|byte| *byte == b'/').take(names);
        parts.count() == names && !stem.starts_with(b"/") && !stem.ends_with(b"/")
    })
}

/// Whether the first name ends like the directory of a registry or of a repository: with `-` and 16 digits of a hash.
fn is_hashed(path: &[u8]) -> bool {
    let end = path.iter().position(|byte| *byte == b'/');
    let hash = end.and_then(|end| path[..end].last_chunk::<17>());
    hash.is_some_and(|hash| hash[0] == b'-' && hash[1..].iter().all(u8::is_ascii_hexdigit))
}

/// The path that starts here. The first `known` bytes belong to it, even if they contain whitespace.
fn shown(bytes: &[u8], known: usize) -> String {
    let rest = bytes.iter().skip(known).position(|byte| !is_path(*byte));
    let end = rest.map_or(bytes.len(), |length| known + length);
    String::from_utf8_lossy(&bytes[..end.min(LONGEST)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_in(text: &str, roots: &[&str]) -> Option<String> {
        let roots: Vec<PathBuf> = roots.iter().map(PathBuf::from).collect();
        known_path(text.as_bytes(), &roots).or_else(|| likely_path(text.as_bytes()))
    }

    fn found(text: &str) -> Option<String> {
        found_in(text, &["/work/my clone", "/ada/", "/", "//", ""])
    }

    #[test]
    fn paths_in_home_directories_in_cargos_directories_and_in_the_given_ones_are_found() {
        for line in "panicked at/home/ada/app/src/main.rs:1 => /home/ada/app/src/main.rs
            \0/Users/ada/app.o\0 => /Users/ada/app.o
            in /root/app.c => /root/app.c
            \0/builds/ada/app/a.cpp\0 => /builds/ada/app/a.cpp
            \0/opt/x/.cargo/registry/y\0 => /opt/x/.cargo/registry/y
            \0/r/registry/src/index.example.com-1949cf8c6b5b557f/a/b => /r/registry/src/index.example.com-1949cf8c6b5b557f/a/b
            /usr/local/cargo/git/checkouts/a-1949cf8c6b5b557f/1/b.rs => /usr/local/cargo/git/checkouts/a-1949cf8c6b5b557f/1/b.rs
            \0/work/my clone/target => /work/my clone/target
            \0/work/my clone\0 => /work/my clone
            \0/ada/app\0 => /ada/app
            /rustc/0123/library/std/src/rt.rs/work/my clone/a.txt => /work/my clone/a.txt
            /rustc/0123/library/std/src/rt.rs/ada/a.txt => /ada/a.txt
            /function/src/main.rs/home/ada/a.rs/target/b.rs => /home/ada/a.rs/target/b.rs"
            .lines()
        {
            let (text, path) = line.trim_start().split_once(" => ").unwrap();
            assert_eq!(found(text).as_deref(), Some(path), "{text}");
        }
    }

    #[test]
    fn texts_that_a_function_may_contain_are_not_build_paths() {
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
    fn in_a_directory_that_functions_use_only_source_files_are_build_paths() {
        let roots = ["/var/task", "/tmp", "/opt/"];
        for text in ["/var/task/config.json", "/tmp/state.json", "/opt/extensions/own", "/var/task", "/tmp/a.rs.bak"] {
            assert_eq!(found_in(text, &roots), None, "{text}");
        }
        for text in ["/var/task/src/main.rs", "/tmp/build/a.c", "/opt/fn/x.hpp"] {
            assert_eq!(found_in(text, &roots).as_deref(), Some(text));
        }
        assert_eq!(found_in("/tmp/clone/data", &["/tmp/clone"]).as_deref(), Some("/tmp/clone/data"));
    }

    #[test]
    fn a_mapped_path_is_not_a_build_path() {
        for text in "begins/rustc/0123/library/alloc/src/raw_vec/mod.rs, /rust/deps/gimli-0.34.0/src/read/line.rs, \
            /cargo/registry/serde-1.0.0/home/ada/lib.rs, /dependency/lambda-musl/src/lib.rs, /function/.cargo/config.toml, \
            /target/release/build/a/root/b.c, examples/greeting/src/main.rs"
            .split(", ")
        {
            for root in ["/src", "/library/alloc", "/cargo/", "/rust", "/dependency"] {
                assert_eq!(found_in(text, &[root]), None, "{text} in {root}");
            }
        }
    }

    #[test]
    fn only_a_part_of_a_very_long_path_is_shown() {
        let text = format!("/{}/.cargo/{}", "a".repeat(5000), "b".repeat(5000));
        let shown = found(&text).unwrap();
        assert_eq!(shown.len(), LONGEST);
        assert!(shown.contains("a/.cargo/b"), "{shown}");
    }

    #[test]
    fn a_binary_full_of_prefixes_of_paths_is_scanned_quickly() {
        let start = std::time::Instant::now();
        for text in ["/home/", "/home/a", "/cargo/src", "/registry/src/"] {
            assert_eq!(found_in(&text.repeat(30_000), &["/src"]), None, "{text}");
        }
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
}
