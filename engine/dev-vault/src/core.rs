//! The state of the server, and its life: started, sealed, unsealed, stopped.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use crate::StoreError;
use crate::audit::AuditLog;
use crate::catalog::Catalog;
use crate::expiration::ExpirationQueue;
use crate::identity::ServerIdentity;
use crate::log::{LogSink, log_error};
use crate::mount::Mount;
use crate::plugin_process::ProcessPool;
use crate::policy::Policies;
use crate::random::random_id;
use crate::store::Store;
use crate::token::{ROOT_TOKEN_PATH, Token};
use vault_plugin::framework::ttl::TtlLimits;
use vault_plugin::host::Isolation;

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
    pub(crate) config: ServerConfig,
    pub(crate) store: Arc<Store>,
    pub(crate) identity: Arc<ServerIdentity>,
    pub(crate) policies: Arc<Policies>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) processes: Arc<ProcessPool>,
    pub(crate) log: LogSink,
    pub(crate) audit: Option<AuditLog>,
    sealed: AtomicBool,
    pub(crate) expiration: Arc<ExpirationQueue>,
    pub(crate) mounts: RwLock<BTreeMap<String, Arc<Mount>>>,
    /// Held by whoever adds, changes, reloads or removes a mount.
    pub(crate) mount_changes: tokio::sync::Mutex<()>,
    pub(crate) token_uses: Mutex<()>,
    lease_locks: Vec<tokio::sync::Mutex<()>>,
}

impl Core {
    /// A sealed server on a store.
    pub(crate) fn new(
        config: ServerConfig,
        store: Arc<Store>,
        audit: Option<AuditLog>,
        (log, isolation): (LogSink, Isolation),
    ) -> Result<Core, StoreError> {
        let policies = Arc::new(Policies::new(store.clone()));
        let identity = match ServerIdentity::load(&store)? {
            Some(identity) => identity,
            None => {
                let identity = ServerIdentity::create(&store)?;
                policies.write_defaults()?;
                identity
            }
        };
        let processes = Arc::new(ProcessPool::new(config.plugin_directory.clone(), log.clone(), isolation));
        let catalog = Arc::new(Catalog::new(store.clone(), processes.clone(), log.clone()));
        Ok(Core {
            config,
            store,
            identity: Arc::new(identity),
            policies,
            catalog,
            processes,
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

    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// Keeps other requests away from a lease.
    pub(crate) async fn lease_lock(&self, id: &str) -> tokio::sync::MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(id);
        self.lease_locks[usize::try_from(hash % LEASE_LOCKS as u64).unwrap_or_default()].lock().await
    }

    pub(crate) fn log_error(&self, message: &str, detail: Option<&str>) {
        log_error(&self.log, message, detail);
    }
}
