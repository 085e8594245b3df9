//! `make invoke IMAGE=`, with an image that works like AWS's images.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use crate::{
    Image, base, emulator, engine_call,
    machine::{Run, arch, command, kill, make, root, run, wait_until},
};

impl Image {
    /// Builds an image with AWS's emulator as `/rie` and the `entrypoint` script as its entry point.
    fn new(name: &str, base: &str, entrypoint: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        emulator(directory.path());
        fs::write(directory.path().join("entrypoint"), entrypoint).unwrap();
        let dockerfile = format!(
            "FROM {base}\nCOPY rie entrypoint /\nENV LAMBDA_TASK_ROOT=/var/task\nWORKDIR /var/task\n\
             ENTRYPOINT [\"/bin/sh\", \"/entrypoint\"]\nEXPOSE 8080\nVOLUME /data\n"
        );
        fs::write(directory.path().join("Dockerfile"), dockerfile).unwrap();
        engine_call(&["build", "--tag", name, &directory.path().to_string_lossy()]).succeeded();
        Self(name.to_owned())
    }

    /// The containers of this image, running or not.
    fn containers(&self) -> String {
        let ancestor = format!("ancestor={}", self.0);
        let list = engine_call(&["ps", "--all", "--quiet", "--filter", &ancestor]);
        list.succeeded().stdout
    }
}

fn volumes() -> String {
    engine_call(&["volume", "ls", "--quiet"]).succeeded().stdout
}

/// Builds the example for this machine. Returns the command that invokes it with `event` in `image`.
fn make_invoke(image: &str, event: &str) -> Command {
    let arch = format!("ARCH={}", arch());
    make(&["CRATE=examples/greeting", "OUT=dist/image", &arch]).succeeded();
    let mut make = command("make", root());
    make.args(["invoke", "OUT=dist/image", &arch]);
    make.args([format!("IMAGE={image}"), format!("EVENT={event}")]);
    make
}

fn invoke(image: &str, event: &str) -> Run {
    run(make_invoke(image, event))
}

#[test]
#[ignore = "run by make test"]
fn a_zip_runs_in_an_image_like_those_of_aws() {
    let Some(base) = base("make invoke IMAGE=") else { return };
    // As in AWS's images, the entry point starts the function under the emulator.
    let entrypoint = "export _HANDLER=\"$1\"\nexec /rie /var/runtime/bootstrap\n";
    let image = Image::new("lambda-musl-like-aws:test", base, entrypoint);
    let before = volumes();
    let run = invoke(&image.0, r#"{"name":"Ada"}"#).succeeded();
    assert!(run.stdout.contains("Hello, Ada!"), "{}", run.stdout);
    assert_eq!(run.stdout.lines().count(), 1, "stdout contains more than the response");
    assert!(run.stderr.contains("REPORT RequestId"), "{}", run.stderr);

    let run = invoke(&image.0, "{}").failed_with(&["the function reported an error"]);
    assert!(run.stdout.contains("\"errorType\""), "{}", run.stdout);
    assert_eq!(image.containers(), "", "a container is left");
    assert_eq!(volumes(), before, "a volume is left");
}

#[test]
#[ignore = "run by make test"]
fn an_image_without_an_emulator_is_rejected() {
    let Some(base) = base("an image without an emulator") else { return };
    invoke(base, "{}").failed_with(&[&format!("--image {base}"), "provided:al2023"]);
}

#[test]
#[ignore = "run by make test"]
fn a_signal_to_only_make_ends_a_hanging_invocation_in_an_image() {
    let Some(base) = base("a hanging invocation in an image") else { return };
    let listens = "exec perl -MIO::Socket::INET -e 'my $all = IO::Socket::INET->new(
        LocalPort => 8080, Listen => 9); while (push @kept, $all->accept) {}'";
    let image = Image::new("lambda-musl-hangs:test", base, listens);
    let mut make = make_invoke(&image.0, "{}");
    make.stdout(Stdio::null()).stderr(Stdio::null());
    let mut make = make.spawn().unwrap();
    let patience = Duration::from_secs(20);
    let began = wait_until(|| !image.containers().is_empty(), patience);
    assert!(began, "the container never started");
    thread::sleep(Duration::from_secs(2));
    kill("TERM", make.id());
    make.wait().unwrap();
    wait_until(|| image.containers().is_empty(), patience);
    assert_eq!(image.containers(), "", "a container is left");
}
