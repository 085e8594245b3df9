//! Programs that come as Python wheels, pinned by hash in wheels/.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{cache::Cache, doctor, files::identity, project::closest, step};

/// zig, which is C compiler, linker and musl in one, and the cargo subcommand that drives it.
pub const ZIG: Wheel = Wheel { name: "zig", pins: include_str!("../wheels/zig.txt") };
/// AWS's Runtime Interface Emulator.
pub const EMULATOR: Wheel = Wheel { name: "emulator", pins: include_str!("../wheels/emulator.txt") };
/// For the tests and linters of the clone.
const OTHERS: [Wheel; 2] = [
    Wheel { name: "sbom", pins: include_str!("../wheels/sbom.txt") },
    Wheel { name: "workflows", pins: include_str!("../wheels/workflows.txt") },
];

/// Wheels that are installed together.
#[derive(Clone, Copy)]
pub struct Wheel {
    name: &'static str,
    /// As pip reads it: names, versions and hashes.
    pins: &'static str,
}

impl Wheel {
    /// The directory of what was installed.
    pub fn install(self, cache: &Cache) -> Result<PathBuf> {
        cache.entry(&self.entry(), |directory| {
            doctor::require(&[doctor::PYTHON, doctor::PIP])?;
            let pins = cache.temporary("wheels")?;
            let requirement = pins.path().join(format!("{}.txt", self.name));
            std::fs::write(&requirement, self.pins)?;
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--require-hashes", "--only-binary=:all:", "--no-deps", "--no-compile"]);
            pip.arg("--target").arg(directory).arg("--requirement").arg(requirement);
            // No caches of its own, and no settings of the user's that exclude --target.
            for (name, value) in [
                ("PIP_USER", "0"),
                ("PIP_REQUIRE_VIRTUALENV", "0"),
                ("PIP_NO_CACHE_DIR", "1"),
                ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
                ("PIP_ROOT_USER_ACTION", "ignore"),
            ] {
                pip.env(name, value);
            }
            step::run(cache, &format!("wheels of {}", self.name), &mut pip)
        })
    }

    /// Whether it was installed before.
    pub fn is_installed(self, cache: &Cache) -> bool {
        cache.root().join(self.entry()).is_dir()
    }

    fn entry(self) -> String {
        format!("wheels/{}-{}", self.name, identity([self.pins]))
    }

    /// The version that is pinned of one of them.
    pub fn version(self, package: &str) -> &'static str {
        let line = self.pins.lines().find_map(|line| line.strip_prefix(package)?.strip_prefix("=="));
        line.and_then(|line| line.split(' ').next()).unwrap_or_default()
    }

    /// Everything that decides what is installed.
    pub fn pins(self) -> &'static str {
        self.pins
    }
}

/// `wheel NAME`: installs wheels and prints their directory.
pub fn run(name: &str) -> Result<()> {
    let all = [&[ZIG, EMULATOR], &OTHERS[..]].concat();
    let names: Vec<&str> = all.iter().map(|wheel| wheel.name).collect();
    let Some(wheel) = all.iter().find(|wheel| wheel.name == name) else {
        bail!("wheel {name} is unknown{}; expected one of: {}", closest(name, &names), names.join(", "));
    };
    println!("{}", wheel.install(&Cache::open()?)?.display());
    Ok(())
}

/// The emulator for this machine.
pub fn emulator(cache: &Cache) -> Result<PathBuf> {
    let name = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "aws-lambda-rie-x86_64",
        ("linux", "aarch64") => "aws-lambda-rie-arm64",
        (os, arch) => bail!("AWS's emulator runs on Linux, x86_64 or arm64; this is {os}, {arch}"),
    };
    let wheel = EMULATOR.install(cache)?;
    Ok(wheel.join(Path::new("samcli/local/rapid")).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wheel_is_pinned_by_version_and_hash() {
        for wheel in [&[ZIG, EMULATOR], &OTHERS[..]].concat() {
            let pinned = wheel.pins.matches("==").count();
            assert!(pinned > 0 && wheel.pins.matches("--hash=sha256:").count() >= pinned, "{}", wheel.name);
        }
        assert!(ZIG.version("ziglang").starts_with("0."));
    }
}
