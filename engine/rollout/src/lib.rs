//! Rolls plugins out: what is observed, what is wanted, the next step, and doing it.
//!
//! [`decide`] is the only place with rules. The plan that is shown is its simulated run, and [`apply`] asks it again
//! before each step, so what is done is what was shown or nothing.

mod apply;
mod binary;
mod bundle;
mod compare;
mod decide;
mod deployment;
mod diagnose;
mod digest;
mod drift;
mod error_chain;
mod event;
mod goal;
mod mount_path;
mod observe;
mod observed;
mod printable;
mod refusal;
mod required_permissions;
mod sha256sums;
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
pub use binary::{Architecture, Binary, BinaryError, Elf, Format, Linkage, ProbeOutcome, ProbedPlugin};
pub use bundle::{BundledPlugins, LoadAction, LoadError, LoadedPlugin, OverwritePolicy};
pub use compare::Comparison;
pub use decide::{Decision, Notice, Plan, PlanError, WaitingOn, decide, plan, rollback_version};
pub use deployment::kubernetes::cluster::ClusterOptions;
pub use deployment::kubernetes::error::KubernetesError;
pub use deployment::kubernetes::find::PodSelector;
pub use deployment::kubernetes::node::{NodeError, node_facts, node_mode, node_place, node_remove};
pub use deployment::kubernetes::{KubernetesOptions, StatefulSetDeployment};
pub use deployment::lease_lock::{LeaseLock, LockLost};
pub use deployment::local::plugin_env::{PluginEnvError, read_plugin_env};
pub use deployment::local::{LocalDeployment, Owner, parse_plugin_file_name};
pub use deployment::{CopyProgress, Deployment, DeploymentError, Detail, Freshness, Query, UnreadyPodPolicy};
pub use diagnose::{
    ExplainedLine, Finding, FindingKind, Severity, Unobserved, VerifiedBy, diagnose, diagnose_binary,
    explain, explain_log, finding_kinds,
};
pub use drift::{ClusterConnection, Drift, DriftError, FieldDrift, ObjectDrift, compare_with_cluster};
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
pub use observed::other_nodes::{OtherNode, OtherNodes};
pub use observed::{
    Caller, CatalogEntry, MountHealth, MountObserved, Observed, Pins, PluginDirectory, Raft, ReadState,
    Server, ThisRun, WriteObserved,
};
pub use printable::{printable, printable_line};
pub use refusal::{InUse, Refusal};
pub use required_permissions::{PolicyRule, RBAC_RULES, RbacRule, RuleScope, policy_rules};
pub use sha256sums::{Sha256Sums, Sha256SumsError};
pub use shell::shell_quote;
pub use smoke::{SmokeError, SmokeLease, SmokeReport, revoke_hint, run_smoke_test};
pub use step::Step;
pub use undo::{Failover, roll_back};
pub use version::{Version, VersionError};
