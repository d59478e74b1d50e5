//! What should be.

mod removal;
mod upgrade;

use std::collections::BTreeMap;

use serde_json::Value;
use vault_api::SecretString;
use vault_api::catalog::PluginType;

use crate::binary::{Binary, ProbeOutcome};
use crate::mount_path::MountPath;
use crate::version::Version;

pub use removal::{DeregisterGoal, GarbageCollectGoal, VersionSelector};
pub(crate) use upgrade::CANARY_NAME_SUFFIX;
pub use upgrade::{Canary, Durability, FailoverTest, SmokeTest, Target, UpgradeGoal};

/// What an operation wants to be true. It has no `Serialize`: values to be written may be secret.
#[derive(Clone, Debug)]
pub enum Goal {
    /// A version in place, in the catalog, running at its mounts, configured.
    Register(Box<RegisterGoal>),
    /// Every mount of a plugin on one version, newer or older.
    Upgrade(Box<UpgradeGoal>),
    /// Mounts started anew, running what they are configured to run.
    Reload(ReloadGoal),
    /// Versions gone.
    Deregister(DeregisterGoal),
    /// Everything gone that nothing can need any more.
    GarbageCollect(GarbageCollectGoal),
}

/// Goal of `register`.
#[derive(Clone, Debug)]
pub struct RegisterGoal {
    /// The plugin.
    pub plugin: Plugin,
    /// Where it should be mounted; only for secrets engines.
    pub mounts: Vec<DesiredMount>,
    /// Whether a mount may go to an older version.
    pub downgrade: DowngradePolicy,
    /// What to do with values that cannot be compared.
    pub rewrite: RewritePolicy,
    /// Whether the version must still be there when a node is started anew.
    pub durability: Durability,
    /// Which restarts of nodes somebody has agreed to.
    pub restart_consent: RestartConsent,
    /// What is known of nodes that this machine cannot look at.
    pub placement: Placement,
}

/// A version of a plugin.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// What it is for.
    pub kind: PluginType,
    /// Name in the catalog.
    pub name: String,
    /// Version.
    pub version: Version,
    /// Arguments that the server starts it with.
    pub args: Vec<String>,
    /// Environment as `KEY=value`. Servers never show it, so it is not compared.
    pub env: Vec<SecretString>,
    /// The file.
    pub binary: Binary,
    /// What it said when it was started.
    pub probe: ProbeOutcome,
}

/// A mount that should be.
#[derive(Clone, Debug)]
pub struct DesiredMount {
    /// Where.
    pub path: MountPath,
    /// What should be written there, in this order.
    pub writes: Vec<DesiredWrite>,
    /// Path below the mount that must return a lease or data when read; not part of the plan.
    pub smoke: Option<String>,
}

/// Fields that should be at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredWrite {
    /// Below the mount, for example `config`.
    pub path: String,
    /// Fields.
    pub data: BTreeMap<String, DesiredValue>,
}

/// A wanted value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DesiredValue {
    /// May be shown.
    Plain(Value),
    /// May not.
    Secret(SecretString),
}

/// What somebody says of the nodes that this machine cannot look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The binary is in place on these.
    PlacedOn(Vec<String>),
    /// It need not be on any: a failover may break the plugin's mounts.
    ThisNodeOnly,
}

impl Default for Placement {
    fn default() -> Self {
        Self::PlacedOn(Vec::new())
    }
}

/// Whether a mount may go to an older version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DowngradePolicy {
    /// No.
    Refuse,
    /// Yes.
    Allow,
}

/// What to do with values that the server does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RewritePolicy {
    /// Leave them once they were written.
    Never,
    /// Write them in every run.
    Unreadable,
}

/// Goal of `reload`.
#[derive(Clone, Debug)]
pub struct ReloadGoal {
    /// Which mounts.
    pub target: ReloadTarget,
    /// Which restarts of nodes somebody has agreed to.
    pub restart_consent: RestartConsent,
}

/// Which mounts to reload.
#[derive(Clone, Debug)]
pub enum ReloadTarget {
    /// Every mount of a plugin.
    Plugin {
        /// What it is for; only secrets engines have mounts here.
        kind: PluginType,
        /// Name in the catalog.
        name: String,
    },
    /// These.
    Mounts(Vec<MountPath>),
}

/// Whether nodes are restarted that people have to unseal afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SealedRestart {
    /// No.
    #[default]
    Refuse,
    /// Yes: somebody is there to unseal them.
    Allow,
}

/// Whether a node is restarted without which the other voters of raft are no majority: until it is back, nothing can be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuorumLoss {
    /// No.
    #[default]
    Refuse,
    /// Yes: somebody accepts the pause.
    Allow,
}

/// Which restarts of nodes somebody has agreed to that are refused otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestartConsent {
    /// Of nodes that do not unseal themselves.
    pub sealed: SealedRestart,
    /// Of a node whose absence costs raft its quorum.
    pub quorum_loss: QuorumLoss,
}

impl Goal {
    /// The mounts it names, with what is to be written there.
    pub(crate) fn mounts(&self) -> &[DesiredMount] {
        match self {
            Self::Register(register) => &register.mounts,
            Self::Upgrade(_) | Self::Reload(_) | Self::Deregister(_) | Self::GarbageCollect(_) => &[],
        }
    }

    /// The version that the caller brings.
    pub(crate) fn provided_plugin(&self) -> Option<&Plugin> {
        match self {
            Self::Register(register) => Some(&register.plugin),
            Self::Upgrade(upgrade) => match &upgrade.target {
                Target::Provided(plugin) => Some(plugin),
                Target::Registered { .. } => None,
            },
            Self::Reload(_) | Self::Deregister(_) | Self::GarbageCollect(_) => None,
        }
    }

    /// What somebody says of other nodes; `None` for what starts no other binary than before.
    pub(crate) fn placement(&self) -> Option<&Placement> {
        match self {
            Self::Register(register) => Some(&register.placement),
            Self::Upgrade(upgrade) => Some(&upgrade.placement),
            Self::Reload(_) | Self::Deregister(_) | Self::GarbageCollect(_) => None,
        }
    }

    /// Whether it says which image nodes are started from next.
    pub(crate) fn sets_init_image(&self) -> bool {
        matches!(self, Self::Upgrade(upgrade) if matches!(upgrade.durability, Durability::Image { .. }))
    }

    /// The one plugin that it is about; `None` when it is about any.
    pub(crate) fn plugin_name(&self) -> Option<&str> {
        match self {
            Self::Register(register) => Some(&register.plugin.name),
            Self::Upgrade(upgrade) => Some(upgrade.name()),
            Self::Deregister(deregister) => Some(&deregister.name),
            Self::GarbageCollect(collect) => collect.name.as_deref(),
            Self::Reload(_) => None,
        }
    }
}

impl Goal {
    /// Which restarts of nodes somebody has agreed to.
    pub(crate) fn restart_consent(&self) -> RestartConsent {
        match self {
            Self::Register(register) => register.restart_consent,
            Self::Upgrade(upgrade) => upgrade.restart_consent,
            Self::Reload(reload) => reload.restart_consent,
            Self::Deregister(_) | Self::GarbageCollect(_) => RestartConsent::default(),
        }
    }

    /// Whether it may restart nodes, or make them active.
    pub(crate) fn may_restart_nodes(&self) -> bool {
        matches!(self, Self::Register(_) | Self::Upgrade(_) | Self::Reload(_))
    }

    /// Whether it goes back to a version that is there already, which is for the hour in which things are broken.
    pub(crate) fn is_rollback(&self) -> bool {
        matches!(self, Self::Upgrade(upgrade) if matches!(upgrade.target, Target::Registered { .. }))
    }
}

impl Plugin {
    /// Name of its file on a node.
    pub fn file_name(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

impl DesiredValue {
    /// The value itself, for the request that writes it.
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::Secret(secret) => Value::String(secret.expose().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wanted_secret_is_not_shown() {
        let write = DesiredWrite {
            path: "config".into(),
            data: BTreeMap::from([(
                "api_key".to_owned(),
                DesiredValue::Secret(SecretString::new("hunter2")),
            )]),
        };
        assert!(!format!("{write:?}").contains("hunter2"));
    }
}
