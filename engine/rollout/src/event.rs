//! What happens while a plan is carried out.

use serde::Serialize;

use crate::decide::WaitingOn;
use crate::mount_path::MountPath;
use crate::observed::deployment::NodeName;
use crate::step::Step;

/// One thing that happened. Never holds a value that was written or read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A step begins.
    StepStarted {
        /// From 1.
        number: usize,
        /// Steps of the plan.
        total_steps: usize,
        /// The step.
        step: Step,
    },
    /// Part of the binary is on a node.
    CopyProgress {
        /// Which node.
        node: NodeName,
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A step is done.
    StepDone {
        /// From 1.
        number: usize,
        /// Steps of the plan.
        total_steps: usize,
        /// The step.
        step: Step,
        /// The server's warnings.
        warnings: Vec<String>,
    },
    /// Nothing can be done yet.
    Waiting {
        /// For what.
        reason: WaitingOn,
    },
    /// Mounts are moved back to the version before.
    RollingBack {
        /// Where.
        mounts: Vec<MountPath>,
        /// Why.
        cause: String,
    },
    /// A step was taken back.
    StepUndone {
        /// Which one.
        step: Step,
    },
    /// Written, and the server shows something else than was written.
    ReadBackMismatch {
        /// Full path.
        path: String,
        /// Fields.
        fields: Vec<String>,
    },
    /// A credential was issued to try the mount.
    SmokeCredentialIssued {
        /// Full path.
        path: String,
    },
    /// That credential is revoked.
    SmokeCredentialRevoked {
        /// Full path.
        path: String,
    },
}
