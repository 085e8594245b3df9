//! `make invoke IMAGE=`, in an image of the form that AWS's own have.

use std::fs;

use crate::{
    base, emulator, engine_call,
    machine::{Run, arch, make, skip},
};

/// An image that goes with the test.
struct Image(&'static str);

impl Image {
    /// What AWS's images for runtimes are, on `base`: the emulator, and an entry point that starts the function under it.
    fn like_awss(name: &'static str, base: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        emulator(folder.path());
        fs::write(
            folder.path().join("entrypoint"),
            "#!/bin/sh\nexport _HANDLER=\"$1\"\nexec /rie /var/runtime/bootstrap\n",
        )
        .unwrap();
        let dockerfile = format!(
            "FROM {}\nCOPY rie entrypoint /\nENV LAMBDA_TASK_ROOT=/var/task\nWORKDIR /var/task\n\
             ENTRYPOINT [\"/bin/sh\", \"/entrypoint\"]\nEXPOSE 8080\n",
            base.trim_start_matches("BASE=")
        );
        fs::write(folder.path().join("Dockerfile"), dockerfile).unwrap();
        engine_call(&["build", "--tag", name, &folder.path().to_string_lossy()]).succeeded();
        Self(name)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        engine_call(&["image", "rm", "--force", self.0]);
    }
}

/// The example, for this machine, sent `event` in `image`.
fn invoke(image: &str, event: &str) -> Run {
    let arch = format!("ARCH={}", arch());
    let build = ["CRATE=examples/greeting", "OUT=dist/image", &arch];
    make(&build).succeeded();
    let (image, event) = (format!("IMAGE={image}"), format!("EVENT={event}"));
    make(&["invoke", "OUT=dist/image", &arch, &image, &event])
}

#[test]
#[ignore = "through make"]
fn a_zip_answers_in_an_image_like_awss() {
    let base = match base() {
        Ok(base) => base,
        Err(why) => return skip("make invoke IMAGE=", why),
    };
    let image = Image::like_awss("lambda-musl-like-aws:test", base);
    let run = invoke(image.0, r#"{"name":"Ada"}"#).succeeded();
    assert!(run.stdout.contains("Hello, Ada!"), "{}", run.stdout);
    assert_eq!(run.stdout.lines().count(), 1, "the answer alone");
    assert!(run.stderr.contains("REPORT RequestId"), "{}", run.stderr);

    let run = invoke(image.0, "{}").failed_with(&["the function reported an error"]);
    assert!(run.stdout.contains("\"errorType\""), "{}", run.stdout);
    let left = engine_call(&[
        "ps",
        "--all",
        "--quiet",
        "--filter",
        "ancestor=lambda-musl-like-aws:test",
    ]);
    assert_eq!(left.succeeded().stdout, "", "no container is left");
}

#[test]
#[ignore = "through make"]
fn an_image_without_an_emulator_is_named() {
    let base = match base() {
        Ok(base) => base.trim_start_matches("BASE="),
        Err(why) => return skip("an image without an emulator", why),
    };
    invoke(base, "{}").failed_with(&[&format!("IMAGE={base}"), "provided:al2023"]);
}
