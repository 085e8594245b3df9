//! The deployment package, a zip whose bytes depend on what is in it and on nothing else; and what belongs to it: the symbols,
//! the SBOM, the licences, what built it, and the checksums of all.

mod licences;
mod record;
mod sbom;

use std::{
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use zip::{CompressionMethod, DateTime, System, ZipWriter, result::ZipResult, write::SimpleFileOptions};

use crate::{
    build,
    cache::{Cache, write_whole},
    command::output,
    files::identity,
    options,
    project::{Crate, Function},
    rust::Rust,
    verify::{self, ENTRY_POINT, archive, elf, sha256_hex},
};

/// Everything that decides how contents become bytes: this file and the versions of what it calls.
const RECIPE: [&[u8]; 2] = [include_bytes!("mod.rs"), include_bytes!("../../Cargo.lock")];

/// Zopfli's five iterations stand behind deflate's nine levels; more of them save less than a thousandth.
const LEVEL: i64 = 9 + 5;

/// Something that is no crate: a library in the binary, or a tool that made it.
pub struct Part {
    pub is_library: bool,
    pub name: String,
    pub version: String,
    pub sha256: Option<String>,
    pub url: String,
    pub licence: String,
    /// The file with the text of the licence.
    pub text: Option<PathBuf>,
}

impl Part {
    pub fn library(name: &str, version: &str, url: &str, licence: &str) -> Self {
        Self {
            is_library: true,
            name: name.into(),
            version: version.into(),
            sha256: None,
            url: url.into(),
            licence: licence.into(),
            text: None,
        }
    }

    pub fn tool(name: &str, version: &str, url: &str, licence: &str) -> Self {
        Self { is_library: false, ..Self::library(name, version, url, licence) }
    }
}

/// A function that was compiled and linked.
pub struct Built<'a> {
    pub function: &'a Function,
    pub crates: &'a [Crate],
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
        self.parts.push(Part {
            text: Some(rust.sysroot.join("share/doc/rust/COPYRIGHT-library.html")),
            ..Part::library("rust-std", number, std, licence)
        });
        self.parts.push(Part::tool("rustc", &rust.version, std, licence));

        let work = cache.temporary("package")?;
        let path = |name: &str| work.path().join(name);
        fs::write(path("linked"), &self.binary)?;
        let record = record::record(&self);
        fs::write(path("note"), verify::origin::note(&record))?;
        // Names alone: what zig compiles has paths of this machine among its lines.
        let mut symbols = rust.objcopy();
        symbols.args(["--strip-debug", "--only-keep-debug"]);
        output(symbols.arg(path("linked")).arg(path("function.debug")))?;
        let mut stripped = rust.objcopy();
        stripped.arg("--strip-all-gnu");
        stripped.arg(format!("--add-section={}={}", verify::origin::SECTION, path("note").display()));
        output(stripped.arg(path("linked")).arg(path("binary")))?;

        let mut places = build::places(self.function, self.crates, rust)?;
        places.append(&mut self.work);
        let places: Vec<&Path> = places.iter().map(PathBuf::as_path).collect();
        elf::check(&path("binary"), self.function.arch, &places)?;
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
        let _lock = cache.lock(&format!("out-{}", identity([&*std::path::absolute(out)?.to_string_lossy()])))?;
        // The checksums go first and come last: where they are, the rest is whole.
        let _ = fs::remove_file(out.join("SHA256SUMS"));
        for (name, bytes) in &files {
            write_whole(&out.join(name), bytes)?;
        }
        write_whole(&out.join("SHA256SUMS"), checksums.as_bytes())?;
        let zip = &files[2].1;
        Ok(format!("{}: {} bytes, sha256 {}", out.join("function.zip").display(), zip.len(), sha256_hex(zip)))
    }
}

/// `package`: a zip of the entry point and a binary.
pub fn run(options: options::Package) -> Result<()> {
    let describe = || options.binary.display().to_string();
    let binary = fs::read(&options.binary).with_context(describe)?;
    elf::architecture(&binary).with_context(describe)?;
    let zip = zip(&binary, &Cache::open()?)?;
    write_whole(&options.zip, &zip)?;
    println!("{}: {} bytes, sha256 {}", options.zip.display(), zip.len(), sha256_hex(&zip));
    Ok(())
}

/// The deployment package. Compressing takes seconds, so one that was made before is taken from the cache.
fn zip(binary: &[u8], cache: &Cache) -> Result<Vec<u8>> {
    let contents = [("binary", binary), ("bootstrap", ENTRY_POINT)];
    let cached = cache.directory("packages")?.join(format!("{}.zip", name_of(&contents)));
    if let Ok(zip) = fs::read(&cached) {
        let archive = archive::read(&zip);
        let files = archive.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        if archive.faults.is_empty() && files.eq(contents) {
            return Ok(zip);
        }
    }
    let step = crate::step::Step::begin("compressing");
    let zip = compress(&contents).context("writing the zip")?;
    write_whole(&cached, &zip)?;
    step.done();
    Ok(zip)
}

/// A name for the package, known before it is made.
fn name_of(contents: &[(&str, &[u8])]) -> String {
    let mut sum = Sha256::new();
    for part in RECIPE.into_iter().chain(contents.iter().map(|(_, bytes)| *bytes)) {
        sum.update((part.len() as u64).to_le_bytes());
        sum.update(part);
    }
    sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The entries sorted by name, with the oldest time that a zip knows and the mode with which Lambda can start them.
pub fn compress(contents: &[(&str, &[u8])]) -> ZipResult<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL))
        .last_modified_time(DateTime::DEFAULT)
        .system(System::Unix)
        .unix_permissions(0o755);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in contents {
        writer.start_file(*name, options)?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use zip::ZipArchive;

    const CONTENTS: [(&str, &[u8]); 2] = [("binary", &[0x7f; 4096]), ("bootstrap", b"#!/bin/sh\n")];

    #[test]
    fn a_package_holds_the_binary_and_the_entry_point_and_nothing_else() {
        let mut archive = ZipArchive::new(Cursor::new(compress(&CONTENTS).unwrap())).unwrap();
        assert_eq!(archive.len(), 2);
        for (index, (name, expected)) in CONTENTS.into_iter().enumerate() {
            let mut file = archive.by_index(index).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            assert_eq!((file.name().unwrap().as_ref(), &*bytes), (name, expected));
            assert_eq!(file.unix_mode().map(|mode| mode & 0o7777), Some(0o755));
            assert_eq!(file.last_modified(), Some(DateTime::DEFAULT));
        }
    }

    #[test]
    fn other_contents_have_another_name_even_where_they_join_to_the_same() {
        let shifted = [("binary", [CONTENTS[0].1, CONTENTS[1].1].concat()), ("bootstrap", Vec::new())];
        let shifted = shifted.each_ref().map(|(name, bytes)| (*name, &**bytes));
        assert_ne!(name_of(&CONTENTS), name_of(&shifted));
    }
}
