//! Configuration of a client, and its errors.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Proxies, SecretString};

/// Configuration of a client. The fields have the names of Vault's environment variables.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `http` or `https` address. A path in it is prepended to every request path.
    pub address: String,
    /// Token; `None` for endpoints that need none.
    pub token: Option<SecretString>,
    /// Namespace.
    pub namespace: Option<String>,
    /// PEM file with the only certificate authorities to trust.
    pub ca_cert: Option<PathBuf>,
    /// Directory of PEM files with the only certificate authorities to trust.
    pub ca_path: Option<PathBuf>,
    /// PEM file of the client certificate; requires `client_key`.
    pub client_cert: Option<PathBuf>,
    /// PEM file of the key of the client certificate.
    pub client_key: Option<PathBuf>,
    /// Name in the TLS handshake and in the certificate of the server, instead of the host of `address`.
    pub tls_server_name: Option<String>,
    /// Whether the certificate of the server is verified.
    pub verification: TlsVerification,
    /// Timeout of one attempt, from connecting to the last byte. Vault's default is 60 seconds.
    pub timeout: Duration,
    /// Most retries after the first attempt.
    pub max_retries: usize,
    /// Whether to follow redirects, with which a standby sends a request to the active node.
    pub redirects: RedirectPolicy,
    /// Proxies, and the hosts that are reached without them.
    pub proxies: Proxies,
}

/// Whether to follow redirects, with which a standby sends a request to the active node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedirectPolicy {
    /// Follow them, as Vault's own client does.
    #[default]
    Follow,
    /// Refuse them. Through a tunnel, the address of the active node may lead to another machine, which would receive the token.
    Refuse,
}

/// Whether the certificate of the server is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVerification {
    /// The certificate must be trusted and valid for the name of the server.
    #[default]
    Full,
    /// Any certificate is accepted (`VAULT_SKIP_VERIFY`).
    Skip,
}

/// An invalid configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address is not an `http` or `https` URL.
    #[error("invalid address {address:?}: expected a URL such as https://vault.example.com:8200")]
    Address {
        /// The address as configured.
        address: String,
    },
    /// A token, namespace or server name contains characters that HTTP headers do not allow. The value may be secret and is not shown.
    #[error("the {what} contains characters that an HTTP header cannot contain (a trailing line break?)")]
    InvalidHeaderValue {
        /// Name of the setting.
        what: &'static str,
    },
    /// The explicit proxy is invalid. Its address may contain a password and is not shown.
    #[error(
        "VAULT_PROXY_ADDR or VAULT_HTTP_PROXY is not the address of an HTTP proxy, such as http://proxy.example.com:3128"
    )]
    Proxy,
    /// A file could not be read.
    #[error("could not read {path}")]
    File {
        /// Path of the file.
        path: PathBuf,
        /// The I/O error.
        #[source]
        source: std::io::Error,
    },
    /// A file does not contain the expected PEM data.
    #[error("{path} contains no valid PEM {what}")]
    Pem {
        /// Path of the file.
        path: PathBuf,
        /// The expected content.
        what: &'static str,
        /// The parse error; `None` if there is no PEM block.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// Only one of client certificate and key is set.
    #[error("a client certificate and its key must be set together")]
    IncompleteClientIdentity,
    /// TLS could not be set up.
    #[error("could not set up TLS")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
}

impl ClientConfig {
    /// Returns Vault's defaults for everything but the address. No proxy is set, and no environment variable is read.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            token: None,
            namespace: None,
            ca_cert: None,
            ca_path: None,
            client_cert: None,
            client_key: None,
            tls_server_name: None,
            verification: TlsVerification::Full,
            timeout: Duration::from_secs(60),
            max_retries: 2,
            redirects: RedirectPolicy::Follow,
            proxies: Proxies::default(),
        }
    }
}
