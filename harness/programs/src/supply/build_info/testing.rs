//! Programs that say what they were built from, for tests: ELF files with the one section that is read.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{FLAGS, INLINE, MAGIC, MARK, SECTION, TEXTS};

/// Bytes of the header of a file, and of the header of a section (System V ABI, ELF-64).
const HEADER: u64 = 64;
/// Kinds of sections: what the program has, and names.
const PROGBITS: u32 = 1;
const STRTAB: u32 = 3;

/// Writes a program that says `text`.
pub(crate) fn write(path: &Path, text: &str) {
    let (said, names) = (section(text), format!("\0{SECTION}\0.shstrtab\0").into_bytes());
    let (said_at, names_at) = (HEADER, HEADER + said.len() as u64);
    let headers_at = names_at + names.len() as u64;
    let mut file = Vec::from(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // A relocatable file for x86-64, without a program header.
    file.extend([1_u16, 62].map(u16::to_le_bytes).concat());
    file.extend(1_u32.to_le_bytes());
    file.extend([0, 0, headers_at].map(u64::to_le_bytes).concat());
    file.extend(0_u32.to_le_bytes());
    file.extend([64_u16, 0, 0, 64, 3, 2].map(u16::to_le_bytes).concat());
    file.extend(&said);
    file.extend(&names);
    let name_of_names = 2 + SECTION.len() as u32;
    file.extend([0; HEADER as usize]);
    for (name, kind, at, size) in [(1, PROGBITS, said_at, said.len()), (name_of_names, STRTAB, names_at, names.len())] {
        file.extend([name, kind].map(u32::to_le_bytes).concat());
        file.extend([0, 0, at, size as u64].map(u64::to_le_bytes).concat());
        file.extend([0_u32, 0].map(u32::to_le_bytes).concat());
        file.extend([1_u64, 0].map(u64::to_le_bytes).concat());
    }
    fs::write(path, file).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// The bytes of the section.
pub(super) fn section(text: &str) -> Vec<u8> {
    let mut bytes = vec![0; TEXTS];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[FLAGS] = INLINE;
    let modules = [&[b'<'; MARK], text.as_bytes(), &[b'>'; MARK]].concat();
    for part in [&b"go1.26.8"[..], &modules] {
        let mut length = part.len();
        while length >= 0x80 {
            bytes.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend(part);
    }
    bytes
}
