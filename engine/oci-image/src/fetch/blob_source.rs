//! Reads manifests and blobs from a layout or a registry, and verifies their digests.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use oci_client::RegistryOperation;
use oci_client::manifest::{OciDescriptor, OciImageIndex, OciManifest};
use tokio::io::AsyncWriteExt as _;
use tokio_stream::StreamExt as _;

use super::{FetchError, ImageSource, io_error};
use crate::digest::Digest;
use crate::layout::{BLOB_DIR, INDEX_FILE, LAYOUT_MARKER};
use crate::registry::RegistryClient;
use crate::registry_error::{RegistryError, RegistryErrorKind, classify};

/// Accepted media types of manifests and indexes.
const MANIFEST_MEDIA_TYPES: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// The size limit of a manifest in bytes, which is that of common registries.
const MAX_MANIFEST_SIZE: u64 = 4 << 20;

fn read_limited(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    if File::open(path)?.take(MAX_MANIFEST_SIZE + 1).read_to_end(&mut content)? as u64 > MAX_MANIFEST_SIZE {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    Ok(content)
}

/// The source of blobs.
pub(super) enum BlobSource<'a> {
    Layout(&'a Path),
    Registry(RegistryClient<'a>),
}

impl<'a> BlobSource<'a> {
    pub(super) async fn open(source: &'a ImageSource) -> Result<Self, FetchError> {
        match source {
            ImageSource::Layout(path) => {
                let marker = path.join(LAYOUT_MARKER.0);
                std::fs::metadata(&marker).map_err(|source| io_error(&marker, source))?;
                Ok(Self::Layout(path))
            }
            ImageSource::Registry { target, access } => {
                let registry = RegistryClient::new(target, access).await?;
                registry.log_in(RegistryOperation::Pull).await?;
                Ok(Self::Registry(registry))
            }
        }
    }

    pub(super) fn image_name(&self) -> String {
        match self {
            Self::Layout(path) => path.display().to_string(),
            Self::Registry(registry) => registry.target.to_string(),
        }
    }

    /// Returns the digest and the document that the name of the image refers to.
    pub(super) async fn resolve_root(&self) -> Result<(Digest, OciManifest), FetchError> {
        match self {
            Self::Layout(path) => {
                let file = path.join(INDEX_FILE);
                let content = read_limited(&file).map_err(|source| io_error(&file, source))?;
                let index: OciImageIndex =
                    serde_json::from_slice(&content).map_err(|error| self.invalid_image("index", error))?;
                match index.manifests.as_slice() {
                    [only] => {
                        let content = self.manifest_bytes(&only.digest).await?;
                        Ok((Digest::sha256(&content), self.parse_manifest(&content)?))
                    }
                    _ => Ok((Digest::sha256(&content), OciManifest::ImageIndex(index))),
                }
            }
            Self::Registry(registry) => {
                let content = self.pull_manifest(registry.target.reference()).await?;
                Ok((Digest::sha256(&content), self.parse_manifest(&content)?))
            }
        }
    }

    pub(super) async fn manifest(&self, digest: &str) -> Result<OciManifest, FetchError> {
        self.parse_manifest(&self.manifest_bytes(digest).await?)
    }

    /// Opens a verified blob at its beginning.
    pub(super) async fn blob(&self, descriptor: &OciDescriptor) -> Result<File, FetchError> {
        match self {
            Self::Layout(path) => {
                let file = self.blob_path(path, &descriptor.digest)?;
                let content = File::open(&file).map_err(|source| io_error(&file, source))?;
                let (content, actual) =
                    Digest::sha256_file(content).await.map_err(|source| io_error(&file, source))?;
                self.verify_digest(&descriptor.digest, &actual)?;
                Ok(content)
            }
            Self::Registry(registry) => {
                let operation = || format!("download {}", descriptor.digest);
                let download = async || {
                    let file = tempfile::tempfile()?;
                    let mut out = tokio::fs::File::from_std(file.try_clone()?);
                    let mut remaining = u64::try_from(descriptor.size).unwrap_or(0);
                    let mut content =
                        registry.client.pull_blob_stream(registry.target.reference(), descriptor).await?;
                    while let Some(chunk) = content.next().await {
                        let chunk = chunk?;
                        remaining = remaining.checked_sub(chunk.len() as u64).ok_or_else(|| {
                            let message = format!(
                                "the layer is larger than the {} bytes in its manifest",
                                descriptor.size
                            );
                            std::io::Error::new(std::io::ErrorKind::FileTooLarge, message)
                        })?;
                        out.write_all(&chunk).await?;
                    }
                    out.flush().await?;
                    Ok(file)
                };
                let file = registry.with_retries(operation, download, classify).await?;
                let temporary = |source| io_error(&std::env::temp_dir(), source);
                let (content, actual) = Digest::sha256_file(file).await.map_err(temporary)?;
                self.verify_digest(&descriptor.digest, &actual)?;
                Ok(content)
            }
        }
    }

    async fn manifest_bytes(&self, digest: &str) -> Result<Vec<u8>, FetchError> {
        let content = match self {
            Self::Layout(path) => {
                let file = self.blob_path(path, digest)?;
                read_limited(&file).map_err(|source| io_error(&file, source))?
            }
            Self::Registry(registry) => {
                self.pull_manifest(&registry.target.reference().clone_with_digest(digest.to_owned())).await?
            }
        };
        self.verify_digest(digest, &Digest::sha256(&content))?;
        Ok(content)
    }

    async fn pull_manifest(&self, name: &oci_client::Reference) -> Result<Vec<u8>, FetchError> {
        let Self::Registry(registry) = self else {
            return Err(FetchError::NotFound { image: self.image_name() });
        };
        let operation = || format!("read {name}");
        let pull = async || match registry
            .client
            .pull_manifest_raw(name, &registry.access.credentials.0, &MANIFEST_MEDIA_TYPES)
            .await
        {
            Err(error) if classify(&error) == RegistryErrorKind::NotFound => Ok(None),
            pulled => pulled.map(|(content, _)| Some(content)),
        };
        let pulled: Result<_, RegistryError> = registry.with_retries(operation, pull, classify).await;
        let content = pulled?.ok_or_else(|| FetchError::NotFound { image: name.to_string() })?;
        if let Some(expected) = name.digest() {
            self.verify_digest(expected, &Digest::sha256(&content))?;
        }
        Ok(content.to_vec())
    }

    /// Returns the path of a blob. Checks the digest, because an invalid one could refer to a path outside of the layout.
    fn blob_path(&self, path: &Path, digest: &str) -> Result<std::path::PathBuf, FetchError> {
        let hex = digest
            .strip_prefix("sha256:")
            .filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let hex =
            hex.ok_or_else(|| self.invalid_image("digest", format!("{digest:?} is not a SHA-256 digest")))?;
        Ok(path.join(BLOB_DIR).join(hex))
    }

    fn parse_manifest(&self, content: &[u8]) -> Result<OciManifest, FetchError> {
        serde_json::from_slice(content).map_err(|error| self.invalid_image("manifest", error))
    }

    fn invalid_image(
        &self,
        document: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> FetchError {
        FetchError::InvalidImage { image: self.image_name(), document, source: source.into() }
    }

    fn verify_digest(&self, expected: &str, actual: &Digest) -> Result<(), FetchError> {
        if expected == actual.as_str() {
            return Ok(());
        }
        Err(FetchError::DigestMismatch {
            image: self.image_name(),
            expected: expected.to_owned(),
            actual: actual.to_string(),
        })
    }
}
