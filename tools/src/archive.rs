//! Reads a deployment package and says in what it differs from the one form that the packager writes.
//!
//! Readers of zip disagree on what a malformed one holds, as each forgives something else. This one forgives nothing, so
//! that what it accepts is the same for all. The fields are those of PKWARE's APPNOTE.TXT, section 4.3.

use std::{collections::BTreeSet, ops::Range};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::strings;

/// Bytes of the largest package that Lambda takes:
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const ZIPPED: u64 = 50 * 1024 * 1024;

/// Bytes of the largest package when it is unpacked, from the same page.
pub const UNZIPPED: u64 = 250 * 1024 * 1024;

/// How many faults are kept: a hostile zip can have some for each of its sixty thousand files.
pub const MOST: usize = 1000;

/// What a package holds, in the order of the archive.
pub const NAMES: [&str; 2] = ["binary", "bootstrap"];

const END: &[u8] = b"PK\x05\x06";
const END_SIZE: usize = 22;
const CENTRAL: &[u8] = b"PK\x01\x02";
const CENTRAL_SIZE: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_SIZE: usize = 30;

/// The fields that stand in both headers, where they are in the local one and in the same order in the central one.
const SHARED: [(&str, Range<usize>); 8] = [
    ("version", 4..6),
    ("flags", 6..8),
    ("method", 8..10),
    ("time", 10..14),
    ("CRC", 14..18),
    ("compressed size", 18..22),
    ("size", 22..26),
    ("length of the name", 26..28),
];
const SHARED_IN_CENTRAL: usize = 2;

/// 1980-01-01 00:00:00, the oldest time that a zip knows, as date and time of MS-DOS.
const OLDEST: (u16, u16) = (0x21, 0);

const UNIX: u8 = 3;
/// 2.0, the first version that knows deflate, in tenths.
const NEEDED: u16 = 20;
const DEFLATED: u16 = 8;

const ENCRYPTED: u16 = 1;
/// How hard the compressor tried.
const EFFORT: u16 = 0b110;
const SIZES_BEHIND: u16 = 1 << 3;

const KIND: u32 = 0o170_000;
const FILE: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// The files that could be read, and all that is wrong with the archive.
#[derive(Default)]
pub struct Archive {
    pub files: Vec<(String, Vec<u8>)>,
    pub faults: Vec<String>,
}

/// Reads a package of at most `ZIPPED` bytes, whose files then take at most `UNZIPPED` bytes.
pub fn read(zip: &[u8]) -> Archive {
    let mut archive = Archive::default();
    if let Err(fault) = archive.read(zip) {
        archive.faults.push(fault);
    }
    archive
}

/// Little-endian numbers at their places in a header.
#[derive(Clone, Copy)]
struct Header<'a>(&'a [u8]);

impl Header<'_> {
    fn u16(self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    fn u32(self, at: usize) -> u32 {
        u32::from(self.u16(at)) | u32::from(self.u16(at + 2)) << 16
    }

    fn size(self, at: usize) -> usize {
        self.u32(at) as usize
    }
}

/// An entry of the central directory.
struct Entry<'a> {
    header: Header<'a>,
    name: &'a [u8],
    shown: String,
}

impl Entry<'_> {
    fn compressed(&self) -> usize {
        self.header.size(20)
    }

    fn size(&self) -> usize {
        self.header.size(24)
    }

    fn offset(&self) -> usize {
        self.header.size(42)
    }
}

impl Archive {
    fn fault(&mut self, text: String) {
        if self.faults.len() < MOST {
            self.faults.push(text);
        }
    }

    /// An error where the rest cannot be read.
    fn read(&mut self, zip: &[u8]) -> Result<(), String> {
        let (directory, count) = self.central_directory(zip)?;
        let entries = self.entries(&zip[directory.clone()], count)?;
        self.judge_names(&entries);
        let total: u64 = entries.iter().map(|entry| entry.size() as u64).sum();
        if total > UNZIPPED {
            return Err(format!(
                "unpacks to {total} bytes; Lambda takes up to {UNZIPPED}"
            ));
        }
        let mut end = 0;
        for entry in &entries {
            self.judge_fields(entry);
            let data = local(&zip[..directory.start], entry)
                .map_err(|fault| format!("{}: {fault}", entry.shown))?;
            self.judge_gap(end, entry.offset())?;
            end = data.end;
            match unpack(&zip[data], entry) {
                Ok(bytes) => {
                    self.judge_size(entry);
                    self.files.push((entry.shown.clone(), bytes));
                }
                Err(fault) => self.fault(format!("{}: {fault}", entry.shown)),
            }
        }
        self.judge_gap(end, directory.start)
    }

    /// An error where bytes would be unpacked twice: few of them could be those of very many files.
    fn judge_gap(&mut self, end: usize, next: usize) -> Result<(), String> {
        if next > end {
            self.fault(format!("has {} bytes that belong to no file", next - end));
        }
        match next < end {
            true => Err("has files that share bytes".into()),
            false => Ok(()),
        }
    }

    /// Where the central directory is, and how many files it lists.
    fn central_directory(&mut self, zip: &[u8]) -> Result<(Range<usize>, usize), String> {
        let at = memchr::memmem::rfind(zip, END).filter(|at| at + END_SIZE <= zip.len());
        let Some(at) = at else {
            return Err(match zip.starts_with(LOCAL) {
                true => "is cut off: its end is missing".into(),
                false => "is no zip".into(),
            });
        };
        let end = Header(&zip[at..]);
        let (behind, comment) = (zip.len() - at - END_SIZE, usize::from(end.u16(20)));
        if behind != comment {
            let count = behind.abs_diff(comment);
            let way = if behind > comment { "more" } else { "fewer" };
            self.fault(format!(
                "has {count} bytes {way} behind its end than it says"
            ));
        } else if comment > 0 {
            self.fault(format!("has a comment of {comment} bytes"));
        }
        if [end.u16(4), end.u16(6)] != [0, 0] || end.u16(8) != end.u16(10) {
            return Err("is one part of a zip in several".into());
        }
        let (size, offset) = (end.size(12), end.size(16));
        if end.u16(10) == u16::MAX || [size, offset].contains(&(u32::MAX as usize)) {
            return Err("is a zip64, which no package that Lambda takes has to be".into());
        }
        match offset.checked_add(size) {
            Some(stop) if stop == at => Ok((offset..at, usize::from(end.u16(10)))),
            Some(stop) if stop < at => {
                Err(format!("has {} bytes that belong to no file", at - stop))
            }
            _ => Err("is cut off: its directory lies outside of it".into()),
        }
    }

    fn entries<'a>(
        &mut self,
        mut directory: &'a [u8],
        count: usize,
    ) -> Result<Vec<Entry<'a>>, String> {
        let broken = "its directory is broken";
        let mut entries = Vec::new();
        while !directory.is_empty() {
            // Some readers stop at the count, others at the end.
            if entries.len() == count {
                return Err(format!("lists more than the {count} files that it says"));
            }
            let header = directory.get(..CENTRAL_SIZE).ok_or(broken)?;
            if !header.starts_with(CENTRAL) {
                return Err(broken.into());
            }
            let header = Header(header);
            let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(header.u16(at)));
            let rest = &directory[CENTRAL_SIZE..];
            directory = rest.get(name + extra + comment..).ok_or(broken)?;
            let name = &rest[..name];
            let shown = strings::on_a_line(name);
            if extra > 0 {
                self.fault(format!("{shown}: has {extra} bytes of extra fields"));
            }
            if comment > 0 {
                self.fault(format!("{shown}: has a comment of {comment} bytes"));
            }
            entries.push(Entry {
                header,
                name,
                shown,
            });
        }
        if entries.len() < count {
            let listed = entries.len();
            self.fault(format!("lists {listed} of the {count} files that it says"));
        }
        Ok(entries)
    }

    fn judge_names(&mut self, entries: &[Entry]) {
        let mut seen = BTreeSet::new();
        for entry in entries {
            let shown = &entry.shown;
            if !seen.insert(entry.name) {
                self.fault(format!("holds {shown} more than once"));
            } else if leads_outside(entry.name) {
                self.fault(format!("holds {shown}, a path that leads outside"));
            } else if !NAMES.iter().any(|name| name.as_bytes() == entry.name) {
                self.fault(format!("holds {shown}, which does not belong in it"));
            }
        }
        let place = |name: &str| entries.iter().position(|e| e.name == name.as_bytes());
        let places = NAMES.map(place);
        for (name, place) in NAMES.iter().zip(places) {
            if place.is_none() {
                self.fault(format!("holds no {name}"));
            }
        }
        if !places.contains(&None) && !places.is_sorted() {
            self.fault("is not sorted by name".into());
        }
    }

    /// Before the last block of a deflate stream can be any number that hold nothing.
    fn judge_size(&mut self, entry: &Entry) {
        let (name, compressed, size) = (&entry.shown, entry.compressed(), entry.size());
        if compressed > size {
            self.fault(format!(
                "{name}: takes {compressed} bytes of the zip, but has {size} itself"
            ));
        }
    }

    /// What stands beside the data: system, mode and time.
    fn judge_fields(&mut self, entry: &Entry) {
        let (header, name) = (entry.header, &entry.shown);
        let mode = header.u32(38) >> 16;
        if header.0[5] != UNIX {
            self.fault(format!("{name}: has no mode of Unix: expected 0755"));
        } else if mode & KIND == LINK {
            self.fault(format!("{name}: is a symbolic link"));
        } else if mode & KIND == FOLDER {
            self.fault(format!("{name}: is a folder"));
        } else if mode != FILE | 0o755 {
            self.fault(format!(
                "{name}: has mode {:04o}, expected 0755",
                mode & !FILE
            ));
        }
        if header.u16(6) != NEEDED {
            self.fault(format!(
                "{name}: needs version {} of zip, expected {NEEDED}",
                header.u16(6)
            ));
        }
        if [34, 36, 38].iter().any(|at| header.u16(*at) != 0) {
            self.fault(format!("{name}: has attributes beside its mode"));
        }
        if (header.u16(14), header.u16(12)) != OLDEST {
            let (date, time) = (header.u16(14), header.u16(12));
            self.fault(format!(
                "{name}: has the time {}-{:02}-{:02} {:02}:{:02}, expected 1980-01-01 00:00",
                1980 + (date >> 9),
                date >> 5 & 15,
                date & 31,
                time >> 11,
                time >> 5 & 63,
            ));
        }
    }
}

fn leads_outside(name: &[u8]) -> bool {
    name.starts_with(b"/")
        || name.contains(&b'\\')
        || name.contains(&0)
        || name.get(1) == Some(&b':')
        || name.split(|byte| *byte == b'/').any(|part| part == b"..")
}

/// Where the data of an entry is; its local header has to say the same as the directory.
fn local(files: &[u8], entry: &Entry) -> Result<Range<usize>, String> {
    let flags = entry.header.u16(8);
    if flags & ENCRYPTED != 0 {
        return Err("is encrypted".into());
    }
    if flags & SIZES_BEHIND != 0 {
        return Err("was written as a stream: its sizes stand behind its data".into());
    }
    if flags & !EFFORT != 0 {
        return Err(format!(
            "has the flags {flags:#06x}, which mean nothing here"
        ));
    }
    let local = files.get(entry.offset()..).unwrap_or_default();
    let (Some(header), Some(name)) = (
        local
            .get(..LOCAL_SIZE)
            .filter(|header| header.starts_with(LOCAL)),
        local.get(LOCAL_SIZE..LOCAL_SIZE + entry.name.len()),
    ) else {
        return Err("is not where the directory says".into());
    };
    for (field, place) in SHARED {
        let central = place.start + SHARED_IN_CENTRAL..place.end + SHARED_IN_CENTRAL;
        if header[place] != entry.header.0[central] {
            return Err(format!("its {field} is not the one in the directory"));
        }
    }
    if name != entry.name {
        return Err("its name is not the one in the directory".into());
    }
    let extra = usize::from(Header(header).u16(28));
    if extra > 0 {
        return Err(format!("has {extra} bytes of extra fields before its data"));
    }
    let start = entry.offset() + LOCAL_SIZE + entry.name.len();
    let end = start + entry.compressed();
    if end > files.len() {
        return Err("is cut off: it is larger than what is there".into());
    }
    Ok(start..end)
}

/// Unpacks no more than the entry says.
fn unpack(data: &[u8], entry: &Entry) -> Result<Vec<u8>, String> {
    let size = entry.size();
    let method = entry.header.u16(10);
    if method != DEFLATED {
        return Err(format!(
            "is compressed by method {method}, expected 8, deflate"
        ));
    }
    let bytes = inflate(data, size)?;
    if bytes.len() != size {
        return Err(format!("does not unpack to the {size} bytes that it says"));
    }
    let mut crc = Crc::new();
    crc.update(&bytes);
    if crc.sum() != entry.header.u32(16) {
        return Err("is damaged: its CRC is another".into());
    }
    Ok(bytes)
}

/// The bytes of a whole deflate stream: one more than `size` where there are more.
fn inflate(data: &[u8], size: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(size + 1);
    let mut stream = Decompress::new(false);
    let status = stream
        .decompress_vec(data, &mut bytes, FlushDecompress::Finish)
        .map_err(|_| "is damaged: its data is no deflate stream")?;
    if status != Status::StreamEnd && bytes.len() <= size {
        return Err("is damaged: its data ends too early".into());
    }
    if status == Status::StreamEnd && stream.total_in() != data.len() as u64 {
        return Err("has bytes behind its compressed data".into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen::Zip;

    #[test]
    fn nothing_is_wrong_with_what_the_packager_writes() {
        let archive = read(&Zip::default().bytes());
        assert!(archive.faults.is_empty(), "{:?}", archive.faults);
        let names: Vec<&str> = archive.files.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, NAMES);
    }

    #[test]
    fn a_zip_that_is_cut_off_anywhere_has_a_fault_and_nothing_panics() {
        let whole = Zip::default().bytes();
        for length in 0..whole.len() {
            assert!(!read(&whole[..length]).faults.is_empty(), "{length} bytes");
        }
    }

    #[test]
    fn no_bit_that_is_changed_goes_unnoticed_but_the_version_of_its_maker_and_padding() {
        let mut zip = Zip::default();
        // In data with repeats deflate can refer to either place.
        zip.files[0].data = zip.files[1].data.clone();
        let whole = zip.bytes();
        let mut unnoticed = 0;
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                let archive = read(&changed);
                if archive.faults.is_empty() {
                    assert_eq!(archive.files, read(&whole).files, "byte {at}");
                    unnoticed += 1;
                }
            }
        }
        // Of two files: the version of what made them, and at most seven bits behind a deflate stream.
        assert!(unnoticed <= 2 * (8 + 7), "{unnoticed}");
    }
}
