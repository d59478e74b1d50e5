//! What should be.

mod removal;
mod upgrade;

use std::collections::BTreeMap;

use serde_json::Value;
use vault_api::SecretString;
use vault_api::catalog::PluginType;

use crate::binary::{Binary, ProbeOutcome};
use crate::consumer::Consumer;
use crate::version::Version;

pub use removal::{DeregisterGoal, GarbageCollectGoal, VersionSelector};
pub(crate) use upgrade::CANARY_NAME_SUFFIX;
pub use upgrade::{Canary, Durability, FailoverTest, SmokeRequest, SmokeTest, Target, UpgradeGoal};

/// The desired state of an operation. Not serializable, because it contains secrets.
#[derive(Clone, Debug)]
pub enum Goal {
    /// A version that is installed, registered, and running on configured mounts.
    Register(Box<RegisterGoal>),
    /// Every mount of a plugin on one version, newer or older.
    Upgrade(Box<UpgradeGoal>),
    /// Mounts that are reloaded and run their configured versions.
    Reload(ReloadGoal),
    /// Versions that are removed.
    Deregister(DeregisterGoal),
    /// All unused versions removed.
    GarbageCollect(GarbageCollectGoal),
}

/// The goal of `register`.
#[derive(Clone, Debug)]
pub struct RegisterGoal {
    /// The plugin.
    pub plugin: Plugin,
    /// Its mounts.
    pub mounts: Vec<DesiredMount>,
    /// Whether mounts may be moved to an older version.
    pub downgrade: DowngradePolicy,
    /// What to do with values that the server does not show.
    pub rewrite: RewritePolicy,
    /// Whether the version must survive a restart of a node.
    pub durability: Durability,
    /// Which restarts of nodes the user has accepted.
    pub restart_consent: RestartConsent,
    /// What the user knows about nodes that this machine cannot observe.
    pub other_nodes_policy: OtherNodesPolicy,
}

/// A version of a plugin.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// Type of the plugin.
    pub kind: PluginType,
    /// Name in the catalog.
    pub name: String,
    /// The version.
    pub version: Version,
    /// Arguments with which the server starts it.
    pub args: Vec<String>,
    /// Environment as `KEY=value`. Servers do not show it, so it is not compared.
    pub env: Vec<SecretString>,
    /// The binary.
    pub binary: Binary,
    /// The result of starting it.
    pub probe: ProbeOutcome,
}

/// A desired mount.
#[derive(Clone, Debug)]
pub struct DesiredMount {
    /// Its path.
    pub path: Consumer,
    /// What is written to it, in this order.
    pub writes: Vec<DesiredWrite>,
    /// Its smoke test, after a run has changed anything.
    pub smoke: Option<SmokeRequest>,
}

impl DesiredMount {
    /// Its smoke test, if it has one.
    pub(crate) fn smoke_test(&self) -> Option<SmokeTest> {
        Some(self.smoke.clone()?.on(self.path.clone()))
    }
}

/// Desired fields of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredWrite {
    /// Path below the mount, for example `config`.
    pub path: String,
    /// The fields.
    pub data: BTreeMap<String, DesiredValue>,
}

/// A desired value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DesiredValue {
    /// A value that can be shown.
    Plain(Value),
    /// A secret value.
    Secret(SecretString),
    /// A map, of which each value can be a secret.
    Fields(BTreeMap<String, DesiredValue>),
}

/// What the user knows about nodes that this machine cannot observe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtherNodesPolicy {
    /// These have the binary.
    InstalledOn(Vec<String>),
    /// They need not have it: a failover may break the plugin's mounts.
    ThisNodeOnly,
}

impl Default for OtherNodesPolicy {
    fn default() -> Self {
        Self::InstalledOn(Vec::new())
    }
}

/// Whether mounts may be moved to an older version.
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
    /// Do not write them again.
    Never,
    /// Write them in every run.
    Unreadable,
}

/// The goal of `reload`.
#[derive(Clone, Debug)]
pub struct ReloadGoal {
    /// The mounts.
    pub target: ReloadTarget,
    /// Which restarts of nodes the user has accepted.
    pub restart_consent: RestartConsent,
}

/// The mounts to reload.
#[derive(Clone, Debug)]
pub enum ReloadTarget {
    /// Every mount of a plugin.
    Plugin {
        /// Type of the plugin.
        kind: PluginType,
        /// Name in the catalog.
        name: String,
    },
    /// These mounts.
    Mounts(Vec<Consumer>),
}

/// Whether nodes are restarted that have to be unsealed manually.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SealedRestart {
    /// No.
    #[default]
    Refuse,
    /// Yes, the user will unseal them.
    Allow,
}

/// Whether a node is restarted whose absence costs raft its quorum, so that writes fail until it is back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuorumLoss {
    /// No.
    #[default]
    Refuse,
    /// Yes, the user accepts the interruption.
    Allow,
}

/// Which restarts of nodes the user has accepted that are refused by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestartConsent {
    /// Of nodes that have to be unsealed manually.
    pub sealed: SealedRestart,
    /// Of a node whose absence costs raft its quorum.
    pub quorum_loss: QuorumLoss,
}

impl Goal {
    /// Its mounts, with what is written to them.
    pub(crate) fn mounts(&self) -> &[DesiredMount] {
        match self {
            Self::Register(register) => &register.mounts,
            Self::Upgrade(_) | Self::Reload(_) | Self::Deregister(_) | Self::GarbageCollect(_) => &[],
        }
    }

    /// The smoke tests of its mounts, except that of a canary mount.
    pub(crate) fn smoke_tests(&self) -> Vec<SmokeTest> {
        match self {
            Self::Register(register) => register.mounts.iter().filter_map(DesiredMount::smoke_test).collect(),
            Self::Upgrade(upgrade) => upgrade.smoke_tests.clone(),
            Self::Reload(_) | Self::Deregister(_) | Self::GarbageCollect(_) => Vec::new(),
        }
    }

    /// The version that the caller provides.
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

    /// What the user knows about other nodes; `None` for goals that start no new binary.
    pub(crate) fn other_nodes_policy(&self) -> Option<&OtherNodesPolicy> {
        match self {
            Self::Register(register) => Some(&register.other_nodes_policy),
            Self::Upgrade(upgrade) => Some(&upgrade.other_nodes_policy),
            Self::Reload(_) | Self::Deregister(_) | Self::GarbageCollect(_) => None,
        }
    }

    /// Whether it sets the image of the init container.
    pub(crate) fn sets_init_image(&self) -> bool {
        matches!(self, Self::Upgrade(upgrade) if matches!(upgrade.durability, Durability::Image { .. }))
    }

    /// The plugin; `None` if the goal is not about a single one.
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
    /// Which restarts of nodes the user has accepted.
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

    /// Whether it moves mounts to a version that is installed already.
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
    /// Returns the value for the request that writes it. It may be a secret.
    pub fn value(&self) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::Secret(secret) => Value::String(secret.expose().to_owned()),
            Self::Fields(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), value.value())).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desired_secret_is_not_shown() {
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
