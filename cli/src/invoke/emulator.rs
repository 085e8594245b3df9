//! Runs a package under the Runtime Interface Emulator on this machine.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::{fd::AsFd, unix::fs::PermissionsExt};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io, path::Path, thread};

use anyhow::{Context, Result, bail};

use super::{Answer, START, post, unpack};
use crate::command::{find, quoted};
use crate::interrupt::{self, Running};
use crate::{arch::Arch, cache::Cache, files::At, verify::elf, wheels};

/// The number of attempts, each with different ports, because another program may take a free port first.
const ATTEMPTS: u32 = 5;

/// Sends the event to the function in a package. The log goes to stderr.
pub fn invoke(zip: &Path, event: &[u8], cache: &Cache) -> Result<Answer> {
    let work = cache.temporary("invoke")?;
    let task = work.path().join("task");
    emulate_architecture(&unpack(zip, &task)?)?;
    let emulator = Emulator::start(&wheels::emulator(cache)?, &task)?;
    let answer = post(emulator.address, event);
    // After a signal, the response is not valid.
    interrupt::check()?;
    answer
}

/// Wraps a binary for the other architecture in a script that runs it with qemu-user.
fn emulate_architecture(binary: &Path) -> Result<()> {
    let bytes = fs::read(binary).at(binary)?;
    let arch = elf::architecture(&bytes).ok();
    let arch = arch.context("the binary in the package is not an ELF file for x86_64 or arm64")?;
    if Arch::of_this_machine() == Some(arch) {
        return Ok(());
    }
    let qemu = format!("qemu-{}", arch.machine());
    let (name, own) = (arch.name(), env::consts::ARCH);
    let found = find(&qemu).or_else(|| find(&format!("{qemu}-static"))).with_context(|| {
        format!(
            "the package is for {name} and this machine is {own}: install {qemu} (Debian, Ubuntu and Fedora: the \
             qemu-user-static package)"
        )
    })?;
    let native = binary.with_extension("native");
    let [found, shown] = [&found, &native].map(|path| quoted(&path.to_string_lossy()));
    let script = format!("#!/bin/sh\nexec {found} {shown} \"$@\"\n");
    fs::rename(binary, &native).at(binary)?;
    fs::write(binary, script).at(binary)?;
    fs::set_permissions(binary, fs::Permissions::from_mode(0o755)).at(binary)
}

/// The emulator that runs the function.
struct Emulator {
    program: Running,
    address: SocketAddr,
}

impl Emulator {
    /// Starts the emulator on free ports.
    fn start(emulator: &Path, task: &Path) -> Result<Self> {
        let mut ended = format!("it did not listen within {START:?}");
        for _ in 0..ATTEMPTS {
            let [address, runtime_api] = free_ports().context("finding a free port")?;
            let stderr = || io::stderr().as_fd().try_clone_to_owned().map_or(Stdio::null(), Stdio::from);
            let mut command = Command::new(emulator);
            command.args(["--log-level", "error"]);
            command.args(["--runtime-interface-emulator-address", &address.to_string()]);
            command.args(["--runtime-api-address", &runtime_api.to_string()]);
            command.arg(task.join("bootstrap")).current_dir(task).env("LAMBDA_TASK_ROOT", task);
            command.stdin(Stdio::null()).stdout(stderr()).stderr(stderr());
            let mut running = Self { program: Running::start(&mut command)?, address };
            let patience = Instant::now() + START;
            while Instant::now() < patience {
                if let Some(status) = running.program.try_wait()? {
                    ended = status.to_string();
                    break;
                }
                if TcpStream::connect(address).is_ok() {
                    return Ok(running);
                }
                interrupt::check()?;
                thread::sleep(Duration::from_millis(5));
            }
        }
        bail!("the emulator did not start: {ended}")
    }
}

impl Drop for Emulator {
    /// Lets the emulator stop the function as well. If the emulator were killed, the function would keep running.
    fn drop(&mut self) {
        self.program.ask_to_end();
        let patience = Instant::now() + Duration::from_secs(5);
        while Instant::now() < patience && matches!(self.program.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn free_ports() -> io::Result<[SocketAddr; 2]> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let second = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok([first.local_addr()?, second.local_addr()?])
}
