//! One layer: a compressed tar that is the same whoever makes it, and wherever.

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

/// What is packed together, and shared between images and pushed once.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What it is, for the history of the image.
    pub title: String,
    /// In this order; a link comes after what it leads to.
    pub entries: Vec<LayerEntry>,
}

/// One thing in the image.
#[derive(Clone, Debug)]
pub struct LayerEntry {
    /// Without a slash in front.
    pub path: String,
    /// What it is.
    pub content: EntryContent,
}

/// What a thing in the image is.
#[derive(Clone, Debug)]
pub enum EntryContent {
    /// A directory.
    Directory,
    /// A text.
    Text(String),
    /// An executable: a file of this machine that must still be what it was when it was checked.
    Executable {
        /// Where it lies.
        path: PathBuf,
        /// In bytes.
        size: u64,
        /// Hex.
        sha256: String,
    },
    /// Another name of a file of the same layer.
    Link {
        /// That file, without a slash in front.
        to: String,
    },
}

/// A layer that was written to a file.
#[derive(Debug)]
pub(crate) struct PackedLayer {
    pub(crate) title: String,
    pub(crate) descriptor: Descriptor,
    /// Of the tar before it was compressed.
    pub(crate) diff_id: Digest,
}

impl Layer {
    /// Writes it to `file`, a new one. `progress` is told how many bytes of executables were packed since it was told last,
    /// and can stop it.
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

    /// Bytes of executables in it.
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
        let unwritten = PackError::io("write", layer);
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
        .map_err(unwritten)
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
    // One byte more than it should have is a change as well.
    let mut more = [0];
    let longer = source.content.read(&mut more).map_err(PackError::io("read", file))? > 0;
    let packed = HEXLOWER.encode(&source.hasher.finalize());
    if longer || source.size != size || packed != sha256 {
        return Err(PackError::FileChanged { path: file.to_owned() });
    }
    Ok(())
}

/// A file that is hashed as it is packed, and whose errors are not those of what it is written to.
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

/// Of root, and of no time.
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
    fn the_same_content_is_the_same_layer_in_another_place() {
        let (one, other) = (tempfile::tempdir().expect("a place"), tempfile::tempdir().expect("a place"));
        let digests = [&one, &other].map(|place| {
            let layer = layer(&place.path().join("plugin"), b"a plugin");
            let packed =
                layer.pack(&place.path().join("layer"), &mut |_| ControlFlow::Continue(())).expect("packed");
            (packed.descriptor.digest, packed.diff_id)
        });
        assert_eq!(digests[0], digests[1]);
    }

    #[test]
    fn what_is_packed_is_owned_by_root_and_has_no_time() {
        let place = tempfile::tempdir().expect("a place");
        let packed = place.path().join("layer");
        let mut bytes = 0;
        layer(&place.path().join("plugin"), b"a plugin")
            .pack(&packed, &mut |more| {
                bytes += more;
                ControlFlow::Continue(())
            })
            .expect("packed");
        assert_eq!(bytes, 8);
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(File::open(packed).expect("there")));
        let seen: Vec<_> = tar
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
            seen,
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
            let place = tempfile::tempdir().expect("a place");
            let file = place.path().join("plugin");
            let layer = layer(&file, b"a plugin");
            fs::write(&file, changed).expect("written");
            let error = layer
                .pack(&place.path().join("layer"), &mut |_| ControlFlow::Continue(()))
                .expect_err("changed");
            assert!(matches!(&error, PackError::FileChanged { path } if *path == file), "{changed}: {error}");
        }
    }

    #[test]
    fn a_file_that_vanished_is_named() {
        let place = tempfile::tempdir().expect("a place");
        let file = place.path().join("plugin");
        let layer = layer(&file, b"a plugin");
        fs::remove_file(&file).expect("removed");
        let error =
            layer.pack(&place.path().join("layer"), &mut |_| ControlFlow::Continue(())).expect_err("gone");
        assert_eq!(error.to_string(), format!("could not read {}", file.display()));
    }
}
