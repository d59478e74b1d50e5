//! Assigns each token of the upstream to its lease or WAL entry, according to Vault's storage.

use std::collections::BTreeSet;

use harness::eventually;

use crate::lab::Lab;

/// Names of tokens at the upstream.
pub(crate) type TokenNames = BTreeSet<String>;

impl Lab {
    /// The tokens that are live at the upstream.
    pub(crate) fn live_tokens(&self) -> TokenNames {
        self.upstream.live().into_iter().map(|issued| issued.name).collect()
    }

    /// Prefix of the names of tokens there.
    pub(crate) fn token_names<'a>(&self, tokens: impl IntoIterator<Item = &'a String>) -> TokenNames {
        tokens.into_iter().map(|token| self.issued(token).name).collect()
    }

    /// The tokens that belong to a lease of the role `developer`.
    pub(crate) async fn leased_tokens(&self, mount: &str) -> TokenNames {
        let leases = format!("sys/expire/id/{mount}/creds/developer");
        let mut names = TokenNames::new();
        for lease in self.vault.list_raw_storage(&leases).await {
            // It may be removed between the list and this read.
            if let Some(lease) = self.vault.read_raw_storage(&format!("{leases}/{lease}")).await {
                names.insert(lease["secret"]["internal_data"]["name"].as_str().unwrap().to_owned());
            }
        }
        names
    }

    /// The tokens that the plugin has announced in its write-ahead log, and has neither issued nor revoked.
    pub(crate) async fn wal_tokens(&self, mount: &str) -> TokenNames {
        let entries = self.vault.wal_entries(mount).await;
        entries.iter().map(|(_, entry)| entry["data"]["order"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Makes Vault roll the WAL entries back, as if the time had passed in which their requests may still be running. The mount moves.
    pub(crate) async fn roll_back_wal(&self, mount: &str) {
        self.vault.roll_back_wal(mount).await;
    }

    /// Waits up to a minute until the WAL entries are rolled back, and leaves the mount and its leases unchanged.
    pub(crate) async fn roll_back_wal_in_place(&self, mount: &str) {
        self.vault.backdate_wal_entries(mount).await;
        eventually("Vault has rolled back", async || {
            let left = self.wal_tokens(mount).await;
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?} are left")) }
        })
        .await;
    }
}
