//! A small static-pie binary and a package for tests. They have no problems until a test spoils a part.

use object::elf::{self, DynamicTag, FileType, Machine, ProgramFlags, ProgramType, SectionType};

use super::origin;
use crate::package::{options, write};

/// The record of what the specimen was built from.
pub const RECORD: &str = r#"{
    "name": "greeting", "version": "0.1.0", "architecture": "x86_64",
    "compilers": "zig's clang 20.1.2", "musl": "1.2.5", "rustc": "1.99.1 (58cf8f9c3 2026-10-13)"
}"#;

/// The marks of the compilers of the specimen.
const COMMENT: &[u8] = b"rustc version 1.99.1 (58cf8f9c3 2026-10-13)\0\
    clang version 20.1.2 (https://github.com/ziglang/zig-bootstrap 7ef74e656cf8)\0";

/// The contents of each segment.
const CONTENTS: &[u8] = b"/lib/ld-musl-x86_64.so.1\0";

/// The start of the strings, which contains the name of a library, and the index of that name.
const STRINGS: &[u8] = b"\0libc.so.6\0";
pub const LIBRARY: u64 = 1;

/// Defines a test for each way to spoil something, from its name, the argument for `problems`, and the only line that `problems`
/// returns.
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
    pub segments: Vec<(ProgramType, ProgramFlags)>,
    pub dynamic: Vec<(DynamicTag, u64)>,
    pub sections: Vec<(&'static str, Vec<u8>)>,
    /// The name of the section that is loaded.
    pub loaded: Option<&'static str>,
    /// The entry point, if it is not in the code.
    pub entry: Option<u64>,
}

impl Default for Specimen {
    fn default() -> Self {
        let (writable, executable) = (elf::PF_R | elf::PF_W, elf::PF_R | elf::PF_X);
        let now = (elf::DF_1_NOW | elf::DF_1_PIE).0;
        let mut specimen = Self {
            kind: elf::ET_DYN,
            machine: elf::EM_X86_64,
            segments: vec![(elf::PT_GNU_RELRO, elf::PF_R), (elf::PT_GNU_STACK, writable), (elf::PT_LOAD, executable)],
            dynamic: vec![(elf::DT_FLAGS, elf::DF_BIND_NOW.0), (elf::DT_FLAGS_1, now)],
            sections: vec![(".comment", COMMENT.into())],
            loaded: None,
            entry: None,
        };
        specimen.record(RECORD);
        specimen
    }
}

impl Specimen {
    /// The bytes of a spoilt specimen.
    pub fn spoilt(spoil: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut specimen = Self::default();
        spoil(&mut specimen);
        specimen.bytes()
    }

    /// Replaces the record of what the specimen was built from.
    pub fn record(&mut self, json: &str) {
        let note = origin::note(&serde_json::from_str(json).unwrap());
        self.sections.retain(|(name, _)| *name != origin::SECTION);
        self.section(origin::SECTION, &note);
    }

    pub fn section(&mut self, name: &'static str, data: &[u8]) {
        self.sections.push((name, data.into()));
    }

    pub fn loaded(&mut self, name: &'static str) {
        self.section(name, b"");
        self.loaded = Some(name);
    }

    pub fn text(&mut self, text: &str) {
        self.section(".rodata", text.as_bytes());
    }

    pub fn segment(&mut self, kind: ProgramType, flags: ProgramFlags) {
        self.segments.push((kind, flags));
    }

    /// Sets an entry of the dynamic section.
    pub fn set(&mut self, tag: DynamicTag, value: u64) {
        self.dynamic.retain(|(other, _)| *other != tag);
        self.dynamic.push((tag, value));
    }

    /// Makes this entry the only one that binds NOW.
    pub fn binds_by(&mut self, tag: DynamicTag, value: u64) {
        self.set(elf::DT_FLAGS, 0);
        self.set(elf::DT_FLAGS_1, elf::DF_1_PIE.0);
        self.set(tag, value);
    }

    /// The bytes of the file: headers, the contents of the segments and of the sections, the strings, and the section
    /// header table. Everything is loaded at the address that equals its offset in the file.
    pub fn bytes(&self) -> Vec<u8> {
        let start = 64 + 56 * self.segments.len();
        let mut file = [&vec![0; start], CONTENTS].concat();
        let (start, size) = (start as u64, CONTENTS.len() as u64);
        let programs = self.segments.iter().flat_map(|(kind, flags)| {
            let kind_and_flags = u64::from(kind.0) | u64::from(flags.0) << 32;
            [kind_and_flags, start, start, start, size, size, 8]
        });

        let entries = self.dynamic.iter().flat_map(|(tag, value)| [tag.0 as u64, *value]);
        let dynamic = [(".dynamic", words(entries.chain([0, 0])))];
        let last = self.sections.len() as u64 + 2;
        let (mut table, mut strings) = (vec![0; 64], STRINGS.to_vec());
        let mut add = |name: usize, kind: SectionType, flags: u64, data: &[u8]| {
            file.resize(file.len().next_multiple_of(8), 0);
            let [at, size] = [file.len(), data.len()].map(|number| number as u64);
            file.extend(data);
            let name_and_kind = name as u64 | u64::from(kind.0) << 32;
            table.extend(words([name_and_kind, flags, 0, at, size, last, 1, 0]));
        };
        for (name, data) in dynamic.iter().chain(&self.sections) {
            let kind = if *name == ".dynamic" { elf::SHT_DYNAMIC } else { elf::SHT_PROGBITS };
            let flags = if self.loaded == Some(*name) { elf::SHF_ALLOC.0 } else { 0 };
            add(strings.len(), kind, flags, data);
            strings.extend(name.bytes().chain([0]));
        }
        add(0, elf::SHT_STRTAB, 0, &strings);
        file.resize(file.len().next_multiple_of(8), 0);

        let header = words([
            u64::from(self.kind.0) | u64::from(self.machine.0) << 16 | 1 << 32,
            self.entry.unwrap_or(start),
            64,
            file.len() as u64,
            64 << 32 | 56 << 48,
            self.segments.len() as u64 | 64 << 16 | (last + 1) << 32 | last << 48,
        ]);
        let identity = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0";
        let headers = [&identity[..], &header, &words(programs)].concat();
        file[..headers.len()].copy_from_slice(&headers);
        [file, table].concat()
    }
}

fn words(words: impl IntoIterator<Item = u64>) -> Vec<u8> {
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// A package of these files.
pub fn package(binary: &[u8], bootstrap: &[u8]) -> Vec<u8> {
    write([("binary", options(true), binary), ("bootstrap", options(true), bootstrap)]).unwrap()
}
