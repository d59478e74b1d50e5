//! The cubbyholes: values of one token that are deleted with the token.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;
use crate::mounts::Mounts;
use crate::store::{Store, StoreOp};

/// The cubbyholes of all tokens.
pub(crate) struct Cubbyholes {
    store: Arc<Store>,
    mounts: Arc<Mounts>,
}

impl Cubbyholes {
    pub(crate) fn new(store: Arc<Store>, mounts: Arc<Mounts>) -> Cubbyholes {
        Cubbyholes { store, mounts }
    }

    pub(crate) fn exists(&self, token_hash: &str, path: &str) -> bool {
        self.store.get(&self.key(token_hash, path)).is_some()
    }

    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        token_hash: &str,
        path: &str,
    ) -> Result<Option<T>, StoreError> {
        self.store.read(&self.key(token_hash, path))
    }

    pub(crate) fn write<T: Serialize>(
        &self,
        token_hash: &str,
        path: &str,
        value: &T,
    ) -> Result<(), StoreError> {
        self.store.write(&self.key(token_hash, path), value)
    }

    pub(crate) fn delete(&self, token_hash: &str, path: &str) -> Result<(), StoreError> {
        self.store.delete(&self.key(token_hash, path))
    }

    /// The names directly below a path.
    pub(crate) fn list(&self, token_hash: &str, path: &str) -> Vec<String> {
        self.store.list(&self.key(token_hash, path))
    }

    /// The changes that delete everything in the cubbyhole of a token.
    pub(super) fn clear(&self, token_hash: &str) -> impl Iterator<Item = StoreOp> + use<> {
        self.store.keys(&self.key(token_hash, "")).into_iter().map(StoreOp::Delete)
    }

    fn key(&self, token_hash: &str, path: &str) -> String {
        format!("{}{path}", self.mounts.cubbyhole_prefix(token_hash))
    }
}
