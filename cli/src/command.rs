//! Runs other programs.

use std::process::{Command, Output, Stdio};
use std::{env, io::Read, path::PathBuf, thread, time::Duration};

use anyhow::{Result, bail, ensure};

use crate::interrupt::{self, Running};

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

/// Runs another process of this program for a build, and shows the build's messages to the user.
pub fn run_build(command: &mut Command) -> Result<()> {
    let status = Running::start(command.stdin(Stdio::null()))?.wait()?;
    interrupt::check()?;
    ensure!(status.success(), "the build failed with {status}");
    Ok(())
}

/// Runs a cleanup command even if this program was told to stop, and returns whether the command succeeded.
pub fn clean_up(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// Runs a program to completion, and returns its output.
pub fn collect(command: &mut Command) -> Result<Output> {
    collect_given(command, Stdio::null())
}

/// Like [`collect`], for a program that reads stdin.
pub fn collect_given(command: &mut Command, stdin: impl Into<Stdio>) -> Result<Output> {
    collect_while(command, stdin, interrupt::check)
}

/// Like [`collect_given`], but when `check` fails, ends the program and the processes that it started.
pub fn collect_while(command: &mut Command, stdin: impl Into<Stdio>, check: impl Fn() -> Result<()>) -> Result<Output> {
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start_if(command, &check)?;
    let (stdout, stderr) = running.pipes();
    let [stdout, stderr] = [thread::spawn(|| all_of(stdout)), thread::spawn(|| all_of(stderr))];
    loop {
        running.check_input()?;
        // Wait for the pipes first, because the process group can no longer be ended once the program is reaped.
        if stdout.is_finished()
            && stderr.is_finished()
            && let Some(status) = running.try_wait()?
        {
            let [stdout, stderr] = [stdout, stderr].map(|pipe| pipe.join().unwrap_or_default());
            return Ok(Output { status, stdout, stderr });
        }
        check()?;
        thread::sleep(Duration::from_millis(2));
    }
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
    use std::time::Instant;

    #[test]
    fn a_process_that_keeps_the_output_of_a_program_open_does_not_keep_this_program_from_stopping() {
        let start = Instant::now();
        let check = || {
            ensure!(start.elapsed() < Duration::from_millis(300), "stopped");
            Ok(())
        };
        let mut command = Command::new("sh");
        let error = collect_while(command.args(["-c", "sleep 60 & exit"]), Stdio::null(), check).unwrap_err();
        assert_eq!(error.to_string(), "stopped");
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn text_is_quoted_as_one_word_for_the_shell() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted("--out=a/b"), "--out=a/b");
        assert_eq!(quoted(""), "''");
    }
}
