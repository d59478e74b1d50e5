//! Errors of a deployment, by what a run does about them.

use std::error::Error;

use crate::observed::deployment::NodeName;

/// A deployment that could not be observed or changed. Except for the first variants, the error is that of the implementation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeploymentError {
    /// The disruption budget of the pods does not allow this eviction at present. Nothing was changed.
    #[error(transparent)]
    DisruptionBudget(#[from] DisruptionBudget),
    /// This kind of deployment does not have the operation.
    #[error("{deployment} does not support this: {operation}")]
    Unsupported {
        /// The kind of deployment.
        deployment: &'static str,
        /// The operation.
        operation: &'static str,
    },
    /// An error that may disappear without intervention, for example of a pod that is about to be replaced.
    #[error(transparent)]
    Transient(Box<dyn Error + Send + Sync>),
    /// Any other error.
    #[error(transparent)]
    Other(Box<dyn Error + Send + Sync>),
}

/// A PodDisruptionBudget that does not allow a pod to be evicted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the PodDisruptionBudget {budget} does not allow {pod} to be evicted ({message}); wait until all its pods are ready, or allow one more \
     disruption, and run the same command again; --timeout waits longer for it"
)]
pub struct DisruptionBudget {
    /// Name of the budget, if the cluster reports it.
    pub budget: String,
    /// The pod.
    pub pod: NodeName,
    /// Message of the cluster.
    pub message: String,
}

impl DeploymentError {
    /// Wraps an error that may disappear without intervention.
    pub fn transient(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Transient(Box::new(error))
    }

    /// Wraps an error about which a run can do nothing.
    pub fn other(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Other(Box::new(error))
    }
}
