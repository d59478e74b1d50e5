//! A token between the request that mints it and the answer that hands it out, with its write-ahead entry.
//!
//! An entry is in one of three states:
//! - `planned` before the service is asked. It holds the very bytes of the request, so that the request can be repeated under its
//!   idempotency key.
//! - `minted` as soon as the service has answered. It holds how the token is revoked.
//! - `forgotten` once a repeated request has minted another token: the first one cannot be found any more.
//!
//! It is deleted before the answer, as the host does not say whether it has stored the lease. If the process or the
//! request ends while the answer is on its way, a token is left that nobody has got and no lease revokes; it expires by itself
//! (README, Limits; docs/performance.md has how long that is). In the other order, the next rollback would revoke tokens whose lease the host
//! has stored.

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

/// The kind of the write-ahead entries that precede a mint.
pub(crate) const MINT_KIND: &str = "mint";

/// How far the clocks of the nodes and of the service may be apart.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(10);

/// A write-ahead entry.
///
/// The fields that versions up to 0.1.0 know, `api_endpoint` and `order`, stay: such a version replays the request of an entry in any state
/// and revokes the token that comes. An entry of such a version has neither `planned_at` nor the bytes of its request: it
/// is as old as its record, and is replayed with the body that its version would send.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct WalEntry {
    pub(crate) api_endpoint: Endpoint,
    /// The account that the configuration named; empty for none.
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

/// How far the mint of a write-ahead entry has come.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WalState {
    /// The service may or may not have minted the token.
    #[default]
    Planned,
    /// The service has minted it.
    Minted {
        /// How it is revoked.
        revocation: Revocation,
    },
    /// The service may have minted it, and does not recognise the request any more.
    Forgotten,
}

impl WalEntry {
    /// An entry of a request that is about to be sent.
    pub(crate) fn new(config: &Config, request: MintRequest) -> WalEntry {
        WalEntry {
            api_endpoint: config.api_endpoint.clone(),
            account: config.account.clone(),
            request,
            planned_at: Some(Timestamp::now().as_second()),
            state: WalState::Planned,
        }
    }

    /// The entry once the service has answered.
    pub(crate) fn into_minted(self, revocation: Revocation) -> WalEntry {
        WalEntry { state: WalState::Minted { revocation }, ..self }
    }

    /// The entry of another token, which the service has minted just now in place of recognising the request.
    pub(crate) fn for_duplicate(&self, revocation: Revocation) -> WalEntry {
        let planned_at = Some(Timestamp::now().as_second());
        WalEntry { planned_at, ..self.clone() }.into_minted(revocation)
    }

    /// The entry once the service has minted another token in answer to its request.
    pub(crate) fn into_unrecognized(self) -> WalEntry {
        WalEntry { state: WalState::Forgotten, ..self }
    }

    /// Whether the `expires_at` of an answer is later than that of any token which this request minted when it was planned.
    pub(crate) fn is_outlived_by(&self, expires_at: &Value) -> bool {
        let expires_at = expires_at.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        expires_at.zip(self.latest_expiry()).is_some_and(|(expires_at, latest)| expires_at > latest)
    }

    /// Dates an entry that says nothing of itself, by when it was written.
    pub(crate) fn fill_planned_at(&mut self, written: SystemTime) {
        let written = Timestamp::try_from(written).ok();
        self.planned_at = self.planned_at.or_else(|| written.map(Timestamp::as_second));
    }

    /// Since when the service may know the request, if the entry says so.
    pub(crate) fn planned_at(&self) -> Option<Timestamp> {
        self.planned_at.and_then(|second| Timestamp::from_second(second).ok())
    }

    /// Whether the service still recognises the idempotency key of the request, whatever the clocks of nodes say.
    pub(crate) fn idempotency_key_valid(&self, config: &Config, now: Timestamp) -> bool {
        let window =
            i64::try_from(config.idempotency_window).map_or(SignedDuration::MAX, SignedDuration::from_secs);
        let age = self.planned_at().map(|planned| now.duration_since(planned));
        config.retries_mints() && age.is_some_and(|age| age < window - CLOCK_SKEW)
    }

    /// When the token expires at the latest, as it was asked for and never renewed.
    pub(crate) fn latest_expiry(&self) -> Option<Timestamp> {
        let life = SignedDuration::from_secs(i64::try_from(self.request.ttl).ok()?);
        self.planned_at()?.checked_add(life).ok()?.checked_add(CLOCK_SKEW).ok()
    }
}

/// A token that the service has minted and nobody has got yet.
pub(crate) struct PendingToken {
    pub(crate) context: Context<TokenEngine>,
    pub(crate) client: Arc<UpstreamClient>,
    /// The id of its write-ahead entry.
    pub(crate) wal_id: String,
    pub(crate) entry: WalEntry,
    pub(crate) revocation: Revocation,
}

/// Revokes a token unless it is committed: also when the request is cancelled, which a host does as soon as its client hangs up.
/// The host then drops whatever the answer would have been, and stores no lease.
pub(crate) struct TokenGuard {
    pub(crate) pending: Arc<PendingToken>,
    done: bool,
}

impl TokenGuard {
    pub(crate) fn new(pending: PendingToken) -> TokenGuard {
        TokenGuard { pending: Arc::new(pending), done: false }
    }

    /// Leaves the token to the answer. Nothing may be awaited after that.
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
        // Without a runtime the process is ending; the write-ahead entry is left to the next one.
        if !self.done && Handle::try_current().is_ok() {
            drop(self.spawn_abort());
        }
    }
}

impl PendingToken {
    /// Writes down that the token exists, and how it is revoked.
    pub(crate) async fn record(&self) -> Result<(), Error> {
        self.context.wal_put_with_id(&self.wal_id, MINT_KIND, &self.entry).await
    }

    /// Revokes the token. Its entry may have been deleted already: it is written again first, and deleted once the token is gone.
    async fn abort(&self) {
        let (logger, name) = (self.context.logger(), &self.entry.request.name);
        if let Err(error) = self.record().await {
            logger.error(format!("cannot write that token {name:?} is about to be revoked: {error}"));
        }
        match self.client.upstream.revoke(&self.revocation).await {
            Ok(()) => {
                if let Err(error) = self.context.wal_delete(&self.wal_id).await {
                    logger.warn(format!("cannot delete the write-ahead entry of a revoked token: {error}"));
                }
            }
            Err(error) => {
                logger.error(format!("token {name:?}, which was not issued, is left to rollback: {error}"));
            }
        }
    }
}
