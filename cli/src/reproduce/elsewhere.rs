//! The conditions of the second build: each that this machine can make different is, and the others are named.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use super::{Call, build, wrapped};
use crate::{
    build::dependencies_by_path,
    command::{find, output, succeeds},
    options::{self, How},
    project::{Crate, Function},
    rust::rustup,
    step::say,
};

/// A clock that is a day and an hour ahead, for programs that are linked dynamically.
const CLOCK: &str = include_str!("clock.c");

/// A user who is nobody in particular.
const NOBODY: u32 = 65534;

/// A place to build in, which is gone with this value.
pub struct Elsewhere {
    directory: PathBuf,
    is_mounted: bool,
    krate: PathBuf,
    /// What the build is started with: programs that change the conditions, and variables.
    words: Vec<OsString>,
    variables: Vec<(&'static str, OsString)>,
    removed: Vec<&'static str>,
    fresh: bool,
}

/// What is different and what is not.
#[derive(Default)]
struct Conditions {
    different: Vec<&'static str>,
    same: Vec<(&'static str, &'static str)>,
}

impl Conditions {
    fn note(&mut self, what: &'static str, is_different: bool, why_not: &'static str) {
        match is_different {
            true => self.different.push(what),
            false => self.same.push((what, why_not)),
        }
    }

    fn say(&self) {
        say(&format!("different are: {}", self.different.join(", ")));
        if !self.same.is_empty() {
            let lines: String = self.same.iter().map(|(what, why)| format!("\n  {what}: {why}")).collect();
            say(&format!("not different are:{lines}"));
        }
    }
}

impl Elsewhere {
    pub fn prepare(options: &options::Reproduce, function: &Function, crates: &[Crate], work: &Path) -> Result<Self> {
        let directory = work.join("elsewhere");
        let ordered = work.join("elsewhere.ordered");
        fs::create_dir(&directory)?;
        fs::create_dir(&ordered)?;
        let is_root = rustix::process::geteuid().is_root();
        let mut conditions = Conditions { different: vec!["umask", "locale", "time zone"], same: Vec::new() };
        let disorderfs = ["--quiet", "--multi-user=yes", "--reverse-dirents=no", "--shuffle-dirents=yes"];
        let is_mounted = is_root && succeeds(Command::new("disorderfs").args(disorderfs).arg(&ordered).arg(&directory));
        conditions.note("order of files", is_mounted, "that takes disorderfs, and root who may mount it");
        let mut elsewhere = Self {
            krate: function.directory.clone(),
            words: vec!["sh".into(), "-c".into(), "umask 077 && exec \"$@\"".into(), "sh".into()],
            variables: vec![("TZ", "Asia/Tokyo".into()), ("LC_ALL", "C".into())],
            removed: Vec::new(),
            fresh: options.how == How::DockerBuild,
            is_mounted,
            directory,
        };
        let copied = dependencies_by_path(function, crates).next().is_none();
        conditions.note("directory", copied, "the crate has path dependencies outside of its workspace");
        if copied {
            let copy = elsewhere.directory.join("a directory with spaces");
            copy_tree(&function.workspace, &copy, &[&function.target, &function.workspace.join(".git"), &function.workspace.join("dist")])?;
            let relative = function.directory.strip_prefix(&function.workspace).unwrap_or(Path::new(""));
            elsewhere.krate = copy.join(relative);
        }
        elsewhere.set("CARGO_TARGET_DIR", elsewhere.directory.join("target"));
        match options.how {
            How::Build => elsewhere.change_this_machine(&mut conditions, is_root)?,
            How::DockerBuild => {
                conditions.different.push("an image from nothing");
                conditions.note("user, host name, clock", false, "they are those of the container engine");
            }
        }
        let one_processor = find("taskset").is_some();
        if one_processor {
            elsewhere.words.splice(0..0, ["taskset", "-c", "0"].map(OsString::from));
        }
        conditions.note("number of jobs", one_processor, "that takes taskset");
        conditions.say();
        Ok(elsewhere)
    }

    fn change_this_machine(&mut self, conditions: &mut Conditions, is_root: bool) -> Result<()> {
        let home = self.directory.join("home");
        let bin = home.join(".cargo/bin");
        fs::create_dir_all(&bin)?;
        conditions.different.push("home, empty caches");
        self.set("HOME", home);
        self.set("LAMBDA_MUSL_CACHE", self.directory.join("cache"));
        self.removed.extend(["CARGO_HOME", "XDG_CACHE_HOME"]);

        let source = self.directory.join("clock.c");
        let library = self.directory.join("clock.so");
        fs::write(&source, CLOCK)?;
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
        let has_clock = cfg!(target_os = "linux") && succeeds(&mut cc);
        conditions.note("clock of all programs but static ones", has_clock, "that takes Linux");
        if has_clock {
            self.set("LD_PRELOAD", library);
        }

        let nobody = NOBODY.to_string();
        let user = [format!("--reuid={nobody}"), format!("--regid={nobody}"), "--clear-groups".into()];
        let setpriv: Vec<OsString> = ["setpriv".to_owned()].into_iter().chain(user).map(Into::into).collect();
        let is_another_user = is_root && self.hand_over(&setpriv)?;
        conditions.note("user", is_another_user, "that takes root, and a crate that others can read");
        if is_another_user {
            // Another user cannot read this one's toolchain.
            let rustup = fs::canonicalize(rustup()?.get_program())?;
            fs::copy(&rustup, bin.join("rustup")).with_context(|| rustup.display().to_string())?;
            symlink("rustup", bin.join("cargo"))?;
            symlink("rustup", bin.join("rustc"))?;
            self.removed.push("RUSTUP_HOME");
            self.set("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
            self.words.splice(0..0, setpriv);
        }
        let renames = "echo elsewhere >/proc/sys/kernel/hostname";
        let is_renamed = succeeds(Command::new("unshare").args(["--uts", "sh", "-c", renames]));
        conditions.note("host name", is_renamed, "that takes root who may change it");
        if is_renamed {
            let exec = format!("{renames} && exec \"$@\"");
            self.words.splice(0..0, ["unshare", "--uts", "sh", "-c", &exec, "sh"].map(OsString::from));
        }
        Ok(())
    }

    /// Gives the place to another user, and says whether that one can read the crate.
    fn hand_over(&self, setpriv: &[OsString]) -> Result<bool> {
        output(Command::new("chown").arg("-R").arg(format!("{NOBODY}:{NOBODY}")).arg(&self.directory))?;
        let mut find = wrapped(setpriv, Path::new("find"));
        find.arg(&self.krate).args(["-name", "target", "-prune", "-o", "!", "-readable", "-print"]);
        Ok(find.output().is_ok_and(|found| found.status.success() && found.stdout.is_empty()))
    }

    fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.variables.push((name, value.into()));
    }

    pub fn out(&self) -> PathBuf {
        self.directory.join("out")
    }

    pub fn build(&self, call: &Call) -> Result<()> {
        // Another user may not read this program where it is.
        let own = self.directory.join("cargo-lambda-musl");
        fs::copy(std::env::current_exe()?, &own)?;
        let mut command = wrapped(&self.words, &own);
        command.current_dir(&self.directory).args(call.arguments(&self.krate, &self.out()));
        if self.fresh {
            command.arg("--fresh");
        }
        for name in &self.removed {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        build(&mut command)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let umount = |option: &[&str]| succeeds(Command::new("umount").args(option).arg(&self.directory));
        // What was stopped there may need a moment to end.
        let mut tries = 0;
        while self.is_mounted && !umount(&[]) {
            tries += 1;
            if tries == 10 {
                umount(&["--lazy"]);
                return;
            }
            thread::sleep(Duration::from_secs(1));
        }
    }
}

/// Copies a directory without some of those in it.
fn copy_tree(from: &Path, to: &Path, without: &[&Path]) -> Result<()> {
    fs::create_dir(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let path = entry?.path();
        let copy = to.join(path.file_name().unwrap_or_default());
        let metadata = path.symlink_metadata()?;
        if without.contains(&path.as_path()) {
            continue;
        } else if metadata.is_dir() {
            copy_tree(&path, &copy, without)?;
        } else if metadata.is_symlink() {
            symlink(fs::read_link(&path)?, &copy)?;
        } else if metadata.is_file() {
            fs::copy(&path, &copy).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_all_files_and_links_but_those_that_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::create_dir_all(from.join("target/debug")).unwrap();
        fs::create_dir_all(from.join("src/target")).unwrap();
        fs::write(from.join("src/target/a.rs"), "a").unwrap();
        symlink("src/target/a.rs", from.join("link")).unwrap();
        copy_tree(&from, &to, &[&from.join("target")]).unwrap();
        assert!(!to.join("target").exists());
        assert_eq!(fs::read_to_string(to.join("link")).unwrap(), "a");
    }
}
