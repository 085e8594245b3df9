//! Crates with the settings and dependencies that users have, built with zig.

use std::{env, fs, path::Path};

use crate::{
    GREETING,
    kinds::{KINDS, expected, invoked, run_in_a_hostile_shell},
    machine::{Run, build_crate, cargo_lambda_musl, command, make, names, root, run, write_crate, write_program},
    touch_greeting,
};

const OUT: &str = "target/kinds";

fn kinds(more: &[&str]) -> Run {
    let out = format!("OUT={OUT}");
    make(&[&KINDS[..], &[&*out], more].concat())
}

/// The manifest of a function whose dependencies compile quickly.
fn manifest(more: &str) -> String {
    let root = root().display();
    format!(
        "[workspace]\n[package]\nname = \"fn\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{more}\n\
         [dependencies]\nlambda-musl = {{ path = \"{root}\" }}\nserde_json = \"1\"\n"
    )
}

const ECHO: &str = "fn main() -> Result<(), lambda_musl::Error> {
    lambda_musl::run(async |event: serde_json::Value, _: lambda_musl::Context| Ok::<_, String>(event))
}";

fn build(krate: &Path, more: &[&str]) -> Run {
    build_crate(krate, &krate.join("dist"), more)
}

#[test]
#[ignore = "run by make test"]
fn profile_config_dependency_c_and_cpp_of_a_crate_are_in_the_function_and_verify_accepts_it() {
    let built = kinds(&[]).succeeded();
    for key in ["build.rustc-wrapper", "linker"] {
        let note = format!("{key} is ignored, because the build uses its own");
        assert!(built.stderr.contains(&note), "{}", built.stderr);
    }
    let (compiler, answer) = invoked(&root().join(OUT));
    assert!(compiler.contains("ziglang"), "{compiler}");
    assert_eq!(answer, expected());
    let verified = make(&["verify", &format!("OUT={OUT}")]).succeeded();
    assert!(verified.stdout.contains("zig's clang"), "{}", verified.stdout);
}

#[test]
#[ignore = "run by make test"]
fn environment_variables_of_a_hostile_shell_do_not_change_the_zip() {
    let own = kinds(&[]).succeeded().checksum();
    let mut build = command("make", root());
    let target = tempfile::tempdir().unwrap();
    build.args(KINDS).arg("OUT=target/hostile").env("CARGO_TARGET_DIR", target.path());
    assert_eq!(run_in_a_hostile_shell(build).checksum(), own);
}

#[test]
#[ignore = "run by make test"]
fn a_zig_that_was_installed_with_pip_is_not_used() {
    let own = make(&GREETING).succeeded().checksum();
    let programs = tempfile::tempdir().unwrap();
    let python = "[ \"$*\" = '-m ziglang version' ] && echo 0.15.2";
    write_program(&programs.path().join("python3"), python);
    let path = env::var("PATH").unwrap();
    touch_greeting();
    let mut make = command("make", root());
    make.args(GREETING).env("PATH", format!("{}:{path}", programs.path().display()));
    assert_eq!(run(make).succeeded().checksum(), own);
}

#[test]
#[ignore = "run by make test"]
fn a_variable_in_pass_env_reaches_the_build() {
    let directory = tempfile::tempdir().unwrap();
    let main = ECHO.replace(
        "Ok::<_, String>(event)",
        "Ok::<_, String>(vec![Some(event), option_env!(\"STAGE\").map(Into::into)])",
    );
    write_crate(directory.path(), &manifest(""), &main);
    let mut make = command("make", root());
    make.arg(format!("CRATE={}", directory.path().display())).arg("PASS_ENV=STAGE").env("STAGE", "test");
    make.arg(format!("OUT={}/dist", directory.path().display()));
    run(make).succeeded();
    let answer = self::invoke(directory.path());
    assert_eq!(answer, "[1,\"test\"]\n");
}

fn invoke(krate: &Path) -> String {
    make(&["invoke", &format!("OUT={}", krate.join("dist").display()), "EVENT=1"]).succeeded().stdout
}

#[test]
#[ignore = "run by make test"]
fn a_second_function_does_not_compile_shared_dependencies_again() {
    let directory = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| directory.path().join(name));
    write_crate(&a, &manifest(""), ECHO);
    // A package of the same name, whose sources are older than the compiled files of the first package.
    write_crate(&b, &manifest(""), &ECHO.replace("(event)", "(vec![event])"));
    build(&a, &[]).succeeded();
    let second = build(&b, &["VERBOSE=1"]).succeeded();
    assert!(!second.stderr.contains("Compiling serde"), "{}", second.stderr);
    assert_eq!([invoke(&a), invoke(&b)], ["1\n", "[1]\n"]);
}

#[test]
#[ignore = "run by make test"]
fn a_crate_outside_the_clone_is_built_in_place_and_its_paths_are_relative() {
    let directory = tempfile::tempdir().unwrap();
    let krate = directory.path().join("my function");
    write_crate(&krate, &manifest(""), &ECHO.replace("(event)", "(event.as_u64().unwrap())"));
    let out = directory.path().join("my dist");
    build_crate(&krate, &out, &[]).succeeded();
    assert_eq!(names(&krate), ["Cargo.lock", "Cargo.toml", "src"]);
    make(&["invoke", &format!("OUT={}", out.display()), "EVENT=-1"]).failed_with(&[" at src/main.rs:2:"]);
}

#[test]
#[ignore = "run by make test"]
fn a_crate_with_two_binaries_is_rejected_without_bin_and_accepted_with_bins() {
    make(&["CRATE=tests/crates/kinds", "OUT=target/bins"]).failed_with(&["api, worker", "--bin", "--bins"]);
    make(&["CRATE=tests/crates/kinds", "OUT=target/bins", "BINS=1"]).succeeded();
    for name in ["api", "worker"] {
        assert!(root().join("target/bins").join(name).join("function.zip").exists(), "{name}");
    }
}

#[test]
#[ignore = "run by make test"]
fn a_single_file_layout_and_an_extension_build_and_verify() {
    let directory = tempfile::tempdir().unwrap();
    write_crate(directory.path(), &manifest(""), ECHO);
    build(directory.path(), &["LAYOUT=single"]).succeeded();
    assert_eq!(invoke(directory.path()), "1\n");
    let verify = |zip: &str| make(&["verify", &format!("ZIP={}/dist/{zip}", directory.path().display())]).succeeded();
    assert!(!verify("function.zip").stdout.contains("  binary\n"));
    build(directory.path(), &["EXTENSION=1"]).succeeded();
    assert!(verify("extension.zip").stdout.contains("  extensions/fn\n"));
    assert!(!directory.path().join("dist/function.zip").exists());
    let out = format!("OUT={}/dist", directory.path().display());
    make(&["invoke", &out, "EVENT=1"]).failed_with(&["it is an extension"]);
}

#[test]
#[ignore = "run by make test"]
fn a_cargo_setting_that_a_function_cannot_have_is_reported_with_its_file() {
    let directory = tempfile::tempdir().unwrap();
    write_crate(directory.path(), &manifest(""), ECHO);
    fs::create_dir(directory.path().join(".cargo")).unwrap();
    let file = directory.path().join(".cargo/config.toml");
    for (text, expected) in [
        ("[build]\ntarget = \"x86_64-unknown-linux-gnu\"", "build.target is x86_64-unknown-linux-gnu"),
        ("[build]\nrustflags = [\"-Ctarget-cpu=native\"]", "depend on the machine"),
    ] {
        fs::write(&file, text).unwrap();
        build(directory.path(), &[]).failed_with(&[&file.display().to_string(), expected]);
    }
}

#[test]
#[ignore = "run by make test"]
fn a_build_script_that_uses_libraries_or_the_processor_of_this_machine_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = "[workspace]\n[package]\nname = \"fn\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                    [build-dependencies]\ncc = \"1\"\n";
    write_crate(directory.path(), manifest, "fn main() {}");
    fs::write(directory.path().join("a.c"), "int a;").unwrap();
    for (script, expected) in [
        (
            "println!(\"cargo:rustc-link-arg=/usr/lib/x86_64-linux-gnu/libanl.a\")",
            "fn links /usr/lib/x86_64-linux-gnu/libanl.a, which is for a different libc",
        ),
        ("cc::Build::new().file(\"a.c\").flag(\"-march=native\").compile(\"a\")", "fn compiles C with -march=native"),
    ] {
        let script = format!("fn main() {{ {script} }}");
        fs::write(directory.path().join("build.rs"), script).unwrap();
        build(directory.path(), &[]).failed_with(&[expected]);
    }
}

#[test]
#[ignore = "run by make test"]
fn an_included_file_must_not_replace_the_bootstrap() {
    let directory = tempfile::tempdir().unwrap();
    write_crate(directory.path(), &manifest(""), ECHO);
    fs::write(directory.path().join("bootstrap"), "").unwrap();
    build(directory.path(), &["INCLUDE=bootstrap"]).failed_with(&["bootstrap would replace"]);
}

#[test]
#[ignore = "run by make test"]
fn a_setting_in_cargos_home_does_not_reach_the_function() {
    let directory = tempfile::tempdir().unwrap();
    let project = directory.path().join("project");
    let main = ECHO.replace("Ok::<_, String>(event)", "Ok::<_, String>((event, option_env!(\"STAGE\")))");
    write_crate(&project, &manifest(""), &main);
    let home = directory.path().join("cargo-home");
    fs::create_dir(&home).unwrap();
    let usual = std::env::var_os("CARGO_HOME").map_or_else(|| std::env::home_dir().unwrap().join(".cargo"), Into::into);
    let usual = fs::read_to_string(usual.join("config.toml")).unwrap_or_default();
    fs::write(home.join("config.toml"), format!("{usual}\n[env]\nSTAGE = \"of this machine\"\n")).unwrap();
    let mut build = cargo_lambda_musl(&project);
    build.args(["build", "--pass-env", "NONE"]).env("CARGO_HOME", &home);
    run(build).succeeded().reported(&["these settings of cargo in", "are ignored", "env.STAGE"]);
    assert_eq!(invoke(&project), "[1,null]\n");
}
