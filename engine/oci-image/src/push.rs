//! A layout into a registry: what is there already is not sent again, and the name is given last.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::{Client, Reference, RegistryOperation};
use serde::Serialize;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::credentials::Credentials;
use crate::digest::Digest;
use crate::document::Descriptor;
use crate::layout::Layout;
use crate::push_error::{PushError, Trouble, said, trouble};
use crate::retry::Patience;
use crate::target::Target;

/// How a registry is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// With TLS.
    Https,
    /// Without.
    Http,
}

/// Who pushes, and how.
#[derive(Clone, Debug)]
pub struct Access {
    /// Who.
    pub credentials: Credentials,
    /// With TLS or without.
    pub transport: Transport,
    /// PEM files of authorities that are trusted beside those of the system.
    pub authorities: Vec<PathBuf>,
    /// With a registry that is busy.
    pub patience: Patience,
}

/// What a push did.
#[derive(Clone, Debug, Serialize)]
pub struct Pushed {
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
const CHUNK: usize = 256 * 1024;

/// Chunks that wait for the network. One is read while another one is sent.
const AHEAD: usize = 2;

/// A registry that says nothing for so long is gone: it answers an upload only when it has stored it.
const SILENCE: Duration = Duration::from_secs(300);
const CONNECT: Duration = Duration::from_secs(15);

/// Sends all that is missing, and reads back what the name stands for then. `progress` is called with bytes done and bytes in all.
///
/// # Errors
/// When the registry does not take it, after some patience where that may help.
pub async fn push(
    layout: &Layout,
    target: &Target,
    access: &Access,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Pushed, PushError> {
    let push = Push { client: client(target, access).await?, layout, target, access };
    push.log_in().await?;
    let before = push.there().await?;
    let wanted = layout.digest();
    let content: Vec<(&Digest, u64)> = layout
        .content()
        .into_iter()
        .map(|digest| Ok((digest, size(&layout.blob(digest))?)))
        .collect::<Result<_, _>>()?;
    let total = content.iter().map(|(_, size)| size).sum();
    let (mut done, mut sent, mut present) = (0, 0, 0);
    for (digest, size) in content {
        if push.has(digest).await? {
            present += 1;
        } else {
            push.upload(digest, size, &mut |of_this| progress(done + of_this, total)).await?;
            sent += 1;
        }
        done += size;
        progress(done, total);
    }
    if layout.written.len() > 1 {
        for image in &layout.written {
            push.put_manifest(&image.manifest, &by_digest(target.reference(), &image.manifest.digest))
                .await?;
        }
    }
    push.put_manifest(&layout.top, target.reference()).await?;
    match push.there().await? {
        Some(there) if there == wanted.as_str() => Ok(Pushed {
            image: target.to_string(),
            digest: wanted.clone(),
            replaced: before.filter(|before| before != wanted.as_str()),
            sent,
            present,
        }),
        there => Err(PushError::WrongDigest {
            registry: target.registry().to_owned(),
            wanted: wanted.clone(),
            there: there.unwrap_or_else(|| "nothing".to_owned()),
        }),
    }
}

struct Push<'a> {
    client: Client,
    layout: &'a Layout,
    target: &'a Target,
    access: &'a Access,
}

impl Push<'_> {
    /// Asks for what is needed to push, so that a refusal is heard before anything is sent.
    async fn log_in(&self) -> Result<(), PushError> {
        let what = || "log in".to_owned();
        let log_in = async || {
            self.client
                .auth(self.target.reference(), &self.access.credentials.0, RegistryOperation::Push)
                .await
        };
        let trouble = |error: &OciDistributionError| match trouble(error) {
            // The address may be wrong; that is not worth a minute.
            Trouble::Connection => Trouble::Final,
            other => other,
        };
        self.patiently(what, log_in, trouble).await.map(drop)
    }

    /// What the name stands for.
    async fn there(&self) -> Result<Option<String>, PushError> {
        let what = || format!("look at {}", self.target);
        let look = async || match self
            .client
            .fetch_manifest_digest(self.target.reference(), &self.access.credentials.0)
            .await
        {
            Err(error) if trouble(&error) == Trouble::NotThere => Ok(None),
            found => found.map(Some),
        };
        self.patiently(what, look, trouble).await
    }

    async fn has(&self, digest: &Digest) -> Result<bool, PushError> {
        let what = || format!("look for {digest}");
        let look = async || self.client.blob_exists(self.target.reference(), digest.as_str()).await;
        self.patiently(what, look, trouble).await
    }

    /// Sends a blob; after a failure from its beginning, for what was half sent is not kept.
    async fn upload(
        &self,
        digest: &Digest,
        size: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), PushError> {
        let path = self.layout.blob(digest);
        let what = || format!("upload {digest}");
        let mut send = async || {
            let (chunks, stream) = mpsc::channel(AHEAD);
            let (tell, mut told) = mpsc::unbounded_channel();
            let reading = tokio::spawn(read(path.clone(), chunks, tell));
            let mut upload = pin!(self.client.push_blob_stream(
                self.target.reference(),
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
        let trouble = |error: &OciDistributionError| match trouble(error) {
            // The session is gone, as after a restart of the registry: a new one may do.
            Trouble::NotThere => Trouble::Passing,
            other => other,
        };
        self.patiently(what, &mut send, trouble).await
    }

    async fn put_manifest(&self, manifest: &Descriptor, name: &Reference) -> Result<(), PushError> {
        let path = self.layout.blob(&manifest.digest);
        let content =
            tokio::fs::read(&path).await.map_err(|source| PushError::Io { path: path.clone(), source })?;
        let content = Bytes::from(content);
        let what = || format!("name {}", manifest.digest);
        let put = async || {
            let kind = manifest.media_type.parse().map_err(|_| OciDistributionError::GenericError(None))?;
            self.client.push_manifest_raw(name, content.clone(), kind).await
        };
        self.patiently(what, put, trouble).await.map(drop)
    }

    /// Tries until it works, will not work, or patience ends.
    async fn patiently<T>(
        &self,
        what: impl Fn() -> String,
        mut attempt: impl AsyncFnMut() -> Result<T, OciDistributionError>,
        sort: impl Fn(&OciDistributionError) -> Trouble,
    ) -> Result<T, PushError> {
        let registry = self.target.registry().to_owned();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let said = said(&error);
            match (sort(&error), self.access.patience.pause_after(attempts)) {
                (Trouble::Passing | Trouble::Connection, Some(pause)) => tokio::time::sleep(pause).await,
                (Trouble::Passing | Trouble::Connection, None) => {
                    return Err(PushError::GaveUp { what: what(), registry, attempts, said });
                }
                (Trouble::Unauthorized, _) => return Err(PushError::Unauthorized { registry, said }),
                (Trouble::Denied, _) => {
                    let repository = self.target.repository().to_owned();
                    return Err(PushError::Denied { registry, repository, said });
                }
                (Trouble::Final | Trouble::NotThere, _) if trouble(&error) == Trouble::Connection => {
                    return Err(PushError::Unreachable { registry, said });
                }
                (Trouble::Final | Trouble::NotThere, _) => {
                    return Err(PushError::Refused { what: what(), registry, said });
                }
            }
        }
    }
}

async fn client(target: &Target, access: &Access) -> Result<Client, PushError> {
    let mut certificates = Vec::new();
    for path in &access.authorities {
        let data =
            tokio::fs::read(path).await.map_err(|source| PushError::Io { path: path.clone(), source })?;
        certificates.push(Certificate { encoding: CertificateEncoding::Pem, data });
    }
    let config = ClientConfig {
        protocol: match access.transport {
            Transport::Https => ClientProtocol::Https,
            Transport::Http => ClientProtocol::Http,
        },
        extra_root_certificates: certificates,
        // In one piece with its length, which every registry takes.
        use_monolithic_push: true,
        connect_timeout: Some(CONNECT),
        read_timeout: Some(SILENCE),
        user_agent: concat!("vault-token-plugin/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    Client::try_from(config).map_err(|error| PushError::Unreachable {
        registry: target.registry().to_owned(),
        said: format!("the connection cannot be set up: {}", said(&error)),
    })
}

/// A name that is a digest. It is given as a tag, of which it makes the same address: without a tag the client cannot live with a
/// registry whose answer has no `Location`.
fn by_digest(target: &Reference, digest: &Digest) -> Reference {
    Reference::with_tag(target.registry().to_owned(), target.repository().to_owned(), digest.to_string())
}

/// Reads a blob ahead of the network. Whoever sends may go away, which ends it.
async fn read(
    path: PathBuf,
    chunks: mpsc::Sender<Result<Bytes, OciDistributionError>>,
    tell: mpsc::UnboundedSender<u64>,
) {
    let mut done = 0;
    let read = async {
        let mut file = File::open(&path).await?;
        loop {
            let mut chunk = vec![0; CHUNK];
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

fn size(path: &Path) -> Result<u64, PushError> {
    let unread = |source| PushError::Io { path: path.to_owned(), source };
    std::fs::metadata(path).map(|metadata| metadata.len()).map_err(unread)
}
