//! Compares manifests with the objects of a cluster.

mod cluster;
mod field;

use std::path::PathBuf;

use serde::Serialize;

pub use cluster::compare_with_cluster;
pub use field::FieldDrift;

/// Which cluster. Missing values are taken from the environment, as `kubectl` does.
#[derive(Clone, Debug, Default)]
pub struct ClusterConnection {
    /// Path of a kubeconfig.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig.
    pub context: Option<String>,
}

/// An object, and its difference from the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObjectDrift {
    /// Kind, namespace and name.
    pub object: String,
    /// The difference.
    #[serde(flatten)]
    pub drift: Drift,
}

/// The difference of an object from the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "drift", rename_all = "snake_case")]
pub enum Drift {
    /// None.
    None,
    /// The object does not exist.
    Missing,
    /// Applying the manifest would change it.
    Different {
        /// The fields that would change.
        fields: Vec<FieldDrift>,
    },
}

/// A comparison that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriftError {
    /// The kubeconfig or the manifest cannot be used.
    #[error("could not load the cluster configuration")]
    Configuration(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The cluster does not have this kind.
    #[error("the cluster has no kind {kind} in {api_version}")]
    UnknownKind {
        /// Group and version.
        api_version: String,
        /// Kind.
        kind: String,
    },
    /// The cluster rejected the request.
    #[error("the cluster rejected {object}: {message}")]
    Refused {
        /// Kind, namespace and name.
        object: String,
        /// Message of the cluster.
        message: String,
        /// HTTP status code.
        code: u16,
    },
    /// The cluster did not respond.
    #[error("could not read {object} from the cluster")]
    Unreachable {
        /// Kind, namespace and name.
        object: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl DriftError {
    /// How to fix it.
    pub fn hint(&self) -> String {
        match self {
            Self::Configuration(_) => {
                "Set the file with --kubeconfig or KUBECONFIG, and its context with --context.".to_owned()
            }
            Self::UnknownKind { kind, .. } => {
                format!("Install the definition of {kind}, or omit the part that generates it.")
            }
            Self::Refused { code: 403, .. } => {
                "A comparison requires the verbs get and patch on these objects; it changes nothing."
                    .to_owned()
            }
            Self::Refused { code: 422, .. } => {
                "A patch requires the object that it extends: check -n and --statefulset.".to_owned()
            }
            Self::Refused { .. } => {
                "Fix what the message of the cluster names, and run this again.".to_owned()
            }
            Self::Unreachable { .. } => {
                "Check that the cluster is running, and that --context is the right one.".to_owned()
            }
        }
    }
}
