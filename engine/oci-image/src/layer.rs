//! A layer: a reproducible, compressed tar archive.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header, HeaderMode};

use crate::digest::{Digest, HashingWriter};
use crate::oci_spec::{Descriptor, LAYER_MEDIA_TYPE};
use crate::pack_error::PackError;

/// A layer of an image. Images share layers with the same content.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Description in the history of the image.
    pub title: String,
    /// Entries in the order of the archive. A link must follow its target.
    pub entries: Vec<LayerEntry>,
}

/// An entry of a layer.
#[derive(Clone, Debug)]
pub struct LayerEntry {
    /// Path without a leading slash.
    pub path: String,
    /// Content of the entry.
    pub content: EntryContent,
}

/// Content of an entry.
#[derive(Clone, Debug)]
pub enum EntryContent {
    /// A directory.
    Directory,
    /// A text file.
    Text(String),
    /// An executable, copied from a local file. Packing fails if the file has changed since its size and digest were computed.
    Executable {
        /// Path of the local file.
        path: PathBuf,
        /// Size in bytes.
        size: u64,
        /// SHA-256 in hex.
        sha256: String,
    },
    /// A hard link to a file of the same layer.
    Link {
        /// Path of that file without a leading slash.
        to: String,
    },
}

/// A layer that has been written to a file.
#[derive(Debug)]
pub(crate) struct PackedLayer {
    pub(crate) title: String,
    pub(crate) descriptor: Descriptor,
    /// Digest of the uncompressed tar archive.
    pub(crate) diff_id: Digest,
}

impl Layer {
    /// Writes the layer to the new file `file`. Calls `progress` with the number of executable bytes packed since the last call;
    /// it can cancel the operation.
    pub(crate) fn pack(
        &self,
        file: &Path,
        progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<PackedLayer, PackError> {
        let failed = |what| PackError::io(what, file);
        let out = File::create_new(file).map_err(failed("create"))?;
        let compressed = GzEncoder::new(HashingWriter::new(out), Compression::default());
        let mut tar = Builder::new(HashingWriter::new(compressed));
        tar.mode(HeaderMode::Deterministic);
        for entry in &self.entries {
            entry.append(&mut tar, file, progress)?;
        }
        let hashed = tar.into_inner().map_err(failed("write"))?;
        let (compressed, diff_id, _) = hashed.finish();
        let (out, digest, size) = compressed.finish().map_err(failed("write"))?.finish();
        out.sync_all().map_err(failed("write"))?;
        let descriptor = Descriptor {
            media_type: LAYER_MEDIA_TYPE,
            digest,
            size,
            platform: None,
            annotations: Default::default(),
        };
        Ok(PackedLayer { title: self.title.clone(), descriptor, diff_id })
    }

    /// Size of its executables in bytes.
    pub(crate) fn size(&self) -> u64 {
        let sizes = self.entries.iter().map(|entry| match &entry.content {
            EntryContent::Executable { size, .. } => *size,
            EntryContent::Directory | EntryContent::Text(_) | EntryContent::Link { .. } => 0,
        });
        sizes.sum()
    }
}

impl LayerEntry {
    fn append<W: Write>(
        &self,
        tar: &mut Builder<W>,
        layer: &Path,
        progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<(), PackError> {
        let write_error = PackError::io("write", layer);
        let path = &self.path;
        match &self.content {
            EntryContent::Directory => {
                tar.append_data(&mut tar_header(EntryType::Directory, 0o755, 0), path, io::empty())
            }
            EntryContent::Text(text) => {
                let mut header = tar_header(EntryType::Regular, 0o644, text.len() as u64);
                tar.append_data(&mut header, path, text.as_bytes())
            }
            EntryContent::Link { to } => {
                tar.append_link(&mut tar_header(EntryType::Link, 0o755, 0), path, to)
            }
            EntryContent::Executable { path: file, size, sha256 } => {
                return append_executable(tar, path, file, *size, sha256, layer, progress);
            }
        }
        .map_err(write_error)
    }
}

fn append_executable<W: Write>(
    tar: &mut Builder<W>,
    path: &str,
    file: &Path,
    size: u64,
    sha256: &str,
    layer: &Path,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<(), PackError> {
    let content = File::open(file).map_err(PackError::io("read", file))?;
    let mut source = HashingReader {
        content,
        hasher: Sha256::new(),
        size: 0,
        read_error: None,
        cancelled: false,
        progress,
    };
    let mut header = tar_header(EntryType::Regular, 0o755, size);
    let appended = tar.append_data(&mut header, path, (&mut source).take(size));
    if source.cancelled {
        return Err(PackError::Cancelled);
    }
    if let Some(source) = source.read_error {
        return Err(PackError::Io { action: "read", path: file.to_owned(), source });
    }
    appended.map_err(PackError::io("write", layer))?;
    // A longer file has changed too.
    let mut extra = [0];
    let is_longer = source.content.read(&mut extra).map_err(PackError::io("read", file))? > 0;
    let packed = HEXLOWER.encode(&source.hasher.finalize());
    if is_longer || source.size != size || packed != sha256 {
        return Err(PackError::FileChanged { path: file.to_owned() });
    }
    Ok(())
}

/// Hashes a file while it is packed. Keeps read errors apart from the errors of the writer.
struct HashingReader<'a> {
    content: File,
    hasher: Sha256,
    size: u64,
    read_error: Option<io::Error>,
    cancelled: bool,
    progress: &'a mut dyn FnMut(u64) -> ControlFlow<()>,
}

impl Read for HashingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.content.read(buffer) {
            Ok(read) => {
                self.hasher.update(&buffer[..read]);
                self.size += read as u64;
                match (self.progress)(read as u64) {
                    ControlFlow::Continue(()) => Ok(read),
                    ControlFlow::Break(()) => {
                        self.cancelled = true;
                        Err(io::ErrorKind::Other.into())
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.read_error = Some(error);
                Err(io::ErrorKind::Other.into())
            }
        }
    }
}

/// Returns a reproducible header: owned by root, with time zero.
pub(crate) fn tar_header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn layer(file: &Path, content: &[u8]) -> Layer {
        fs::write(file, content).expect("written");
        let sha256 = Digest::sha256(content).hex().to_owned();
        let path = file.to_owned();
        let executable = EntryContent::Executable { path, size: content.len() as u64, sha256 };
        let entries = vec![
            LayerEntry { path: "plugins/".into(), content: EntryContent::Directory },
            LayerEntry { path: "custom-1.2.3".into(), content: executable },
            LayerEntry {
                path: "plugins/custom-1.2.3".into(),
                content: EntryContent::Link { to: "custom-1.2.3".into() },
            },
            LayerEntry { path: "plugins/SHA256SUMS".into(), content: EntryContent::Text("sum".into()) },
        ];
        Layer { title: "custom 1.2.3".into(), entries }
    }

    #[test]
    fn the_same_content_in_another_directory_is_the_same_layer() {
        let (one, other) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let digests = [&one, &other].map(|directory| {
            let layer = layer(&directory.path().join("plugin"), b"a plugin");
            let packed = layer
                .pack(&directory.path().join("layer"), &mut |_| ControlFlow::Continue(()))
                .expect("packed");
            (packed.descriptor.digest, packed.diff_id)
        });
        assert_eq!(digests[0], digests[1]);
    }

    #[test]
    fn entries_are_owned_by_root_and_have_time_zero() {
        let directory = tempfile::tempdir().expect("a directory");
        let packed = directory.path().join("layer");
        let mut bytes = 0;
        layer(&directory.path().join("plugin"), b"a plugin")
            .pack(&packed, &mut |count| {
                bytes += count;
                ControlFlow::Continue(())
            })
            .expect("packed");
        assert_eq!(bytes, 8);
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(File::open(packed).expect("opened")));
        let entries: Vec<_> = tar
            .entries()
            .expect("a tar")
            .map(|entry| {
                let entry = entry.expect("an entry");
                let header = entry.header();
                assert_eq!(
                    (header.uid().ok(), header.gid().ok(), header.mtime().ok()),
                    (Some(0), Some(0), Some(0))
                );
                let path = entry.path().expect("a path").display().to_string();
                (path, header.mode().expect("a mode"), header.entry_type())
            })
            .collect();
        assert_eq!(
            entries,
            [
                ("plugins/".to_owned(), 0o755, EntryType::Directory),
                ("custom-1.2.3".to_owned(), 0o755, EntryType::Regular),
                ("plugins/custom-1.2.3".to_owned(), 0o755, EntryType::Link),
                ("plugins/SHA256SUMS".to_owned(), 0o644, EntryType::Regular),
            ]
        );
    }

    #[test]
    fn a_file_that_changed_since_it_was_checked_is_not_packed() {
        for changed in ["", "a plu", "a plugiN", "a plugin and more"] {
            let directory = tempfile::tempdir().expect("a directory");
            let file = directory.path().join("plugin");
            let layer = layer(&file, b"a plugin");
            fs::write(&file, changed).expect("written");
            let error = layer
                .pack(&directory.path().join("layer"), &mut |_| ControlFlow::Continue(()))
                .expect_err("changed");
            assert!(matches!(&error, PackError::FileChanged { path } if *path == file), "{changed}: {error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("plugin");
        let layer = layer(&file, b"a plugin");
        fs::remove_file(&file).expect("removed");
        let error = layer
            .pack(&directory.path().join("layer"), &mut |_| ControlFlow::Continue(()))
            .expect_err("gone");
        assert_eq!(error.to_string(), format!("could not read {}", file.display()));
    }
}
