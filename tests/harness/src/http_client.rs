//! The HTTP client of everything here that asks a server.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder};

/// Longer than any server of the tests takes for a request: Vault itself gives one up after 90 seconds.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A client that goes to where it is told and nowhere else: through no proxy of the machine, and after no redirect. One of
/// a standby leads into the network of its cluster, in which this machine is not; the same address outside of it may be
/// anybody's.
pub(crate) fn builder() -> ClientBuilder {
    ClientBuilder::new().no_proxy().redirect(Policy::none()).timeout(TIMEOUT)
}

/// Such a client that trusts the authority in a file, if there is one.
pub(crate) fn with_ca(ca_file: Option<&Path>) -> Client {
    let builder = match ca_file {
        None => builder(),
        Some(file) => {
            let pem = fs::read(file).expect("the harness wrote it");
            builder().tls_certs_only([Certificate::from_pem(&pem).expect("rcgen writes PEM")])
        }
    };
    builder.build().expect("the client's configuration is valid")
}
