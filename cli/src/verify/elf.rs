//! Checks that a binary runs on Lambda without any other file: it must be static, hardened and stripped.
//!
//! The names of types, flags and segments are those of the System V ABI and of glibc's `elf.h`.

use anyhow::{Context, anyhow, bail, ensure};
use object::LittleEndian;
use object::elf::{self, DynamicTag, FileHeader64, ProgramFlags, ProgramType};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader, SectionHeader};

use super::{SHOWN, broken, on_a_line};
use crate::arch::Arch;

type Elf<'a> = ElfFile64<'a, LittleEndian>;

const LE: LittleEndian = LittleEndian;

/// The maximum number of sections, several times what a linker writes. A file with more was created to keep its reader busy.
const SECTIONS: usize = 500;

/// The prefixes of the names of sections that a stripped file does not have: symbols for debuggers, code for compilers, and
/// command lines of compilers.
const LEFTOVERS: [&str; 8] =
    [".symtab", ".debug", ".zdebug", ".gdb_index", ".gnu_debugdata", ".stab", ".llvmbc", ".llvmcmd"];

/// The names of all sections, and their sizes in the file in bytes.
pub fn sizes(bytes: &[u8]) -> Vec<(String, u64)> {
    sections(bytes).into_iter().map(|(name, data)| (name, data.len() as u64)).collect()
}

/// The architecture that a binary is for.
pub fn architecture(bytes: &[u8]) -> anyhow::Result<Arch> {
    let header = FileHeader64::<LittleEndian>::parse(bytes);
    let Some(header) = header.ok().filter(|header| header.is_little_endian()) else {
        bail!("is not a 64-bit little-endian ELF file");
    };
    match header.e_machine(LE) {
        elf::EM_X86_64 => Ok(Arch::X86_64),
        elf::EM_AARCH64 => Ok(Arch::Arm64),
        other => bail!("is for machine {}, which Lambda does not support", other.0),
    }
}

/// The names and contents of all sections; none if the file is not ELF.
pub fn sections(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let sections = parse(bytes).map_or(Vec::new(), |(_, sections)| sections);
    let copied = sections.into_iter().map(|(name, data, _)| (name, data.to_vec()));
    copied.filter(|(name, _)| !name.is_empty()).collect()
}

/// The names of sections, their contents, and whether they are loaded.
type Sections<'a> = Vec<(String, &'a [u8], bool)>;

/// Parses a file, and checks that its segments and sections are within it.
fn parse(bytes: &[u8]) -> anyhow::Result<(Elf<'_>, Sections<'_>)> {
    let elf = Elf::parse(bytes)?;
    for segment in elf.elf_program_headers() {
        segment.data(LE, bytes).map_err(|()| anyhow!("a segment extends beyond the end of the file"))?;
    }
    let table = elf.elf_section_table();
    let count = table.len();
    ensure!(count <= SECTIONS, "it has {count} sections; expected at most {SECTIONS}");
    let index = elf.elf_header().section_strings_index(LE, bytes);
    // `table.section_name` would search any number of bytes for the end of each name.
    let names = index.and_then(|index| table.section(index)?.data(LE, bytes)).unwrap_or_default();
    let sections = table.iter().map(|section| {
        let name = on_a_line(names.get(section.sh_name(LE) as usize..).unwrap_or_default());
        let is_loaded = section.sh_flags(LE).contains(elf::SHF_ALLOC);
        section.data(LE, bytes).map(|data| (name, data, is_loaded))
    });
    let sections = sections.collect::<Result<Sections, _>>()?;
    // This limits the memory for a copy of all sections to the size of the file.
    let size: usize = sections.iter().map(|(_, data, _)| data.len()).sum();
    ensure!(size <= bytes.len(), "its sections overlap");
    Ok((elf, sections))
}

/// All problems with a binary. Without `arch`, either architecture is accepted.
pub fn faults(bytes: &[u8], arch: Option<Arch>) -> Vec<String> {
    inspect(bytes, arch).unwrap_or_else(|fault| vec![format!("{fault:#}")])
}

fn inspect(bytes: &[u8], arch: Option<Arch>) -> anyhow::Result<Vec<String>> {
    let actual = architecture(bytes)?;
    let (elf, sections) = parse(bytes).context("is a broken ELF file")?;
    let dynamic = elf.elf_dynamic_table().unwrap_or_default();
    let value = |tag: DynamicTag| dynamic.iter().find(|entry| entry.tag == tag).map(|entry| entry.val);
    let has_flag = |tag, flag: u64| value(tag).is_some_and(|flags| flags & flag != 0);
    let segments = |kind: ProgramType, flags: ProgramFlags| {
        let segments = elf.elf_program_headers().iter();
        segments.filter(move |s| s.p_type(LE) == kind && s.p_flags(LE).contains(flags))
    };
    let has = |kind, flags| segments(kind, flags).next().is_some();

    let header = elf.elf_header();
    let is_pie = header.e_type(LE) == elf::ET_DYN && has_flag(elf::DT_FLAGS_1, elf::DF_1_PIE.0);
    let binds_now = value(elf::DT_BIND_NOW).is_some()
        || has_flag(elf::DT_FLAGS, elf::DF_BIND_NOW.0)
        || has_flag(elf::DT_FLAGS_1, elf::DF_1_NOW.0);
    let is_relocated = value(elf::DT_TEXTREL).is_some() || has_flag(elf::DT_FLAGS, elf::DF_TEXTREL.0);
    let can_start = segments(elf::PT_LOAD, elf::PF_X).any(|code| {
        let offset = header.e_entry(LE).checked_sub(code.p_vaddr(LE));
        offset.is_some_and(|offset| offset < code.p_filesz(LE))
    });
    let rules = [
        (is_pie, "is not a static-pie: expected type DYN with the flag PIE"),
        (has(elf::PT_GNU_RELRO, ProgramFlags(0)), "has no RELRO: no segment GNU_RELRO"),
        (binds_now, "does not bind NOW: its RELRO is partial"),
        (has(elf::PT_GNU_STACK, ProgramFlags(0)), "has no GNU_STACK: its stack may be executable"),
        (!has(elf::PT_GNU_STACK, elf::PF_X), "has an executable stack"),
        (!has(elf::PT_LOAD, elf::PF_W | elf::PF_X), "has a writable and executable segment"),
        (!is_relocated, "has text relocations"),
        (can_start, "cannot start: its entry point is not code"),
    ];
    let mut faults: Vec<String> = broken(rules).map(Into::into).collect();
    let other = arch.filter(|arch| *arch != actual);
    faults.extend(other.map(|arch| format!("is for {}, not {}", actual.name(), arch.name())));
    let interpreter = segments(elf::PT_INTERP, ProgramFlags(0)).next().map(|segment| segment.data(LE, bytes));
    faults.extend(interpreter.map(|name| format!("has an interpreter: {}", on_a_line(name.unwrap_or_default()))));
    let needed = dynamic.iter().filter(|entry| entry.tag == elf::DT_NEEDED);
    faults.extend(needed.take(SHOWN).map(|entry| {
        let name = dynamic.string(entry).map_or("one without a name".into(), on_a_line);
        format!("needs a library: {name}")
    }));
    let is_leftover = |name: &&String| LEFTOVERS.iter().any(|start| name.starts_with(start));
    // A loaded section, such as the `.debug_gdb_scripts` that rustc adds if there is debug information, is part of the program.
    let leftover = sections.iter().filter(|section| !section.2).map(|(name, ..)| name).find(is_leftover);
    faults.extend(leftover.map(|name| format!("is not stripped: it has the section {name}")));
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use object::elf::*;

    use super::*;
    use crate::verify::specimen::{LIBRARY, Specimen, spoilt};

    fn problems(spoil: impl FnOnce(&mut Specimen)) -> Vec<String> {
        faults(&Specimen::spoilt(spoil), Some(Arch::X86_64))
    }

    spoilt! {
        for_another_architecture: |elf| elf.machine = EM_AARCH64 => "is for arm64, not x86_64";
        for_another_machine: |elf| elf.machine = EM_RISCV => "is for machine 243, which Lambda does not support";
        at_a_fixed_address: |elf| elf.kind = ET_EXEC => "is not a static-pie: expected type DYN with the flag PIE";
        a_shared_library: |elf| elf.set(DT_FLAGS_1, DF_1_NOW.0)
            => "is not a static-pie: expected type DYN with the flag PIE";
        with_an_interpreter: |elf| elf.segment(PT_INTERP, PF_R) => "has an interpreter: /lib/ld-musl-x86_64.so.1";
        with_a_needed_library: |elf| elf.set(DT_NEEDED, LIBRARY) => "needs a library: libc.so.6";
        with_a_library_without_a_name: |elf| elf.set(DT_NEEDED, u64::MAX) => "needs a library: one without a name";
        without_relro: |elf| elf.segments.retain(|(kind, _)| *kind != PT_GNU_RELRO)
            => "has no RELRO: no segment GNU_RELRO";
        with_lazy_binding: |elf| elf.binds_by(DT_FLAGS, 0) => "does not bind NOW: its RELRO is partial";
        without_a_gnu_stack: |elf| elf.segments.retain(|(kind, _)| *kind != PT_GNU_STACK)
            => "has no GNU_STACK: its stack may be executable";
        with_an_executable_stack: |elf| elf.segment(PT_GNU_STACK, PF_R | PF_X) => "has an executable stack";
        with_writable_code: |elf| elf.segment(PT_LOAD, PF_R | PF_W | PF_X) => "has a writable and executable segment";
        with_text_relocations: |elf| elf.set(DT_TEXTREL, 0) => "has text relocations";
        with_text_relocations_in_its_flags: |elf| elf.set(DT_FLAGS, DF_TEXTREL.0) => "has text relocations";
        that_starts_outside_of_its_code: |elf| elf.entry = Some(0) => "cannot start: its entry point is not code";
        with_more_sections_than_a_linker_writes: |elf| (0..600).for_each(|_| elf.section("a", b""))
            => "is a broken ELF file: it has 605 sections; expected at most 500";
    }

    #[test]
    fn a_static_pie_for_either_architecture_has_no_problem_and_may_contain_what_looks_like_a_path() {
        for (arch, machine) in [(Arch::X86_64, EM_X86_64), (Arch::Arm64, EM_AARCH64)] {
            let binary = Specimen::spoilt(|elf| {
                elf.machine = machine;
                elf.text("in/home/ada/config.rs\0");
            });
            assert_eq!(architecture(&binary).unwrap(), arch);
            assert_eq!(faults(&binary, Some(arch)), [""; 0]);
            assert_eq!(faults(&binary, None), [""; 0]);
        }
    }

    #[test]
    fn any_of_the_three_ways_to_bind_now_is_enough() {
        let [flags, flags_1] = [DF_BIND_NOW.0, (DF_1_PIE | DF_1_NOW).0];
        for (tag, value) in [(DT_FLAGS, flags), (DT_BIND_NOW, 0), (DT_FLAGS_1, flags_1)] {
            assert_eq!(problems(|elf| elf.binds_by(tag, value)), [""; 0], "{tag:?}");
        }
    }

    #[test]
    fn any_section_left_by_debuggers_or_compilers_is_named() {
        for name in LEFTOVERS.iter().chain(&[".debug_gdb_scripts", ".stabstr"]) {
            let fault = format!("is not stripped: it has the section {name}");
            assert_eq!(problems(|elf| elf.section(name, b"")), [fault]);
        }
        assert_eq!(problems(|elf| elf.loaded(".debug_gdb_scripts")), [""; 0]);
    }

    #[test]
    fn a_file_that_is_not_elf_has_only_one_problem() {
        for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\nexec true\n", &[0; 4096]] {
            assert_eq!(faults(bytes, None), ["is not a 64-bit little-endian ELF file"]);
            assert_eq!(sections(bytes), []);
        }
    }

    #[test]
    fn sections_have_names_and_contents() {
        let last = sections(&Specimen::spoilt(|elf| elf.section(".a", b"A"))).pop();
        assert_eq!(last, Some((".a".into(), b"A".into())));
    }

    #[test]
    fn sections_that_overlap_are_not_copied() {
        let mut binary = Specimen::default().bytes();
        let whole = [0, binary.len() as u64].map(u64::to_le_bytes).concat();
        // The last two sections in the table.
        for at in [binary.len() - 64 + 24, binary.len() - 2 * 64 + 24] {
            binary[at..at + 16].copy_from_slice(&whole);
        }
        assert_eq!(faults(&binary, None), ["is a broken ELF file: its sections overlap"]);
    }

    #[test]
    fn a_binary_truncated_anywhere_has_a_problem_and_causes_no_panic() {
        let whole = Specimen::default().bytes();
        for length in 0..whole.len() {
            assert!(!faults(&whole[..length], None).is_empty(), "{length} bytes");
        }
    }

    #[test]
    fn a_changed_byte_causes_no_panic() {
        let whole = Specimen::spoilt(|elf| elf.set(DT_NEEDED, LIBRARY));
        for (at, value) in (0..whole.len()).flat_map(|at| [0, 1, 0x7f, 0xff].map(|v| (at, v))) {
            let mut changed = whole.clone();
            changed[at] = value;
            faults(&changed, None);
            crate::verify::origin::read(&changed, crate::package::Form::Script, None);
        }
    }
}
