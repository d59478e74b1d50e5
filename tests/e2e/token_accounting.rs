//! Assigns each token of the upstream to its lease or WAL entry, according to Vault's storage.

use std::collections::BTreeSet;

use harness::eventually;
use serde_json::{Value, json};

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
        let entries = self.wal_entries(mount).await;
        entries.iter().map(|(_, entry)| entry["data"]["order"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Makes Vault roll the WAL entries back, as if the time had passed in which their requests may still be running.
    ///
    /// Vault rolls back every mount once a minute, and immediately before it moves a mount. A move also revokes the leases of the mount.
    pub(crate) async fn roll_back_wal(&self, mount: &str) {
        self.age_wal_entries(mount).await;
        let paths = json!({"from": mount, "to": format!("{mount}-moved")});
        let moving = self.vault.request("POST", "sys/remount", Some(paths)).await.success();
        let progress = format!("sys/remount/status/{}", moving["data"]["migration_id"].as_str().unwrap());
        eventually("the mount has moved", async || {
            let status = self.vault.request("GET", &progress, None).await.success();
            match status["data"]["migration_info"]["status"].as_str() {
                Some("success") => Some(()),
                Some("in-progress") => None,
                _ => panic!("the mount does not move: {status}"),
            }
        })
        .await;
    }

    /// Waits up to a minute until the WAL entries are rolled back, and leaves the mount and its leases unchanged.
    pub(crate) async fn roll_back_wal_in_place(&self, mount: &str) {
        self.age_wal_entries(mount).await;
        eventually("Vault has rolled back", async || {
            let left = self.wal_tokens(mount).await;
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?} are left")) }
        })
        .await;
    }

    /// By more than the three minutes for which the plugin leaves an entry alone, and less than the ten minutes by which it lets clocks differ:
    /// the token of an older entry would be one that the service has minted since.
    async fn age_wal_entries(&self, mount: &str) {
        for (path, mut entry) in self.wal_entries(mount).await {
            entry["created_at"] = json!(entry["created_at"].as_i64().unwrap() - 240);
            self.vault.write_raw_storage(&path, &entry).await;
        }
    }

    async fn wal_entries(&self, mount: &str) -> Vec<(String, Value)> {
        let mount = self.vault.request("GET", &format!("sys/mounts/{mount}"), None).await.success();
        let log = format!("logical/{}/wal", mount["data"]["uuid"].as_str().unwrap());
        let mut entries = Vec::new();
        for name in self.vault.list_raw_storage(&log).await {
            let path = format!("{log}/{name}");
            // A request may finish between the list and this read.
            if let Some(entry) = self.vault.read_raw_storage(&path).await {
                entries.push((path, entry));
            }
        }
        entries
    }
}
