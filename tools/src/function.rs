//! What a crate builds: which binary, with which features, and whether it links OpenSSL.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// The function in `folder` as variables that a shell can `eval`.
pub fn describe(folder: &Path, target: &Path) -> Result<String, String> {
    let manifest = fs::canonicalize(folder.join("Cargo.toml"))
        .map_err(|_| not_a_function(folder, "there is no Cargo.toml in that folder"))?;
    let metadata = metadata(&manifest).map_err(|error| in_crate(folder, &error))?;
    let package = packages(&metadata)
        .find(|package| manifest_of(package) == manifest)
        .ok_or_else(|| not_a_function(folder, "it is a workspace, not one of its packages"))?;
    let binary = binary(package).map_err(|reason| not_a_function(folder, &reason))?;
    let features = list(&binary["required-features"]).join(",");

    let workspace = text(&metadata["workspace_root"]);
    let lock = Path::new(workspace).join("Cargo.lock");
    let locked = if lock.exists() { "--locked" } else { "" };
    let openssl = links_openssl(&manifest, text(&package["name"]), &features, locked, target)
        .map_err(|error| in_crate(folder, &error))?;
    let variables = [
        ("manifest", &*manifest.to_string_lossy()),
        ("workspace", workspace),
        ("package", text(&package["name"])),
        ("binary", text(&binary["name"])),
        ("features", &features),
        ("locked", locked),
        ("openssl", if openssl { "yes" } else { "no" }),
    ];
    Ok(variables
        .map(|(name, value)| format!("{name}={}", quote(value)))
        .join("\n"))
}

/// What cargo says of the crate, and what to do where it says what only cargo's own user can do.
fn in_crate(folder: &Path, error: &str) -> String {
    let folder = folder.display();
    if error.contains("--locked was passed") {
        return format!(
            "CRATE={folder}: Cargo.lock does not match Cargo.toml; run `cargo update --workspace` in that folder, then make again"
        );
    }
    format!("CRATE={folder}: {error}")
}

/// The binary that `cargo run` would take.
fn binary(package: &Value) -> Result<&Value, String> {
    let binaries: Vec<&Value> = array(&package["targets"])
        .filter(|target| list(&target["kind"]).contains(&"bin"))
        .collect();
    let named = |name: &Value| binaries.iter().find(|binary| binary["name"] == *name);
    match binaries[..] {
        [] => Err("it has no binary target, like src/main.rs".into()),
        [binary] => Ok(binary),
        _ => named(&package["default_run"])
            .or_else(|| named(&package["name"]))
            .copied()
            .ok_or_else(|| {
                let names: Vec<&str> = binaries.iter().map(|b| text(&b["name"])).collect();
                format!(
                    "it has the binary targets {}: name one as default-run in its Cargo.toml",
                    names.join(", ")
                )
            }),
    }
}

fn not_a_function(folder: &Path, reason: &str) -> String {
    let known = known_functions().unwrap_or_default().join(" ");
    format!(
        "CRATE={}: {reason}; expected the folder of a package with a binary target, like one of: {known}",
        folder.display()
    )
}

/// The members of this workspace that are functions: those with a binary on the runtime.
fn known_functions() -> Option<Vec<String>> {
    let metadata = metadata(&fs::canonicalize("Cargo.toml").ok()?).ok()?;
    let root = Path::new(metadata["workspace_root"].as_str()?);
    let is_function = |package: &Value| {
        let uses_runtime = package["name"] == "lambda-musl"
            || array(&package["dependencies"]).any(|d| d["name"] == "lambda-musl");
        uses_runtime && binary(package).is_ok()
    };
    let relative = |package: &Value| {
        let manifest = manifest_of(package);
        let folder = manifest.strip_prefix(root).ok()?.parent()?;
        Some(match folder.to_str()? {
            "" => ".".into(),
            path => path.into(),
        })
    };
    let functions = packages(&metadata).filter(|package| is_function(package));
    Some(functions.filter_map(relative).collect())
}

fn links_openssl(
    manifest: &Path,
    package: &str,
    features: &str,
    locked: &str,
    target: &Path,
) -> Result<bool, String> {
    let mut tree = Command::new("cargo");
    tree.args(["tree", "--edges=normal", "--prefix=none", "--format={p}"])
        .arg(format!("--package={package}"))
        .arg(format!("--features={features}"))
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target")
        .arg(target);
    if !locked.is_empty() {
        tree.arg(locked);
    }
    let crates = output(tree)?;
    Ok(crates.lines().any(|line| line.starts_with("openssl-sys ")))
}

fn metadata(manifest: &Path) -> Result<Value, String> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["metadata", "--format-version=1", "--no-deps"])
        .arg("--manifest-path")
        .arg(manifest);
    serde_json::from_str(&output(cargo)?).map_err(|error| format!("cargo metadata: {error}"))
}

pub fn output(mut command: Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let words = String::from_utf8_lossy(&output.stderr);
        Err(format!("{command:?}:\n{}", words.trim_end()))
    }
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    array(&metadata["packages"])
}

fn manifest_of(package: &Value) -> PathBuf {
    let path = PathBuf::from(text(&package["manifest_path"]));
    fs::canonicalize(&path).unwrap_or(path)
}

pub fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn list(value: &Value) -> Vec<&str> {
    array(value).filter_map(Value::as_str).collect()
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// One word for a POSIX shell, whatever is in it.
pub fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(default_run: Value, binaries: &[&str]) -> Value {
        let target = |name| json!({"name": name, "kind": ["bin"]});
        let targets: Vec<Value> = binaries.iter().map(target).collect();
        json!({"name": "app", "default_run": default_run, "targets": targets})
    }

    #[test]
    fn a_value_is_one_word_for_the_shell() {
        assert_eq!(quote("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn the_only_binary_is_the_function() {
        let package = package(Value::Null, &["other"]);
        assert_eq!(binary(&package).unwrap()["name"], "other");
    }

    #[test]
    fn of_several_binaries_the_one_named_like_the_package_is_the_function() {
        let package = package(Value::Null, &["other", "app"]);
        assert_eq!(binary(&package).unwrap()["name"], "app");
    }

    #[test]
    fn default_run_decides_between_binaries() {
        let package = package("other".into(), &["other", "app"]);
        assert_eq!(binary(&package).unwrap()["name"], "other");
    }

    #[test]
    fn binaries_between_which_nothing_decides_are_named() {
        let error = binary(&package(Value::Null, &["one", "two"])).unwrap_err();
        assert!(error.contains("one, two"), "{error}");
        assert!(error.contains("default-run"), "{error}");
    }

    #[test]
    fn a_package_without_a_binary_is_no_function() {
        let error = binary(&package(Value::Null, &[])).unwrap_err();
        assert!(error.contains("no binary target"), "{error}");
    }
}
