//! End-to-end tests of verifying a package: `make verify`, the files next to the zip, `make reproduce`, and the commands that GitHub
//! runs.
//!
//! They build functions, so `cargo test` skips them. `make test` runs them. The unit tests of cli/ cover every way in which a package
//! can be invalid.

#[path = "support/machine.rs"]
mod machine;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use machine::{
    BUILD_OUTPUTS, Run, build_crate, call, command, find_program, make, names, python, root, run, sha256, skip,
    write_crate,
};
use serde_json::Value;

/// Builds the function of the clone, which links OpenSSL, and returns the output directory.
fn probe() -> PathBuf {
    make(&[]).succeeded();
    root().join("dist")
}

/// Builds the example, which does not link OpenSSL, and returns the output directory.
fn greeting() -> PathBuf {
    make(&["CRATE=examples/greeting", "OUT=dist/greeting"]).succeeded();
    root().join("dist/greeting")
}

fn verify(zip: &Path) -> Run {
    make(&["verify", &format!("ZIP={}", zip.display())])
}

/// A changed copy of the example's zip, which `code` writes. The `entries` variable of `code` has the information about each original
/// entry and its bytes.
fn changed_zip(directory: &Path, code: &str) -> PathBuf {
    let to = directory.join("changed_zip.zip");
    let code = format!(
        "import sys, zipfile
entries = [(i, zipfile.ZipFile(sys.argv[1]).read(i)) for i in zipfile.ZipFile(sys.argv[1]).infolist()]
with zipfile.ZipFile(sys.argv[2], 'w', zipfile.ZIP_DEFLATED) as new:
    write = new.writestr
{code}"
    );
    python(&code, &[&greeting().join("function.zip"), &to]);
    to
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

// make verify.

#[test]
#[ignore = "run by make test"]
fn verify_prints_checksums_and_the_sources_of_the_zip() {
    let zip = probe().join("function.zip");
    let lines = make(&["verify"]).succeeded();
    let lines: Vec<&str> = lines.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[0], format!("{}  dist/function.zip", sha256(&zip)));
    for part in [
        "✓ probe ", ", x86_64, compilers zig's clang ", ", openssl 4.", ", rustc 1.", "; the record says: ", "musl 1.",
        "zig 0.",
    ] {
        assert!(lines[3].contains(part), "{part} is missing in {}", lines[3]);
    }
}

#[test]
#[ignore = "run by make test"]
fn verify_accepts_either_architecture_unless_one_is_given() {
    let out = "OUT=dist/arm64";
    make(&["ARCH=arm64", "CRATE=examples/greeting", out]).succeeded();
    let tick = make(&["verify", out]).succeeded();
    assert!(tick.last_line().contains(", arm64, "), "{}", tick.stdout);
    make(&["verify", out, "ARCH=arm64"]).succeeded();
    make(&["verify", out, "ARCH=x86_64"]).failed_with(&["binary: is for arm64, not x86_64"]);
}

#[test]
#[ignore = "run by make test"]
fn verify_can_also_run_the_zip() {
    greeting();
    let run = make(&["verify", "OUT=dist/greeting", "RUN=1", r#"EVENT={"name":"Ada"}"#]).succeeded();
    assert!(run.last_line().contains("Ada"), "{}", run.stdout);
    make(&["verify", "OUT=dist/greeting", "RUN=1"]).succeeded();
}

#[test]
#[ignore = "run by make test"]
fn verify_reports_what_differs_in_a_zip_of_another_program() {
    let directory = tempfile::tempdir().unwrap();
    let zip = changed_zip(
        directory.path(),
        "    for info, data in reversed(entries): write(zipfile.ZipInfo(info.filename, (2026, 11, 24, 13, 26, 56)), data)",
    );
    let run = verify(&zip).failed_with(&[
        "is not sorted by name",
        "bootstrap: has mode 0600; expected 0755",
        "bootstrap: has the time 2026-11-24 13:26; expected 1980-01-01 00:00",
        "binary: has mode 0600",
        "binary: has the time",
    ]);
    assert_eq!(run.stdout, "");
}

#[test]
#[ignore = "run by make test"]
fn verify_writes_and_runs_nothing_from_a_hostile_zip() {
    let directory = tempfile::tempdir().unwrap();
    let marks = [directory.path().join("ran"), directory.path().join("written")];
    let code = format!(
        "    for name in ('binary', 'bootstrap'):
        info = zipfile.ZipInfo(name)
        info.external_attr = 0o100755 << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        write(info, '#!/bin/sh\\n: >{}\\n' + 99 * '#')
    write('{}', b'')
    write('../../../../../../..{}', b'')",
        marks[0].display(),
        marks[1].display(),
        marks[1].display(),
    );
    let zip = changed_zip(directory.path(), &code);
    verify(&zip).failed_with(&[
        "a path that leads outside",
        "binary: is not a 64-bit little-endian ELF file",
        "bootstrap: differs from function/bootstrap",
    ]);
    assert!(marks.iter().all(|mark| !mark.exists()));
}

#[test]
#[ignore = "run by make test"]
fn verify_needs_little_memory_and_time_for_a_zip_bomb() {
    let directory = tempfile::tempdir().unwrap();
    let zip = changed_zip(directory.path(), "    write('binary', bytes(1 << 30))\n    write('bootstrap', b'')");
    let mut limited = command("/bin/sh", root());
    let verify = "ulimit -v 1000000; exec target/cli/release/cargo-lambda-musl verify --zip \"$1\"";
    limited.args(["-c", verify, "sh"]).arg(&zip);
    let run = run(limited).failed_with(&["unpacks to 1073741824 bytes; Lambda accepts up to 262144000"]);
    assert!(run.took.as_secs() < 10, "{:?}", run.took);
}

#[test]
#[ignore = "run by make test"]
fn a_binary_with_a_path_of_the_clone_or_of_its_crate_is_not_packaged() {
    let directory = tempfile::tempdir().unwrap();
    let krate = directory.path().join("leaky");
    let manifest = "[package]\nname = 'leaky'\nedition = '2024'\n[workspace]\n";
    let out = directory.path().join("dist");
    let secret = format!("{}/secret", root().display());
    let own = directory.path().canonicalize().unwrap().join("leaky");
    let own = own.display().to_string();
    for (text, path) in [(format!("\"{secret}\""), secret), ("env!(\"CARGO_MANIFEST_DIR\")".to_owned(), own)] {
        let code = format!("fn main() {{ println!(\"{{}}\", {text}) }}");
        write_crate(&krate, manifest, &code);
        let expected = format!("contains a path of the machine that built it: {path}");
        build_crate(&krate, &out, &[]).failed_with(&[&expected]);
        assert!(!out.join("function.zip").exists());
    }
}

// The files next to the zip.

#[test]
#[ignore = "run by make test"]
fn the_checksums_cover_all_files_next_to_the_zip() {
    let directory = greeting();
    assert_eq!(names(&directory), BUILD_OUTPUTS);
    assert_eq!(checked(&directory).lines().count(), BUILD_OUTPUTS.len() - 1);
}

/// The output of sha256sum for the files in SHA256SUMS.
fn checked(directory: &Path) -> String {
    let mut check = command("sha256sum", directory);
    check.args(["--check", "--strict", "SHA256SUMS"]);
    run(check).succeeded().stdout
}

#[test]
#[ignore = "run by make test"]
fn the_sbom_follows_the_schema_of_cyclonedx() {
    let wheels = call("scripts/cli", &["wheel", "sbom"]).succeeded();
    let wheels = Path::new(wheels.last_line());
    let validate = |sbom: &Path| {
        let mut python = command("python3", root());
        python.arg("tests/support/sbom.py").arg(wheels).arg(sbom);
        run(python)
    };
    let sbom = probe().join("sbom.cdx.json");
    validate(&sbom).succeeded();

    // The validator does reject an invalid SBOM.
    let directory = tempfile::tempdir().unwrap();
    let spoilt = directory.path().join("sbom.json");
    let text = fs::read_to_string(&sbom).unwrap();
    fs::write(&spoilt, text.replace("\"required\"", "\"maybe\"")).unwrap();
    assert!(validate(&spoilt).stdout.contains("'maybe' is not one of"));
}

/// The name and version of each component of an SBOM that is a crate if `crates` is true, and otherwise of each that is not.
fn components(sbom: &Value, crates: bool) -> BTreeSet<String> {
    let components = sbom["components"].as_array().unwrap().iter();
    let is_crate = |c: &Value| !c["bom-ref"].as_str().unwrap().starts_with("pkg:generic/");
    let ours = components.filter(|c| is_crate(c) == crates);
    let text = |c: &Value| format!("{} {}", c["name"].as_str().unwrap(), c["version"].as_str().unwrap());
    ours.map(text).collect()
}

/// Builds a function with HTTPS in its own workspace, so that nothing else affects its features. Returns its directory and its output
/// directory.
fn standalone_function(directory: &Path) -> (PathBuf, PathBuf) {
    let krate = directory.join("own");
    let manifest = format!(
        "[package]\nname = 'own'\nedition = '2024'\n[dependencies]\nlambda-musl = {{ path = '{}', features = ['tls'] }}\nserde = {{ version = '1', features = ['derive'] }}\nserde_json = '1'\n",
        root().display()
    );
    let code = "fn main() -> Result<(), lambda_musl::Error> {
        lambda_musl::run(async |event: serde_json::Value, _: lambda_musl::Context| Ok::<_, String>(event))
    }";
    write_crate(&krate, &manifest, code);
    let out = directory.join("dist");
    build_crate(&krate, &out, &[]).succeeded();
    (krate, out)
}

#[test]
#[ignore = "run by make test"]
fn the_components_are_the_crates_of_the_target_and_the_pins() {
    let directory = tempfile::tempdir().unwrap();
    let (krate, out) = standalone_function(directory.path());
    let sbom = json(&out.join("sbom.cdx.json"));
    let code = "import json, subprocess, sys
metadata = json.loads(subprocess.check_output(['cargo', 'metadata', '--format-version=1', '--locked',
    '--filter-platform', 'x86_64-unknown-linux-musl', '--manifest-path', sys.argv[1]]))
names = {p['id']: p['name'] + ' ' + p['version'] for p in metadata['packages']}
nodes = {n['id']: n for n in metadata['resolve']['nodes']}
seen, left = set(), [metadata['resolve']['root']]
while left:
    for dep in nodes[left.pop()]['deps']:
        if any(kind['kind'] != 'dev' for kind in dep['dep_kinds']) and dep['pkg'] not in seen:
            seen.add(dep['pkg'])
            left.append(dep['pkg'])
print('\\n'.join(names[id] for id in seen))";
    let expected = python(code, &[&krate.join("Cargo.toml")]);
    let expected: BTreeSet<String> = expected.lines().map(Into::into).collect();
    assert_eq!(components(&sbom, true), expected);

    let read = |file: &str| fs::read_to_string(root().join(file)).unwrap();
    let pin =
        |text: &str, before: &str, end: char| text.split(before).nth(1).unwrap().split(end).next().unwrap().to_owned();
    let rust = pin(&read("rust-toolchain.toml"), "channel = \"", '"');
    let wheels = read("cli/wheels/zig.txt");
    let openssl = pin(&read("cli/openssl/Cargo.lock"), "name = \"openssl-src\"\nversion = \"400.", '"');
    let others = components(&sbom, false);
    let expected = [
        format!("OpenSSL {}", openssl.split('+').nth(1).unwrap()),
        format!("cargo-zigbuild {}", pin(&wheels, "cargo-zigbuild==", ' ')),
        format!("rust-std {rust}"),
        format!("zig {}", pin(&wheels, "ziglang==", ' ')),
        format!("zig-compiler-rt {}", pin(&wheels, "ziglang==", ' ')),
    ];
    for component in &expected {
        assert!(others.contains(component), "{component} is missing in {others:?}");
    }
    let rest: Vec<&String> = others.iter().filter(|other| !expected.contains(other)).collect();
    let starts = ["libunwind 2", "musl 1.2.", &format!("rustc {rust} (")];
    assert_eq!(rest.len(), starts.len(), "{rest:?}");
    for (component, start) in rest.iter().zip(starts) {
        assert!(component.starts_with(start), "{rest:?}");
    }
}

#[test]
#[ignore = "run by make test"]
fn a_function_with_the_name_of_one_of_its_crates_is_a_separate_component() {
    let directory = tempfile::tempdir().unwrap();
    let krate = directory.path().join("itoa");
    let manifest = "[package]\nname = 'itoa'\nversion = '0.0.1'\nedition = '2024'\n[dependencies]\nother = { package = 'itoa', version = '1' }\n";
    let code = "fn main() { println!(\"{}\", other::Buffer::new().format(7)) }";
    write_crate(&krate, manifest, code);
    let out = directory.path().join("dist");
    build_crate(&krate, &out, &[]).succeeded();
    let sbom = json(&out.join("sbom.cdx.json"));
    let own = &sbom["metadata"]["component"];
    assert_eq!(own["bom-ref"], "path:itoa@0.0.1");
    assert!(own.get("purl").is_none(), "{own}");
    let crates = components(&sbom, true);
    assert_eq!(crates.len(), 1, "{crates:?}");
    assert!(crates.first().unwrap().starts_with("itoa 1."), "{crates:?}");
}

#[test]
#[ignore = "run by make test"]
fn the_licences_of_all_components_in_the_binary_are_listed() {
    let directory = probe();
    let licences = fs::read_to_string(directory.join("licences.txt")).unwrap();
    let sbom = json(&directory.join("sbom.cdx.json"));
    for component in sbom["components"].as_array().unwrap() {
        let text = |key: &str| component[key].as_str().unwrap();
        let title = format!("\n== {} {}: ", text("name"), text("version"));
        assert_eq!(licences.contains(&title), text("scope") == "required", "{title}");
    }
    for text in ["Rich Felker", "Apache License\n", "Permission is hereby granted"] {
        assert!(licences.contains(text), "{text}");
    }
}

#[test]
#[ignore = "run by make test"]
fn a_vendored_library_and_the_cpp_library_are_components_with_their_licences() {
    let directory = tempfile::tempdir().unwrap();
    let krate = directory.path().join("squeeze");
    let manifest = "[package]\nname = 'squeeze'\nedition = '2024'\n[build-dependencies]\ncc = '1'\n[workspace]\n";
    let code = "unsafe extern \"C\" { fn squeeze(n: i32) -> i32; }
        fn main() { println!(\"{}\", unsafe { squeeze(7) }) }";
    write_crate(&krate, manifest, code);
    let vendored = krate.join("vendored/bzip2-1.0.8");
    fs::create_dir_all(&vendored).unwrap();
    let build = "fn main() {
        cc::Build::new().cpp(true).file(\"vendored/bzip2-1.0.8/huffman.cc\").compile(\"bz2\");
    }";
    let library = "#include <string>
        extern \"C\" int squeeze(int n) {
            try { return std::stoi(std::string(n, '1')); } catch (...) { return -1; }
        }";
    for (file, text) in [
        (krate.join("build.rs"), build),
        (vendored.join("huffman.cc"), library),
        (vendored.join("LICENSE"), "You may squeeze what you like."),
    ] {
        fs::write(file, text).unwrap();
    }
    let out = directory.path().join("dist");
    build_crate(&krate, &out, &[]).succeeded();

    let sbom = json(&out.join("sbom.cdx.json"));
    let components = sbom["components"].as_array().unwrap();
    let named = |name: &str| components.iter().find(|c| c["name"] == name).unwrap();
    assert_eq!(named("bzip2")["purl"], "pkg:generic/bzip2@1.0.8");
    assert_eq!(named("bzip2")["cpe"], "cpe:2.3:a:bzip:bzip2:1.0.8:*:*:*:*:*:*:*");
    assert_eq!(named("libc++")["version"], named("libunwind")["version"], "both are part of LLVM");
    let licences = fs::read_to_string(out.join("licences.txt")).unwrap();
    for text in ["== bzip2 1.0.8: ", "You may squeeze what you like.", "== libc++ "] {
        assert!(licences.contains(text), "{text}");
    }
}

#[test]
#[ignore = "run by make test"]
fn a_library_of_this_machine_is_not_linked_and_the_message_says_how_to_link_an_archive() {
    let directory = tempfile::tempdir().unwrap();
    // Like that of pq-sys 0.7, this build script does not declare the variable, and names no kind of library.
    let build = "fn main() {
        let directory = std::env::var(\"WANTING_LIB_DIR\").unwrap_or(\"/usr/lib/x86_64-linux-gnu\".into());
        println!(\"cargo::rerun-if-changed=build.rs\");
        println!(\"cargo::rustc-link-search=native={directory}\");
        println!(\"cargo::rustc-link-lib=pq\");
        println!(\"cargo::rustc-env=TEXT={}\", if directory.starts_with(\"/usr\") { \"host\" } else { \"own\" });
    }";
    let krate = function_with("wanting", directory.path(), build);
    let out = directory.path().join("dist");
    let variable = "[env]\n    WANTING_LIB_DIR = { value = \"lib\", relative = true }";
    build_crate(&krate, &out, &[]).failed_with(&[
        "wanting 1.4.2 needs the library pq, and there is no libpq.a for x86_64-unknown-linux-musl",
        variable,
    ]);

    // The same build succeeds after the user has done what the message says, and compiles the crate again.
    for directory in ["lib", ".cargo"] {
        fs::create_dir(krate.join(directory)).unwrap();
    }
    fs::write(krate.join(".cargo/config.toml"), variable).unwrap();
    fs::write(krate.join("lib/pq.c"), "int PQlibVersion(void) { return 1; }").unwrap();
    for line in ["cc -c -fPIC pq.c", "ar rcs libpq.a pq.o"] {
        let mut shell = command("/bin/sh", &krate.join("lib"));
        shell.args(["-c", line]);
        run(shell).succeeded();
    }
    build_crate(&krate, &out, &[]).succeeded();
    let zip = out.join("function.zip");
    let print = "import os, sys, zipfile; file = zipfile.ZipFile(sys.argv[1]).extract('binary', sys.argv[2]); \
                 os.chmod(file, 0o755); os.execv(file, [file])";
    assert_eq!(python(print, &[&zip, directory.path()]), "own\n");
}

#[test]
#[ignore = "run by make test"]
fn the_symbols_of_the_binary_are_next_to_the_zip() {
    let directory = greeting();
    let Some(nm) = find_program("nm") else {
        return skip("the symbols in function.debug", "nm is missing");
    };
    let mut nm = command(nm, &directory);
    nm.arg("function.debug");
    assert!(run(nm).succeeded().stdout.contains("lambda_musl4wire"));
    let bytes = fs::read(directory.join("function.debug")).unwrap();
    let path = root().as_os_str().as_encoded_bytes();
    assert!(!bytes.windows(path.len()).any(|window| window == path));
}

// make reproduce.

/// Creates a function that prints a text from version 1.4.2 of a crate whose name is `stamp`. The build script of the crate creates
/// the text.
fn function_with(stamp: &str, directory: &Path, build: &str) -> PathBuf {
    // Other users must be able to read the directory.
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    let krate = directory.join("clock");
    let manifest = format!(
        "[package]\nname = 'prints-{stamp}'\nedition = '2024'\n[dependencies]\n{stamp} = {{ path = '{stamp}' }}\n[workspace]\n"
    );
    let code = format!("fn main() {{ println!(\"{{}}\", {stamp}::TEXT) }}");
    write_crate(&krate, &manifest, &code);
    let package = krate.join(stamp);
    fs::create_dir_all(package.join("src")).unwrap();
    let manifest = format!("[package]\nname = '{stamp}'\nversion = '1.4.2'\nedition = '2024'\n");
    for (file, text) in
        [("Cargo.toml", &*manifest), ("src/lib.rs", "pub const TEXT: &str = env!(\"TEXT\");"), ("build.rs", build)]
    {
        fs::write(package.join(file), text).unwrap();
    }
    krate
}

#[test]
#[ignore = "run by make test"]
fn reproduce_reports_an_embedded_date_with_its_location_and_its_crate() {
    let directory = tempfile::tempdir().unwrap();
    let build = "fn main() {
        let time = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        println!(\"cargo::rustc-env=TEXT=built on day {}\", time.as_secs() / (24 * 60 * 60));
    }";
    let krate = function_with("stamp", directory.path(), build);
    let run = make(&["reproduce", &format!("CRATE={}", krate.display())]).failed_with(&[
        "error: function.zip: binary: .rodata: first difference at byte",
        "on day 2",
        "stamp 1.4.2: its build script told cargo\n    here:      cargo::rustc-env=TEXT=built on day 2",
    ]);
    assert!(!run.stdout.contains('✓'), "{}", run.stdout);
    let mut other = run.stderr.lines().filter(|line| line.starts_with("error: "));
    assert!(other.all(|line| line.starts_with("error: function.zip: binary: ")), "{}", run.stderr);
}

#[test]
#[ignore = "run by make test"]
fn reproduce_reports_the_crate_of_a_build_script_that_needs_the_network() {
    if !call("unshare", &["--net", "true"]).stderr.is_empty() {
        return skip("a build without a network", "it needs root");
    }
    let directory = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let build = format!(
        "fn main() {{
            std::net::TcpStream::connect(\"{address}\").expect(\"a network\");
            println!(\"cargo::rustc-env=TEXT=fetched\");
        }}"
    );
    let krate = function_with("fetcher", directory.path(), &build);
    make(&["reproduce", &format!("CRATE={}", krate.display())]).failed_with(&[
        "== elsewhere",
        "failed to run custom build command for `fetcher v1.4.2",
        "without access to the network",
    ]);
}

// The commands that GitHub runs.

#[test]
#[ignore = "run by make test"]
fn the_action_builds_a_function_and_returns_its_path_and_checksum() {
    let action = fs::read_to_string(root().join("action.yml")).unwrap();
    let mut lines = action.lines().map(str::trim);
    let script = lines.find_map(|line| line.strip_prefix("run: ")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (out, output) = (directory.path().join("a directory"), directory.path().join("output"));
    let mut shell = command("/bin/sh", root());
    shell
        .args(["-ec", script])
        .env("ARCH", "x86_64")
        .env("CRATE", root().join("examples/greeting"))
        .env("OUT", &out)
        .env("GITHUB_OUTPUT", &output);
    let built = run(shell).succeeded();
    assert!(built.stdout.contains("✓ greeting "), "{}", built.stdout);
    let zip = out.join("function.zip");
    let expected = format!("zip={}\nsha256={}\n", zip.display(), sha256(&zip));
    assert_eq!(fs::read_to_string(output).unwrap(), expected);
}

#[test]
#[ignore = "run by make test"]
fn the_published_crate_compiles_by_itself() {
    let mut cargo = command("cargo", root());
    cargo.args(["package", "--locked", "--allow-dirty", "--package=lambda-musl"]);
    run(cargo).succeeded();
}

#[test]
#[ignore = "run by make test"]
fn a_release_needs_the_tag_of_its_version_and_release_notes() {
    let check = |tag: &str| call("scripts/release-check", &[tag]);
    check(concat!("v", env!("CARGO_PKG_VERSION"))).succeeded();
    let notes = fs::read_to_string(root().join("target/notes")).unwrap();
    assert!(!notes.trim().is_empty() && !notes.contains("\n## "), "{notes}");
    check("v999.0.0").failed_with(&["v999.0.0", concat!("expected v", env!("CARGO_PKG_VERSION"))]);
}

#[test]
#[ignore = "run by make test"]
fn a_page_that_names_the_tag_of_another_release_is_reported() {
    let copy = tempfile::tempdir().unwrap();
    let files = "Cargo.toml cli/Cargo.toml CHANGELOG.md README.md SECURITY.md docs scripts/release-check";
    let mut cp = command("cp", root());
    cp.args(["-R", "--parents"]).args(files.split(' ')).arg(copy.path());
    run(cp).succeeded();
    let tag = concat!("v", env!("CARGO_PKG_VERSION"));
    let check = || call(copy.path().join("scripts/release-check"), &[tag]);
    check().succeeded();
    for name in ["docs/cross.md", "docs/start.md", "README.md"] {
        let page = copy.path().join(name);
        let text = fs::read_to_string(&page).unwrap();
        fs::write(&page, text.replace(tag, "v0.0.9")).unwrap();
        let run = check().failed_with(&["these lines name a different tag"]);
        assert!(run.stdout.contains(&format!("{name}:")), "{name}: {}", run.stdout);
        fs::write(page, text).unwrap();
    }
}

#[test]
#[ignore = "run by make test"]
fn a_release_needs_two_builders_that_agree() {
    let dist = greeting();
    let directory = tempfile::tempdir().unwrap();
    let built = |builder: &str| directory.path().join(format!("built/{builder}-function-x86_64"));
    for builder in ["first", "second"] {
        fs::create_dir_all(built(builder)).unwrap();
        for name in BUILD_OUTPUTS {
            fs::copy(dist.join(name), built(builder).join(name)).unwrap();
        }
    }
    let assets = directory.path().join("assets");
    let collect = || {
        let mut collect = command("scripts/release-assets", root());
        collect.arg(directory.path().join("built")).arg(&assets);
        run(collect)
    };
    collect().succeeded();
    let checked = checked(&assets);
    assert!(checked.contains("function-x86_64.zip: OK"), "{checked}");
    assert_eq!(checked.lines().count(), BUILD_OUTPUTS.len() - 1);

    fs::write(built("second").join("build.json"), "{}").unwrap();
    collect().failed_with(&["build.json: zig: exists only in the first build", "the two builders do not agree"]);
    fs::write(built("first").join("build.json"), "{}").unwrap();
    collect().failed_with(&["first-function-x86_64: does not match its SHA256SUMS"]);
    assert!(!assets.join("SHA256SUMS").exists());
    fs::remove_dir_all(built("second")).unwrap();
    collect().failed_with(&["function-x86_64: missing from the second builder's output"]);
    fs::rename(built("first"), built("second")).unwrap();
    collect().failed_with(&["function-x86_64: missing from the first builder's output"]);
}
