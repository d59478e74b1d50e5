//! A plugin binary: its file, its format, and what it reports when it is started.

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
    /// Its path.
    pub path: PathBuf,
    /// Size in bytes.
    pub size: u64,
    /// Hex sha256 of the whole file.
    pub sha256: String,
    /// Whether its owner can execute it.
    pub executable: bool,
    /// Its format.
    pub format: Format,
}

/// The format of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A Linux executable.
    Elf(Elf),
    /// Any other format.
    Other,
}

/// The properties in an ELF header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Elf {
    /// Architecture on which it runs.
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
    /// Any other, as the number in `e_machine`.
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
        /// Path of the linker. If it does not exist, the kernel reports that the binary does not exist.
        interpreter: PathBuf,
    },
}

/// The result of starting a binary as Vault does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    /// It is a working plugin.
    Ran(ProbedPlugin),
    /// It was started, and is not a working plugin.
    Failed {
        /// Its output.
        output: String,
    },
    /// It was not started.
    NotRun {
        /// The reason.
        reason: String,
    },
}

/// What a plugin reports about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProbedPlugin {
    /// The version, with or without a `v`; `None` if the plugin reports none.
    pub version: Option<String>,
    /// Its type; `None` if it reports no type before it is configured.
    pub kind: Option<PluginType>,
    /// Plugin protocol version.
    pub protocol: u32,
    /// Whether several mounts can share one process.
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

/// Mode of an installed binary. The server may run as another user, who must be able to start it.
pub const BINARY_MODE: u32 = 0o755;

/// Size of a read.
const CHUNK_SIZE: usize = 256 * 1024;

impl Binary {
    /// Reads the whole file. `progress` is called with the bytes read and the bytes in total. Blocks.
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
    /// Reads the format of a file, without its other content.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(detect_format(&ReadCache::new(File::open(path)?)))
    }

    /// Returns what an executable needs to be started.
    pub fn linkage(&self) -> Option<&Linkage> {
        match self {
            Self::Elf(elf) => Some(&elf.linkage),
            Self::Other => None,
        }
    }
}

impl Architecture {
    /// Returns the architecture of this process.
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

/// The format of a file, as far as its first bytes show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilePrefix {
    /// A Linux executable.
    Elf {
        /// Architecture on which it runs.
        architecture: Architecture,
        /// Its dynamic linker, if these bytes contain the path.
        interpreter: Option<PathBuf>,
    },
    /// A script.
    Script,
    /// Not an executable.
    Other,
}

/// Returns the format of a file from its first bytes.
pub fn parse_prefix(bytes: &[u8]) -> FilePrefix {
    match detect_format(bytes) {
        Format::Elf(Elf { architecture, linkage }) => {
            let interpreter = match linkage {
                Linkage::Dynamic { interpreter } => Some(interpreter),
                Linkage::Static => None,
            };
            FilePrefix::Elf { architecture, interpreter }
        }
        Format::Other if bytes.starts_with(b"\x7fELF") => architecture_from_header(bytes)
            .map_or(FilePrefix::Other, |architecture| FilePrefix::Elf { architecture, interpreter: None }),
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
    fn the_first_bytes_show_the_format_of_a_file() {
        let path = std::env::current_exe().expect("a path");
        let content = std::fs::read(path).expect("readable");
        let FilePrefix::Elf { architecture, interpreter: _ } = parse_prefix(&content[..4096]) else {
            panic!("not ELF")
        };
        assert_eq!(architecture, Architecture::host());
        let bare = FilePrefix::Elf { architecture: Architecture::host(), interpreter: None };
        assert_eq!(parse_prefix(&content[..64]), bare, "the segments are not part of these bytes");
        assert_eq!(parse_prefix(b"#!/bin/sh\n"), FilePrefix::Script);
        for other in [b"<html>".as_slice(), b"", b"\x7fELF\x02cut off", b"\x7fELF\x09"] {
            assert_eq!(parse_prefix(other), FilePrefix::Other);
        }
    }

    #[test]
    fn a_file_that_is_not_an_executable_is_recognized() {
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
