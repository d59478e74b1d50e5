//! A token between its mint and its issue, with its write-ahead log entry.
//!
//! An entry is in one of three states:
//! - `planned` before the request is sent. It contains the exact bytes of the request, so that the request can be repeated with its
//!   idempotency key.
//! - `minted` after the response. It contains how to revoke the token.
//! - `forgotten` after a repeated request has minted another token: the first one cannot be found any more.
//!
//! The entry is deleted before the response is returned, because the host does not report whether it has stored the lease. If the process
//! or the request ends while the response is on its way, the token was neither received nor is it revoked by a lease. It expires
//! (docs/limits.md; docs/performance.md has how long that takes). In the opposite order, the next rollback would revoke tokens with
//! a stored lease.

use std::sync::Arc;
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::runtime::Handle;
use vault_plugin::framework::Context;
use vault_plugin::logical::Error;

use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::upstream::{MintRequest, Revocation};
use crate::{TokenEngine, UpstreamClient};

/// The kind of the write-ahead log entries of mints.
pub(crate) const MINT_KIND: &str = "mint";

/// The maximum assumed difference between the clocks of the nodes and of the service.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(10);

/// A write-ahead log entry.
///
/// The fields of versions up to 0.1.0, `api_endpoint` and `order`, are kept: such a version repeats the request of an entry in any state,
/// and revokes the token in the response. An entry of such a version has neither `planned_at` nor the bytes of its request: its age is that
/// of its WAL metadata, and it is repeated with the body that its version would send.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct WalEntry {
    pub(crate) api_endpoint: Endpoint,
    /// The configured account, or an empty string.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) account: String,
    #[serde(rename = "order")]
    pub(crate) request: MintRequest,
    /// Unix time in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    planned_at: Option<i64>,
    #[serde(default)]
    pub(crate) state: WalState,
}

/// The state of the mint.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WalState {
    /// The service may or may not have minted the token.
    #[default]
    Planned,
    /// The service has minted the token.
    Minted {
        /// How to revoke the token.
        revocation: Revocation,
    },
    /// The service may have minted the token, and does not recognize the request any more.
    Forgotten,
}

impl WalEntry {
    /// Returns the entry for a request that is about to be sent.
    pub(crate) fn new(config: &Config, request: MintRequest) -> WalEntry {
        WalEntry {
            api_endpoint: config.api_endpoint.clone(),
            account: config.account.clone(),
            request,
            planned_at: Some(Timestamp::now().as_second()),
            state: WalState::Planned,
        }
    }

    /// Returns the entry after the response.
    pub(crate) fn into_minted(self, revocation: Revocation) -> WalEntry {
        WalEntry { state: WalState::Minted { revocation }, ..self }
    }

    /// Returns the entry for a duplicate token, which the service has just minted instead of recognizing the request.
    pub(crate) fn for_duplicate(&self, revocation: Revocation) -> WalEntry {
        let planned_at = Some(Timestamp::now().as_second());
        WalEntry { planned_at, ..self.clone() }.into_minted(revocation)
    }

    /// Returns the entry after the service has minted a duplicate token.
    pub(crate) fn into_unrecognized(self) -> WalEntry {
        WalEntry { state: WalState::Forgotten, ..self }
    }

    /// Whether the `expires_at` of a response is later than that of any token which this request could have minted when it was planned.
    pub(crate) fn is_outlived_by(&self, expires_at: &Value) -> bool {
        let expires_at = expires_at.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        expires_at.zip(self.latest_expiry()).is_some_and(|(expires_at, latest)| expires_at > latest)
    }

    /// Sets the time of an entry without one to the time at which it was written.
    pub(crate) fn fill_planned_at(&mut self, written: SystemTime) {
        let written = Timestamp::try_from(written).ok();
        self.planned_at = self.planned_at.or_else(|| written.map(Timestamp::as_second));
    }

    /// Returns when the request may first have reached the service, if known.
    pub(crate) fn planned_at(&self) -> Option<Timestamp> {
        self.planned_at.and_then(|second| Timestamp::from_second(second).ok())
    }

    /// Whether the service still recognizes the idempotency key of the request, despite different clocks.
    pub(crate) fn idempotency_key_valid(&self, config: &Config, now: Timestamp) -> bool {
        let window =
            i64::try_from(config.idempotency_window).map_or(SignedDuration::MAX, SignedDuration::from_secs);
        let age = self.planned_at().map(|planned| now.duration_since(planned));
        config.retries_mints() && age.is_some_and(|age| age < window - CLOCK_SKEW)
    }

    /// Returns when the requested token expires at the latest, if it is never renewed.
    pub(crate) fn latest_expiry(&self) -> Option<Timestamp> {
        let lifetime = SignedDuration::from_secs(i64::try_from(self.request.ttl).ok()?);
        self.planned_at()?.checked_add(lifetime).ok()?.checked_add(CLOCK_SKEW).ok()
    }
}

/// A token that the service has minted and that is not issued yet.
pub(crate) struct PendingToken {
    pub(crate) context: Context<TokenEngine>,
    pub(crate) client: Arc<UpstreamClient>,
    /// The id of its write-ahead log entry.
    pub(crate) wal_id: String,
    pub(crate) entry: WalEntry,
    pub(crate) revocation: Revocation,
}

/// Revokes a token unless it is committed, even if the request is cancelled. A host cancels it when its client disconnects,
/// discards the response, and stores no lease.
pub(crate) struct TokenGuard {
    pub(crate) pending: Arc<PendingToken>,
    done: bool,
}

impl TokenGuard {
    pub(crate) fn new(pending: PendingToken) -> TokenGuard {
        TokenGuard { pending: Arc::new(pending), done: false }
    }

    /// Marks the token as issued. No await may follow before the response is returned.
    pub(crate) fn commit(mut self) -> Arc<PendingToken> {
        self.done = true;
        Arc::clone(&self.pending)
    }

    /// Revokes the token.
    pub(crate) async fn abort(mut self) {
        let revoked = self.spawn_abort();
        self.done = true;
        if let Err(error) = revoked.await {
            self.pending.context.logger().error(error.to_string());
        }
    }

    fn spawn_abort(&self) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        let pending = Arc::clone(&self.pending);
        self.pending.context.run_to_completion(async move {
            pending.abort().await;
            Ok(())
        })
    }
}

impl Drop for TokenGuard {
    fn drop(&mut self) {
        // Without a runtime the process is exiting, and the write-ahead log entry remains for the next one.
        if !self.done && Handle::try_current().is_ok() {
            drop(self.spawn_abort());
        }
    }
}

impl PendingToken {
    /// Records that the token exists, and how to revoke it.
    pub(crate) async fn record(&self) -> Result<(), Error> {
        self.context.wal_put_with_id(&self.wal_id, MINT_KIND, &self.entry).await
    }

    /// Revokes the token. Its entry may be deleted already, so it is written again first, and deleted after the revocation.
    async fn abort(&self) {
        let (logger, name) = (self.context.logger(), &self.entry.request.name);
        if let Err(error) = self.record().await {
            logger.error(format!(
                "cannot record the revocation of token {name:?} in the write-ahead log: {error}"
            ));
        }
        match self.client.upstream.revoke(&self.revocation).await {
            Ok(()) => {
                if let Err(error) = self.context.wal_delete(&self.wal_id).await {
                    logger
                        .warn(format!("cannot delete the write-ahead log entry of a revoked token: {error}"));
                }
            }
            Err(error) => {
                logger.error(format!(
                    "cannot revoke token {name:?}, which was not issued and is left to rollback: {error}"
                ));
            }
        }
    }
}
