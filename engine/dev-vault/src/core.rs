//! The composition root: builds and connects the stores of a server, and seals and unseals the server.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::StoreError;
use crate::audit::AuditLog;
use crate::catalog::Catalog;
use crate::catalog::process::ProcessPool;
use crate::expiration::ExpirationManager;
use crate::identity::ServerIdentity;
use crate::identity_store::IdentityStore;
use crate::leases::Leases;
use crate::log::LogSink;
use crate::mounts::Mounts;
use crate::mounts::backend::PluginRuntime;
use crate::password_policies::PasswordPolicies;
use crate::policy::Policies;
use crate::store::Store;
use crate::tokens::{Cubbyholes, Tokens};
use crate::wrapping::ResponseWrapping;
use vault_plugin::framework::ttl::TtlLimits;
use vault_plugin::host::Isolation;

/// The settings of a server that never change.
pub(crate) struct ServerConfig {
    pub(crate) plugin_directory: Option<PathBuf>,
    pub(crate) limits: TtlLimits,
    pub(crate) revoke_retry_base: Duration,
    pub(crate) storage_type: &'static str,
}

/// The stores of a server, for the request handlers. The stores do not depend on this type.
pub(crate) struct Core {
    pub(crate) config: ServerConfig,
    pub(crate) identity: Arc<ServerIdentity>,
    pub(crate) identity_store: Arc<IdentityStore>,
    pub(crate) log: LogSink,
    pub(crate) audit: Option<AuditLog>,
    pub(crate) policies: Policies,
    pub(crate) password_policies: Arc<PasswordPolicies>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) mounts: Arc<Mounts>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) cubbyholes: Arc<Cubbyholes>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) expiration: Arc<ExpirationManager>,
    pub(crate) wrapping: ResponseWrapping,
    sealed: AtomicBool,
}

impl Core {
    /// A sealed server on a store.
    pub(crate) fn new(
        config: ServerConfig,
        store: &Arc<Store>,
        audit: Option<AuditLog>,
        log: LogSink,
        isolation: Isolation,
    ) -> Result<Core, StoreError> {
        let policies = Policies::new(store.clone());
        let identity = match ServerIdentity::load(store)? {
            Some(identity) => identity,
            None => {
                let identity = ServerIdentity::create(store)?;
                policies.write_defaults()?;
                identity
            }
        };
        let identity = Arc::new(identity);
        let processes = Arc::new(ProcessPool::new(config.plugin_directory.clone(), log.clone(), isolation));
        let catalog = Arc::new(Catalog::new(store.clone(), processes.clone(), log.clone()));
        let identity_store = Arc::new(IdentityStore::new(store.clone()));
        let password_policies = Arc::new(PasswordPolicies::new(store.clone()));
        let runtime = PluginRuntime {
            store: store.clone(),
            password_policies: password_policies.clone(),
            identity: identity.clone(),
            identity_store: identity_store.clone(),
            catalog: catalog.clone(),
            processes,
            system_limits: config.limits,
        };
        let mounts = Arc::new(Mounts::new(runtime, log.clone()));
        let leases = Arc::new(Leases::new(store.clone(), identity.clone()));
        let cubbyholes = Arc::new(Cubbyholes::new(store.clone(), mounts.clone()));
        let tokens =
            Arc::new(Tokens::new(store.clone(), identity.clone(), leases.clone(), cubbyholes.clone()));
        let expiration = Arc::new(ExpirationManager::new(
            leases.clone(),
            mounts.clone(),
            tokens.clone(),
            log.clone(),
            config.revoke_retry_base,
        ));
        Ok(Core {
            config,
            identity,
            identity_store,
            log,
            audit,
            policies,
            password_policies,
            catalog,
            mounts,
            leases,
            wrapping: ResponseWrapping::new(tokens.clone(), cubbyholes.clone()),
            cubbyholes,
            tokens,
            expiration,
            sealed: AtomicBool::new(true),
        })
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// Mounts everything and schedules the expiry of the leases.
    pub(crate) async fn unseal(&self) -> Result<(), StoreError> {
        let changes = self.mounts.begin_changes().await;
        if !self.is_sealed() {
            return Ok(());
        }
        changes.load_all().await?;
        self.leases.schedule_all()?;
        self.sealed.store(false, Ordering::Release);
        Ok(())
    }

    /// Stops the plugins after the requests in flight. A sealed server handles only status requests.
    pub(crate) async fn seal(&self) {
        let changes = self.mounts.begin_changes().await;
        self.sealed.store(true, Ordering::Release);
        self.leases.unschedule_all();
        changes.stop_all().await;
    }
}
