//! What a file is that is to be started, for sentences about one that does not start.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The headers of a program, in bytes; linkers put the name of the dynamic loader right behind them.
const HEADER_BYTES: u64 = 64 * 1024;

/// The numbers of machines in ELF headers that a plugin may well be built for, with Rust's names.
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

/// What the first bytes of a file say.
pub(super) struct Executable {
    format: FileFormat,
    /// The dynamic loader or the script's interpreter, where one is named.
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
    /// Reads what can be read; a file that cannot is neither a program nor a script.
    pub(super) fn read(path: &Path) -> Self {
        let mut head = Vec::new();
        if let Ok(file) = File::open(path) {
            // Less than everything is as good: what is missing is not found.
            let _ = file.take(HEADER_BYTES).read_to_end(&mut head);
        }
        Self::parse(&head)
    }

    /// Whether the kernel runs it by itself.
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

/// The dynamic loader that a 64-bit little-endian program names.
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
    fn a_file_is_named_by_its_first_bytes() {
        check(b"", "an empty file", None);
        check(b"Usage", "neither a program nor a script", None);
        check(b"#! /usr/bin/env bash\n", "a script", Some("/usr/bin/env"));
        check(b"#!", "a script", None);
        check(b"MZ\x90", "a program for Windows", None);
        check(&[0xcf, 0xfa, 0xed, 0xfe, 7], "a program for macOS", None);
    }

    #[test]
    fn a_program_is_named_with_its_machine_and_its_loader() {
        let mut program = vec![0; 256];
        program[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        program[18] = 183;
        check(&program, "a program for aarch64", None);
        program[32] = 64; // where the segments are described
        program[54] = 56; // the size of a description
        program[56] = 2; // how many there are
        let segment = 64 + 56;
        program[segment] = 3;
        program[segment + 8] = 200; // where the name is
        program[segment + 32] = 8; // how long it is
        program[200..208].copy_from_slice(b"/lib/ld\0");
        check(&program, "a program for aarch64", Some("/lib/ld"));
        check(&program[..201], "a program for aarch64", None);
    }

    #[test]
    fn this_program_is_one_for_this_machine() {
        assert!(Executable::read(&std::env::current_exe().unwrap()).is_native());
    }
}
