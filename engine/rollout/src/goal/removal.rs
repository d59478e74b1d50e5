//! What `deregister` and `gc` want: versions gone that nothing needs.

use vault_api::catalog::PluginType;

use crate::version::Version;

/// Goal of `deregister`: these versions in no catalog and on no node.
#[derive(Clone, Debug)]
pub struct Deregister {
    /// What the plugin is for.
    pub kind: PluginType,
    /// Name in the catalog.
    pub name: String,
    /// Which versions.
    pub versions: Versions,
}

/// Which versions of a plugin.
#[derive(Clone, Debug)]
pub enum Versions {
    /// Every one, also the unversioned one.
    All,
    /// These.
    These(Vec<Version>),
}

/// Goal of `gc`: no version in a catalog or on a node that nothing can need any more.
#[derive(Clone, Debug)]
pub struct Collect {
    /// Of this plugin only.
    pub name: Option<String>,
    /// How many versions before the one that runs are kept.
    pub keep: usize,
}
