//! The plugins of an image, out of a layout or a registry.

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

/// Where an image is.
#[derive(Clone, Debug)]
pub enum ImageSource {
    /// In a directory, as [`Layout::persist`](crate::Layout::persist) leaves one.
    Layout(PathBuf),
    /// In a registry.
    Registry {
        /// Under which name.
        target: ImageReference,
        /// Who asks, and how.
        access: Box<RegistryAccess>,
    },
}

/// Plugins of an image, in a directory that goes with this value.
#[derive(Debug)]
pub struct FetchedPlugins {
    directory: TempDir,
    /// File names of the plugins that were wanted.
    pub files: BTreeSet<String>,
    /// Everything in the image's directory of plugins, wanted or not: the hex sha256 of each file.
    pub plugin_digests: BTreeMap<String, String>,
    /// The image's list of the plugins that it loads, if it has one.
    pub checksums: Option<String>,
    /// Of what the image's name stands for, on every platform.
    pub digest: Digest,
}

impl FetchedPlugins {
    /// Where a file lies.
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }
}

/// An image that could not be had, or is not one of plugins for this platform.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are the words of the sentence above them")]
#[non_exhaustive]
pub enum FetchError {
    /// The registry said no.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A directory without what makes it a layout, or with something in it that cannot be read.
    #[error("could not read {path}")]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A document that is none.
    #[error("{image} is not an image: its {what} is not understood")]
    InvalidImage {
        image: String,
        what: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing of that name is there.
    #[error("{image} does not exist")]
    NotFound { image: String },
    /// Only images for other machines.
    #[error("{image} is not for {platform}{}", format_platforms(found))]
    PlatformMismatch { image: String, platform: Platform, found: Vec<String> },
    /// Content that is not what its digest says.
    #[error("{image} is damaged: {wanted} has the digest {there}")]
    DigestMismatch { image: String, wanted: String, there: String },
    /// More than is ever read of one image.
    #[error("{image} is larger than {limit} bytes {form}")]
    TooLarge { image: String, limit: u64, form: &'static str },
    /// A layer in a form that is not read here.
    #[error("{image} has a layer of the type {media_type}, which cannot be read; pack it as tar or tar+gzip")]
    UnsupportedCompression { image: String, media_type: String },
}

impl FetchError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Io { .. } => {
                "Name a file, a directory that `package --layout` has written, or an image in a registry."
                    .to_owned()
            }
            Self::NotFound { .. } => {
                "Is the tag right? `package --push` prints what it has pushed.".to_owned()
            }
            Self::PlatformMismatch { .. } => {
                "Pack a binary for that platform, too: `package` takes one for each.".to_owned()
            }
            Self::TooLarge { .. } => {
                "Is it an image of plugins? `package` makes one; leave old versions out of it.".to_owned()
            }
            Self::InvalidImage { .. } | Self::DigestMismatch { .. } | Self::UnsupportedCompression { .. } => {
                "Pack the image anew with `package`.".to_owned()
            }
        }
    }
}

/// The most that is read of one image, both packed and unpacked, in bytes: some twenty versions of the largest plugins. What a
/// registry sends is not trusted to end.
const MAX_IMAGE_SIZE: u64 = 4 << 30;

/// The list of plugins, beside them.
const CHECKSUMS_FILE: &str = "SHA256SUMS";

/// The most that is read of that list, in bytes.
const MAX_CHECKSUMS_SIZE: u64 = 1 << 20;

/// Takes the files below `plugins/` whose names are `wanted` out of the image for `platform`. Every blob is held against its
/// digest. `progress` is called with bytes done and bytes in all.
///
/// # Errors
/// When the image cannot be had, is damaged, is larger than any image of plugins, or is for other machines.
pub async fn fetch(
    source: &ImageSource,
    platform: &Platform,
    wanted: impl Fn(&str) -> bool + Clone + Send + 'static,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<FetchedPlugins, FetchError> {
    let store = BlobSource::open(source).await?;
    let directory = TempDir::new().map_err(|source| io_error(&std::env::temp_dir(), source))?;
    let (digest, manifest) = resolve_manifest(&store, platform).await?;
    let size = |layer: &oci_client::manifest::OciDescriptor| u64::try_from(layer.size).unwrap_or(0);
    let (mut done, total) = (0, manifest.layers.iter().map(size).fold(0, u64::saturating_add));
    let too_large = |form| FetchError::TooLarge { image: store.image_name(), limit: MAX_IMAGE_SIZE, form };
    if total > MAX_IMAGE_SIZE {
        return Err(too_large("as its manifest says"));
    }
    let (mut budget, mut carried) = (MAX_IMAGE_SIZE, BTreeMap::new());
    for descriptor in &manifest.layers {
        let compression =
            extract::LayerCompression::from_media_type(&descriptor.media_type).ok_or_else(|| {
                FetchError::UnsupportedCompression {
                    image: store.image_name(),
                    media_type: descriptor.media_type.clone(),
                }
            })?;
        let blob = store.blob(descriptor).await?;
        let (place, wanted) = (directory.path().to_owned(), wanted.clone());
        let wanted = move |name: &str| name == CHECKSUMS_FILE || wanted(name);
        let taken = tokio::task::spawn_blocking(move || {
            let left = extract::extract_plugins(blob, compression, &wanted, &place, budget, &mut carried)?;
            Ok((left, carried))
        })
        .await;
        let taken = taken.map_err(std::io::Error::other).and_then(|taken| taken);
        (budget, carried) = taken.map_err(|source| match source.kind() {
            std::io::ErrorKind::FileTooLarge => too_large("when it is unpacked"),
            _ => io_error(directory.path(), source),
        })?;
        done += size(descriptor);
        progress(done, total);
    }
    let sums = take_checksums(directory.path())
        .map_err(|source| io_error(&directory.path().join(CHECKSUMS_FILE), source))?;
    let files = list_files(directory.path()).map_err(|source| io_error(directory.path(), source))?;
    Ok(FetchedPlugins { directory, files, plugin_digests: carried, checksums: sums, digest })
}

/// The list of plugins, which is none of them.
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

/// The manifest for the platform, and the digest of what the name stands for.
async fn resolve_manifest(
    store: &BlobSource<'_>,
    platform: &Platform,
) -> Result<(Digest, OciImageManifest), FetchError> {
    let (digest, top) = store.resolve_root().await?;
    let index = match top {
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
            what: "index",
            source: "it leads to another index".into(),
        }),
    }
}

fn matches_platform(entry: &oci_client::manifest::ImageIndexEntry, platform: &Platform) -> bool {
    entry.platform.as_ref().is_none_or(|there| {
        there.os.to_string() == platform.os && there.architecture.to_string() == platform.architecture
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
