//! The C and C++ libraries that were compiled by build scripts, and those that the linker adds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use memchr::memmem;
use object::read::archive::ArchiveFile;
use walkdir::{DirEntry, WalkDir};

use super::Part;
use super::licences::is_licence;
use crate::crates::Crate;
use crate::natives::{OF_THE_TOOLCHAIN, directory, is_of_host, library};
use crate::rust::Rust;

/// A library that vulnerability scanners know.
struct Known {
    name: &'static str,
    /// The names by which linkers know it, if they differ from `name`.
    libraries: &'static [&'static str],
    /// Its vendor and name in <https://nvd.nist.gov/products/cpe>; empty if it is not listed there.
    product: &'static str,
    /// The prefix of the macros that define its version, as in `ZLIB_VERSION "1.3.1"` or `LZMA_VERSION_MAJOR 5`.
    macros: &'static str,
}

const fn known(
    name: &'static str, libraries: &'static [&'static str], product: &'static str, macros: &'static str,
) -> Known {
    Known { name, libraries, product, macros }
}

const KNOWN: [Known; 38] = [
    known("aws-lc", &["aws_lc_crypto", "aws_lc_ssl"], "amazon:aws-lc", "AWSLC_VERSION_NUMBER_STRING"),
    known("brotli", &["brotlicommon", "brotlidec", "brotlienc"], "google:brotli", ""),
    known("bzip2", &["bz2"], "bzip:bzip2", ""),
    known("c-ares", &["cares"], "c-ares:c-ares", "ARES_VERSION_STR"),
    known("curl", &[], "haxx:libcurl", "LIBCURL"),
    known("duckdb", &[], "duckdb:duckdb", ""),
    known("expat", &[], "libexpat_project:libexpat", "XML"),
    known("freetype", &["freetype2"], "freetype:freetype", "FREETYPE"),
    known("jemalloc", &["jemalloc_pic"], "jemalloc:jemalloc", ""),
    known("libgit2", &["git2"], "libgit2:libgit2", "LIBGIT2"),
    known("libjpeg-turbo", &["jpeg", "turbojpeg"], "libjpeg-turbo:libjpeg-turbo", ""),
    known("libpng", &["png", "png16"], "libpng:libpng", "PNG_LIBPNG"),
    known("libsodium", &["sodium"], "libsodium:libsodium", "SODIUM"),
    known("libssh2", &["ssh2"], "libssh2:libssh2", "LIBSSH2"),
    known("libuv", &["uv", "uv_a"], "libuv:libuv", "UV"),
    known("libwebp", &["webp"], "webmproject:libwebp", ""),
    known("libxml2", &["xml2"], "xmlsoft:libxml2", "LIBXML_DOTTED"),
    known("lmdb", &[], "", "MDB"),
    known("lua", &["lua5.1", "lua5.2", "lua5.3", "lua5.4"], "lua:lua", "LUA"),
    known("luajit", &[], "luajit:luajit", ""),
    known("lz4", &[], "lz4_project:lz4", "LZ4"),
    known("mbedtls", &["mbedcrypto", "mbedx509"], "arm:mbed_tls", "MBEDTLS"),
    known("mimalloc", &[], "microsoft:mimalloc", ""),
    known("musl", &[], "musl-libc:musl", ""),
    known("nghttp2", &[], "nghttp2:nghttp2", "NGHTTP2"),
    known("oniguruma", &["onig"], "oniguruma_project:oniguruma", "ONIGURUMA"),
    known("OpenSSL", &["ssl", "crypto"], "openssl:openssl", ""),
    known("pcre", &[], "pcre:pcre", "PCRE"),
    known("pcre2", &["pcre2-8"], "pcre:pcre2", "PCRE2"),
    known("postgresql", &["pq"], "postgresql:postgresql", "PG"),
    known("librdkafka", &["rdkafka"], "", ""),
    known("rocksdb", &[], "facebook:rocksdb", ""),
    known("snappy", &[], "google:snappy", ""),
    known("sqlite", &["sqlite3"], "sqlite:sqlite", "SQLITE"),
    known("xz", &["lzma"], "tukaani:xz", "LZMA"),
    known("zlib", &["z"], "zlib:zlib", "ZLIB"),
    known("zlib-ng", &["z-ng"], "", "ZLIBNG"),
    known("zstd", &[], "facebook:zstandard", "ZSTD"),
];

/// The vendor and name by which scanners find a library's vulnerabilities.
pub fn product(name: &str) -> Option<&'static str> {
    KNOWN.iter().find(|known| known.name == name).map(|known| known.product).filter(|product| !product.is_empty())
}

/// A static archive, the crate that compiled it, and the ids of the crates that link it.
struct Archive<'a> {
    library: String,
    path: PathBuf,
    owner: Option<&'a Crate>,
    linked_by: BTreeSet<String>,
}

/// The libraries that linked crates link, except for the toolchain's and those in `without`. No two have the same name and
/// version.
pub fn libraries(crates: &[Crate], without: &[Part]) -> Vec<Part> {
    let mut parts: BTreeMap<(String, Option<String>), Part> = BTreeMap::new();
    for archive in archives(crates) {
        for part in parts_of(&archive, crates) {
            if without.iter().any(|other| other.name == part.name) {
                continue;
            }
            let key = (part.name.clone(), part.version.clone());
            let known = parts.entry(key).or_insert_with(|| Part { linked_by: BTreeSet::new(), ..part.clone() });
            known.linked_by.extend(part.linked_by);
            known.texts.extend(part.texts);
            known.texts.sort();
            known.texts.dedup();
        }
    }
    parts.into_values().collect()
}

fn archives(crates: &[Crate]) -> Vec<Archive<'_>> {
    let scripts = || crates.iter().filter_map(|krate| Some((krate, krate.script.as_ref()?)));
    let paths = scripts().flat_map(|(_, script)| &script.paths).map(|path| directory(path));
    let paths: Vec<&Path> = paths.filter(|path| !is_of_host(path)).collect();
    let mut archives: BTreeMap<PathBuf, Archive> = BTreeMap::new();
    for (krate, script) in scripts().filter(|(krate, _)| krate.linked) {
        let names = script.libraries.iter().map(|argument| library(argument));
        for name in names.filter(|name| !OF_THE_TOOLCHAIN.contains(name)) {
            let file = format!("lib{name}.a");
            // The crate's own directories come first, because two crates can have libraries with the same name.
            let own = script.paths.iter().map(|path| directory(path)).filter(|path| !is_of_host(path));
            let mut files = own.chain(paths.iter().copied()).map(|directory| directory.join(&file));
            let Some(path) = files.find(|path| path.is_file()) else { continue };
            // Output directories are searched first, because a package's directory can contain the target directory,
            // with the libraries of other crates.
            let compiled = scripts().find(|(_, script)| path.starts_with(&script.out)).map(|(owner, _)| owner);
            let owner = compiled.or_else(|| crates.iter().find(|owner| path.starts_with(&owner.directory)));
            let new = || Archive { library: name.into(), path: path.clone(), owner, linked_by: BTreeSet::new() };
            archives.entry(path.clone()).or_insert_with(new).linked_by.insert(krate.id.clone());
        }
    }
    archives.into_values().collect()
}

/// The library that an archive is for, and other libraries whose sources were compiled into it.
fn parts_of(archive: &Archive, crates: &[Crate]) -> Vec<Part> {
    let packages = archive.owner.map(|owner| {
        let is_source = |krate: &&Crate| owner.depends_on.contains(&krate.id) && krate.name.ends_with("-src");
        [owner].into_iter().chain(crates.iter().filter(is_source)).collect::<Vec<_>>()
    });
    let packages = packages.unwrap_or_default();
    let stems = fs::read(&archive.path).map(|bytes| stems(&bytes)).unwrap_or_default();
    let sources = packages.iter().map(|krate| sources(&krate.directory, &stems)).max_by_key(|sources| sources.len());
    let sources = sources.unwrap_or_default();
    let by_library = |name: &str| {
        // aws-lc includes its version in the name: aws_lc_0_38_0_crypto.
        let name: Vec<&str> = name.split('_').filter(|word| !word.starts_with(|c: char| c.is_ascii_digit())).collect();
        let name = name.join("_");
        KNOWN.iter().find(|known| known.name == name || known.libraries.contains(&&*name))
    };
    let of_sources: Vec<_> = sources.iter().map(|directory| (directory, by_directory(directory, &packages))).collect();
    let main = of_sources.first().and_then(|(_, known)| *known).or_else(|| by_library(&archive.library));
    let name = main.map_or(&*archive.library, |known| known.name);
    let licence = archive.owner.and_then(|owner| owner.licence.as_deref()).filter(|_| sources.is_empty());
    let (others, own): (Vec<_>, Vec<_>) =
        of_sources.iter().partition(|(_, known)| known.is_some_and(|known| known.name != name));
    let part = |name: &str, version: Option<String>, texts: Vec<PathBuf>| Part {
        is_library: true,
        name: name.into(),
        version,
        texts,
        linked_by: archive.linked_by.clone(),
        ..Part::default()
    };
    let named = packages.iter().find_map(|krate| of_metadata(krate, &[name, &archive.library]));
    let directories: Vec<PathBuf> = own.iter().map(|(directory, _)| (*directory).clone()).collect();
    let version = named.or_else(|| directories.iter().find_map(|directory| of_sources_version(directory, main)));
    let version = version.or_else(|| packages.iter().find_map(|krate| of_header(&krate.directory, main)));
    let own = Part { licence: licence.map(Into::into), ..part(name, version, directories) };
    let others = others.into_iter().filter_map(|(directory, known)| {
        Some(part(known?.name, of_sources_version(directory, known), vec![directory.clone()]))
    });
    [own].into_iter().chain(others).collect()
}

/// The names of the sources of an archive's members: `adler32` for `0af7afa8371890fd-adler32.o`.
fn stems(archive: &[u8]) -> BTreeSet<String> {
    let members = ArchiveFile::parse(archive).ok().into_iter().flat_map(|archive| archive.members().flatten());
    let stem = |name: &[u8]| {
        let name = String::from_utf8_lossy(name);
        let name = name.rsplit('/').next().unwrap_or_default();
        let is_hash = |start: &str| start.len() == 16 && start.bytes().all(|byte| byte.is_ascii_hexdigit());
        let name = name.split_once('-').filter(|(start, _)| is_hash(start)).map_or(name, |(_, name)| name);
        name.split('.').next().unwrap_or_default().to_owned()
    };
    members.map(|member| stem(member.name())).filter(|stem| !stem.is_empty()).collect()
}

/// The directories of a package that have their own licence and contain any of these sources, the one with the most of them first.
fn sources(package: &Path, stems: &BTreeSet<String>) -> Vec<PathBuf> {
    let mut found: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    let mut licensed: BTreeMap<PathBuf, Option<PathBuf>> = BTreeMap::new();
    for path in files(package) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_source = path.extension().is_some_and(|end| SOURCES.iter().any(|source| end == *source));
        let Some(parent) = path.parent().filter(|_| is_source && stems.contains(&stem)) else { continue };
        let nearest = licensed.entry(parent.into()).or_insert_with(|| nearest_licence(parent, package));
        if let Some(directory) = nearest {
            found.entry(directory.clone()).or_default().insert(stem);
        }
    }
    let mut directories = Vec::new();
    // Two libraries can have files with the same name, so the next directory is always the one with the most sources
    // that no directory before it contains.
    while let Some((directory, explained)) = found.iter().max_by_key(|(_, stems)| stems.len()) {
        let (directory, explained) = (directory.clone(), explained.clone());
        directories.push(directory.clone());
        found.remove(&directory);
        found.values_mut().for_each(|stems| stems.retain(|stem| !explained.contains(stem)));
        found.retain(|_, stems| !stems.is_empty());
    }
    directories
}

/// The files below a directory, in order, except for those of cargo's target directory and of git.
fn files(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let is_kept_there = |entry: &DirEntry| {
        let is_target = entry.depth() == 1 && entry.file_name() == "target";
        is_target || entry.file_name() == ".git" || entry.path().join("CACHEDIR.TAG").exists()
    };
    let is_source = move |entry: &DirEntry| !(entry.file_type().is_dir() && is_kept_there(entry));
    let entries = WalkDir::new(directory).sort_by_file_name().into_iter().filter_entry(is_source).flatten();
    entries.filter(|entry| entry.file_type().is_file()).map(DirEntry::into_path)
}

const SOURCES: [&str; 8] = ["c", "cc", "cpp", "cxx", "S", "s", "asm", "m"];

/// The nearest directory that contains a licence, from this one upwards, except for the package's own directory.
fn nearest_licence(directory: &Path, package: &Path) -> Option<PathBuf> {
    let above = directory.ancestors().take_while(|directory| *directory != package);
    let has_licence = |directory: &&Path| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.path().is_file() && is_licence(&entry.file_name().to_string_lossy()))
    };
    above.into_iter().find(has_licence).map(Into::into)
}

/// The library that a directory below one of these packages is named after, as in `xz-5.2/src/liblzma`.
fn by_directory(directory: &Path, packages: &[&Crate]) -> Option<&'static Known> {
    let below = packages.iter().find_map(|krate| directory.strip_prefix(&krate.directory).ok())?;
    let names = below.components().map(|part| part.as_os_str().to_string_lossy().to_lowercase());
    let names: Vec<String> = names.map(|name| without_version(&name).0.to_owned()).collect();
    names.iter().rev().find_map(|name| KNOWN.iter().find(|known| known.name.eq_ignore_ascii_case(name)))
}

/// The name and the version in a name such as `bzip2-1.0.8`. A version with fewer than three numbers is left out.
fn without_version(name: &str) -> (&str, Option<&str>) {
    let Some((name, version)) = name.rsplit_once('-').filter(|(_, end)| end.starts_with(|c: char| c.is_ascii_digit()))
    else {
        return (name, None);
    };
    (name, Some(version).filter(|version| version.matches('.').count() > 1))
}

/// The library's version after the plus sign of a crate's version, if it belongs to a library with one of these names:
/// `1.5.7` in `2.0.16+zstd.1.5.7`.
fn of_metadata(krate: &Crate, names: &[&str]) -> Option<String> {
    let (_, metadata) = krate.version.split_once('+')?;
    let start = metadata.find(|c: char| c.is_ascii_digit())?;
    let (before, version) = metadata.split_at(start);
    let texts = [before.to_lowercase(), krate.name.replace('_', "-")];
    let is_named = names.iter().any(|name| texts.iter().any(|text| text.contains(&name.to_lowercase())));
    // Everything from a hyphen on is the rest of the output of `git describe`.
    let version = version.split('-').next().unwrap_or_default();
    (is_named && version.contains('.')).then(|| version.to_owned())
}

fn of_sources_version(directory: &Path, known: Option<&Known>) -> Option<String> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    without_version(&name).1.map(Into::into).or_else(|| of_header(directory, known))
}

/// The version that a header defines.
fn of_header(directory: &Path, known: Option<&Known>) -> Option<String> {
    let macros = known.map(|known| known.macros).filter(|macros| !macros.is_empty())?;
    let headers = files(directory).filter(|path| path.extension().is_some_and(|end| end == "h"));
    headers.filter_map(|path| fs::read(path).ok()).find_map(|text| {
        memmem::find(&text, macros.as_bytes())?;
        defined(&String::from_utf8_lossy(&text), macros)
    })
}

fn defined(header: &str, macros: &str) -> Option<String> {
    let value = |name: &str| {
        header.lines().find_map(|line| {
            let mut words =
                line.trim_start().strip_prefix('#')?.trim_start().strip_prefix("define")?.split_whitespace();
            words.next().filter(|word| *word == name)?;
            words.next().map(ToOwned::to_owned)
        })
    };
    let is_version = |text: &str| text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.');
    let texts = [format!("{macros}_VERSION"), format!("{macros}_VER_STRING"), macros.to_owned()];
    let mut texts = texts.iter().filter_map(|name| Some(value(name)?.trim_matches('"').to_owned()));
    texts.find(|text| is_version(text)).or_else(|| {
        let number = |word: &str| value(&format!("{macros}_VERSION_{word}")).filter(|text| text.parse::<u32>().is_ok());
        let last = ["PATCH", "RELEASE", "MICRO"].iter().find_map(|word| number(word))?;
        Some(format!("{}.{}.{last}", number("MAJOR")?, number("MINOR")?))
    })
}

/// Whether an unstripped binary contains symbols of the C++ standard library.
fn holds_cpp(binary: &[u8]) -> bool {
    ["\0_ZNSt", "\0_ZSt", "\0_Znwm\0", "\0__gxx_personality_v0\0"]
        .iter()
        .any(|symbol| memmem::find(binary, symbol.as_bytes()).is_some())
}

const LLVM: (&str, &str) = ("https://llvm.org", "Apache-2.0 WITH LLVM-exception");

/// The libraries that zig links in addition to musl: its own routines, and LLVM's libraries, which it compiles.
pub fn of_zig(zig: &Path, version: &str, binary: &[u8]) -> Vec<Part> {
    let lib = zig.join("ziglang/lib");
    let llvm = of_llvm(&fs::read_to_string(lib.join("libcxx/include/__config")).unwrap_or_default());
    let libraries = [("libunwind", "libunwind", true), ("libc++", "libcxx", holds_cpp(binary))];
    let libraries = libraries.into_iter().chain([("libc++abi", "libcxxabi", holds_cpp(binary))]);
    let libraries = libraries.filter(|(.., is_linked)| *is_linked).map(|(name, directory, _)| {
        Part::library(name, &llvm, LLVM.0, LLVM.1, lib.join(directory).join("LICENSE.TXT"))
    });
    let own = Part::library("zig-compiler-rt", version, "https://ziglang.org", "MIT", zig.join("ziglang/LICENSE"));
    [own].into_iter().chain(libraries).collect()
}

/// The version of LLVM in a header of its C++ library, which defines it as a number such as `200100`.
fn of_llvm(header: &str) -> String {
    let number =
        header.lines().find_map(|line| line.split_once("define _LIBCPP_VERSION ")?.1.trim().parse::<u32>().ok());
    number.map_or_else(String::new, |number| format!("{}.{}.{}", number / 10000, number / 100 % 100, number % 100))
}

/// The libraries that gcc links in addition to musl, and the unwinding library that comes with Rust. One of `parts` is
/// gcc.
pub fn of_gcc(parts: &[Part], rust: &Rust, binary: &[u8]) -> Vec<Part> {
    let version = parts.iter().find(|part| part.name == "gcc").and_then(|part| part.version.as_deref());
    let texts = rust.sysroot.join("share/doc/rust/licenses");
    let texts = |names: [&str; 2]| names.iter().map(|name| texts.join(name)).filter(|text| text.is_file()).collect();
    let of_gcc = |name: &str| Part {
        texts: texts(["GPL-3.0-or-later.txt", "GCC-exception-3.1.txt"]),
        ..Part::library(
            name,
            version.unwrap_or_default(),
            "https://gcc.gnu.org",
            "GPL-3.0-or-later WITH GCC-exception-3.1",
            None,
        )
    };
    let libraries = ["libgcc"].into_iter().chain(holds_cpp(binary).then_some("libstdc++"));
    let unwind = Part {
        texts: texts(["Apache-2.0.txt", "LLVM-exception.txt"]),
        ..Part::library("libunwind", &rust.llvm, LLVM.0, LLVM.1, None)
    };
    libraries.map(of_gcc).chain([unwind]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Script;

    /// A crate with these files in its directory, whose build script created an archive with these members.
    fn compiled(
        directory: &Path, crate_name: &str, version: &str, library: &str, files: &[&str], members: &[&str],
    ) -> Crate {
        let package = directory.join(crate_name);
        for file in files {
            let (file, text) = file.split_once(": ").unwrap_or((file, ""));
            fs::create_dir_all(package.join(file).parent().unwrap()).unwrap();
            fs::write(package.join(file), text).unwrap();
        }
        let out = directory.join("target").join(crate_name);
        fs::create_dir_all(&out).unwrap();
        let mut archive = b"!<arch>\n".to_vec();
        for member in members {
            archive
                .extend(format!("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", format!("{member}/"), 0, 0, 0, 644, 0).bytes());
        }
        fs::write(out.join(format!("lib{library}.a")), archive).unwrap();
        Crate {
            id: crate_name.into(),
            name: crate_name.into(),
            version: version.into(),
            linked: true,
            licence: Some("MIT".into()),
            directory: package,
            script: Some(Script {
                libraries: vec![format!("static={library}")],
                paths: vec![format!("native={}", out.display())],
                out,
            }),
            ..Crate::default()
        }
    }

    fn found(krate: Crate) -> Vec<(String, Option<String>, Vec<PathBuf>)> {
        let root = krate.directory.clone();
        let relative = |path: &PathBuf| path.strip_prefix(&root).unwrap().to_owned();
        let parts = libraries(&[krate], &[]);
        parts
            .iter()
            .map(|part| (part.name.clone(), part.version.clone(), part.texts.iter().map(relative).collect()))
            .collect()
    }

    fn part(name: &str, version: &str, texts: &[&str]) -> (String, Option<String>, Vec<PathBuf>) {
        let version = Some(version.to_owned()).filter(|version| !version.is_empty());
        (name.into(), version, texts.iter().map(Into::into).collect())
    }

    #[test]
    fn a_library_is_identified_by_its_sources_and_its_version_by_the_crate_the_header_or_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let compiled = |name, version, library, files: &[&str], members: &[&str]| {
            found(compiled(directory.path(), name, version, library, files, members))
        };
        let zstd = compiled(
            "zstd-sys",
            "2.0.16+zstd.1.5.7",
            "zstd",
            &["LICENSE", "zstd/lib/fse.c", "zstd/LICENSE"],
            &["fse.o"],
        );
        assert_eq!(zstd, [part("zstd", "1.5.7", &["zstd"])]);
        let bzip2 =
            compiled("bzip2-sys", "0.1.13", "bz2", &["bzip2-1.0.8/LICENSE", "bzip2-1.0.8/huffman.c"], &["huffman.o"]);
        assert_eq!(bzip2, [part("bzip2", "1.0.8", &["bzip2-1.0.8"])]);
        let header = "xz-5.2/api/version.h: #define LZMA_VERSION_MAJOR 5\n#define LZMA_VERSION_MINOR 2\n#define LZMA_VERSION_PATCH 5";
        let xz = compiled("lzma-sys", "0.1.20", "lzma", &["xz-5.2/COPYING", "xz-5.2/src/a.c", header], &["a.o"]);
        assert_eq!(xz, [part("xz", "5.2.5", &["xz-5.2"])]);
    }

    #[test]
    fn if_two_libraries_have_files_with_the_same_name_their_other_files_decide() {
        let directory = tempfile::tempdir().unwrap();
        let files = [
            "zlib/LICENSE",
            "zlib/adler32.c",
            "zlib/inflate.c",
            "zlib/zlib.h: #define ZLIB_VERSION \"1.3.1\"",
            "zlib-ng/LICENSE.md",
            "zlib-ng/adler32.c",
            "zlib-ng/insert_string.c",
        ];
        let krate = |members: &[&str]| found(compiled(directory.path(), "libz-sys", "1.1.31", "z", &files, members));
        assert_eq!(krate(&["adler32.o", "inflate.o"]), [part("zlib", "1.3.1", &["zlib"])]);
        assert_eq!(krate(&["adler32.c.o", "insert_string.c.o"]), [part("zlib-ng", "", &["zlib-ng"])]);
    }

    #[test]
    fn a_library_in_the_archive_of_another_is_listed_separately() {
        let directory = tempfile::tempdir().unwrap();
        let files = [
            "libgit2/COPYING",
            "libgit2/src/a.c",
            "libgit2/src/b.c",
            "libgit2/deps/pcre/LICENCE",
            "libgit2/deps/pcre/p.c",
            "libgit2/deps/pcre/pcre.h: #define PCRE_VERSION_MAJOR 8",
        ];
        let members = ["a.o", "b.o", "p.o"];
        let git2 = found(compiled(directory.path(), "libgit2-sys", "0.18.1+1.9.0", "git2", &files, &members));
        assert_eq!(git2, [part("libgit2", "1.9.0", &["libgit2"]), part("pcre", "", &["libgit2/deps/pcre"])]);
    }

    #[test]
    fn a_crates_own_code_is_listed_by_its_library_name_with_the_licence_of_the_crate() {
        let directory = tempfile::tempdir().unwrap();
        let krate =
            compiled(directory.path(), "blake3", "1.8.2", "blake3_avx2", &["LICENSE", "c/blake3.c"], &["blake3.o"]);
        let parts = libraries(&[krate], &[]);
        let parts: Vec<_> = parts.iter().map(|part| (&*part.name, part.licence.as_deref(), part.texts.len())).collect();
        assert_eq!(parts, [("blake3_avx2", Some("MIT"), 0)]);
    }

    #[test]
    fn a_library_that_two_crates_link_is_listed_once_and_not_if_it_is_a_part_already() {
        let directory = tempfile::tempdir().unwrap();
        let files = ["zlib/LICENSE", "zlib/inflate.c"];
        let owner = compiled(directory.path(), "libz-sys", "1.1.31", "z", &files, &["inflate.o"]);
        let script = Script { libraries: vec!["z".into()], out: "/nowhere".into(), ..Script::default() };
        // This crate's directory contains the target directory.
        let around = directory.path().to_owned();
        let other =
            Crate { id: "curl-sys".into(), linked: true, script: Some(script), directory: around, ..Crate::default() };
        let crates = [other, owner];
        let parts = libraries(&crates, &[]);
        assert_eq!(parts.len(), 1);
        assert!(parts[0].linked_by.iter().eq(["curl-sys", "libz-sys"]));
        assert_eq!(parts[0].texts, [directory.path().join("libz-sys/zlib")]);
        assert!(libraries(&crates, &parts).is_empty());
    }

    #[test]
    fn a_version_after_a_plus_sign_belongs_to_the_library_that_the_crate_is_named_after() {
        for (name, version, library, expected) in [
            ("openssl-src", "300.5.5+3.5.5", "openssl", Some("3.5.5")),
            ("librocksdb-sys", "0.17.1+9.9.3", "rocksdb", Some("9.9.3")),
            ("librocksdb-sys", "0.17.1+9.9.3", "snappy", None),
            ("curl-sys", "0.4.83+curl-8.15.0", "curl", Some("8.15.0")),
            ("tikv-jemalloc-sys", "0.6.1+5.3.0-1-ge13ca993e8ccb9ba9847cc330696e02839f328f7", "jemalloc", Some("5.3.0")),
            ("luajit-src", "210.5.12+a4f56a4", "luajit", None),
        ] {
            let krate = Crate { name: name.into(), version: version.into(), ..Crate::default() };
            assert_eq!(of_metadata(&krate, &[library]).as_deref(), expected, "{name} {library}");
        }
    }

    #[test]
    fn a_header_defines_its_version_as_text_or_as_numbers() {
        for (header, macros, expected) in [
            ("#define ZLIB_VERSION \"1.3.1\"\n", "ZLIB", Some("1.3.1")),
            (
                "#  define LZ4_VERSION_MAJOR 1\n#define LZ4_VERSION_MINOR 10\n#define LZ4_VERSION_RELEASE 0\n",
                "LZ4",
                Some("1.10.0"),
            ),
            ("#define PNG_LIBPNG_VER_STRING \"1.6.50\"\n", "PNG_LIBPNG", Some("1.6.50")),
            ("#define ZSTD_VERSION_MAJOR 1\n", "ZSTD", None),
            ("#define ZLIB_VERSION_TEXT \"1.3.1\"\n", "ZLIB", None),
        ] {
            assert_eq!(defined(header, macros).as_deref(), expected, "{header}");
        }
        assert_eq!(of_llvm("#  define _LIBCPP_VERSION 200100\n"), "20.1.0");
    }

    #[test]
    fn cpp_is_recognized_by_its_symbols() {
        assert!(holds_cpp(b"\0__gxx_personality_v0\0") && holds_cpp(b"\0_ZNSt3__112basic_stringE\0"));
        assert!(!holds_cpp(b"\0_ZN3std2io5stdio6_print17h0123456789abcdefE\0__cxa_atexit\0"));
    }
}
