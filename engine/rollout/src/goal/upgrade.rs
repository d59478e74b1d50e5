//! The goal of `upgrade` and `rollback`: every mount of a plugin runs one version, verified.

use std::collections::BTreeMap;

use vault_api::catalog::PluginType;

use super::{DesiredValue, DesiredWrite, DowngradePolicy, OtherNodesPolicy, Plugin, RestartConsent};
use crate::consumer::Consumer;
use crate::version::Version;

/// The goal of `upgrade` and `rollback`.
#[derive(Clone, Debug)]
pub struct UpgradeGoal {
    /// The version.
    pub target: Target,
    /// The mounts; empty for every mount of the plugin.
    pub only_mounts: Vec<Consumer>,
    /// Whether mounts may be moved to an older version.
    pub downgrade: DowngradePolicy,
    /// Whether the version is tested on a canary mount first.
    pub canary: Canary,
    /// Smoke tests on the mounts after they run the version.
    pub smoke_tests: Vec<SmokeTest>,
    /// What breaks clients of the running version, one sentence each. Any is refused.
    pub breaking_changes: Vec<String>,
    /// Whether the version must survive a restart of a node.
    pub durability: Durability,
    /// What the user knows about nodes that this machine cannot observe.
    pub other_nodes_policy: OtherNodesPolicy,
    /// Whether every node is made active at the end.
    pub failover_test: FailoverTest,
    /// Which restarts of nodes the user has accepted.
    pub restart_consent: RestartConsent,
}

/// Whether a version must survive a restart of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Yes.
    #[default]
    Required,
    /// Yes, by this image of the init container.
    Image {
        /// The image.
        image: String,
        /// The hex sha256 of each file in it; `None` if it was not read.
        files: Option<BTreeMap<String, String>>,
    },
    /// No, as the user has accepted.
    NotRequired,
}

/// Whether failovers are tested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailoverTest {
    /// No.
    #[default]
    None,
    /// Once per node.
    EveryNode,
}

/// The target version.
#[derive(Clone, Debug)]
pub enum Target {
    /// A version that the caller provides.
    Provided(Box<Plugin>),
    /// A version that is registered and installed, with the checksum in the catalog.
    Registered {
        /// Type of the plugin.
        kind: PluginType,
        /// Name in the catalog.
        name: String,
        /// The version.
        version: Version,
    },
}

/// Whether a version is tested on a canary mount first.
#[derive(Clone, Debug)]
pub enum Canary {
    /// No.
    Skip,
    /// Yes. The canary mount is verified, smoke-tested and removed before any other mount is changed.
    Mount {
        /// What is written to it before the smoke test.
        writes: Vec<DesiredWrite>,
        /// The mount whose configuration is copied; `None` if the canary has a separate one.
        source_mount: Option<Consumer>,
        /// The smoke test.
        smoke: Option<SmokeRequest>,
    },
}

impl Canary {
    /// Leaves out the policies of the data for an auth method, so that a login at the canary mount grants nothing but the `default` policy.
    #[must_use]
    pub fn granting_nothing(mut self, kind: PluginType) -> Canary {
        if let (PluginType::Auth, Self::Mount { writes, .. }) = (kind, &mut self) {
            for write in writes {
                write.data.retain(|field, _| !is_policies_field(field));
            }
        }
        self
    }
}

/// Whether a field of an auth method contains the policies of its tokens: `policies` of old methods, `token_policies` of others.
fn is_policies_field(field: &str) -> bool {
    field == "policies" || field.ends_with("_policies")
}

/// A path below a mount that must return a lease or data when it is read, or a token after a login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmokeRequest {
    /// Path below the mount.
    pub path: String,
    /// The credentials of a login.
    pub data: BTreeMap<String, DesiredValue>,
}

/// The smoke test of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmokeTest {
    /// The mount.
    pub mount: Consumer,
    /// The request.
    pub request: SmokeRequest,
}

impl SmokeRequest {
    /// Returns the smoke test of a mount.
    pub fn on(self, mount: Consumer) -> SmokeTest {
        SmokeTest { mount, request: self }
    }
}

impl From<&str> for SmokeRequest {
    /// A path that is read.
    fn from(path: &str) -> SmokeRequest {
        SmokeRequest { path: path.to_owned(), data: BTreeMap::new() }
    }
}

impl SmokeTest {
    /// The path that is read, or at which it logs in.
    pub fn full_path(&self) -> String {
        self.mount.join(&self.request.path)
    }
}

impl UpgradeGoal {
    /// Type of the plugin.
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

    /// The target version.
    pub fn version(&self) -> &Version {
        match &self.target {
            Target::Provided(plugin) => &plugin.version,
            Target::Registered { version, .. } => version,
        }
    }

    /// Path of the canary mount: the same in every run, so that the mount of a killed run is recognized.
    pub(crate) fn canary_path(&self) -> Consumer {
        Consumer::canary(self.kind(), self.name(), self.version())
    }

    /// Name under which the canary is registered while the plugin is pinned to another version.
    pub(crate) fn canary_plugin_name(&self) -> String {
        format!("{}{CANARY_NAME_SUFFIX}", self.name())
    }
}

/// Suffix of the canary's name under a pin.
pub(crate) const CANARY_NAME_SUFFIX: &str = "-canary";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canary_path_of_a_version_is_always_the_same() {
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
            other_nodes_policy: OtherNodesPolicy::default(),
            failover_test: FailoverTest::None,
            restart_consent: RestartConsent::default(),
        };
        let path = upgrade.canary_path();
        assert_eq!(path.as_str(), "vault-token-plugin-canary/custom-1.2.3_build.5/");
        assert!(path.is_canary());
        assert!(path.as_str().parse::<Consumer>().is_ok());
        assert!(!"custom".parse::<Consumer>().expect("a path").is_canary());
    }
}
