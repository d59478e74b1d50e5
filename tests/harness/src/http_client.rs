//! The HTTP client of everything here that asks a server.

use std::time::Duration;

use reqwest::ClientBuilder;
use reqwest::redirect::Policy;

/// Longer than any server of the tests takes for a request: Vault itself gives one up after 90 seconds.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A client that goes to where it is told and nowhere else: through no proxy of the machine, and after no redirect. One of
/// a standby leads into the network of its cluster, in which this machine is not; the same address outside of it may be
/// anybody's.
pub(crate) fn builder() -> ClientBuilder {
    ClientBuilder::new().no_proxy().redirect(Policy::none()).timeout(TIMEOUT)
}
