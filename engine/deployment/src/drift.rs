//! What a cluster would change if it were given some objects.

mod cluster;
mod field;

use std::path::PathBuf;

use serde::Serialize;

pub use cluster::compare_with_cluster;
pub use field::FieldDrift;

/// How a cluster is reached; what is not said is taken from the environment, as `kubectl` does.
#[derive(Clone, Debug, Default)]
pub struct ClusterConnection {
    /// A file.
    pub kubeconfig: Option<PathBuf>,
    /// An entry of the file.
    pub context: Option<String>,
}

/// An object, and how it is in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObjectDrift {
    /// Kind, namespace and name.
    pub object: String,
    /// The difference.
    #[serde(flatten)]
    pub drift: Drift,
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "drift", rename_all = "snake_case")]
pub enum Drift {
    /// It is as it should be.
    None,
    /// It is not there.
    Missing,
    /// It would change.
    Different {
        /// Where, from what, to what.
        fields: Vec<FieldDrift>,
    },
}

/// A comparison that came to no end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriftError {
    /// The file does not say how.
    #[error("could not find out how to reach the cluster")]
    Configuration(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A kind that the cluster has not.
    #[error("the cluster does not know {api_version} {kind}")]
    UnknownKind {
        /// Group and version.
        api_version: String,
        /// Kind.
        kind: String,
    },
    /// The cluster said no.
    #[error("the cluster refuses {object}: {message}")]
    Refused {
        /// Kind, namespace and name.
        object: String,
        /// In its words.
        message: String,
        /// As in HTTP.
        code: u16,
    },
    /// No answer.
    #[error("could not ask the cluster about {object}")]
    Unreachable {
        /// Kind, namespace and name.
        object: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl DriftError {
    /// What cures it.
    pub fn hint(&self) -> String {
        match self {
            Self::Configuration(_) => "Name the file with --kubeconfig or KUBECONFIG, and its entry with --context.".to_owned(),
            Self::UnknownKind { kind, .. } => {
                format!("Install what defines {kind}, or leave the part that makes it out.")
            }
            Self::Refused { code: 403, .. } => {
                "To compare, an account needs the verbs get and patch on these objects; nothing is changed.".to_owned()
            }
            Self::Refused { code: 422, .. } => {
                "Is what it adds to there? A patch needs the object that it is for: check -n and --statefulset.".to_owned()
            }
            Self::Refused { .. } => "Correct what the cluster names, and run this again.".to_owned(),
            Self::Unreachable { .. } => "Is the cluster there, and is --context the right one?".to_owned(),
        }
    }
}
