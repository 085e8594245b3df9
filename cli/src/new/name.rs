//! Checks that a name is valid for a cargo package, for its binary, and for a function on Lambda.

use anyhow::{Result, bail};

/// Rust's keywords, the names of its own crates, and the names of cargo's directories.
const RESERVED: &str = "Self abstract alloc as async await become box break build const continue core crate deps do dyn else enum \
    examples extern false final fn for gen if impl in incremental let loop macro match mod move mut override priv proc-macro \
    proc_macro pub ref return self static std struct super test trait true try type typeof unsafe unsized use virtual where \
    while yield";

/// The maximum length of a function's name on Lambda.
const LONGEST: usize = 64;

pub fn check(name: &str, dependencies: &[&str]) -> Result<()> {
    let expected = |what: &str| format!("the name {name:?} is invalid: expected {what}");
    let is_known = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if name.contains('/') {
        bail!("{}; --dir names the directory", expected("the name of a package, without a path"));
    }
    if name.is_empty() || !name.chars().all(is_known) {
        bail!("{}", expected("only ASCII letters, digits, - and _, as cargo and Lambda require"));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        bail!("{}", expected("a letter or _ as its first character, as cargo requires"));
    }
    if name.len() > LONGEST {
        bail!("{}, Lambda's limit; it has {}", expected(&format!("at most {LONGEST} characters")), name.len());
    }
    if RESERVED.split_whitespace().any(|word| word == name) {
        bail!("{}", expected("a different one, because this is a reserved word of Rust or cargo"));
    }
    let same = |other: &&str| other.replace('-', "_") == name.replace('-', "_");
    if dependencies.iter().any(same) {
        bail!("{}", expected("a different one, because the package depends on a crate with this name"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_must_be_valid_for_cargo_and_for_lambda() {
        let long = "a".repeat(65);
        for (name, why) in [
            ("", "ASCII letters"),
            ("café", "ASCII letters"),
            ("a.b", "ASCII letters"),
            ("a/b", "--dir"),
            ("1a", "as its first character"),
            ("-a", "as its first character"),
            (&*long, "it has 65"),
            ("match", "a reserved word of Rust"),
            ("test", "a reserved word of Rust"),
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
