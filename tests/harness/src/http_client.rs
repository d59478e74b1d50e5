//! The HTTP client of everything here that asks a server.

use reqwest::ClientBuilder;
use reqwest::redirect::Policy;

/// A client that goes to where it is told and nowhere else: through no proxy of the machine, and after no redirect. One of
/// a standby leads into the network of its cluster, in which this machine is not; the same address outside of it may be
/// anybody's.
pub(crate) fn builder() -> ClientBuilder {
    ClientBuilder::new().no_proxy().redirect(Policy::none())
}
