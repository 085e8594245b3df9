//! Text in a binary: names, and the paths that a build leaves behind.

/// Where people's folders are on the systems that can build, and how many names a path there has at least: `/home/page`
/// may be an address of the function's, `/home/ada/app` is a folder.
const HOMES: [(&str, usize); 3] = [("/home/", 2), ("/Users/", 2), ("/root/", 1)];

/// Folders of cargo and rustup, wherever they lie.
const TOOLS: [&str; 4] = ["/.cargo/", "/.rustup/", "/registry/src/", "/git/checkouts/"];

/// The longest path that is shown, in bytes.
const SHOWN: usize = 120;

/// The first path of the machine that built it: one of `places`, which may end in a slash, or below it, of somebody's home, or of cargo's own folders.
pub fn path_of_a_builder(bytes: &[u8], places: &[&str]) -> Option<String> {
    let below = places
        .iter()
        .filter(|place| !place.trim_matches('/').is_empty());
    let below = below.filter_map(|place| {
        let ends_at = |at: &usize| {
            let next = bytes.get(at + place.len());
            place.ends_with('/') || next.is_none_or(|next| *next == b'/' || !is_path(next))
        };
        let at = positions(bytes, place).find(ends_at)?;
        Some((at, place.len()))
    });
    let homes = HOMES.iter().filter_map(|(home, names)| {
        let at = positions(bytes, home).find(|at| names_in(&bytes[at + home.len()..]) >= *names)?;
        Some((at, 0))
    });
    let tools = TOOLS.iter().filter_map(|tool| {
        let at = positions(bytes, tool).next()?;
        Some((start_of(bytes, at), 0))
    });
    let first = below.chain(homes).chain(tools).min_by_key(|(at, _)| *at);
    first.map(|(at, known)| shown(&bytes[at..], known))
}

fn positions<'a>(bytes: &'a [u8], text: &'a str) -> impl Iterator<Item = usize> + 'a {
    memchr::memmem::find_iter(bytes, text)
}

fn is_path(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+@".contains(byte)
}

/// How many names of a path stand here, one after the other.
fn names_in(bytes: &[u8]) -> usize {
    // A binary may consist of nothing but starts of paths: each is looked at no further than it is shown.
    let bytes = &bytes[..bytes.len().min(SHOWN)];
    let end = bytes
        .iter()
        .position(|byte| !is_path(byte))
        .unwrap_or(bytes.len());
    let names = bytes[..end].split(|byte| *byte == b'/');
    names.take_while(|name| !name.is_empty()).count()
}

/// Where the path around this place starts.
fn start_of(bytes: &[u8], at: usize) -> usize {
    let before = bytes[..at].iter().rev().take(SHOWN);
    at - before.take_while(|byte| is_path(byte)).count()
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

/// Whether glibc says in a binary what it is.
pub fn names_glibc(bytes: &[u8]) -> bool {
    positions(bytes, "GNU C Library").next().is_some()
}

/// The text before the first null, as far as it can be shown on a line.
pub fn until_null(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(SHOWN)];
    on_a_line(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
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
        path_of_a_builder(text.as_bytes(), &["/work/my clone", "/ada/", "/", "//"])
    }

    #[test]
    fn paths_of_homes_of_cargo_and_of_the_given_places_are_found() {
        for (text, path) in [
            (
                "panicked at/home/ada/app/src/main.rs:1",
                "/home/ada/app/src/main.rs",
            ),
            ("\0/Users/ada/app\0", "/Users/ada/app"),
            ("in /root/app.c", "/root/app.c"),
            (
                "\0/opt/x/.cargo/registry/y.rs\0",
                "/opt/x/.cargo/registry/y.rs",
            ),
            (
                "\0/ci/registry/src/index/serde\0",
                "/ci/registry/src/index/serde",
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
            "/root/",
            "/Users",
            "/cargo/registry/serde-1.0.0/src/lib.rs",
            "/rustc/0123/library/std/src/rt.rs",
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
    fn a_binary_full_of_starts_of_paths_is_read_in_no_time() {
        let start = std::time::Instant::now();
        assert_eq!(found(&"/home/".repeat(30_000)), None);
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
    fn a_name_is_shown_on_one_line_and_not_at_any_length() {
        assert_eq!(until_null(b"a\nb\0c"), "a\\nb");
        assert_eq!(until_null(&[b'a'; 9999]).len(), SHOWN);
    }
}
