//! A registry, and trying again what may work in a moment.

use std::path::PathBuf;
use std::time::Duration;

use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::{Client, RegistryOperation};

use crate::credentials::Credentials;
use crate::registry_error::{RegistryError, Trouble, said, trouble};
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

/// Who asks, and how.
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

/// A registry that says nothing for so long is gone: it answers an upload only when it has stored it.
const SILENCE: Duration = Duration::from_secs(300);
const CONNECT: Duration = Duration::from_secs(15);

/// The registry of a name.
pub(crate) struct Registry<'a> {
    pub(crate) client: Client,
    pub(crate) target: &'a Target,
    pub(crate) access: &'a Access,
}

impl<'a> Registry<'a> {
    /// Connects to nothing yet.
    pub(crate) async fn reach(target: &'a Target, access: &'a Access) -> Result<Self, RegistryError> {
        let client = client(target, access).await?;
        Ok(Self { client, target, access })
    }

    /// Asks for the right, so that a refusal is heard before anything is sent.
    pub(crate) async fn log_in(&self, to: RegistryOperation) -> Result<(), RegistryError> {
        let what = || "log in".to_owned();
        let log_in = async || self.client.auth(self.target.reference(), &self.access.credentials.0, to).await;
        let trouble = |error: &OciDistributionError| match trouble(error) {
            // The address may be wrong; that is not worth a minute.
            Trouble::Connection => Trouble::Final,
            other => other,
        };
        self.patiently(what, log_in, trouble).await.map(drop)
    }

    /// Tries until it works, will not work, or patience ends.
    pub(crate) async fn patiently<T>(
        &self,
        what: impl Fn() -> String,
        mut attempt: impl AsyncFnMut() -> Result<T, OciDistributionError>,
        sort: impl Fn(&OciDistributionError) -> Trouble,
    ) -> Result<T, RegistryError> {
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
                    return Err(RegistryError::GaveUp { what: what(), registry, attempts, said });
                }
                (Trouble::Unauthorized, _) => return Err(RegistryError::Unauthorized { registry, said }),
                (Trouble::Denied, _) => {
                    let repository = self.target.repository().to_owned();
                    return Err(RegistryError::Denied { registry, repository, said });
                }
                (Trouble::Final | Trouble::NotThere, _) if trouble(&error) == Trouble::Connection => {
                    return Err(RegistryError::Unreachable { registry, said });
                }
                (Trouble::Final | Trouble::NotThere, _) => {
                    return Err(RegistryError::Refused { what: what(), registry, said });
                }
            }
        }
    }
}

async fn client(target: &Target, access: &Access) -> Result<Client, RegistryError> {
    let mut certificates = Vec::new();
    for path in &access.authorities {
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
    Client::try_from(config).map_err(|error| RegistryError::Unreachable {
        registry: target.registry().to_owned(),
        said: format!("the connection cannot be set up: {}", said(&error)),
    })
}
