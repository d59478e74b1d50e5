//! A registry, and trying again what may work in a moment.

use std::path::PathBuf;
use std::time::Duration;

use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::{Client, RegistryOperation};

use crate::credentials::Credentials;
use crate::image_reference::ImageReference;
use crate::registry_error::{RegistryError, RegistryErrorKind, classify, describe};
use crate::retry::RetryPolicy;

/// How a registry is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryProtocol {
    /// With TLS.
    Https,
    /// Without.
    Http,
}

/// Who asks, and how.
#[derive(Clone, Debug)]
pub struct RegistryAccess {
    /// Who.
    pub credentials: Credentials,
    /// With TLS or without.
    pub protocol: RegistryProtocol,
    /// PEM files of authorities that are trusted beside those of the system.
    pub ca_files: Vec<PathBuf>,
    /// With a registry that is busy.
    pub retry: RetryPolicy,
}

/// A registry that says nothing for so long is gone: it answers an upload only when it has stored it.
const READ_TIMEOUT: Duration = Duration::from_secs(300);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The registry of a name.
pub(crate) struct RegistryClient<'a> {
    pub(crate) client: Client,
    pub(crate) target: &'a ImageReference,
    pub(crate) access: &'a RegistryAccess,
}

impl<'a> RegistryClient<'a> {
    /// Connects to nothing yet.
    pub(crate) async fn new(
        target: &'a ImageReference,
        access: &'a RegistryAccess,
    ) -> Result<Self, RegistryError> {
        let client = build_client(target, access).await?;
        Ok(Self { client, target, access })
    }

    /// Asks for the right, so that a refusal is heard before anything is sent.
    pub(crate) async fn log_in(&self, to: RegistryOperation) -> Result<(), RegistryError> {
        let what = || "log in".to_owned();
        let log_in = async || self.client.auth(self.target.reference(), &self.access.credentials.0, to).await;
        let trouble = |error: &OciDistributionError| match classify(error) {
            // The address may be wrong; that is not worth a minute.
            RegistryErrorKind::Connection => RegistryErrorKind::Permanent,
            other => other,
        };
        self.with_retries(what, log_in, trouble).await.map(drop)
    }

    /// Tries until it works, will not work, or patience ends.
    pub(crate) async fn with_retries<T>(
        &self,
        what: impl Fn() -> String,
        mut attempt: impl AsyncFnMut() -> Result<T, OciDistributionError>,
        sort: impl Fn(&OciDistributionError) -> RegistryErrorKind,
    ) -> Result<T, RegistryError> {
        let registry = self.target.registry().to_owned();
        let mut pauses = self.access.retry.pauses();
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let said = describe(&error);
            match (sort(&error), pauses.next()) {
                (RegistryErrorKind::Transient | RegistryErrorKind::Connection, Some(pause)) => {
                    tokio::time::sleep(pause).await;
                }
                (RegistryErrorKind::Transient | RegistryErrorKind::Connection, None) => {
                    let attempts = self.access.retry.attempts;
                    return Err(RegistryError::RetriesExhausted { what: what(), registry, attempts, said });
                }
                (RegistryErrorKind::Unauthorized, _) => {
                    return Err(RegistryError::Unauthorized { registry, said });
                }
                (RegistryErrorKind::Denied, _) => {
                    let repository = self.target.repository().to_owned();
                    return Err(RegistryError::Denied { registry, repository, said });
                }
                (RegistryErrorKind::Permanent | RegistryErrorKind::NotFound, _)
                    if classify(&error) == RegistryErrorKind::Connection =>
                {
                    return Err(RegistryError::Unreachable { registry, said });
                }
                (RegistryErrorKind::Permanent | RegistryErrorKind::NotFound, _) => {
                    return Err(RegistryError::UnexpectedResponse { what: what(), registry, said });
                }
            }
        }
    }
}

async fn build_client(target: &ImageReference, access: &RegistryAccess) -> Result<Client, RegistryError> {
    let mut certificates = Vec::new();
    for path in &access.ca_files {
        let data =
            tokio::fs::read(path).await.map_err(|source| RegistryError::Io { path: path.clone(), source })?;
        certificates.push(Certificate { encoding: CertificateEncoding::Pem, data });
    }
    // Its client takes proxies from the environment, also for this machine, unless it is told of another one; and that one is used
    // for no name and no address.
    let unused_proxy = target.is_loopback().then(|| "http://localhost".to_owned());
    let config = ClientConfig {
        http_proxy: unused_proxy.clone(),
        https_proxy: unused_proxy,
        no_proxy: Some("*,0.0.0.0/0,::/0".to_owned()),
        protocol: match access.protocol {
            RegistryProtocol::Https => ClientProtocol::Https,
            RegistryProtocol::Http => ClientProtocol::Http,
        },
        extra_root_certificates: certificates,
        // In one piece with its length, which every registry takes.
        use_monolithic_push: true,
        connect_timeout: Some(CONNECT_TIMEOUT),
        read_timeout: Some(READ_TIMEOUT),
        user_agent: concat!("vault-token-plugin/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    Client::try_from(config).map_err(|error| RegistryError::Unreachable {
        registry: target.registry().to_owned(),
        said: format!("the connection cannot be set up: {}", describe(&error)),
    })
}
