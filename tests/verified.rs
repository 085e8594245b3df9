//! What a package proves of itself, through the front door: make verify, and what lies beside the zip.
//!
//! They build functions, so `cargo test` leaves them out; `make test` runs them. The unit tests of tools/ spoil a package
//! in each way that it can be spoilt.

#[path = "support/machine.rs"]
mod machine;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use machine::{Run, command, make, python, root, run, sha256, skip, write_crate};
use serde_json::Value;

const COMPANY: [&str; 6] = [
    "SHA256SUMS",
    "build.json",
    "function.debug",
    "function.zip",
    "licences.txt",
    "sbom.cdx.json",
];

/// The folder with the function of this package, which links OpenSSL.
fn probe() -> PathBuf {
    make(&[]).succeeded();
    root().join("dist")
}

/// The folder with the example, which does not.
fn greeting() -> PathBuf {
    make(&["CRATE=examples/greeting", "OUT=dist/greeting"]).succeeded();
    root().join("dist/greeting")
}

fn verify(zip: &Path) -> Run {
    make(&["verify", &format!("ZIP={}", zip.display())])
}

/// A copy of the zip of the example that is made by `code`, in which `entries` are those of the zip: names, bytes.
fn remade(folder: &Path, code: &str) -> PathBuf {
    let to = folder.join("remade.zip");
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
#[ignore = "through make"]
fn verify_shows_sums_and_a_tick_that_names_what_the_zip_was_built_from() {
    let zip = probe().join("function.zip");
    let lines = make(&["verify"]).succeeded();
    let lines: Vec<&str> = lines.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    let mut sum = command("sha256sum", root());
    sum.arg("dist/function.zip");
    assert_eq!(run(sum).stdout.trim(), lines[0], "{}", zip.display());
    for part in [
        "✓ probe ",
        ", x86_64, openssl 3.",
        ", rustc 1.",
        "; the record says: ",
        "musl 1.",
        "zig 0.",
    ] {
        assert!(lines[3].contains(part), "{part} is not in {}", lines[3]);
    }
}

#[test]
#[ignore = "through make"]
fn verify_takes_either_architecture_unless_one_is_named() {
    let out = "OUT=dist/arm64";
    make(&["ARCH=arm64", "CRATE=examples/greeting", out]).succeeded();
    let tick = make(&["verify", out]).succeeded();
    assert!(tick.last_line().contains(", arm64, "), "{}", tick.stdout);
    make(&["verify", out, "ARCH=arm64"]).succeeded();
    make(&["verify", out, "ARCH=x86_64"]).failed_with(&["binary: is for arm64, not x86_64"]);
    make(&["verify", out, "ARCH=sparc"]).failed_with(&["ARCH=sparc", "x86_64 or arm64"]);
}

#[test]
#[ignore = "through make"]
fn verify_can_run_the_zip_as_well() {
    greeting();
    let run = make(&[
        "verify",
        "OUT=dist/greeting",
        "RUN=1",
        r#"EVENT={"name":"Ada"}"#,
    ])
    .succeeded();
    assert!(run.last_line().contains("Ada"), "{}", run.stdout);
    make(&["verify", "OUT=dist/greeting", "RUN=1"]).succeeded();
}

#[test]
#[ignore = "through make"]
fn verify_names_a_zip_that_is_not_there() {
    make(&["verify", "ZIP=no where.zip"]).failed_with(&["no where.zip: No such file", "`make`"]);
}

#[test]
#[ignore = "through make"]
fn verify_says_what_differs_in_a_zip_that_others_made() {
    let folder = tempfile::tempdir().unwrap();
    let zip = remade(
        folder.path(),
        "    for info, data in reversed(entries): write(zipfile.ZipInfo(info.filename, (2026, 11, 24, 13, 26, 56)), data)",
    );
    let run = verify(&zip).failed_with(&[
        "is not sorted by name",
        "bootstrap: has mode 0600, expected 0755",
        "bootstrap: has the time 2026-11-24 13:26, expected 1980-01-01 00:00",
        "binary: has mode 0600",
        "binary: has the time",
    ]);
    assert_eq!(run.stdout, "");
}

#[test]
#[ignore = "through make"]
fn verify_writes_nothing_and_runs_nothing_of_a_hostile_zip() {
    let folder = tempfile::tempdir().unwrap();
    let marks = [folder.path().join("ran"), folder.path().join("written")];
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
    let zip = remade(folder.path(), &code);
    verify(&zip).failed_with(&[
        "a path that leads outside",
        "binary: is no 64-bit little-endian ELF file",
        "bootstrap: is not function/bootstrap",
    ]);
    assert!(marks.iter().all(|mark| !mark.exists()));
}

#[test]
#[ignore = "through make"]
fn verify_takes_little_memory_and_time_for_a_bomb() {
    let folder = tempfile::tempdir().unwrap();
    let zip = remade(
        folder.path(),
        "    write('binary', bytes(1 << 30))\n    write('bootstrap', b'')",
    );
    let mut limited = command("/bin/sh", root());
    let check = "make -s verify ARCH=x86_64 ZIP=/dev/null >/dev/null 2>&1; ulimit -v 1000000; exec target/tools/lambda-musl-tools verify \"$1\" ''";
    limited.args(["-c", check, "sh"]).arg(&zip);
    let run =
        run(limited).failed_with(&["unpacks to 1073741824 bytes; Lambda takes up to 262144000"]);
    assert!(run.took.as_secs() < 10, "{:?}", run.took);
}

#[test]
#[ignore = "through make"]
fn a_binary_with_a_path_of_the_clone_or_of_its_own_folder_is_not_packaged() {
    let folder = tempfile::tempdir().unwrap();
    let krate = folder.path().join("leaky");
    let manifest = "[package]\nname = 'leaky'\nedition = '2024'\n[workspace]\n";
    let out = format!("OUT={}", folder.path().join("dist").display());
    let secret = format!("{}/secret", root().display());
    let own = folder.path().canonicalize().unwrap().join("leaky");
    let own = own.display().to_string();
    for (text, path) in [
        (format!("\"{secret}\""), secret),
        ("env!(\"CARGO_MANIFEST_DIR\")".to_owned(), own),
    ] {
        let code = format!("fn main() {{ println!(\"{{}}\", {text}) }}");
        write_crate(&krate, manifest, &code);
        let expected = format!("holds a path of the machine that built it: {path}");
        make(&[&format!("CRATE={}", krate.display()), &out]).failed_with(&[&expected]);
        assert!(!folder.path().join("dist/function.zip").exists());
    }
}

// What lies beside the zip.

#[test]
#[ignore = "through make"]
fn the_sums_are_those_of_all_that_lies_beside_the_zip() {
    let folder = greeting();
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, COMPANY);
    let mut sums = command("sha256sum", &folder);
    sums.args(["--check", "--strict", "SHA256SUMS"]);
    assert_eq!(
        run(sums).succeeded().stdout.lines().count(),
        COMPANY.len() - 1
    );
}

#[test]
#[ignore = "through make"]
fn the_parts_list_follows_the_schema_of_cyclonedx() {
    let mut wheel = command("scripts/wheel", root());
    wheel.arg("sbom");
    let wheels = PathBuf::from(run(wheel).succeeded().stdout.trim());
    let validate = |sbom: &Path| {
        let mut python = command("python3", root());
        python.arg("tests/support/sbom.py").arg(&wheels).arg(sbom);
        run(python)
    };
    let sbom = probe().join("sbom.cdx.json");
    validate(&sbom).succeeded();

    // That it can fail.
    let folder = tempfile::tempdir().unwrap();
    let spoilt = folder.path().join("sbom.json");
    let text = fs::read_to_string(&sbom).unwrap();
    fs::write(&spoilt, text.replace("\"required\"", "\"maybe\"")).unwrap();
    assert!(validate(&spoilt).stdout.contains("'maybe' is not one of"));
}

/// Name and version of each component of a parts list whose package URL starts so.
fn components(sbom: &Value, start: &str) -> BTreeSet<String> {
    let components = sbom["components"].as_array().unwrap().iter();
    let ours = components.filter(|c| c["purl"].as_str().unwrap().starts_with(start));
    let text = |c: &Value| {
        format!(
            "{} {}",
            c["name"].as_str().unwrap(),
            c["version"].as_str().unwrap()
        )
    };
    ours.map(text).collect()
}

/// A function with HTTPS that is a workspace of its own, so that nothing else decides on its features, and its zip.
fn function_of_its_own(folder: &Path) -> (PathBuf, PathBuf) {
    let krate = folder.join("own");
    let manifest = format!(
        "[package]\nname = 'own'\nedition = '2024'\n[dependencies]\nlambda-musl = {{ path = '{}', features = ['tls'] }}\nserde = {{ version = '1', features = ['derive'] }}\nserde_json = '1'\n",
        root().display()
    );
    let code = "fn main() -> Result<(), lambda_musl::Error> {
        lambda_musl::run(async |event: serde_json::Value, _: lambda_musl::Context| Ok::<_, String>(event))
    }";
    write_crate(&krate, &manifest, code);
    let out = folder.join("dist");
    make(&[
        &format!("CRATE={}", krate.display()),
        &format!("OUT={}", out.display()),
    ])
    .succeeded();
    (krate, out)
}

#[test]
#[ignore = "through make"]
fn the_parts_are_the_crates_of_the_target_and_the_pins() {
    let folder = tempfile::tempdir().unwrap();
    let (krate, out) = function_of_its_own(folder.path());
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
    assert_eq!(components(&sbom, "pkg:cargo/"), expected);

    let read = |file: &str| fs::read_to_string(root().join(file)).unwrap();
    let pin = |text: &str, before: &str, end: char| {
        text.split(before)
            .nth(1)
            .unwrap()
            .split(end)
            .next()
            .unwrap()
            .to_owned()
    };
    let rust = pin(&read("rust-toolchain.toml"), "channel = \"", '"');
    let wheels = read("scripts/wheels/zig.txt");
    let openssl = pin(
        &read("Cargo.lock"),
        "name = \"openssl-src\"\nversion = \"300.",
        '"',
    );
    let parts = components(&sbom, "pkg:generic/");
    let expected = [
        format!("OpenSSL {}", openssl.split('+').nth(1).unwrap()),
        format!("cargo-zigbuild {}", pin(&wheels, "cargo-zigbuild==", ' ')),
        format!("rust-std {rust}"),
        format!("zig {}", pin(&wheels, "ziglang==", ' ')),
    ];
    for part in &expected {
        assert!(parts.contains(part), "{part} is not in {parts:?}");
    }
    let rest: Vec<&String> = parts
        .iter()
        .filter(|part| !expected.contains(part))
        .collect();
    assert_eq!(rest.len(), 2, "{rest:?}");
    assert!(rest[0].starts_with("musl 1.2."), "{rest:?}");
    assert!(rest[1].starts_with(&format!("rustc {rust} (")), "{rest:?}");
}

#[test]
#[ignore = "through make"]
fn the_licences_of_all_that_is_in_the_binary_are_there() {
    let folder = probe();
    let licences = fs::read_to_string(folder.join("licences.txt")).unwrap();
    let sbom = json(&folder.join("sbom.cdx.json"));
    for component in sbom["components"].as_array().unwrap() {
        let text = |key: &str| component[key].as_str().unwrap();
        let title = format!("\n== {} {}: ", text("name"), text("version"));
        assert_eq!(
            licences.contains(&title),
            text("scope") == "required",
            "{title}"
        );
    }
    for words in [
        "Rich Felker",
        "Apache License\n",
        "Permission is hereby granted",
    ] {
        assert!(licences.contains(words), "{words}");
    }
}

#[test]
#[ignore = "through make"]
fn the_symbols_of_the_binary_lie_beside_the_zip() {
    let folder = greeting();
    let Some(nm) = machine::find_program("nm") else {
        return skip("the symbols in function.debug", "nm is missing");
    };
    let mut nm = command(nm, &folder);
    nm.arg("function.debug");
    assert!(run(nm).succeeded().stdout.contains("lambda_musl5serve"));
    let bytes = fs::read(folder.join("function.debug")).unwrap();
    let path = root().as_os_str().as_encoded_bytes();
    assert!(!bytes.windows(path.len()).any(|window| window == path));
}

// make reproduce.

#[test]
#[ignore = "through make"]
fn reproduce_names_the_place_where_the_date_was_read_and_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    // Another user has to read it.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let krate = folder.path().join("clock");
    let manifest = "[package]\nname = 'clock'\nedition = '2024'\n[workspace]\n";
    write_crate(&krate, manifest, "fn main() { println!(env!(\"TIME\")) }");
    let build = "fn main() {
        let time = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        println!(\"cargo::rustc-env=TIME=built on day {}\", time.as_secs() / (24 * 60 * 60));
    }";
    fs::write(krate.join("build.rs"), build).unwrap();
    let run = make(&["reproduce", &format!("CRATE={}", krate.display())]).failed_with(&[
        "error: function.zip: binary: .rodata: differs from byte",
        "on day 2",
    ]);
    assert!(!run.stdout.contains('✓'), "{}", run.stdout);
    let mut other = run
        .stderr
        .lines()
        .filter(|line| line.starts_with("error: "));
    assert!(
        other.all(|line| line.starts_with("error: function.zip: binary: ")),
        "{}",
        run.stderr
    );
}

#[test]
#[ignore = "through make"]
fn reproduce_lists_the_ways_to_build() {
    make(&["reproduce", "HOW=magic"]).failed_with(&["HOW=magic", "build or docker-build"]);
}

// What GitHub runs.

#[test]
#[ignore = "through make"]
fn the_action_builds_a_function_and_tells_the_workflow_where_it_is() {
    let action = fs::read_to_string(root().join("action.yml")).unwrap();
    let mut lines = action.lines().map(str::trim);
    let script = lines.find_map(|line| line.strip_prefix("run: ")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (out, told) = (folder.path().join("a folder"), folder.path().join("output"));
    let mut shell = command("/bin/sh", root());
    shell
        .args(["-ec", script])
        .env("ARCH", "x86_64")
        .env("CRATE", root().join("examples/greeting"))
        .env("OUT", &out)
        .env("GITHUB_OUTPUT", &told);
    let built = run(shell).succeeded();
    assert!(built.stdout.contains("✓ greeting "), "{}", built.stdout);
    let zip = out.join("function.zip");
    let expected = format!("zip={}\nsha256={}\n", zip.display(), sha256(&zip));
    assert_eq!(fs::read_to_string(told).unwrap(), expected);
}

#[test]
#[ignore = "through make"]
fn the_crate_that_is_published_compiles_by_itself() {
    let mut cargo = command("cargo", root());
    cargo.args([
        "package",
        "--locked",
        "--allow-dirty",
        "--package=lambda-musl",
    ]);
    run(cargo).succeeded();
}

#[test]
#[ignore = "through make"]
fn a_release_needs_a_tag_that_is_the_version_and_words_on_what_is_new() {
    let check = |tag: &str| {
        let mut check = command("scripts/release-check", root());
        check.arg(tag);
        run(check)
    };
    check(concat!("v", env!("CARGO_PKG_VERSION"))).succeeded();
    let notes = fs::read_to_string(root().join("target/notes")).unwrap();
    assert!(
        !notes.trim().is_empty() && !notes.contains("\n## "),
        "{notes}"
    );
    check("v999.0.0").failed_with(&["v999.0.0", concat!("expected v", env!("CARGO_PKG_VERSION"))]);
}

#[test]
#[ignore = "through make"]
fn a_release_needs_two_builders_that_agree() {
    let dist = greeting();
    let folder = tempfile::tempdir().unwrap();
    let built = |builder: &str| {
        folder
            .path()
            .join(format!("built/{builder}-function-x86_64"))
    };
    for builder in ["first", "second"] {
        fs::create_dir_all(built(builder)).unwrap();
        for name in COMPANY {
            fs::copy(dist.join(name), built(builder).join(name)).unwrap();
        }
    }
    let assets = folder.path().join("assets");
    let collect = || {
        let mut collect = command("scripts/release-assets", root());
        collect.arg(folder.path().join("built")).arg(&assets);
        run(collect)
    };
    collect().succeeded();
    let mut sums = command("sha256sum", &assets);
    sums.args(["--check", "--strict", "SHA256SUMS"]);
    let sums = run(sums).succeeded().stdout;
    assert!(sums.contains("function-x86_64.zip: OK"), "{sums}");
    assert_eq!(sums.lines().count(), COMPANY.len() - 1);

    fs::write(built("second").join("build.json"), "{}").unwrap();
    collect().failed_with(&[
        "build.json: differs from byte",
        "the two builders do not agree",
    ]);
    fs::write(built("first").join("build.json"), "{}").unwrap();
    collect().failed_with(&["first-function-x86_64: is not what its SHA256SUMS says"]);
    assert!(!assets.join("SHA256SUMS").exists());
    fs::remove_dir_all(built("second")).unwrap();
    collect().failed_with(&["function-x86_64: the second builder made none"]);
    fs::rename(built("first"), built("second")).unwrap();
    collect().failed_with(&["function-x86_64: the first builder made none"]);
}
