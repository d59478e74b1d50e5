//! Whose each token of the upstream is, by what Vault has stored.

use std::collections::BTreeSet;

use harness::eventually;
use serde_json::{Value, json};

use crate::lab::Lab;

/// Names of tokens at the upstream.
pub(crate) type Names = BTreeSet<String>;

impl Lab {
    /// The tokens that are live at the upstream.
    pub(crate) fn live(&self) -> Names {
        self.upstream.live().into_iter().map(|issued| issued.name).collect()
    }

    /// What tokens are called there.
    pub(crate) fn names<'a>(&self, tokens: impl IntoIterator<Item = &'a String>) -> Names {
        tokens.into_iter().map(|token| self.issued(token).name).collect()
    }

    /// The tokens that belong to a lease of the role `developer`.
    pub(crate) async fn leased(&self, mount: &str) -> Names {
        let leases = format!("sys/expire/id/{mount}/creds/developer");
        let mut names = Names::new();
        for lease in self.vault.stored_below(&leases).await {
            // It may end between the list and this.
            if let Some(lease) = self.vault.stored(&format!("{leases}/{lease}")).await {
                names.insert(lease["secret"]["internal_data"]["name"].as_str().unwrap().to_owned());
            }
        }
        names
    }

    /// The tokens that the plugin announced in its write-ahead log before it asked for them, and that it has neither
    /// handed out nor given back.
    pub(crate) async fn announced(&self, mount: &str) -> Names {
        let entries = self.announcements(mount).await;
        entries.iter().map(|(_, entry)| entry["data"]["order"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Has Vault roll back what was announced, as if the time had passed in which its request may still be at work.
    ///
    /// Vault rolls back every mount once a minute, and one that is about to move at once. It also revokes the leases of the
    /// latter.
    pub(crate) async fn roll_back(&self, mount: &str) {
        self.let_entries_age(mount).await;
        let paths = json!({"from": mount, "to": format!("{mount}-moved")});
        let moving = self.vault.api("POST", "sys/remount", Some(paths)).await.success();
        let progress = format!("sys/remount/status/{}", moving["data"]["migration_id"].as_str().unwrap());
        eventually("the mount has moved", async || {
            let status = self.vault.api("GET", &progress, None).await.success();
            match status["data"]["migration_info"]["status"].as_str() {
                Some("success") => Some(()),
                Some("in-progress") => None,
                _ => panic!("the mount does not move: {status}"),
            }
        })
        .await;
    }

    /// Has what was announced rolled back within a minute, and leaves the mount and its leases as they are.
    pub(crate) async fn roll_back_in_place(&self, mount: &str) {
        self.let_entries_age(mount).await;
        eventually("Vault has rolled back", async || {
            let left = self.announced(mount).await;
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?} are left")) }
        })
        .await;
    }

    async fn let_entries_age(&self, mount: &str) {
        for (path, mut entry) in self.announcements(mount).await {
            entry["created_at"] = json!(entry["created_at"].as_i64().unwrap() - 3600);
            self.vault.store(&path, &entry).await;
        }
    }

    async fn announcements(&self, mount: &str) -> Vec<(String, Value)> {
        let mount = self.vault.api("GET", &format!("sys/mounts/{mount}"), None).await.success();
        let log = format!("logical/{}/wal", mount["data"]["uuid"].as_str().unwrap());
        let mut entries = Vec::new();
        for name in self.vault.stored_below(&log).await {
            let path = format!("{log}/{name}");
            // A request may finish between the list and this.
            if let Some(entry) = self.vault.stored(&path).await {
                entries.push((path, entry));
            }
        }
        entries
    }
}
