//! The outcome of a run.

use serde::Serialize;

use crate::consumer::Consumer;
use crate::observed::Observed;
use crate::refusal::Refusal;
use crate::step::Step;

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[must_use = "an outcome shows whether manual intervention is required"]
pub enum Outcome {
    /// The goal is reached and verified.
    Done {
        /// Applied steps; empty if there was nothing to do.
        done: Vec<Step>,
        /// The last observation.
        #[serde(skip)]
        observed: Box<Observed>,
    },
    /// The run stopped between two steps, as requested. The same command continues.
    Interrupted {
        /// Applied steps.
        done: Vec<Step>,
        /// Steps that were not applied.
        remaining: Vec<Step>,
    },
    /// The goal was refused before the first change.
    Refused {
        /// The reason.
        refusal: Refusal,
    },
    /// The next step is not the confirmed one, because the state has changed. It was not applied.
    PlanChanged {
        /// Applied steps.
        done: Vec<Step>,
        /// The confirmed step.
        expected: Option<Step>,
        /// The step that would be next now.
        found: Step,
        /// What the run has changed for clients, one sentence each.
        remaining_effects: Vec<String>,
    },
    /// A step failed, and nothing has changed for clients.
    Failed {
        /// Applied steps.
        done: Vec<Step>,
        /// The step that failed; `None` if the observation failed.
        step: Option<Step>,
        /// The reason.
        error: String,
    },
    /// A step failed after mounts had been moved, and they run the previous version again.
    RolledBack {
        /// Applied steps, which were undone.
        done: Vec<Step>,
        /// The step that failed.
        step: Option<Step>,
        /// The reason.
        error: String,
        /// The mounts that were moved back.
        mounts: Vec<Consumer>,
    },
    /// A step failed, and the remaining effects require manual intervention.
    ManualIntervention {
        /// Applied steps.
        done: Vec<Step>,
        /// The step that failed.
        step: Option<Step>,
        /// The reason.
        error: String,
        /// The remaining effects, one sentence each.
        remaining_effects: Vec<String>,
    },
}

/// The outcome of a failure with these remaining effects.
pub(super) fn failed_or_manual_intervention(
    done: Vec<Step>,
    step: Option<Step>,
    error: String,
    remaining_effects: Vec<String>,
) -> Outcome {
    if remaining_effects.is_empty() {
        Outcome::Failed { done, step, error }
    } else {
        Outcome::ManualIntervention { done, step, error, remaining_effects }
    }
}
