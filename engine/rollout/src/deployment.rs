//! Where plugin binaries live: one directory on every node.

pub(crate) mod kubernetes;
pub(crate) mod lease_lock;
pub(crate) mod local;
mod processes;
mod syncing_writer;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::PathBuf;

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedSender;
use vault_api::Client;

use crate::binary::Binary;
use crate::observed::PluginDirectory;
use crate::observed::deployment::{DeploymentObserved, NodeName};
use kubernetes::error::KubernetesError;
use lease_lock::LeaseLock;

/// Path of this program in the images that it makes.
pub(crate) const PROGRAM_PATH: &str = "/vault-token-plugin";

/// A place of plugins that can be looked at and changed.
#[async_trait]
pub trait Deployment: Debug + Send + Sync {
    /// Finds the active node anew, where the way to the server is the site's.
    async fn find_active(&self) -> Result<(), DeploymentError>;

    /// Whether the way to the server is the site's, so that it leads to another node when the active one is lost.
    fn follows_active_node(&self) -> bool {
        false
    }

    /// Looks at every node. What a node lacks is part of the answer; an error means that the site itself cannot be looked at.
    async fn observe(&self, question: &Query) -> Result<DeploymentObserved, DeploymentError>;

    /// Puts a binary onto nodes, all at once: under a temporary name, verified there against the binary's own sha256, renamed. `Ok` means that
    /// all of them have it. A node that has it already is left as it is.
    async fn place(
        &self,
        binary: &Binary,
        file: &str,
        nodes: &[NodeName],
        progress: UnboundedSender<CopyProgress>,
    ) -> Result<(), DeploymentError>;

    /// What the server of each node has logged lately, or why that is not known.
    async fn logs(&self) -> Result<BTreeMap<NodeName, Result<String, String>>, DeploymentError>;

    /// Takes a file away from nodes. One that has no such file is as wanted.
    async fn remove(&self, file: &str, nodes: &[NodeName]) -> Result<(), DeploymentError>;

    /// The server on one node; `None` where the site has no way to it of its own.
    async fn node_client(&self, node: &NodeName) -> Result<Option<Client>, DeploymentError>;

    /// Holds the right to change until the answer is released or dropped.
    async fn acquire_lock(&self) -> Result<LeaseLock, DeploymentError>;

    /// Restarts a node, if it is still the one with this uid: one that was recreated meanwhile needs no restart. Returns when that was
    /// asked for, not when it serves again.
    async fn restart_node(
        &self,
        node: &NodeName,
        uid: &str,
        unready: UnreadyPodPolicy,
    ) -> Result<(), DeploymentError>;

    /// Has a node pull an image as its init container would. Returns why that could not be tried; `None` when it is proven.
    ///
    /// # Errors
    /// When the node cannot pull it: the next start of any node would wait for it.
    async fn verify_image_pull(&self, image: &str) -> Result<Option<String>, DeploymentError>;

    /// Names the image from which nodes that are started anew get their binaries, and `files` as what is in it. Starts none anew.
    async fn set_init_image(
        &self,
        image: &str,
        files: Option<&BTreeSet<String>>,
    ) -> Result<(), DeploymentError>;
}

/// Whether a pod that is not ready, so that its absence costs nothing more, is restarted though a disruption budget forbids it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreadyPodPolicy {
    /// It is not: the budget is waited for.
    Evict,
    /// It is deleted: what goes back to a version that works must be able to end.
    Delete,
}

/// What is asked of a site.
#[derive(Clone, Debug)]
pub struct Query {
    /// Where the server looks for binaries.
    pub plugin_directory: PluginDirectory,
    /// The plugin whose files matter; `None` for all.
    pub plugin: Option<String>,
    /// The binary that shall run there.
    pub binary: Option<Binary>,
    /// How closely files are looked at.
    pub detail: Detail,
    /// Files whose content matters; `None` for all. A site may read others too.
    pub needed_files: Option<BTreeSet<String>>,
    /// How new the answer has to be.
    pub freshness: Freshness,
}

/// How new what is said of files and processes has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Of this moment.
    Now,
    /// Of the latest look, where a node is still the same and nothing has been done to it since. A site that looks quickly
    /// looks anew.
    MayBeCached,
}

/// How closely files are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// At those that are named as versions.
    Versions,
    /// At these too, at what could keep one from being started, and at what was left behind.
    Deep {
        /// File names in the plugin directory.
        files: BTreeSet<String>,
    },
}

impl Detail {
    /// Whether a file is to be looked at though it is not named as a version.
    pub(crate) fn includes(&self, file: &str) -> bool {
        match self {
            Self::Versions => false,
            Self::Deep { files } => files.contains(file),
        }
    }
}

/// How much of a binary is on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyProgress {
    /// Which node.
    pub node: NodeName,
    /// Bytes so far.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// What could not be seen or done at a site.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeploymentError {
    /// The file system said no.
    #[error("could not {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Another run writes the same file.
    #[error("another run is placing {path} at this moment")]
    Busy {
        /// Which file.
        path: PathBuf,
    },
    /// What was written is not what should have been.
    #[error("{path} was read back with sha256 {read_back} and not {wanted}")]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// As read.
        read_back: String,
        /// As wanted.
        wanted: String,
    },
    /// There is another file of that name.
    #[error("{path} exists with another content")]
    FileConflict {
        /// Which file.
        path: PathBuf,
    },
    /// A cluster said no.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    /// This kind of site has no such thing.
    #[error("a directory of this machine cannot {what}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
}
