//! The deployment package, a zip whose bytes depend on what is in it and on nothing else; and what belongs to it: the
//! symbols, the SBOM, the licences, what built it, and the checksums of all.

mod licences;
mod record;
mod sbom;
pub mod vendored;

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result};
use zip::{CompressionMethod, DateTime, System, ZipWriter, result::ZipResult, write::FullFileOptions};

use crate::cache::{Cache, lock_directory, write_whole};
use crate::files::{At, identity};
use crate::verify::{self, ENTRY_POINT, archive, elf, sha256_hex};
use crate::{build, command::output, crates::Crate, project::Function, rust::Rust};

/// Everything that decides how contents become bytes: this file and the versions of what it calls.
const RECIPE: [&[u8]; 2] = [include_bytes!("mod.rs"), include_bytes!("../../Cargo.lock")];

/// Zopfli's five iterations stand behind deflate's nine levels; more of them save less than a thousandth.
const LEVEL: i64 = 9 + 5;

/// Something that is no crate: a library in the binary, or a tool that made it.
#[derive(Clone, Default)]
pub struct Part {
    pub is_library: bool,
    pub name: String,
    pub version: Option<String>,
    pub sha256: Option<String>,
    pub url: Option<String>,
    pub licence: Option<String>,
    /// Files with the text of the licence, or directories with such files.
    pub texts: Vec<PathBuf>,
    /// The ids of the crates that link it; where there are none, all of the function does.
    pub linked_by: BTreeSet<String>,
}

impl Part {
    pub fn library(name: &str, version: &str, url: &str, licence: &str, text: impl Into<Option<PathBuf>>) -> Self {
        let [version, url, licence] = [version, url, licence].map(|text| Some(text.to_owned()));
        let texts = text.into().into_iter().collect();
        Self { is_library: true, name: name.into(), version, url, licence, texts, ..Self::default() }
    }

    pub fn tool(name: &str, version: &str, url: &str, licence: &str) -> Self {
        Self { is_library: false, ..Self::library(name, version, url, licence, None) }
    }
}

/// A function that was compiled and linked.
pub struct Built<'a> {
    pub function: &'a Function,
    /// As they were built.
    pub crates: Vec<Crate>,
    /// What was linked or used beside the crates and Rust itself.
    pub parts: Vec<Part>,
    pub binary: Vec<u8>,
    /// Directories of the build whose paths may not be in the binary, beside those of the function.
    pub work: Vec<PathBuf>,
}

impl Built<'_> {
    /// Writes the package and what belongs to it into `out`, and says its path, size and checksum.
    pub fn write(mut self, out: &Path, rust: &Rust, cache: &Cache) -> Result<String> {
        let std = "https://github.com/rust-lang/rust";
        let (number, licence) = (rust.version.split(' ').next().unwrap_or_default(), "MIT OR Apache-2.0");
        let text = rust.sysroot.join("share/doc/rust/COPYRIGHT-library.html");
        self.parts.push(Part::library("rust-std", number, std, licence, text));
        self.parts.push(Part::tool("rustc", &rust.version, std, licence));
        self.parts.extend(vendored::libraries(&self.crates, &self.parts));

        let work = cache.temporary("package")?;
        let path = |name: &str| work.path().join(name);
        fs::write(path("linked"), &self.binary)?;
        let record = record::record(&self);
        fs::write(path("note"), verify::origin::note(&record))?;
        let objcopy =
            |options: [&str; 2], to: &str| output(rust.objcopy().args(options).args([path("linked"), path(to)]));
        // Names alone: what zig compiles has paths of this machine among its lines.
        objcopy(["--strip-debug", "--only-keep-debug"], "function.debug")?;
        let note = format!("--add-section={}={}", verify::origin::SECTION, path("note").display());
        objcopy(["--strip-all-gnu", &note], "binary")?;

        let mut roots = build::roots(self.function, &self.crates, rust)?;
        roots.append(&mut self.work);
        elf::check(&path("binary"), self.function.arch, &roots)?;
        let zip = zip(&fs::read(path("binary"))?, cache)?;
        let files = [
            ("build.json", record::build(&self, record)),
            ("function.debug", fs::read(path("function.debug"))?),
            ("function.zip", zip),
            ("licences.txt", licences::licences(&self)?.into_bytes()),
            ("sbom.cdx.json", record::pretty(&sbom::sbom(&self))),
        ];
        let checksums: String = files.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256_hex(bytes))).collect();
        // Of two builds into one directory, the last one leaves all of its files.
        let _lock = lock_directory(out)?;
        // The checksums go first and come last: where they are, the rest is whole.
        let _ = fs::remove_file(out.join("SHA256SUMS"));
        for (name, bytes) in &files {
            write_whole(&out.join(name), bytes)?;
        }
        write_whole(&out.join("SHA256SUMS"), checksums.as_bytes())?;
        Ok(summary(&out.join("function.zip"), &files[2].1))
    }
}

/// An error where a package cannot be written, which is better known before minutes of work.
pub fn check_writable(out: &Path) -> Result<()> {
    let written = || -> Result<()> { Ok(fs::create_dir_all(out).and_then(|()| tempfile::tempfile_in(out).map(drop))?) };
    written().with_context(|| format!("--out {}: expected a directory that can be written", out.display()))
}

/// `package`: a zip of the entry point and a binary.
pub fn run(binary: &Path, path: &Path) -> Result<()> {
    let bytes = verify::read(binary, archive::UNZIPPED)?;
    elf::architecture(&bytes).at(binary)?;
    let zip = zip(&bytes, &Cache::open()?)?;
    write_whole(path, &zip)?;
    println!("{}", summary(path, &zip));
    Ok(())
}

fn summary(path: &Path, zip: &[u8]) -> String {
    format!("{}: {} bytes, sha256 {}", path.display(), zip.len(), sha256_hex(zip))
}

/// The deployment package. Compressing takes seconds, so one that was made before is taken from the cache.
fn zip(binary: &[u8], cache: &Cache) -> Result<Vec<u8>> {
    let contents = [("binary", binary), ("bootstrap", ENTRY_POINT)];
    let name = identity(RECIPE.into_iter().chain([binary, ENTRY_POINT]));
    let cached = cache.directory("packages")?.join(format!("{name}.zip"));
    if let Ok(zip) = fs::read(&cached) {
        let archive = archive::read(&zip);
        let files = archive.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        if archive.faults.is_empty() && files.eq(contents) {
            return Ok(zip);
        }
    }
    let step = crate::step::Step::begin("compressing");
    let binary = binary.to_vec();
    let compress = move || compress(&[("binary", &binary), ("bootstrap", ENTRY_POINT)]);
    let zip = crate::interrupt::compute(compress)?.context("writing the zip")?;
    write_whole(&cached, &zip)?;
    step.done();
    Ok(zip)
}

/// The entries are sorted by name.
fn compress(contents: &[(&str, &[u8])]) -> ZipResult<Vec<u8>> {
    write(contents.iter().map(|(name, bytes)| (*name, options().compression_level(Some(LEVEL)), *bytes)))
}

/// What each entry has: the oldest time that a zip knows, and the mode with which Lambda can start it.
pub fn options() -> FullFileOptions<'static, 'static> {
    FullFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::DEFAULT)
        .system(System::Unix)
        .unix_permissions(0o755)
}

pub fn write<'a>(files: impl IntoIterator<Item = (&'a str, FullFileOptions<'a, 'a>, &'a [u8])>) -> ZipResult<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, options, bytes) in files {
        writer.start_file(name, options)?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}
