//! An OCI layout: a directory with the images, by content.

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

/// What says of a directory that it is a layout.
pub(crate) const LAYOUT_MARKER: (&str, &str) = ("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
pub(crate) const INDEX_FILE: &str = "index.json";
pub(crate) const BLOB_DIR: &str = "blobs/sha256";

/// Images in a directory that goes with this value, unless it is [persisted](Layout::persist).
#[derive(Debug)]
pub struct Layout {
    directory: TempDir,
    name: ImageName,
    /// What the name stands for: the manifest of the one image, or the index over several.
    pub(crate) root_descriptor: Descriptor,
    pub(crate) written_images: Vec<WrittenImage>,
}

/// One image of a layout.
#[derive(Clone, Debug, Serialize)]
pub struct PackedImage {
    /// What it runs on.
    pub platform: String,
    /// Of its manifest.
    pub digest: Digest,
}

impl Layout {
    /// Makes the images, in a temporary directory inside of `place`; `keep` needs that on the file system where the layout is to lie.
    /// `progress` is called with bytes done and bytes in all, and can stop it. Blocks.
    ///
    /// # Errors
    /// When a file cannot be read, is not what it was when it was checked, or something cannot be written. Nothing is left then.
    pub fn pack(
        images: &[Image],
        name: &ImageName,
        place: &Path,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Self, PackError> {
        let directory = tempfile::Builder::new()
            .prefix(".oci-layout-")
            .tempdir_in(place)
            .map_err(PackError::io("create a directory in", place))?;
        let blobs = directory.path().join(BLOB_DIR);
        fs::create_dir_all(&blobs).map_err(PackError::io("create", &blobs))?;
        let (mut done, total) = (0, images.iter().map(Image::size).sum());
        let mut progress = |more| {
            done += more;
            progress(done, total)
        };
        let mut written = Vec::new();
        for image in images {
            written.push(image.write(&blobs, &mut progress)?);
        }
        let manifests: Vec<Descriptor> = written.iter().map(|image| image.manifest.clone()).collect();
        let top = match manifests.as_slice() {
            [only] => only.clone(),
            several => write_document(
                &blobs,
                INDEX_MEDIA_TYPE,
                &Index { schema_version: 2, media_type: INDEX_MEDIA_TYPE, manifests: several },
            )?,
        };
        let layout = Self { directory, name: name.clone(), root_descriptor: top, written_images: written };
        layout.write_index()?;
        Ok(layout)
    }

    /// Of what the image's name stands for: one image, or the index over those of several platforms.
    pub fn digest(&self) -> &Digest {
        &self.root_descriptor.digest
    }

    /// What the image is called.
    pub fn name(&self) -> &ImageName {
        &self.name
    }

    /// The images, one for each platform.
    pub fn images(&self) -> Vec<PackedImage> {
        let shown = |platform: &Option<Platform>| platform.as_ref().map(ToString::to_string);
        let images = self.written_images.iter().map(|image| PackedImage {
            platform: shown(&image.manifest.platform).unwrap_or_default(),
            digest: image.manifest.digest.clone(),
        });
        images.collect()
    }

    /// Puts it at `target` in one step, where nothing, an empty directory or another layout may be; that one goes.
    ///
    /// # Errors
    /// When something else is there, or the file system says no.
    pub fn persist(self, target: &Path) -> Result<(), PackError> {
        let made = self.directory.path();
        fs::set_permissions(made, fs::Permissions::from_mode(0o755))
            .map_err(PackError::io("set the mode of", made))?;
        match fs::read_dir(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(PackError::TargetExists { path: target.to_owned() });
            }
            Err(source) => return Err(PackError::Io { action: "list", path: target.to_owned(), source }),
            Ok(mut entries) => {
                if target.join(LAYOUT_MARKER.0).is_file() {
                    // The one that was there goes with the temporary directory, whose place it takes.
                    return renameat_with(CWD, made, CWD, target, RenameFlags::EXCHANGE)
                        .map_err(|errno| PackError::io("replace", target)(errno.into()));
                }
                if entries.next().is_some() {
                    return Err(PackError::TargetExists { path: target.to_owned() });
                }
            }
        }
        fs::rename(made, target).map_err(PackError::io("create", target))?;
        // Its content lies elsewhere now.
        let _moved = self.directory.keep();
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.path().join(BLOB_DIR).join(digest.hex())
    }

    /// Layers and configurations, each once.
    pub(crate) fn blobs(&self) -> Vec<&Digest> {
        let mut known = BTreeSet::new();
        self.written_images
            .iter()
            .flat_map(|image| image.layers.iter().chain([&image.config]))
            .filter(|digest| known.insert(*digest))
            .collect()
    }

    fn write_index(&self) -> Result<(), PackError> {
        let annotations = BTreeMap::from([
            // containerd takes the whole name from its own annotation, everybody else the tag from the standard's.
            ("io.containerd.image.name", self.name.fully_qualified()),
            ("org.opencontainers.image.ref.name", self.name.tag.clone()),
        ]);
        let top = [Descriptor { annotations, ..self.root_descriptor.clone() }];
        let index = Index { schema_version: 2, media_type: INDEX_MEDIA_TYPE, manifests: &top };
        let index = serde_json::to_vec(&index).map_err(PackError::Document)?;
        for (file, content) in [(LAYOUT_MARKER.0, LAYOUT_MARKER.1.as_bytes()), (INDEX_FILE, &index)] {
            let file = self.path().join(file);
            fs::write(&file, content).map_err(PackError::io("write", &file))?;
        }
        Ok(())
    }
}
