//! Finds the crates that make two builds differ: the first ones, in dependency order, whose output differs between the two target
//! directories.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{ffi::OsStr, fs, time::SystemTime};

use memchr::memmem;
use walkdir::WalkDir;

use super::difference::shown_difference;
use crate::{crates::Crate, verify::sha256_hex};

/// The maximum number of crates to name.
const NAMED: usize = 5;

/// The maximum number of bytes to show of a line.
const SHOWN: usize = 200;

/// Instructions of build scripts that do not affect the binary.
const UNIMPORTANT: [&str; 2] = ["rerun-if-", "warning="];

/// Extensions of compilers' output, which is not compared because it contains paths of the build. If it differs in any
/// other way, so does the linked code.
const COMPILED: [&str; 6] = ["a", "d", "dwo", "lib", "o", "so"];

/// The size in bytes of the largest file whose contents are kept. For a larger file, only the checksum is kept.
const KEPT: u64 = 1 << 20;

/// The parts of a target directory that show the inputs and results of its crates, read before later builds change them.
#[derive(Default)]
pub struct Left {
    /// What build scripts told cargo, and the files that they wrote: first for the target, then for the build machine.
    scripts: [BTreeMap<String, Run>; 2],
    /// The checksums of compiled crates.
    rlibs: BTreeMap<String, String>,
}

/// The output of a build script, with directories replaced by names.
struct Run {
    at: Option<SystemTime>,
    told: BTreeSet<String>,
    written: BTreeMap<PathBuf, Vec<u8>>,
}

impl Left {
    /// `directories` are those with different paths in the two builds, in the same order for both.
    pub fn of(target: &Path, triple: &str, directories: &[PathBuf]) -> Self {
        let scripts = [triple, ""].map(|platform| {
            let entries = fs::read_dir(target.join(platform).join("release/build")).into_iter().flatten().flatten();
            let runs = entries.filter(|entry| entry.path().join("output").is_file());
            runs.map(|entry| (entry.file_name().to_string_lossy().into_owned(), Run::of(&entry.path(), directories)))
                .collect()
        });
        let entries = fs::read_dir(target.join(triple).join("release/deps")).into_iter().flatten().flatten();
        let rlibs = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "rlib"));
        let rlibs = rlibs.filter_map(|entry| {
            let bytes = fs::read(entry.path()).ok()?;
            Some((entry.file_name().to_string_lossy().into_owned(), sha256_hex(&bytes)))
        });
        Self { scripts, rlibs: rlibs.collect() }
    }
}

impl Run {
    fn of(run: &Path, directories: &[PathBuf]) -> Self {
        let read = |file: &Path| {
            let bytes = fs::read(file).unwrap_or_default();
            match bytes.len() as u64 > KEPT {
                true => sha256_hex(&bytes).into_bytes(),
                false => renamed(bytes, run, directories),
            }
        };
        let output = run.join("output");
        let out = run.join("out");
        let files = WalkDir::new(&out).into_iter().flatten().filter(|entry| entry.file_type().is_file());
        let is_compiled = |end: &OsStr| COMPILED.iter().any(|known| end == *known);
        let files = files.filter(|file| !file.path().extension().is_some_and(is_compiled));
        let written =
            files.filter_map(|file| Some((file.path().strip_prefix(&out).ok()?.to_owned(), read(file.path()))));
        Self {
            at: output.metadata().and_then(|metadata| metadata.modified()).ok(),
            told: instructions(&read(&output)),
            written: written.collect(),
        }
    }
}

/// One or more lines for each crate that makes two builds of a function differ.
pub fn causes(function: &str, crates: &[Crate], builds: [&Left; 2]) -> Vec<String> {
    let of_scripts = scripts(crates, builds);
    if !of_scripts.is_empty() {
        return of_scripts;
    }
    let is_different = |krate: &&Crate| {
        let name = format!("lib{}", krate.name.replace('-', "_"));
        let mut own = builds[1].rlibs.iter().filter(|(file, _)| package_in(file) == Some(&name));
        own.any(|(file, second)| builds[0].rlibs.get(file).is_some_and(|first| first != second))
    };
    let different: BTreeSet<&String> = crates.iter().filter(is_different).map(|krate| &krate.id).collect();
    let firsts = crates.iter().filter(|krate| different.contains(&krate.id));
    let firsts = firsts.filter(|krate| uses(crates, krate).is_disjoint(&different));
    let line = |krate: &Crate| {
        let Crate { name, version, .. } = krate;
        format!(
            "{name} {version}: its compiled code differs, although no build script's output does: a procedural macro or a \
             compiler embeds something specific to the machine"
        )
    };
    let lines: Vec<String> = firsts.take(NAMED).map(line).collect();
    if !lines.is_empty() {
        return lines;
    }
    // Cargo keeps no library of the function's own package.
    vec![format!(
        "{function} itself, because no crate that it depends on differs: a procedural macro that it uses, or a compiler, \
         embeds something specific to the machine"
    )]
}

/// The ids of all direct and indirect dependencies of a crate.
fn uses<'a>(crates: &'a [Crate], krate: &'a Crate) -> BTreeSet<&'a String> {
    let (mut all, mut left) = (BTreeSet::new(), vec![krate]);
    while let Some(krate) = left.pop() {
        let new = krate.depends_on.iter().filter(|id| all.insert(*id)).collect::<Vec<_>>();
        left.extend(crates.iter().filter(|krate| new.contains(&&krate.id)));
    }
    all
}

/// The differences in what build scripts told cargo or wrote.
fn scripts(crates: &[Crate], builds: [&Left; 2]) -> Vec<String> {
    let mut found = BTreeMap::new();
    for platform in [0, 1] {
        let [first, second] = builds.map(|build| &build.scripts[platform]);
        for (directory, second) in second {
            let name = package_in(directory).unwrap_or_default();
            // The target directory elsewhere contains only the output of this build; the one here can also contain the
            // output of earlier builds.
            let named =
                || first.iter().filter(|(directory, _)| package_in(directory) == Some(name)).map(|(_, run)| run);
            let first = first.get(directory).or_else(|| named().max_by_key(|run| run.at));
            if let Some(difference) = first.and_then(|first| script_difference([first, second])) {
                found.entry(name).or_insert(difference);
            }
        }
    }
    let line = |(name, difference): (&str, String)| {
        let versions = crates.iter().filter(|krate| krate.name == name).map(|krate| &*krate.version);
        format!("{name} {}: {difference}", versions.collect::<Vec<_>>().join(" or "))
    };
    found.into_iter().map(line).take(NAMED).collect()
}

/// The name of the package in a file's name: `serde` in `serde-0123456789abcdef`.
fn package_in(file: &str) -> Option<&str> {
    file.rsplit_once('-').map(|(name, _hash)| name)
}

fn script_difference(runs: [&Run; 2]) -> Option<String> {
    if runs[0].told != runs[1].told {
        let only = |side: usize| runs[side].told.difference(&runs[1 - side].told).next();
        let [here, elsewhere] = [0, 1].map(|side| only(side).map_or("(nothing)", |line| shown(line)));
        return Some(format!("its build script told cargo\n    here:      {here}\n    elsewhere: {elsewhere}"));
    }
    let files: BTreeSet<&PathBuf> = runs.iter().flat_map(|run| run.written.keys()).collect();
    files.into_iter().find_map(|file| {
        let name = file.display().to_string();
        match runs.map(|run| run.written.get(file)) {
            [Some(here), Some(elsewhere)] => (here != elsewhere)
                .then(|| format!("its build script wrote a different {}", shown_difference(&name, here, elsewhere))),
            [here, _] => {
                let which = if here.is_some() { "here" } else { "elsewhere" };
                Some(format!("its build script wrote {name} only {which}"))
            }
        }
    })
}

fn shown(line: &str) -> &str {
    &line[..line.floor_char_boundary(SHOWN)]
}

/// The lines of a build script's output that cargo acts on.
fn instructions(output: &[u8]) -> BTreeSet<String> {
    let output = String::from_utf8_lossy(output).into_owned();
    let is_important = |line: &&str| {
        let instruction = line.strip_prefix("cargo::").or(line.strip_prefix("cargo:"));
        instruction.is_some_and(|text| !UNIMPORTANT.iter().any(|start| text.starts_with(start)))
    };
    output.lines().filter(is_important).map(Into::into).collect()
}

/// The bytes with names in place of the directories that differ between the builds.
fn renamed(mut bytes: Vec<u8>, run: &Path, directories: &[PathBuf]) -> Vec<u8> {
    let names = directories.iter().enumerate().map(|(number, directory)| (&**directory, format!("/{number}")));
    let mut names: Vec<(&Path, String)> = names.chain([(run, "/run".to_owned())]).collect();
    names.sort_by_key(|(directory, _)| std::cmp::Reverse(directory.as_os_str().len()));
    for (directory, name) in names {
        let directory = directory.as_os_str().as_encoded_bytes();
        let mut new = Vec::with_capacity(bytes.len());
        let mut from = 0;
        for at in memmem::find_iter(&bytes, directory) {
            new.extend_from_slice(&bytes[from..at]);
            new.extend_from_slice(name.as_bytes());
            from = at + directory.len();
        }
        new.extend_from_slice(&bytes[from..]);
        bytes = new;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    const TRIPLE: &str = "x86_64-unknown-linux-musl";

    fn krate(name: &str, uses: &[&str]) -> Crate {
        let depends_on = uses.iter().map(|id| (*id).to_owned()).collect();
        Crate {
            id: name.into(),
            name: name.into(),
            version: "1.2.3".into(),
            linked: true,
            depends_on,
            ..Crate::default()
        }
    }

    /// The causes that are found for two builds of these crates with these files in their target directories.
    fn causes_of(crates: &[Crate], files: [&[(&str, &str)]; 2]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let builds = [0, 1].map(|side| {
            let target = directory.path().join(["here", "else where"][side]);
            for (file, text) in files[side] {
                let file = target.join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text.replace("TARGET", &target.to_string_lossy())).unwrap();
            }
            Left::of(&target, TRIPLE, slice::from_ref(&target))
        });
        causes("function", crates, builds.each_ref())
    }

    #[test]
    fn a_build_script_that_reports_different_times_is_named_with_both() {
        let output = format!("{TRIPLE}/release/build/stamp-0123/output");
        let [here, elsewhere] = ["1", "2"].map(|day| {
            format!(
                "NUM_JOBS={day}\ncargo::rerun-if-changed={day}\ncargo::rustc-env=DAY={day}\ncargo:root=TARGET/out\n"
            )
        });
        let causes = causes_of(&[krate("stamp", &[])], [&[(&output, &here)], &[(&output, &elsewhere)]]);
        let expected = "stamp 1.2.3: its build script told cargo\n    here:      cargo::rustc-env=DAY=1\n    \
                        elsewhere: cargo::rustc-env=DAY=2";
        assert_eq!(causes, [expected]);
    }

    #[test]
    fn a_build_script_that_writes_a_different_file_is_named_even_if_its_directory_has_another_name() {
        let files = ["0123", "4567"].map(|hash| {
            ["output", "out/host.rs"].map(|file| format!("{TRIPLE}/release/build/host-name-{hash}/{file}"))
        });
        let causes = causes_of(
            &[krate("host-name", &[])],
            [
                &[(&files[0][0], ""), (&files[0][1], "in TARGET on one")],
                &[(&files[1][0], ""), (&files[1][1], "in TARGET on two")],
            ],
        );
        assert_eq!(causes.len(), 1);
        assert!(
            causes[0]
                .starts_with("host-name 1.2.3: its build script wrote a different host.rs: first difference at byte"),
            "{causes:?}"
        );
        assert!(causes[0].contains("|in /0 on one|") && causes[0].contains("|in /0 on two|"), "{causes:?}");
    }

    #[test]
    fn the_first_crate_that_is_compiled_differently_is_named() {
        let crates = [krate("app", &["my-macro-user"]), krate("my-macro-user", &["same"]), krate("same", &[])];
        let file = |name: &str| format!("{TRIPLE}/release/deps/lib{name}-0123.rlib");
        let files = ["app", "my_macro_user", "same"].map(file);
        let side = |text: &'static str| [(&*files[0], text), (&*files[1], text), (&*files[2], "same")];
        let causes = causes_of(&crates, [&side("1"), &side("2")]);
        assert_eq!(causes.len(), 1);
        assert!(causes[0].starts_with("my-macro-user 1.2.3: its compiled code differs"), "{causes:?}");
    }

    #[test]
    fn paths_of_the_builds_and_output_of_compilers_are_not_causes() {
        let file = |name: &str| format!("{TRIPLE}/release/build/zlib-0123/{name}");
        let files = ["output", "out/lib/libz.a", "out/pc"].map(file);
        let side = |text: &'static str| {
            [(&*files[0], "cargo:root=TARGET/a"), (&*files[1], text), (&*files[2], "prefix=TARGET")]
        };
        let causes = causes_of(&[krate("zlib", &[])], [&side("1"), &side("2")]);
        assert!(causes.iter().all(|cause| !cause.contains("zlib")), "{causes:?}");
    }

    #[test]
    fn if_no_crate_differs_the_function_itself_is_named() {
        let file = format!("{TRIPLE}/release/deps/libsame-0123.rlib");
        let side = [(&*file, "same")];
        let causes = causes_of(&[krate("same", &[])], [&side, &side]);
        assert!(causes.len() == 1 && causes[0].starts_with("function itself, because no crate"), "{causes:?}");
    }
}
