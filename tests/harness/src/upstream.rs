//! A token service over real HTTP: the contract of docs/upstream.md, and its bad days.

mod serve;
mod state;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

pub use self::state::{DropMoment, Fault, IssuedToken, Operation, RecordedRequest};

use self::state::{Expiry, Renewal, UpstreamState};
use crate::Cluster;
use crate::cluster::NODE_ADDRESS;
use crate::network::NetworkNamespace;
use crate::tls::{CertificateKind, ServerCertificate};

/// How long a wait for the upstream's state lasts before the test is given up. A lease that Vault retries to revoke
/// comes back with growing pauses, hence more than a few seconds.
const WAIT_TIMEOUT: Duration = Duration::from_secs(90);

/// A running token service on a free loopback port. Dropping it closes the port and every connection.
pub struct Upstream {
    state: watch::Sender<UpstreamState>,
    address: SocketAddr,
    tls: Option<ServerCertificate>,
    network: Option<Arc<NetworkNamespace>>,
    server: Option<JoinHandle<()>>,
}

/// Choices to make before an [`Upstream`] starts.
pub struct UpstreamBuilder {
    api_key: String,
    certificate: Option<CertificateKind>,
    renewal: Renewal,
    expiry: Expiry,
    padding: usize,
    sequential_ids: bool,
    network: Option<Arc<NetworkNamespace>>,
}

impl UpstreamBuilder {
    /// Serves HTTPS with this certificate, signed by an authority of its own; see [`Upstream::ca_pem`].
    pub fn tls(mut self, certificate: CertificateKind) -> UpstreamBuilder {
        self.certificate = Some(certificate);
        self
    }

    /// Has no renew endpoint: it answers with a 404, as for any unknown path.
    pub fn without_renew(mut self) -> UpstreamBuilder {
        self.renewal = Renewal::Absent;
        self
    }

    /// Leaves `expires_at` out of its answers.
    pub fn without_expires_at(mut self) -> UpstreamBuilder {
        self.expiry = Expiry::Omitted;
        self
    }

    /// Issues tokens that are this many characters longer than they need to be.
    pub fn padded_tokens(mut self, characters: usize) -> UpstreamBuilder {
        self.padding = characters;
        self
    }

    /// Issues tokens with the ids 1, 2, 3, …, as every other such service.
    pub fn sequential_ids(mut self) -> UpstreamBuilder {
        self.sequential_ids = true;
        self
    }

    /// Serves the pods of `cluster` instead of this machine.
    pub fn in_network_of(mut self, cluster: &Cluster) -> UpstreamBuilder {
        self.network = Some(cluster.network());
        self
    }

    /// Starts the service on the runtime of the caller.
    pub async fn start(self) -> Upstream {
        let host = if self.network.is_some() { NODE_ADDRESS } else { Ipv4Addr::LOCALHOST };
        let listener = listen(self.network.as_deref(), SocketAddr::from((host, 0))).await;
        let address = listener.local_addr().expect("a bound socket has an address");
        let mut state = UpstreamState::new(self.api_key, self.renewal, self.expiry);
        (state.padding, state.sequential_ids) = (self.padding, self.sequential_ids);
        let mut upstream = Upstream {
            state: watch::Sender::new(state),
            address,
            tls: self.certificate.map(ServerCertificate::new),
            network: self.network,
            server: None,
        };
        upstream.serve(listener);
        upstream
    }
}

impl Upstream {
    /// A service that takes a random API key, speaks plain HTTP, renews, and says `expires_at`.
    pub fn builder() -> UpstreamBuilder {
        UpstreamBuilder {
            api_key: format!("key-{}", uuid::Uuid::new_v4().simple()),
            certificate: None,
            renewal: Renewal::Supported,
            expiry: Expiry::Included,
            padding: 0,
            sequential_ids: false,
            network: None,
        }
    }

    /// Starts a service as [`Upstream::builder`] describes it.
    pub async fn start() -> Upstream {
        Upstream::builder().start().await
    }

    /// The `api_endpoint` of this service, without a trailing slash.
    pub fn endpoint(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key it takes now.
    pub fn api_key(&self) -> String {
        self.state.borrow().api_key.clone()
    }

    /// Takes another key from now on, and the old one no more.
    pub fn rotate_api_key(&self, api_key: impl Into<String>) {
        self.state.send_modify(|state| state.api_key = api_key.into());
    }

    /// Forgets which requests it has answered: the next one with a known `Idempotency-Key` mints another token.
    pub fn forget_idempotency_keys(&self) {
        self.state.send_modify(|state| state.idempotent_responses.clear());
    }

    /// The authority that signed the certificate, in PEM.
    ///
    /// # Panics
    ///
    /// When the service speaks plain HTTP.
    pub fn ca_pem(&self) -> &str {
        &self.tls.as_ref().expect("this upstream was started without TLS").ca_pem
    }

    /// Treats the next `count` requests for `operation` with `fault`, after those that wait already.
    pub fn fail_next(&self, operation: Operation, count: usize, fault: Fault) {
        self.state.send_modify(|state| state.faults.add(operation, count, fault));
    }

    /// Treats every further request for `operation` with `fault`, until [`Upstream::heal`].
    pub fn fail(&self, operation: Operation, fault: Fault) {
        self.fail_next(operation, usize::MAX, fault);
    }

    /// Forgets all faults, and answers what was withheld.
    pub fn heal(&self) {
        self.state.send_modify(|state| {
            state.faults.clear();
            state.heals += 1;
        });
    }

    /// Closes the port and every connection: the next client is refused.
    pub async fn stop_listening(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            // An aborted task says so; what counts is that it has let go of the port.
            let _ = server.await;
        }
    }

    /// Listens on the same port again, and still knows every token.
    pub async fn listen_again(&mut self) {
        self.stop_listening().await;
        let listener = listen(self.network.as_deref(), self.address).await;
        self.serve(listener);
    }

    /// Every token issued so far, oldest first.
    pub fn issued(&self) -> Vec<IssuedToken> {
        self.state.borrow().issued.clone()
    }

    /// The tokens that are issued and not revoked.
    pub fn live(&self) -> Vec<IssuedToken> {
        self.state.borrow().issued.iter().filter(|token| !token.revoked).cloned().collect()
    }

    /// Whether it takes this token now.
    pub fn accepts(&self, token: &str) -> bool {
        self.tokens().accepts(token)
    }

    /// Its tokens, for clients that outlive a borrow of it.
    pub(crate) fn tokens(&self) -> IssuedTokens {
        IssuedTokens(self.state.subscribe())
    }

    /// Every request that arrived so far, oldest first, answered or not.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.borrow().requests.clone()
    }

    /// The requests for `operation` that arrived so far, oldest first.
    pub fn requests_for(&self, operation: Operation) -> Vec<RecordedRequest> {
        self.requests().into_iter().filter(|request| request.operation == Some(operation)).collect()
    }

    /// Waits until `count` tokens have been issued, and returns all of them.
    ///
    /// # Panics
    ///
    /// When it takes longer than a minute and a half; so do all waits here.
    pub async fn wait_issued(&self, count: usize) -> Vec<IssuedToken> {
        self.wait(&format!("{count} issued tokens"), |state| state.issued.len() >= count).await;
        self.issued()
    }

    /// Waits until `count` requests for `operation` have arrived, answered or not.
    pub async fn wait_requests(&self, operation: Operation, count: usize) {
        let arrived = |state: &UpstreamState| {
            state.requests.iter().filter(|request| request.operation == Some(operation)).count() >= count
        };
        self.wait(&format!("{count} requests for {operation:?}"), arrived).await;
    }

    /// Waits until the answers to `count` requests are held back by [`Fault::Withheld`].
    pub async fn wait_withheld(&self, count: usize) {
        self.wait(&format!("{count} withheld answers"), |state| state.withheld == count).await;
    }

    /// Waits until the token with this id is revoked.
    pub async fn wait_revoked(&self, id: &str) {
        let revoked =
            |state: &UpstreamState| state.issued.iter().any(|token| token.id == id && token.revoked);
        self.wait(&format!("revocation of {id}"), revoked).await;
    }

    /// Waits until no issued token is live.
    pub async fn wait_all_revoked(&self) {
        self.wait("revocation of all tokens", |state| state.issued.iter().all(|token| token.revoked)).await;
    }

    async fn wait(&self, what: &str, condition: impl Fn(&UpstreamState) -> bool) {
        let mut state = self.state.subscribe();
        let reached = timeout(WAIT_TIMEOUT, state.wait_for(|state| condition(state))).await;
        if reached.is_err() {
            drop(reached);
            let seen = self.state.borrow();
            let (issued, requests) = (seen.issued.len(), seen.requests.len());
            let revoked = seen.issued.iter().filter(|token| token.revoked).count();
            panic!(
                "waited {WAIT_TIMEOUT:?} in vain: {what}; last seen: {issued} tokens issued, {revoked} of them revoked, \
                 {requests} requests, {} answers withheld",
                seen.withheld
            );
        }
    }

    fn serve(&mut self, listener: TcpListener) {
        let acceptor = self.tls.as_ref().map(|identity| TlsAcceptor::from(identity.server_config()));
        self.server =
            Some(tokio::spawn(serve::accept(listener, acceptor, self.endpoint(), self.state.clone())));
    }
}

/// The tokens of an [`Upstream`], now and later.
pub(crate) struct IssuedTokens(watch::Receiver<UpstreamState>);

impl IssuedTokens {
    /// Whether the upstream takes this token now.
    pub(crate) fn accepts(&self, token: &str) -> bool {
        // The latest are asked for most.
        self.0.borrow().issued.iter().rev().any(|issued| issued.token == token && !issued.revoked)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
        }
    }
}

async fn listen(network: Option<&NetworkNamespace>, address: SocketAddr) -> TcpListener {
    match network {
        Some(network) => network.listen(address).await,
        None => TcpListener::bind(address)
            .await
            .unwrap_or_else(|error| panic!("cannot listen on {address}: {error}")),
    }
}
