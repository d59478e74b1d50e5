//! The directories in which plugin binaries are located, one on every node, and what a rollout asks of them.

mod error;
mod lease_lock;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedSender;
use vault_api::Client;

use crate::binary::Binary;
use crate::observed::PluginDirectory;
use crate::observed::deployment::{DeploymentObserved, NodeName};
use crate::step::UnreadyPodPolicy;

pub use error::{DeploymentError, DisruptionBudget};
pub use lease_lock::{LeaseLock, LockLost};

/// Path of this program in the images that it builds.
pub const PROGRAM_PATH: &str = "/vault-token-plugin";

/// The nodes of a server and their plugin directories.
///
/// A rollout depends on this trait only. The crate `deployment` implements it for the pods of a StatefulSet and for a directory of this
/// machine.
#[async_trait]
pub trait Deployment: Debug + Send + Sync {
    /// Looks for the active node again, if the connection to the server is made through the deployment.
    async fn find_active(&self) -> Result<(), DeploymentError>;

    /// Whether the connection to the server is made through the deployment, so that it follows the active node after a failover.
    fn follows_active_node(&self) -> bool {
        false
    }

    /// Observes every node. A node that is incomplete or not reachable is part of the result; an error means that the deployment as a
    /// whole could not be observed.
    async fn observe(&self, query: &Query) -> Result<DeploymentObserved, DeploymentError>;

    /// Copies a binary to nodes, in parallel: under a temporary name, verified there against the binary's sha256, then renamed. Nodes that
    /// have the file already are not changed. Returns `Ok` only if all nodes have it.
    async fn copy(
        &self,
        binary: &Binary,
        file: &str,
        nodes: &[NodeName],
        progress: UnboundedSender<CopyProgress>,
    ) -> Result<(), DeploymentError>;

    /// Returns the recent log of the server of each node, or why it could not be read.
    async fn logs(&self) -> Result<BTreeMap<NodeName, Result<String, String>>, DeploymentError>;

    /// Removes a file from nodes. A node without the file is not an error.
    async fn remove(&self, file: &str, nodes: &[NodeName]) -> Result<(), DeploymentError>;

    /// Returns a client of the server on one node; `None` if the deployment has no connection to it.
    async fn node_client(&self, node: &NodeName) -> Result<Option<Client>, DeploymentError>;

    /// Acquires the lock that allows one operator at a time to change the deployment.
    async fn acquire_lock(&self) -> Result<LeaseLock, DeploymentError>;

    /// Requests the restart of a node, if its pod still has this uid: a pod that was recreated in the meantime needs no restart. Does not
    /// wait until the node serves again.
    async fn restart_node(
        &self,
        node: &NodeName,
        uid: &str,
        unready: UnreadyPodPolicy,
    ) -> Result<(), DeploymentError>;

    /// Makes a node pull an image the way its init container would. Returns `None` if the node has pulled it, else why that could not be
    /// tested.
    ///
    /// # Errors
    /// If the node cannot pull the image: with it, no node could be restarted.
    async fn verify_image_pull(&self, image: &str) -> Result<Option<String>, DeploymentError>;

    /// Sets the image from which restarted nodes get their binaries, and records `files` as its content. Does not restart a node.
    async fn set_init_image(
        &self,
        image: &str,
        files: Option<&BTreeSet<String>>,
    ) -> Result<(), DeploymentError>;
}

/// What a snapshot asks of a deployment.
#[derive(Clone, Debug)]
pub struct Query {
    /// The server's plugin directory.
    pub plugin_directory: PluginDirectory,
    /// Child namespaces whose mounts the nodes report, with a trailing slash.
    pub namespaces: BTreeSet<String>,
    /// The plugin whose files are read; `None` for all plugins.
    pub plugin: Option<String>,
    /// The binary that the nodes are to run.
    pub binary: Option<Binary>,
    /// Level of detail.
    pub detail: Detail,
    /// Files whose content is read; `None` for all. A deployment may read more.
    pub needed_files: Option<BTreeSet<String>>,
    /// Required freshness.
    pub freshness: Freshness,
}

/// Required freshness of what is reported about files and processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Read now.
    Now,
    /// May be the previous result, if the node is the same and was not changed since. A deployment that reads quickly reads again.
    MayBeCached,
}

/// Level of detail at which files are examined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Files with the name of a version.
    Versions,
    /// Also these files, everything that could prevent a file from being started, and leftovers.
    Deep {
        /// File names in the plugin directory.
        files: BTreeSet<String>,
    },
}

impl Detail {
    /// Whether a file is examined although it does not have the name of a version.
    pub fn includes(&self, file: &str) -> bool {
        match self {
            Self::Versions => false,
            Self::Deep { files } => files.contains(file),
        }
    }
}

/// Progress of a copy to one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyProgress {
    /// The node.
    pub node: NodeName,
    /// Bytes copied.
    pub done: u64,
    /// Bytes in total.
    pub total: u64,
}
