//! The identity of a server: its cluster, its unseal key and the salt of its hashes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::Rng;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::StoreError;
use crate::hash::{is_keyed_hash, keyed_hash};
use crate::store::Store;

const IDENTITY: &str = "core/identity";

/// The identity of a server, created at its first start. There is no `Debug`, because it contains the unseal key.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ServerIdentity {
    pub(crate) cluster_name: String,
    pub(crate) cluster_id: String,
    pub(crate) unseal_key: String,
    salt: String,
}

impl ServerIdentity {
    /// The stored identity; `None` before the first start.
    pub(crate) fn load(store: &Store) -> Result<Option<ServerIdentity>, StoreError> {
        store.read(IDENTITY)
    }

    /// Stores a new identity.
    pub(crate) fn create(store: &Store) -> Result<ServerIdentity, StoreError> {
        let identity = ServerIdentity::random();
        store.write(IDENTITY, &identity)?;
        Ok(identity)
    }

    fn random() -> ServerIdentity {
        let random = || {
            let mut bytes = [0; 32];
            rand::rng().fill_bytes(&mut bytes);
            STANDARD.encode(bytes)
        };
        let cluster_id = Uuid::new_v4().to_string();
        ServerIdentity {
            cluster_name: format!("vault-cluster-{}", &cluster_id[..8]),
            cluster_id,
            unseal_key: random(),
            salt: random(),
        }
    }

    /// A hash in hex that requires the salt of the server; `purpose` separates hashes for different uses.
    pub(crate) fn keyed_hash(&self, purpose: &str, text: &str) -> String {
        keyed_hash(&[&self.salt, purpose], text)
    }

    /// Whether `hash` is the [keyed hash](Self::keyed_hash) of a text.
    pub(crate) fn is_keyed_hash(&self, purpose: &str, text: &str, hash: &str) -> bool {
        is_keyed_hash(&[&self.salt, purpose], text, hash)
    }
}
