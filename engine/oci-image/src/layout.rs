//! An OCI layout: a directory that holds images as blobs named by their digests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::Serialize;
use tempfile::TempDir;

use crate::digest::Digest;
use crate::image::{Image, ImageName, WrittenImage, write_document};
use crate::oci_spec::{Descriptor, INDEX_MEDIA_TYPE, Index, Platform};
use crate::pack_error::PackError;

/// Name and content of the file that marks a directory as a layout.
pub(crate) const LAYOUT_MARKER: (&str, &str) = ("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
pub(crate) const INDEX_FILE: &str = "index.json";
pub(crate) const BLOB_DIR: &str = "blobs/sha256";

/// Images in a temporary directory, which is deleted on drop unless it is [persisted](Layout::persist).
#[derive(Debug)]
pub struct Layout {
    directory: TempDir,
    name: ImageName,
    /// The descriptor that the name refers to: the manifest of a single image, or the index of several.
    pub(crate) root_descriptor: Descriptor,
    pub(crate) written_images: Vec<WrittenImage>,
}

/// An image of a layout.
#[derive(Clone, Debug, Serialize)]
pub struct PackedImage {
    /// Its platform.
    pub platform: String,
    /// Digest of its manifest.
    pub digest: Digest,
}

impl Layout {
    /// Builds the images in a temporary directory inside `parent`, which must be on the file system of the target of
    /// [`persist`](Self::persist). Calls `progress` with the completed and the total bytes; it can cancel the operation. Blocks.
    ///
    /// # Errors
    /// If a file cannot be read, has changed since it was checked, or cannot be written. Nothing is left behind.
    pub fn pack(
        images: &[Image],
        name: &ImageName,
        parent: &Path,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Self, PackError> {
        let directory = tempfile::Builder::new()
            .prefix(".oci-layout-")
            .tempdir_in(parent)
            .map_err(PackError::io("create a directory in", parent))?;
        let blobs = directory.path().join(BLOB_DIR);
        fs::create_dir_all(&blobs).map_err(PackError::io("create", &blobs))?;
        let (mut done, total) = (0, images.iter().map(Image::size).sum());
        let mut progress = |more| {
            done += more;
            progress(done, total)
        };
        let mut written_images = Vec::new();
        for image in images {
            written_images.push(image.write(&blobs, &mut progress)?);
        }
        let manifests: Vec<Descriptor> = written_images.iter().map(|image| image.manifest.clone()).collect();
        let root_descriptor = match manifests.as_slice() {
            [only] => only.clone(),
            several => write_document(
                &blobs,
                INDEX_MEDIA_TYPE,
                &Index { schema_version: 2, media_type: INDEX_MEDIA_TYPE, manifests: several },
            )?,
        };
        let layout = Self { directory, name: name.clone(), root_descriptor, written_images };
        layout.write_index()?;
        Ok(layout)
    }

    /// Digest that the name refers to: of a single image, or of the index of images for several platforms.
    pub fn digest(&self) -> &Digest {
        &self.root_descriptor.digest
    }

    /// Name of the image.
    pub fn name(&self) -> &ImageName {
        &self.name
    }

    /// Returns the images, one for each platform.
    pub fn images(&self) -> Vec<PackedImage> {
        let display = |platform: &Option<Platform>| platform.as_ref().map(ToString::to_string);
        let images = self.written_images.iter().map(|image| PackedImage {
            platform: display(&image.manifest.platform).unwrap_or_default(),
            digest: image.manifest.digest.clone(),
        });
        images.collect()
    }

    /// Moves the layout to `target` atomically. `target` may not exist, may be an empty directory, or a layout, which is replaced.
    ///
    /// # Errors
    /// If `target` is something else, or the file system operation fails.
    pub fn persist(self, target: &Path) -> Result<(), PackError> {
        let directory = self.directory.path();
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755))
            .map_err(PackError::io("set the mode of", directory))?;
        match fs::read_dir(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(PackError::TargetExists { path: target.to_owned() });
            }
            Err(source) => return Err(PackError::Io { action: "list", path: target.to_owned(), source }),
            Ok(mut entries) => {
                if target.join(LAYOUT_MARKER.0).is_file() {
                    // The replaced layout is now the temporary directory, and is deleted with it.
                    return renameat_with(CWD, directory, CWD, target, RenameFlags::EXCHANGE)
                        .map_err(|errno| PackError::io("replace", target)(errno.into()));
                }
                if entries.next().is_some() {
                    return Err(PackError::TargetExists { path: target.to_owned() });
                }
            }
        }
        fs::rename(directory, target).map_err(PackError::io("create", target))?;
        // The directory has been moved, so there is nothing to delete.
        let _moved = self.directory.keep();
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.path().join(BLOB_DIR).join(digest.hex())
    }

    /// Returns the digests of layers and configurations without duplicates.
    pub(crate) fn blobs(&self) -> Vec<&Digest> {
        let mut seen = BTreeSet::new();
        self.written_images
            .iter()
            .flat_map(|image| image.layers.iter().chain([&image.config]))
            .filter(|digest| seen.insert(*digest))
            .collect()
    }

    fn write_index(&self) -> Result<(), PackError> {
        let annotations = BTreeMap::from([
            // containerd reads the full name from its own annotation; other tools read the tag from the standard annotation.
            ("io.containerd.image.name", self.name.fully_qualified()),
            ("org.opencontainers.image.ref.name", self.name.tag.clone()),
        ]);
        let manifests = [Descriptor { annotations, ..self.root_descriptor.clone() }];
        let index = Index { schema_version: 2, media_type: INDEX_MEDIA_TYPE, manifests: &manifests };
        let index = serde_json::to_vec(&index).map_err(PackError::Document)?;
        for (file, content) in [(LAYOUT_MARKER.0, LAYOUT_MARKER.1.as_bytes()), (INDEX_FILE, &index)] {
            let file = self.path().join(file);
            fs::write(&file, content).map_err(PackError::io("write", &file))?;
        }
        Ok(())
    }
}
