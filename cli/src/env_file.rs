//! Reads `.env` files, which have a `NAME=value` line for each environment variable of the function.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::{files::At, interrupt};

/// The maximum size of a file in bytes, which is far more than Lambda accepts.
const LONGEST: usize = 1 << 20;

/// The variables of a file, in order. Errors do not show the file's content, which may be secret.
pub fn read(path: &Path) -> Result<Vec<(String, String)>> {
    let file = path.to_owned();
    // A read from a pipe may block, and one from a device may never end.
    let read = move || -> io::Result<String> {
        let mut text = String::new();
        File::open(file)?.take(LONGEST as u64 + 1).read_to_string(&mut text)?;
        Ok(text)
    };
    interrupt::compute(read)?.map_err(Into::into).and_then(|text| parse(&text)).at(path)
}

fn parse(text: &str) -> Result<Vec<(String, String)>> {
    let expected = "expected lines like NAME=value, NAME='a value' or NAME=\"a $OTHER value\", and comments after #";
    ensure!(text.len() <= LONGEST, "the file is longer than {LONGEST} bytes; {expected}");
    if let Some((before, _)) = text.split_once('\0') {
        bail!("line {} contains a NUL byte; {expected}", before.matches('\n').count() + 1);
    }
    // Some editors write a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let read = Cell::new(0);
    let variable = |variable: dotenvy::Result<(String, String)>| match variable {
        Ok(variable) => Ok(variable),
        Err(dotenvy::Error::LineParse(lines, _)) => {
            // A value may extend over several lines.
            bail!("line {} is not a variable; {expected}", read.get() + 1 - lines.lines().count().max(1))
        }
        Err(error) => Err(error).context(expected),
    };
    dotenvy::from_read_iter(Lines { rest: text.as_bytes(), read: &read }).map(variable).collect()
}

/// Text that is read line by line.
struct Lines<'a> {
    rest: &'a [u8],
    /// The number of lines read so far.
    read: &'a Cell<usize>,
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let line = memchr::memchr(b'\n', self.rest).map_or(self.rest.len(), |end| end + 1);
        let length = line.min(buffer.len());
        if length == line && length > 0 {
            self.read.update(|read| read + 1);
        }
        buffer[..length].copy_from_slice(&self.rest[..length]);
        self.rest = &self.rest[length..];
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_line_is_a_variable_and_any_other_line_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".env");
        fs::write(
            &path,
            "\u{feff}# a comment\nA=1\nexport B='two words' # more\nC=\"$A ${B}\"\nD='$A'\nE=\nF=\"a\\nb\"\n\n",
        )
        .unwrap();
        let expected = [("A", "1"), ("B", "two words"), ("C", "1 two words"), ("D", "$A"), ("E", ""), ("F", "a\nb")];
        assert_eq!(read(&path).unwrap(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        fs::write(&path, "A=1\nB: 2\n").unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains(".env: line 2 is not a variable; expected lines like NAME=value"), "{error}");
        assert!(!error.contains("B:"), "{error}");
    }

    #[test]
    fn an_error_names_the_first_line_of_the_variable() {
        for (text, expected) in [
            ("A='1\n2\n3'\n\nB: 2\nC=3\n", "line 5 is not a variable"),
            ("A=1\nB='2\nC=3\n", "line 2 is not a variable"),
            ("A=1\nB=two words\nB=two words\n", "line 2 is not a variable"),
            ("A=1\r\nB\r\n", "line 2 is not a variable"),
            ("A=1\nB='2\n\0'\n", "line 3 contains a NUL byte"),
            (&format!("A='{}'\nB\n", "x".repeat(20_000)), "line 2 is not a variable"),
            (&"#\n".repeat(LONGEST), "the file is longer than"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
