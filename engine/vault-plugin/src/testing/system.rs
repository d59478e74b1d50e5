//! The host's settings for tests.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::logical::{
    CLUSTER, Cluster, ENTITIES, Entity, GROUPS, Group, IDENTITY_TOKENS, IdentityToken, Map, PASSWORDS,
    PluginEnvironment, ROTATION, ReplicationState, ResponseWrapInfo, RotationInformation, RotationJob,
    Sensitive, SystemView, SystemViewError, WRAPPING,
};

/// The values that [`StaticSystemView`] returns. `None` means that the host does not support the call.
///
/// ```
/// use vault_plugin::testing::SystemViewValues;
///
/// let host = SystemViewValues::default();
/// assert_eq!(host.default_lease_ttl.as_secs(), 24 * 60 * 60);
/// assert!(host.entities.is_none() && !host.tainted);
/// ```
#[derive(Clone)]
pub struct SystemViewValues {
    /// The default lease TTL. Default: one day.
    pub default_lease_ttl: Duration,
    /// The maximum lease TTL. Default: 32 days.
    pub max_lease_ttl: Duration,
    /// Whether the mount is being removed. Default: no.
    pub tainted: bool,
    /// Whether caching is disabled. Default: no.
    pub caching_disabled: bool,
    /// The replication state of the node. Default: active.
    pub replication_state: ReplicationState,
    /// Whether the mount is local. Default: no.
    pub local_mount: bool,
    /// The version of the host. Default: 0.0.0.
    pub plugin_env: PluginEnvironment,
    /// Whether plugins should lock their memory. Default: no.
    pub mlock_enabled: bool,
    /// The password that every policy generates. Default: unsupported.
    pub password: Option<String>,
    /// The entities by id. Default: unsupported.
    pub entities: Option<BTreeMap<String, Entity>>,
    /// The groups by entity id. Default: unsupported.
    pub groups: Option<BTreeMap<String, Vec<Group>>>,
    /// The result of wrapping. Default: unsupported.
    pub wrapped: Option<ResponseWrapInfo>,
    /// The cluster. Default: unsupported.
    pub cluster: Option<Cluster>,
    /// The token for every audience. Default: unsupported.
    pub identity_token: Option<IdentityToken>,
    /// The rotation state of every credential. Default: unsupported.
    pub rotation: Option<RotationInformation>,
    /// The registered jobs. Default: unsupported.
    pub rotation_jobs: Option<Vec<RotationJob>>,
}

/// Omits passwords and tokens.
impl fmt::Debug for SystemViewValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemViewValues")
            .field("default_lease_ttl", &self.default_lease_ttl)
            .field("max_lease_ttl", &self.max_lease_ttl)
            .field("replication_state", &self.replication_state)
            .field("plugin_env", &self.plugin_env)
            .finish_non_exhaustive()
    }
}

impl Default for SystemViewValues {
    fn default() -> Self {
        SystemViewValues {
            default_lease_ttl: Duration::from_hours(24),
            max_lease_ttl: Duration::from_hours(32 * 24),
            tainted: false,
            caching_disabled: false,
            replication_state: ReplicationState::ACTIVE,
            local_mount: false,
            plugin_env: PluginEnvironment { version: "0.0.0".to_owned(), ..PluginEnvironment::default() },
            mlock_enabled: false,
            password: None,
            entities: None,
            groups: None,
            wrapped: None,
            cluster: None,
            identity_token: None,
            rotation: None,
            rotation_jobs: None,
        }
    }
}

/// A [`SystemView`] with values that a test can change.
///
/// ```
/// use vault_plugin::logical::{SystemView, SystemViewError};
/// use vault_plugin::testing::StaticSystemView;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let system = StaticSystemView::default();
/// assert!(matches!(system.generate_password("long").await, Err(SystemViewError::Unsupported(_))));
/// system.update(|host| host.password = Some("hunter2".to_owned()));
/// assert_eq!(system.generate_password("long").await?.expose(), "hunter2");
/// # Ok(()) }
/// ```
#[derive(Default)]
pub struct StaticSystemView(Mutex<SystemViewValues>);

impl fmt::Debug for StaticSystemView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StaticSystemView").field(&*self.0.lock()).finish()
    }
}

impl StaticSystemView {
    /// Changes the values.
    ///
    /// ```
    /// # let system = vault_plugin::testing::StaticSystemView::default();
    /// system.update(|host| host.tainted = true);
    /// ```
    pub fn update(&self, change: impl FnOnce(&mut SystemViewValues)) {
        change(&mut self.0.lock());
    }

    /// Returns the values.
    ///
    /// ```
    /// # let system = vault_plugin::testing::StaticSystemView::default();
    /// system.update(|host| host.local_mount = true);
    /// assert!(system.values().local_mount);
    /// ```
    #[must_use]
    pub fn values(&self) -> SystemViewValues {
        self.0.lock().clone()
    }

    /// Sets the replication state of the node.
    ///
    /// ```
    /// # use vault_plugin::{logical::{ReplicationState, SystemView}, testing::StaticSystemView};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let system = StaticSystemView::default();
    /// system.set_replication_state(ReplicationState::PERFORMANCE_STANDBY);
    /// assert!(!system.replication_state().await?.is_write_safe(false));
    /// system.set_replication_state(ReplicationState::ACTIVE);
    /// assert!(system.replication_state().await?.is_write_safe(false));
    /// # Ok(()) }
    /// ```
    pub fn set_replication_state(&self, state: ReplicationState) {
        self.update(|host| host.replication_state = state);
    }
}

#[async_trait]
impl SystemView for StaticSystemView {
    async fn default_lease_ttl(&self) -> Result<Duration, SystemViewError> {
        Ok(self.0.lock().default_lease_ttl)
    }

    async fn max_lease_ttl(&self) -> Result<Duration, SystemViewError> {
        Ok(self.0.lock().max_lease_ttl)
    }

    async fn tainted(&self) -> Result<bool, SystemViewError> {
        Ok(self.0.lock().tainted)
    }

    async fn caching_disabled(&self) -> Result<bool, SystemViewError> {
        Ok(self.0.lock().caching_disabled)
    }

    async fn replication_state(&self) -> Result<ReplicationState, SystemViewError> {
        Ok(self.0.lock().replication_state)
    }

    async fn local_mount(&self) -> Result<bool, SystemViewError> {
        Ok(self.0.lock().local_mount)
    }

    async fn plugin_env(&self) -> Result<PluginEnvironment, SystemViewError> {
        Ok(self.0.lock().plugin_env.clone())
    }

    async fn generate_password(&self, _policy: &str) -> Result<Sensitive, SystemViewError> {
        or_unsupported(PASSWORDS, self.0.lock().password.clone().map(Sensitive::from))
    }

    async fn entity(&self, entity_id: &str) -> Result<Option<Entity>, SystemViewError> {
        or_unsupported(
            ENTITIES,
            self.0.lock().entities.as_ref().map(|entries| entries.get(entity_id).cloned()),
        )
    }

    async fn groups_of_entity(&self, entity_id: &str) -> Result<Vec<Group>, SystemViewError> {
        let host = self.0.lock();
        or_unsupported(
            GROUPS,
            host.groups.as_ref().map(|entries| entries.get(entity_id).cloned().unwrap_or_default()),
        )
    }

    async fn wrap(&self, _data: Map, ttl: Duration) -> Result<ResponseWrapInfo, SystemViewError> {
        or_unsupported(
            WRAPPING,
            self.0.lock().wrapped.clone().map(|wrapped| ResponseWrapInfo { ttl, ..wrapped }),
        )
    }

    async fn cluster(&self) -> Result<Cluster, SystemViewError> {
        or_unsupported(CLUSTER, self.0.lock().cluster.clone())
    }

    async fn mlock_enabled(&self) -> Result<bool, SystemViewError> {
        Ok(self.0.lock().mlock_enabled)
    }

    async fn identity_token(&self, _audience: &str, ttl: Duration) -> Result<IdentityToken, SystemViewError> {
        or_unsupported(
            IDENTITY_TOKENS,
            self.0.lock().identity_token.clone().map(|token| IdentityToken { ttl, ..token }),
        )
    }

    async fn rotation_information(&self, _path: &str) -> Result<RotationInformation, SystemViewError> {
        or_unsupported(ROTATION, self.0.lock().rotation.clone())
    }

    async fn register_rotation_job(&self, job: RotationJob) -> Result<String, SystemViewError> {
        let mut host = self.0.lock();
        let jobs = host.rotation_jobs.as_mut().ok_or(SystemViewError::Unsupported(ROTATION))?;
        jobs.push(job);
        Ok(format!("job-{}", jobs.len()))
    }

    async fn deregister_rotation_job(&self, mount_point: &str, path: &str) -> Result<(), SystemViewError> {
        let mut host = self.0.lock();
        let jobs = host.rotation_jobs.as_mut().ok_or(SystemViewError::Unsupported(ROTATION))?;
        jobs.retain(|job| job.mount_point != mount_point || job.path != path);
        Ok(())
    }
}

fn or_unsupported<T>(what: &'static str, value: Option<T>) -> Result<T, SystemViewError> {
    value.ok_or(SystemViewError::Unsupported(what))
}
