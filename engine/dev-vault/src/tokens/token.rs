//! The record of a token.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A stored token. The token itself is not stored, only a keyed hash of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) hash: String,
    pub(crate) accessor: String,
    /// The hash of the parent token; `None` for an orphan.
    pub(crate) parent: Option<String>,
    pub(crate) policies: Vec<String>,
    /// The path that issued it.
    pub(crate) path: String,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) display_name: String,
    /// Remaining uses. 0 means no limit; a negative number means that the request with the last use is in flight.
    pub(crate) num_uses: i64,
    pub(crate) created: SystemTime,
    pub(crate) ttl: Duration,
    pub(crate) explicit_max_ttl: Duration,
    pub(crate) period: Duration,
    pub(crate) renewable: bool,
}

impl Token {
    pub(crate) fn is_root(&self) -> bool {
        self.policies.iter().any(|policy| policy == "root")
    }

    /// Vault's client ID of a token without an entity: a hash of its policies and its namespace.
    pub(crate) fn client_id(&self) -> String {
        let mut policies = self.policies.clone();
        policies.sort_unstable();
        STANDARD.encode(Sha256::digest(format!("{}\0root", policies.join("\x7f"))))
    }

    /// The ID of its lease, with which it expires.
    pub(crate) fn lease_id(&self) -> String {
        format!("{}/{}", self.path, self.hash)
    }
}
