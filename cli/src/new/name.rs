//! Names that cargo takes for a package and a binary, and Lambda for a function.

use anyhow::{Result, bail};

/// Words of Rust, names of its own crates, and directories of cargo's.
const RESERVED: &str = "Self abstract alloc as async await become box break build const continue core crate deps do dyn else enum \
    examples extern false final fn for gen if impl in incremental let loop macro match mod move mut override priv proc-macro \
    proc_macro pub ref return self static std struct super test trait true try type typeof unsafe unsized use virtual where \
    while yield";

/// Letters of the longest name that Lambda takes.
const LONGEST: usize = 64;

pub fn check(name: &str, dependencies: &[&str]) -> Result<()> {
    let expected = |what: &str| format!("the name {name:?}: expected {what}");
    let is_known = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if name.contains('/') {
        bail!("{}; --dir names the directory", expected("the name of a package, without a path"));
    }
    if name.is_empty() || !name.chars().all(is_known) {
        bail!("{}", expected("ASCII letters, digits, - and _, as cargo and Lambda take them"));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        bail!("{}", expected("a letter or _ at its begin, as cargo takes it"));
    }
    if name.len() > LONGEST {
        bail!("{}, as Lambda takes them; it has {}", expected(&format!("{LONGEST} letters at most")), name.len());
    }
    if RESERVED.split_whitespace().any(|word| word == name) {
        bail!("{}", expected("another one: this is a word of Rust or of cargo"));
    }
    let same = |other: &&str| other.replace('-', "_") == name.replace('-', "_");
    if dependencies.iter().any(same) {
        bail!("{}", expected("another one: this is a crate that the package depends on"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_for_cargo_and_for_lambda() {
        let long = "a".repeat(65);
        for (name, why) in [
            ("", "ASCII letters"),
            ("café", "ASCII letters"),
            ("a.b", "ASCII letters"),
            ("a/b", "--dir"),
            ("1a", "at its begin"),
            ("-a", "at its begin"),
            (&*long, "it has 65"),
            ("match", "a word of Rust"),
            ("test", "a word of Rust"),
            ("serde-json", "depends on"),
        ] {
            let error = check(name, &["serde_json"]).unwrap_err().to_string();
            assert!(error.contains(why), "{name}: {error}");
        }
        for name in ["hello", "_a", "order-intake_2", &long[1..]] {
            check(name, &["serde_json"]).unwrap();
        }
    }
}
