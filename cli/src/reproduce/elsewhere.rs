//! The conditions of the second build. Each condition that this machine can change differs from the first build's; the others
//! are listed.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{env, ffi::OsString, fs, process::Command, thread, time::Duration};

use anyhow::{Context, Result};
use walkdir::WalkDir;

use crate::command::{clean_up, collect, find, output, run_build, succeeds};
use crate::names::dependencies_by_path;
use crate::options::{self, How};
use crate::rust::{Rust, rustup};
use crate::{crates::Crate, doctor, environment, files::At, project::Function, step::say};

/// A clock that is a day and an hour ahead, for programs that are linked dynamically.
const CLOCK: &str = include_str!("clock.c");

/// The id of an unprivileged user and group.
const NOBODY: u32 = 65534;

/// The directory of the second build, which is unmounted when the value is dropped.
pub struct Elsewhere {
    directory: PathBuf,
    is_mounted: bool,
    /// The commands that change the conditions and then start the build.
    words: Vec<OsString>,
    /// Whether the build itself has no network.
    is_cut_off: bool,
    /// Variables to set, or to remove if they have no value.
    variables: Vec<(&'static str, Option<OsString>)>,
}

/// A condition, whether it is different, and the reason if it is not.
type Condition = (&'static str, bool, &'static str);

fn say_which_are_different(conditions: &[Condition]) {
    let (different, same): (Vec<Condition>, Vec<Condition>) = conditions.iter().partition(|condition| condition.1);
    let different: Vec<&str> = different.iter().map(|(what, ..)| *what).collect();
    say(&format!("different conditions: {}", different.join(", ")));
    if !same.is_empty() {
        let lines: String = same.iter().map(|(what, _, why)| format!("\n  {what}: {why}")).collect();
        say(&format!("unchanged conditions:{lines}"));
    }
}

impl Elsewhere {
    pub fn prepare(options: &options::Reproduce, function: &Function, crates: &[Crate], work: &Path) -> Result<Self> {
        let [directory, ordered] = ["elsewhere", "elsewhere.ordered"].map(|name| work.join(name));
        fs::create_dir(&directory)?;
        fs::create_dir(&ordered)?;
        let is_root = doctor::is_root();
        let mut conditions = ["umask", "locale", "time zone"].map(|what| (what, true, "")).to_vec();
        let disorderfs = ["--quiet", "--multi-user=yes", "--reverse-dirents=no", "--shuffle-dirents=yes"];
        let is_mounted = is_root && succeeds(Command::new("disorderfs").args(disorderfs).arg(&ordered).arg(&directory));
        conditions.push(("order of files", is_mounted, "needs disorderfs, and root with permission to mount it"));
        let words = ["sh", "-c", "umask 077 && exec \"$@\"", "sh"].map(OsString::from).to_vec();
        let mut elsewhere = Self { words, variables: Vec::new(), is_mounted, is_cut_off: false, directory };
        elsewhere.set("TZ", "Asia/Tokyo");
        elsewhere.set("LC_ALL", "C");
        let mut krate = function.directory.clone();
        let is_copied = dependencies_by_path(function, crates).next().is_none();
        conditions.push(("directory", is_copied, "the crate has path dependencies outside its workspace"));
        if is_copied {
            let copy = elsewhere.workspace();
            let workspace = &function.workspace;
            copy_tree(workspace, &copy, &[&function.target, &workspace.join(".git"), &workspace.join("dist")])?;
            krate = copy.join(krate.strip_prefix(workspace).unwrap_or(&krate));
        }
        elsewhere.set("CRATE", &krate);
        elsewhere.set("OUT", elsewhere.out());
        elsewhere.set("CARGO_TARGET_DIR", elsewhere.target());
        match options.how {
            How::Build => elsewhere.change_this_machine(&krate, &mut conditions, is_root)?,
            How::DockerBuild => {
                elsewhere.set("FRESH", "1");
                conditions.push(("image built from scratch", true, ""));
                conditions.push(("user, host name, clock", false, "the container engine sets them"));
            }
        }
        let one_processor = find("taskset").is_some();
        if one_processor {
            elsewhere.run_by(["taskset", "-c", "0"]);
        }
        conditions.push(("number of jobs", one_processor, "needs taskset"));
        say_which_are_different(&conditions);
        Ok(elsewhere)
    }

    fn change_this_machine(&mut self, krate: &Path, conditions: &mut Vec<Condition>, is_root: bool) -> Result<()> {
        let home = self.directory.join("home");
        let bin = home.join(".cargo/bin");
        fs::create_dir_all(&bin)?;
        conditions.push(("home, empty caches", true, ""));
        self.set("HOME", home);
        self.set("LAMBDA_MUSL_CACHE", self.directory.join("cache"));
        self.variables.extend([("CARGO_HOME", None), ("XDG_CACHE_HOME", None)]);

        let [source, library] = ["clock.c", "clock.so"].map(|name| self.directory.join(name));
        fs::write(&source, CLOCK)?;
        let compiled = || succeeds(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source));
        let has_clock = cfg!(target_os = "linux") && compiled();
        conditions.push(("clock of dynamically linked programs", has_clock, "needs Linux and cc"));
        if has_clock {
            self.set(environment::PRELOAD, library);
        }

        // A different user cannot read this user's toolchain, and therefore gets a separate one.
        let setpriv = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".into()];
        let is_another_user = is_root && self.hand_over(krate, &setpriv)?;
        conditions.push(("user", is_another_user, "needs root, and a crate that other users can read"));
        if is_another_user {
            let rustup = fs::canonicalize(rustup()?.get_program())?;
            fs::copy(&rustup, bin.join("rustup")).at(&rustup)?;
            symlink("rustup", bin.join("cargo"))?;
            symlink("rustup", bin.join("rustc"))?;
            self.variables.push(("RUSTUP_HOME", None));
            self.set("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
            self.run_by([&["setpriv".to_owned()], &setpriv[..]].concat());
        }
        let renames = "echo elsewhere >/proc/sys/kernel/hostname";
        let is_renamed = succeeds(Command::new("unshare").args(["--uts", "sh", "-c", renames]));
        conditions.push(("host name", is_renamed, "needs root with permission to change it"));
        if is_renamed {
            let exec = format!("{renames} && exec \"$@\"");
            self.run_by(["unshare", "--uts", "sh", "-c", &exec, "sh"]);
        }
        self.is_cut_off = succeeds(Command::new("unshare").args(["--net", "true"]));
        conditions.push((
            "network access of build scripts",
            self.is_cut_off,
            "needs root with permission to disable it",
        ));
        Ok(())
    }

    /// Gives the directory to a different user, and returns whether that user can read the crate.
    fn hand_over(&self, krate: &Path, setpriv: &[String]) -> Result<bool> {
        output(Command::new("chown").arg("-R").arg(format!("{NOBODY}:{NOBODY}")).arg(&self.directory))?;
        let unreadable = ["-name", "target", "-prune", "-o", "!", "-readable", "-print"];
        let found = collect(Command::new("setpriv").args(setpriv).arg("find").arg(krate).args(unreadable));
        Ok(found.is_ok_and(|found| found.status.success() && found.stdout.is_empty()))
    }

    /// Puts a command before the existing ones.
    fn run_by(&mut self, words: impl IntoIterator<Item = impl Into<OsString>>) {
        self.words.splice(0..0, words.into_iter().map(Into::into));
    }

    fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.variables.push((name, Some(value.into())));
    }

    pub fn out(&self) -> PathBuf {
        self.directory.join("out")
    }

    pub fn target(&self) -> PathBuf {
        self.directory.join("target")
    }

    /// The path of the workspace's copy, if there is one.
    fn workspace(&self) -> PathBuf {
        self.directory.join("a directory with spaces")
    }

    /// The workspace, target directory, cache, cargo home and toolchain of this build.
    pub fn directories(&self, function: &Function, rust: &Rust) -> Vec<PathBuf> {
        let copy = Some(self.workspace()).filter(|copy| copy.is_dir());
        let home = self.directory.join("home");
        let toolchain = home.join(".rustup/toolchains").join(rust.sysroot.file_name().unwrap_or_default());
        let workspace = copy.unwrap_or_else(|| function.workspace.clone());
        vec![workspace, self.target(), self.directory.join("cache"), home.join(".cargo"), toolchain]
    }

    pub fn build(&self, verb: &str, options: &[(&'static str, OsString)]) -> Result<()> {
        // The other user may have no access to this program at its original path.
        let own = self.directory.join("cargo-lambda-musl");
        fs::copy(env::current_exe()?, &own)?;
        if !self.is_cut_off {
            return self.run(&[], &own, verb, options);
        }
        self.run(&[], &own, "prepare", options)?;
        self.run(&["unshare", "--net"], &own, verb, options).context(
            "the second build failed without access to the network; if a build script failed above, it may have tried to \
             download something",
        )
    }

    fn run(&self, before: &[&str], own: &Path, verb: &str, options: &[(&'static str, OsString)]) -> Result<()> {
        let mut words = before.iter().map(OsString::from).chain(self.words.iter().cloned());
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).arg(own).arg(verb).current_dir(&self.directory);
        command.envs(options.iter().cloned());
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        run_build(&mut command)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let umount = |option: &[&str]| clean_up(Command::new("umount").args(option).arg(&self.directory));
        // Programs that were stopped there may need a moment to exit.
        for _ in 0..10 {
            if !self.is_mounted || umount(&[]) {
                return;
            }
            thread::sleep(Duration::from_secs(1));
        }
        umount(&["--lazy"]);
    }
}

/// Copies a directory, except for the directories in `without`.
fn copy_tree(from: &Path, to: &Path, without: &[&Path]) -> Result<()> {
    let entries = WalkDir::new(from).into_iter().filter_entry(|entry| !without.contains(&entry.path()));
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type());
        let copy = to.join(path.strip_prefix(from)?);
        let copied = match () {
            () if kind.is_dir() => fs::create_dir(&copy),
            () if kind.is_symlink() => fs::read_link(path).and_then(|target| symlink(target, &copy)),
            () if kind.is_file() => fs::copy(path, &copy).map(|_| ()),
            // No build reads pipes or devices.
            () => Ok(()),
        };
        copied.at(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_all_files_and_links_except_those_left_out() {
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
