//! Rolls plugins out: what is observed, what is wanted, the next step, and doing it.
//!
//! [`decide`] is the only place with rules. The plan that is shown is its simulated run, and [`apply`] asks it again
//! before each step, so what is done is what was shown or nothing.

mod apply;
mod binary;
mod carried;
mod compare;
mod decide;
mod diagnose;
mod drift;
mod event;
mod goal;
mod observe;
mod observed;
mod printable;
mod refusal;
mod rights;
mod site;
mod smoke;
mod step;
mod sums;
mod undo;
mod version;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

pub use apply::{CancelFlag, Outcome, apply, apply_and_hold};
pub use binary::{Binary, BinaryError, Elf, Format, Linkage, Machine, Probe, Probed};
pub use carried::{Carried, Did, Existing, LoadError, Loaded};
pub use compare::Comparison;
pub use decide::{Decision, Notice, Plan, Stop, WaitingOn, decide, plan, version_before};
pub use diagnose::{
    Explained, Finding, Known, NotSeen, Severity, Shown, diagnose, diagnose_binary, explain, explain_log,
    known, shell_word,
};
pub use drift::{ClusterConnection, ClusterError, Drift, FieldDrift, ObjectDrift, compare_with_cluster};
pub use event::Event;
pub use goal::{
    Canary, Collect, Deregister, Downgrade, Goal, MountGoal, MountPath, MountPathError, Placement, Plugin,
    QuorumLoss, Register, Rehearsal, Reload, ReloadTarget, RestartConsent, Rewrite, SealedRestart, Survival,
    Target, Trial, Upgrade, Versions, Wanted, WriteGoal,
};
pub use observe::{
    ObserveError, Way, World, examine, is_of_this_machine, observe, observe_again, observe_server, survey,
};
pub use observed::others::{OtherNode, OtherNodes};
pub use observed::site::{
    Exposure, Holder, HolderEvidence, Keeping, NodeName, NodeObserved, NodeServer, Oddities, PluginFile,
    Presence, Process, Restarts, Role, RunningVersion, Seal, SharedDirectory, SiteKind, SiteObserved,
    SiteState, Unfit,
};
pub use observed::{
    Answering, Caller, CatalogEntry, MountObserved, Observed, Pins, PluginDirectory, Raft, ReadBack, Server,
    ThisRun, WriteObserved,
};
pub use printable::{printable, printable_line};
pub use refusal::{Need, Refusal};
pub use rights::{CLUSTER_RIGHTS, ClusterRight, Objects, ServerRight, server_rights};
pub use site::held::{HeldLease, LeaseLost};
pub use site::kubernetes::cluster::ClusterChoice;
pub use site::kubernetes::error::KubernetesError;
pub use site::kubernetes::find::PodChoice;
pub use site::kubernetes::node::{NodeError, node_facts, node_mode, node_place, node_remove};
pub use site::kubernetes::{KubernetesChoice, KubernetesSite};
pub use site::local::environment::{EnvironmentError, entry_environment};
pub use site::local::{LocalSite, Owner, file_version};
pub use site::{Age, Copied, Look, Question, Site, SiteError, Unready};
pub use smoke::{SmokeError, SmokeLease, SmokeReport, how_to_revoke, smoke};
pub use step::Step;
pub use sums::{Sums, SumsError};
pub use undo::{Failover, roll_back};
pub use version::{Version, VersionError};
