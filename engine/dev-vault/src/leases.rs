//! The stored leases and their expiry times. Renewal and revocation are in `expiration`.

mod lease;
mod login_auth;
mod queue;

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{Mutex, MutexGuard};

use crate::StoreError;
use crate::identity::ServerIdentity;
use crate::store::{Store, StoreOp};
pub(crate) use lease::{Lease, LeaseKind};
pub(crate) use login_auth::LoginAuth;
pub(crate) use queue::ExpirationQueue;

const BY_ID: &str = "sys/expire/id/";
const BY_TOKEN: &str = "sys/expire/token/";

/// Number of locks: enough that requests for different leases rarely wait for each other.
const LOCKS: usize = 64;

/// The leases of the server.
pub(crate) struct Leases {
    store: Arc<Store>,
    identity: Arc<ServerIdentity>,
    queue: Arc<ExpirationQueue>,
    locks: Vec<Mutex<()>>,
}

impl Leases {
    pub(crate) fn new(store: Arc<Store>, identity: Arc<ServerIdentity>) -> Leases {
        Leases {
            store,
            identity,
            queue: Arc::default(),
            locks: (0..LOCKS).map(|_| Mutex::default()).collect(),
        }
    }

    pub(crate) fn get(&self, id: &str) -> Result<Option<Lease>, StoreError> {
        self.store.read(&format!("{BY_ID}{id}"))
    }

    /// The names directly below a prefix of lease IDs.
    pub(crate) fn list(&self, prefix: &str) -> Vec<String> {
        self.store.list(&format!("{BY_ID}{prefix}"))
    }

    /// The IDs of all leases below a prefix.
    pub(crate) fn ids(&self, prefix: &str) -> Vec<String> {
        let keys = self.store.keys(&format!("{BY_ID}{prefix}"));
        keys.into_iter().filter_map(|key| key.strip_prefix(BY_ID).map(str::to_owned)).collect()
    }

    /// The IDs of the leases that were issued to a token.
    pub(crate) fn of_token(&self, hash: &str) -> Result<Vec<String>, StoreError> {
        let keys = self.store.keys(&format!("{BY_TOKEN}{hash}/"));
        keys.iter().filter_map(|key| self.store.read(key).transpose()).collect()
    }

    /// Stores a lease together with other changes, and schedules its expiry.
    pub(crate) fn put_with(&self, lease: Lease, mut changes: Vec<StoreOp>) -> Result<(), StoreError> {
        changes.push(StoreOp::put(format!("{BY_ID}{}", lease.id), &lease)?);
        if let Some(token) = &lease.token {
            changes.push(StoreOp::put(self.token_key(token, &lease.id), &lease.id)?);
        }
        self.store.apply(changes)?;
        match lease.due() {
            Some(due) => self.queue.schedule(&lease.id, due),
            None => self.queue.cancel(&lease.id),
        }
        Ok(())
    }

    /// Stores a lease, and schedules its expiry.
    pub(crate) fn put(&self, lease: Lease) -> Result<(), StoreError> {
        self.put_with(lease, Vec::new())
    }

    /// Deletes a lease together with other changes.
    pub(crate) fn delete_with(
        &self,
        id: &str,
        token: Option<&str>,
        mut changes: Vec<StoreOp>,
    ) -> Result<(), StoreError> {
        changes.push(StoreOp::Delete(format!("{BY_ID}{id}")));
        changes.extend(token.map(|token| StoreOp::Delete(self.token_key(token, id))));
        self.store.apply(changes)?;
        self.queue.cancel(id);
        Ok(())
    }

    /// Lets a lease expire now. It is revoked in the background, with a new count of failed attempts.
    pub(crate) fn expire_now(&self, id: &str) -> Result<(), StoreError> {
        let Some(mut lease) = self.get(id)? else { return Ok(()) };
        lease.expires = Some(SystemTime::now());
        lease.attempts = 0;
        self.put(lease)
    }

    /// Blocks other requests for a lease until the result is dropped.
    pub(crate) async fn lock(&self, id: &str) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(id);
        self.locks[usize::try_from(hash % LOCKS as u64).unwrap_or_default()].lock().await
    }

    /// Schedules the expiry of all stored leases.
    pub(crate) fn schedule_all(&self) -> Result<(), StoreError> {
        for id in self.ids("") {
            if let Some(due) = self.get(&id)?.and_then(|lease| lease.due()) {
                self.queue.schedule(&id, due);
            }
        }
        Ok(())
    }

    /// Stops the expiry of leases until [`Leases::schedule_all`].
    pub(crate) fn unschedule_all(&self) {
        self.queue.clear();
    }

    pub(crate) fn queue(&self) -> &Arc<ExpirationQueue> {
        &self.queue
    }

    fn token_key(&self, token: &str, lease_id: &str) -> String {
        format!("{BY_TOKEN}{token}/{}", self.identity.keyed_hash("lease", lease_id))
    }
}
