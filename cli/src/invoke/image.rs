//! The emulator in a container image, like those of AWS.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};

use super::{Answer, START, post, unpack};
use crate::{
    arch::Arch,
    cache::Cache,
    engine::{Engine, check_emulation, check_image},
    interrupt,
    verify,
};

/// Sends the event to the function in a package, which runs in the image. Its log goes to stderr.
pub fn invoke(zip: &Path, event: &[u8], image: &str, arch: Arch, cache: &Cache) -> Result<Answer> {
    check_image("--image", image)?;
    check_emulation(arch)?;
    let engine = Engine::find()?;
    verify::verify(zip, Some(arch), &[])?;
    let work = cache.temporary("invoke")?;
    let task = work.path().join("task");
    unpack(zip, &task)?;
    // The container has another user.
    for path in [work.path(), &task, &task.join("bootstrap"), &task.join("binary")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).with_context(|| path.display().to_string())?;
    }
    let container = Container::create(&engine, image, arch, &task)?;
    let describe = || format!("--image {image}: does not listen; expected an image with AWS's emulator, like public.ecr.aws/lambda/provided:al2023");
    let address = container.start().with_context(describe)?;
    let answer = thread::scope(|scope| {
        // Apart, so that a signal is not kept waiting for the answer.
        let posting = scope.spawn(|| post_patiently(&address, event));
        while !posting.is_finished() {
            if interrupt::signal().is_some() {
                // What it waits for ends.
                container.remove();
            }
            thread::sleep(Duration::from_millis(20));
        }
        posting.join().map_err(|_| anyhow!("posting the event"))?
    });
    interrupt::check()?;
    eprint!("{}", container.logs());
    answer
}

/// Before the emulator listens, what stands between may take a connection and close it.
fn post_patiently(address: &str, event: &[u8]) -> Result<Answer> {
    let address = address.parse().with_context(|| format!("the address {address} of the container"))?;
    let patience = Instant::now() + START;
    loop {
        match post(address, event) {
            Err(_) if Instant::now() < patience && interrupt::signal().is_none() => thread::sleep(Duration::from_millis(100)),
            answer => return answer,
        }
    }
}

/// A container that goes with this value.
struct Container<'a> {
    engine: &'a Engine,
    id: String,
}

impl<'a> Container<'a> {
    /// The image starts what lies in /var/runtime; the rest of a package is in /var/task.
    fn create(engine: &'a Engine, image: &str, arch: Arch, task: &Path) -> Result<Self> {
        let volumes = [
            format!("--volume={}:/var/task:ro", task.display()),
            format!("--volume={}:/var/runtime/bootstrap:ro", task.join("bootstrap").display()),
        ];
        let mut arguments = vec!["create", "--platform", arch.platform(), "--publish", "127.0.0.1::8080"];
        arguments.extend(volumes.iter().map(String::as_str));
        arguments.extend([image, "function"]);
        let printed = engine.output(arguments)?;
        let id = printed.lines().last().unwrap_or_default().to_owned();
        Ok(Self { engine, id })
    }

    /// Starts it, and says where it listens.
    fn start(&self) -> Result<String> {
        self.engine.output(["start", &self.id])?;
        let ports = self.engine.output(["port", &self.id, "8080/tcp"])?;
        match ports.lines().next() {
            Some(address) => Ok(address.to_owned()),
            None => bail!("its port is not published"),
        }
    }

    fn logs(&self) -> String {
        let logs = self.engine.command(["logs", &self.id]).output();
        logs.map(|logs| String::from_utf8_lossy(&[logs.stdout, logs.stderr].concat()).into_owned()).unwrap_or_default()
    }

    fn remove(&self) {
        let _ = self.engine.command(["rm", "--force", "--volumes", &self.id]).output();
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}
