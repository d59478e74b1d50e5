//! A layout into a registry: what is there already is not sent again, and the name is given last.

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

/// What a push did.
#[derive(Clone, Debug, Serialize)]
pub struct PushReport {
    /// The name, with the tag.
    pub image: String,
    /// What it stands for now.
    pub digest: Digest,
    /// What it stood for before, if that was something else.
    pub replaced: Option<String>,
    /// Blobs that were sent.
    pub sent: usize,
    /// Blobs that were there.
    pub present: usize,
}

/// Bytes read and sent at once; also how often progress is told.
const CHUNK_SIZE: usize = 256 * 1024;

/// Chunks that wait for the network. One is read while another one is sent.
const READ_AHEAD_CHUNKS: usize = 2;

/// Sends all that is missing, and reads back what the name stands for then. `progress` is called with bytes done and bytes in all.
///
/// # Errors
/// When the registry does not take it, after some patience where that may help.
pub async fn push(
    layout: &Layout,
    target: &ImageReference,
    access: &RegistryAccess,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<PushReport, RegistryError> {
    let push = PushSession { layout, registry: RegistryClient::new(target, access).await? };
    push.registry.log_in(RegistryOperation::Push).await?;
    let before = push.remote_digest().await?;
    let wanted = layout.digest();
    let content: Vec<(&Digest, u64)> = layout
        .blobs()
        .into_iter()
        .map(|digest| Ok((digest, file_size(&layout.blob(digest))?)))
        .collect::<Result<_, _>>()?;
    let total = content.iter().map(|(_, size)| size).sum();
    let (mut done, mut sent, mut present) = (0, 0, 0);
    for (digest, size) in content {
        if push.blob_exists(digest).await? {
            present += 1;
        } else {
            push.upload(digest, size, &mut |of_this| progress(done + of_this, total)).await?;
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
        Some(there) if there == wanted.as_str() => Ok(PushReport {
            image: target.to_string(),
            digest: wanted.clone(),
            replaced: before.filter(|before| before != wanted.as_str()),
            sent,
            present,
        }),
        there => Err(RegistryError::WrongDigest {
            registry: target.registry().to_owned(),
            wanted: wanted.clone(),
            there: there.unwrap_or_else(|| "nothing".to_owned()),
        }),
    }
}

struct PushSession<'a> {
    layout: &'a Layout,
    registry: RegistryClient<'a>,
}

impl PushSession<'_> {
    /// What the name stands for.
    async fn remote_digest(&self) -> Result<Option<String>, RegistryError> {
        let what = || format!("look at {}", self.registry.target);
        let look = async || match self
            .registry
            .client
            .fetch_manifest_digest(self.registry.target.reference(), &self.registry.access.credentials.0)
            .await
        {
            Err(error) if classify(&error) == RegistryErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        };
        self.registry.with_retries(what, look, classify).await
    }

    async fn blob_exists(&self, digest: &Digest) -> Result<bool, RegistryError> {
        let what = || format!("look for {digest}");
        let look = async || {
            self.registry.client.blob_exists(self.registry.target.reference(), digest.as_str()).await
        };
        self.registry.with_retries(what, look, classify).await
    }

    /// Sends a blob; after a failure from its beginning, for what was half sent is not kept.
    async fn upload(
        &self,
        digest: &Digest,
        size: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), RegistryError> {
        let path = self.layout.blob(digest);
        let what = || format!("upload {digest}");
        let mut send = async || {
            let (chunks, stream) = mpsc::channel(READ_AHEAD_CHUNKS);
            let (tell, mut told) = mpsc::unbounded_channel();
            let reading = tokio::spawn(read_chunks(path.clone(), chunks, tell));
            let mut upload = pin!(self.registry.client.push_blob_stream(
                self.registry.target.reference(),
                ReceiverStream::new(stream),
                digest.as_str(),
                Some(size),
            ));
            let ended = loop {
                tokio::select! {
                    ended = &mut upload => break ended,
                    Some(sent) = told.recv() => progress(sent),
                }
            };
            reading.abort();
            ended.map(drop)
        };
        let trouble = |error: &OciDistributionError| match classify(error) {
            // The session is gone, as after a restart of the registry: a new one may do.
            RegistryErrorKind::NotFound => RegistryErrorKind::Transient,
            other => other,
        };
        self.registry.with_retries(what, &mut send, trouble).await
    }

    async fn put_manifest(&self, manifest: &Descriptor, name: &Reference) -> Result<(), RegistryError> {
        let path = self.layout.blob(&manifest.digest);
        let content = tokio::fs::read(&path)
            .await
            .map_err(|source| RegistryError::Io { path: path.clone(), source })?;
        let content = Bytes::from(content);
        let what = || format!("name {}", manifest.digest);
        let put = async || {
            let kind = manifest.media_type.parse().map_err(|_| OciDistributionError::GenericError(None))?;
            self.registry.client.push_manifest_raw(name, content.clone(), kind).await
        };
        self.registry.with_retries(what, put, classify).await.map(drop)
    }
}

/// A name that is a digest. It is given as a tag, of which it makes the same address: without a tag the client cannot live with a
/// registry whose answer has no `Location`.
fn digest_reference(target: &Reference, digest: &Digest) -> Reference {
    Reference::with_tag(target.registry().to_owned(), target.repository().to_owned(), digest.to_string())
}

/// Reads a blob ahead of the network. Whoever sends may go away, which ends it.
async fn read_chunks(
    path: PathBuf,
    chunks: mpsc::Sender<Result<Bytes, OciDistributionError>>,
    tell: mpsc::UnboundedSender<u64>,
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
            let _nobody_looks = tell.send(done);
        }
    };
    if let Err(error) = read.await {
        let _nobody_sends = chunks.send(Err(OciDistributionError::IoError(error))).await;
    }
}

fn file_size(path: &Path) -> Result<u64, RegistryError> {
    let unread = |source| RegistryError::Io { path: path.to_owned(), source };
    std::fs::metadata(path).map(|metadata| metadata.len()).map_err(unread)
}
