//! A token between the request that mints it and the response that returns it, with its write-ahead log entry.
//!
//! The entry is deleted before the response is returned, because the host does not report whether it has stored the lease. If the process
//! or the request ends in between, the token has neither a lease nor an entry, and lives until it expires (docs/limits.md;
//! docs/performance.md measures this interval). In the opposite order, the next rollback would revoke tokens with a stored lease.

use std::sync::Arc;

use tokio::runtime::Handle;
use vault_plugin::framework::Context;
use vault_plugin::logical::Error;

use crate::upstream::Revocation;
use crate::wal_entry::{MINT_KIND, WalEntry};
use crate::{TokenEngine, UpstreamClient};

/// A token that the API has created and that has not yet been returned to the client.
pub(crate) struct PendingToken {
    pub(crate) context: Context<TokenEngine>,
    pub(crate) client: Arc<UpstreamClient>,
    /// The id of its write-ahead log entry.
    pub(crate) wal_id: String,
    pub(crate) entry: WalEntry,
    pub(crate) revocation: Revocation,
}

/// Revokes a token on drop unless it was committed.
///
/// A host cancels a request when its client closes the connection. It then discards the response and stores no lease.
pub(crate) struct TokenGuard {
    pub(crate) pending: Arc<PendingToken>,
    done: bool,
}

impl TokenGuard {
    pub(crate) fn new(pending: PendingToken) -> TokenGuard {
        TokenGuard { pending: Arc::new(pending), done: false }
    }

    /// Keeps the token, which the response returns. Nothing may be awaited afterwards, since a cancelled request would lose the token.
    pub(crate) fn commit(mut self) -> Arc<PendingToken> {
        self.done = true;
        Arc::clone(&self.pending)
    }

    /// Revokes the token, and waits until that is done.
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
        // Without a runtime the process is exiting. The next process rolls the write-ahead log entry back.
        if !self.done && Handle::try_current().is_ok() {
            drop(self.spawn_abort());
        }
    }
}

impl PendingToken {
    /// Writes to the write-ahead log entry that the token exists, and how it is revoked.
    pub(crate) async fn mark_minted_in_wal(&self) -> Result<(), Error> {
        self.context.wal_put_with_id(&self.wal_id, MINT_KIND, &self.entry).await
    }

    /// Revokes the token. Its entry may be deleted already, so it is written again first. It is deleted after the revocation.
    async fn abort(&self) {
        let (logger, name) = (self.context.logger(), &self.entry.request.name);
        if let Err(error) = self.mark_minted_in_wal().await {
            logger.error(format!(
                "cannot write the write-ahead log entry of token {name:?} before its revocation: {error}"
            ));
        }
        match self.client.upstream.revoke(&self.revocation).await {
            Ok(()) => {
                if let Err(error) = self.context.wal_delete(&self.wal_id).await {
                    logger.warn(format!(
                        "cannot delete the write-ahead log entry of revoked token {name:?}: {error}"
                    ));
                }
            }
            Err(error) => {
                logger.error(format!(
                    "cannot revoke token {name:?}, which was not issued: {error}; rollback tries again"
                ));
            }
        }
    }
}
