//! What a plugin binary is: what its file says, and what it said when it was started.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use object::elf::{EM_386, EM_AARCH64, EM_ARM, EM_X86_64, FileHeader32, FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{ReadCache, ReadRef};
use serde::Serialize;
use sha2::{Digest, Sha256};
use vault_api::catalog::PluginType;

use crate::digest::hex;

/// A plugin binary on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Binary {
    /// Where it lies.
    pub path: PathBuf,
    /// In bytes.
    pub size: u64,
    /// Hex sha256 of the whole file.
    pub sha256: String,
    /// Whether its owner may execute it.
    pub executable: bool,
    /// What kind of file it is.
    pub format: Format,
}

/// What kind of file it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A Linux executable.
    Elf(Elf),
    /// Anything else.
    Other,
}

/// What an ELF header says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Elf {
    /// What it runs on.
    pub architecture: Architecture,
    /// What it needs to be started.
    pub linkage: Linkage,
}

/// A processor architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// amd64.
    X86_64,
    /// arm64.
    Aarch64,
    /// 32 bit ARM.
    Arm,
    /// 32 bit x86.
    X86,
    /// Another; the number of `e_machine`.
    Other(u16),
}

/// What a binary needs to be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Linkage {
    /// Nothing.
    Static,
    /// The dynamic linker.
    Dynamic {
        /// Path of the linker; where it is missing the kernel says that the binary itself does not exist.
        interpreter: PathBuf,
    },
}

/// What became of starting it as Vault would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    /// It is a plugin.
    Ran(ProbedPlugin),
    /// It was started and is no plugin, or does not work.
    Failed {
        /// What it said.
        output: String,
    },
    /// It was not started.
    NotRun {
        /// Why not.
        reason: String,
    },
}

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProbedPlugin {
    /// As reported, with or without a `v`; `None` when it reports none.
    pub version: Option<String>,
    /// `None` when it does not tell before it is configured.
    pub kind: Option<PluginType>,
    /// Plugin protocol version.
    pub protocol: u32,
    /// Whether mounts can share its process.
    pub multiplexing: bool,
}

/// A binary that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("could not read the plugin binary {path}")]
pub struct BinaryError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Permission bits of a placed binary: the server's user may differ from ours and must be able to start it.
pub const BINARY_MODE: u32 = 0o755;

/// Bytes read at once.
const CHUNK_SIZE: usize = 256 * 1024;

impl Binary {
    /// Reads the whole file; `progress` is called with bytes done and bytes in all. Blocks.
    pub fn read(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, BinaryError> {
        let failed = |source| BinaryError { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(failed(io::Error::other("it is not a regular file")));
        }
        let (mut hasher, mut size) = (Sha256::new(), 0);
        let mut chunk = vec![0; CHUNK_SIZE];
        loop {
            let read = file.read(&mut chunk).map_err(failed)?;
            if read == 0 {
                break;
            }
            hasher.update(&chunk[..read]);
            size += read as u64;
            progress(size, metadata.len());
        }
        Ok(Self {
            path: path.to_owned(),
            size,
            sha256: hex(&hasher.finalize()),
            executable: metadata.permissions().mode() & 0o100 != 0,
            format: detect_format(&ReadCache::new(file)),
        })
    }
}

impl Format {
    /// Reads no more of a file than says it.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(detect_format(&ReadCache::new(File::open(path)?)))
    }

    /// What an executable needs to be started.
    pub fn linkage(&self) -> Option<&Linkage> {
        match self {
            Self::Elf(elf) => Some(&elf.linkage),
            Self::Other => None,
        }
    }
}

impl Architecture {
    /// What this process runs on.
    pub fn host() -> Self {
        match std::env::consts::ARCH {
            "x86_64" => Self::X86_64,
            "aarch64" => Self::Aarch64,
            "arm" => Self::Arm,
            "x86" => Self::X86,
            _ => Self::Other(0),
        }
    }
}

impl std::fmt::Display for Architecture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::X86_64 => f.write_str("amd64"),
            Self::Aarch64 => f.write_str("arm64"),
            Self::Arm => f.write_str("arm"),
            Self::X86 => f.write_str("386"),
            Self::Other(number) => write!(f, "machine {number}"),
        }
    }
}

pub(crate) fn detect_format<'data>(content: impl ReadRef<'data>) -> Format {
    let elf = match content.read_bytes_at(0, 5) {
        Ok(b"\x7fELF\x01") => parse_elf::<FileHeader32<_>>(content),
        Ok(b"\x7fELF\x02") => parse_elf::<FileHeader64<_>>(content),
        _ => None,
    };
    elf.map_or(Format::Other, Format::Elf)
}

/// What the first bytes of a file tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilePrefix {
    /// A Linux executable.
    Elf {
        /// What it runs on.
        architecture: Architecture,
        /// The dynamic linker that it names, as far as that is among these bytes.
        interpreter: Option<PathBuf>,
    },
    /// A script, which the program that its first line names starts.
    Script,
    /// Nothing that can be started.
    Other,
}

/// The beginning of a file is enough for most of what its whole would tell.
pub fn parse_prefix(bytes: &[u8]) -> FilePrefix {
    match detect_format(bytes) {
        Format::Elf(Elf { architecture: machine, linkage }) => {
            let interpreter = match linkage {
                Linkage::Dynamic { interpreter } => Some(interpreter),
                Linkage::Static => None,
            };
            FilePrefix::Elf { architecture: machine, interpreter }
        }
        Format::Other if bytes.starts_with(b"\x7fELF") => {
            architecture_from_header(bytes).map_or(FilePrefix::Other, |machine| FilePrefix::Elf {
                architecture: machine,
                interpreter: None,
            })
        }
        Format::Other if bytes.starts_with(b"#!") => FilePrefix::Script,
        Format::Other => FilePrefix::Other,
    }
}

fn architecture_from_header(bytes: &[u8]) -> Option<Architecture> {
    let endian = object::Endianness::Little;
    let number = match bytes.get(4)? {
        1 => FileHeader32::<object::Endianness>::parse(bytes).ok()?.e_machine(endian),
        2 => FileHeader64::<object::Endianness>::parse(bytes).ok()?.e_machine(endian),
        _ => return None,
    };
    Some(architecture_from_elf(number))
}

fn parse_elf<'data, H: FileHeader<Endian = object::Endianness>>(content: impl ReadRef<'data>) -> Option<Elf> {
    let header = H::parse(content).ok()?;
    let endian = header.endian().ok()?;
    let interpreter = header
        .program_headers(endian, content)
        .ok()?
        .iter()
        .filter(|segment| segment.p_type(endian) == PT_INTERP)
        .find_map(|segment| segment.data(endian, content).ok());
    let linkage = match interpreter {
        None => Linkage::Static,
        Some(path) => {
            let text = String::from_utf8_lossy(path);
            Linkage::Dynamic { interpreter: PathBuf::from(text.trim_end_matches('\0')) }
        }
    };
    Some(Elf { architecture: architecture_from_elf(header.e_machine(endian)), linkage })
}

fn architecture_from_elf(number: object::elf::Machine) -> Architecture {
    match number {
        EM_X86_64 => Architecture::X86_64,
        EM_AARCH64 => Architecture::Aarch64,
        EM_ARM => Architecture::Arm,
        EM_386 => Architecture::X86,
        other => Architecture::Other(other.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_an_executable_of_this_machine() {
        let path = std::env::current_exe().expect("a path");
        let mut seen = (0, 0);
        let binary = Binary::read(&path, &mut |done, total| seen = (done, total)).expect("readable");
        assert!(binary.executable);
        let Format::Elf(elf) = binary.format else { panic!("not ELF") };
        assert_eq!(elf.architecture, Architecture::host());
        assert_eq!(seen, (binary.size, binary.size));
    }

    #[test]
    fn the_first_bytes_tell_what_a_file_is() {
        let path = std::env::current_exe().expect("a path");
        let content = std::fs::read(path).expect("readable");
        let FilePrefix::Elf { architecture: machine, interpreter: _ } = parse_prefix(&content[..4096]) else {
            panic!("not ELF")
        };
        assert_eq!(machine, Architecture::host());
        let bare = FilePrefix::Elf { architecture: Architecture::host(), interpreter: None };
        assert_eq!(parse_prefix(&content[..64]), bare, "its segments are further on");
        assert_eq!(parse_prefix(b"#!/bin/sh\n"), FilePrefix::Script);
        for other in [b"<html>".as_slice(), b"", b"\x7fELF\x02cut off", b"\x7fELF\x09"] {
            assert_eq!(parse_prefix(other), FilePrefix::Other);
        }
    }

    #[test]
    fn what_is_no_executable_is_told() {
        for content in [b"#!/bin/sh\n".as_slice(), b"\x7fELF\x02cut off", b""] {
            assert_eq!(detect_format(content), Format::Other);
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Binary::read(Path::new("/nonexistent/plugin"), &mut |_, _| ()).expect_err("missing");
        assert_eq!(error.to_string(), "could not read the plugin binary /nonexistent/plugin");
    }
}
