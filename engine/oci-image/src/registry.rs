//! A client of one registry, which retries transient failures.

use std::path::PathBuf;
use std::time::Duration;

use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::{Client, RegistryOperation};

use crate::credentials::Credentials;
use crate::image_reference::ImageReference;
use crate::registry_error::{RegistryError, RegistryErrorKind, classify, describe};
use crate::retry::RetryPolicy;

/// Protocol of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryProtocol {
    /// HTTP with TLS.
    Https,
    /// HTTP without TLS.
    Http,
}

/// How to access a registry.
#[derive(Clone, Debug)]
pub struct RegistryAccess {
    /// Credentials.
    pub credentials: Credentials,
    /// Protocol.
    pub protocol: RegistryProtocol,
    /// PEM files with certificate authorities to trust in addition to those of the system.
    pub ca_files: Vec<PathBuf>,
    /// Retries of transient failures.
    pub retry: RetryPolicy,
}

/// The timeout of a read. It is long, because a registry responds to an upload only after it has stored it.
const READ_TIMEOUT: Duration = Duration::from_secs(300);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// A client of the registry of an image.
pub(crate) struct RegistryClient<'a> {
    pub(crate) client: Client,
    pub(crate) target: &'a ImageReference,
    pub(crate) access: &'a RegistryAccess,
}

impl<'a> RegistryClient<'a> {
    /// Creates the client. Does not connect yet.
    pub(crate) async fn new(
        target: &'a ImageReference,
        access: &'a RegistryAccess,
    ) -> Result<Self, RegistryError> {
        let client = build_client(target, access).await?;
        Ok(Self { client, target, access })
    }

    /// Requests a token for the operation, so that a refusal is reported before anything is sent.
    pub(crate) async fn log_in(&self, to: RegistryOperation) -> Result<(), RegistryError> {
        let operation = || "log in".to_owned();
        let log_in = async || self.client.auth(self.target.reference(), &self.access.credentials.0, to).await;
        let kind = |error: &OciDistributionError| match classify(error) {
            // The address may be wrong, so retries would only delay the error.
            RegistryErrorKind::Connection => RegistryErrorKind::Permanent,
            other => other,
        };
        self.with_retries(operation, log_in, kind).await.map(drop)
    }

    /// Repeats `attempt` until it succeeds, fails permanently, or the retries are exhausted.
    pub(crate) async fn with_retries<T>(
        &self,
        operation: impl Fn() -> String,
        mut attempt: impl AsyncFnMut() -> Result<T, OciDistributionError>,
        classify_error: impl Fn(&OciDistributionError) -> RegistryErrorKind,
    ) -> Result<T, RegistryError> {
        let registry = self.target.registry().to_owned();
        let mut pauses = self.access.retry.pauses();
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let message = describe(&error);
            match (classify_error(&error), pauses.next()) {
                (RegistryErrorKind::Transient | RegistryErrorKind::Connection, Some(pause)) => {
                    tokio::time::sleep(pause).await;
                }
                (RegistryErrorKind::Transient | RegistryErrorKind::Connection, None) => {
                    let attempts = self.access.retry.attempts;
                    return Err(RegistryError::RetriesExhausted {
                        operation: operation(),
                        registry,
                        attempts,
                        message,
                    });
                }
                (RegistryErrorKind::Unauthorized, _) => {
                    return Err(RegistryError::Unauthorized { registry, message });
                }
                (RegistryErrorKind::Denied, _) => {
                    let repository = self.target.repository().to_owned();
                    return Err(RegistryError::Denied { registry, repository, message });
                }
                (RegistryErrorKind::Permanent | RegistryErrorKind::NotFound, _)
                    if classify(&error) == RegistryErrorKind::Connection =>
                {
                    return Err(RegistryError::Unreachable { registry, message });
                }
                (RegistryErrorKind::Permanent | RegistryErrorKind::NotFound, _) => {
                    return Err(RegistryError::UnexpectedResponse {
                        operation: operation(),
                        registry,
                        message,
                    });
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
    // `oci_client` reads proxies from the environment, even for the local machine, unless an explicit proxy is set. `no_proxy` excludes
    // every host, so that the explicit proxy is never used.
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
        // Uploads in one request with `Content-Length`, which every registry supports.
        use_monolithic_push: true,
        connect_timeout: Some(CONNECT_TIMEOUT),
        read_timeout: Some(READ_TIMEOUT),
        user_agent: concat!("vault-token-plugin/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    Client::try_from(config).map_err(|error| RegistryError::Unreachable {
        registry: target.registry().to_owned(),
        message: format!("could not set up the connection: {}", describe(&error)),
    })
}
