//! Runs a package under the emulator in a container image, such as one of AWS's base images.

use std::time::{Duration, Instant};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, thread};

use anyhow::{Context, Result};

use super::{Answer, START, post, unpack};
use crate::command::{clean_up, collect};
use crate::engine::{Engine, check_emulation, check_image};
use crate::{arch::Arch, cache::Cache, files::At, interrupt, verify};

/// A container that is removed when the value is dropped.
struct Container<'a>(&'a Engine, String);

impl Drop for Container<'_> {
    fn drop(&mut self) {
        clean_up(&mut self.0.command(["rm", "--force", "--volumes", &self.1]));
    }
}

/// Runs the function of a package in the image, and sends it the event. The function's log goes to stderr.
pub fn invoke(zip: &Path, event: &[u8], image: &str, arch: Arch, cache: &Cache) -> Result<Answer> {
    check_image("--image", image)?;
    check_emulation(arch)?;
    let engine = Engine::find()?;
    verify::verify(zip, Some(arch), &[])?;
    let work = cache.temporary("invoke")?;
    let (task, bootstrap) = (work.path().join("task"), work.path().join("task/bootstrap"));
    let binary = unpack(zip, &task)?;
    // The container runs as a different user.
    for path in [work.path(), &task, &bootstrap, &binary] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).at(path)?;
    }
    // The image starts /var/runtime/bootstrap; the rest of the package is in /var/task.
    let task = format!("--volume={}:/var/task:ro", task.display());
    let bootstrap = format!("--volume={}:/var/runtime/bootstrap:ro", bootstrap.display());
    let platform = format!("--platform={}", arch.platform());
    let created =
        engine.output(["create", &platform, "--publish=127.0.0.1::8080", &task, &bootstrap, image, "function"])?;
    let container = Container(&engine, created.lines().last().unwrap_or_default().to_owned());
    let id = &*container.1;
    let started = engine.output(["start", id]).and_then(|_| engine.output(["port", id, "8080/tcp"]));
    let address = started.ok().and_then(|ports| ports.lines().next()?.parse().ok()).with_context(|| {
        format!(
            "--image {image}: no emulator is listening; expected an image with AWS's emulator, such as \
             public.ecr.aws/lambda/provided:al2023"
        )
    })?;
    // The event is sent on a separate thread, so that a signal is handled during the wait. It is sent again after an
    // error, because the engine's proxy may accept a connection and close it before the emulator listens.
    let (event, patience) = (event.to_vec(), Instant::now() + START);
    let answer = interrupt::compute(move || {
        let mut answer = post(address, &event);
        while answer.is_err() && Instant::now() < patience && interrupt::check().is_ok() {
            thread::sleep(Duration::from_millis(100));
            answer = post(address, &event);
        }
        answer
    })?;
    interrupt::check()?;
    let logs = collect(&mut engine.command(["logs", id]))?;
    eprint!("{}", String::from_utf8_lossy(&[logs.stdout, logs.stderr].concat()));
    answer
}
