//! Detects the kind of an executable file, to explain why it does not start.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How many bytes of a file are read. Linkers place the name of the dynamic loader directly after the headers.
const HEADER_BYTES: u64 = 64 * 1024;

/// ELF machine numbers of likely targets, with Rust's names for them.
const ELF_MACHINES: [(u16, &str); 9] = [
    (3, "x86"),
    (20, "powerpc"),
    (21, "powerpc64"),
    (22, "s390x"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
    (258, "loongarch64"),
];

/// The kind of a file, detected from its first bytes.
pub(super) struct Executable {
    format: FileFormat,
    /// The dynamic loader or the script's interpreter, if the file names one.
    pub(super) interpreter: Option<String>,
}

enum FileFormat {
    Elf(u16),
    Script,
    MachO,
    Windows,
    Empty,
    Other,
}

impl Executable {
    /// Reads the head of a file. A file that cannot be read is of an unknown kind.
    pub(super) fn read(path: &Path) -> Self {
        let mut head = Vec::new();
        if let Ok(file) = File::open(path) {
            // After a read error the bytes that were read are used.
            let _ = file.take(HEADER_BYTES).read_to_end(&mut head);
        }
        Self::parse(&head)
    }

    /// Whether the kernel can run the file without `binfmt_misc`.
    pub(super) fn is_native(&self) -> bool {
        match self.format {
            FileFormat::Elf(machine) => machine_name(machine) == Some(std::env::consts::ARCH),
            FileFormat::Script => true,
            FileFormat::MachO | FileFormat::Windows | FileFormat::Empty | FileFormat::Other => false,
        }
    }

    pub(super) fn parse(head: &[u8]) -> Self {
        let (format, interpreter) = match head {
            [] => (FileFormat::Empty, None),
            [0x7f, b'E', b'L', b'F', ..] if head.len() > 20 => {
                let machine = u16::from_le_bytes([head[18], head[19]]);
                (FileFormat::Elf(machine), elf_interpreter(head))
            }
            [b'#', b'!', rest @ ..] => {
                let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let line = String::from_utf8_lossy(line);
                (FileFormat::Script, line.split_whitespace().next().map(str::to_owned))
            }
            [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => (FileFormat::MachO, None),
            [b'M', b'Z', ..] => (FileFormat::Windows, None),
            _ => (FileFormat::Other, None),
        };
        Self { format, interpreter }
    }
}

impl fmt::Display for Executable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.format {
            FileFormat::Elf(machine) => match machine_name(machine) {
                Some(name) => write!(f, "a program for {name}"),
                None => write!(f, "a program for machine {machine}"),
            },
            FileFormat::Script => f.write_str("a script"),
            FileFormat::MachO => f.write_str("a program for macOS"),
            FileFormat::Windows => f.write_str("a program for Windows"),
            FileFormat::Empty => f.write_str("an empty file"),
            FileFormat::Other => f.write_str("neither a program nor a script"),
        }
    }
}

fn machine_name(machine: u16) -> Option<&'static str> {
    ELF_MACHINES.iter().find(|(number, _)| *number == machine).map(|(_, name)| *name)
}

/// Returns the dynamic loader of a 64-bit little-endian program.
fn elf_interpreter(head: &[u8]) -> Option<String> {
    const PT_INTERP: u32 = 3;
    if head.get(4..6) != Some(&[2, 1]) {
        return None;
    }
    let (table, size, count) = (read_u64(head, 32)?, read_u16(head, 54)?, read_u16(head, 56)?);
    let segment = (0..count)
        .map_while(|index| head.get(table.checked_add(index.checked_mul(size)?)?..))
        .find(|segment| segment.get(..4) == Some(&PT_INTERP.to_le_bytes()))?;
    let (start, length) = (read_u64(segment, 8)?, read_u64(segment, 32)?);
    let path = head.get(start..start.checked_add(length)?)?;
    Some(String::from_utf8_lossy(path).trim_end_matches('\0').to_owned())
}

fn read_u64(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 8)?.try_into().ok()?;
    usize::try_from(u64::from_le_bytes(bytes)).ok()
}

fn read_u16(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_le_bytes(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &[u8], expected: &str, interpreter: Option<&str>) {
        let read = Executable::parse(head);
        assert_eq!(read.to_string(), expected);
        assert_eq!(read.interpreter.as_deref(), interpreter);
    }

    #[test]
    fn the_kind_of_a_file_is_detected_from_its_first_bytes() {
        check(b"", "an empty file", None);
        check(b"Usage", "neither a program nor a script", None);
        check(b"#! /usr/bin/env bash\n", "a script", Some("/usr/bin/env"));
        check(b"#!", "a script", None);
        check(b"MZ\x90", "a program for Windows", None);
        check(&[0xcf, 0xfa, 0xed, 0xfe, 7], "a program for macOS", None);
    }

    #[test]
    fn a_program_is_described_with_its_machine_and_its_loader() {
        let mut program = vec![0; 256];
        program[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        program[18] = 183;
        check(&program, "a program for aarch64", None);
        program[32] = 64; // offset of the program headers
        program[54] = 56; // size of a program header
        program[56] = 2; // number of program headers
        let segment = 64 + 56;
        program[segment] = 3;
        program[segment + 8] = 200; // offset of the name
        program[segment + 32] = 8; // length of the name
        program[200..208].copy_from_slice(b"/lib/ld\0");
        check(&program, "a program for aarch64", Some("/lib/ld"));
        check(&program[..201], "a program for aarch64", None);
    }

    #[test]
    fn this_program_is_native() {
        assert!(Executable::read(&std::env::current_exe().unwrap()).is_native());
    }
}
