//! The goals of `deregister` and `gc`, which remove unused versions.

use vault_api::catalog::PluginType;

use crate::version::Version;

/// The goal of `deregister`: these versions are not registered, and not on any node.
#[derive(Clone, Debug)]
pub struct DeregisterGoal {
    /// Type of the plugin.
    pub kind: PluginType,
    /// Name in the catalog.
    pub name: String,
    /// The versions.
    pub versions: VersionSelector,
}

/// Versions of a plugin.
#[derive(Clone, Debug)]
pub enum VersionSelector {
    /// All, including the unversioned one.
    All,
    /// These versions.
    Only(Vec<Version>),
}

/// The goal of `gc`: no unused version is registered or on a node.
#[derive(Clone, Debug)]
pub struct GarbageCollectGoal {
    /// Only of this plugin.
    pub name: Option<String>,
    /// How many versions before the running one are kept.
    pub keep: usize,
}
