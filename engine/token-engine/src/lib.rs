//! A secrets engine that leases the tokens of an HTTP token service.
//!
//! Every token is minted with a role's permissions, known to the host by a lease, and revoked at the service when the
//! lease ends. What was minted for nothing (a crash, a lost answer) is found again in the write-ahead log.

mod cache;
mod config;
mod creds;
mod endpoint;
mod field_update;
mod metrics;
mod pending_token;
mod role_name;
mod roles;
mod sensitive;
mod telemetry;
mod terms;
mod token;
mod upstream;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

use std::sync::Arc;
use std::time::Duration;

use vault_plugin::framework::Engine;

use crate::cache::Cache;
use crate::config::Config;
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
        .path(roles::list_path())
        .path(roles::path())
        .path(creds::path())
        .path(metrics::path())
        .secret(token::secret_type())
        .seal_wrap(config::STORAGE_KEY)
        // Entries hold names and permissions of tokens, and how they are revoked.
        .seal_wrap("wal/")
        .on_rollback(ROLLBACK_MIN_AGE, |context, kind, data| {
            time_request(context.clone(), MeasuredOperation::Rollback, creds::roll_back(context, kind, data))
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

impl TokenEngine {
    /// The configuration is only remembered together with its client: forgetting it closes idle connections. The configuration's
    /// copy of the key is wiped; that in the client's header is freed.
    fn invalidate(&self, key: &str) {
        if key == config::STORAGE_KEY {
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
