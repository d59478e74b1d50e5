//! Manifests and blobs, out of a directory or a registry, held against their digests.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use oci_client::RegistryOperation;
use oci_client::manifest::{OciDescriptor, OciImageIndex, OciManifest};
use tokio::io::AsyncWriteExt as _;
use tokio_stream::StreamExt as _;

use super::{FetchError, Source, io};
use crate::digest::Digest;
use crate::layout::{BLOBS, INDEX_FILE, MARKER};
use crate::registry::Registry;
use crate::registry_error::{RegistryError, Trouble, trouble};

/// What is taken for a manifest or an index.
const DOCUMENTS: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// The largest that registries take for a manifest, in bytes.
const MAX_DOCUMENT_SIZE: u64 = 4 << 20;

fn document_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    if File::open(path)?.take(MAX_DOCUMENT_SIZE + 1).read_to_end(&mut content)? as u64 > MAX_DOCUMENT_SIZE {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    Ok(content)
}

/// Where blobs come from.
pub(super) enum Store<'a> {
    Layout(&'a Path),
    Registry(Registry<'a>),
}

impl<'a> Store<'a> {
    pub(super) async fn open(source: &'a Source) -> Result<Self, FetchError> {
        match source {
            Source::Layout(path) => {
                let marker = path.join(MARKER.0);
                std::fs::metadata(&marker).map_err(|source| io(&marker, source))?;
                Ok(Self::Layout(path))
            }
            Source::Registry { target, access } => {
                let registry = Registry::reach(target, access).await?;
                registry.log_in(RegistryOperation::Pull).await?;
                Ok(Self::Registry(registry))
            }
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Layout(path) => path.display().to_string(),
            Self::Registry(registry) => registry.target.to_string(),
        }
    }

    /// What the image's name stands for.
    pub(super) async fn top(&self) -> Result<(Digest, OciManifest), FetchError> {
        match self {
            Self::Layout(path) => {
                let file = path.join(INDEX_FILE);
                let content = document_of(&file).map_err(|source| io(&file, source))?;
                let index: OciImageIndex =
                    serde_json::from_slice(&content).map_err(|error| self.not_understood("index", error))?;
                match index.manifests.as_slice() {
                    [only] => {
                        let content = self.document(&only.digest).await?;
                        Ok((Digest::of(&content), self.parsed(&content)?))
                    }
                    _ => Ok((Digest::of(&content), OciManifest::ImageIndex(index))),
                }
            }
            Self::Registry(registry) => {
                let content = self.pulled(registry.target.reference()).await?;
                Ok((Digest::of(&content), self.parsed(&content)?))
            }
        }
    }

    pub(super) async fn manifest(&self, digest: &str) -> Result<OciManifest, FetchError> {
        self.parsed(&self.document(digest).await?)
    }

    /// From its beginning.
    pub(super) async fn blob(&self, descriptor: &OciDescriptor) -> Result<File, FetchError> {
        match self {
            Self::Layout(path) => {
                let file = self.layout_file(path, &descriptor.digest)?;
                let content = File::open(&file).map_err(|source| io(&file, source))?;
                let (content, there) = Digest::of_file(content).await.map_err(|source| io(&file, source))?;
                self.is_whole(&descriptor.digest, &there)?;
                Ok(content)
            }
            Self::Registry(registry) => {
                let what = || format!("download {}", descriptor.digest);
                let load = async || {
                    let file = tempfile::tempfile()?;
                    let mut out = tokio::fs::File::from_std(file.try_clone()?);
                    let mut left = u64::try_from(descriptor.size).unwrap_or(0);
                    let mut content =
                        registry.client.pull_blob_stream(registry.target.reference(), descriptor).await?;
                    while let Some(piece) = content.next().await {
                        let piece = piece?;
                        left = left.checked_sub(piece.len() as u64).ok_or_else(|| {
                            let said = format!(
                                "the layer is longer than the {} bytes of its manifest",
                                descriptor.size
                            );
                            std::io::Error::new(std::io::ErrorKind::FileTooLarge, said)
                        })?;
                        out.write_all(&piece).await?;
                    }
                    out.flush().await?;
                    Ok(file)
                };
                let file = registry.patiently(what, load, trouble).await?;
                let temporary = |source| io(&std::env::temp_dir(), source);
                let (content, there) = Digest::of_file(file).await.map_err(temporary)?;
                self.is_whole(&descriptor.digest, &there)?;
                Ok(content)
            }
        }
    }

    async fn document(&self, digest: &str) -> Result<Vec<u8>, FetchError> {
        let content = match self {
            Self::Layout(path) => {
                let file = self.layout_file(path, digest)?;
                document_of(&file).map_err(|source| io(&file, source))?
            }
            Self::Registry(registry) => {
                self.pulled(&registry.target.reference().clone_with_digest(digest.to_owned())).await?
            }
        };
        self.is_whole(digest, &Digest::of(&content))?;
        Ok(content)
    }

    async fn pulled(&self, name: &oci_client::Reference) -> Result<Vec<u8>, FetchError> {
        let Self::Registry(registry) = self else { return Err(FetchError::NotThere { image: self.name() }) };
        let what = || format!("read {name}");
        let pull = async || match registry
            .client
            .pull_manifest_raw(name, &registry.access.credentials.0, &DOCUMENTS)
            .await
        {
            Err(error) if trouble(&error) == Trouble::NotThere => Ok(None),
            pulled => pulled.map(|(content, _)| Some(content)),
        };
        let pulled: Result<_, RegistryError> = registry.patiently(what, pull, trouble).await;
        let content = pulled?.ok_or_else(|| FetchError::NotThere { image: name.to_string() })?;
        if let Some(wanted) = name.digest() {
            self.is_whole(wanted, &Digest::of(&content))?;
        }
        Ok(content.to_vec())
    }

    /// A digest that is none could lead out of the directory.
    fn layout_file(&self, path: &Path, digest: &str) -> Result<std::path::PathBuf, FetchError> {
        let hex = digest
            .strip_prefix("sha256:")
            .filter(|hex| hex.len() == 64 && hex.bytes().all(|sign| sign.is_ascii_hexdigit()));
        let hex = hex.ok_or_else(|| self.not_understood("digest", format!("{digest:?} is none")))?;
        Ok(path.join(BLOBS).join(hex))
    }

    fn parsed(&self, content: &[u8]) -> Result<OciManifest, FetchError> {
        serde_json::from_slice(content).map_err(|error| self.not_understood("manifest", error))
    }

    fn not_understood(
        &self,
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> FetchError {
        FetchError::NotAnImage { image: self.name(), what, source: source.into() }
    }

    fn is_whole(&self, wanted: &str, there: &Digest) -> Result<(), FetchError> {
        if wanted == there.as_str() {
            return Ok(());
        }
        Err(FetchError::Damaged { image: self.name(), wanted: wanted.to_owned(), there: there.to_string() })
    }
}
