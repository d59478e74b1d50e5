//! What a host tells an engine about itself and the mount.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Entity, Group, IdentityToken, Map, ResponseWrapInfo, RotationInformation, RotationJob, Sensitive,
};

/// The host's settings, and what else it does for its mounts. Every call goes to the host.
///
/// Not every host can everything: those that lack a call answer [`SystemViewError::Unsupported`], which is also what a
/// method does that an implementation leaves out. Starting or looking up other plugins is possible inside of a host only,
/// and so is asking for its licensed features.
///
/// ```
/// use std::time::Duration;
/// use vault_plugin::logical::{SystemView, SystemViewError};
/// # use vault_plugin::testing::StaticSystemView;
///
/// async fn allowed(system: &dyn SystemView, ttl: Duration) -> Result<Duration, SystemViewError> {
///     Ok(ttl.min(system.max_lease_ttl().await?))
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let system = StaticSystemView::default();
/// system.update(|host| host.max_lease_ttl = Duration::from_hours(1));
/// assert_eq!(allowed(&system, Duration::from_hours(24)).await?, Duration::from_hours(1));
/// # Ok(()) }
/// ```
#[async_trait]
pub trait SystemView: Send + Sync {
    /// The lease duration that the mount gives where an engine asks for none.
    async fn default_lease_ttl(&self) -> Result<Duration, SystemViewError>;
    /// The longest lease that the mount allows.
    async fn max_lease_ttl(&self) -> Result<Duration, SystemViewError>;
    /// Whether the mount is being removed.
    async fn tainted(&self) -> Result<bool, SystemViewError>;
    /// Whether nothing may be cached.
    async fn caching_disabled(&self) -> Result<bool, SystemViewError>;
    /// The replication state of the node. It changes when a standby is promoted: ask anew for every decision.
    async fn replication_state(&self) -> Result<ReplicationState, SystemViewError>;
    /// Whether the mount is local to the cluster.
    async fn local_mount(&self) -> Result<bool, SystemViewError>;
    /// The version of the host.
    async fn plugin_env(&self) -> Result<PluginEnvironment, SystemViewError>;
    /// A password made after a policy of the host.
    async fn generate_password(&self, policy: &str) -> Result<Sensitive, SystemViewError>;

    /// The entity with this id, as in [`Request::entity_id`](super::Request::entity_id); `None` where there is none.
    async fn entity(&self, entity_id: &str) -> Result<Option<Entity>, SystemViewError> {
        let _ = entity_id;
        Err(SystemViewError::Unsupported(ENTITIES))
    }
    /// The groups that an entity is a member of, by itself or through other groups.
    async fn groups_of_entity(&self, entity_id: &str) -> Result<Vec<Group>, SystemViewError> {
        let _ = entity_id;
        Err(SystemViewError::Unsupported(GROUPS))
    }
    /// Keeps data for somebody who will unwrap it, at most for `ttl`.
    ///
    /// Vault 1.21 and OpenBao 2.6 refuse it to plugins outside of their process (`no namespace`), whatever these are
    /// written in. To have an answer wrapped, set [`Response::wrap_info`](super::Response::wrap_info), which works.
    async fn wrap(&self, data: Map, ttl: Duration) -> Result<ResponseWrapInfo, SystemViewError> {
        let _ = (data, ttl);
        Err(SystemViewError::Unsupported(WRAPPING))
    }
    /// The name and the id of the cluster; Vault 1.21 and OpenBao 2.6 leave the name out.
    async fn cluster(&self) -> Result<Cluster, SystemViewError> {
        Err(SystemViewError::Unsupported(CLUSTER))
    }
    /// Whether plugins are to lock their memory.
    async fn mlock_enabled(&self) -> Result<bool, SystemViewError> {
        Err(SystemViewError::Unsupported(MLOCK))
    }
    /// A token that proves to `audience` which mount is asking, valid for `ttl` in whole seconds (Vault Enterprise).
    async fn identity_token(&self, audience: &str, ttl: Duration) -> Result<IdentityToken, SystemViewError> {
        let _ = (audience, ttl);
        Err(SystemViewError::Unsupported(IDENTITY_TOKENS))
    }
    /// When the credential at a path of the API, mount included, was and will be rotated (Vault Enterprise 1.21).
    async fn rotation_information(&self, path: &str) -> Result<RotationInformation, SystemViewError> {
        let _ = path;
        Err(SystemViewError::Unsupported(ROTATION))
    }
    /// Has a credential rotated by the host, and returns the id of the job (Vault Enterprise 1.19).
    async fn register_rotation_job(&self, job: RotationJob) -> Result<String, SystemViewError> {
        let _ = job;
        Err(SystemViewError::Unsupported(ROTATION))
    }
    /// Ends the rotation of the credential at a path, relative to the mount at `mount_point`.
    async fn deregister_rotation_job(&self, mount_point: &str, path: &str) -> Result<(), SystemViewError> {
        let _ = (mount_point, path);
        Err(SystemViewError::Unsupported(ROTATION))
    }
}

pub(crate) const PASSWORDS: &str = "passwords from policies";
pub(crate) const ENTITIES: &str = "entities";
pub(crate) const GROUPS: &str = "groups of entities";
pub(crate) const WRAPPING: &str = "wrapping of data";
pub(crate) const CLUSTER: &str = "the name of its cluster";
pub(crate) const MLOCK: &str = "its setting of memory locks";
pub(crate) const IDENTITY_TOKENS: &str = "identity tokens";
pub(crate) const ROTATION: &str = "rotation of credentials";

/// Which program the host is.
///
/// ```
/// use vault_plugin::logical::Product;
///
/// fn client(host: Product) -> &'static str {
///     match host {
///         Product::Vault => "vault",
///         Product::OpenBao => "bao",
///     }
/// }
/// assert_eq!(client(Product::OpenBao), "bao");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Product {
    /// HashiCorp Vault.
    #[default]
    Vault,
    /// OpenBao.
    OpenBao,
}

/// The cluster that the host is a node of.
///
/// ```
/// use vault_plugin::logical::{Cluster, SystemView};
/// # use vault_plugin::testing::StaticSystemView;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let system = StaticSystemView::default();
/// let cluster = Cluster { id: "b3a2d1e0".to_owned(), ..Cluster::default() };
/// system.update(|host| host.cluster = Some(cluster));
/// assert_eq!(system.cluster().await?.id, "b3a2d1e0");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
}

/// The host, as it describes itself.
///
/// ```
/// use vault_plugin::logical::{PluginEnvironment, SystemView};
/// # use vault_plugin::testing::StaticSystemView;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let system = StaticSystemView::default();
/// let env = PluginEnvironment { version: "1.21.4".to_owned(), ..PluginEnvironment::default() };
/// system.update(|host| host.plugin_env = env);
/// assert_eq!(system.plugin_env().await?.version, "1.21.4");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginEnvironment {
    /// For example `1.21.4`.
    pub version: String,
    /// For example `rc1`.
    pub prerelease: String,
    /// For example `ent`.
    pub metadata: String,
}

/// The bits of `sdk/helper/consts/replication.go`.
///
/// ```
/// use vault_plugin::logical::{ReplicationState, SystemView};
/// # use vault_plugin::testing::StaticSystemView;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let system = StaticSystemView::default();
/// assert_eq!(system.replication_state().await?, ReplicationState::ACTIVE);
/// system.set_replication_state(ReplicationState::PERFORMANCE_STANDBY);
/// assert!(!system.replication_state().await?.is_write_safe(system.local_mount().await?));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReplicationState(u32);

impl ReplicationState {
    /// Neither standby nor secondary.
    pub const ACTIVE: ReplicationState = ReplicationState(0);
    /// A secondary cluster of performance replication.
    pub const PERFORMANCE_SECONDARY: ReplicationState = ReplicationState(1 << 6);
    /// A secondary cluster of disaster recovery.
    pub const DR_SECONDARY: ReplicationState = ReplicationState(1 << 9);
    /// A standby node that serves reads (Vault Enterprise, OpenBao 2.5 and later).
    pub const PERFORMANCE_STANDBY: ReplicationState = ReplicationState(1 << 14);

    /// From the number that hosts send.
    ///
    /// ```
    /// # use vault_plugin::logical::ReplicationState;
    /// assert_eq!(ReplicationState::from_bits(1 << 14), ReplicationState::PERFORMANCE_STANDBY);
    /// ```
    #[must_use]
    pub fn from_bits(bits: u32) -> ReplicationState {
        ReplicationState(bits)
    }

    /// The number that hosts send.
    ///
    /// ```
    /// # use vault_plugin::logical::ReplicationState;
    /// assert_eq!(ReplicationState::DR_SECONDARY.bits(), 1 << 9);
    /// ```
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether all bits of `state` are set.
    ///
    /// ```
    /// # use vault_plugin::logical::ReplicationState;
    /// let bits = ReplicationState::PERFORMANCE_SECONDARY.bits() | ReplicationState::PERFORMANCE_STANDBY.bits();
    /// let state = ReplicationState::from_bits(bits);
    /// assert!(state.has(ReplicationState::PERFORMANCE_STANDBY) && !state.has(ReplicationState::DR_SECONDARY));
    /// ```
    #[must_use]
    pub fn has(self, state: ReplicationState) -> bool {
        self.0 & state.0 == state.0
    }

    /// Whether a mount on this node can write to its storage (`WriteSafeReplicationState` of `sdk/framework`).
    ///
    /// ```
    /// # use vault_plugin::logical::ReplicationState;
    /// let secondary = ReplicationState::PERFORMANCE_SECONDARY;
    /// assert!(!secondary.is_write_safe(false));
    /// assert!(secondary.is_write_safe(true));
    /// ```
    #[must_use]
    pub fn is_write_safe(self, local_mount: bool) -> bool {
        (local_mount || !self.has(ReplicationState::PERFORMANCE_SECONDARY))
            && !self.has(ReplicationState::DR_SECONDARY)
            && !self.has(ReplicationState::PERFORMANCE_STANDBY)
    }
}

impl fmt::Debug for ReplicationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplicationState({:#b})", self.0)
    }
}

/// Why the host's settings could not be asked.
///
/// ```
/// use vault_plugin::logical::{SystemView, SystemViewError};
/// # use vault_plugin::testing::StaticSystemView;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let system = StaticSystemView::default();
/// let refused = system.generate_password("long").await.unwrap_err();
/// assert!(matches!(refused, SystemViewError::Unsupported(_)));
/// assert_eq!(refused.to_string(), "the host does not offer passwords from policies");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
pub enum SystemViewError {
    /// The host refused; its own words.
    #[error("{0}")]
    Host(String),
    /// The host has no such call.
    #[error("the host does not offer {0}")]
    Unsupported(&'static str),
    /// The host could not be reached.
    #[error("the host's settings are out of reach: {0}")]
    Unreachable(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_those_that_hosts_send() {
        assert_eq!(ReplicationState::PERFORMANCE_SECONDARY.bits(), 64);
        assert_eq!(ReplicationState::DR_SECONDARY.bits(), 512);
        assert_eq!(ReplicationState::PERFORMANCE_STANDBY.bits(), 16384);
    }

    #[test]
    fn a_standby_and_a_secondary_cannot_write_but_a_local_mount_of_a_secondary_can() {
        assert!(ReplicationState::ACTIVE.is_write_safe(false));
        assert!(!ReplicationState::PERFORMANCE_STANDBY.is_write_safe(true));
        assert!(!ReplicationState::DR_SECONDARY.is_write_safe(true));
        assert!(!ReplicationState::PERFORMANCE_SECONDARY.is_write_safe(false));
        assert!(ReplicationState::PERFORMANCE_SECONDARY.is_write_safe(true));
    }
}
