//! Whole programs through the front door: make, its variables, the zip, the emulator.
//!
//! They take minutes and need the network, so `cargo test` leaves them out; `make test` runs them, one after the other.

#[path = "support/https.rs"]
mod https;
#[path = "support/machine.rs"]
mod machine;

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

use machine::{
    Run, arch, call, command, find_program, kill, make, make_executable, programs_without, python,
    root, run, sha256, skip, write_crate,
};
use serde_json::{Value, json};

/// Bytes of the zip of the example without TLS, at most.
const SMALL: u64 = 240_000;

/// Builds the function of this package, which is done already for all tests but the first.
fn build() -> PathBuf {
    make(&[]).succeeded();
    root().join("dist/function.zip")
}

fn build_greeting() -> PathBuf {
    make(&["CRATE=examples/greeting", "OUT=dist/greeting"]).succeeded();
    root().join("dist/greeting/function.zip")
}

/// What Python says of a zip: name, mode and time of each entry.
fn entries(zip: &Path) -> String {
    let code = "import sys, zipfile\nfor i in zipfile.ZipFile(sys.argv[1]).infolist(): print(i.filename, oct(i.external_attr >> 16), *i.date_time)";
    python(code, &[zip])
}

/// The binary in a zip, in this folder.
fn unpack_binary(zip: &Path, folder: &Path) -> PathBuf {
    let code = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract('binary', sys.argv[2])";
    python(code, &[zip, folder]);
    folder.join("binary")
}

/// `e_machine` of the binary in a zip.
fn machine_of(zip: &Path) -> u8 {
    let code = "import sys, zipfile; print(zipfile.ZipFile(sys.argv[1]).read('binary')[18])";
    python(code, &[zip]).trim().parse().unwrap()
}

fn invoke(event: &Value) -> Run {
    make(&["invoke", &format!("EVENT={event}")])
}

fn answer(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"))
}

/// A copy of the files of the clone, as they are in the work tree: all that a fresh clone would have.
fn copy_of_the_clone(folder: &Path) {
    let mut list = command("git", root());
    list.args(["ls-files", "-z"]);
    let list = run(list).succeeded().stdout;
    for file in list.split_terminator('\0') {
        let to = folder.join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(root().join(file), to).unwrap();
    }
}

// The zip.

#[test]
#[ignore = "through make"]
fn make_ends_with_a_line_that_names_the_zip_its_size_its_sum_and_the_time() {
    let line = make(&[]).succeeded();
    let zip = root().join("dist/function.zip");
    let size = fs::metadata(&zip).unwrap().len();
    let start = format!("dist/function.zip: {size} bytes, sha256 {}, ", sha256(&zip));
    let seconds = line.last_line().strip_prefix(&start);
    let seconds = seconds.and_then(|rest| rest.strip_suffix(" s")).unwrap();
    seconds.parse::<u32>().unwrap();
}

#[test]
#[ignore = "through make"]
fn make_with_nothing_changed_takes_less_than_five_seconds() {
    build();
    let took = make(&[]).succeeded().took;
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
#[ignore = "through make"]
fn the_zip_holds_the_entry_point_and_the_binary_and_nothing_else() {
    let expected = "binary 0o100755 1980 1 1 0 0 0\nbootstrap 0o100755 1980 1 1 0 0 0\n";
    assert_eq!(entries(&build()), expected);
}

#[test]
#[ignore = "through make"]
fn no_path_of_this_machine_is_in_the_binary() {
    let folder = tempfile::tempdir().unwrap();
    let binary = fs::read(unpack_binary(&build(), folder.path())).unwrap();
    let home = std::env::var("HOME").unwrap();
    for path in [
        root().to_str().unwrap(),
        &format!("{home}/"),
        "registry/src",
    ] {
        let found = binary
            .windows(path.len())
            .any(|window| window == path.as_bytes());
        assert!(!found, "{path}");
    }
}

#[test]
#[ignore = "through make"]
fn the_binary_is_a_static_pie_that_asks_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let binary = unpack_binary(&build(), folder.path());
    let mut readelf = command("readelf", root());
    let readelf = readelf.args(["--wide", "--file-header", "--segments", "--dynamic"]);
    let output = readelf.arg(binary).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in ["DYN (", "GNU_RELRO", "BIND_NOW"] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
    for unwanted in ["INTERP", "NEEDED", "RPATH", "RWE"] {
        assert!(!text.contains(unwanted), "{unwanted} is in:\n{text}");
    }
}

#[test]
#[ignore = "through make"]
fn what_the_shell_has_set_for_other_programs_is_not_in_the_zip() {
    let expected = sha256(&build_greeting());
    let mut make = command("make", root());
    make.args(["CRATE=examples/greeting", "OUT=dist/greeting"])
        .envs([
            ("RUSTFLAGS", "-Copt-level=0"),
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
            ("CARGO_INCREMENTAL", "1"),
            (
                "CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER",
                "/bin/false",
            ),
            ("CFLAGS", "-O0"),
            ("ZIG_LIB_DIR", "/nowhere"),
        ]);
    run(make).succeeded();
    assert_eq!(sha256(&root().join("dist/greeting/function.zip")), expected);
}

#[test]
#[ignore = "through make"]
fn a_function_without_tls_is_small() {
    let zip = build_greeting();
    let size = fs::metadata(&zip).unwrap().len();
    assert!(size <= SMALL, "{size} bytes");
}

#[test]
#[ignore = "through make"]
fn a_crate_outside_the_clone_is_built_where_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let krate = folder.path().join("my function");
    let manifest = format!(
        "[package]\nname = 'mine'\nedition = '2024'\n[dependencies]\nlambda-musl = {{ path = '{}' }}\nserde_json = '1'\n",
        root().display()
    );
    let code = "use lambda_musl::{Context, run};
        use serde_json::Value;
        fn main() -> Result<(), lambda_musl::Error> {
            run(async |event: Value, _: Context| {
                let n = event[\"n\"].as_u64().expect(\"n is a number\");
                Ok::<_, String>(n * 2)
            })
        }";
    write_crate(&krate, &manifest, code);
    let out = format!("OUT={}/my dist", folder.path().display());
    make(&[&format!("CRATE={}", krate.display()), &out]).succeeded();
    let run = make(&["invoke", &out, r#"EVENT={"n":21}"#]).succeeded();
    assert_eq!(run.stdout, "42\n");
    let run = make(&["invoke", &out, r#"EVENT={"n":"many"}"#]).failed_with(&["src/main.rs:5:"]);
    assert_eq!(answer(&run)["errorType"], "Function.Panic");
    let left: Vec<_> = fs::read_dir(&krate)
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(
        left.len(),
        3,
        "Cargo.toml, Cargo.lock and src, but {left:?}"
    );
}

#[test]
#[ignore = "through make"]
fn two_makes_at_once_both_succeed() {
    let both =
        [1, 2].map(|_| thread::spawn(|| make(&["CRATE=examples/greeting", "OUT=dist/twice"])));
    let lines = both.map(|one| one.join().unwrap().succeeded().last_line().to_owned());
    let sums = lines.map(|line| line.rsplit_once(", ").unwrap().0.to_owned());
    assert_eq!(sums[0], sums[1]);
}

/// Starts make in its own process group and kills all of it after a while.
fn make_interrupted(mut make: std::process::Command, after: Duration) {
    let mut child = make
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    thread::sleep(after);
    kill("KILL", format!("-{}", child.id()));
    child.wait().unwrap();
}

#[test]
#[ignore = "through make"]
fn a_build_that_is_killed_leaves_no_zip_and_the_next_one_completes() {
    let expected = sha256(&build_greeting());
    let zip = root().join("dist/killed/function.zip");
    let _ = fs::remove_file(&zip);
    let main = root().join("examples/greeting/src/main.rs");
    for milliseconds in [300, 1000, 2500, 5000] {
        // A new time makes cargo compile again.
        fs::File::options()
            .append(true)
            .open(&main)
            .unwrap()
            .set_modified(std::time::SystemTime::now())
            .unwrap();
        let mut make = command("make", root());
        make.args(["CRATE=examples/greeting", "OUT=dist/killed"]);
        make_interrupted(make, Duration::from_millis(milliseconds));
        if zip.exists() {
            assert_eq!(sha256(&zip), expected, "a zip is whole or not there");
        }
    }
    make(&["CRATE=examples/greeting", "OUT=dist/killed"]).succeeded();
    assert_eq!(sha256(&zip), expected);
}

// The function under the emulator.

#[test]
#[ignore = "through make"]
fn an_https_endpoint_is_probed_with_the_openssl_in_the_zip() {
    build();
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    let port = https::serve("hello", &authority);
    let url = format!("https://localhost:{port}/path?query");
    let mut make = command("make", root());
    make.args(["invoke", &format!("EVENT={}", json!({"url": url}))])
        .env("SSL_CERT_FILE", &authority);
    let run = run(make).succeeded();
    assert_eq!(run.stdout.lines().count(), 1, "the answer alone");
    assert!(
        run.stderr.contains("REPORT RequestId"),
        "the emulator's report"
    );
    let answer = answer(&run);
    assert_eq!(
        (&answer["status"], &answer["bytes"]),
        (&json!(203), &json!(5)),
        "{answer}"
    );
    assert!(answer["elapsed_ms"].is_u64());
    let tls = answer["tls"].as_str().unwrap();
    assert!(tls.starts_with("OpenSSL 3.5."), "{tls}");
}

#[test]
#[ignore = "through make"]
fn a_certificate_that_nobody_vouches_for_is_an_answer_with_the_reason() {
    build();
    let folder = tempfile::tempdir().unwrap();
    let port = https::serve("hello", &folder.path().join("ca.pem"));
    let run = invoke(&json!({"url": format!("https://localhost:{port}/")})).succeeded();
    let error = answer(&run)["error"].as_str().unwrap().to_owned();
    assert!(error.contains("certificate verify failed"), "{error}");
}

#[test]
#[ignore = "through make"]
fn an_endpoint_that_says_nothing_is_an_answer_within_the_timeout() {
    build();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for scheme in ["http", "https"] {
        let url = format!(
            "{scheme}://127.0.0.1:{}/",
            listener.local_addr().unwrap().port()
        );
        let run = invoke(&json!({"url": url, "timeout_ms": 300})).succeeded();
        let answer = answer(&run);
        assert!(
            answer["error"]
                .as_str()
                .unwrap()
                .contains("no answer within"),
            "{answer}"
        );
        assert!(
            (300..1000).contains(&answer["elapsed_ms"].as_u64().unwrap()),
            "{answer}"
        );
    }
}

#[test]
#[ignore = "through make"]
fn a_url_that_fails_is_an_answer_with_the_reason() {
    build();
    for (url, reason) in [
        ("http://127.0.0.1:1/", "refused"),
        ("https://nowhere.invalid/", "nowhere.invalid"),
        ("gopher://example.com", "is not a URL"),
        ("https://", "is not a URL"),
        ("https://a b/", "is not a URL"),
        ("", "is not a URL"),
    ] {
        let run = invoke(&json!({"url": url})).succeeded();
        let answer = answer(&run);
        assert!(
            answer["error"].as_str().unwrap().contains(reason),
            "{answer}"
        );
    }
}

#[test]
#[ignore = "through make"]
fn an_event_without_a_url_is_an_error_that_says_what_was_expected() {
    build();
    for event in [
        json!({}),
        json!({"url": 7}),
        json!([]),
        json!({"url": "x", "timeout_ms": "soon"}),
    ] {
        let run = invoke(&event).failed_with(&["the function reported an error"]);
        let answer = answer(&run);
        assert_eq!(answer["errorType"], "Function.Error");
        let message = answer["errorMessage"].as_str().unwrap();
        assert!(
            message.contains(r#"expected an event like {"url":"#),
            "{message}"
        );
    }
}

#[test]
#[ignore = "through make"]
fn an_event_reaches_the_function_to_the_letter() {
    build_greeting();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my event.json");
    let name = "it's \"$HOME\" $(shell date) # `ls` \\ Zoë";
    let event = json!({"name": name}).to_string();
    fs::write(&file, &event).unwrap();
    for event in [event, format!("@{}", file.display())] {
        let run = make(&["invoke", "OUT=dist/greeting", &format!("EVENT={event}")]).succeeded();
        assert_eq!(answer(&run)["message"], format!("Hello, {name}!"));
    }
}

#[test]
#[ignore = "through make"]
fn a_long_event_goes_through() {
    build_greeting();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("event.json");
    let name = "x".repeat(3_000_000);
    fs::write(&file, json!({"name": name}).to_string()).unwrap();
    let event = format!("EVENT=@{}", file.display());
    let run = make(&["invoke", "OUT=dist/greeting", &event]).succeeded();
    assert_eq!(answer(&run)["message"], format!("Hello, {name}!"));
}

#[test]
#[ignore = "through make"]
fn ports_that_are_taken_do_not_matter() {
    build_greeting();
    // The emulator's own defaults; where another program has them already, so much the better.
    let _taken = [8080, 9001].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
    let both = [1, 2].map(|_| {
        thread::spawn(|| make(&["invoke", "OUT=dist/greeting", r#"EVENT={"name":"you"}"#]))
    });
    for one in both {
        one.join().unwrap().succeeded();
    }
}

fn processes_of_invoke() -> String {
    let ps = "ps -eo args | grep -E '[a]ws-lambda-rie|[/]target/tmp/invoke' || true";
    call("/bin/sh", &["-c", ps]).stdout
}

#[test]
#[ignore = "through make"]
fn invoke_leaves_no_process_and_no_file_behind() {
    build_greeting();
    make(&["invoke", "OUT=dist/greeting", r#"EVENT={"name":"you"}"#]).succeeded();
    let left: Vec<_> = fs::read_dir(root().join("target/tmp"))
        .unwrap()
        .flatten()
        .collect();
    assert!(
        !left
            .iter()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("invoke.")),
        "{left:?}"
    );
    assert_eq!(processes_of_invoke(), "");
}

#[test]
#[ignore = "through make"]
fn a_signal_to_make_alone_ends_an_invocation_that_hangs() {
    build();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!(
        "http://127.0.0.1:{}/",
        listener.local_addr().unwrap().port()
    );
    let event = json!({"url": url, "timeout_ms": 60_000});
    let mut make = command("make", root());
    make.args(["invoke", &format!("EVENT={event}")]);
    let mut make = make
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Once the function asks for the URL, all of it runs.
    listener.accept().unwrap();
    kill("TERM", make.id());
    make.wait().unwrap();
    thread::sleep(Duration::from_secs(2));
    assert_eq!(processes_of_invoke(), "");
}

#[test]
#[ignore = "through make"]
fn the_function_ends_with_status_1_and_one_line_where_there_is_no_runtime_api() {
    build_greeting();
    let binary = root().join("target/x86_64-unknown-linux-musl/release/greeting");
    if arch() != "x86_64" {
        return skip("running the binary by hand", "it is for x86_64");
    }
    let mut function = command(binary, root());
    function.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1");
    let output = function.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.contains("127.0.0.1:1/2018-06-01/runtime/invocation/next"),
        "{stderr}"
    );
}

#[test]
#[ignore = "through make"]
fn a_program_that_ends_before_it_answers_is_said_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "[package]\nname = 'ends'\n[workspace]\n";
    write_crate(folder.path(), manifest, "fn main() {}");
    let krate = format!("CRATE={}", folder.path().display());
    make(&[&krate, "OUT=dist/ends"]).succeeded();
    make(&["invoke", "OUT=dist/ends", "EVENT={}"]).failed_with(&["ended before it answered"]);
}

#[test]
#[ignore = "through make"]
fn arm64_gives_a_binary_for_arm64_that_runs() {
    make(&["ARCH=arm64", "OUT=dist/arm64"]).succeeded();
    assert_eq!(machine_of(&root().join("dist/arm64/function.zip")), 183);
    let native = arch() == "arm64";
    if !native
        && find_program("qemu-aarch64-static")
            .or(find_program("qemu-aarch64"))
            .is_none()
    {
        return skip("running the arm64 zip", "qemu-user is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    let port = https::serve("hello", &authority);
    let event = json!({"url": format!("https://localhost:{port}/"), "timeout_ms": 20000});
    let mut make = command("make", root());
    make.args(["invoke", "OUT=dist/arm64", &format!("EVENT={event}")])
        .env("SSL_CERT_FILE", &authority);
    let answer = answer(&run(make).succeeded());
    assert_eq!(answer["status"], 203, "{answer}");
}

// Bad input.

#[test]
#[ignore = "through make"]
fn an_architecture_that_lambda_does_not_have_is_named_with_those_it_has() {
    make(&["ARCH=sparc"]).failed_with(&["ARCH=sparc", "x86_64", "arm64"]);
}

#[test]
#[ignore = "through make"]
fn a_crate_that_is_not_there_is_named_with_those_that_are() {
    make(&["CRATE=nowhere"]).failed_with(&["CRATE=nowhere", "Cargo.toml", "examples/greeting"]);
}

#[test]
#[ignore = "through make"]
fn a_crate_without_a_binary_is_named_with_those_that_have_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(
        folder.path().join("Cargo.toml"),
        "[package]\nname = 'only-lib'\n",
    )
    .unwrap();
    fs::write(folder.path().join("src/lib.rs"), "").unwrap();
    let krate = format!("CRATE={}", folder.path().display());
    make(&[&krate]).failed_with(&[&krate, "no binary target", "examples/greeting"]);
}

#[test]
#[ignore = "through make"]
fn a_lock_file_that_does_not_match_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    write_crate(folder.path(), "[package]\nname = 'mine'\n", "fn main() {}");
    fs::write(folder.path().join("Cargo.lock"), "version = 4\n").unwrap();
    let krate = format!("CRATE={}", folder.path().display());
    make(&[&krate, "OUT=dist/greeting"]).failed_with(&[&krate, "cargo update --workspace"]);
}

#[test]
#[ignore = "through make"]
fn a_crate_that_does_not_compile_leaves_the_last_zip_alone() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "[package]\nname = 'wrong'\n";
    write_crate(folder.path(), manifest, "fn main() { wrong }");
    let before = sha256(&build_greeting());
    let krate = format!("CRATE={}", folder.path().display());
    make(&[&krate, "OUT=dist/greeting"]).failed_with(&["cannot find value `wrong`"]);
    assert_eq!(sha256(&root().join("dist/greeting/function.zip")), before);
}

#[test]
#[ignore = "through make"]
fn an_event_that_is_not_json_is_said_with_the_position_before_anything_starts() {
    build_greeting();
    let run = make(&["invoke", "OUT=dist/greeting", r#"EVENT={"name":}"#])
        .failed_with(&["EVENT is not JSON", "line 1 column 9"]);
    assert!(!run.stderr.contains("START"), "{}", run.stderr);
    make(&["invoke", "EVENT=@nowhere.json"]).failed_with(&["EVENT=@nowhere.json", "No such file"]);
    make(&["invoke"]).failed_with(&["EVENT is missing", "make invoke EVENT="]);
}

#[test]
#[ignore = "through make"]
fn a_zip_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("function.zip");
    let zip = format!("ZIP={}", file.display());
    make(&["invoke", "EVENT={}", &zip]).failed_with(&[
        file.to_str().unwrap(),
        "No such file",
        "make",
    ]);
    fs::write(&file, "PK, but no zip").unwrap();
    make(&["invoke", "EVENT={}", &zip])
        .failed_with(&[file.to_str().unwrap(), "deployment package"]);
}

fn make_with_path(path: &Path) -> Run {
    let mut make = command("make", root());
    make.env("PATH", path);
    run(make)
}

#[test]
#[ignore = "through make"]
fn a_program_that_is_missing_is_named_with_the_way_to_get_it() {
    let ways = [
        "apt-get install",
        "dnf install",
        "macOS",
        "make docker-build",
    ];
    for (program, named) in [
        ("python3", "python3"),
        ("perl", "perl"),
        ("cc", "a C compiler"),
        ("rustup", "rustup, which installs the pinned Rust"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        programs_without(program, folder.path());
        make_with_path(folder.path())
            .failed_with(&ways)
            .failed_with(&[named]);
    }
}

#[test]
#[ignore = "through make"]
fn a_python_without_pip_is_named_with_the_way_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    programs_without("python3", folder.path());
    let python = folder.path().join("python3");
    let real = find_program("python3").unwrap();
    let script = format!(
        "#!/bin/sh\n[ \"$2\" != pip ] || exit 1\nexec '{}' \"$@\"\n",
        real.display()
    );
    fs::write(&python, script).unwrap();
    make_executable(&python);
    make_with_path(folder.path()).failed_with(&["pip for python3", "python3-pip"]);
}

#[test]
#[ignore = "through make"]
fn a_download_with_another_hash_is_named_with_both_and_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    copy_of_the_clone(folder.path());
    let pins = folder.path().join("scripts/wheels/zig.txt");
    let text = fs::read_to_string(&pins).unwrap();
    let wrong = "0".repeat(64);
    let text: Vec<String> = text
        .lines()
        .map(|line| match line.split_once("sha256:") {
            Some((start, hash)) => format!("{start}sha256:{wrong}{}", &hash[64..]),
            None => line.to_owned(),
        })
        .collect();
    fs::write(&pins, text.join("\n") + "\n").unwrap();
    let mut make = command("make", folder.path());
    make.arg("build");
    run(make).failed_with(&["ziglang", &wrong, "Got", "the whole log"]);
    let left = fs::read_dir(folder.path().join("target/wheels"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "nothing is kept");
    assert!(!folder.path().join("dist").exists());
}

// The README.

#[test]
#[ignore = "through make"]
fn every_command_of_the_readme_works() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut commands = 0;
    for block in readme.split("\n```sh\n").skip(1) {
        let block = block.split("\n```").next().unwrap();
        for line in block.lines().filter(|line| *line != "make test") {
            let mut shell = command("/bin/sh", root());
            shell.args(["-euc", line]);
            let run = run(shell);
            assert!(run.success, "{line}\n{}{}", run.stdout, run.stderr);
            commands += 1;
        }
    }
    assert!(commands >= 5, "{commands} commands");
}
