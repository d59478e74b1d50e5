//! Writes a layout to one file for `docker load`, `ctr images import` and `skopeo copy oci-archive:`.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType};
use tempfile::NamedTempFile;

use crate::layer::tar_header;
use crate::layout::{BLOB_DIR, INDEX_FILE, LAYOUT_MARKER, Layout};
use crate::oci_spec::DockerManifest;
use crate::pack_error::PackError;

impl Layout {
    /// Writes the layout to one file. The file is written under a temporary name beside `target` and then renamed, so that an existing
    /// file is replaced atomically. Blocks.
    ///
    /// # Errors
    /// If a file system operation fails. Nothing is left behind.
    pub fn write_archive(&self, target: &Path) -> Result<(), PackError> {
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let out = NamedTempFile::new_in(&parent).map_err(PackError::io("create a file in", &parent))?;
        let write_error = || PackError::io("write", target);
        let mut tar = Builder::new(BufWriter::new(out));
        for directory in ["blobs/", &format!("{BLOB_DIR}/")] {
            let mut header = tar_header(EntryType::Directory, 0o755, 0);
            tar.append_data(&mut header, directory, std::io::empty()).map_err(write_error())?;
        }
        for file in self.files()? {
            let path = self.path().join(&file);
            let content = File::open(&path).map_err(PackError::io("read", &path))?;
            let size = content.metadata().map_err(PackError::io("read", &path))?.len();
            let mut header = tar_header(EntryType::Regular, 0o644, size);
            tar.append_data(&mut header, &file, content).map_err(write_error())?;
        }
        let docker = serde_json::to_vec(&self.docker_manifest()).map_err(PackError::Document)?;
        let mut header = tar_header(EntryType::Regular, 0o644, docker.len() as u64);
        tar.append_data(&mut header, "manifest.json", docker.as_slice()).map_err(write_error())?;
        let mut out = tar.into_inner().map_err(write_error())?;
        out.flush().map_err(write_error())?;
        let out = out.into_inner().map_err(|error| write_error()(error.into_error()))?;
        out.as_file().set_permissions(fs::Permissions::from_mode(0o644)).map_err(write_error())?;
        out.as_file().sync_all().map_err(write_error())?;
        out.persist(target).map_err(|error| PackError::io("create", target)(error.error))?;
        Ok(())
    }

    /// Lists all files in sorted order, so that the archive is reproducible.
    fn files(&self) -> Result<Vec<String>, PackError> {
        let blobs = self.path().join(BLOB_DIR);
        let failed = || PackError::io("list", &blobs);
        let mut files = vec![LAYOUT_MARKER.0.to_owned(), INDEX_FILE.to_owned()];
        for entry in fs::read_dir(&blobs).map_err(failed())? {
            let name = entry.map_err(failed())?.file_name();
            files.push(format!("{BLOB_DIR}/{}", name.to_string_lossy()));
        }
        files.sort();
        Ok(files)
    }

    /// Describes the first image only: a Docker version that reads this file does not support several platforms.
    fn docker_manifest(&self) -> Vec<DockerManifest> {
        let first = self.written_images.first();
        let blob = |digest: &crate::digest::Digest| format!("{BLOB_DIR}/{}", digest.hex());
        let manifest = first.map(|image| DockerManifest {
            config: blob(&image.config),
            repo_tags: vec![self.name().to_string()],
            layers: image.layers.iter().map(blob).collect(),
        });
        manifest.into_iter().collect()
    }
}
