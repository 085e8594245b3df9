//! C libraries that crates link, and explanations for builds that do not find one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::crates::Crate;
use crate::image::PREFIX;

/// Libraries that libc, the compiler or rustc itself provides.
pub const OF_THE_TOOLCHAIN: [&str; 20] = [
    "c", "m", "pthread", "rt", "dl", "util", "resolv", "crypt", "xnet", "gcc", "gcc_s", "gcc_eh", "unwind", "atomic",
    "stdc++", "supc++", "c++", "c++abi", "ssp", "ssp_nonshared",
];

/// The directories where the build machine or the base image keeps libraries for its own libc.
const OF_THE_HOST: [&str; 6] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew"];

/// Words in the names of features that make a crate compile its own library.
const BUNDLED: [&str; 3] = ["bundled", "vendored", "static"];

/// The texts before the name of a missing library in the errors of GNU's linker, LLVM's linker, zig (two) and rustc.
const NOT_FOUND: [&str; 5] = [
    "cannot find -l",
    "unable to find library -l",
    "unable to find dynamic system library '",
    "unable to find static system library '",
    "could not find native static library `",
];

/// The texts before the name of an undefined symbol in errors of LLVM's linker and GNU's.
const UNDEFINED: [&str; 2] = ["undefined symbol: ", "undefined reference to `"];

/// Functions that glibc also defines with the suffix 64.
const OF_FILES: [&str; 10] =
    ["fopen", "freopen", "fseeko", "fstat", "ftruncate", "lseek", "mmap", "open", "pread", "pwrite"];

/// Names of the programs with which build scripts look for system libraries.
const SEARCHES: [&str; 4] = ["pkg-config", "pkg_config", "PKG_CONFIG", "pg_config"];

/// Explains the output of a failed build, and prepares for the next one.
pub fn failed(crates: &[Crate], said: &str, triple: &str) -> Option<String> {
    let why = explain(crates, said, triple)?;
    forget_scripts(crates);
    Some(why)
}

/// Explains the output of a failed build if a crate needs a system library, which no function can link.
fn explain(crates: &[Crate], said: &str, triple: &str) -> Option<String> {
    const SCRIPT: &str = "failed to run custom build command for `";
    if let Some((_, rest)) = said.split_once(SCRIPT) {
        SEARCHES.iter().any(|program| rest.contains(program)).then_some(())?;
        let mut words = rest.split([' ', '`']);
        let (name, version) = (words.next()?, words.next()?.trim_start_matches('v'));
        let krate = crates.iter().find(|krate| krate.name == name && krate.version == version)?;
        let library = match said.split_once("_NO_PKG_CONFIG") {
            Some((before, _)) => format!(
                "the library {} on this machine",
                before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_lowercase()
            ),
            None => "a library on this machine".into(),
        };
        return Some(format!("{name} {version} looks for {library}{NEVER_LINKED}{}", ways_out(krate)));
    }
    let not_found: BTreeSet<&str> = NOT_FOUND.iter().flat_map(|start| said.split(start).skip(1)).map(name_in).collect();
    if not_found.is_empty() && !said.contains("linking with") {
        return None;
    }
    let mut missing = missing(crates);
    if not_found.is_empty() {
        // The linker has found the libraries of all crates that look outside of the host's directories.
        let is_of_host = |path: &String| is_of_host(directory(path));
        missing.retain(|(krate, _)| krate.script.iter().any(|script| script.paths.iter().any(is_of_host)));
    }
    let unclaimed: Vec<&str> =
        not_found.into_iter().filter(|name| missing.iter().all(|(_, library)| library != name)).collect();
    let texts = missing.iter().map(|(krate, library)| {
        let Crate { name, version, .. } = krate;
        let wants =
            format!("{name} {version} needs the library {library}, and there is no lib{library}.a for {triple}");
        format!("{wants}{NEVER_LINKED}{}", ways_out(krate))
    });
    match missing.is_empty() {
        false => Some(texts.collect::<Vec<_>>().join("\n")),
        true if unclaimed.is_empty() => compiled_for_glibc(said),
        true => Some(format!("these libraries have no static archive for {triple}: {}", unclaimed.join(", "))),
    }
}

/// Explains undefined symbols that only glibc defines: those of its fortified functions, of its parsers and of large files.
fn compiled_for_glibc(said: &str) -> Option<String> {
    let mut symbols = UNDEFINED.iter().flat_map(|start| said.split(start).skip(1)).map(name_in);
    let is_of_glibc = |name: &&str| {
        let is_of_files = name.strip_suffix("64").is_some_and(|name| OF_FILES.contains(&name));
        name.starts_with("__") && name.ends_with("_chk") || name.starts_with("__isoc") || is_of_files
    };
    let symbol = symbols.find(is_of_glibc)?;
    Some(format!(
        "a static archive was compiled for glibc, which defines {symbol}; compile it for musl, for example with the musl-gcc \
         that `cargo lambda-musl toolchain` creates"
    ))
}

fn name_in(text: &str) -> &str {
    text.split(|c: char| c.is_whitespace() || "'`:,".contains(c)).next().unwrap_or_default()
}

/// The library's name in an argument of rustc's `-l`, without kind, modifiers or rename: `z` in `static:+whole-archive=z`.
pub fn library(argument: &str) -> &str {
    let name = argument.split_once('=').map_or(argument, |(_kind, name)| name);
    name.split(':').next().unwrap_or_default()
}

/// The directory in an argument of rustc's `-L`.
pub fn directory(argument: &str) -> &Path {
    Path::new(argument.split_once('=').filter(|(kind, _)| !kind.contains('/')).map_or(argument, |(_, path)| path))
}

/// Whether the libraries in a directory are for the build machine's libc.
pub fn is_of_host(directory: &Path) -> bool {
    OF_THE_HOST.iter().any(|host| directory.starts_with(host))
}

/// The libraries without an archive in any directory named by a build script, and the crates that need them. The host's own
/// directories do not count, because nothing in them is linked.
fn missing(crates: &[Crate]) -> Vec<(&Crate, &str)> {
    let scripts = || crates.iter().filter_map(|krate| Some((krate, krate.script.as_ref()?)));
    let paths: Vec<&Path> = scripts().flat_map(|(_, script)| &script.paths).map(|path| directory(path)).collect();
    let is_there = |name: &str| {
        let mut directories = paths.iter().filter(|path| !is_of_host(path));
        let files = [format!("lib{name}.a"), name.to_owned()];
        // The prefix is in the image, not on this machine; it is assumed to contain the library.
        directories.any(|path| path.starts_with(PREFIX) || files.iter().any(|file| path.join(file).is_file()))
    };
    let wanted = scripts().flat_map(|(krate, script)| script.libraries.iter().map(move |library| (krate, library)));
    let wanted = wanted.filter(|(_, argument)| !argument.starts_with("framework="));
    let wanted = wanted.map(|(krate, argument)| (krate, library(argument)));
    let mut missing: Vec<_> = wanted.filter(|(_, name)| !OF_THE_TOOLCHAIN.contains(name) && !is_there(name)).collect();
    missing.dedup_by_key(|(krate, library)| (&krate.id, *library));
    missing
}

const NEVER_LINKED: &str = "; libraries installed on this machine are for a different libc and are never linked.\n";

/// What a user can do about a crate that needs a library.
fn ways_out(krate: &Crate) -> String {
    let Crate { name, version, .. } = krate;
    let feature = BUNDLED.iter().find_map(|word| {
        let features = krate.features.iter().filter(|feature| feature.contains(word));
        features.min_by_key(|feature| (feature.len(), feature.as_str()))
    });
    let by_feature = feature.map(|feature| {
        format!(
            "  The {feature} feature of {name} compiles the library; in the function's Cargo.toml:\n    \
             [dependencies]\n    {name} = {{ version = \"{version}\", features = [\"{feature}\"] }}\n  Then run \
             `cargo update --workspace`. Or compile"
        )
    });
    let (what, variables) = match variable(krate) {
        Some(variable) => ("it", format!("{variable} = {{ value = \"lib\", relative = true }}")),
        None => (
            "it and its .pc file",
            "PKG_CONFIG_ALLOW_CROSS = \"1\"\n    PKG_CONFIG_PATH = { value = \"lib\", relative = true }".into(),
        ),
    };
    format!(
        "{} the library as a static archive for musl, put {what} into the directory lib of the package, and add to the \
         package's .cargo/config.toml:\n    [env]\n    {variables}",
        by_feature.unwrap_or_else(|| "  Compile".into())
    )
}

/// The variable from which a crate's build script reads the directory of its library: one that the script declares or
/// contains, and whose name is a part of the crate's, because a script can also read the variables of other libraries.
fn variable(krate: &Crate) -> Option<String> {
    let output = krate.script.as_ref().map(|script| script.out.with_file_name("output")).unwrap_or_default();
    let files = [output, krate.directory.join("build.rs"), krate.directory.join("build/main.rs")];
    let texts: Vec<String> = files.iter().flat_map(fs::read_to_string).collect();
    let is_of_a_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let mut words = texts.iter().flat_map(|text| text.split(|c: char| !is_of_a_name(c)));
    let letters = |text: &str| text.replace(['-', '_'], "").to_lowercase();
    let own = letters(krate.name.trim_end_matches("-sys").trim_end_matches("_sys"));
    let is_own = |word: &&str| {
        let library = word.strip_suffix("_LIB_DIR").map(letters).unwrap_or_default();
        let library = library.strip_prefix("lib").unwrap_or(&library);
        !library.is_empty() && own.contains(library)
    };
    words.find(is_own).map(Into::into)
}

/// Makes Cargo repeat the build scripts that found no library. Not every script declares the variables that it reads, so after
/// the user has set one, Cargo would use the script's old output.
fn forget_scripts(crates: &[Crate]) {
    for script in missing(crates).iter().filter_map(|(krate, _)| krate.script.as_ref()) {
        let _ = fs::remove_file(script.out.with_file_name("output"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Script;

    const TRIPLE: &str = "x86_64-unknown-linux-musl";
    const FAILED: &str = "error: linking with `zig` failed: exit status: 1";

    fn pq(libraries: &[&str], paths: &[&str]) -> Crate {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Crate {
            name: "pq-sys".into(),
            version: "0.7.2".into(),
            features: texts(&["default", "bundled_without_openssl", "bundled"]),
            script: Some(Script { libraries: texts(libraries), paths: texts(paths), ..Script::default() }),
            ..Crate::default()
        }
    }

    #[test]
    fn a_library_of_the_host_is_not_used_and_the_crate_and_its_feature_are_named() {
        for library in ["pq", "dylib=pq", "static:-bundle=pq"] {
            let crates =
                [pq(&[library, library, "pthread", "framework=Security"], &["native=/usr/lib/x86_64-linux-gnu"])];
            let text = explain(&crates, FAILED, TRIPLE).unwrap();
            for expected in [
                "pq-sys 0.7.2 needs the library pq, and there is no libpq.a for x86_64-unknown-linux-musl",
                "pq-sys = { version = \"0.7.2\", features = [\"bundled\"] }",
                "PKG_CONFIG_PATH",
            ] {
                assert!(text.contains(expected), "{text}");
            }
            assert_eq!(text.matches("needs the library").count(), 1, "{text}");
            assert!(!text.contains("pthread") && !text.contains("Security"), "{text}");
        }
    }

    #[test]
    fn a_library_that_a_build_script_compiled_or_that_is_in_the_prefix_is_not_missing() {
        let out = tempfile::tempdir().unwrap();
        fs::write(out.path().join("libpq.a"), "").unwrap();
        for path in [out.path().to_str().unwrap(), &format!("native={}", out.path().display()), "/opt/lambda-musl/lib"]
        {
            assert_eq!(explain(&[pq(&["pq"], &[path])], FAILED, TRIPLE), None);
        }
    }

    #[test]
    fn another_failure_is_not_explained_by_a_library() {
        let crates = [pq(&["pq"], &[])];
        assert_eq!(explain(&crates, "error[E0308]: mismatched types", TRIPLE), None);
        assert_eq!(explain(&crates, &format!("{FAILED}\nundefined symbol: f"), TRIPLE), None);
        let said = "error: failed to run custom build command for `pq-sys v0.7.2`\n  thread main panicked: no bison";
        assert_eq!(explain(&crates, said, TRIPLE), None);
    }

    #[test]
    fn the_library_that_a_build_script_asks_pkg_config_for_is_named() {
        let krate = Crate { name: "udev".into(), version: "1.0.0".into(), ..Crate::default() };
        let said = "error: failed to run custom build command for `udev v1.0.0`\n\n  --- stdout\n  \
                    cargo:rerun-if-env-changed=LIBUDEV_NO_PKG_CONFIG\n  --- stderr\n  pkg-config has not been";
        let text = explain(&[krate], said, TRIPLE).unwrap();
        assert!(text.starts_with("udev 1.0.0 looks for the library libudev on this machine; "), "{text}");
    }

    #[test]
    fn a_build_script_that_looks_for_a_system_library_is_named_with_the_variable_that_it_reads() {
        let directory = tempfile::tempdir().unwrap();
        let script = "const SYS_LIB_DIR: &str = env!(\"OPENSSL_LIB_DIR\"); fn main() { env::var(\"PQ_LIB_DIR\"); }";
        fs::write(directory.path().join("build.rs"), script).unwrap();
        let krate = Crate { directory: directory.path().into(), script: None, features: Vec::new(), ..pq(&[], &[]) };
        let said =
            "error: failed to run custom build command for `pq-sys v0.7.2`\n\nCaused by:\n  pkg-config has not been";
        let text = explain(&[krate], said, TRIPLE).unwrap();
        assert!(text.starts_with("pq-sys 0.7.2 looks for a library on this machine; "), "{text}");
        assert!(
            text.contains("PQ_LIB_DIR = { value = \"lib\", relative = true }") && !text.contains("feature"),
            "{text}"
        );
    }

    #[test]
    fn an_archive_that_was_compiled_for_glibc_is_recognized_by_its_symbols() {
        for symbol in ["__memcpy_chk", "__isoc99_sscanf", "pwrite64"] {
            for said in [format!("lld: undefined symbol: {symbol}\n"), format!("undefined reference to `{symbol}'\n")] {
                let text = explain(&[], &format!("{FAILED}\n{said}"), TRIPLE).unwrap();
                assert!(text.contains(&format!("compiled for glibc, which defines {symbol}; ")), "{text}");
            }
        }
        for symbol in ["f", "__stack_chk_fail", "base64", "x_chk"] {
            assert_eq!(explain(&[], &format!("{FAILED}\nundefined symbol: {symbol}\n"), TRIPLE), None, "{symbol}");
        }
    }

    #[test]
    fn a_library_that_only_the_code_names_is_taken_from_the_linkers_message() {
        for said in [
            "ld: cannot find -lmagic: No such file",
            "rust-lld: error: unable to find library -lmagic",
            "error: unable to find dynamic system library 'magic' using strategy",
            "error: could not find native static library `magic`, perhaps an -L flag is missing?",
        ] {
            let text = explain(&[], said, TRIPLE).unwrap();
            assert!(
                text.ends_with("these libraries have no static archive for x86_64-unknown-linux-musl: magic"),
                "{text}"
            );
        }
    }
}
