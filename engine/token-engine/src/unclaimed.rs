//! A token between its mint and the answer that hands it out.
//!
//! The write-ahead entry is taken back before the answer, as there is no word from the host that it has stored the lease. What
//! ends while the answer travels, the process or the request, so leaves a token that nobody got and nobody revokes; it ends
//! with its own life. The other order would revoke, at the next rollback, tokens whose lease the host has stored.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use vault_plugin::framework::Context;

use crate::endpoint::Endpoint;
use crate::upstream::Order;
use crate::{Connected, TokenEngine};

/// The kind of the write-ahead entries that precede a mint.
pub(crate) const MINT: &str = "mint";

/// A write-ahead entry: all that is needed to ask for the same token again.
#[derive(Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) api_endpoint: Endpoint,
    pub(crate) order: Order,
}

/// A token that the service has minted, with what it takes to undo that.
pub(crate) struct Minting {
    pub(crate) context: Context<TokenEngine>,
    pub(crate) connected: Arc<Connected>,
    /// The token's identity at the service.
    pub(crate) id: String,
    /// The write-ahead entry that announced it.
    pub(crate) entry: String,
    pub(crate) intent: Intent,
}

/// A token that is given back unless it is claimed: also when the request ends in between, which a host does as soon as its
/// client hangs up. The host then drops whatever the answer would have been, and there will be no lease.
pub(crate) struct Unclaimed {
    pub(crate) minting: Arc<Minting>,
    settled: bool,
}

impl Unclaimed {
    pub(crate) fn new(minting: Minting) -> Unclaimed {
        Unclaimed { minting: Arc::new(minting), settled: false }
    }

    /// Leaves the token to the answer, which must be all that is left to do.
    pub(crate) fn claim(mut self) -> Arc<Minting> {
        self.settled = true;
        Arc::clone(&self.minting)
    }

    /// Revokes the token.
    pub(crate) async fn give_back(mut self) {
        self.minting.give_back().await;
        self.settled = true;
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        // Without a runtime the process is at its end, and the write-ahead entry left to the next.
        if !self.settled
            && let Ok(runtime) = Handle::try_current()
        {
            let minting = Arc::clone(&self.minting);
            runtime.spawn(async move { minting.give_back().await });
        }
    }
}

impl Minting {
    /// Revokes the token. Where that fails, the write-ahead entry is left to do it.
    async fn give_back(&self) {
        let Minting { context, connected, id, entry, intent } = self;
        let upstream = &connected.upstream;
        match upstream.revoke(id, upstream.endpoint()).await {
            Ok(()) => {
                if let Err(error) = context.wal_delete(entry).await {
                    context
                        .logger()
                        .warn(format!("the write-ahead entry of a revoked token is left: {error}"));
                }
            }
            Err(error) => {
                // It may have been taken back already.
                let kept = context.wal_put_again(entry, MINT, intent).await;
                context
                    .logger()
                    .error(format!("a token that was not handed out is left to rollback: {error}"));
                if let Err(error) = kept {
                    let name = &intent.order.name;
                    context
                        .logger()
                        .error(format!("token {name:?} may be live and not in the write-ahead log: {error}"));
                }
            }
        }
    }
}
