//! `make crates`: functions with registry crates that are hard to link are built with `build` and `docker-build`, verified and invoked.
//! The results are written to docs/crates.md. It compiles for an hour, so no other make target runs it.

#[path = "support/machine.rs"]
mod machine;

use std::{collections::BTreeMap, env, fs, iter};

use machine::{Run, arch, call, command, root, run};
use serde_json::Value;

const WORKSPACE: &str = "tests/crates/registry";
const TABLE: &str = "docs/crates.md";
const WAYS: [&str; 2] = ["build", "docker-build"];

/// The part of the page before the rows of the table.
const HEAD: &str = "\
# Crates of the registry

Each row is a function in `tests/crates/registry` that uses crates with C, C++, assembly, generated code or bundled programs. Unless its
row says that the build fails, the function was built, verified and invoked, and returned the expected response or error. `diesel` shows
the error message for a missing library, which names the feature that compiles the library.

The seconds are the longest time that a build of these versions took on two cores that also had other work. Crates shared with earlier rows
were already compiled. The last column lists the pinned libraries of the container. An empty cell for a zip means that
this build was never tried.

`make crates` writes this page. `ONLY='ring rocksdb'` tries only these functions, and `HOW=build` or `HOW=docker-build` tries only
one way to build. The other cells stay unchanged.

| crates | version | `build`: zip, bytes | s | `docker-build`: zip, bytes | s | with |
| --- | --- | --: | --: | --: | --: | --- |
";

#[test]
#[ignore = "run by make crates"]
fn each_crate_is_built_verified_and_invoked() {
    let (all, ways) = (Function::all(), ways());
    let only = variable("ONLY").unwrap_or_default();
    let names: Vec<&str> = all.iter().map(|function| &*function.name).collect();
    let named = |name: &str| {
        let function = all.iter().find(|function| function.name == name);
        function.unwrap_or_else(|| panic!("ONLY={name}: expected one of {}", names.join(" ")))
    };
    let mut chosen: Vec<&Function> = only.split_whitespace().map(named).collect();
    if chosen.is_empty() {
        chosen.extend(&all);
    }
    let mut failed = Vec::new();
    for function in chosen {
        for way in &ways {
            let what = format!("{} with {}", function.name, WAYS[*way]);
            eprintln!("{what} …");
            let cells = function.try_out(WAYS[*way]).unwrap_or_else(|reason| {
                failed.push(format!("{what}: {reason}"));
                [reason, String::new(), String::new()]
            });
            eprintln!("{what}: {}", cells.join(" ").trim_end());
            // Record after each build, so that the results are kept if the run is stopped.
            record(function, *way, cells);
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// A make variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The ways to build, as indices into WAYS.
fn ways() -> Vec<usize> {
    match variable("HOW").as_deref() {
        Some("build") => vec![0],
        Some("docker-build") => vec![1],
        Some("both") => vec![0, 1],
        Some(how) => panic!("HOW={how}: expected build, docker-build or both"),
        None if has_engine() => vec![0, 1],
        None => {
            eprintln!("SKIPPED: docker-build: no container engine works on this machine");
            vec![0]
        }
    }
}

fn has_engine() -> bool {
    let engine = variable("CONTAINER_ENGINE").unwrap_or("docker".into());
    machine::find_program(&engine).is_some() && call(engine, &["info"]).success
}

/// Runs make with this program's `LAMBDA_MUSL_CACHE`.
fn make(arguments: &[String]) -> Run {
    let mut make = command("make", root());
    make.args(arguments);
    make.envs(variable("LAMBDA_MUSL_CACHE").map(|cache| ("LAMBDA_MUSL_CACHE", cache)));
    run(make)
}

/// A member of the workspace, with the `[package.metadata.crates]` of its manifest.
struct Function {
    name: String,
    crates: String,
    versions: String,
    expected: Value,
}

impl Function {
    fn all() -> Vec<Self> {
        let manifest = format!("{WORKSPACE}/Cargo.toml");
        let metadata = ["metadata", "--format-version=1", "--no-deps", "--locked"];
        let metadata = call("cargo", &[&metadata[..], &["--manifest-path", &manifest]].concat());
        let metadata: Value = serde_json::from_str(&metadata.succeeded().stdout).unwrap();
        let lock = fs::read_to_string(root().join(WORKSPACE).join("Cargo.lock")).unwrap();
        let packages = metadata["packages"].as_array().unwrap().iter();
        packages.map(|package| Self::of(package, &lock)).collect()
    }

    fn of(package: &Value, lock: &str) -> Self {
        let name = package["name"].as_str().unwrap();
        let name = name.strip_prefix("uses-").expect(name).to_owned();
        let expected = package["metadata"]["crates"].clone();
        let names = expected["names"].as_array().expect(&name);
        let names: Vec<&str> = names.iter().map(|name| name.as_str().unwrap()).collect();
        let version = |name: &&str| {
            let start = format!("name = \"{name}\"\nversion = \"");
            let (_, rest) = lock.split_once(&start).expect(name);
            rest.split('"').next().unwrap().to_owned()
        };
        let versions: Vec<String> = names.iter().map(version).collect();
        let (crates, versions) = (names.join(", "), versions.join(", "));
        Self { name, crates, versions, expected }
    }

    /// Builds, verifies and invokes the function. Returns the bytes of the zip, the seconds of the build and the libraries of the
    /// container, or the expected failure. An error is the reason why the function failed.
    fn try_out(&self, way: &str) -> Result<[String; 3], String> {
        let out = format!("OUT=target/registry/{way}/{}", self.name);
        let make = |target: &str, more: &[String]| make(&[&[target.to_owned(), out.clone()], more].concat());
        let mut options = vec![format!("CRATE={WORKSPACE}/{}", self.name), format!("ARCH={}", arch())];
        if way == "docker-build" {
            let pins = variable("PINS").unwrap_or("current".into());
            options.push(format!("PINS={pins}"));
            for name in ["SOURCES", "BASE", "CONTAINER_ENGINE"] {
                options.extend(variable(name).map(|value| format!("{name}={value}")));
            }
        }
        let built = make(way, &options);
        if let Some(fails) = self.expected["fails"].as_str() {
            return match built.success {
                true => Err(format!("the build succeeded; expected an error with {fails:?}")),
                false if built.stderr.contains(fails) => {
                    Ok([format!("fails as expected: {fails}"), String::new(), String::new()])
                }
                false => Err(reason("the build failed in an unexpected way", &built)),
            };
        }
        if !built.success {
            return Err(reason("the build failed", &built));
        }
        let verified = make("verify", &[]);
        if !verified.success {
            return Err(reason("verify failed", &verified));
        }
        self.check_answer(&make("invoke", &[format!("EVENT={}", self.expected["event"])]))?;
        let zip = root().join(&out["OUT=".len()..]).join("function.zip");
        let bytes = fs::metadata(zip).unwrap().len();
        // The time that the build itself reports excludes earlier steps, such as the image.
        let parts: Vec<&str> = built.last_line().split(", ").collect();
        let seconds = parts.last().map(|last| last.trim_end_matches(" s"));
        let is_library = |part: &&&str| part.starts_with("musl ") || part.starts_with("OpenSSL ");
        let libraries: Vec<&str> = parts.iter().filter(is_library).copied().collect();
        let seconds = seconds.unwrap_or_default().to_owned();
        let links_openssl = self.expected["links-openssl"] == true;
        let links = libraries.iter().any(|part| part.starts_with("OpenSSL "));
        if way == "docker-build" && links != links_openssl {
            return Err(format!("reports that it links {}", libraries.join(", ")));
        }
        Ok([grouped(bytes), seconds, libraries.join(", ")])
    }

    fn check_answer(&self, invoked: &Run) -> Result<(), String> {
        let answer: Value = serde_json::from_str(&invoked.stdout).map_err(|_| reason("no response", invoked))?;
        let (expected, found) = match self.expected.get("error") {
            Some(error) => (error, &answer["errorType"]),
            None => (&self.expected["answer"], &answer),
        };
        match expected == found {
            true => Ok(()),
            false => Err(format!("returned {answer}; expected {expected}")),
        }
    }
}

/// The reason for a failure in one line. Prints the complete output on stderr.
fn reason(what: &str, run: &Run) -> String {
    eprintln!("{}{}", run.stdout, run.stderr);
    let mut lines = run.stderr.lines();
    let error = lines.find(|line| line.starts_with("error") && !line.contains("make"));
    let error = error.unwrap_or_default().replace('|', "\\|");
    format!("{what}: {error}")
}

/// A number with thousands separators.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let parts = digits.as_bytes().rchunks(3).rev();
    let parts: Vec<&str> = parts.map(|part| str::from_utf8(part).unwrap()).collect();
    parts.join(",")
}

/// The rows of docs/crates.md by their first cell.
fn rows() -> BTreeMap<String, [String; 7]> {
    let text = fs::read_to_string(root().join(TABLE)).unwrap_or_default();
    let rows = text.lines().skip_while(|line| !line.starts_with("| ---"));
    let rows = rows.skip(1).filter_map(|row| {
        let cells = row.trim_matches('|').split(" | ");
        let cells: Vec<String> = cells.map(|cell| cell.trim().to_owned()).collect();
        <[String; 7]>::try_from(cells).ok()
    });
    rows.map(|cells| (cells[0].clone(), cells)).collect()
}

/// Writes the bytes of a zip, the seconds of its build and its libraries, or a reason, to docs/crates.md. Replaces the results of other
/// versions.
fn record(function: &Function, way: usize, [bytes, seconds, libraries]: [String; 3]) {
    let Function { crates, versions, .. } = function;
    let mut rows = rows();
    let row = rows.entry(crates.clone()).or_default();
    if row[1] != *versions {
        *row = Default::default();
        row[..2].clone_from_slice(&[crates.clone(), versions.clone()]);
    }
    let number = |text: &str| text.parse::<u64>().unwrap_or_default();
    let cells = &mut row[2 + 2 * way..][..2];
    cells[0] = bytes;
    // A repeated build is faster, because most of it is already compiled.
    if seconds.is_empty() || number(&seconds) >= number(&cells[1]) {
        cells[1] = seconds;
    }
    if WAYS[way] == "docker-build" {
        row[6] = libraries;
    }
    let rows = rows.values();
    let rows = rows.map(|cells| format!("| {} |\n", cells.join(" | ")));
    let text: String = iter::once(HEAD.to_owned()).chain(rows).collect();
    fs::create_dir_all(root().join(TABLE).parent().unwrap()).unwrap();
    fs::write(root().join(TABLE), text).unwrap();
}
