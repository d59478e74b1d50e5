//! What `upgrade` and `rollback` want: every mount of a plugin on one version, and proof of it.

use std::collections::BTreeMap;

use vault_api::catalog::PluginType;

use super::{DesiredWrite, DowngradePolicy, Placement, Plugin, RestartConsent};
use crate::mount_path::MountPath;
use crate::version::Version;

/// Goal of `upgrade` and of `rollback`.
#[derive(Clone, Debug)]
pub struct UpgradeGoal {
    /// To which version.
    pub target: Target,
    /// Only these mounts; every mount of the plugin when empty.
    pub only_mounts: Vec<MountPath>,
    /// Whether a mount may go to an older version.
    pub downgrade: DowngradePolicy,
    /// Whether the version has to work on a mount of its own first.
    pub canary: Canary,
    /// What is read on the real mounts once they run the version. A lease is revoked again.
    pub smoke_tests: Vec<SmokeTest>,
    /// What clients of the running version would miss, a sentence each; any of it is refused.
    pub breaking_changes: Vec<String>,
    /// Whether the version must still be there when a node is started anew.
    pub durability: Durability,
    /// What is known of nodes that this machine cannot look at.
    pub placement: Placement,
    /// Whether every node is made the active one, at the end.
    pub failover_test: FailoverTest,
    /// Which restarts of nodes somebody has agreed to.
    pub restart_consent: RestartConsent,
}

/// Whether a version must still be there when a node is started anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It must.
    #[default]
    Required,
    /// It must, and this image brings it.
    Image {
        /// Its name.
        image: String,
        /// The hex sha256 of each file that it brings; `None` where it was not read.
        files: Option<BTreeMap<String, String>>,
    },
    /// It need not: somebody has said so.
    NotRequired,
}

/// Whether a failover is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailoverTest {
    /// No.
    #[default]
    None,
    /// Once for every node.
    EveryNode,
}

/// The version to move to.
#[derive(Clone, Debug)]
pub enum Target {
    /// One that the caller brings.
    Provided(Box<Plugin>),
    /// One that is registered and in place; its checksum is the catalog's.
    Registered {
        /// What it is for.
        kind: PluginType,
        /// Name in the catalog.
        name: String,
        /// Version.
        version: Version,
    },
}

/// Whether the version has to work on a mount of its own first.
#[derive(Clone, Debug)]
pub enum Canary {
    /// No.
    Skip,
    /// Yes. It is mounted, proven, tried, and removed before any other mount is touched.
    Mount {
        /// What is written there before it is tried.
        writes: Vec<DesiredWrite>,
        /// The mount whose configuration that is; `None` when it is the trial's own.
        source_mount: Option<MountPath>,
        /// What is read there, below the mount.
        smoke_path: Option<String>,
    },
}

/// A path that must return a lease or data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmokeTest {
    /// Of which mount.
    pub mount: MountPath,
    /// Below it.
    pub path: String,
}

impl UpgradeGoal {
    /// What the plugin is for.
    pub fn kind(&self) -> PluginType {
        match &self.target {
            Target::Provided(plugin) => plugin.kind,
            Target::Registered { kind, .. } => *kind,
        }
    }

    /// Name of the plugin.
    pub fn name(&self) -> &str {
        match &self.target {
            Target::Provided(plugin) => &plugin.name,
            Target::Registered { name, .. } => name,
        }
    }

    /// The version to move to.
    pub fn version(&self) -> &Version {
        match &self.target {
            Target::Provided(plugin) => &plugin.version,
            Target::Registered { version, .. } => version,
        }
    }

    /// Where its canary is mounted: the same in every run, so that one which a killed run has left is known again.
    pub(crate) fn canary_path(&self) -> MountPath {
        MountPath::canary(self.name(), self.version())
    }

    /// Name under which the canary is registered while a pin keeps the plugin's own name on another version.
    pub(crate) fn canary_plugin_name(&self) -> String {
        format!("{}{CANARY_NAME_SUFFIX}", self.name())
    }
}

/// What the name of a canary under a pin ends with.
pub(crate) const CANARY_NAME_SUFFIX: &str = "-canary";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_has_one_path_a_version_that_is_known_again() {
        let upgrade = UpgradeGoal {
            target: Target::Registered {
                kind: PluginType::Secret,
                name: "custom".into(),
                version: "1.2.3+build.5".parse().expect("a version"),
            },
            only_mounts: Vec::new(),
            downgrade: DowngradePolicy::Refuse,
            canary: Canary::Skip,
            smoke_tests: Vec::new(),
            breaking_changes: Vec::new(),
            durability: Durability::Required,
            placement: Placement::default(),
            failover_test: FailoverTest::None,
            restart_consent: RestartConsent::default(),
        };
        let path = upgrade.canary_path();
        assert_eq!(path.as_str(), "vault-token-plugin-canary/custom-1.2.3_build.5/");
        assert!(path.is_canary());
        assert!(path.as_str().parse::<MountPath>().is_ok());
        assert!(!"custom".parse::<MountPath>().expect("a path").is_canary());
    }
}
