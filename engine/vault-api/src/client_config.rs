//! Where a server is, how to talk to it, and what can be wrong with that.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Proxies, SecretString};

/// Where the server is and how to talk to it. The names are those of Vault's environment variables.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// `http` or `https` address; a path in it is put before every request path.
    pub address: String,
    /// Token; `None` for the few endpoints that need none.
    pub token: Option<SecretString>,
    /// Namespace.
    pub namespace: Option<String>,
    /// PEM file of the only authorities to trust.
    pub ca_cert: Option<PathBuf>,
    /// Directory of PEM files of the only authorities to trust.
    pub ca_path: Option<PathBuf>,
    /// PEM file of the client's certificate; needs `client_key`.
    pub client_cert: Option<PathBuf>,
    /// PEM file of its key.
    pub client_key: Option<PathBuf>,
    /// Name to ask for and to expect in the server's certificate instead of the address's host.
    pub tls_server_name: Option<String>,
    /// Whether the server's certificate is looked at.
    pub verification: TlsVerification,
    /// For one attempt, from connecting to the last byte. Vault's own default is 60 seconds.
    pub timeout: Duration,
    /// Attempts after the first.
    pub max_retries: usize,
    /// Whether a standby may send a request on to another address.
    pub redirects: RedirectPolicy,
    /// Proxies, and what is reached without them.
    pub proxies: Proxies,
}

/// Whether a standby may send a request on to another address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedirectPolicy {
    /// As Vault's own client.
    #[default]
    Follow,
    /// Where the server is reached by a tunnel, its own name for the active one means something else at this end, and the
    /// token would go there.
    Refuse,
}

/// Whether the server's certificate is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVerification {
    /// It must be trusted and be for the name.
    #[default]
    Full,
    /// Anything is accepted (`VAULT_SKIP_VERIFY`).
    Skip,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Not an http or https address.
    #[error("{address:?} is not an address such as https://vault.example.com:8200")]
    Address {
        /// As given.
        address: String,
    },
    /// A token, namespace or server name with characters that cannot be sent. The value is not repeated.
    #[error("the {what} has characters that cannot be sent (a line break at its end?)")]
    InvalidHeaderValue {
        /// Which setting.
        what: &'static str,
    },
    /// A proxy for all requests that cannot be used. Its address is not repeated, as it may hold a password.
    #[error(
        "VAULT_PROXY_ADDR or VAULT_HTTP_PROXY is not the address of an HTTP proxy, such as http://proxy.example.com:3128"
    )]
    Proxy,
    /// A file could not be read.
    #[error("could not read {path}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file does not hold what it should, in PEM.
    #[error("{path} holds no usable {what} in PEM")]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// Why not.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// Only one of certificate and key.
    #[error("a client certificate needs its key and the key its certificate")]
    IncompleteClientIdentity,
    /// TLS could not be set up.
    #[error("could not set up TLS")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
}

impl ClientConfig {
    /// Vault's defaults for everything but the address, and no proxy: nothing is read from the environment.
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
