//! The commands of README and book, and the book in a browser.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::build_greeting;
use crate::machine::{call, command, find_program, make, root, run, skip};

/// Why a command of a page is not run as it stands there.
enum Instead {
    /// A test of this name runs the same, in a project or a directory of its own.
    Test(&'static str),
    /// It changes a machine or an account, or needs what is not there yet.
    Nobody(&'static str),
}
use Instead::{Nobody, Test};

const NOT_PUBLISHED: Instead = Nobody("it needs the published repository");

/// Commands that are not run as they stand. Every other one is.
const INSTEAD: &[(&str, Instead)] = &[
    ("make test", Nobody("it runs this test")),
    ("make check", Nobody("it runs a part of make test")),
    (
        "make doctor",
        Test("what_is_missing_is_named_with_the_command_of_this_system_that_installs_it"),
    ),
    (
        "make docker-build IMAGE_ONLY=1",
        Test("cross_alone_links_the_libraries_of_the_image_that_docker_build_made_last"),
    ),
    (
        "make docker-build PINS=current",
        Test("docker_build_links_the_pinned_musl_and_openssl"),
    ),
    ("sudo apt-get install", Nobody("it changes the machine")),
    ("cargo install --locked --git", NOT_PUBLISHED),
    (
        "cargo install --locked --path cli",
        Test("a_project_is_built_verified_and_invoked_where_it_lies"),
    ),
    (
        "cargo install --locked cross",
        Test("docker_build_links_the_pinned_musl_and_openssl"),
    ),
    (
        "cargo test --package lambda-musl",
        Nobody("it runs a test beside this one"),
    ),
    ("gh ", NOT_PUBLISHED),
    ("cmp dist/function.zip release/", NOT_PUBLISHED),
    (
        "cd hello",
        Test("what_new_makes_passes_cargos_checks_and_is_built_and_invoked"),
    ),
    (
        "cargo test",
        Test("what_new_makes_passes_cargos_checks_and_is_built_and_invoked"),
    ),
    (
        "cargo lambda-musl new ",
        Test("what_new_makes_passes_cargos_checks_and_is_built_and_invoked"),
    ),
    (
        "cargo lambda-musl invoke --event",
        Test("what_new_makes_passes_cargos_checks_and_is_built_and_invoked"),
    ),
    (
        "cargo lambda-musl invoke --example",
        Test("what_new_makes_passes_cargos_checks_and_is_built_and_invoked"),
    ),
    (
        "cargo lambda-musl invoke --dev",
        Test("a_handler_that_is_saved_answers_within_5_s_and_one_of_axum_within_10_s"),
    ),
    (
        "cargo lambda-musl invoke --remote",
        Test("the_event_goes_to_the_function_and_the_answer_comes_alone_on_stdout"),
    ),
    (
        "cargo lambda-musl dev",
        Test("a_handler_that_is_saved_answers_within_5_s_and_one_of_axum_within_10_s"),
    ),
    (
        "cargo lambda-musl deploy",
        Test("make_deploy_creates_a_function_with_all_that_was_named"),
    ),
    (
        "cargo lambda-musl status",
        Test("the_same_bytes_are_said_to_be_the_same_and_other_ones_are_said_with_both_checksums"),
    ),
    (
        "cargo lambda-musl doctor",
        Test("doctor_works_in_a_project"),
    ),
    (
        "cargo lambda-musl build --arch arm64",
        Test("arm64_gives_a_binary_for_arm64_that_runs"),
    ),
    (
        "cargo lambda-musl build",
        Test("a_project_is_built_verified_and_invoked_where_it_lies"),
    ),
    (
        "cargo lambda-musl verify",
        Test("a_project_is_built_verified_and_invoked_where_it_lies"),
    ),
    (
        "cargo lambda-musl docker-build --image-only",
        Test("cross_alone_links_the_libraries_of_the_image_that_docker_build_made_last"),
    ),
    (
        "cargo lambda-musl docker-build",
        Test("a_project_with_no_clone_in_sight_is_built_in_the_builder_image"),
    ),
    (
        "cargo lambda-musl fetch",
        Test("archives_that_were_brought_in_are_taken_as_they_are"),
    ),
    (
        "cargo lambda-musl base-image",
        Test("docker_build_links_the_pinned_musl_and_openssl"),
    ),
    (
        "cargo lambda-musl toolchain",
        Nobody("it compiles for minutes what docker-build compiles with the same recipes"),
    ),
    (
        "cargo lambda-musl package",
        Test("a_binary_is_packaged_and_directories_are_compared"),
    ),
    (
        "cargo lambda-musl reproduce",
        Test(
            "reproduce_names_the_location_of_a_date_that_was_built_in_and_the_crate_that_built_it_in_and_no_other_file",
        ),
    ),
    (
        "cargo lambda-musl difference",
        Test("a_binary_is_packaged_and_directories_are_compared"),
    ),
    (
        "cross build --release",
        Test("cross_alone_links_the_libraries_of_the_image_that_docker_build_made_last"),
    ),
];

/// Pages with commands that a test program of its own runs.
const BY_OTHERS: [(&str, &str); 2] = [
    ("docs/deploy.md", "tests/deploy"),
    ("docs/dev.md", "tests/dev"),
];

fn instead(line: &str) -> Option<&'static Instead> {
    // What is whole before what is a beginning: `cargo test` is not `cargo test --package`.
    let matching = INSTEAD.iter().filter(|(start, _)| line.starts_with(start));
    matching
        .max_by_key(|(start, _)| start.len())
        .map(|(_, instead)| instead)
}

/// The files below a directory of the clone whose names end so.
fn files(directory: &str, ending: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![root().join(directory)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => directories.push(path),
                path if path.to_string_lossy().ends_with(ending) => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    files
}

/// The commands in blocks for the shell of each page, with their places.
fn commands() -> Vec<(String, String)> {
    let beside = [
        "CONTRIBUTING.md",
        "README.md",
        "RELEASING.md",
        "SECURITY.md",
    ]
    .map(|page| root().join(page));
    let mut commands = Vec::new();
    for page in beside.into_iter().chain(files("docs", ".md")) {
        let name = page.strip_prefix(root()).unwrap().display().to_string();
        if BY_OTHERS
            .iter()
            .any(|(page, tests)| *page == name && root().join(tests).is_dir())
        {
            continue;
        }
        let mut is_shell = false;
        for (number, line) in (1..).zip(fs::read_to_string(&page).unwrap().lines()) {
            match line.trim().strip_prefix("```") {
                Some(language) => is_shell = language == "sh",
                None if is_shell && !line.is_empty() => {
                    commands.push((line.to_owned(), format!("{name}:{number}")))
                }
                None => {}
            }
        }
    }
    commands
}

#[test]
fn every_command_of_a_page_can_be_run_in_the_clone_or_has_a_test_that_exists() {
    let tests: String = files("tests", ".rs")
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let mut problems = Vec::new();
    for (line, position) in commands() {
        match instead(&line) {
            Some(Nobody(reason)) => assert!(!reason.is_empty()),
            Some(Test(name)) if tests.contains(&format!("fn {name}(")) => {}
            Some(Test(name)) => {
                problems.push(format!("{position}: {line}: there is no test {name}"))
            }
            None if line.starts_with("make") || line.starts_with("scripts/") => {}
            None => problems.push(format!(
                "{position}: {line}: nothing runs this command; name a test for it in {}",
                file!()
            )),
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
#[ignore = "through make"]
fn every_command_of_a_page_works() {
    let commands: BTreeSet<String> = commands()
        .into_iter()
        .map(|(line, _)| line)
        .filter(|line| instead(line).is_none())
        .collect();
    // What builds before what is done with the zip.
    let (builds, others): (Vec<_>, Vec<_>) = commands
        .into_iter()
        .partition(|line| !line.contains("invoke") && !line.contains("verify"));
    assert!(builds.len() + others.len() >= 5, "{builds:?} {others:?}");
    for line in builds.into_iter().chain(others) {
        let mut shell = command("/bin/sh", root());
        shell.args(["-euc", &line]);
        let run = run(shell);
        assert!(run.success, "{line}\n{}{}", run.stdout, run.stderr);
    }
}

#[test]
#[ignore = "through make"]
fn a_binary_is_packaged_and_directories_are_compared() {
    let first = build_greeting();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let second = path("other/function.zip");
    fs::create_dir(path("other")).unwrap();
    call(
        "python3",
        &["-m", "zipfile", "-e", &first.to_string_lossy(), &path("")],
    )
    .succeeded();
    call("scripts/cli", &["package", &path("binary"), &second]).succeeded();
    assert_eq!(fs::read(&second).unwrap(), fs::read(&first).unwrap());
    let difference = |second: &str| {
        call(
            "scripts/cli",
            &["difference", &first.to_string_lossy(), second],
        )
    };
    difference(&second).succeeded();
    fs::write(&second, "no zip").unwrap();
    difference(&second).failed_with(&["function.zip"]);
}

/// A page that opens each page of the book in a frame, one after the other, and sends what it finds wrong to the server.
const VISITOR: &str = r#"<!doctype html><meta charset="utf-8"><iframe id="frame" style="border:0;height:900px"></iframe><script>
const frame = document.getElementById('frame'), pages = ['index.html'], found = [], checked = new Map();
frame.style.width = location.search.slice(1) + 'px';
const wait = ms => new Promise(done => setTimeout(done, ms));
const status = async url => {
  if (!checked.has(url)) checked.set(url, fetch(url).then(async answer => answer.ok ? await answer.text() : null));
  return checked.get(url);
};
(async () => {
  for (let index = 0; index < pages.length; index++) {
    const name = pages[index], fail = text => found.push(name + ': ' + text);
    await new Promise(done => { frame.onload = done; frame.src = '/' + name; });
    await wait(50);
    const page = frame.contentDocument, view = page.scrollingElement;
    if (view.scrollWidth > view.clientWidth) fail('is ' + view.scrollWidth + ' wide in a window of ' + view.clientWidth);
    for (const table of page.querySelectorAll('main table')) {
      let around = table.parentElement;
      while (around.tagName !== 'MAIN' && getComputedStyle(around).overflowX === 'visible') around = around.parentElement;
      if (around.tagName === 'MAIN' && table.getBoundingClientRect().right > view.clientWidth) fail('a table overflows');
    }
    for (const image of page.querySelectorAll('main img')) if (!image.naturalWidth) fail('no image ' + image.src);
    for (const link of page.querySelectorAll('a[href]')) {
      const url = new URL(link.href);
      if (url.origin !== location.origin) {
        if (url.protocol !== 'https:') fail('not over HTTPS: ' + url);
        continue;
      }
      const text = await status(url.pathname), anchor = decodeURIComponent(url.hash.slice(1));
      if (text === null) fail('a dead link: ' + url.pathname);
      else if (anchor && !new DOMParser().parseFromString(text, 'text/html').getElementById(anchor)) fail('no heading ' + url.pathname + url.hash);
      else if (url.pathname.endsWith('.html') && !pages.includes(url.pathname.slice(1))) pages.push(url.pathname.slice(1));
    }
  }
  await fetch('/found', { method: 'POST', body: JSON.stringify({ pages, found, width: frame.contentWindow.innerWidth }) });
})().catch(error => fetch('/found', { method: 'POST', body: JSON.stringify({ pages, found: ['' + error], width: 0 }) }));
</script>"#;

/// Serves one request from a directory; what the visitor has found, once it has.
fn serve(mut stream: TcpStream, directory: &Path) -> Option<Value> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut start, mut length) = (String::new(), 0);
    reader.read_line(&mut start).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.to_lowercase().split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = start.split(' ').nth(1)?.split(['?', '#']).next()?;
    let (status, kind, content) = match path {
        "/visitor" => ("200 OK", "text/html", VISITOR.as_bytes().to_vec()),
        "/found" => ("200 OK", "text/plain", Vec::new()),
        "/favicon.ico" => ("204 No Content", "text/plain", Vec::new()),
        path => match fs::read(directory.join(path.trim_start_matches('/'))) {
            Ok(content) => {
                let kinds = [
                    ("html", "text/html"),
                    ("css", "text/css"),
                    ("js", "text/javascript"),
                    ("svg", "image/svg+xml"),
                ];
                let kind = kinds.iter().find(|(ending, _)| path.ends_with(ending));
                (
                    "200 OK",
                    kind.map_or("application/octet-stream", |(_, kind)| kind),
                    content,
                )
            }
            Err(_) => ("404 Not Found", "text/plain", Vec::new()),
        },
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    );
    stream
        .write_all(&[head.as_bytes(), &content].concat())
        .ok()?;
    (path == "/found").then(|| serde_json::from_slice(&body).unwrap())
}

/// A browser that ends with the test.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// chromium without a window, with a profile of its own.
fn chromium(program: &Path, profile: &Path) -> Command {
    let mut chromium = command(program, root());
    chromium.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--no-proxy-server",
    ]);
    chromium.args([
        "--disable-background-networking",
        "--enable-logging=stderr",
        "--hide-scrollbars",
    ]);
    chromium
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("--window-size=1300,900");
    chromium
}

#[test]
#[ignore = "through make"]
fn the_book_has_no_dead_link_no_error_and_nothing_that_overflows_on_a_desktop_and_on_a_phone() {
    let book = PathBuf::from(make(&["docs"]).succeeded().last_line());
    let book = root().join(book).parent().unwrap().to_owned();
    let Some(program) = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find_map(find_program)
    else {
        return skip(
            "the book in a browser",
            "there is no chromium (Debian: apt-get install chromium)",
        );
    };
    for width in [1280, 390] {
        let profile = tempfile::tempdir().unwrap();
        let log = profile.path().join("log");
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let mut browser = chromium(&program, profile.path());
        // A window is never narrower than 500: the frame is as wide as the page is to be.
        browser
            .arg("--remote-debugging-port=0")
            .arg(format!("http://{address}/visitor?{width}"));
        browser
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap());
        let _browser = Browser(browser.spawn().unwrap());
        let start = Instant::now();
        let found = loop {
            assert!(
                start.elapsed() < Duration::from_secs(120),
                "{}",
                fs::read_to_string(&log).unwrap()
            );
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).unwrap();
                    if let Some(found) = serve(stream, &book) {
                        break found;
                    }
                }
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let faults: Vec<String> = found["found"]
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect();
        assert_eq!(faults, [""; 0], "{width} wide");
        assert_eq!(found["width"], width);
        let pages = found["pages"].as_array().unwrap().len();
        assert!(pages >= files("docs", ".md").len() - 1, "{found}");
        let log = fs::read_to_string(&log).unwrap();
        let said: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("CONSOLE"))
            .collect();
        assert_eq!(said, [""; 0], "{width} wide");
    }
}
