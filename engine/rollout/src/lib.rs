//! Installs, upgrades, rolls back and diagnoses the external plugins of a Vault or OpenBao server.
//!
//! The crate works in a loop of pure decisions: [`observe()`] reads the state of the server and its nodes, [`decide()`] compares it with
//! a [`Goal`] and returns the next [`Step`], and [`apply()`] executes the step and observes again. [`plan()`] runs the same decisions on
//! the state that each step would lead to. A run therefore applies no other step than those that the user has confirmed, or stops with a [`Refusal`].
//! A run that fails moves its mounts back.
//!
//! The nodes are reached through the trait [`Deployment`], which the crate `deployment` implements. The server is reached with
//! `vault-api`.
//!
//! # Example
//!
//! Reload every mount of a plugin, and print each step:
//!
//! ```no_run
//! use rollout::{
//!     CancelFlag, ConnectionMode, Environment, Event, Goal, Outcome, ReloadGoal, ReloadTarget, RestartConsent,
//! };
//! use vault_api::catalog::PluginType;
//! use vault_api::{Client, ClientConfig};
//!
//! # async fn reload() -> Result<(), Box<dyn std::error::Error>> {
//! let environment = Environment {
//!     client: Client::new(&ClientConfig::new("http://127.0.0.1:8200"))?,
//!     deployment: None,
//!     connection_mode: ConnectionMode::Address,
//! };
//! let goal = Goal::Reload(ReloadGoal {
//!     target: ReloadTarget::Plugin { kind: PluginType::Secret, name: "custom".into() },
//!     restart_consent: RestartConsent::default(),
//! });
//! let observed = rollout::observe(&environment, Some(&goal)).await?;
//! let plan = rollout::plan(&observed, &goal)?;
//! let mut listener = |event: &Event| {
//!     if let Event::StepDone { step, .. } = event {
//!         println!("{step}");
//!     }
//! };
//! let outcome = rollout::apply(&environment, &goal, &plan, &mut listener, &CancelFlag::new()).await;
//! assert!(matches!(outcome, Outcome::Done { .. }));
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! In reading order:
//!
//! | Module | Content |
//! |---|---|
//! | `consumer`, `consumer_requests` | what runs a plugin ([`Consumer`]), and the requests of each kind |
//! | `goal` | desired states: [`RegisterGoal`], [`UpgradeGoal`], [`ReloadGoal`], [`DeregisterGoal`], [`GarbageCollectGoal`] |
//! | `observed` | the observed state of a server ([`Observed`]), its nodes ([`NodeObserved`]) and the nodes that cannot be observed ([`OtherNodes`]) |
//! | `observe` | reads the state, and repeats reads that fail in a failover |
//! | `deployment` | the trait [`Deployment`], its errors and its lock |
//! | `decide` | the only rules: preconditions (`check`), the order of an upgrade (`upgrade`), restarts (`nodes`), removals (`removal`), permissions (`permission`) |
//! | `step`, `refusal`, `progress` | the results and the third input of a decision |
//! | `apply` | executes a plan: `apply_step`, `effect` (what a failed step may have changed), `standby_restart`, `failure`, `outcome` |
//! | `undo` | moves mounts back and removes what a failed run has installed |
//! | `smoke` | reads a credential or logs in, looks the lease or token up, renews and revokes it |
//! | `diagnose` | findings about an observed state: problem, evidence, consequence and remediation |
//! | `required_permissions` | the policy that an operator needs |
//! | `binary`, `digest`, `compare`, `plugin_file_name`, `version` | values and their formats |
//! | `poll`, `timeouts`, `transient` | waiting, and errors that disappear in a failover |
//! | `error_chain`, `printable`, `shell` | texts for people |

mod apply;
mod binary;
mod compare;
mod consumer;
mod consumer_requests;
mod decide;
mod deployment;
mod diagnose;
mod digest;
mod error_chain;
mod event;
mod goal;
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

pub use apply::{CancelFlag, Outcome, apply};
pub use binary::{
    Architecture, BINARY_MODE, Binary, BinaryError, Elf, FilePrefix, Format, Linkage, ProbeOutcome,
    ProbedPlugin, parse_prefix,
};
pub use compare::Comparison;
pub use consumer::{Consumer, ConsumerError};
pub use decide::{Decision, Notice, Plan, PlanError, WaitingOn, decide, plan, rollback_version};
pub use deployment::{
    CopyProgress, Deployment, DeploymentError, Detail, DisruptionBudget, Freshness, LeaseLock, LockLost,
    PROGRAM_PATH, Query,
};
pub use diagnose::{
    ExplainedLine, Finding, FindingKind, Severity, Unobserved, VerifiedBy, diagnose, diagnose_binary,
    diagnose_move, explain, explain_log, finding_kinds, is_fixed_by_reload,
};
pub use digest::{decode_hex, hex, hex_sha256, sha256_of_reader};
pub use error_chain::error_chain;
pub use event::Event;
pub use goal::{
    Canary, DeregisterGoal, DesiredMount, DesiredValue, DesiredWrite, DowngradePolicy, Durability,
    FailoverTest, GarbageCollectGoal, Goal, OtherNodesPolicy, Plugin, QuorumLoss, RegisterGoal, ReloadGoal,
    ReloadTarget, RestartConsent, RewritePolicy, SealedRestart, SmokeRequest, SmokeTest, Target, UpgradeGoal,
    VersionSelector,
};
pub use observe::{
    ConnectionMode, Environment, ObserveError, is_local_address, observe, observe_cached, observe_consumers,
    observe_deep, observe_health, observe_server,
};
pub use observed::deployment::{
    DeploymentKind, DeploymentObserved, DirectoryState, Exposure, FileIssues, HolderLiveness, LockHolder,
    NodeName, NodeObserved, NodeRole, NodeServer, NotExecutable, PluginFile, PluginStorage,
    PodUpdateStrategy, Process, Readiness, RunningVersion, SealType, SharedDirectory,
};
pub use observed::other_nodes::{NodeList, OtherNode, OtherNodes, ServerLocation};
pub use observed::{
    Caller, CatalogEntry, ConsumerObserved, MountHealth, Observed, Pins, PluginDirectory, Raft, ReadState,
    Server, WriteObserved,
};
pub use plugin_file_name::{is_version_file_of, parse_plugin_file_name};
pub use poll::Poll;
pub use printable::{printable, printable_line};
pub use progress::Progress;
pub use refusal::{InUse, Refusal};
pub use required_permissions::{PolicyRule, policy_rules};
pub use shell::shell_quote;
pub use smoke::{SmokeError, SmokeLease, SmokeReport, SmokeToken, run_smoke_test};
pub use step::{Step, UnreadyPodPolicy, VersionFrom};
pub use transient::is_transient;
pub use version::{Version, VersionError};
