//! Events of a run.

use serde::Serialize;

use crate::consumer::Consumer;
use crate::decide::WaitingOn;
use crate::observed::deployment::NodeName;
use crate::step::Step;

/// An event of a run. Its JSON contains no values that were written or read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A step was started.
    StepStarted {
        /// Number of the step, from 1.
        number: usize,
        /// Number of steps in the plan.
        total_steps: usize,
        /// The step.
        step: Step,
    },
    /// Part of the binary was copied to a node.
    CopyProgress {
        /// The node.
        node: NodeName,
        /// Bytes copied.
        done: u64,
        /// Bytes in total.
        total: u64,
    },
    /// A step was applied.
    StepDone {
        /// Number of the step, from 1.
        number: usize,
        /// Number of steps in the plan.
        total_steps: usize,
        /// The step.
        step: Step,
        /// Warnings of the server.
        warnings: Vec<String>,
    },
    /// The run waits before its next step.
    Waiting {
        /// What it waits for.
        reason: WaitingOn,
    },
    /// Mounts are moved back to the previous version.
    RollingBack {
        /// The mounts.
        mounts: Vec<Consumer>,
        /// Why they are moved back.
        cause: String,
    },
    /// A step was undone.
    StepUndone {
        /// The step.
        step: Step,
    },
    /// The server returns other values than those that were written.
    ReadBackMismatch {
        /// Full path.
        path: String,
        /// The fields that differ.
        fields: Vec<String>,
    },
    /// The smoke test has issued a credential.
    SmokeCredentialIssued {
        /// Full path.
        path: String,
    },
    /// The credential of the smoke test was revoked.
    SmokeCredentialRevoked {
        /// Full path.
        path: String,
    },
}
