//! Extracts plugins from an image in a layout or a registry.

mod blob_source;
mod extract;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use oci_client::manifest::{OciImageIndex, OciImageManifest, OciManifest};
use tempfile::TempDir;

use crate::digest::Digest;
use crate::image_reference::ImageReference;
use crate::oci_spec::Platform;
use crate::registry::RegistryAccess;
use crate::registry_error::RegistryError;
use blob_source::BlobSource;

/// The source of an image.
#[derive(Clone, Debug)]
pub enum ImageSource {
    /// A layout directory, as written by [`Layout::persist`](crate::Layout::persist).
    Layout(PathBuf),
    /// A registry.
    Registry {
        /// Name of the image.
        target: ImageReference,
        /// How to access the registry.
        access: Box<RegistryAccess>,
    },
}

/// Extracted plugins in a temporary directory, which is deleted on drop.
#[derive(Debug)]
pub struct FetchedPlugins {
    directory: TempDir,
    /// File names of the extracted plugins.
    pub files: BTreeSet<String>,
    /// SHA-256 in hex of each file in the plugin directory of the image, including files that were not extracted.
    pub plugin_digests: BTreeMap<String, String>,
    /// Content of the checksum file of the image, if it has one.
    pub checksums: Option<String>,
    /// Digest that the name of the image refers to, for all platforms.
    pub digest: Digest,
}

impl FetchedPlugins {
    /// Path of an extracted file.
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }
}

/// An image could not be fetched, or does not contain plugins for the platform.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the error message above each variant explains its fields")]
#[non_exhaustive]
pub enum FetchError {
    /// The registry returned an error, or could not be reached.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A file of the layout could not be read, for example because the directory is not a layout.
    #[error("could not read {path}")]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A document of the image is invalid.
    #[error("invalid {document} in image {image}")]
    InvalidImage {
        image: String,
        document: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The image does not exist.
    #[error("image {image} not found")]
    NotFound { image: String },
    /// The image is only for other platforms.
    #[error("image {image} is not available for {platform}{}", format_platforms(found))]
    PlatformMismatch { image: String, platform: Platform, found: Vec<String> },
    /// The content does not match its digest.
    #[error("digest mismatch in image {image}: expected {expected}, got {actual}")]
    DigestMismatch { image: String, expected: String, actual: String },
    /// The image exceeds the size limit.
    #[error("image {image} is larger than {limit} bytes {form}")]
    TooLarge { image: String, limit: u64, form: &'static str },
    /// The compression of a layer is not supported.
    #[error("image {image} has a layer with the unsupported media type {media_type}")]
    UnsupportedCompression { image: String, media_type: String },
}

impl FetchError {
    /// Tells the user how to fix the error.
    pub fn hint(&self) -> String {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Io { .. } => {
                "Pass a file, a directory written by `package --layout`, or an image in a registry."
                    .to_owned()
            }
            Self::NotFound { .. } => {
                "Check the tag. `package --push` prints the name of the pushed image.".to_owned()
            }
            Self::PlatformMismatch { .. } => {
                "Include a binary for that platform: `package` accepts one for each platform.".to_owned()
            }
            Self::TooLarge { .. } => {
                "Check that it is an image built by `package`, and remove old versions from it.".to_owned()
            }
            Self::UnsupportedCompression { .. } => {
                "Build the image with `package`, or compress its layers with gzip.".to_owned()
            }
            Self::InvalidImage { .. } | Self::DigestMismatch { .. } => {
                "Build the image again with `package`.".to_owned()
            }
        }
    }
}

/// The size limit of an image in bytes, both compressed and uncompressed: about twenty versions of the largest plugins. The limit
/// protects against a registry that sends unlimited data.
const MAX_IMAGE_SIZE: u64 = 4 << 30;

/// The checksum file in the plugin directory.
const CHECKSUMS_FILE: &str = "SHA256SUMS";

/// The size limit of the checksum file in bytes.
const MAX_CHECKSUMS_SIZE: u64 = 1 << 20;

/// Extracts the files in `plugins/` whose names satisfy `filter` from the image for `platform`. Verifies the digest of every blob.
/// Calls `progress` with the completed and the total bytes.
///
/// # Errors
/// If the image cannot be fetched, is damaged, exceeds the size limit, or is for other platforms.
pub async fn fetch(
    source: &ImageSource,
    platform: &Platform,
    filter: impl Fn(&str) -> bool + Clone + Send + 'static,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<FetchedPlugins, FetchError> {
    let store = BlobSource::open(source).await?;
    let directory = TempDir::new().map_err(|source| io_error(&std::env::temp_dir(), source))?;
    let (digest, manifest) = resolve_manifest(&store, platform).await?;
    let size = |layer: &oci_client::manifest::OciDescriptor| u64::try_from(layer.size).unwrap_or(0);
    let (mut done, total) = (0, manifest.layers.iter().map(size).fold(0, u64::saturating_add));
    let too_large = |form| FetchError::TooLarge { image: store.image_name(), limit: MAX_IMAGE_SIZE, form };
    if total > MAX_IMAGE_SIZE {
        return Err(too_large("according to its manifest"));
    }
    let (mut budget, mut plugin_digests) = (MAX_IMAGE_SIZE, BTreeMap::new());
    for descriptor in &manifest.layers {
        let compression =
            extract::LayerCompression::from_media_type(&descriptor.media_type).ok_or_else(|| {
                FetchError::UnsupportedCompression {
                    image: store.image_name(),
                    media_type: descriptor.media_type.clone(),
                }
            })?;
        let blob = store.blob(descriptor).await?;
        let (target, filter) = (directory.path().to_owned(), filter.clone());
        let filter = move |name: &str| name == CHECKSUMS_FILE || filter(name);
        let extracted = tokio::task::spawn_blocking(move || {
            let remaining =
                extract::extract_plugins(blob, compression, &filter, &target, budget, &mut plugin_digests)?;
            Ok((remaining, plugin_digests))
        })
        .await;
        let extracted = extracted.map_err(std::io::Error::other).and_then(|extracted| extracted);
        (budget, plugin_digests) = extracted.map_err(|source| match source.kind() {
            std::io::ErrorKind::FileTooLarge => too_large("after decompression"),
            _ => io_error(directory.path(), source),
        })?;
        done += size(descriptor);
        progress(done, total);
    }
    let checksums = take_checksums(directory.path())
        .map_err(|source| io_error(&directory.path().join(CHECKSUMS_FILE), source))?;
    let files = list_files(directory.path()).map_err(|source| io_error(directory.path(), source))?;
    Ok(FetchedPlugins { directory, files, plugin_digests, checksums, digest })
}

/// Reads and removes the checksum file, which is not a plugin.
fn take_checksums(directory: &Path) -> std::io::Result<Option<String>> {
    let path = directory.join(CHECKSUMS_FILE);
    let file = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = String::new();
    file.take(MAX_CHECKSUMS_SIZE).read_to_string(&mut text)?;
    std::fs::remove_file(path)?;
    Ok(Some(text))
}

fn list_files(directory: &Path) -> std::io::Result<BTreeSet<String>> {
    let entries = std::fs::read_dir(directory)?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Returns the digest that the name refers to, and the manifest for the platform.
async fn resolve_manifest(
    store: &BlobSource<'_>,
    platform: &Platform,
) -> Result<(Digest, OciImageManifest), FetchError> {
    let (digest, root) = store.resolve_root().await?;
    let index = match root {
        OciManifest::Image(manifest) => return Ok((digest, manifest)),
        OciManifest::ImageIndex(index) => index,
    };
    let entry = index.manifests.iter().find(|entry| matches_platform(entry, platform)).ok_or_else(|| {
        FetchError::PlatformMismatch {
            image: store.image_name(),
            platform: platform.clone(),
            found: available_platforms(&index),
        }
    })?;
    match store.manifest(&entry.digest).await? {
        OciManifest::Image(manifest) => Ok((digest, manifest)),
        OciManifest::ImageIndex(_) => Err(FetchError::InvalidImage {
            image: store.image_name(),
            document: "index",
            source: "an index refers to another index".into(),
        }),
    }
}

fn matches_platform(entry: &oci_client::manifest::ImageIndexEntry, platform: &Platform) -> bool {
    entry.platform.as_ref().is_none_or(|candidate| {
        candidate.os.to_string() == platform.os && candidate.architecture.to_string() == platform.architecture
    })
}

fn available_platforms(index: &OciImageIndex) -> Vec<String> {
    let platforms = index.manifests.iter().filter_map(|entry| entry.platform.as_ref());
    platforms.map(|platform| format!("{}/{}", platform.os, platform.architecture)).collect()
}

fn format_platforms(found: &[String]) -> String {
    if found.is_empty() { String::new() } else { format!(", only for {}", found.join(", ")) }
}

fn io_error(path: &Path, source: std::io::Error) -> FetchError {
    FetchError::Io { path: path.to_owned(), source }
}
