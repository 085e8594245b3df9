//! A small static-pie and a package for tests, without a problem, in which each part can be spoilt.

use std::io::{Cursor, Write};

use object::elf::{self, DynamicTag, FileType, Machine, ProgramFlags, ProgramType, SectionType};
use zip::{CompressionMethod, DateTime, System, ZipWriter, write::FullFileOptions};

use super::{ENTRY_POINT, origin};

/// What the specimen was built from.
pub const RECORD: &str = r#"{
    "name": "greeting", "version": "0.1.0", "architecture": "x86_64",
    "musl": "1.2.5", "rustc": "1.99.1 (58cf8f9c3 2026-10-13)"
}"#;

/// Where the name of a library stands among the strings.
pub const LIBRARY: u64 = 1;

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const SECTION_HEADER: usize = 64;

/// A test for each way to spoil something: its name, what `problems` is asked for, and the one line that it answers.
macro_rules! spoilt {
    ($($name:ident: $spoilt:expr => $line:expr;)*) => {
        $(#[test]
        fn $name() {
            assert_eq!(problems($spoilt), [$line]);
        })*
    };
}
pub(super) use spoilt;

pub struct Specimen {
    pub kind: FileType,
    pub machine: Machine,
    pub segments: Vec<(ProgramType, ProgramFlags, Vec<u8>)>,
    pub dynamic: Vec<(DynamicTag, u64)>,
    pub sections: Vec<(&'static str, SectionType, Vec<u8>)>,
    /// The address of the code where there is none.
    pub entry: Option<u64>,
}

impl Default for Specimen {
    fn default() -> Self {
        let comment = b"rustc version 1.99.1 (58cf8f9c3 2026-10-13)\0";
        let mut specimen = Self {
            kind: elf::ET_DYN,
            machine: elf::EM_X86_64,
            segments: Vec::new(),
            dynamic: Vec::new(),
            sections: Vec::new(),
            entry: None,
        };
        specimen.set(elf::DT_FLAGS, elf::DF_BIND_NOW.0);
        specimen.set(elf::DT_FLAGS_1, (elf::DF_1_NOW | elf::DF_1_PIE).0);
        specimen.segment(elf::PT_GNU_RELRO, elf::PF_R, b"");
        specimen.segment(elf::PT_GNU_STACK, elf::PF_R | elf::PF_W, b"");
        specimen.segment(elf::PT_LOAD, elf::PF_R | elf::PF_X, b"code");
        specimen.section(".comment", elf::SHT_PROGBITS, comment);
        specimen.record(RECORD);
        specimen
    }
}

impl Specimen {
    /// The bytes of one that is spoilt.
    pub fn spoilt(spoil: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut specimen = Self::default();
        spoil(&mut specimen);
        specimen.bytes()
    }

    /// Replaces the record of what it was built from.
    pub fn record(&mut self, json: &str) {
        let note = origin::note(&serde_json::from_str(json).unwrap());
        self.sections.retain(|(name, ..)| *name != origin::SECTION);
        self.section(origin::SECTION, elf::SHT_NOTE, &note);
    }

    pub fn section(&mut self, name: &'static str, kind: SectionType, data: &[u8]) {
        self.sections.push((name, kind, data.into()));
    }

    pub fn segment(&mut self, kind: ProgramType, flags: ProgramFlags, data: &[u8]) {
        self.segments.push((kind, flags, data.into()));
    }

    /// A text that is loaded with the program.
    pub fn text(&mut self, text: &str) {
        self.segment(elf::PT_LOAD, elf::PF_R, text.as_bytes());
    }

    /// Removes the segments of a kind.
    pub fn without(&mut self, kind: ProgramType) {
        self.segments.retain(|(other, ..)| *other != kind);
    }

    /// Sets an entry of the dynamic section.
    pub fn set(&mut self, tag: DynamicTag, value: u64) {
        self.dynamic.retain(|(other, _)| *other != tag);
        self.dynamic.push((tag, value));
    }

    /// Headers, the data of the segments and of the sections, and the table of sections: the strings of all, the dynamic
    /// section, and those that were added. All is loaded at the address that it has in the file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut file = vec![0; HEADER + PROGRAM_HEADER * self.segments.len()];
        let (mut programs, mut code) = (Vec::new(), 0);
        for (kind, flags, data) in &self.segments {
            let [at, size] = add(&mut file, data);
            if flags.contains(elf::PF_X) {
                code = at;
            }
            let kind_and_flags = u64::from(kind.0) | u64::from(flags.0) << 32;
            programs.extend(words([kind_and_flags, at, at, at, size, size, 8]));
        }

        let entries = self.dynamic.iter();
        let entries = entries.flat_map(|(tag, value)| [tag.0 as u64, *value]);
        let dynamic = words(entries.chain([0, 0]));
        let mut strings = b"\0libc.so.6\0.strings\0.dynamic\0".to_vec();
        for (name, ..) in &self.sections {
            strings.extend(name.bytes().chain([0]));
        }
        let own = [
            (".strings", elf::SHT_STRTAB, strings),
            (".dynamic", elf::SHT_DYNAMIC, dynamic),
        ];
        let (mut table, mut name) = (vec![0; SECTION_HEADER], 11);
        for (text, kind, data) in own.iter().chain(&self.sections) {
            let [at, size] = add(&mut file, data);
            let name_and_kind = name | u64::from(kind.0) << 32;
            // Each is linked to the strings, the first section.
            table.extend(words([name_and_kind, 0, 0, at, size, 1, 1, 0]));
            name += text.len() as u64 + 1;
        }
        let [sections, _] = add(&mut file, &table);

        let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        let kind = u64::from(self.kind.0) | u64::from(self.machine.0) << 16 | 1 << 32;
        let entry = self.entry.unwrap_or(code);
        header.extend(words([kind, entry, HEADER as u64, sections]));
        header.extend([0; 4]);
        let (segments, count) = (self.segments.len(), table.len() / SECTION_HEADER);
        for field in [HEADER, PROGRAM_HEADER, segments, SECTION_HEADER, count, 1] {
            header.extend((field as u16).to_le_bytes());
        }
        header.extend(programs);
        file[..header.len()].copy_from_slice(&header);
        file
    }
}

fn words(words: impl IntoIterator<Item = u64>) -> Vec<u8> {
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// Adds data to a file, and says where it lies and its size.
fn add(file: &mut Vec<u8>, data: &[u8]) -> [u64; 2] {
    file.resize(file.len().next_multiple_of(8), 0);
    let at = file.len();
    file.extend(data);
    [at as u64, data.len() as u64]
}

/// What the packager gives to each file.
pub fn options() -> FullFileOptions<'static, 'static> {
    FullFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::DEFAULT)
        .system(System::Unix)
        .unix_permissions(0o755)
}

/// A zip of these files.
pub fn zip<const N: usize>(files: [(&str, FullFileOptions, &[u8]); N]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, options, bytes) in files {
        writer.start_file(name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A package with this binary.
pub fn package(binary: &[u8]) -> Vec<u8> {
    let files = [("binary", binary), ("bootstrap", ENTRY_POINT)];
    zip(files.map(|(name, data)| (name, options(), data)))
}
