//! Runs other programs.

use std::process::{Command, Output, Stdio};
use std::{env, io::Read, path::PathBuf, thread};

use anyhow::{Result, bail};

use crate::interrupt::Running;

/// Returns what a program prints on stdout, or an error with what it printed on stderr.
pub fn output(command: &mut Command) -> Result<String> {
    let output = collect(command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    bail!("{} failed with {}:\n{}", shown(command), output.status, said.trim_end())
}

/// Whether a program can be started and succeeds. Its output is discarded.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Running::start(command).and_then(|mut running| running.wait()).is_ok_and(|status| status.success())
}

/// Runs a cleanup command even if this program was told to stop, and returns whether it succeeded.
pub fn clean_up(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// Runs a program to completion, and returns its output.
pub fn collect(command: &mut Command) -> Result<Output> {
    collect_given(command, Stdio::null())
}

/// Like [`collect`], for a program that reads stdin.
pub fn collect_given(command: &mut Command, stdin: impl Into<Stdio>) -> Result<Output> {
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start(command)?;
    let (stdout, stderr) = running.pipes();
    let [stdout, stderr] = [thread::spawn(|| all_of(stdout)), thread::spawn(|| all_of(stderr))];
    let status = running.wait()?;
    Ok(Output { status, stdout: stdout.join().unwrap_or_default(), stderr: stderr.join().unwrap_or_default() })
}

fn all_of(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
    bytes
}

/// Formats a command as a user would type it.
pub fn shown(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// Quotes text as one word for a POSIX shell.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@+%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Finds a program in `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|directory| directory.join(program)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_as_one_word_for_the_shell() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted("--out=a/b"), "--out=a/b");
        assert_eq!(quoted(""), "''");
    }
}
