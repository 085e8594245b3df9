//! The cost of a function before it runs: crates, compile time and size.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use crate::{Result, process::children_cpu};

const TARGET: &str = "x86_64-unknown-linux-musl";

/// A compiled function.
pub struct Built {
    pub name: String,
    pub binary: PathBuf,
    /// Seconds from an empty target directory to the binary.
    pub wall: f64,
    /// Seconds of CPU time.
    pub cpu: f64,
}

impl Built {
    /// Compiles with an empty target directory. All dependencies have already been downloaded.
    pub fn from_nothing(root: &str, name: &str, features: &[&str]) -> Result<Self> {
        let directory = directory(root, name, features);
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        eprintln!("compiling {name} from scratch …");
        compile(root, name, features)
    }

    /// Compiles, and reuses the results of an earlier run if there are any.
    pub fn with_features(root: &str, name: &str, features: &[&str]) -> Result<Self> {
        eprintln!("compiling {} …", [&[name], features].concat().join(" with "));
        compile(root, name, features)
    }
}

fn directory(root: &str, name: &str, features: &[&str]) -> PathBuf {
    let name = [&[name], features].concat().join("-");
    Path::new(root).join("target/bench").join(name)
}

fn compile(root: &str, name: &str, features: &[&str]) -> Result<Built> {
    let directory = directory(root, name, features);
    let (start, cpu) = (Instant::now(), children_cpu()?);
    let mut cargo = cargo(root);
    cargo.args(["build", "--quiet", "--locked", "--offline", "--release"]);
    cargo.args(["--package", name, "--target", TARGET]);
    cargo.args(["--features", &features.join(",")]);
    let status = cargo.arg("--target-dir").arg(&directory).status()?;
    if !status.success() {
        return Err(format!("compiling {name}: {status}").into());
    }
    Ok(Built {
        name: name.to_owned(),
        binary: directory.join(TARGET).join("release").join(name),
        wall: start.elapsed().as_secs_f64(),
        cpu: children_cpu()? - cpu,
    })
}

/// The number of crates that are compiled for the function, besides its own: for the target, and for build scripts and macros.
pub fn crates(root: &str, name: &str) -> Result<usize> {
    let mut cargo = cargo(root);
    cargo.args(["tree", "--locked", "--offline", "--package", name, "--target", TARGET]);
    cargo.args(["--edges", "normal,build", "--prefix", "none", "--format", "{p}", "--no-dedupe"]);
    let output = cargo.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("cargo tree of {name}: {}", output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let crates: BTreeSet<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    Ok(crates.len() - 1)
}

/// The size in bytes of the zip that `tools` creates.
pub fn zip(root: &str, tools: &str, built: &Built) -> Result<u64> {
    let zip = Path::new(root).join(format!("target/bench/{}.zip", built.name));
    let mut package = Command::new(tools);
    package.arg("package").arg(&built.binary).arg(&zip);
    let status = package.stdout(Stdio::null()).status()?;
    if !status.success() {
        return Err(format!("packaging {}: {status}", built.name).into());
    }
    Ok(fs::metadata(zip)?.len())
}

/// The versions, the target and the machine of the measurement.
pub fn machine(root: &str) -> Result<String> {
    let rustc = Command::new("rustc").arg("--version").current_dir(root).output()?;
    let rustc = String::from_utf8(rustc.stdout)?;
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let values = |key: &str| {
        let lines = info.lines().filter(|line| line.starts_with(key));
        lines.filter_map(|line| Some(line.split_once(": ")?.1)).collect::<Vec<_>>()
    };
    let models = values("model name");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let lock = fs::read_to_string(Path::new(root).join("benches/Cargo.lock"))?;
    let peers = ["lambda_runtime", "lambda_http", "axum"].map(|name| {
        let found = lock.split_once(&format!("name = \"{name}\"\nversion = \""));
        let version = found.and_then(|(_, rest)| rest.split('"').next());
        format!("{name} {}", version.unwrap_or_default())
    });
    Ok(format!(
        "{}; {}; {TARGET}; {} × {}; Linux {}\n",
        peers.join(", "),
        rustc.trim(),
        models.len(),
        models.first().unwrap_or(&"an unknown processor"),
        kernel.trim(),
    ))
}

fn cargo(root: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(Path::new(root).join("benches")).stdin(Stdio::null());
    cargo
}
