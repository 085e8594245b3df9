//! The deployment package, a zip whose bytes depend only on its contents, and the files that accompany it: the symbols, the
//! SBOM, the licences, the record of the build, and the checksums of all of them.

pub mod form;
mod licences;
mod oci;
mod record;
mod sbom;
pub mod vendored;

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result};
use zip::{CompressionMethod, DateTime, System, ZipWriter, result::ZipResult, write::FullFileOptions};

use crate::cache::{Cache, lock_directory, write_all_whole, write_whole};
use crate::files::{At, identity};
use crate::verify::{self, ENTRY_POINT, archive, elf, sha256_hex};
use form::{Content, Contents};

use crate::step::{Step, say};
use crate::{build, command::output, crates::Crate, project::Function, rust::Rust};
pub use form::Form;

/// Everything that decides how contents become bytes: this file and the versions of the crates that it calls.
const RECIPE: [&[u8]; 2] = [include_bytes!("mod.rs"), include_bytes!("../../Cargo.lock")];

/// The compression level. Levels above deflate's nine are iterations of Zopfli; iterations after the fifth save
/// less than a thousandth of the size. Zopfli takes a second per megabyte, so a large file gets deflate's highest level
/// instead.
fn level(bytes: &[u8]) -> i64 {
    if bytes.len() <= 16 << 20 { 9 + 5 } else { 9 }
}

/// A component that is not a crate: a library in the binary, or a tool that built it.
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
    /// The ids of the crates that link it; empty if the function itself does.
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
    /// The crates as they were built.
    pub crates: Vec<Crate>,
    /// The libraries and tools other than the crates and Rust itself.
    pub parts: Vec<Part>,
    pub binary: Vec<u8>,
    /// The user's files that the function was compiled from.
    pub sources: Vec<PathBuf>,
    /// Directories of the build whose paths must not be in the binary, in addition to the function's.
    pub work: Vec<PathBuf>,
}

impl Built<'_> {
    /// Writes the package and the files that accompany it into `out`, with an image if `oci` is set. Returns a line with the
    /// package's path, size and checksum.
    pub fn write(mut self, out: &Path, oci: bool, rust: &Rust, cache: &Cache) -> Result<String> {
        oci::check(oci, self.function)?;
        let std = "https://github.com/rust-lang/rust";
        let (number, licence) = (rust.version.split(' ').next().unwrap_or_default(), "MIT OR Apache-2.0");
        let text = rust.sysroot.join("share/doc/rust/COPYRIGHT-library.html");
        self.parts.push(Part::library("rust-std", number, std, licence, text));
        self.parts.push(Part::tool("rustc", &rust.version, std, licence));
        self.parts.extend(vendored::libraries(&self.crates, &self.parts));

        let function = self.function;
        let without = [&*function.target, &function.workspace.join(".git"), out];
        let mut contents = form::read(&function.include, &function.directory, &without)?;
        let work = cache.temporary("package")?;
        let path = |name: &str| work.path().join(name);
        fs::write(path("linked"), &self.binary)?;
        let record = record::record(&self, &contents);
        fs::write(path("note"), verify::origin::note(&record))?;
        let objcopy =
            |options: [&str; 2], to: &str| output(rust.objcopy().args(options).args([path("linked"), path(to)]));
        // Only symbol names are kept: the line tables of code compiled by zig contain paths of this machine.
        objcopy(["--strip-debug", "--only-keep-debug"], "function.debug")?;
        let note = format!("--add-section={}={}", verify::origin::SECTION, path("note").display());
        objcopy(["--strip-all-gnu", &note], "binary")?;

        let mut roots = build::roots(function, &self.crates, rust)?;
        roots.append(&mut self.work);
        let binary = fs::read(path("binary"))?;
        verify::check(&function.binary, &binary, function.arch, &roots, function.form, &contents)?;
        contents.extend(entry(function.form, &function.binary, binary));
        form::check_size(&contents, elf::sizes)?;
        let image = oci.then(|| oci::archive(function, &contents)).transpose()?;
        let zip = zip(contents, cache)?;
        let mut files = vec![
            ("build.json", record::build(&self, record)),
            ("function.debug", fs::read(path("function.debug"))?),
            (function.form.file(), zip),
            ("licences.txt", licences::licences(&self)?.into_bytes()),
            ("sbom.cdx.json", record::pretty(&sbom::sbom(&self))),
        ];
        files.extend(image.map(|image| (oci::FILE, image)));
        let checksums: String = files.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256_hex(bytes))).collect();
        // Even if two builds write into the same directory, all files are from the same build.
        let _lock = lock_directory(out)?;
        let all = files.iter().map(|(name, bytes)| (out.join(name), &**bytes));
        let all: Vec<_> = all.chain([(out.join("SHA256SUMS"), checksums.as_bytes())]).collect();
        // The checksums are removed first and written last: if they exist, the rest is complete.
        write_all_whole(&all, || {
            for name in ["SHA256SUMS", oci::FILE].into_iter().chain(Form::FILES) {
                let _ = fs::remove_file(out.join(name));
            }
        })?;
        Ok(summary(&out.join(files[2].0), &files[2].1))
    }
}

/// The binary and, if the form has one, the script that starts the binary.
fn entry(form: Form, name: &str, binary: Vec<u8>) -> Contents {
    let program = |bytes| Content { bytes, is_program: true };
    let mut contents = Contents::from([(form.path_of(name), program(binary))]);
    if form == Form::Script {
        contents.insert("bootstrap".into(), program(ENTRY_POINT.into()));
    }
    contents
}

/// Fails, before minutes of work, if `out` is not a writable directory.
pub fn check_writable(out: &Path) -> Result<()> {
    let written = || -> Result<()> { Ok(fs::create_dir_all(out).and_then(|()| tempfile::tempfile_in(out).map(drop))?) };
    written().with_context(|| format!("--out {}: expected a writable directory", out.display()))
}

/// `package`: writes a zip with the entry point and a binary.
pub fn run(binary: &Path, path: &Path) -> Result<()> {
    let bytes = verify::read(binary, archive::UNZIPPED)?;
    elf::architecture(&bytes).at(binary)?;
    let contents = entry(Form::Script, "", bytes);
    form::check_size(&contents, elf::sizes)?;
    let zip = zip(contents, &Cache::open()?)?;
    write_whole(path, &zip)?;
    println!("{}", summary(path, &zip));
    Ok(())
}

fn summary(path: &Path, zip: &[u8]) -> String {
    if zip.len() as u64 > archive::ZIPPED {
        say(&format!(
            "note: {}: Lambda accepts a zip over {} bytes only from an S3 bucket",
            path.display(),
            archive::ZIPPED
        ));
    }
    format!("{}: {} bytes, sha256 {}", path.display(), zip.len(), sha256_hex(zip))
}

/// The bytes of the deployment package. Compressing takes seconds, so an unchanged package is read from the cache.
fn zip(contents: Contents, cache: &Cache) -> Result<Vec<u8>> {
    let mode = |file: &Content| if file.is_program { &b"755"[..] } else { b"644" };
    let parts = contents.iter().flat_map(|(name, file)| [name.as_bytes(), mode(file), &file.bytes]);
    let name = identity(RECIPE.into_iter().chain(parts));
    let cached = cache.directory("packages")?.join(format!("{name}.zip"));
    if let Ok(zip) = fs::read(&cached) {
        let archive = archive::read(&zip);
        if archive.faults.is_empty() && archive.files == contents {
            return Ok(zip);
        }
    }
    let step = Step::begin("compressing");
    let compress = move || {
        let entry = |(name, file): (&'_ String, &'_ Content)| {
            let options = options(file.is_program).compression_level(Some(level(&file.bytes)));
            (name.clone(), options, file.bytes.clone())
        };
        write(contents.iter().map(entry))
    };
    let zip = crate::interrupt::compute(compress)?.context("writing the zip")?;
    write_whole(&cached, &zip)?;
    step.done();
    Ok(zip)
}

/// The options of an entry: the earliest time that a zip can store, and a mode with which Lambda can read or start the file.
pub fn options(is_program: bool) -> FullFileOptions<'static, 'static> {
    FullFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::DEFAULT)
        .system(System::Unix)
        .unix_permissions(if is_program { 0o755 } else { 0o644 })
}

pub fn write<'a>(
    files: impl IntoIterator<Item = (impl ToString, FullFileOptions<'a, 'a>, impl AsRef<[u8]>)>,
) -> ZipResult<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, options, bytes) in files {
        writer.start_file(name.to_string(), options)?;
        writer.write_all(bytes.as_ref())?;
    }
    Ok(writer.finish()?.into_inner())
}
