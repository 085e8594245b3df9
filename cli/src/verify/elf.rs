//! What a binary must be to run on Lambda alone: static, hardened, stripped, and silent about the machine that built it.
//!
//! The names are those of the System V ABI and of glibc's `elf.h`.

use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use object::{
    LittleEndian,
    elf::{self, DynamicTag, FileHeader64, ProgramFlags, ProgramType, SectionType},
    read::elf::{ElfFile64, FileHeader, ProgramHeader, SectionHeader},
};

use super::{archive::UNZIPPED, on_a_line, paths};
use crate::arch::Arch;

type Elf<'a> = ElfFile64<'a, LittleEndian>;

const LE: LittleEndian = LittleEndian;

/// Several times as many sections as a linker writes: what has more was made to keep its reader busy.
const SECTIONS: usize = 500;

/// How many libraries are named.
const NEEDED: usize = 40;

/// How the sections begin that a stripped file does not have: symbols for debuggers, code for compilers and how they were
/// called.
const LEFTOVERS: [&str; 7] = [
    ".debug",
    ".zdebug",
    ".gdb_index",
    ".gnu_debugdata",
    ".stab",
    ".llvmbc",
    ".llvmcmd",
];

/// An error with a line for each problem of `binary`, if it has any. No path below one of `places`, which are absolute, may
/// be in it.
pub fn check(binary: &Path, arch: Arch, places: &[&Path]) -> anyhow::Result<()> {
    let bytes = super::read(binary, UNZIPPED)?;
    super::verdict(binary, faults(&bytes, Some(arch), places))
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
        other => bail!("is for machine {}, which Lambda does not have", other.0),
    }
}

/// The names of all sections and what they hold in the file; none where it is not an ELF file.
pub fn sections(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let named = table(bytes).into_iter().filter(|s| !s.name.is_empty());
    named.map(|s| (s.name, s.data.to_vec())).collect()
}

/// The same without a copy of what they hold.
pub fn table(bytes: &[u8]) -> Vec<Section<'_>> {
    parse(bytes).map_or(Vec::new(), |(_, sections)| sections)
}

pub struct Section<'a> {
    pub name: String,
    pub kind: SectionType,
    pub data: &'a [u8],
}

/// A file whose segments and sections are known to lie within it.
fn parse(bytes: &[u8]) -> anyhow::Result<(Elf<'_>, Vec<Section<'_>>)> {
    let elf = Elf::parse(bytes)?;
    for segment in elf.elf_program_headers() {
        let data = segment.data(LE, bytes);
        data.map_err(|()| anyhow!("a segment ends behind the file"))?;
    }
    let table = elf.elf_section_table();
    let count = table.len();
    ensure!(
        count <= SECTIONS,
        "it has {count} sections, expected up to {SECTIONS}"
    );
    let names = elf.elf_header().section_strings_index(LE, bytes);
    let names = names.and_then(|index| table.section(index)?.data(LE, bytes));
    // `table.section_name` would look for the end of each name in any number of bytes.
    let names = names.unwrap_or_default();
    let sections = table.iter().map(|section| {
        let name = names.get(section.sh_name(LE) as usize..);
        let (name, kind) = (on_a_line(name.unwrap_or_default()), section.sh_type(LE));
        section
            .data(LE, bytes)
            .map(|data| Section { name, kind, data })
    });
    let sections = sections.collect::<Result<Vec<_>, _>>()?;
    // A copy of all of them then takes no more memory than the file.
    let size: usize = sections.iter().map(|section| section.data.len()).sum();
    ensure!(size <= bytes.len(), "its sections overlap");
    Ok((elf, sections))
}

/// All problems of a binary; without `arch` it may be for either architecture.
pub fn faults(bytes: &[u8], arch: Option<Arch>, places: &[&Path]) -> Vec<String> {
    inspect(bytes, arch, places).unwrap_or_else(|fault| vec![format!("{fault:#}")])
}

fn inspect(bytes: &[u8], arch: Option<Arch>, places: &[&Path]) -> anyhow::Result<Vec<String>> {
    let actual = architecture(bytes)?;
    let (elf, sections) = parse(bytes).context("is a broken ELF file")?;
    let dynamic = elf.elf_dynamic_table().unwrap_or_default();
    let value = |tag: DynamicTag| {
        dynamic
            .iter()
            .find(|entry| entry.tag == tag)
            .map(|entry| entry.val)
    };
    let has_flag = |tag, flag: u64| value(tag).is_some_and(|flags| flags & flag != 0);
    let segments = |kind: ProgramType, flags: ProgramFlags| {
        let segments = elf.elf_program_headers().iter();
        segments.filter(move |s| s.p_type(LE) == kind && s.p_flags(LE).contains(flags))
    };
    let has = |kind, flags| segments(kind, flags).next().is_some();

    let mut faults = Vec::new();
    let mut rule = |is_kept: bool, fault: &str| {
        if !is_kept {
            faults.push(fault.to_owned());
        }
    };
    let is_pie = has_flag(elf::DT_FLAGS_1, elf::DF_1_PIE.0);
    let is_static_pie = elf.elf_header().e_type(LE) == elf::ET_DYN && is_pie;
    rule(is_static_pie, "is not a static-pie: DYN with the flag PIE");
    let has_relro = has(elf::PT_GNU_RELRO, ProgramFlags(0));
    rule(has_relro, "has no RELRO: no segment GNU_RELRO");
    let binds_now = value(elf::DT_BIND_NOW).is_some()
        || has_flag(elf::DT_FLAGS, elf::DF_BIND_NOW.0)
        || has_flag(elf::DT_FLAGS_1, elf::DF_1_NOW.0);
    rule(binds_now, "does not bind NOW: its RELRO is partial");
    let has_stack = has(elf::PT_GNU_STACK, ProgramFlags(0));
    rule(has_stack, "has no GNU_STACK: its stack may be executable");
    let has_executable_stack = has(elf::PT_GNU_STACK, elf::PF_X);
    rule(!has_executable_stack, "has an executable stack");
    let has_writable_code = has(elf::PT_LOAD, elf::PF_W | elf::PF_X);
    rule(!has_writable_code, "has a writable and executable segment");
    let is_relocated = has_flag(elf::DT_FLAGS, elf::DF_TEXTREL.0);
    let is_relocated = is_relocated || value(elf::DT_TEXTREL).is_some();
    rule(!is_relocated, "has text relocations");
    let entry = elf.elf_header().e_entry(LE);
    let can_start = segments(elf::PT_LOAD, elf::PF_X).any(|code| {
        let offset = entry.checked_sub(code.p_vaddr(LE));
        offset.is_some_and(|offset| offset < code.p_filesz(LE))
    });
    rule(can_start, "cannot start: its entry point is not code");

    if let Some(arch) = arch.filter(|arch| *arch != actual) {
        faults.push(format!("is for {}, not {}", actual.name(), arch.name()));
    }
    if let Some(segment) = segments(elf::PT_INTERP, ProgramFlags(0)).next() {
        let name = on_a_line(segment.data(LE, bytes).unwrap_or_default());
        faults.push(format!("has an interpreter: {name}"));
    }
    let needed = dynamic.iter().filter(|entry| entry.tag == elf::DT_NEEDED);
    faults.extend(needed.take(NEEDED).map(|entry| {
        let name = dynamic.string(entry).map(on_a_line);
        format!("needs a library: {}", name.unwrap_or_default())
    }));
    let leftover = sections.iter().find(|section| {
        let is_left = |start: &&str| section.name.starts_with(start);
        section.kind == elf::SHT_SYMTAB || LEFTOVERS.iter().any(is_left)
    });
    if let Some(Section { name, .. }) = leftover {
        faults.push(format!("is not stripped: it has the section {name}"));
    }
    if let Some(path) = paths::known_path(bytes, places) {
        let cure = paths::CURE;
        faults.push(format!(
            "holds a path of the machine that built it: {path}; {cure}"
        ));
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use object::elf::{
        DF_1_NOW, DF_1_PIE, DF_BIND_NOW, DF_TEXTREL, PF_R, PF_W, PF_X, SHT_PROGBITS,
    };

    use super::*;
    use crate::verify::specimen::{LIBRARY, Specimen, spoilt};

    fn problems(spoil: impl FnOnce(&mut Specimen)) -> Vec<String> {
        let clone = Path::new("/work/clone");
        faults(&Specimen::spoilt(spoil), Some(Arch::X86_64), &[clone])
    }

    spoilt! {
        for_another_architecture: |elf| elf.machine = elf::EM_AARCH64 => "is for arm64, not x86_64";
        for_a_machine_that_lambda_does_not_have: |elf| elf.machine = elf::EM_RISCV
            => "is for machine 243, which Lambda does not have";
        at_a_fixed_address: |elf| elf.kind = elf::ET_EXEC => "is not a static-pie: DYN with the flag PIE";
        a_shared_library: |elf| elf.set(elf::DT_FLAGS_1, DF_1_NOW.0) => "is not a static-pie: DYN with the flag PIE";
        with_an_interpreter: |elf| elf.segment(elf::PT_INTERP, PF_R, b"/lib/ld-musl-x86_64.so.1\0")
            => "has an interpreter: /lib/ld-musl-x86_64.so.1";
        with_a_needed_library: |elf| elf.set(elf::DT_NEEDED, LIBRARY) => "needs a library: libc.so.6";
        with_a_needed_library_without_a_name: |elf| elf.set(elf::DT_NEEDED, u64::MAX) => "needs a library: ";
        without_relro: |elf| elf.without(elf::PT_GNU_RELRO) => "has no RELRO: no segment GNU_RELRO";
        with_lazy_binding: |elf| { elf.set(elf::DT_FLAGS, 0); elf.set(elf::DT_FLAGS_1, DF_1_PIE.0) }
            => "does not bind NOW: its RELRO is partial";
        that_says_nothing_of_its_stack: |elf| elf.without(elf::PT_GNU_STACK)
            => "has no GNU_STACK: its stack may be executable";
        with_an_executable_stack: |elf| elf.segment(elf::PT_GNU_STACK, PF_R | PF_X, b"") => "has an executable stack";
        with_code_that_can_be_written: |elf| elf.segment(elf::PT_LOAD, PF_R | PF_W | PF_X, b"code")
            => "has a writable and executable segment";
        with_text_relocations: |elf| elf.set(elf::DT_TEXTREL, 0) => "has text relocations";
        with_text_relocations_in_its_flags: |elf| elf.set(elf::DT_FLAGS, DF_TEXTREL.0) => "has text relocations";
        that_starts_outside_of_its_code: |elf| elf.entry = Some(0) => "cannot start: its entry point is not code";
        with_symbols: |elf| elf.section("any", elf::SHT_SYMTAB, b"")
            => "is not stripped: it has the section any";
        with_a_path_of_the_clone: |elf| elf.text("/work/clone/src/main.rs\0")
            => format!("holds a path of the machine that built it: /work/clone/src/main.rs; {}", paths::CURE);
        with_a_path_that_only_looks_like_one_of_a_builder: |elf| { elf.entry = Some(0); elf.text("/home/ada/config.rs\0") }
            => "cannot start: its entry point is not code";
        with_more_sections_than_a_linker_writes: |elf| (0..600).for_each(|_| elf.section("a", SHT_PROGBITS, b""))
            => "is a broken ELF file: it has 605 sections, expected up to 500";
    }

    #[test]
    fn a_static_pie_for_either_architecture_has_no_problem() {
        for (arch, machine) in [
            (Arch::X86_64, elf::EM_X86_64),
            (Arch::Arm64, elf::EM_AARCH64),
        ] {
            let binary = Specimen::spoilt(|elf| elf.machine = machine);
            assert_eq!(architecture(&binary).unwrap(), arch);
            assert_eq!(faults(&binary, Some(arch), &[]), [""; 0]);
            assert_eq!(faults(&binary, None, &[]), [""; 0]);
        }
    }

    #[test]
    fn any_of_the_three_ways_to_bind_now_is_enough() {
        let flags = (DF_1_PIE | DF_1_NOW).0;
        for (tag, value) in [
            (elf::DT_FLAGS, DF_BIND_NOW.0),
            (elf::DT_BIND_NOW, 0),
            (elf::DT_FLAGS_1, flags),
        ] {
            let spoil = |elf: &mut Specimen| {
                elf.set(elf::DT_FLAGS, 0);
                elf.set(elf::DT_FLAGS_1, DF_1_PIE.0);
                elf.set(tag, value);
            };
            assert_eq!(problems(spoil), [""; 0], "{tag:?}");
        }
    }

    #[test]
    fn no_leftover_of_debuggers_and_compilers_is_stripped() {
        for name in LEFTOVERS.iter().chain(&[".debug_gdb_scripts", ".stabstr"]) {
            let found = problems(|elf| elf.section(name, SHT_PROGBITS, b""));
            assert_eq!(
                found,
                [format!("is not stripped: it has the section {name}")]
            );
        }
    }

    #[test]
    fn what_is_not_an_elf_file_is_said_in_one_line() {
        for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\nexec true\n", &[0; 4096]] {
            assert_eq!(
                faults(bytes, None, &[]),
                ["is not a 64-bit little-endian ELF file"]
            );
            assert_eq!(sections(bytes), []);
        }
    }

    #[test]
    fn sections_have_names_and_contents() {
        let sections = sections(&Specimen::spoilt(|elf| {
            elf.section(".a", SHT_PROGBITS, b"A")
        }));
        assert_eq!(sections.len(), 5);
        assert_eq!(sections[4], (".a".into(), b"A".into()));
    }

    #[test]
    fn sections_that_overlap_are_not_copied() {
        let mut binary = Specimen::default().bytes();
        // The last two are each as large as the file.
        for at in [binary.len() - 64 + 24, binary.len() - 2 * 64 + 24] {
            let place = [0u64.to_le_bytes(), (binary.len() as u64).to_le_bytes()].concat();
            binary[at..at + 16].copy_from_slice(&place);
        }
        assert_eq!(
            faults(&binary, None, &[]),
            ["is a broken ELF file: its sections overlap"]
        );
    }

    #[test]
    fn one_that_is_cut_off_anywhere_has_a_problem_and_nothing_panics() {
        let whole = Specimen::default().bytes();
        for length in 0..whole.len() {
            assert_ne!(
                faults(&whole[..length], None, &[]),
                [""; 0],
                "{length} bytes"
            );
        }
    }

    #[test]
    fn no_byte_that_is_changed_makes_it_panic() {
        let whole = Specimen::spoilt(|elf| elf.set(elf::DT_NEEDED, LIBRARY));
        for (at, value) in
            (0..whole.len()).flat_map(|at| [(at, 0), (at, 1), (at, 0x7f), (at, 0xff)])
        {
            let mut changed = whole.clone();
            changed[at] = value;
            faults(&changed, None, &[]);
            crate::verify::origin::read(&changed);
        }
    }
}
