//! A client of one registry, which retries transient failures.

use std::path::PathBuf;
use std::time::Duration;

use http_proxy::{Proxies, ProxyUrl};
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
    /// Proxies.
    pub proxies: Proxies,
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

/// Proxy settings of `oci_client`. The addresses may contain passwords.
struct ProxySettings {
    http: Option<String>,
    https: Option<String>,
    no_proxy: String,
}

/// Translates the rules of Go to those of curl, which `oci_client` follows: `no_proxy` contains the registry if Go would reach it directly. The
/// other entries are for the hosts that the registry redirects to, for tokens and layers.
fn proxy_settings(target: &ImageReference, access: &RegistryAccess) -> ProxySettings {
    let address = |proxy: Option<&ProxyUrl>| proxy.map(|proxy| proxy.expose().to_owned());
    let (http, https) =
        (address(access.proxies.for_scheme("http")), address(access.proxies.for_scheme("https")));
    if http.is_none() && https.is_none() {
        // Without an explicit proxy `oci_client` reads the environment.
        let unused = Some("http://localhost".to_owned());
        return ProxySettings {
            http: unused.clone(),
            https: unused,
            no_proxy: "*,0.0.0.0/0,::/0".to_owned(),
        };
    }
    let scheme = match access.protocol {
        RegistryProtocol::Https => "https",
        RegistryProtocol::Http => "http",
    };
    let (host, port) = target.host_and_port();
    let is_direct = access.proxies.proxy_for(scheme, host, port).is_none();
    let list = access.proxies.curl_no_proxy();
    ProxySettings { http, https, no_proxy: if is_direct { format!("{host},{list}") } else { list } }
}

async fn build_client(target: &ImageReference, access: &RegistryAccess) -> Result<Client, RegistryError> {
    let mut certificates = Vec::new();
    for path in &access.ca_files {
        let data =
            tokio::fs::read(path).await.map_err(|source| RegistryError::Io { path: path.clone(), source })?;
        certificates.push(Certificate { encoding: CertificateEncoding::Pem, data });
    }
    let proxy = proxy_settings(target, access);
    let config = ClientConfig {
        http_proxy: proxy.http,
        https_proxy: proxy.https,
        no_proxy: Some(proxy.no_proxy),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_reached_by_the_proxy_that_go_would_choose() {
        let settings = |image: &str, variables: &[(&str, &str)]| {
            let target = ImageReference::parse(image, "1").expect("a name");
            let variable = |name: &str| {
                variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
            };
            let access = RegistryAccess {
                credentials: Credentials::anonymous(),
                protocol: RegistryProtocol::Https,
                ca_files: Vec::new(),
                retry: RetryPolicy::default(),
                proxies: Proxies::from_env(&variable),
            };
            proxy_settings(&target, &access)
        };
        let (proxy, image) = (("HTTPS_PROXY", "http://proxy:3128"), "registry.example.com:5000/team/plugin");
        let none = settings(image, &[("ALL_PROXY", "http://proxy:3128")]);
        assert_eq!(none.no_proxy, "*,0.0.0.0/0,::/0", "the client reads no environment");
        let proxied = settings(image, &[proxy, ("NO_PROXY", "registry.example.com:443,10.0.0.0/8")]);
        assert_eq!(proxied.https.as_deref(), Some("http://proxy:3128"));
        assert_eq!(proxied.no_proxy, "localhost,127.0.0.0/8,::1,10.0.0.0/8");
        for direct in ["registry.example.com:5000", "*.example.com"] {
            let settings = settings(image, &[proxy, ("NO_PROXY", direct)]);
            assert!(settings.no_proxy.starts_with("registry.example.com,"), "{}", settings.no_proxy);
        }
    }
}
