//! Decides the next step from the observed state, the goal and the progress. Pure: no clock, no client, no await.

mod check;
mod nodes;
mod permission;
mod removal;
mod upgrade;
mod upgrade_view;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use vault_api::catalog::PluginType;
use vault_api::health::Product;

use crate::binary::ProbeOutcome;
use crate::compare::Comparison;
use crate::consumer::Consumer;
use crate::goal::{
    DesiredMount, DesiredWrite, Goal, Plugin, RegisterGoal, ReloadGoal, ReloadTarget, RewritePolicy,
    SmokeTest, Target,
};
use crate::observed::deployment::{HolderLiveness, LockHolder, NodeName, PluginFile, Readiness};
use crate::observed::{ConsumerObserved, Observed, ReadState};
use crate::progress::Progress;
use crate::refusal::Refusal;
use crate::step::{Step, UnreadyPodPolicy, VersionFrom};

pub(crate) use nodes::failover_blocker;
pub(crate) use permission::capability_paths as permission_paths;
pub use upgrade::rollback_version;
pub(crate) use upgrade_view::unreloaded_mounts;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a decision has no effect until it is applied"]
pub enum Decision {
    /// Apply this step.
    Do(Step),
    /// Wait.
    Wait(WaitingOn),
    /// The goal is reached.
    Done,
    /// The goal is refused.
    Refuse(Refusal),
}

/// What a decision waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum WaitingOn {
    /// A node becomes active, after unsealing or a step-down.
    #[error("waiting for a node to become active")]
    ActiveNode,
    /// It is unknown whether another operator still holds the lock.
    #[error("waiting to see whether {holder} is still changing plugins of this deployment")]
    Lock {
        /// The operator.
        holder: String,
    },
    /// A node returns.
    #[error("waiting for {node}: {reason}")]
    Node {
        /// The node.
        node: NodeName,
        /// What it is missing.
        reason: String,
    },
    /// A raft server becomes a healthy voter.
    #[error("waiting for the raft server {server}: {reason}")]
    RaftServer {
        /// Its id, which can differ from the name of its node.
        server: String,
        /// What it is missing.
        reason: String,
    },
    /// All nodes join raft.
    #[error("waiting for every node to join raft: {joined} of {nodes} have")]
    RaftJoin {
        /// Number of nodes that have joined.
        joined: usize,
        /// Number of all nodes.
        nodes: usize,
    },
    /// A disruption budget allows the eviction of a pod.
    #[error("waiting until the PodDisruptionBudget {budget} allows {pod} to be evicted: {message}")]
    DisruptionBudget {
        /// Name of the budget.
        budget: String,
        /// The pod.
        pod: NodeName,
        /// Message of the cluster.
        message: String,
    },
}

/// The steps of a run, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The steps; empty if there is nothing to do.
    pub steps: Vec<Step>,
    /// What the user should read before confirming.
    pub notices: Vec<Notice>,
}

/// Something that the user should know before confirming a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// The binary was not started.
    NotProbed {
        /// The reason.
        reason: String,
    },
    /// Mounts without a version run the unversioned entry.
    UnversionedEntry {
        /// Name of the plugin.
        name: String,
    },
    /// The server does not show fields, so they are neither compared nor written.
    FieldsUnreadable {
        /// Full path.
        path: String,
        /// The fields.
        fields: Vec<String>,
    },
    /// A mount cannot be moved back, because "no version" cannot be configured again.
    CannotRollBack {
        /// The mount.
        path: Consumer,
    },
    /// The token has no permission to read the raft servers.
    RaftStateUnknown,
    /// Nodes whose plugin directories cannot be observed.
    OtherNodes {
        /// The nodes.
        nodes: Vec<String>,
        /// Whether the user has confirmed that they have the binary.
        confirmed: bool,
    },
    /// The server has other nodes, and does not list them.
    UnnamedNodes {
        /// Nodes that have the binary, as the user has confirmed.
        confirmed_nodes: Vec<String>,
    },
    /// No plugin directory was observed, so the file is verified only on the active node, when it is started.
    ActiveNodeAlone {
        /// The other nodes; `None` if the server does not list them.
        nodes: Option<Vec<String>>,
        /// The file.
        file: String,
    },
    /// Standbys cannot be restarted now. Mounts are moved back anyway.
    Unsettled {
        /// What the first restart waits for.
        on: WaitingOn,
    },
    /// The new image was not read.
    ImageNotInspected {
        /// The image.
        image: String,
        /// Registered files of the previous image.
        required_files: Vec<String>,
    },
    /// Mounts follow the latest version, so any restart moves them once the version is registered.
    FollowsLatest {
        /// The mounts.
        paths: Vec<Consumer>,
    },
    /// The token cannot see the mounts of namespaces.
    NamespacesHidden {
        /// What is denied.
        denied: Vec<String>,
    },
    /// A node could not be observed; it runs the configured version once it is active.
    NodeUnobserved {
        /// The node.
        node: NodeName,
        /// The reason.
        reason: String,
    },
}

/// The reason for which no plan is made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The goal is refused.
    #[error(transparent)]
    Refused(Refusal),
    /// The first step has to wait.
    #[error(transparent)]
    Waiting(WaitingOn),
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// Decides the next step. Refuses now what would be refused at a later step, before the first change.
pub fn decide(observed: &Observed, goal: &Goal, progress: &Progress) -> Decision {
    match decide_next(observed, goal, progress) {
        Decision::Do(step) => match remaining_plan(observed, goal, progress) {
            Ok(_) => Decision::Do(step),
            Err(PlanError::Refused(refusal)) => Decision::Refuse(refusal),
            Err(PlanError::Waiting(on)) => Decision::Wait(on),
        },
        other => other,
    }
}

/// Plans all steps of a run, by deciding again on the state that each step would lead to.
///
/// # Errors
/// [`PlanError`] if the goal is refused, or has to wait.
pub fn plan(observed: &Observed, goal: &Goal) -> Result<Plan, PlanError> {
    remaining_plan(observed, goal, &Progress::default())
}

/// Plans the remaining steps of a run.
fn remaining_plan(observed: &Observed, goal: &Goal, progress: &Progress) -> Result<Plan, PlanError> {
    let mut steps = Vec::new();
    let (mut next, mut made) = (observed.clone(), progress.clone());
    loop {
        // Waits of later steps are decided when they are due.
        let decision = if steps.is_empty() {
            decide_next(&next, goal, &made)
        } else {
            decide_ignoring_waits(&next, goal, &made)
        };
        match decision {
            Decision::Do(step) => {
                next = next.after(&step, &made);
                made = made.with_step(&step);
                steps.push(step);
            }
            Decision::Done => break,
            Decision::Wait(on) => return Err(PlanError::Waiting(on)),
            Decision::Refuse(refusal) => return Err(PlanError::Refused(refusal)),
        }
    }
    if let Some(refusal) = nodes::refuse_uncovered_nodes(observed, goal, &steps) {
        return Err(PlanError::Refused(refusal));
    }
    if let Some(refusal) = permission::refuse_missing_capabilities(observed, &steps) {
        return Err(PlanError::Refused(refusal));
    }
    if let Some(on) = nodes::restart_blocker(observed, goal, progress, &steps).filter(|_| !goal.is_rollback())
    {
        return Err(PlanError::Waiting(on));
    }
    let notices = notices(observed, goal, progress, &steps);
    Ok(Plan { steps, notices })
}

/// Refuses a registration outside of the root namespace. OpenBao rejects it with "unsupported path", which does not mention namespaces.
fn refuse_catalog_write(observed: &Observed, step: &Step) -> Option<Refusal> {
    let Step::RegisterVersion { name, version, .. } = step else { return None };
    let namespace = observed.namespace.clone().filter(|_| observed.server.product == Product::OpenBao)?;
    Some(Refusal::CatalogOfRootNamespace { name: name.clone(), version: version.clone(), namespace })
}

/// Decides the next step, and waits until the nodes are ready for it.
fn decide_next(observed: &Observed, goal: &Goal, progress: &Progress) -> Decision {
    let decision = decide_ignoring_waits(observed, goal, progress);
    match nodes::pending_wait(observed, goal, progress, &decision) {
        Some(on) => Decision::Wait(on),
        None => decision,
    }
}

/// The restart that is due, ignoring waits. If there is one, the active node is verified.
pub(crate) fn due_restart(observed: &Observed, goal: &Goal, progress: &Progress) -> Option<Step> {
    match decide_ignoring_waits(observed, goal, progress) {
        Decision::Do(step @ Step::RestartNode { .. }) => Some(step),
        _ => None,
    }
}

fn decide_ignoring_waits(observed: &Observed, goal: &Goal, progress: &Progress) -> Decision {
    if observed.is_failing_over() {
        return Decision::Wait(WaitingOn::ActiveNode);
    }
    if let Err(refusal) = check::server(observed) {
        return Decision::Refuse(refusal);
    }
    match observed.deployment.as_ref().and_then(|deployment| deployment.lock_holder.as_ref()) {
        Some(LockHolder { name, liveness: HolderLiveness::Confirmed }) => {
            return Decision::Refuse(Refusal::LockHeld { holder: name.clone() });
        }
        Some(LockHolder { name, liveness: HolderLiveness::Unconfirmed }) => {
            return Decision::Wait(WaitingOn::Lock { holder: name.clone() });
        }
        None => {}
    }
    if let Some(refusal) = permission::refuse_denied_reads(observed, goal) {
        return Decision::Refuse(refusal);
    }
    if let Err(refusal) = nodes::check_readiness(observed, goal) {
        return match refusal {
            // A node that was ready at the start may return.
            Refusal::OnNode { node, reason } if progress.steps > 0 => {
                Decision::Wait(WaitingOn::Node { node, reason: reason.to_string() })
            }
            refusal => Decision::Refuse(refusal),
        };
    }
    let step = match goal {
        Goal::Register(register) => check::register(observed, register, progress)
            .map(|()| register_step(observed, register, progress)),
        Goal::Upgrade(upgrade) => upgrade::step(observed, upgrade, progress),
        Goal::Reload(reload) => reload_step(observed, reload, progress),
        Goal::Deregister(deregister) => removal::deregister_step(observed, deregister),
        Goal::GarbageCollect(collect) => removal::garbage_collect_step(observed, collect),
    };
    match step {
        Ok(Some(step)) => match refuse_catalog_write(observed, &step)
            .or_else(|| nodes::refuse_restart(observed, goal, progress, &step))
        {
            Some(refusal) => Decision::Refuse(refusal),
            None => Decision::Do(step),
        },
        Ok(None) => Decision::Done,
        Err(refusal) => Decision::Refuse(refusal),
    }
}

fn register_step(observed: &Observed, register: &RegisterGoal, progress: &Progress) -> Option<Step> {
    copy_step(observed, &register.plugin)
        .or_else(|| register_version_step(observed, &register.plugin))
        .or_else(|| register.mounts.iter().find_map(|mount| enable_step(observed, register, mount)))
        .or_else(|| register.mounts.iter().find_map(|mount| tune_step(observed, register, mount)))
        .or_else(|| reload_stale_step(observed, register))
        .or_else(|| {
            register
                .mounts
                .iter()
                .flat_map(|mount| mount.writes.iter().map(move |write| (mount, write)))
                .find_map(|(mount, write)| write_step(observed, register, progress, mount, write))
        })
        .or_else(|| smoke_test_step(register, progress))
        // Last, because a restarted standby would keep running a version that fails its smoke test.
        .or_else(|| {
            let mounts = register.mounts.iter().map(|mount| &mount.path);
            nodes::restart_stale_standby(observed, progress, mounts, UnreadyPodPolicy::Evict)
        })
}

/// The next smoke test. A run that has changed nothing before tests nothing.
fn smoke_test_step(register: &RegisterGoal, progress: &Progress) -> Option<Step> {
    let tests = register.mounts.iter().filter_map(DesiredMount::smoke_test);
    let mut due =
        tests.filter(|test| progress.steps > 0 && !progress.smoke_tested.contains(&test.full_path()));
    due.next().map(|test| run_smoke_test_step(&test))
}

/// The step that runs a smoke test.
fn run_smoke_test_step(test: &SmokeTest) -> Step {
    Step::SmokeTestMount {
        mount: test.mount.clone(),
        path: test.full_path(),
        data: test.request.data.clone(),
    }
}

fn copy_step(observed: &Observed, plugin: &Plugin) -> Option<Step> {
    let deployment = observed.deployment.as_ref()?;
    let file = plugin.file_name();
    let nodes = deployment.nodes_lacking(&file, has_safe_mode);
    (!nodes.is_empty()).then(|| Step::CopyBinary {
        nodes,
        directory: deployment.directory.clone(),
        file,
        binary: plugin.binary.clone(),
    })
}

/// Whether all users can read and execute a file, and only its owner can change it, as Vault's permission check requires.
fn has_safe_mode(file: &PluginFile) -> bool {
    file.mode & 0o555 == 0o555 && file.mode & 0o022 == 0
}

fn register_version_step(observed: &Observed, plugin: &Plugin) -> Option<Step> {
    let registered =
        observed.catalog_entry(plugin.kind, &plugin.name, &plugin.version.v_prefixed()).is_some();
    (!registered).then(|| Step::RegisterVersion {
        kind: plugin.kind,
        name: plugin.name.clone(),
        version: plugin.version.clone(),
        sha256: plugin.binary.sha256.clone(),
        command: plugin.file_name(),
        args: plugin.args.clone(),
        env: plugin.env.clone(),
    })
}

fn enable_step(observed: &Observed, register: &RegisterGoal, mount: &DesiredMount) -> Option<Step> {
    let plugin = &register.plugin;
    let pinned = observed.pinned_version(plugin.kind, &plugin.name).is_some();
    (!observed.consumers.contains_key(mount.path.as_str())).then(|| Step::EnableMount {
        path: mount.path.clone(),
        plugin: plugin.name.clone(),
        version: plugin.version.clone(),
        version_from: if pinned { VersionFrom::Pin } else { VersionFrom::Mount },
    })
}

/// None under a pin, which overrides the mount and makes the server refuse the request.
fn tune_step(observed: &Observed, register: &RegisterGoal, mount: &DesiredMount) -> Option<Step> {
    let plugin = &register.plugin;
    if observed.pinned_version(plugin.kind, &plugin.name).is_some() {
        return None;
    }
    let current = observed.consumers.get(mount.path.as_str())?;
    (observed.configured_version(current) != plugin.version.v_prefixed()).then(|| Step::TuneMount {
        path: mount.path.clone(),
        from: current.configured_version.clone(),
        to: plugin.version.clone(),
    })
}

fn reload_stale_step(observed: &Observed, register: &RegisterGoal) -> Option<Step> {
    let is_stale = |mount: &&DesiredMount| {
        observed.consumers.get(mount.path.as_str()).is_some_and(|current| !runs_version(current, register))
    };
    register.mounts.iter().find(is_stale).map(|mount| Step::ReloadMount { path: mount.path.clone() })
}

/// Whether a mount runs the version with the right binary, because an entry can be registered again with another one.
fn runs_version(mount: &ConsumerObserved, register: &RegisterGoal) -> bool {
    mount.running_version == register.plugin.version.v_prefixed()
        && mount.running_sha256 == register.plugin.binary.sha256
}

fn write_step(
    observed: &Observed,
    register: &RegisterGoal,
    progress: &Progress,
    mount: &DesiredMount,
    write: &DesiredWrite,
) -> Option<Step> {
    let path = mount.path.join(&write.path);
    if progress.written.contains(&path) {
        return None;
    }
    // A path may be written in several parts.
    let parts = mount.writes.iter().filter(|other| other.path == write.path);
    let current = observed.writes.iter().find(|write| write.path == path);
    let has =
        |comparison| current.is_some_and(|current| current.fields.values().any(|field| *field == comparison));
    let needed = match current.map(|current| current.read_state) {
        None | Some(ReadState::Absent | ReadState::NotRead) => true,
        Some(ReadState::Present | ReadState::Unreadable) => {
            // The values of a new mount are defaults, not settings.
            progress.enabled.contains(&mount.path)
                || has(Comparison::Differs)
                || (register.rewrite == RewritePolicy::Unreadable && has(Comparison::Unreadable))
        }
    };
    needed.then(|| Step::Write { path, data: parts.flat_map(|part| part.data.clone()).collect() })
}

/// The consumers that are reloaded, of all that were observed.
fn reload_targets(target: &ReloadTarget, observed: &BTreeMap<Consumer, ConsumerObserved>) -> Vec<Consumer> {
    match target {
        ReloadTarget::Mounts(paths) => paths.clone(),
        ReloadTarget::Plugin { kind, name } => {
            let ours =
                observed.iter().filter(|(_, consumer)| consumer.kind == *kind && consumer.plugin == *name);
            ours.map(|(path, _)| path.clone()).collect()
        }
    }
}

fn reload_step(
    observed: &Observed,
    reload: &ReloadGoal,
    progress: &Progress,
) -> Result<Option<Step>, Refusal> {
    let paths = reload_targets(&reload.target, &observed.consumers);
    if let (ReloadTarget::Plugin { kind, name }, []) = (&reload.target, &*paths) {
        return Err(Refusal::NoMountOfPlugin { kind: *kind, name: name.clone() });
    }
    for path in &paths {
        check::reloaded(observed, progress, path)?;
    }
    let next = paths.iter().find(|path| !progress.reloaded.contains(*path));
    Ok(match next {
        Some(path) => Some(Step::ReloadMount { path: path.clone() }),
        None => nodes::restart_stale_standby(observed, progress, paths.iter(), UnreadyPodPolicy::Evict),
    })
}

fn notices(observed: &Observed, goal: &Goal, progress: &Progress, steps: &[Step]) -> Vec<Notice> {
    let mut notices = Vec::new();
    if let Some(plugin) = goal.provided_plugin() {
        if let ProbeOutcome::NotRun { reason } = &plugin.probe {
            notices.push(Notice::NotProbed { reason: reason.clone() });
        }
        if observed.catalog_entry(plugin.kind, &plugin.name, "").is_some() {
            notices.push(Notice::UnversionedEntry { name: plugin.name.clone() });
        }
    }
    notices.extend(hidden_namespaces(observed, goal));
    if let Goal::Upgrade(upgrade) = goal
        && let Target::Registered { .. } = upgrade.target
    {
        for (name, node) in observed.deployment.iter().flat_map(|deployment| &deployment.nodes) {
            if let Readiness::NotReady { reason } = &node.readiness {
                notices.push(Notice::NodeUnobserved { node: name.clone(), reason: reason.clone() });
            }
        }
    }
    let moves_nodes = |step: &Step| matches!(step, Step::RestartNode { .. } | Step::StepDown { .. });
    if nodes::raft_is_hidden(observed) && steps.iter().any(moves_nodes) {
        notices.push(Notice::RaftStateUnknown);
    }
    // Nodes that could not be observed have a notice already.
    let on = nodes::restart_blocker(observed, goal, progress, steps)
        .filter(|on| !matches!(on, WaitingOn::Node { node, .. } if has_unobserved_notice(&notices, node)));
    notices.extend(on.map(|on| Notice::Unsettled { on }));
    notices.extend(follows_latest(observed, goal, steps));
    notices.extend(nodes::other_nodes_notice(observed, goal, steps));
    notices.extend(nodes::image_not_read_notice(observed, goal, steps));
    let written: BTreeSet<&str> = steps
        .iter()
        .filter_map(|step| if let Step::Write { path, .. } = step { Some(path.as_str()) } else { None })
        .collect();
    for write in observed.writes.iter().filter(|write| !written.contains(write.path.as_str())) {
        let hidden = write.fields.iter().filter(|(_, field)| **field == Comparison::Unreadable);
        let fields: Vec<String> = hidden.map(|(name, _)| name.clone()).collect();
        if !fields.is_empty() {
            notices.push(Notice::FieldsUnreadable { path: write.path.clone(), fields });
        }
    }
    for step in steps {
        if let Step::TuneMount { path, from, .. } = step
            && from.is_empty()
            && path.kind() != PluginType::Database
        {
            notices.push(Notice::CannotRollBack { path: path.clone() });
        }
    }
    notices
}

/// A goal for all mounts of a plugin does not change those that the token cannot see.
fn hidden_namespaces(observed: &Observed, goal: &Goal) -> Option<Notice> {
    let is_for_all_mounts = match goal {
        Goal::Upgrade(upgrade) => upgrade.only_mounts.is_empty(),
        Goal::Reload(reload) => matches!(reload.target, ReloadTarget::Plugin { .. }),
        Goal::Register(_) | Goal::Deregister(_) | Goal::GarbageCollect(_) => false,
    };
    let hidden = observed.caller.hidden_namespaces();
    let denied: Vec<String> = hidden.into_values().flatten().map(str::to_owned).collect();
    (is_for_all_mounts && !denied.is_empty()).then_some(Notice::NamespacesHidden { denied })
}

fn has_unobserved_notice(notices: &[Notice], name: &NodeName) -> bool {
    notices.iter().any(|notice| matches!(notice, Notice::NodeUnobserved { node, .. } if node == name))
}

/// Such mounts run a registered version from their next start on, tested or not.
fn follows_latest(observed: &Observed, goal: &Goal, steps: &[Step]) -> Option<Notice> {
    let plugin = goal.provided_plugin()?;
    let mounts = observed.consumers_of(plugin.kind, &plugin.name).filter(|(_, mount)| mount.follows_latest());
    let paths: Vec<Consumer> = mounts.map(|(path, _)| path).collect();
    let registers = steps.iter().any(|step| matches!(step, Step::RegisterVersion { .. }));
    (registers && !paths.is_empty()).then_some(Notice::FollowsLatest { paths })
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotProbed { reason } => write!(f, "the binary was not started to check it: {reason}"),
            Self::UnversionedEntry { name } => write!(
                f,
                "{name} is also registered without a version; mounts without a version keep running that entry"
            ),
            Self::FieldsUnreadable { path, fields } => write!(
                f,
                "{path} does not show {}, which is neither compared nor written",
                fields.join(", ")
            ),
            Self::RaftStateUnknown => f.write_str(
                "the token has no permission to read sys/storage/raft/autopilot/state, so it is unknown whether a node votes: the next node \
                 is restarted once the previous one is unsealed and close to the log of the active node",
            ),
            Self::NamespacesHidden { denied } => write!(
                f,
                "the token has no permission to read {}: mounts of these namespaces are not changed",
                denied.join(", ")
            ),
            Self::NodeUnobserved { node, reason } => {
                write!(f, "{node} could not be observed ({reason}); it runs the configured version once it is active")
            }
            Self::OtherNodes { nodes, confirmed: true } => write!(
                f,
                "not verified: {} {} the binary, according to --installed-on. To verify it, make each the active node \
                 (`vault operator step-down`), and check the running version with `vault-token-plugin status`",
                nodes.join(", "),
                if nodes.len() == 1 { "has" } else { "have" }
            ),
            Self::OtherNodes { nodes, confirmed: false } => write!(
                f,
                "nothing is copied to {}: the plugin's mounts fail when one of them becomes active",
                nodes.join(", ")
            ),
            Self::UnnamedNodes { confirmed_nodes } if confirmed_nodes.is_empty() => f.write_str(
                "the server has other nodes, which it does not list: nothing is copied to them, and the plugin's mounts fail when one of \
                 them becomes active",
            ),
            Self::UnnamedNodes { confirmed_nodes } => write!(
                f,
                "the server has other nodes, which it does not list, so it is unknown whether {} {} all that need the binary",
                confirmed_nodes.join(", "),
                if confirmed_nodes.len() == 1 { "is" } else { "are" }
            ),
            Self::ActiveNodeAlone { nodes, file } => {
                write!(f, "the plugin directory was not observed: {file} is verified on the active node only, by the reload. ")?;
                match nodes {
                    Some(nodes) => write!(f, "If {} {} it", nodes.join(", "), if nodes.len() == 1 { "lacks" } else { "lack" }),
                    None => f.write_str("If another node, which the server does not list, lacks it"),
                }?;
                f.write_str(", the plugin's mounts fail when that node becomes active")
            }
            Self::Unsettled { on } => write!(
                f,
                "mounts are moved back now, and standbys are restarted later: {on}. After 5 minutes the command stops with exit code 5; \
                 the same command continues"
            ),
            Self::ImageNotInspected { image, required_files } => write!(
                f,
                "{image} was not read: if it does not contain {} too, a recreated pod does not have that file",
                required_files.join(", ")
            ),
            Self::FollowsLatest { paths } => {
                let paths: Vec<&str> = paths.iter().map(Consumer::as_str).collect();
                write!(
                    f,
                    "{} is configured to run the latest version: once this one is registered, any restart starts it, tested or not",
                    paths.join(", ")
                )
            }
            Self::CannotRollBack { path } => {
                write!(f, "{path} has no version, which cannot be configured again")
            }
        }
    }
}

#[cfg(test)]
mod fleet_properties;
#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
