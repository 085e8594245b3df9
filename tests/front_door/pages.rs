//! Runs the commands on the pages of the repository, and opens the book in a browser.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::Duration,
};

use lambda_musl::testing::http::{Server, answer, read_request};
use serde_json::Value;

use crate::build_greeting;
use crate::machine::{Killed, call, command, find_program, make, root, run, skip};

/// Why a command on a page is not run as written.
enum Exception {
    /// The test with this name runs the command in its own project or directory.
    Test(&'static str),
    /// The command is not run, for this reason.
    NotRun(&'static str),
}
use Exception::{NotRun, Test};

const NOT_PUBLISHED: Exception = NotRun("it needs the published repository");

/// The beginnings of the commands that are not run as written. Every other command is run.
const EXCEPTIONS: &[(&str, Exception)] = &[
    ("make test", NotRun("it runs this test")),
    ("make check", NotRun("it runs part of make test")),
    ("make doctor", Test("doctor_reports_missing_programs_with_the_command_that_installs_them")),
    ("make docker-build IMAGE_ONLY=1", Test("cross_links_the_libraries_of_the_last_image_of_docker_build")),
    ("make docker-build PINS=current", Test("docker_build_links_the_pinned_musl_and_openssl")),
    ("sudo apt-get install", NotRun("it changes the machine")),
    ("cargo install --locked --git", NOT_PUBLISHED),
    ("cargo install --locked --path cli", Test("a_project_is_built_verified_and_invoked_in_place")),
    ("cargo install --locked cross", Test("docker_build_links_the_pinned_musl_and_openssl")),
    ("cargo test --package lambda-musl", NotRun("it runs another test")),
    ("gh ", NOT_PUBLISHED),
    ("cmp dist/function.zip release/", NOT_PUBLISHED),
    ("cd hello", Test("a_new_package_passes_cargos_checks_and_is_built_and_invoked")),
    ("cargo test", Test("a_new_package_passes_cargos_checks_and_is_built_and_invoked")),
    ("cargo lambda-musl new ", Test("a_new_package_passes_cargos_checks_and_is_built_and_invoked")),
    ("cargo lambda-musl invoke --event", Test("a_new_package_passes_cargos_checks_and_is_built_and_invoked")),
    ("cargo lambda-musl invoke --example", Test("a_new_package_passes_cargos_checks_and_is_built_and_invoked")),
    ("cargo lambda-musl invoke --dev", Test("a_saved_handler_responds_within_5_s_and_one_with_axum_within_10_s")),
    ("cargo lambda-musl invoke --remote", Test("invoke_remote_sends_the_event_and_prints_only_the_response_on_stdout")),
    ("cargo lambda-musl dev", Test("a_saved_handler_responds_within_5_s_and_one_with_axum_within_10_s")),
    ("cargo lambda-musl deploy", Test("make_deploy_creates_a_function_with_all_given_settings")),
    ("cargo lambda-musl status", Test("status_reports_the_same_bytes_or_both_checksums")),
    ("cargo lambda-musl doctor", Test("doctor_works_in_a_project")),
    ("cargo lambda-musl build --arch arm64", Test("a_build_for_arm64_creates_an_arm64_binary_that_runs")),
    ("cargo lambda-musl build", Test("a_project_is_built_verified_and_invoked_in_place")),
    ("cargo lambda-musl verify", Test("a_project_is_built_verified_and_invoked_in_place")),
    (
        "cargo lambda-musl docker-build --image-only",
        Test("cross_links_the_libraries_of_the_last_image_of_docker_build"),
    ),
    ("cargo lambda-musl docker-build", Test("a_project_without_a_clone_is_built_in_the_builder_image")),
    ("cargo lambda-musl fetch", Test("archives_in_the_sources_directory_are_used_as_they_are")),
    ("cargo lambda-musl base-image", Test("docker_build_links_the_pinned_musl_and_openssl")),
    (
        "cargo lambda-musl toolchain",
        NotRun("it compiles for minutes, and docker-build compiles the same libraries with the same recipes"),
    ),
    ("cargo lambda-musl package", Test("a_binary_is_packaged_and_directories_are_compared")),
    ("cargo lambda-musl reproduce", Test("reproduce_reports_an_embedded_date_with_its_location_and_its_crate")),
    ("cargo lambda-musl difference", Test("a_binary_is_packaged_and_directories_are_compared")),
    ("cross build --release", Test("cross_links_the_libraries_of_the_last_image_of_docker_build")),
];

/// Pages whose commands another test program runs.
const RUN_ELSEWHERE: [(&str, &str); 2] = [("docs/deploy.md", "tests/deploy"), ("docs/dev.md", "tests/dev")];

fn exception(line: &str) -> Option<&'static Exception> {
    // The longest beginning wins: `cargo test --package` is not `cargo test`.
    let matching = EXCEPTIONS.iter().filter(|(start, _)| line.starts_with(start));
    matching.max_by_key(|(start, _)| start.len()).map(|(_, exception)| exception)
}

/// The files below a directory of the clone whose names end with `ending`.
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

/// The commands in the shell code blocks of each page, with their positions.
fn commands() -> Vec<(String, String)> {
    let pages = ["CONTRIBUTING.md", "README.md", "RELEASING.md", "SECURITY.md"].map(|page| root().join(page));
    let mut commands = Vec::new();
    for page in pages.into_iter().chain(files("docs", ".md")) {
        let name = page.strip_prefix(root()).unwrap().display().to_string();
        if RUN_ELSEWHERE.iter().any(|(page, tests)| *page == name && root().join(tests).is_dir()) {
            continue;
        }
        let mut is_shell = false;
        for (number, line) in (1..).zip(fs::read_to_string(&page).unwrap().lines()) {
            match line.trim().strip_prefix("```") {
                Some(language) => is_shell = language == "sh",
                None if is_shell && !line.is_empty() => commands.push((line.to_owned(), format!("{name}:{number}"))),
                None => {}
            }
        }
    }
    commands
}

#[test]
fn every_command_on_a_page_can_run_in_the_clone_or_has_a_test() {
    let tests: String = files("tests", ".rs").iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let mut problems = Vec::new();
    for (line, position) in commands() {
        match exception(&line) {
            Some(NotRun(reason)) => assert!(!reason.is_empty()),
            Some(Test(name)) if tests.contains(&format!("fn {name}(")) => {}
            Some(Test(name)) => problems.push(format!("{position}: {line}: the test {name} does not exist")),
            None if line.starts_with("make") || line.starts_with("scripts/") => {}
            None => problems.push(format!("{position}: {line}: no test runs this command; name one in {}", file!())),
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
#[ignore = "run by make test"]
fn every_command_on_a_page_works() {
    let commands: BTreeSet<String> =
        commands().into_iter().map(|(line, _)| line).filter(|line| exception(line).is_none()).collect();
    // The builds run first, because the other commands use the zip.
    let (builds, others): (Vec<_>, Vec<_>) =
        commands.into_iter().partition(|line| !line.contains("invoke") && !line.contains("verify"));
    assert!(builds.len() + others.len() >= 5, "{builds:?} {others:?}");
    for line in builds.into_iter().chain(others) {
        let mut shell = command("/bin/sh", root());
        shell.args(["-euc", &line]);
        let run = run(shell);
        assert!(run.success, "{line}\n{}{}", run.stdout, run.stderr);
    }
}

#[test]
#[ignore = "run by make test"]
fn a_binary_is_packaged_and_directories_are_compared() {
    let first = build_greeting();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let second = path("other/function.zip");
    fs::create_dir(path("other")).unwrap();
    call("python3", &["-m", "zipfile", "-e", &first.to_string_lossy(), &path("")]).succeeded();
    call("scripts/cli", &["package", &path("binary"), &second]).succeeded();
    assert_eq!(fs::read(&second).unwrap(), fs::read(&first).unwrap());
    let difference = |second: &str| call("scripts/cli", &["difference", &first.to_string_lossy(), second]);
    let compared = difference(&second).succeeded();
    assert!(compared.stdout.ends_with("are identical, byte for byte\n"), "{}", compared.stdout);
    fs::write(&second, "no zip").unwrap();
    difference(&second).failed_with(&["function.zip"]);
}

/// A page that opens each page of the book in a frame, one after the other, and sends the problems that it finds to the server.
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
    for (const image of page.querySelectorAll('main img')) if (!image.naturalWidth) fail('missing image ' + image.src);
    for (const link of page.querySelectorAll('a[href]')) {
      const url = new URL(link.href);
      if (url.origin !== location.origin) {
        if (url.protocol !== 'https:') fail('not over HTTPS: ' + url);
        continue;
      }
      const text = await status(url.pathname), anchor = decodeURIComponent(url.hash.slice(1));
      if (text === null) fail('dead link: ' + url.pathname);
      else if (anchor && !new DOMParser().parseFromString(text, 'text/html').getElementById(anchor)) fail('missing heading ' + url.pathname + url.hash);
      else if (url.pathname.endsWith('.html') && !pages.includes(url.pathname.slice(1))) pages.push(url.pathname.slice(1));
    }
  }
  await fetch('/found', { method: 'POST', body: JSON.stringify({ pages, found, width: frame.contentWindow.innerWidth }) });
})().catch(error => fetch('/found', { method: 'POST', body: JSON.stringify({ pages, found: ['' + error], width: 0 }) }));
</script>"#;

/// Serves the visitor and the book. Returns the server, and a channel with the bodies that the visitor sends.
fn serve(book: PathBuf) -> (Server, Receiver<Vec<u8>>) {
    let (sender, found) = mpsc::channel();
    let server = Server::start(move |_, mut stream| {
        let Some(request) = read_request(&mut stream)? else { return Ok(()) };
        let path = request.line.split([' ', '?']).nth(1).unwrap_or_default();
        let (status, kind, content) = match path {
            "/visitor" => ("200 OK", "text/html", VISITOR.into()),
            "/found" => ("200 OK", "text/plain", Vec::new()),
            "/favicon.ico" => ("204 No Content", "text/plain", Vec::new()),
            path => match fs::read(book.join(path.trim_start_matches('/'))) {
                Ok(content) => ("200 OK", kind(path), content),
                Err(_) => ("404 Not Found", "text/plain", Vec::new()),
            },
        };
        let headers = format!("Content-Type: {kind}\r\nConnection: close\r\n");
        stream.get_mut().write_all(&answer(status, headers, content))?;
        if path == "/found" {
            sender.send(request.body).unwrap();
        }
        Ok(())
    });
    (server.unwrap(), found)
}

/// The content type of a file of the book.
fn kind(path: &str) -> &'static str {
    let kinds = [("html", "text/html"), ("css", "text/css"), ("js", "text/javascript"), ("svg", "image/svg+xml")];
    let kind = kinds.iter().find(|(ending, _)| path.ends_with(ending));
    kind.map_or("application/octet-stream", |(_, kind)| kind)
}

/// Headless Chromium with its own profile.
fn chromium(program: &Path, profile: &Path) -> Command {
    let mut chromium = command(program, root());
    chromium.args([
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server",
    ]);
    chromium.args(["--disable-background-networking", "--enable-logging=stderr", "--hide-scrollbars"]);
    chromium.arg(format!("--user-data-dir={}", profile.display())).arg("--window-size=1300,900");
    chromium
}

#[test]
#[ignore = "run by make test"]
fn the_book_has_no_dead_links_errors_or_overflow_on_a_desktop_or_a_phone() {
    let book = PathBuf::from(make(&["docs"]).succeeded().last_line());
    let book = root().join(book).parent().unwrap().to_owned();
    let Some(program) = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(find_program) else {
        return skip("the book in a browser", "chromium is not installed (Debian: apt-get install chromium)");
    };
    for width in [1280, 390] {
        let profile = tempfile::tempdir().unwrap();
        let log = profile.path().join("log");
        let (server, found) = serve(book.clone());
        let mut browser = chromium(&program, profile.path());
        // A window is never narrower than 500 pixels, so the page is in a frame of the tested width.
        browser.arg("--remote-debugging-port=0").arg(format!("http://{}/visitor?{width}", server.address()));
        browser.stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
        let _browser = Killed(browser.spawn().unwrap());
        let found = found.recv_timeout(Duration::from_secs(120));
        let found = found.unwrap_or_else(|_| panic!("{}", fs::read_to_string(&log).unwrap()));
        let found: Value = serde_json::from_slice(&found).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let problems: Vec<String> = found["found"].as_array().unwrap().iter().map(text).collect();
        assert_eq!(problems, [""; 0], "{width} wide");
        assert_eq!(found["width"], width);
        let pages = found["pages"].as_array().unwrap().len();
        assert!(pages >= files("docs", ".md").len() - 1, "{found}");
        let log = fs::read_to_string(&log).unwrap();
        let messages: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
        assert_eq!(messages, [""; 0], "{width} wide");
    }
}
