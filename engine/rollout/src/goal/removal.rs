//! What `deregister` and `gc` want: versions gone that nothing needs.

use vault_api::catalog::PluginType;

use crate::version::Version;

/// Goal of `deregister`: these versions in no catalog and on no node.
#[derive(Clone, Debug)]
pub struct DeregisterGoal {
    /// What the plugin is for.
    pub kind: PluginType,
    /// Name in the catalog.
    pub name: String,
    /// Which versions.
    pub versions: VersionSelector,
}

/// Which versions of a plugin.
#[derive(Clone, Debug)]
pub enum VersionSelector {
    /// Every one, also the unversioned one.
    All,
    /// These.
    Only(Vec<Version>),
}

/// Goal of `gc`: no version in a catalog or on a node that nothing can need any more.
#[derive(Clone, Debug)]
pub struct GarbageCollectGoal {
    /// Of this plugin only.
    pub name: Option<String>,
    /// How many versions before the one that runs are kept.
    pub keep: usize,
}
