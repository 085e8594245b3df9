//! Reactions to saved files: sources, events and variables.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    machine::{command, kill, names, root, run, wait_until, write_crate},
    server::{Dev, PATIENCE, SUBJECT, cargo, edit, example, new_directory, project},
};

/// The `main.rs` of a function that responds with a text.
fn answering(text: &str) -> String {
    format!(
        "fn main() -> Result<(), lambda_musl::Error> {{
            lambda_musl::run(async |_: serde_json::Value, _: lambda_musl::Context| Ok::<_, String>({text:?}))
        }}"
    )
}

#[test]
#[ignore = "run by make test"]
fn a_saved_handler_responds_within_5_s_and_one_with_axum_within_10_s() {
    let directory = new_directory();
    let greeting = example(directory.path(), "greeting");
    let dev = Dev::start(&greeting, &[]);
    let event = json!({"name": "Ada"});
    assert_eq!(dev.invoke("greeting", &event)["message"], "Hello, Ada!");
    let mut before = "Hello";
    for salutation in ["Good morning", "Good evening"] {
        edit(&greeting, &format!("{before}, {{}}!"), &format!("{salutation}, {{}}!"));
        before = salutation;
        let saved = Instant::now();
        assert_eq!(dev.invoke("greeting", &event)["message"], format!("{salutation}, Ada!"));
        eprintln!("greeting: {:.2} s from save to response", saved.elapsed().as_secs_f64());
        assert!(saved.elapsed() < Duration::from_secs(5));
    }
    drop(dev);
    let router = example(directory.path(), "router");
    let dev = Dev::start(&router, &[]);
    assert_eq!(dev.get("orders/7").status(), 404);
    edit(&router, "StatusCode::NOT_FOUND", "StatusCode::GONE");
    let saved = Instant::now();
    assert_eq!(dev.get("orders/7").status(), 410);
    eprintln!("router: {:.2} s from save to response", saved.elapsed().as_secs_f64());
    assert!(saved.elapsed() < Duration::from_secs(10));
}

#[test]
#[ignore = "run by make test"]
fn compiler_errors_are_shown_and_the_last_working_function_responds_until_they_are_fixed() {
    let directory = new_directory();
    let project = project(directory.path(), "broken", &answering("one"));
    let dev = Dev::start(&project, &[]);
    assert_eq!(dev.invoke("broken", &json!({})), "one");
    edit(&project, "\"one\"", "two");
    assert_eq!(dev.invoke("broken", &json!({})), "one");
    let build = dev.wait_for("build", |build| build["ok"] == false);
    assert!(build["message"].as_str().unwrap().contains("error[E0425]"), "{build}");
    assert!(dev.stderr().contains("error[E0425]: cannot find value `two`"), "{}", dev.stderr());
    // A missing module does not yet have a file that could be watched.
    edit(&project, "two", "text::TEXT");
    fs::write(
        project.join("src/main.rs"),
        format!("mod text;\n{}", fs::read_to_string(project.join("src/main.rs")).unwrap()),
    )
    .unwrap();
    assert_eq!(dev.invoke("broken", &json!({})), "one");
    fs::create_dir(project.join("src/text")).unwrap();
    fs::write(project.join("src/text/mod.rs"), "pub const TEXT: &str = \"two\";").unwrap();
    // No build has listed this file yet, so only a new build can detect that it was saved.
    let is_well = || dev.of_type("build").last().unwrap()["ok"] == true;
    assert!(wait_until(is_well, PATIENCE), "{:?}", dev.records());
    assert_eq!(dev.invoke("broken", &json!({})), "two");
}

#[test]
#[ignore = "run by make test"]
fn a_function_that_never_compiled_responds_with_the_compilers_message() {
    let directory = new_directory();
    let project = project(directory.path(), "never", "fn main() { nothing }");
    // Cargo creates the missing lock file.
    fs::remove_file(project.join("Cargo.lock")).unwrap();
    let dev = Dev::start(&project, &[]);
    let answer = dev.get("");
    let body = answer.text().unwrap();
    assert!(answer.status() == 503 && body.contains("error[E0425]: cannot find value `nothing`"), "{body}");
    let error = run(cargo(&project, &["invoke", "--dev", "--event", "1"]));
    error.failed_with(&["never does not compile", "cannot find value `nothing`"]);
    fs::write(project.join("src/main.rs"), answering("one")).unwrap();
    let invoked = run(cargo(&project, &["invoke", "--dev", "--event", "1"])).succeeded();
    assert_eq!(invoked.stdout, "\"one\"\n");
}

#[test]
#[ignore = "run by make test"]
fn path_dependencies_and_new_ones_are_watched_and_other_files_start_no_build() {
    let directory = new_directory();
    let project = project(directory.path(), "depends", &answering("one"));
    let text = "pub const TEXT: &str = \"two\";";
    write_crate(&directory.path().join("words"), "[package]\nname = 'words'\nedition = '2024'\n", "");
    fs::write(directory.path().join("words/src/lib.rs"), text).unwrap();
    let dev = Dev::start(&project, &[]);
    assert_eq!(dev.invoke("depends", &json!({})), "one");
    edit(&project, "\"one\"", "words::TEXT");
    let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap();
    let manifest = manifest.replace("[dependencies]", "[dependencies]\nwords = { path = '../words' }");
    fs::write(project.join("Cargo.toml"), manifest).unwrap();
    dev.wait_for("build", |build| build["ok"] == true && dev.of_type("build").len() > 1);
    assert_eq!(dev.invoke("depends", &json!({})), "two");
    // Save the file as editors do: they write a new file and rename it over the old one.
    let aside = directory.path().join("words/src/.lib.rs.swp");
    fs::write(&aside, text.replace("two", "three")).unwrap();
    fs::rename(aside, directory.path().join("words/src/lib.rs")).unwrap();
    assert_eq!(dev.invoke("depends", &json!({})), "three");
    let builds = dev.of_type("build").len();
    for name in ["README.md", "src/.main.rs.swp", "src/main.rs~"] {
        fs::write(project.join(name), name).unwrap();
    }
    thread::sleep(Duration::from_millis(300));
    assert_eq!(dev.invoke("depends", &json!({})), "three");
    assert_eq!(dev.of_type("build").len(), builds);
}

#[test]
#[ignore = "run by make test"]
fn a_build_that_writes_a_source_file_does_not_loop() {
    let directory = new_directory();
    let project = project(directory.path(), "generates", &answering("one"));
    fs::write(project.join("build.rs"), "fn main() { std::fs::write(\"src/words.txt\", \"one\").unwrap() }").unwrap();
    let dev = Dev::start(&project, &[]);
    assert_eq!(dev.invoke("generates", &json!({})), "one");
    edit(&project, "\"one\"", "\"two\"");
    assert_eq!(dev.invoke("generates", &json!({})), "two");
    // A file that is read during a write counts as changed and causes another build, but the builds must end.
    let builds = || dev.of_type("build").len();
    let has_ended = || {
        let before = builds();
        thread::sleep(Duration::from_secs(1));
        builds() == before
    };
    assert!(wait_until(has_ended, Duration::from_secs(20)), "{builds}", builds = builds());
}

#[test]
#[ignore = "run by make test"]
fn an_event_file_is_sent_when_it_is_saved_and_may_be_deleted() {
    let directory = new_directory();
    let project = project(directory.path(), "files", SUBJECT);
    let named = directory.path().join("my event.json");
    fs::create_dir(project.join("events")).unwrap();
    fs::write(project.join("events/old.json"), "{}").unwrap();
    let dev = Dev::start(&project, &["--watch-event", named.to_str().unwrap()]);
    dev.wait_for("build", |_| true);
    for (file, text) in [(project.join("events/new.json"), "a directory"), (named, "an option")] {
        let answers = || {
            let answers = dev.of_type("answer").into_iter();
            answers.filter(|answer| answer["answer"]["event"]["text"] == text).count()
        };
        for saved in 1..=2 {
            fs::write(&file, json!({"text": text}).to_string()).unwrap();
            assert!(wait_until(|| answers() == saved, PATIENCE), "{:?}", dev.records());
        }
        fs::remove_file(&file).unwrap();
        fs::write(&file, "{").unwrap();
        let note = dev.wait_for("note", |note| note["message"].as_str().unwrap().contains(file.to_str().unwrap()));
        assert!(note["message"].as_str().unwrap().contains("is not JSON"), "{note}");
    }
    assert_eq!(dev.of_type("event").len(), 4, "an event was sent without a save");
}

#[test]
#[ignore = "run by make test"]
fn a_function_has_the_variables_of_lambda_the_shell_and_its_env_file() {
    let directory = new_directory();
    let project = project(directory.path(), "variables", SUBJECT);
    let metadata = "[package.metadata.lambda-musl.deploy]\ntimeout = 7\nmemory = 512\n";
    let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap() + metadata;
    fs::write(project.join("Cargo.toml"), manifest).unwrap();
    let file = project.join(".env");
    fs::write(&file, "# comment\nTABLE='my table'\nAWS_REGION=eu-central-1\nAWS_LAMBDA_FUNCTION_NAME=no\n").unwrap();
    let mut command = cargo(&project, &["dev", "--port", "0"]);
    command.env("AWS_ACCESS_KEY_ID", "AKIA").env("BASE", "").env("MAKEFLAGS", "w");
    let dev = Dev::run(command);
    let variables = |dev: &Dev| dev.invoke("variables", &json!({}))["env"].clone();
    let seen = variables(&dev);
    for (name, value) in [
        ("TABLE", "my table"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("AWS_LAMBDA_FUNCTION_NAME", "variables"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/variables"),
        ("LAMBDA_TASK_ROOT", project.to_str().unwrap()),
    ] {
        assert_eq!(seen[name], value, "{name}: {seen}");
    }
    assert!(seen["AWS_LAMBDA_RUNTIME_API"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!((&seen["BASE"], &seen["MAKEFLAGS"]), (&Value::Null, &Value::Null));
    let timeout = dev.invoke("variables", &json!({"do": "sleep", "ms": 100_000}));
    assert!(timeout["errorMessage"].as_str().unwrap().ends_with("Task timed out after 7.00 seconds"), "{timeout}");
    fs::write(&file, "TABLE = another").unwrap();
    wait_until(|| variables(&dev)["TABLE"] == "another", Duration::from_secs(5));
    assert_eq!(variables(&dev)["TABLE"], "another");
    fs::write(&file, "TABLE").unwrap();
    dev.wait_for("note", |note| note["message"].as_str().unwrap().contains("expected lines like NAME=value"));
    assert_eq!(variables(&dev)["TABLE"], "another");
    drop(dev);
    let missing = run(cargo(&project, &["dev", "--env-file", "nowhere"]));
    missing.failed_with(&["--env-file: ", "nowhere"]);
}

#[test]
#[ignore = "run by make test"]
fn a_server_leaves_no_files_in_the_project_except_its_lock_file() {
    let directory = new_directory();
    let project = project(directory.path(), "tidy", &answering("one"));
    let mut dev = Dev::start(&project, &[]);
    assert_eq!(dev.invoke("tidy", &json!({})), "one");
    dev.end("INT");
    assert_eq!(names(&project), ["Cargo.lock", "Cargo.toml", "src"]);
    assert_eq!(names(&root().join("target/dev/lambda-musl-dev")), [""; 0]);
}

#[test]
#[ignore = "run by make test"]
fn a_server_survives_cargo_clean_and_refuses_events_while_it_cannot_build() {
    let directory = new_directory();
    let project = project(directory.path(), "cleaned", &answering("one"));
    let dev = Dev::start(&project, &[]);
    assert_eq!(dev.invoke("cleaned", &json!({})), "one");
    let own = root().join("target/dev/lambda-musl-dev").join(dev.port.to_string());
    fs::remove_dir_all(&own).unwrap();
    let is_back = || own.join("server.json").exists() && own.join("cleaned").exists();
    assert!(wait_until(is_back, PATIENCE), "{}", dev.stderr());
    let invoked = run(cargo(&project, &["invoke", "--dev", "--event", "1"])).succeeded();
    assert_eq!(invoked.stdout, "\"one\"\n");
    fs::remove_dir_all(&own).unwrap();
    fs::write(&own, "").unwrap();
    edit(&project, "\"one\"", "\"two\"");
    let refused = dev.invocation("cleaned", &json!({}));
    let text = refused.text().unwrap();
    assert!(
        refused.status() == 400
            && text.contains("cleaned could not be compiled: ")
            && text.contains(own.to_str().unwrap()),
        "{text}"
    );
    fs::remove_file(&own).unwrap();
    edit(&project, "\"two\"", "\"three\"");
    assert_eq!(dev.invoke("cleaned", &json!({})), "three");
    fs::rename(&project, directory.path().join("moved")).unwrap();
    dev.wait_for("note", |note| {
        let message = format!("the package's directory {} is missing", project.display());
        note["message"].as_str().unwrap().contains(&message)
    });
    fs::remove_dir_all(&own).unwrap();
    thread::sleep(Duration::from_secs(2));
    assert!(!project.exists() && !own.exists());
}

#[test]
#[ignore = "run by make test"]
fn a_saved_file_ends_a_running_build() {
    let directory = new_directory();
    let project = project(directory.path(), "endless", &answering("one"));
    let dev = Dev::start(&project, &[]);
    assert_eq!(dev.invoke("endless", &json!({})), "one");
    let began = project.join("began");
    let script = format!("fn main() {{ std::fs::write({began:?}, \"\").unwrap(); loop {{}} }}");
    fs::write(project.join(".gitignore"), "began").unwrap();
    // Twice, because the build that replaces a stopped one can be stopped as well.
    for _ in 0..2 {
        fs::write(project.join("build.rs"), format!("{script} // {:?}", Instant::now())).unwrap();
        assert!(wait_until(|| began.exists(), PATIENCE), "{}", dev.stderr());
        fs::remove_file(&began).unwrap();
    }
    fs::write(project.join("build.rs"), "fn main() {}").unwrap();
    edit(&project, "\"one\"", "\"two\"");
    assert_eq!(dev.invoke("endless", &json!({})), "two");
    assert_eq!(dev.of_type("note"), [] as [Value; 0]);
}

#[test]
#[ignore = "run by make test"]
fn special_files_in_a_package_block_nothing() {
    let directory = new_directory();
    let project = project(directory.path(), "special", SUBJECT);
    let make_pipe = |name: &str| {
        let pipe = project.join(name);
        let mut mkfifo = command("mkfifo", directory.path());
        mkfifo.arg(&pipe);
        run(mkfifo).succeeded();
        pipe
    };
    let pipe = make_pipe(".env");
    fs::create_dir(project.join("events")).unwrap();
    // The server waits for the variables. A signal ends it.
    let mut waiting = cargo(&project, &["dev", "--port", "0"]).spawn().unwrap();
    thread::sleep(Duration::from_secs(2));
    assert!(waiting.try_wait().unwrap().is_none(), "the pipe was not read");
    kill("TERM", waiting.id());
    assert_eq!(waiting.wait().unwrap().code(), Some(143));
    let writer = thread::spawn(move || fs::write(pipe, "TABLE=piped\n").unwrap());
    let dev = Dev::start(&project, &[]);
    writer.join().unwrap();
    let table = || dev.invoke("special", &json!({}))["env"]["TABLE"].clone();
    assert_eq!(table(), "piped");
    make_pipe("src/pipe");
    std::os::unix::fs::symlink("/dev/zero", project.join("events/zero.json")).unwrap();
    let note = dev.wait_for("note", |_| true);
    assert!(note.to_string().contains("zero.json: expected a regular file"), "{note}");
    fs::File::create(project.join("events/big.json")).unwrap().set_len(8 << 30).unwrap();
    dev.wait_for("note", |note| note.to_string().contains("big.json is longer than"));
    assert_eq!(table(), "piped");
}
