//! What a binary must be to run on Lambda alone: static, hardened, stripped, and silent about the machine that built it.
//!
//! The names are those of the System V ABI and of glibc's `elf.h`.

use object::{
    LittleEndian,
    elf::{
        self, DynamicFlags, DynamicFlags1, DynamicTag, FileHeader64, NoteType, ProgramHeader64,
        ProgramType, SectionType,
    },
    read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader, SectionTable},
};
use std::{collections::BTreeSet, fs, path::Path};

use crate::strings;

const LE: LittleEndian = LittleEndian;

// Several times what a linker writes: what has more was made to keep its reader busy.
const SEGMENTS: usize = 64;
const SECTIONS: usize = 500;
const NAMES_OF_SECTIONS: u64 = 1 << 16;
const DYNAMIC: usize = 1000;
const NOTES: usize = 100;

/// Bytes of memory that a function of Lambda can have at most: 10,240 MB.
const MEMORY: u64 = 10_240 << 20;

/// Bytes of memory that a kernel maps at least, on either architecture.
const PAGE: u64 = 0x1000;

/// How the sections begin that a stripped file has not: symbols of debuggers, code for compilers and how they were called.
const LEFTOVERS: [&str; 7] = [
    ".debug",
    ".zdebug",
    ".gdb_index",
    ".gnu_debugdata",
    ".stab",
    ".llvmbc",
    ".llvmcmd",
];

/// How many libraries are named.
const NEEDED: usize = 40;

/// Reads `binary` and says all that is wrong with it, a line each. `places` are folders whose paths must not be in it.
pub fn check(binary: &Path, arch: &str, places: &[&Path]) -> Result<String, String> {
    let name = strings::file_name(binary);
    let bytes = fs::read(binary).map_err(|error| format!("{name}: {error}"))?;
    let places: Vec<_> = places.iter().map(|place| place.to_string_lossy()).collect();
    let places: Vec<&str> = places.iter().map(|place| &**place).collect();
    crate::verdict(&name, faults(&bytes, Some(arch), &places))
}

/// What Lambda calls the architecture that a binary is for.
pub fn architecture(bytes: &[u8]) -> Result<&'static str, String> {
    let header = FileHeader64::<LittleEndian>::parse(bytes)
        .and_then(|header| header.endian().map(|_| header))
        .map_err(|_| "is no 64-bit little-endian ELF file")?;
    match header.e_machine(LE) {
        elf::EM_X86_64 => Ok("x86_64"),
        elf::EM_AARCH64 => Ok("arm64"),
        other => Err(format!("is for machine {}, which Lambda has not", other.0)),
    }
}

/// What a section of this type holds.
pub fn section<'a>(bytes: &'a [u8], name: &str, kind: SectionType) -> Option<&'a [u8]> {
    let header = FileHeader64::<LittleEndian>::parse(bytes).ok()?;
    let table = table_of_sections(header, bytes).ok()?;
    let (_, section) = table.section_by_name(LE, name.as_bytes())?;
    let section = Some(section).filter(|section| section.sh_type(LE) == kind)?;
    section.data(LE, bytes).ok()
}

/// How many notes of this owner and type stand in all sections and segments in which readers look for them.
pub fn notes(bytes: &[u8], owner: &str, kind: NoteType) -> Result<usize, String> {
    let describe = |error: object::Error| error.to_string();
    let header = FileHeader64::<LittleEndian>::parse(bytes).map_err(describe)?;
    let segments = header.program_headers(LE, bytes).map_err(describe)?;
    let table = table_of_sections(header, bytes)?;
    let in_segments = segments.iter().map(|segment| segment.notes(LE, bytes));
    let in_sections = table.iter().map(|section| section.notes(LE, bytes));
    // A segment holds what is in sections as well: a note is known by its place.
    let mut places = BTreeSet::new();
    let mut count = 0;
    for notes in in_segments.chain(in_sections) {
        let Some(mut notes) = notes.map_err(describe)? else {
            continue;
        };
        while let Some(note) = notes.next().map_err(describe)? {
            count += 1;
            at_most(NOTES, count, "notes")?;
            // Some readers compare no more of an owner.
            if note.n_type(LE) == kind && note.name_bytes().starts_with(owner.as_bytes()) {
                places.insert(note.name_bytes().as_ptr());
            }
        }
    }
    Ok(places.len())
}

/// The names of all sections and what they hold in the file; none where it is no ELF file.
pub fn sections(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let table = FileHeader64::<LittleEndian>::parse(bytes)
        .map_err(|error| error.to_string())
        .and_then(|header| table_of_sections(header, bytes));
    let Ok(table) = table else {
        return Vec::new();
    };
    let named = table.iter().filter_map(|section| {
        let name = table.section_name(LE, section).ok()?;
        let data = section.data(LE, bytes).ok()?;
        (!name.is_empty()).then(|| (strings::until_null(name), data.to_vec()))
    });
    named.collect()
}

fn table_of_sections<'a>(
    header: &FileHeader64<LittleEndian>,
    bytes: &'a [u8],
) -> Result<SectionTable<'a, FileHeader64<LittleEndian>>, String> {
    let describe = |error: object::Error| error.to_string();
    let table = header.sections(LE, bytes).map_err(describe)?;
    at_most(SECTIONS, table.len(), "sections")?;
    if table.len() != usize::from(header.e_shnum(LE)) {
        return Err("it does not say how many sections it has".into());
    }
    // Who looks for a name without an end reads all that is behind it.
    let names = header.section_strings_index(LE, bytes).map_err(describe)?;
    let size = table.section(names).map_or(0, |names| names.sh_size(LE));
    match size <= NAMES_OF_SECTIONS {
        true => Ok(table),
        false => Err(format!("the names of its sections take {size} bytes")),
    }
}

fn at_most(limit: usize, count: usize, what: &str) -> Result<(), String> {
    match count <= limit {
        true => Ok(()),
        false => Err(format!("it has {count} {what}, expected up to {limit}")),
    }
}

/// All that is wrong with a binary; without `arch` it may be for either architecture.
pub fn faults(bytes: &[u8], arch: Option<&str>, places: &[&str]) -> Vec<String> {
    let actual = match architecture(bytes) {
        Ok(actual) => actual,
        Err(fault) => return vec![fault],
    };
    let elf = match Elf::parse(bytes) {
        Ok(elf) => elf,
        Err(error) => return vec![format!("is a broken ELF file: {error}")],
    };
    let mut faults = Vec::new();
    let mut fault = |text: String| faults.push(text);
    if arch.is_some_and(|arch| arch != actual) {
        fault(format!("is for {actual}, not {}", arch.unwrap_or_default()));
    }
    if elf.header.e_type(LE) != elf::ET_DYN || !elf.flags_1().contains(elf::DF_1_PIE) {
        fault("is no static-pie: expected type DYN and the flag PIE".into());
    }
    if let Some(interpreter) = elf.interpreter() {
        fault(format!("has an interpreter: {interpreter}"));
    }
    for library in elf.needed() {
        fault(format!("needs a library: {library}"));
    }
    let mut relros = elf.segments(elf::PT_GNU_RELRO).peekable();
    if relros.peek().is_none() {
        fault("has no RELRO: no segment names the data that is only relocated".into());
    } else if !relros.all(|relro| elf.is_of_data(relro)) {
        fault("has a RELRO that does not cover its relocated data".into());
    }
    if !elf.binds_now() {
        fault("does not bind NOW: RELRO covers a part only".into());
    }
    let mut stacks = elf.segments(elf::PT_GNU_STACK);
    if stacks.any(|stack| stack.p_flags(LE).contains(elf::PF_X)) {
        fault("has an executable stack".into());
    } else {
        match elf.segments(elf::PT_GNU_STACK).count() {
            0 => fault("does not say that its stack is not executable: no GNU_STACK".into()),
            1 => {}
            count => fault(format!("describes its stack {count} times: GNU_STACK")),
        }
    }
    if !elf.starts_in_code() {
        fault("cannot be started: its entry point is not in its code".into());
    }
    if elf.has_writable_code() {
        fault("has a segment that is both writable and executable".into());
    }
    if elf.value(elf::DT_TEXTREL).is_some() || elf.flags().contains(elf::DF_TEXTREL) {
        fault("has text relocations".into());
    }
    if let Some(section) = elf.leftovers() {
        fault(format!("is not stripped: it has the section {section}"));
    }
    if let Some(path) = strings::known_path(bytes, places) {
        fault(format!("holds a path of the machine that built it: {path}"));
    }
    faults
}

/// An error where the memory of a process would be another than what is read here.
fn judge_memory(segments: &[ProgramHeader64<LittleEndian>]) -> Result<(), String> {
    let (mut end, mut total) = (0, 0u64);
    for segment in segments {
        let (start, size) = (segment.p_vaddr(LE), segment.p_memsz(LE));
        if segment.p_filesz(LE) > size {
            return Err("a segment has more bytes in the file than in memory".into());
        }
        if segment.p_type(LE) != elf::PT_LOAD {
            continue;
        }
        // A kernel maps whole pages, and the later one in the place of the earlier.
        if start < end {
            return Err(
                "its segments share pages, or are not in the order of their addresses".into(),
            );
        }
        total = total.saturating_add(size);
        end = start
            .saturating_add(size)
            .checked_next_multiple_of(PAGE)
            .unwrap_or(u64::MAX);
    }
    match total <= MEMORY {
        true => Ok(()),
        false => Err(format!(
            "it takes {total} bytes of memory; Lambda has up to {MEMORY}"
        )),
    }
}

/// An error where readers could take either of two entries.
fn judge_dynamic(entries: &[(DynamicTag, u64)]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let mut tags = entries.iter().map(|(tag, _)| tag.0);
    match tags.find(|tag| *tag != elf::DT_NEEDED.0 && !seen.insert(*tag)) {
        None => Ok(()),
        Some(tag) => Err(format!("it has more than one dynamic entry {tag:#x}")),
    }
}

/// Whether a segment is in the memory of `load` what it is in the file.
fn is_loaded_by(
    load: &ProgramHeader64<LittleEndian>,
    segment: &ProgramHeader64<LittleEndian>,
) -> bool {
    let in_file = segment.p_offset(LE).checked_sub(load.p_offset(LE));
    let in_memory = segment.p_vaddr(LE).checked_sub(load.p_vaddr(LE));
    let end = in_file.and_then(|start| start.checked_add(segment.p_filesz(LE)));
    load.p_type(LE) == elf::PT_LOAD
        && in_file == in_memory
        && end.is_some_and(|end| end <= load.p_filesz(LE))
}

/// Whether all of a segment lies in the memory of another.
fn covers(outer: &ProgramHeader64<LittleEndian>, inner: &ProgramHeader64<LittleEndian>) -> bool {
    let start = inner.p_vaddr(LE).checked_sub(outer.p_vaddr(LE));
    let end = start.and_then(|start| start.checked_add(inner.p_memsz(LE)));
    end.is_some_and(|end| end <= outer.p_memsz(LE))
}

/// The tables of a 64-bit little-endian file, each known to lie within it.
struct Elf<'a> {
    bytes: &'a [u8],
    header: &'a FileHeader64<LittleEndian>,
    segments: &'a [ProgramHeader64<LittleEndian>],
    /// Tags and values up to the terminating null.
    dynamic: Vec<(DynamicTag, u64)>,
    /// The names of the sections, and whether each is a table of symbols.
    sections: Vec<(String, bool)>,
}

impl<'a> Elf<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let describe = |error: object::Error| error.to_string();
        let header = FileHeader64::<LittleEndian>::parse(bytes).map_err(describe)?;
        let segments = header.program_headers(LE, bytes).map_err(describe)?;
        at_most(SEGMENTS, segments.len(), "segments")?;
        if segments.len() != usize::from(header.e_phnum(LE)) {
            return Err("it does not say how many segments it has".into());
        }
        judge_memory(segments)?;
        let mut dynamic = None;
        for segment in segments {
            segment
                .data(LE, bytes)
                .map_err(|()| "a segment ends behind the file")?;
            let Some(entries) = segment.dynamic(LE, bytes).map_err(describe)? else {
                continue;
            };
            at_most(DYNAMIC, entries.len(), "dynamic entries")?;
            if !entries.iter().any(|entry| entry.d_tag(LE) == elf::DT_NULL) {
                return Err("its dynamic section has no end".into());
            }
            let entries = entries
                .iter()
                .map(|entry| (entry.d_tag(LE), entry.d_val(LE)));
            let entries = entries.take_while(|(tag, _)| *tag != elf::DT_NULL);
            let entries: Vec<_> = entries.collect();
            judge_dynamic(&entries)?;
            if dynamic.replace(entries).is_some() {
                return Err("it has more than one dynamic segment".into());
            }
            if !segments.iter().any(|load| is_loaded_by(load, segment)) {
                return Err("its dynamic section is not loaded from where it is".into());
            }
        }
        let table = table_of_sections(header, bytes)?;
        let sections = table.iter().map(|section| {
            let name = table.section_name(LE, section).map_err(describe)?;
            section.data(LE, bytes).map_err(describe)?;
            let is_symbols = section.sh_type(LE) == elf::SHT_SYMTAB;
            Ok((strings::until_null(name), is_symbols))
        });
        Ok(Self {
            bytes,
            header,
            segments,
            dynamic: dynamic.unwrap_or_default(),
            sections: sections.collect::<Result<_, String>>()?,
        })
    }

    fn segments(
        &self,
        kind: ProgramType,
    ) -> impl Iterator<Item = &'a ProgramHeader64<LittleEndian>> {
        let segments = self.segments.iter();
        segments.filter(move |segment| segment.p_type(LE) == kind)
    }

    fn value(&self, tag: DynamicTag) -> Option<u64> {
        let entry = self.dynamic.iter().find(|(other, _)| *other == tag);
        entry.map(|(_, value)| *value)
    }

    fn flags(&self) -> DynamicFlags {
        DynamicFlags(self.value(elf::DT_FLAGS).unwrap_or_default())
    }

    fn flags_1(&self) -> DynamicFlags1 {
        DynamicFlags1(self.value(elf::DT_FLAGS_1).unwrap_or_default())
    }

    fn interpreter(&self) -> Option<String> {
        let segment = self.segments(elf::PT_INTERP).next()?;
        let name = segment.data(LE, self.bytes).unwrap_or_default();
        Some(strings::until_null(name))
    }

    /// The libraries that a loader would have to find.
    fn needed(&self) -> impl Iterator<Item = String> {
        let needed = self
            .dynamic
            .iter()
            .filter(|(tag, _)| *tag == elf::DT_NEEDED);
        needed.take(NEEDED).map(|(_, offset)| {
            let name = self
                .value(elf::DT_STRTAB)
                .and_then(|table| self.at(table.checked_add(*offset)?));
            name.map_or("one without a name".into(), strings::until_null)
        })
    }

    /// What is loaded at an address, up to the end of its segment.
    fn at(&self, address: u64) -> Option<&'a [u8]> {
        self.segments.iter().find_map(|segment| {
            let offset = address.checked_sub(segment.p_vaddr(LE))?;
            let data = segment.data(LE, self.bytes).ok()?;
            let is_loaded = segment.p_type(LE) == elf::PT_LOAD;
            data.get(usize::try_from(offset).ok()?..)
                .filter(|rest| is_loaded && !rest.is_empty())
        })
    }

    fn binds_now(&self) -> bool {
        self.value(elf::DT_BIND_NOW).is_some()
            || self.flags().contains(elf::DF_BIND_NOW)
            || self.flags_1().contains(elf::DF_1_NOW)
    }

    /// Whether a RELRO lies in data that can be written, and the dynamic section in it.
    fn is_of_data(&self, relro: &ProgramHeader64<LittleEndian>) -> bool {
        let mut data = self.segments(elf::PT_LOAD);
        let mut dynamic = self.segments(elf::PT_DYNAMIC);
        data.any(|data| data.p_flags(LE).contains(elf::PF_W) && covers(data, relro))
            && dynamic.all(|dynamic| covers(relro, dynamic))
    }

    fn starts_in_code(&self) -> bool {
        let entry = self.header.e_entry(LE);
        self.segments(elf::PT_LOAD).any(|segment| {
            let offset = entry.checked_sub(segment.p_vaddr(LE));
            segment.p_flags(LE).contains(elf::PF_X)
                && offset.is_some_and(|offset| offset < segment.p_filesz(LE))
        })
    }

    fn has_writable_code(&self) -> bool {
        self.segments.iter().any(|segment| {
            segment.p_type(LE) == elf::PT_LOAD
                && segment.p_flags(LE).contains(elf::PF_W | elf::PF_X)
        })
    }

    /// A section that a stripped file has not.
    fn leftovers(&self) -> Option<&str> {
        let mut sections = self.sections.iter();
        let left = sections.find(|(name, is_symbols)| {
            *is_symbols || LEFTOVERS.iter().any(|start| name.starts_with(start))
        });
        left.map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen::{self, Specimen};

    #[track_caller]
    fn assert_fault(specimen: &Specimen, expected: &str) {
        assert_eq!(faults(&specimen.bytes(), Some("x86_64"), &[]), [expected]);
    }

    // Where these are in the header of a segment.
    const ADDRESS: usize = 16;
    const FILE_SIZE: usize = 32;
    const MEMORY_SIZE: usize = 40;

    /// A specimen in which a field of the first segment of a kind is another.
    fn with(kind: ProgramType, field: usize, value: u64) -> Specimen {
        Specimen {
            headers: vec![(kind, field, value)],
            ..Specimen::default()
        }
    }

    fn section_of(specimen: &Specimen, name: &str) -> Option<Vec<u8>> {
        section(&specimen.bytes(), name, elf::SHT_PROGBITS).map(Into::into)
    }

    fn without(kind: ProgramType) -> Specimen {
        let mut specimen = Specimen::default();
        specimen.segments.retain(|segment| segment.kind != kind);
        specimen
    }

    #[test]
    fn a_static_pie_for_either_architecture_is_fine() {
        for (arch, machine) in [("x86_64", elf::EM_X86_64), ("arm64", elf::EM_AARCH64)] {
            let specimen = Specimen {
                machine,
                ..Specimen::default()
            };
            let none: [&str; 0] = [];
            assert_eq!(faults(&specimen.bytes(), Some(arch), &[]), none);
            assert_eq!(faults(&specimen.bytes(), None, &[]), none);
            assert_eq!(architecture(&specimen.bytes()), Ok(arch));
        }
    }

    #[test]
    fn another_architecture_is_named() {
        let specimen = Specimen {
            machine: elf::EM_AARCH64,
            ..Specimen::default()
        };
        assert_fault(&specimen, "is for arm64, not x86_64");
    }

    #[test]
    fn a_machine_that_lambda_has_not_is_named() {
        let specimen = Specimen {
            machine: elf::EM_RISCV,
            ..Specimen::default()
        };
        assert_fault(&specimen, "is for machine 243, which Lambda has not");
    }

    #[test]
    fn what_is_no_elf_file_is_said_to_be_none() {
        for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\nexec true\n", &[0; 4096]] {
            assert_eq!(
                faults(bytes, None, &[]),
                ["is no 64-bit little-endian ELF file"]
            );
        }
    }

    #[test]
    fn a_program_at_a_fixed_address_is_no_static_pie() {
        let specimen = Specimen {
            kind: elf::ET_EXEC,
            ..Specimen::default()
        };
        assert_fault(
            &specimen,
            "is no static-pie: expected type DYN and the flag PIE",
        );
    }

    #[test]
    fn a_shared_library_is_no_static_pie() {
        let mut specimen = Specimen::default();
        specimen.set(elf::DT_FLAGS_1, elf::DF_1_NOW.0);
        assert_fault(
            &specimen,
            "is no static-pie: expected type DYN and the flag PIE",
        );
    }

    #[test]
    fn an_interpreter_is_named() {
        let mut specimen = Specimen::default();
        specimen.add_segment(elf::PT_INTERP, elf::PF_R, b"/lib/ld-musl-x86_64.so.1\0");
        assert_fault(&specimen, "has an interpreter: /lib/ld-musl-x86_64.so.1");
    }

    #[test]
    fn a_needed_library_is_named() {
        let mut specimen = Specimen::default();
        specimen.set(elf::DT_NEEDED, specimen::LIBRARY);
        assert_fault(&specimen, "needs a library: libc.so.6");
    }

    #[test]
    fn relocated_data_that_is_not_named_is_said() {
        assert_fault(
            &without(elf::PT_GNU_RELRO),
            "has no RELRO: no segment names the data that is only relocated",
        );
    }

    #[test]
    fn relro_that_is_not_the_data_with_the_dynamic_section_is_named() {
        for (field, value) in [
            (MEMORY_SIZE, 0),
            (MEMORY_SIZE, 1),
            (MEMORY_SIZE, 1 << 20),
            (ADDRESS, 0x10_0000),
        ] {
            let mut specimen = with(elf::PT_GNU_RELRO, FILE_SIZE, 0);
            specimen.headers.push((elf::PT_GNU_RELRO, field, value));
            assert_fault(
                &specimen,
                "has a RELRO that does not cover its relocated data",
            );
        }
    }

    #[test]
    fn relro_of_data_that_cannot_be_written_is_named() {
        let flags = u64::from(elf::PT_LOAD.0) | u64::from(elf::PF_R.0) << 32;
        assert_fault(
            &with(elf::PT_LOAD, 0, flags),
            "has a RELRO that does not cover its relocated data",
        );
    }

    #[test]
    fn segments_that_share_pages_or_are_not_sorted_are_broken() {
        // The second of those that are loaded is at 0x1000 and more.
        for address in [0x1000, 0x10_0000] {
            assert_fault(
                &with(elf::PT_LOAD, ADDRESS, address),
                "is a broken ELF file: its segments share pages, or are not in the order of their addresses",
            );
        }
    }

    #[test]
    fn a_segment_that_is_larger_in_the_file_than_in_memory_is_broken() {
        assert_fault(
            &with(elf::PT_LOAD, MEMORY_SIZE, 1),
            "is a broken ELF file: a segment has more bytes in the file than in memory",
        );
    }

    #[test]
    fn more_memory_than_lambda_has_is_broken() {
        let size = 10_240 << 20;
        let mut specimen = without(elf::PT_LOAD);
        specimen.entry = Some(0);
        specimen.headers.push((elf::PT_LOAD, MEMORY_SIZE, size));
        assert_fault(
            &specimen,
            "cannot be started: its entry point is not in its code",
        );
        specimen.headers.push((elf::PT_LOAD, MEMORY_SIZE, size + 1));
        assert_fault(
            &specimen,
            "is a broken ELF file: it takes 10737418241 bytes of memory; Lambda has up to 10737418240",
        );
    }

    #[test]
    fn a_dynamic_section_that_is_loaded_from_elsewhere_is_broken() {
        let mut specimen = Specimen::default();
        specimen.headers.push((elf::PT_DYNAMIC, ADDRESS, 0x100));
        specimen.headers.push((elf::PT_GNU_RELRO, ADDRESS, 0x100));
        assert_fault(
            &specimen,
            "is a broken ELF file: its dynamic section is not loaded from where it is",
        );
    }

    #[test]
    fn a_dynamic_section_that_goes_on_behind_its_segment_is_broken() {
        assert_fault(
            &with(elf::PT_DYNAMIC, FILE_SIZE, 48),
            "is a broken ELF file: its dynamic section has no end",
        );
    }

    #[test]
    fn a_dynamic_entry_that_stands_twice_is_broken() {
        for (tag, value) in [
            (elf::DT_FLAGS, elf::DF_BIND_NOW.0),
            (elf::DT_FLAGS_1, elf::DF_1_PIE.0),
        ] {
            let mut specimen = Specimen::default();
            specimen.dynamic.push((tag, value));
            assert_fault(
                &specimen,
                &format!(
                    "is a broken ELF file: it has more than one dynamic entry {:#x}",
                    tag.0
                ),
            );
        }
    }

    #[test]
    fn an_entry_point_outside_of_the_code_is_named() {
        let outside = Specimen {
            entry: Some(0),
            ..Specimen::default()
        };
        let mut without = without(elf::PT_LOAD);
        without.entry = Some(0);
        for specimen in [outside, without] {
            assert_fault(
                &specimen,
                "cannot be started: its entry point is not in its code",
            );
        }
    }

    #[test]
    fn lazy_binding_is_named() {
        let mut specimen = Specimen::default();
        specimen.set(elf::DT_FLAGS, 0);
        specimen.set(elf::DT_FLAGS_1, elf::DF_1_PIE.0);
        assert_fault(&specimen, "does not bind NOW: RELRO covers a part only");
    }

    #[test]
    fn any_of_the_three_ways_to_bind_now_is_enough() {
        for (tag, value) in [
            (elf::DT_FLAGS, elf::DF_BIND_NOW.0),
            (elf::DT_BIND_NOW, 0),
            (elf::DT_FLAGS_1, (elf::DF_1_PIE | elf::DF_1_NOW).0),
        ] {
            let mut specimen = Specimen::default();
            specimen.set(elf::DT_FLAGS, 0);
            specimen.set(elf::DT_FLAGS_1, elf::DF_1_PIE.0);
            specimen.set(tag, value);
            assert!(faults(&specimen.bytes(), None, &[]).is_empty(), "{tag:?}");
        }
    }

    #[test]
    fn a_stack_of_which_nothing_is_said_is_named() {
        assert_fault(
            &without(elf::PT_GNU_STACK),
            "does not say that its stack is not executable: no GNU_STACK",
        );
    }

    #[test]
    fn an_executable_stack_is_named() {
        let mut specimen = without(elf::PT_GNU_STACK);
        specimen.add_segment(elf::PT_GNU_STACK, elf::PF_R | elf::PF_W | elf::PF_X, b"");
        assert_fault(&specimen, "has an executable stack");
    }

    #[test]
    fn a_stack_that_is_described_twice_is_named() {
        for (flags, expected) in [
            (elf::PF_R | elf::PF_X, "has an executable stack"),
            (elf::PF_R, "describes its stack 2 times: GNU_STACK"),
        ] {
            let mut specimen = Specimen::default();
            specimen.add_segment(elf::PT_GNU_STACK, flags, b"");
            assert_fault(&specimen, expected);
        }
    }

    #[test]
    fn code_that_can_be_written_is_named() {
        let mut specimen = Specimen::default();
        specimen.add_segment(elf::PT_LOAD, elf::PF_R | elf::PF_W | elf::PF_X, b"code");
        assert_fault(
            &specimen,
            "has a segment that is both writable and executable",
        );
    }

    #[test]
    fn text_relocations_are_named() {
        for (tag, value) in [
            (elf::DT_TEXTREL, 0),
            (elf::DT_FLAGS, (elf::DF_TEXTREL | elf::DF_BIND_NOW).0),
        ] {
            let mut specimen = Specimen::default();
            specimen.set(tag, value);
            assert_fault(&specimen, "has text relocations");
        }
    }

    #[test]
    fn symbols_and_debug_sections_are_named() {
        for (name, kind) in [
            (".symtab", elf::SHT_SYMTAB),
            (".debug_info", elf::SHT_PROGBITS),
            (".gnu_debugdata", elf::SHT_PROGBITS),
            (".llvmbc", elf::SHT_PROGBITS),
            (".llvmcmd", elf::SHT_PROGBITS),
        ] {
            let mut specimen = Specimen::default();
            specimen.sections.push((name, kind, Vec::new()));
            assert_fault(
                &specimen,
                &format!("is not stripped: it has the section {name}"),
            );
        }
    }

    #[test]
    fn a_second_dynamic_segment_is_broken() {
        let mut specimen = Specimen::default();
        specimen.add_segment(elf::PT_DYNAMIC, elf::PF_R, &[0; 16]);
        assert_fault(
            &specimen,
            "is a broken ELF file: it has more than one dynamic segment",
        );
    }

    #[test]
    fn more_segments_than_a_linker_writes_are_broken() {
        let mut specimen = Specimen::default();
        for _ in 0..100 {
            specimen.add_segment(elf::PT_LOAD, elf::PF_R, b"");
        }
        assert_fault(
            &specimen,
            "is a broken ELF file: it has 105 segments, expected up to 64",
        );
    }

    #[test]
    fn more_dynamic_entries_than_a_linker_writes_are_broken() {
        let mut specimen = Specimen::default();
        let library = (elf::DT_NEEDED, specimen::LIBRARY);
        specimen.dynamic.extend([library; 2000]);
        assert_fault(
            &specimen,
            "is a broken ELF file: it has 2004 dynamic entries, expected up to 1000",
        );
    }

    #[test]
    fn of_many_needed_libraries_the_first_are_named() {
        let mut specimen = Specimen::default();
        let library = (elf::DT_NEEDED, specimen::LIBRARY);
        specimen.dynamic.extend([library; 100]);
        assert_eq!(faults(&specimen.bytes(), None, &[]).len(), NEEDED);
    }

    #[test]
    fn more_sections_than_a_linker_writes_are_broken_and_not_searched() {
        let mut specimen = Specimen::default();
        let section = || ("a", elf::SHT_PROGBITS, Vec::new());
        specimen.sections.extend((0..600).map(|_| section()));
        assert_fault(
            &specimen,
            "is a broken ELF file: it has 604 sections, expected up to 500",
        );
        assert_eq!(section_of(&specimen, ".comment"), None);
    }

    #[test]
    fn sections_without_a_count_are_broken_and_not_searched() {
        let mut bytes = Specimen::default().bytes();
        let count = u64::from(bytes[60]);
        bytes[60] = 0;
        // Their count is then the size of the first.
        let table = u64::from_le_bytes(*bytes[40..].first_chunk().unwrap()) as usize;
        bytes[table + 32..table + 40].copy_from_slice(&count.to_le_bytes());
        assert_eq!(
            faults(&bytes, None, &[]),
            ["is a broken ELF file: it does not say how many sections it has"]
        );
        assert_eq!(section(&bytes, ".comment", elf::SHT_PROGBITS), None);
    }

    #[test]
    fn segments_without_a_count_are_broken() {
        let mut bytes = Specimen::default().bytes();
        let count = u32::from(bytes[56]);
        bytes[56..58].fill(0xff);
        // Their count is then in the first section.
        let table = u64::from_le_bytes(*bytes[40..].first_chunk().unwrap()) as usize;
        bytes[table + 44..table + 48].copy_from_slice(&count.to_le_bytes());
        assert_eq!(
            faults(&bytes, None, &[]),
            ["is a broken ELF file: it does not say how many segments it has"]
        );
    }

    #[test]
    fn names_of_sections_without_an_end_are_broken_and_not_searched() {
        let mut specimen = Specimen::default();
        let name: &str = "a".repeat(70_000).leak();
        specimen
            .sections
            .push((name, elf::SHT_PROGBITS, Vec::new()));
        let faults = faults(&specimen.bytes(), None, &[]);
        assert!(
            faults[0].contains("the names of its sections take 700"),
            "{faults:?}"
        );
        assert_eq!(section_of(&specimen, ".comment"), None);
    }

    #[test]
    fn a_path_that_only_looks_like_one_of_a_builder_is_the_functions_own() {
        let mut specimen = Specimen::default();
        specimen.add_segment(elf::PT_LOAD, elf::PF_R, b"in/home/ada/config.rs\0");
        assert_eq!(faults(&specimen.bytes(), None, &["/work"]), [""; 0]);
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_is_broken_and_nothing_panics() {
        let mut whole = Specimen::default();
        whole.set(elf::DT_NEEDED, u64::MAX);
        let whole = whole.bytes();
        for length in 0..whole.len() {
            assert!(
                !faults(&whole[..length], None, &[]).is_empty(),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn no_byte_that_is_changed_makes_it_panic() {
        let whole = Specimen::default().bytes();
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                faults(&changed, None, &[]);
            }
        }
    }
}
