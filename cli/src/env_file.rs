//! Reads `.env` files, which have a line `NAME=value` for each environment variable of the function.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::files::At;

/// The variables of a file, in order. Errors show no content of the file, which may be secret.
pub fn read(path: &Path) -> Result<Vec<(String, String)>> {
    let text = fs::read_to_string(path).at(path)?;
    let expected = "expected lines like NAME=value, NAME='a value' or NAME=\"a $OTHER value\", and comments after #";
    let read = |variable: dotenvy::Result<(String, String)>| match variable {
        Ok(variable) => Ok(variable),
        Err(dotenvy::Error::LineParse(line, _)) => {
            let number = text.lines().take_while(|other| *other != line).count() + 1;
            bail!("line {number} is not a variable; {expected}")
        }
        Err(error) => Err(error).context(expected),
    };
    dotenvy::from_read_iter(text.as_bytes()).map(read).collect::<Result<_>>().at(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_variable_and_any_other_line_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".env");
        fs::write(&path, "# a comment\nA=1\nexport B='two words' # more\nC=\"$A ${B}\"\nD='$A'\nE=\nF=\"a\\nb\"\n\n")
            .unwrap();
        let expected = [("A", "1"), ("B", "two words"), ("C", "1 two words"), ("D", "$A"), ("E", ""), ("F", "a\nb")];
        assert_eq!(read(&path).unwrap(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        fs::write(&path, "A=1\nB: 2\n").unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains(".env: line 2 is not a variable; expected lines like NAME=value"), "{error}");
        assert!(!error.contains("B:"), "{error}");
    }
}
