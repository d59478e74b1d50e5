//! A secrets engine that leases the tokens of an HTTP token service.
//!
//! Every token is minted with the permissions of a role, issued under a lease, and revoked at the service when the lease ends.
//! The write-ahead log records every mint. So a token that was minted but not issued, because of a crash or a lost response of the token
//! service, is found and revoked.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use serde_json::json;
//! use vault_plugin::testing::TestMount;
//!
//! let mount = TestMount::new(token_engine::engine()).await?;
//! mount.write("roles/developer", json!({"permissions": "read,list", "ttl": "1h"})).await?;
//! let role = mount.read("roles/developer").await?.ok_or("no role")?;
//! assert_eq!(role.data.map(|data| data["permissions"].clone()), Some(json!(["read", "list"])));
//! # Ok(()) }
//! ```
//!
//! The modules in reading order:
//!
//! - `config`, `roles`, `creds`, `static_roles`, `static_creds`, `rotate_role`, `check`, `presets`, `orphans`, `metrics`, `info`: the API
//!   paths. `response_docs`: descriptions of their responses.
//! - `token`: the secret type, with the renewal and the revocation of a lease. `terms`: TTLs.
//! - `mint`: mints a token. `periodic`: work on the host's timer. `backoff`: the delay between failed attempts.
//! - `rotation`: the rotation of the key of a connection. `schedule`: when a credential is rotated.
//! - `wal_entry`: the write-ahead log entry of a mint. `pending_token`: a token between its mint and its issue. `rollback`: the rollback
//!   of an entry.
//! - `upstream`: the client of the token service. `endpoint`: its address.
//! - `preset_info`: what the presets ask for, as other programs show it.
//! - `name_template`: the names of tokens at the service. `events`: events for subscribers of the host.
//! - `cache`: cached storage entries. `stored`: changes of storage entries. `name_list`: lists by pages. `telemetry`: metrics.
//!   `field_update`, `role_name`, `sensitive`: types of fields.
//! - `fuzzing`: entry points of the fuzz targets.

mod backoff;
mod cache;
mod check;
mod config;
mod creds;
mod endpoint;
mod events;
mod field_update;
mod info;
mod metrics;
mod mint;
mod name_list;
mod name_template;
mod orphans;
mod pending_token;
mod periodic;
mod preset_info;
mod presets;
mod response_docs;
mod role_name;
mod roles;
mod rollback;
mod rotate_role;
mod rotation;
mod schedule;
mod sensitive;
mod static_creds;
mod static_roles;
mod stored;
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

use serde_json::Value;
use tokio::sync::watch;
use vault_plugin::framework::{Context, Engine, WAL_PREFIX};
use vault_plugin::logical::Error;

pub use crate::preset_info::{FieldCheck, FieldInfo, PresetInfo, PresetStatus, preset, preset_names};

use crate::cache::Cache;
use crate::config::{Config, ConnectionMismatch};
use crate::endpoint::Endpoint;
use crate::events::PendingEvents;
use crate::orphans::OrphanAges;
use crate::roles::CachedRole;
use crate::rotation::{Backoff, ROTATION_KIND};
use crate::static_roles::RotationQueue;
use crate::telemetry::{MeasuredOperation, Metrics, time_request};
use crate::upstream::Upstream;

/// A younger write-ahead log entry may belong to a request that still runs: a mint takes at most 75 seconds, and the revocation of a
/// token that cannot be issued takes as long again (see [`Upstream`]).
const ROLLBACK_MIN_AGE: Duration = Duration::from_secs(180);

/// Returns the declaration of the engine.
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
        .path(static_roles::list_path())
        .path(static_roles::path())
        .path(static_creds::path())
        .path(rotate_role::path())
        .path(check::path())
        .path(check::named_path())
        .path(rotation::path())
        .path(rotation::named_path())
        .path(presets::list_path())
        .path(presets::path())
        .path(orphans::list_path())
        .path(orphans::path())
        .path(metrics::path())
        .path(info::path())
        .secret(token::secret_type())
        .seal_wrap(config::STORAGE_KEY)
        .seal_wrap(config::NAMED_PREFIX)
        .seal_wrap(static_roles::PREFIX)
        // Entries contain names and permissions of tokens, and how to revoke them.
        .seal_wrap(WAL_PREFIX)
        .on_rollback(ROLLBACK_MIN_AGE, |context, kind, data| {
            time_request(context.clone(), MeasuredOperation::Rollback, roll_back(context, kind, data))
        })
        .periodic(periodic::run)
        .on_invalidate(TokenEngine::invalidate)
}

/// Rolls a write-ahead log entry back.
async fn roll_back(context: Context<TokenEngine>, kind: String, data: Value) -> Result<(), Error> {
    if kind == ROTATION_KIND {
        rotation::roll_back(context, data).await
    } else {
        rollback::roll_back(context, kind, data).await
    }
}

/// The in-memory state of one mount: its configuration with the client, its roles, and its metrics.
pub struct TokenEngine {
    client: Cache<UpstreamClient>,
    roles: Cache<CachedRole>,
    static_rotations: RotationQueue,
    metrics: Arc<Metrics>,
    /// Delays scheduled rotations that fail.
    backoff: Backoff,
    orphan_ages: OrphanAges,
    pending_events: PendingEvents,
    /// Identifies this process in the leases that it issues.
    instance_id: String,
}

impl Default for TokenEngine {
    fn default() -> TokenEngine {
        let instance_id = uuid::Uuid::new_v4().to_string();
        TokenEngine {
            client: Cache::default(),
            roles: Cache::default(),
            static_rotations: RotationQueue::default(),
            metrics: Arc::default(),
            backoff: Backoff::default(),
            orphan_ages: OrphanAges::default(),
            pending_events: PendingEvents::default(),
            instance_id,
        }
    }
}

/// A configuration and its HTTP client.
pub(crate) struct UpstreamClient {
    pub(crate) config: Config,
    pub(crate) upstream: Upstream,
    /// Dropped with the last user of the client. A subscriber is notified.
    pub(crate) in_use: watch::Sender<()>,
}

impl UpstreamClient {
    /// Returns whether the account is known without a call to the API.
    pub(crate) fn knows_account(&self) -> bool {
        !self.config.account.is_empty() || self.upstream.knows_account()
    }

    /// Returns the account of the connection: the configured one, else the one that the API reports, else an empty string.
    pub(crate) async fn account(&self) -> Result<Cow<'_, str>, Error> {
        if !self.config.account.is_empty() {
            return Ok(Cow::from(&self.config.account));
        }
        Ok(self.upstream.account().await?.map(Cow::from).unwrap_or_default())
    }

    /// Checks that this connection reaches the tokens of an endpoint and an account.
    pub(crate) async fn check_connection(
        &self,
        endpoint: &Endpoint,
        account: &str,
    ) -> Result<Result<(), ConnectionMismatch>, Error> {
        // If the endpoint differs, the connection cannot match, so its account is not requested.
        let reported = match self.config.api_endpoint == *endpoint
            && self.config.account.is_empty()
            && !account.is_empty()
        {
            true => self.upstream.account().await?,
            false => None,
        };
        if reported == Some(account) {
            return Ok(Ok(()));
        }
        Ok(self.config.check_connection(endpoint, account))
    }
}

impl TokenEngine {
    /// Drops cached values of a storage key. The configuration is cached together with its client, so that dropping it closes idle
    /// connections. The key in the configuration is wiped from memory; its copy in the client's header is freed.
    fn invalidate(&self, key: &str) {
        if config::is_storage_key(key) {
            self.client.invalidate(key);
        } else if let Some(name) = key.strip_prefix(static_roles::PREFIX) {
            self.static_rotations.forget(name);
        } else {
            self.roles.invalidate(key);
        }
    }

    /// Returns the metrics of this mount.
    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
