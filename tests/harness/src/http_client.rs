//! The HTTP client of the harness.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder};

/// Longer than any request of the tests takes: Vault cancels a request after 90 seconds.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A client without a proxy and without redirects. The redirect of a standby points into the network of its cluster, and the same address
/// outside of it may belong to another server.
pub(crate) fn builder() -> ClientBuilder {
    ClientBuilder::new().no_proxy().redirect(Policy::none()).timeout(TIMEOUT)
}

/// The same, trusting the CA in a file if there is one.
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
