//! zig as the C compiler and the linker of a build. This program runs in zig's place and calls zig, so that every compilation of
//! C and C++ uses the same names, dates and libraries, whichever program starts the compilation.

use std::ffi::{OsStr, OsString};
use std::os::unix::{fs::symlink, process::CommandExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::files::{self, At, identity};
use crate::{arch::Arch, cache, cache::Cache, command::output, environment, names};

/// The variables for the path of the real zig, and for a library to link in addition to zig's own.
const ZIG: &str = "LAMBDA_MUSL_ZIG";
const RUNTIME: &str = "LAMBDA_MUSL_RUNTIME";

/// zig's own variables for the paths of its caches.
pub const CACHES: [&str; 2] = ["ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"];

const CPU_MODEL: &str = include_str!("cpu_model.c");

/// The wrappers for zig and rustc, and the parts of a compiler's runtime library that zig's lacks.
pub struct Tools {
    directory: PathBuf,
    zig: PathBuf,
}

impl Tools {
    /// `zig` is the directory of zig's wheel.
    pub fn prepare(zig: &Path, cache: &Cache) -> Result<Self> {
        let own = env::current_exe().context("cannot determine the path of this program")?;
        let program = zig.join("ziglang/zig");
        let wrapper = files::of_docker("rustc-wrapper");
        // The tools keep their path, because cargo runs build scripts again if the compiler's path changes.
        let parts = [
            own.as_os_str().as_encoded_bytes(),
            program.as_os_str().as_encoded_bytes(),
            CPU_MODEL.as_bytes(),
            wrapper.as_bytes(),
        ];
        let directory = cache.entry(&format!("tools/{}", identity(parts)), |directory| {
            symlink(&own, directory.join("zig")).at(directory)?;
            files::write_program(&directory.join("rustc-wrapper"), wrapper)?;
            let source = directory.join("cpu_model.c");
            fs::write(&source, CPU_MODEL).at(&source)?;
            cache.with_zig(|zig_cache| {
                cache::zig_compiles(zig_cache)?;
                let run = |words: &[&str]| {
                    let mut zig = environment::command(&program);
                    zig.args(words).current_dir(directory);
                    output(zig.envs(CACHES.map(|name| (name, zig_cache)))).map(|_| ())
                };
                let target = format!("-target {}-linux-musl", Arch::X86_64.machine());
                let compile = format!("cc {target} -O2 -g0 -fPIC -c cpu_model.c -o cpu_model.o");
                run(&compile.split(' ').collect::<Vec<_>>())?;
                run(&["ar", "rcsD", "x86_64.a", "cpu_model.o"])
            })
        })?;
        Ok(Self { directory, zig: program })
    }

    /// Makes cargo and cargo-zigbuild call the wrappers.
    pub fn stand_before(&self, cargo: &mut Command, arch: Arch, zig_cache: &Path) {
        // cargo-zigbuild writes scripts that contain the wrapper's path, so the scripts of each wrapper are in their own directory.
        let scripts = zig_cache.join(self.directory.file_name().unwrap_or_default());
        cargo.env("CARGO_ZIGBUILD_CACHE_DIR", scripts);
        cargo.env("CARGO_ZIGBUILD_ZIG_PATH", self.directory.join("zig")).env(ZIG, &self.zig);
        // Otherwise, cargo-zigbuild would prefer a zig that was installed with pip.
        cargo.env("CARGO_ZIGBUILD_PYTHON_PATH", self.directory.join("no-python"));
        cargo.env("RUSTC_WRAPPER", self.directory.join("rustc-wrapper"));
        let runtime = self.directory.join(format!("{}.a", arch.name()));
        cargo.env(RUNTIME, if runtime.exists() { runtime.into_os_string() } else { OsString::new() });
    }
}

/// If this program was called as `zig`, does zig's work for a function.
pub fn stand_in(name: &OsStr, arguments: &[OsString]) -> Option<ExitCode> {
    let zig = env::var_os(ZIG).filter(|_| name == "zig")?;
    let ended = run(&zig, arguments);
    ended.as_ref().map_err(|error| eprintln!("error: {error:#}")).ok();
    Some(ended.unwrap_or(ExitCode::FAILURE))
}

fn run(zig: &OsStr, arguments: &[OsString]) -> Result<ExitCode> {
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let is_text = arguments.iter().all(|word| word.to_str().is_some());
    let is_compiler = words.first().is_some_and(|word| word == "cc" || word == "c++");
    if !is_compiler || !is_text {
        return Err(Command::new(zig).args(arguments).exec().into());
    }
    // cargo-zigbuild preprocesses an empty file in each build, which does not change zig's cache.
    if let Some(directory) = env::var_os(CACHES[1]).filter(|_| words.iter().all(|word| word != "-E")) {
        cache::zig_compiles(Path::new(&directory))?;
    }
    if let Some(option) = words.iter().find(|word| NATIVE.contains(&&***word)) {
        let krate = env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "a program".into());
        bail!(
            "{krate} compiles C with {option}, for the processor of this machine; name a processor instead, as in -march=x86-64-v3"
        );
    }
    let names = env::var(names::VARIABLE).unwrap_or_default();
    let runtime = env::var(RUNTIME).ok().filter(|path| !path.is_empty());
    let call = Call::of(&words[1..]);
    let link = match call.stage {
        Stage::Compile => call.compile(&names),
        Stage::Other => words[1..].to_vec(),
        Stage::Link => {
            // zig compiles its libc again for each set of processor flags in a link, so only the compilations get these flags.
            let work = tempfile::tempdir()?;
            let mut objects = Vec::new();
            for (index, source) in call.sources.iter().enumerate() {
                let object = work.path().join(format!("{index}.o")).to_string_lossy().into_owned();
                let mut compile = Command::new(zig);
                compile.arg(&words[0]).args(call.compile_one(source, &object, &names));
                if !compile.status()?.success() {
                    return Ok(ExitCode::FAILURE);
                }
                objects.push(object);
            }
            let status = Command::new(zig).arg(&words[0]).args(call.link(&objects, runtime.as_deref())).status()?;
            return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    };
    Err(Command::new(zig).arg(&words[0]).args(link).exec().into())
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Compile,
    Link,
    /// The call only queries the compiler.
    Other,
}

/// A call of the compiler with its arguments.
struct Call<'a> {
    stage: Stage,
    words: &'a [String],
    sources: Vec<&'a str>,
}

/// Options that would make a function depend on the build machine's processor.
const NATIVE: [&str; 3] = ["-march=native", "-mcpu=native", "-mtune=native"];

/// Options that stop before linking.
const COMPILING: [&str; 6] = ["-c", "-S", "-E", "-M", "-MM", "-fsyntax-only"];
const ASKING: [&str; 3] = ["--version", "-dumpversion", "-dumpmachine"];

/// Options whose value is the next word.
const WITH_VALUE: [&str; 27] = [
    "-o", "-x", "-I", "-L", "-D", "-U", "-F", "-B", "-T", "-u", "-z", "-e", "-include", "-imacros", "-isystem",
    "-iquote", "-idirafter", "-isysroot", "-target", "-Xclang", "-Xlinker", "-Xassembler", "-Xpreprocessor", "-MF",
    "-MT", "-MQ", "-mllvm",
];
const SOURCES: [&str; 8] = [".c", ".cc", ".cpp", ".cxx", ".c++", ".C", ".S", ".s"];

impl<'a> Call<'a> {
    fn of(words: &'a [String]) -> Self {
        let has = |options: &[&str]| words.iter().any(|word| options.contains(&&**word));
        let sources = Self::inputs(words).filter(|word| SOURCES.iter().any(|end| word.ends_with(end)));
        let sources: Vec<&str> = sources.collect();
        // -x sets the language of the inputs, whatever their names.
        let stage = match () {
            () if has(&COMPILING) => Stage::Compile,
            () if has(&ASKING) || has(&["-x"]) || Self::inputs(words).next().is_none() => Stage::Other,
            () => Stage::Link,
        };
        Self { stage, words, sources }
    }

    /// The arguments that are neither options nor values of options.
    fn inputs(words: &'a [String]) -> impl Iterator<Item = &'a str> {
        let mut is_value = false;
        words.iter().map(String::as_str).filter(move |word| {
            let is_input = !is_value && !word.starts_with('-');
            is_value = !is_value && WITH_VALUE.contains(word);
            is_input
        })
    }

    /// The arguments of a compilation that replaces directories with names. Dates are from SOURCE_DATE_EPOCH.
    fn compile(&self, names: &str) -> Vec<String> {
        let names = names.lines().map(|name| format!("-ffile-prefix-map={name}"));
        self.words.iter().cloned().chain(["-Wno-date-time".into()]).chain(names).collect()
    }

    /// The arguments to compile one of the sources, without those for the linker.
    fn compile_one(&self, source: &str, object: &str, names: &str) -> Vec<String> {
        let mut words = Vec::new();
        let mut rest = self.compile(names).into_iter();
        while let Some(word) = rest.next() {
            let is_of_linker = ["-o", "-L", "-Xlinker", "-T", "-u", "-z", "-e"].contains(&&*word);
            if is_of_linker {
                rest.next();
            } else if WITH_VALUE.contains(&&*word) {
                words.extend([word].into_iter().chain(rest.next()));
            } else if word.starts_with('-')
                && !["-l", "-L", "-Wl,", "-static", "-shared", "-pie", "-rdynamic"]
                    .iter()
                    .any(|start| word.starts_with(start))
            {
                words.push(word);
            }
        }
        words.extend(["-c".into(), source.into(), "-o".into(), object.into()]);
        words
    }

    /// The arguments of the link, with objects in place of sources.
    fn link(&self, objects: &[String], runtime: Option<&str>) -> Vec<String> {
        let mut objects = objects.iter();
        let mut words = Vec::new();
        let mut is_value = false;
        for word in self.words {
            if !is_value && self.sources.contains(&&**word) {
                words.extend(objects.next().cloned());
            } else if !is_value && word == "-Wl,-Bdynamic" {
                // A build script that does not name a kind asks for a dynamic library, which a static program cannot use.
                words.push("-Wl,-Bstatic".into());
            } else if is_value || !word.starts_with("-m") || word == "-mllvm" {
                words.push(word.clone());
            }
            is_value = !is_value && WITH_VALUE.contains(&&**word);
        }
        words.extend(runtime.map(Into::into));
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(Into::into).collect()
    }

    #[test]
    fn a_compilation_replaces_directories_with_names() {
        let words = words("-O2 -c a.c -o a.o");
        let call = Call::of(&words);
        assert_eq!(call.stage, Stage::Compile);
        let expected = "-O2 -c a.c -o a.o -Wno-date-time -ffile-prefix-map=/a=/function -ffile-prefix-map=/a/b=/target";
        assert_eq!(call.compile("/a=/function\n/a/b=/target").join(" "), expected);
    }

    #[test]
    fn processor_flags_apply_to_compilations_and_not_to_the_link() {
        let words = words("-mavx2 -I include -o probe probe.c b.o -lm -target x86_64-linux-musl");
        let call = Call::of(&words);
        assert_eq!((call.stage, &call.sources[..]), (Stage::Link, &["probe.c"][..]));
        let compile = call.compile_one("probe.c", "/tmp/0.o", "").join(" ");
        assert_eq!(compile, "-mavx2 -I include -target x86_64-linux-musl -Wno-date-time -c probe.c -o /tmp/0.o");
        let link = call.link(&["/tmp/0.o".into()], Some("r.a")).join(" ");
        assert_eq!(link, "-I include -o probe /tmp/0.o b.o -lm -target x86_64-linux-musl r.a");
    }

    #[test]
    fn every_library_is_linked_statically() {
        let words = words("a.o -Wl,-Bstatic -lz -Wl,-Bdynamic -lpq -o a");
        assert_eq!(Call::of(&words).link(&[], None).join(" "), "a.o -Wl,-Bstatic -lz -Wl,-Bstatic -lpq -o a");
    }

    #[test]
    fn queries_and_inputs_with_an_explicit_language_are_passed_on_unchanged() {
        for line in ["--version", "-v", "-x c - -o a", "-print-search-dirs"] {
            assert_eq!(Call::of(&words(line)).stage, Stage::Other, "{line}");
        }
        assert_eq!(Call::of(&words("-E -x c -")).stage, Stage::Compile);
    }
}
