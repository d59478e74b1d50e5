//! Pushes a layout to a registry. Existing blobs are not sent again, and the tag is written last.

use std::path::{Path, PathBuf};
use std::pin::pin;

use bytes::Bytes;
use oci_client::errors::OciDistributionError;
use oci_client::{Reference, RegistryOperation};
use serde::Serialize;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::digest::Digest;
use crate::image_reference::ImageReference;
use crate::layout::Layout;
use crate::oci_spec::Descriptor;
use crate::registry::{RegistryAccess, RegistryClient};
use crate::registry_error::{RegistryError, RegistryErrorKind, classify};

/// The result of a push.
#[derive(Clone, Debug, Serialize)]
pub struct PushReport {
    /// Name with the tag.
    pub image: String,
    /// Digest that the tag refers to now.
    pub digest: Digest,
    /// Digest that the tag referred to before, if it was another one.
    pub replaced: Option<String>,
    /// Number of uploaded blobs.
    pub sent: usize,
    /// Number of blobs that existed already.
    pub present: usize,
}

/// Size of a chunk in bytes. Progress is reported once for each chunk.
const CHUNK_SIZE: usize = 256 * 1024;

/// Number of chunks to read ahead of the network.
const READ_AHEAD_CHUNKS: usize = 2;

/// Uploads the missing blobs, writes the tag, and verifies the digest that it refers to. Calls `progress` with the completed and the
/// total bytes.
///
/// # Errors
/// If the registry refuses the image, or the retries are exhausted.
pub async fn push(
    layout: &Layout,
    target: &ImageReference,
    access: &RegistryAccess,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<PushReport, RegistryError> {
    let push = PushSession { layout, registry: RegistryClient::new(target, access).await? };
    push.registry.log_in(RegistryOperation::Push).await?;
    let previous = push.remote_digest().await?;
    let digest = layout.digest();
    let content: Vec<(&Digest, u64)> = layout
        .blobs()
        .into_iter()
        .map(|digest| Ok((digest, file_size(&layout.blob(digest))?)))
        .collect::<Result<_, _>>()?;
    let total = content.iter().map(|(_, size)| size).sum();
    let (mut done, mut sent, mut present) = (0, 0, 0);
    for (blob, size) in content {
        if push.blob_exists(blob).await? {
            present += 1;
        } else {
            push.upload(blob, size, &mut |uploaded| progress(done + uploaded, total)).await?;
            sent += 1;
        }
        done += size;
        progress(done, total);
    }
    if layout.written_images.len() > 1 {
        for image in &layout.written_images {
            push.put_manifest(&image.manifest, &digest_reference(target.reference(), &image.manifest.digest))
                .await?;
        }
    }
    push.put_manifest(&layout.root_descriptor, target.reference()).await?;
    match push.remote_digest().await? {
        Some(actual) if actual == digest.as_str() => Ok(PushReport {
            image: target.to_string(),
            digest: digest.clone(),
            replaced: previous.filter(|previous| previous != digest.as_str()),
            sent,
            present,
        }),
        actual => Err(RegistryError::WrongDigest {
            registry: target.registry().to_owned(),
            expected: digest.clone(),
            actual: actual.unwrap_or_else(|| "nothing".to_owned()),
        }),
    }
}

struct PushSession<'a> {
    layout: &'a Layout,
    registry: RegistryClient<'a>,
}

impl PushSession<'_> {
    /// Returns the digest that the tag refers to.
    async fn remote_digest(&self) -> Result<Option<String>, RegistryError> {
        let operation = || format!("read the digest of {}", self.registry.target);
        let lookup = async || match self
            .registry
            .client
            .fetch_manifest_digest(self.registry.target.reference(), &self.registry.access.credentials.0)
            .await
        {
            Err(error) if classify(&error) == RegistryErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        };
        self.registry.with_retries(operation, lookup, classify).await
    }

    async fn blob_exists(&self, digest: &Digest) -> Result<bool, RegistryError> {
        let operation = || format!("look up {digest}");
        let lookup = async || {
            self.registry.client.blob_exists(self.registry.target.reference(), digest.as_str()).await
        };
        self.registry.with_retries(operation, lookup, classify).await
    }

    /// Uploads a blob. A retry starts from the beginning, because registries discard incomplete uploads.
    async fn upload(
        &self,
        digest: &Digest,
        size: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), RegistryError> {
        let path = self.layout.blob(digest);
        let operation = || format!("upload {digest}");
        let mut send = async || {
            let (chunks, stream) = mpsc::channel(READ_AHEAD_CHUNKS);
            let (sent_sender, mut sent_receiver) = mpsc::unbounded_channel();
            let reading = tokio::spawn(read_chunks(path.clone(), chunks, sent_sender));
            let mut upload = pin!(self.registry.client.push_blob_stream(
                self.registry.target.reference(),
                ReceiverStream::new(stream),
                digest.as_str(),
                Some(size),
            ));
            let result = loop {
                tokio::select! {
                    result = &mut upload => break result,
                    Some(sent) = sent_receiver.recv() => progress(sent),
                }
            };
            reading.abort();
            result.map(drop)
        };
        let kind = |error: &OciDistributionError| match classify(error) {
            // The upload session does not exist any more, for example after a restart of the registry. A retry starts a new one.
            RegistryErrorKind::NotFound => RegistryErrorKind::Transient,
            other => other,
        };
        self.registry.with_retries(operation, &mut send, kind).await
    }

    async fn put_manifest(&self, manifest: &Descriptor, name: &Reference) -> Result<(), RegistryError> {
        let path = self.layout.blob(&manifest.digest);
        let content = tokio::fs::read(&path)
            .await
            .map_err(|source| RegistryError::Io { path: path.clone(), source })?;
        let content = Bytes::from(content);
        let operation = || format!("write manifest {}", manifest.digest);
        let put = async || {
            let kind = manifest.media_type.parse().map_err(|_| OciDistributionError::GenericError(None))?;
            self.registry.client.push_manifest_raw(name, content.clone(), kind).await
        };
        self.registry.with_retries(operation, put, classify).await.map(drop)
    }
}

/// Returns a reference to a digest. The digest is passed as a tag, which results in the same URL: with a digest reference the client
/// fails if the response of the registry has no `Location`.
fn digest_reference(target: &Reference, digest: &Digest) -> Reference {
    Reference::with_tag(target.registry().to_owned(), target.repository().to_owned(), digest.to_string())
}

/// Reads a blob ahead of the network, until the receiver of the chunks is dropped.
async fn read_chunks(
    path: PathBuf,
    chunks: mpsc::Sender<Result<Bytes, OciDistributionError>>,
    sent_sender: mpsc::UnboundedSender<u64>,
) {
    let mut done = 0;
    let read = async {
        let mut file = File::open(&path).await?;
        loop {
            let mut chunk = vec![0; CHUNK_SIZE];
            let read = file.read(&mut chunk).await?;
            chunk.truncate(read);
            if read == 0 || chunks.send(Ok(chunk.into())).await.is_err() {
                return Ok(());
            }
            done += read as u64;
            let _closed = sent_sender.send(done);
        }
    };
    if let Err(error) = read.await {
        let _closed = chunks.send(Err(OciDistributionError::IoError(error))).await;
    }
}

fn file_size(path: &Path) -> Result<u64, RegistryError> {
    let io_error = |source| RegistryError::Io { path: path.to_owned(), source };
    std::fs::metadata(path).map(|metadata| metadata.len()).map_err(io_error)
}
