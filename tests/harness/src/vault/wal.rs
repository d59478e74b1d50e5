//! The write-ahead log of a mount, in Vault's storage. Needs [`VaultServerBuilder::raw_storage`](super::VaultServerBuilder::raw_storage).

use serde_json::{Value, json};

use super::VaultServer;
use crate::eventually;

/// More than the three minutes for which the plugin does not touch an entry, and less than the ten minutes by which it lets clocks differ:
/// the token of an older entry would be one that the service has minted since.
const BACKDATED_BY: i64 = 240;

impl VaultServer {
    /// Returns the path and the document of each write-ahead log entry of a mount.
    pub async fn wal_entries(&self, mount: &str) -> Vec<(String, Value)> {
        let mount = self.request("GET", &format!("sys/mounts/{mount}"), None).await.success();
        let log = format!("logical/{}/wal", mount["data"]["uuid"].as_str().expect("every mount has an id"));
        let mut entries = Vec::new();
        for name in self.list_raw_storage(&log).await {
            let path = format!("{log}/{name}");
            // A request may finish between the list and this read.
            if let Some(entry) = self.read_raw_storage(&path).await {
                entries.push((path, entry));
            }
        }
        entries
    }

    /// Backdates the write-ahead log entries of a mount, as if the time had passed in which their requests may still be running.
    pub async fn backdate_wal_entries(&self, mount: &str) {
        for (path, mut entry) in self.wal_entries(mount).await {
            for pointer in ["/created_at", "/data/planned_at"] {
                if let Some(time) = entry.pointer_mut(pointer)
                    && let Some(seconds) = time.as_i64()
                {
                    *time = json!(seconds - BACKDATED_BY);
                }
            }
            self.write_raw_storage(&path, &entry).await;
        }
    }

    /// Makes Vault roll the write-ahead log entries of a mount back, as if their time had come. Returns the new path of the mount.
    ///
    /// Vault rolls back every mount once a minute, and immediately before it moves a mount. A move also revokes the leases of the mount.
    ///
    /// # Panics
    ///
    /// If the mount does not move.
    pub async fn roll_back_wal(&self, mount: &str) -> String {
        self.backdate_wal_entries(mount).await;
        let moved = format!("{mount}-moved");
        let moving =
            self.request("POST", "sys/remount", Some(json!({"from": mount, "to": moved}))).await.success();
        let id = moving["data"]["migration_id"].as_str().expect("a move has an id");
        let progress = format!("sys/remount/status/{id}");
        eventually("the mount has moved", async || {
            let status = self.request("GET", &progress, None).await.success();
            match status["data"]["migration_info"]["status"].as_str() {
                Some("success") => Ok(()),
                Some("in-progress") => Err(status.to_string()),
                _ => panic!("the mount does not move: {status}\n{}", self.logs()),
            }
        })
        .await;
        moved
    }
}
