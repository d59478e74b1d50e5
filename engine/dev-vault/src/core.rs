//! The state of the server, and its life: started, sealed, unsealed, stopped.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rand::Rng;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

use crate::StoreError;
use crate::audit::AuditLog;
use crate::expiration::ExpirationQueue;
use crate::log::{LogEvent, LogSink};
use crate::mount::Mount;
use crate::mount::process::ProcessPool;
use crate::policy::default::{DEFAULT_POLICY, RESPONSE_WRAPPING_POLICY};
use crate::store::Store;
use crate::token::{ROOT_TOKEN_PATH, Token, random_id};
use vault_plugin::framework::ttl::TtlLimits;
use vault_plugin::host::Isolation;

const IDENTITY: &str = "core/identity";
pub(crate) const POLICIES: &str = "sys/policy/";

/// Requests about different leases rarely wait for each other.
const LEASE_LOCKS: usize = 64;

/// What stays the same from start to stop.
pub(crate) struct ServerConfig {
    pub(crate) plugin_directory: Option<PathBuf>,
    pub(crate) limits: TtlLimits,
    pub(crate) revoke_retry_base: Duration,
    pub(crate) rollback_period: Duration,
    pub(crate) storage_type: &'static str,
}

pub(crate) struct Core {
    config: ServerConfig,
    store: Arc<Store>,
    identity: ServerIdentity,
    log: LogSink,
    audit: Option<AuditLog>,
    sealed: AtomicBool,
    expiration: Arc<ExpirationQueue>,
    processes: ProcessPool,
    pub(crate) mounts: RwLock<BTreeMap<String, Arc<Mount>>>,
    /// Held by whoever adds, changes, reloads or removes a mount.
    pub(crate) mount_changes: tokio::sync::Mutex<()>,
    pub(crate) token_uses: Mutex<()>,
    lease_locks: Vec<tokio::sync::Mutex<()>>,
}

/// Who the server is, made at its first start. No `Debug`: it holds the key that unseals it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ServerIdentity {
    pub(crate) cluster_name: String,
    pub(crate) cluster_id: String,
    pub(crate) unseal_key: String,
    salt: String,
}

impl ServerIdentity {
    fn new() -> ServerIdentity {
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

    /// A hash in hex that nobody can make without the server's salt; `purpose` keeps hashes for different uses apart.
    pub(crate) fn keyed_hash(&self, purpose: &str, text: &str) -> String {
        keyed_hash(&[&self.salt, purpose], text)
    }
}

/// HMAC-SHA256 in hex, under a key of several parts.
pub(crate) fn keyed_hash(key: &[&str], text: &str) -> String {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.join("\0").as_bytes()) else { return String::new() };
    mac.update(text.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Core {
    /// A sealed server on a store.
    pub(crate) fn new(
        settings: ServerConfig,
        store: Arc<Store>,
        audit: Option<AuditLog>,
        (log, isolation): (LogSink, Isolation),
    ) -> Result<Core, StoreError> {
        let identity = match store.read(IDENTITY)? {
            Some(identity) => identity,
            None => {
                let identity = ServerIdentity::new();
                store.write(IDENTITY, &identity)?;
                store.write(&format!("{POLICIES}default"), &DEFAULT_POLICY)?;
                store.write(&format!("{POLICIES}response-wrapping"), &RESPONSE_WRAPPING_POLICY)?;
                identity
            }
        };
        Ok(Core {
            config: settings,
            store,
            identity,
            processes: ProcessPool::new(log.clone(), isolation),
            log,
            audit,
            sealed: AtomicBool::new(true),
            expiration: Arc::default(),
            mounts: RwLock::default(),
            mount_changes: tokio::sync::Mutex::default(),
            token_uses: Mutex::default(),
            lease_locks: (0..LEASE_LOCKS).map(|_| tokio::sync::Mutex::default()).collect(),
        })
    }

    /// Mounts everything and lets the leases run.
    pub(crate) async fn unseal(&self) -> Result<(), StoreError> {
        let _alone = self.mount_changes.lock().await;
        if !self.is_sealed() {
            return Ok(());
        }
        self.load_mounts().await?;
        for id in self.lease_ids("") {
            let Some(lease) = self.lease(&id)? else { continue };
            if let Some(expires) = lease.expires.filter(|_| !lease.is_irrevocable()) {
                self.expiration.schedule(&id, expires);
            }
        }
        self.sealed.store(false, Ordering::Release);
        Ok(())
    }

    /// Lets requests in flight finish, ends the plugins, and answers nothing but what the sealed server may.
    pub(crate) async fn seal(&self) {
        let _alone = self.mount_changes.lock().await;
        self.sealed.store(true, Ordering::Release);
        self.expiration.clear();
        let mounts = std::mem::take(&mut *self.mounts.write().unwrap_or_else(PoisonError::into_inner));
        for mount in mounts.into_values() {
            mount.stop(self).await;
        }
    }

    /// Makes sure that there is a root token with this text.
    pub(crate) fn ensure_root_token(&self, token: &str) -> Result<(), StoreError> {
        if self.find_token(token)?.is_some_and(|token| token.is_root()) {
            return Ok(());
        }
        self.store_token(&Token {
            hash: self.token_hash(token),
            accessor: random_id(),
            parent: None,
            policies: vec!["root".to_owned()],
            path: ROOT_TOKEN_PATH.to_owned(),
            meta: BTreeMap::new(),
            display_name: "root".to_owned(),
            num_uses: 0,
            created: std::time::SystemTime::now(),
            ttl: Duration::ZERO,
            explicit_max_ttl: Duration::ZERO,
            period: Duration::ZERO,
            renewable: false,
        })
    }

    /// The text of a policy; `None` if there is none of that name.
    pub(crate) fn policy(&self, name: &str) -> Result<Option<String>, StoreError> {
        if name == "root" {
            return Ok(Some(String::new()));
        }
        self.store.read(&format!("{POLICIES}{name}"))
    }

    pub(crate) fn config(&self) -> &ServerConfig {
        &self.config
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    pub(crate) fn identity(&self) -> &ServerIdentity {
        &self.identity
    }

    pub(crate) fn audit(&self) -> Option<&AuditLog> {
        self.audit.as_ref()
    }

    pub(crate) fn processes(&self) -> &ProcessPool {
        &self.processes
    }

    pub(crate) fn expiration(&self) -> &ExpirationQueue {
        &self.expiration
    }

    pub(crate) fn expiration_handle(&self) -> Arc<ExpirationQueue> {
        self.expiration.clone()
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// Keeps other requests away from a lease.
    pub(crate) async fn lease_lock(&self, id: &str) -> tokio::sync::MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(id);
        self.lease_locks[usize::try_from(hash % LEASE_LOCKS as u64).unwrap_or_default()].lock().await
    }

    pub(crate) fn log_error(&self, message: &str, detail: Option<&str>) {
        (self.log)(LogEvent::ServerError {
            message: message.to_owned(),
            detail: detail.unwrap_or_default().to_owned(),
        });
    }
}
