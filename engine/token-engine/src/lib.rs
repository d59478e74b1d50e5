//! A secrets engine that leases the tokens of an HTTP token service.
//!
//! Every token is minted with a role's permissions, known to the host by a lease, and revoked at the service when the
//! lease ends. What was minted for nothing (a crash, a lost answer) is found again in the write-ahead log.

mod cache;
mod check;
mod config;
mod creds;
mod endpoint;
mod field_update;
mod metrics;
mod orphans;
mod pending_token;
mod presets;
mod role_name;
mod roles;
mod rollback;
mod sensitive;
mod telemetry;
mod terms;
mod token;
mod upstream;
mod wal_entry;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use vault_plugin::framework::Engine;
use vault_plugin::logical::Error;

use crate::cache::Cache;
use crate::config::{Config, ConnectionMismatch};
use crate::endpoint::Endpoint;
use crate::roles::Role;
use crate::telemetry::{MeasuredOperation, Metrics, time_request};
use crate::upstream::Upstream;

/// A write-ahead entry younger than this may belong to a request that is still at work: it mints for at most 75 seconds
/// and gives back what it cannot hand out for as long again (see [`Upstream`]).
const ROLLBACK_MIN_AGE: Duration = Duration::from_secs(180);

/// The engine, ready to be served or tested.
#[must_use]
pub fn engine() -> Engine<TokenEngine> {
    Engine::new(TokenEngine::default)
        .description(
            "Leases tokens of an HTTP token service. Write the service's address and key to config, permissions to \
             roles/NAME, and read a token from creds/NAME; it is revoked at the service when its lease ends.",
        )
        .version(env!("CARGO_PKG_VERSION"))
        .path(config::path())
        .path(config::list_path())
        .path(config::named_path())
        .path(roles::list_path())
        .path(roles::path())
        .path(creds::path())
        .path(check::path())
        .path(check::named_path())
        .path(presets::list_path())
        .path(presets::path())
        .path(orphans::list_path())
        .path(orphans::path())
        .path(metrics::path())
        .secret(token::secret_type())
        .seal_wrap(config::STORAGE_KEY)
        .seal_wrap(config::NAMED_PREFIX)
        // Entries hold names and permissions of tokens, and how they are revoked.
        .seal_wrap("wal/")
        .on_rollback(ROLLBACK_MIN_AGE, |context, kind, data| {
            time_request(context.clone(), MeasuredOperation::Rollback, rollback::roll_back(context, kind, data))
        })
        .on_invalidate(TokenEngine::invalidate)
}

/// What one mount keeps in memory: its configuration with the client made of it, its roles, and what it measures of itself.
pub struct TokenEngine {
    client: Cache<UpstreamClient>,
    roles: Cache<Role>,
    metrics: Arc<Metrics>,
    /// By which it knows the leases that it has issued itself.
    instance_id: String,
}

impl Default for TokenEngine {
    fn default() -> TokenEngine {
        let run = uuid::Uuid::new_v4().to_string();
        TokenEngine {
            client: Cache::default(),
            roles: Cache::default(),
            metrics: Arc::default(),
            instance_id: run,
        }
    }
}

/// A configuration, and the HTTP client that is made of it.
pub(crate) struct UpstreamClient {
    pub(crate) config: Config,
    pub(crate) upstream: Upstream,
}

impl UpstreamClient {
    /// Whether the account is known without a call to the API.
    pub(crate) fn knows_account(&self) -> bool {
        !self.config.account.is_empty() || self.upstream.knows_account()
    }

    /// The account of the connection: as the API names it, else as the configuration does; empty for none.
    pub(crate) async fn account(&self) -> Result<Cow<'_, str>, Error> {
        if !self.config.account.is_empty() {
            return Ok(Cow::from(&self.config.account));
        }
        Ok(self.upstream.account().await?.map(Cow::from).unwrap_or_default())
    }

    /// What makes this connection reach the tokens of an endpoint and an account.
    pub(crate) async fn check_connection(
        &self,
        endpoint: &Endpoint,
        account: &str,
    ) -> Result<Result<(), ConnectionMismatch>, Error> {
        // The API is not asked for the account of a connection that is to another endpoint anyway.
        let stated = match self.config.api_endpoint == *endpoint
            && self.config.account.is_empty()
            && !account.is_empty()
        {
            true => self.upstream.account().await?,
            false => None,
        };
        if stated == Some(account) {
            return Ok(Ok(()));
        }
        Ok(self.config.check_connection(endpoint, account))
    }
}

impl TokenEngine {
    /// The configuration is only remembered together with its client: forgetting it closes idle connections. The configuration's
    /// copy of the key is wiped; that in the client's header is freed.
    fn invalidate(&self, key: &str) {
        if config::is_storage_key(key) {
            self.client.invalidate(key);
        } else {
            self.roles.invalidate(key);
        }
    }

    /// What this mount counts and times.
    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
