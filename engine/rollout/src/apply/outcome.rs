//! How a run ends.

use serde::Serialize;

use crate::mount_path::MountPath;
use crate::observed::Observed;
use crate::refusal::Refusal;
use crate::step::Step;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[must_use = "an outcome says whether somebody has to act"]
pub enum Outcome {
    /// Everything is as wanted and was read back.
    Done {
        /// What was done; empty when there was nothing to do.
        done: Vec<Step>,
        /// The look on which that was decided.
        #[serde(skip)]
        observed: Box<Observed>,
    },
    /// Stopped between two steps, as asked. The same run again goes on.
    Interrupted {
        /// What was done.
        done: Vec<Step>,
        /// What was not.
        remaining: Vec<Step>,
    },
    /// Refused before anything was changed.
    Refused {
        /// Why.
        refusal: Refusal,
    },
    /// Something else has to be done than was confirmed, because the world has changed. Nothing of it was done.
    PlanChanged {
        /// What was done.
        done: Vec<Step>,
        /// What the plan said.
        expected: Option<Step>,
        /// What would be next now.
        found: Step,
        /// What was changed that people use, a sentence each.
        remaining_effects: Vec<String>,
    },
    /// A step failed, and nothing that people use has changed.
    Failed {
        /// What was done.
        done: Vec<Step>,
        /// What failed; `None` when it was the look at the world.
        step: Option<Step>,
        /// Why.
        error: String,
    },
    /// A step failed after mounts had been moved, and they run the version before again.
    RolledBack {
        /// What was done, before it was undone.
        done: Vec<Step>,
        /// What failed.
        step: Option<Step>,
        /// Why.
        error: String,
        /// What was moved back.
        mounts: Vec<MountPath>,
    },
    /// A step failed, and what is there now has to be looked at.
    ManualIntervention {
        /// What was done.
        done: Vec<Step>,
        /// What failed.
        step: Option<Step>,
        /// Why.
        error: String,
        /// What is where, a sentence each.
        remaining_effects: Vec<String>,
    },
}

/// A failure, of which `left` says what has changed that people use.
pub(super) fn failed_or_manual_intervention(
    done: Vec<Step>,
    step: Option<Step>,
    error: String,
    left: Vec<String>,
) -> Outcome {
    if left.is_empty() {
        Outcome::Failed { done, step, error }
    } else {
        Outcome::ManualIntervention { done, step, error, remaining_effects: left }
    }
}
