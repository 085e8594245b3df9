//! A small static-pie and a package for tests, with nothing wrong, in which each part can be made wrong.

use std::io::Write;

use object::elf::{self, DynamicTag, FileType, Machine, ProgramFlags, ProgramType, SectionType};

use crate::origin;

/// What the specimen was built from.
pub const RECORD: &str = r#"{
    "name": "greeting", "version": "0.1.0", "architecture": "x86_64",
    "musl": "1.2.5", "rustc": "1.99.1 (58cf8f9c3 2026-10-13)"
}"#;

/// Where the name of a library stands among the strings.
pub const LIBRARY: u64 = 1;

const STRINGS: &[u8] = b"\0libc.so.6\0";
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const SECTION_HEADER: usize = 64;
const PAGE: u64 = 0x1000;

pub struct Segment {
    pub kind: ProgramType,
    flags: ProgramFlags,
    data: Vec<u8>,
}

pub struct Specimen {
    pub kind: FileType,
    pub machine: Machine,
    pub segments: Vec<Segment>,
    pub dynamic: Vec<(DynamicTag, u64)>,
    pub sections: Vec<(&'static str, SectionType, Vec<u8>)>,
    /// The address of the code where there is none.
    pub entry: Option<u64>,
    /// What is put in the place of what, in the header of the first segment of a kind.
    pub headers: Vec<(ProgramType, usize, u64)>,
}

impl Default for Specimen {
    fn default() -> Self {
        let mut specimen = Self {
            kind: elf::ET_DYN,
            machine: elf::EM_X86_64,
            segments: Vec::new(),
            dynamic: Vec::new(),
            sections: vec![("", elf::SHT_NULL, Vec::new())],
            entry: None,
            headers: Vec::new(),
        };
        specimen.set(elf::DT_FLAGS, elf::DF_BIND_NOW.0);
        specimen.set(elf::DT_FLAGS_1, (elf::DF_1_NOW | elf::DF_1_PIE).0);
        specimen.add_segment(elf::PT_LOAD, elf::PF_R | elf::PF_X, b"code");
        specimen.add_segment(elf::PT_GNU_RELRO, elf::PF_R, b"");
        specimen.add_segment(elf::PT_GNU_STACK, elf::PF_R | elf::PF_W, b"");
        let comment = b"rustc version 1.99.1 (58cf8f9c3 2026-10-13)\0".to_vec();
        specimen
            .sections
            .push((".comment", elf::SHT_PROGBITS, comment));
        specimen.record(RECORD);
        specimen
    }
}

impl Specimen {
    /// Takes this in the place of the record of what it was built from.
    pub fn record(&mut self, json: &str) {
        let note = origin::note(&serde_json::from_str(json).unwrap());
        self.sections.retain(|(name, ..)| *name != origin::SECTION);
        self.sections.push((origin::SECTION, elf::SHT_NOTE, note));
    }

    pub fn add_segment(&mut self, kind: ProgramType, flags: ProgramFlags, data: &[u8]) {
        let data = data.to_vec();
        self.segments.push(Segment { kind, flags, data });
    }

    /// Sets an entry of the dynamic section.
    pub fn set(&mut self, tag: DynamicTag, value: u64) {
        self.dynamic.retain(|(other, _)| *other != tag);
        self.dynamic.push((tag, value));
    }

    /// Headers, writable data, the data of the other segments, sections, their names and their table. The dynamic section
    /// and strings are the writable data, of which RELRO covers the first; each segment that is loaded has its own pages.
    pub fn bytes(&self) -> Vec<u8> {
        let segments = self.segments.len() + 2;
        let mut body = Body {
            start: HEADER + PROGRAM_HEADER * segments,
            bytes: Vec::new(),
        };
        let size = 16 * (self.dynamic.len() + 2);
        let strings = (body.start.next_multiple_of(8) + size) as u64;
        let mut data = Vec::new();
        let ends = [(elf::DT_STRTAB, strings), (elf::DT_NULL, 0)];
        for (tag, value) in self.dynamic.iter().chain(&ends) {
            data.extend(tag.0.to_le_bytes());
            data.extend(value.to_le_bytes());
        }
        data.extend(STRINGS);
        let data = body.add(&data);
        let dynamic = (data.0, size as u64);

        let mut programs = Vec::new();
        let mut loaded = 0;
        let mut code = 0;
        let mut program = |kind: ProgramType, flags: ProgramFlags, (offset, size): (u64, u64)| {
            let mut address = offset;
            if kind == elf::PT_LOAD {
                address += loaded * PAGE;
                loaded += 1;
                if flags.contains(elf::PF_X) {
                    code = address;
                }
            }
            let mut header = Vec::new();
            header.extend(kind.0.to_le_bytes());
            header.extend(flags.0.to_le_bytes());
            for field in [offset, address, address, size, size, 8] {
                header.extend(field.to_le_bytes());
            }
            programs.push((kind, header));
        };
        program(elf::PT_LOAD, elf::PF_R | elf::PF_W, data);
        program(elf::PT_DYNAMIC, elf::PF_R | elf::PF_W, dynamic);
        for segment in &self.segments {
            let place = match segment.kind {
                elf::PT_GNU_RELRO => dynamic,
                _ => body.add(&segment.data),
            };
            program(segment.kind, segment.flags, place);
        }
        for (kind, at, value) in &self.headers {
            let mut of_kind = programs.iter_mut().filter(|(other, _)| other == kind);
            let (_, header) = of_kind.next().unwrap();
            header[*at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        let programs: Vec<u8> = programs
            .into_iter()
            .flat_map(|(_, header)| header)
            .collect();

        let mut names = Vec::new();
        let mut table = Vec::new();
        let mut section = |name: usize, kind: SectionType, (offset, size): (u64, u64)| {
            table.extend((name as u32).to_le_bytes());
            table.extend(kind.0.to_le_bytes());
            for field in [0, 0, offset, size, 0, 1, 0] {
                table.extend(field.to_le_bytes());
            }
        };
        for (name, kind, data) in &self.sections {
            let place = body.add(data);
            section(names.len(), *kind, place);
            names.extend(name.bytes().chain([0]));
        }
        let own_name = names.len();
        names.extend(b".shstrtab\0");
        section(own_name, elf::SHT_STRTAB, body.add(&names));
        let (sections, _) = body.add(&table);

        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        file.extend(self.kind.0.to_le_bytes());
        file.extend(self.machine.0.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        for field in [self.entry.unwrap_or(code), HEADER as u64, sections] {
            file.extend(field.to_le_bytes());
        }
        file.extend(0u32.to_le_bytes());
        let count = self.sections.len() + 1;
        for field in [
            HEADER,
            PROGRAM_HEADER,
            segments,
            SECTION_HEADER,
            count,
            count - 1,
        ] {
            file.extend((field as u16).to_le_bytes());
        }
        [file, programs, body.bytes].concat()
    }
}

struct Body {
    start: usize,
    bytes: Vec<u8>,
}

impl Body {
    /// Where the data lies in the file, and its size.
    fn add(&mut self, data: &[u8]) -> (u64, u64) {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let offset = self.start + self.bytes.len();
        self.bytes.extend(data);
        (offset as u64, data.len() as u64)
    }
}

/// A package with nothing wrong, in which each part can be made wrong.
pub struct Zip {
    pub before: Vec<u8>,
    pub files: Vec<File>,
    /// Between the last file and the directory.
    pub gap: Vec<u8>,
    pub comment: Vec<u8>,
    pub behind: Vec<u8>,
    /// What is put in the place of what, in the record at the end.
    pub end: Vec<(usize, Vec<u8>)>,
}

pub struct File {
    pub name: Vec<u8>,
    pub data: Vec<u8>,
    pub packed: Option<Vec<u8>>,
    pub local_extra: Vec<u8>,
    pub extra: Vec<u8>,
    pub comment: Vec<u8>,
    /// What is put in the place of what, in the two headers.
    pub local: Vec<(usize, Vec<u8>)>,
    pub central: Vec<(usize, Vec<u8>)>,
}

impl File {
    pub fn new(name: &str, data: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            data,
            packed: None,
            local_extra: Vec::new(),
            extra: Vec::new(),
            comment: Vec::new(),
            local: Vec::new(),
            central: Vec::new(),
        }
    }

    /// Changes a field that stands in both headers.
    pub fn set(&mut self, at_in_local: usize, bytes: &[u8]) {
        self.local.push((at_in_local, bytes.to_vec()));
        self.central.push((at_in_local + 2, bytes.to_vec()));
    }
}

impl Default for Zip {
    fn default() -> Self {
        let entry_point = crate::verify::ENTRY_POINT.to_vec();
        Self {
            before: Vec::new(),
            files: vec![
                File::new("binary", Specimen::default().bytes()),
                File::new("bootstrap", entry_point),
            ],
            gap: Vec::new(),
            comment: Vec::new(),
            behind: Vec::new(),
            end: Vec::new(),
        }
    }
}

impl Zip {
    pub fn bytes(&self) -> Vec<u8> {
        let mut zip = self.before.clone();
        let mut directory = Vec::new();
        for file in &self.files {
            let offset = zip.len() as u32;
            let packed = file.packed.clone().unwrap_or_else(|| deflate(&file.data));
            let mut crc = flate2::Crc::new();
            crc.update(&file.data);
            let mut shared = vec![20, 0, 0, 0, 8, 0, 0, 0, 0x21, 0];
            for number in [crc.sum(), packed.len() as u32, file.data.len() as u32] {
                shared.extend(number.to_le_bytes());
            }
            shared.extend((file.name.len() as u16).to_le_bytes());

            let mut local = [b"PK\x03\x04", &shared[..]].concat();
            local.extend((file.local_extra.len() as u16).to_le_bytes());
            replace(&mut local, &file.local);
            for part in [&local, &file.name, &file.local_extra, &packed] {
                zip.extend(part);
            }

            let mut central = [b"PK\x01\x02\x14\x03", &shared[..]].concat();
            for part in [&file.extra, &file.comment] {
                central.extend((part.len() as u16).to_le_bytes());
            }
            central.extend([0; 4]);
            central.extend((0o100_755u32 << 16).to_le_bytes());
            central.extend(offset.to_le_bytes());
            replace(&mut central, &file.central);
            for part in [&central, &file.name, &file.extra, &file.comment] {
                directory.extend(part);
            }
        }
        zip.extend(&self.gap);
        let count = (self.files.len() as u16).to_le_bytes();
        let mut end = [b"PK\x05\x06\0\0\0\0", &count[..], &count].concat();
        end.extend((directory.len() as u32).to_le_bytes());
        end.extend((zip.len() as u32).to_le_bytes());
        end.extend((self.comment.len() as u16).to_le_bytes());
        replace(&mut end, &self.end);
        [
            zip,
            directory,
            end,
            self.comment.clone(),
            self.behind.clone(),
        ]
        .concat()
    }
}

fn replace(header: &mut [u8], changes: &[(usize, Vec<u8>)]) {
    for (at, bytes) in changes {
        header[*at..at + bytes.len()].copy_from_slice(bytes);
    }
}

pub fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}
