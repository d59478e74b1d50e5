//! Rolls plugins out: what is observed, what is wanted, the next step, and doing it.
//!
//! [`decide`] is the only place with rules. The plan that is shown is its simulated run, and [`apply`] asks it again
//! before each step, so what is done is what was shown or nothing.

mod apply;
mod binary;
mod compare;
mod decide;
mod deployment;
mod diagnose;
mod digest;
mod error_chain;
mod event;
mod goal;
mod mount_path;
mod observe;
mod observed;
mod plugin_file_name;
mod poll;
mod printable;
mod progress;
mod refusal;
mod required_permissions;
mod shell;
mod smoke;
mod step;
mod timeouts;
mod transient;
mod undo;
mod version;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

pub use apply::{CancelFlag, Outcome, apply, apply_and_hold};
pub use binary::{
    Architecture, BINARY_MODE, Binary, BinaryError, Elf, FilePrefix, Format, Linkage, ProbeOutcome,
    ProbedPlugin, parse_prefix,
};
pub use compare::Comparison;
pub use decide::{Decision, Notice, Plan, PlanError, WaitingOn, decide, plan, rollback_version};
pub use deployment::{
    CopyProgress, Deployment, DeploymentError, Detail, DisruptionBudget, Freshness, LeaseLock, LockLost,
    PROGRAM_PATH, Query,
};
pub use diagnose::{
    ExplainedLine, Finding, FindingKind, Severity, Unobserved, VerifiedBy, diagnose, diagnose_binary,
    explain, explain_log, finding_kinds,
};
pub use digest::{hex, hex_sha256, sha256_of_reader};
pub use error_chain::error_chain;
pub use event::Event;
pub use goal::{
    Canary, DeregisterGoal, DesiredMount, DesiredValue, DesiredWrite, DowngradePolicy, Durability,
    FailoverTest, GarbageCollectGoal, Goal, Placement, Plugin, QuorumLoss, RegisterGoal, ReloadGoal,
    ReloadTarget, RestartConsent, RewritePolicy, SealedRestart, SmokeTest, Target, UpgradeGoal,
    VersionSelector,
};
pub use mount_path::{MountPath, MountPathError};
pub use observe::{
    ConnectionMode, Environment, ObserveError, is_local_address, observe, observe_cached, observe_deep,
    observe_health, observe_server,
};
pub use observed::deployment::{
    DeploymentKind, DeploymentObserved, DirectoryState, Exposure, FileIssues, HolderLiveness, LockHolder,
    NodeName, NodeObserved, NodeRole, NodeServer, NotExecutable, PluginFile, PluginStorage,
    PodUpdateStrategy, Process, Readiness, RunningVersion, SealType, SharedDirectory,
};
pub use observed::other_nodes::{NodeList, OtherNode, OtherNodes, ServerLocation};
pub use observed::{
    Caller, CatalogEntry, MountHealth, MountObserved, Observed, Pins, PluginDirectory, Raft, ReadState,
    Server, WriteObserved,
};
pub use plugin_file_name::{is_version_file_of, parse_plugin_file_name};
pub use poll::Poll;
pub use printable::{printable, printable_line};
pub use progress::Progress;
pub use refusal::{InUse, Refusal};
pub use required_permissions::{PolicyRule, policy_rules};
pub use shell::shell_quote;
pub use smoke::{SmokeError, SmokeLease, SmokeReport, revoke_and_verify, revoke_hint, run_smoke_test};
pub use step::{Step, UnreadyPodPolicy, VersionFrom};
pub use transient::is_transient;
pub use undo::{Failover, roll_back};
pub use version::{Version, VersionError};
