//! Programs that are distributed as Python wheels, pinned by hash in wheels/.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Result, bail};

use crate::{cache::Cache, doctor, files::identity, project::unknown, step};

/// Wheels that are installed together.
#[derive(Clone, Copy)]
pub struct Wheels {
    name: &'static str,
    /// Names, versions and hashes in pip's format.
    pub pins: &'static str,
}

/// zig (a C compiler, a linker and musl), and the cargo subcommand that calls it.
pub const ZIG: Wheels = Wheels { name: "zig", pins: include_str!("../wheels/zig.txt") };
/// AWS's Runtime Interface Emulator.
const EMULATOR: Wheels = Wheels { name: "emulator", pins: include_str!("../wheels/emulator.txt") };
/// All wheels, including those for the repository's tests and linters.
const ALL: [Wheels; 8] = [
    ZIG,
    EMULATOR,
    Wheels { name: "sam", pins: include_str!("../wheels/sam.txt") },
    Wheels { name: "sbom", pins: include_str!("../wheels/sbom.txt") },
    Wheels { name: "aws", pins: include_str!("../wheels/aws.txt") },
    Wheels { name: "cdk", pins: include_str!("../wheels/cdk.txt") },
    Wheels { name: "templates", pins: include_str!("../wheels/templates.txt") },
    Wheels { name: "workflows", pins: include_str!("../wheels/workflows.txt") },
];

const OF_PIP: &str = "CERT CLIENT_CERT CONFIG_FILE DEFAULT_TIMEOUT EXTRA_INDEX_URL FIND_LINKS INDEX_URL NO_INDEX PROXY RETRIES \
    TRUSTED_HOST";

/// Variables that disable pip's own cache, its check for updates and its warning for root, and override the user's settings that
/// conflict with `--target`.
const PIP: [(&str, &str); 5] = [
    ("PIP_USER", "0"),
    ("PIP_REQUIRE_VIRTUALENV", "0"),
    ("PIP_NO_CACHE_DIR", "1"),
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ("PIP_ROOT_USER_ACTION", "ignore"),
];

impl Wheels {
    /// Installs the wheels if they are missing, and returns their directory.
    pub fn install(self, cache: &Cache) -> Result<PathBuf> {
        cache.entry(&self.entry(), |directory| {
            doctor::require(&[doctor::PYTHON, doctor::PIP])?;
            let work = cache.temporary("wheels")?;
            let pins = work.path().join("pins.txt");
            fs::write(&pins, self.pins)?;
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--require-hashes", "--only-binary=:all:", "--no-deps", "--no-compile"]);
            // Of the user's variables for pip, only those that say how to get packages apply.
            let is_kept = |name: &str| OF_PIP.split(' ').any(|kept| name.strip_prefix("PIP_") == Some(kept));
            for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PIP_") && !is_kept(name)) {
                pip.env_remove(name);
            }
            pip.arg("--target").arg(directory).arg("--requirement").arg(pins).envs(PIP);
            step::run(cache, &format!("wheels of {}", self.name), &mut pip)
        })
    }

    /// Whether the wheels are installed.
    pub fn is_installed(self, cache: &Cache) -> bool {
        cache.root.join(self.entry()).is_dir()
    }

    fn entry(self) -> String {
        format!("wheels/{}-{}", self.name, identity([self.pins]))
    }

    /// The pinned version of one of the wheels.
    pub fn version(self, package: &str) -> &'static str {
        let line = self.pins.lines().find_map(|line| line.strip_prefix(package)?.strip_prefix("=="));
        line.and_then(|line| line.split(' ').next()).unwrap_or_default()
    }
}

/// `wheel NAME`: installs wheels and prints their directory.
pub fn run(name: &str) -> Result<()> {
    let Some(wheels) = ALL.iter().find(|wheels| wheels.name == name) else {
        bail!("the wheel {}", unknown(name, &ALL.map(|wheels| wheels.name)));
    };
    println!("{}", wheels.install(&Cache::open()?)?.display());
    Ok(())
}

/// The emulator for this machine.
pub fn emulator(cache: &Cache) -> Result<PathBuf> {
    let name = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "aws-lambda-rie-x86_64",
        ("linux", "aarch64") => "aws-lambda-rie-arm64",
        (os, arch) => bail!("AWS's emulator runs only on Linux, on x86_64 or arm64; this is {os} on {arch}"),
    };
    Ok(EMULATOR.install(cache)?.join("samcli/local/rapid").join(name))
}
