//! The next step, given what is seen and what is wanted. Pure: no clock, no client, nothing awaited.

mod check;
mod nodes;
mod permission;
mod removal;
mod upgrade;
mod upgrade_view;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use vault_api::catalog::PluginType;

use crate::binary::ProbeOutcome;
use crate::compare::Comparison;
use crate::goal::{
    DesiredMount, DesiredWrite, Goal, Plugin, RegisterGoal, ReloadGoal, ReloadTarget, RewritePolicy, Target,
};
use crate::mount_path::MountPath;
use crate::observed::deployment::{HolderLiveness, LockHolder, NodeName, PluginFile, Readiness};
use crate::observed::{MountObserved, Observed, ReadState};
use crate::progress::Progress;
use crate::refusal::Refusal;
use crate::step::{Step, UnreadyPodPolicy, VersionFrom};

pub(crate) use nodes::failover_blocker;
pub(crate) use permission::capability_paths as permission_paths;
pub use upgrade::rollback_version;
pub(crate) use upgrade_view::unreloaded_mounts;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a decision that nobody reads is not taken"]
pub enum Decision {
    /// This.
    Do(Step),
    /// Nothing yet.
    Wait(WaitingOn),
    /// Nothing any more.
    Done,
    /// Nothing at all.
    Refuse(Refusal),
}

/// What a decision waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum WaitingOn {
    /// After unsealing or a step-down it takes a while.
    #[error("waiting for a node to become active")]
    ActiveNode,
    /// Somebody who may be changing plugins: it shows within seconds whether that is still so.
    #[error("waiting to see whether {holder} is still changing plugins here")]
    Lock {
        /// Who.
        holder: String,
    },
    /// A node that was there before, and may come back.
    #[error("waiting for {node}: {reason}")]
    Node {
        /// Which one.
        node: NodeName,
        /// What it lacks.
        reason: String,
    },
    /// A server of raft that cannot take part in an election, or holds up commits.
    #[error("waiting for the raft server {server}: {reason}")]
    RaftServer {
        /// Its id, which need not be the name of its node.
        server: String,
        /// What it lacks.
        reason: String,
    },
    /// Nodes that are no servers of raft yet.
    #[error("waiting for every node to join raft: {joined} of {nodes} have")]
    RaftJoin {
        /// How many have.
        joined: usize,
        /// How many there are.
        nodes: usize,
    },
    /// A disruption budget that does not let a pod be evicted now.
    #[error("waiting for the PodDisruptionBudget {budget} to let {pod} be evicted: {message}")]
    DisruptionBudget {
        /// Its name.
        budget: String,
        /// Which pod.
        pod: NodeName,
        /// What the cluster says.
        message: String,
    },
}

/// What will be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Steps; empty when there is nothing to do.
    pub steps: Vec<Step>,
    /// What should be known before it is confirmed.
    pub notices: Vec<Notice>,
}

/// Something that is not wrong and may surprise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// The binary was not started before it is registered.
    NotProbed {
        /// Why not.
        reason: String,
    },
    /// An entry without a version is what mounts without a version run.
    UnversionedEntry {
        /// Name of the plugin.
        name: String,
    },
    /// Fields that the server does not show are neither compared nor written.
    FieldsUnreadable {
        /// Full path.
        path: String,
        /// Fields.
        fields: Vec<String>,
    },
    /// Mounts that cannot go back, because "no version" cannot be configured again.
    CannotRollBack {
        /// Where.
        path: MountPath,
    },
    /// The token may not see the servers of raft.
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
    /// Nobody has looked whether a file is in place: the active node proves it by starting it, and no other does.
    ActiveNodeAlone {
        /// The others; `None` where the server does not name them.
        nodes: Option<Vec<String>>,
        /// The file.
        file: String,
    },
    /// What keeps standbys from being restarted now. Mounts are moved back all the same.
    Unsettled {
        /// What is waited for before the first restart.
        on: WaitingOn,
    },
    /// An image that takes the place of another, and was not read.
    ImageNotInspected {
        /// Its name.
        image: String,
        /// The files of the other one that are registered.
        required_files: Vec<String>,
    },
    /// Mounts that any restart moves as soon as a version is registered.
    FollowsLatest {
        /// Where.
        paths: Vec<MountPath>,
    },
    /// A node that cannot be looked at; it runs what is configured once it is active.
    NodeUnobserved {
        /// Which one.
        node: NodeName,
        /// Why not.
        reason: String,
    },
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It is refused.
    #[error(transparent)]
    Refused(Refusal),
    /// It is too early.
    #[error(transparent)]
    Waiting(WaitingOn),
}

impl Plan {
    /// True when there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// The next step. Everything that would be refused later is refused now, before anything has changed.
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
    let (mut then, mut made) = (observed.clone(), progress.clone());
    loop {
        // What is waited for between later steps is seen when they are due.
        let decision = if steps.is_empty() {
            decide_next(&then, goal, &made)
        } else {
            decide_ignoring_waits(&then, goal, &made)
        };
        match decision {
            Decision::Do(step) => {
                then = then.after(&step, &made);
                made = made.with_step(&step);
                steps.push(step);
            }
            Decision::Done => break,
            Decision::Wait(on) => return Err(PlanError::Waiting(on)),
            Decision::Refuse(refusal) => return Err(PlanError::Refused(refusal)),
        }
    }
    if let Some(refusal) = nodes::refuse_unplaced_nodes(observed, goal, &steps) {
        return Err(PlanError::Refused(refusal));
    }
    if let Some(refusal) = permission::refuse_missing_capabilities(observed, &steps) {
        return Err(PlanError::Refused(refusal));
    }
    if let Some(on) = nodes::in_the_way(observed, goal, progress, &steps).filter(|_| !goal.is_rollback()) {
        return Err(PlanError::Waiting(on));
    }
    let notices = notices(observed, goal, progress, &steps);
    Ok(Plan { steps, notices })
}

/// What is due, once the nodes are in a state for it.
fn decide_next(observed: &Observed, goal: &Goal, progress: &Progress) -> Decision {
    let decision = decide_ignoring_waits(observed, goal, progress);
    match nodes::pending_wait(observed, goal, progress, &decision) {
        Some(on) => Decision::Wait(on),
        None => decision,
    }
}

/// The restart that is due whatever it waits for, so that the active node is proven.
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
    match observed.deployment.as_ref().and_then(|site| site.lock_holder.as_ref()) {
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
            // What was there when the run began may come back.
            Refusal::OnNode { node, why } if progress.steps > 0 => {
                Decision::Wait(WaitingOn::Node { node, reason: why.to_string() })
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
        Ok(Some(step)) => match nodes::refuse_restart(observed, goal, progress, &step) {
            Some(refusal) => Decision::Refuse(refusal),
            None => Decision::Do(step),
        },
        Ok(None) => Decision::Done,
        Err(refusal) => Decision::Refuse(refusal),
    }
}

fn register_step(observed: &Observed, register: &RegisterGoal, progress: &Progress) -> Option<Step> {
    place_step(observed, &register.plugin)
        .or_else(|| register_version_step(observed, &register.plugin))
        .or_else(|| register.mounts.iter().find_map(|mount| enable_step(observed, register, mount)))
        .or_else(|| register.mounts.iter().find_map(|mount| tune_step(observed, register, mount)))
        .or_else(|| reload_stale_step(observed, register))
        .or_else(|| {
            let mounts = register.mounts.iter().map(|mount| &mount.path);
            nodes::restart_stale_standby(observed, progress, mounts, UnreadyPodPolicy::Evict)
        })
        .or_else(|| {
            register
                .mounts
                .iter()
                .flat_map(|mount| mount.writes.iter().map(move |write| (mount, write)))
                .find_map(|(mount, write)| write_step(observed, register, progress, mount, write))
        })
}

fn place_step(observed: &Observed, plugin: &Plugin) -> Option<Step> {
    let site = observed.deployment.as_ref()?;
    let file = plugin.file_name();
    let nodes = site.nodes_lacking(&file, has_safe_mode);
    (!nodes.is_empty()).then(|| Step::PlaceBinary {
        nodes,
        directory: site.directory.clone(),
        file,
        binary: plugin.binary.clone(),
    })
}

/// Everybody may read and execute it, only its owner may change it: what Vault's own permission check asks for.
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
    (!observed.mounts.contains_key(mount.path.as_str())).then(|| Step::EnableMount {
        path: mount.path.clone(),
        plugin: plugin.name.clone(),
        version: plugin.version.clone(),
        version_from: if pinned { VersionFrom::Pin } else { VersionFrom::Mount },
    })
}

/// A pin overrules the mount, and under one the server refuses to tune.
fn tune_step(observed: &Observed, register: &RegisterGoal, mount: &DesiredMount) -> Option<Step> {
    let plugin = &register.plugin;
    if observed.pinned_version(plugin.kind, &plugin.name).is_some() {
        return None;
    }
    let there = observed.mounts.get(mount.path.as_str())?;
    (observed.configured_version(there) != plugin.version.v_prefixed()).then(|| Step::TuneMount {
        path: mount.path.clone(),
        from: there.configured_version.clone(),
        to: plugin.version.clone(),
    })
}

fn reload_stale_step(observed: &Observed, register: &RegisterGoal) -> Option<Step> {
    let is_stale = |mount: &&DesiredMount| {
        observed.mounts.get(mount.path.as_str()).is_some_and(|there| !runs_version(there, register))
    };
    register.mounts.iter().find(is_stale).map(|mount| Step::ReloadMount { path: mount.path.clone() })
}

/// The version alone proves nothing: an entry can have been registered again with another binary.
fn runs_version(mount: &MountObserved, register: &RegisterGoal) -> bool {
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
    let there = observed.writes.iter().find(|there| there.path == path);
    let has = |comparison| there.is_some_and(|there| there.fields.values().any(|field| *field == comparison));
    let needed = match there.map(|there| there.read_state) {
        None | Some(ReadState::Absent | ReadState::NotRead) => true,
        Some(ReadState::Present | ReadState::Unreadable) => {
            // What a mount answers that nobody has configured is a default, not a setting.
            progress.enabled.contains(&mount.path)
                || has(Comparison::Differs)
                || (register.rewrite == RewritePolicy::Unreadable && has(Comparison::Unreadable))
        }
    };
    needed.then(|| Step::Write { path, data: parts.flat_map(|part| part.data.clone()).collect() })
}

fn reload_step(
    observed: &Observed,
    reload: &ReloadGoal,
    progress: &Progress,
) -> Result<Option<Step>, Refusal> {
    let paths = match &reload.target {
        ReloadTarget::Mounts(paths) => paths.clone(),
        ReloadTarget::Plugin { kind, name } => {
            let nothing = || Refusal::NoMountOfPlugin { kind: *kind, name: name.clone() };
            let mounts = observed.mounts.iter().filter(|(_, mount)| mount.plugin == *name);
            let paths: Vec<MountPath> = mounts.filter_map(|(path, _)| path.parse().ok()).collect();
            if paths.is_empty() || *kind != PluginType::Secret {
                return Err(nothing());
            }
            paths
        }
    };
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
        if let ProbeOutcome::NotRun { reason: why } = &plugin.probe {
            notices.push(Notice::NotProbed { reason: why.clone() });
        }
        if observed.catalog_entry(plugin.kind, &plugin.name, "").is_some() {
            notices.push(Notice::UnversionedEntry { name: plugin.name.clone() });
        }
    }
    if let Goal::Upgrade(upgrade) = goal
        && let Target::Registered { .. } = upgrade.target
    {
        for (node, there) in observed.deployment.iter().flat_map(|site| &site.nodes) {
            if let Readiness::NotReady { reason: why } = &there.readiness {
                notices.push(Notice::NodeUnobserved { node: node.clone(), reason: why.clone() });
            }
        }
    }
    let moves_nodes = |step: &Step| matches!(step, Step::RestartNode { .. } | Step::StepDown { .. });
    if nodes::raft_is_hidden(observed) && steps.iter().any(moves_nodes) {
        notices.push(Notice::RaftStateUnknown);
    }
    // A node that cannot be looked at is named above.
    let on = nodes::in_the_way(observed, goal, progress, steps)
        .filter(|on| !matches!(on, WaitingOn::Node { node, .. } if is_not_seen(&notices, node)));
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
        {
            notices.push(Notice::CannotRollBack { path: path.clone() });
        }
    }
    notices
}

fn is_not_seen(notices: &[Notice], name: &NodeName) -> bool {
    notices.iter().any(|notice| matches!(notice, Notice::NodeUnobserved { node, .. } if node == name))
}

/// A version that is registered is what such mounts run from the next start on, tried or not.
fn follows_latest(observed: &Observed, goal: &Goal, steps: &[Step]) -> Option<Notice> {
    let plugin = goal.provided_plugin()?;
    let mounts = observed.mounts_of(plugin.kind, &plugin.name).filter(|(_, mount)| mount.follows_latest());
    let paths: Vec<MountPath> = mounts.map(|(path, _)| path).collect();
    let registers = steps.iter().any(|step| matches!(step, Step::RegisterVersion { .. }));
    (registers && !paths.is_empty()).then_some(Notice::FollowsLatest { paths })
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotProbed { reason: why } => write!(f, "the binary was not started to check it: {why}"),
            Self::UnversionedEntry { name } => write!(
                f,
                "{name} is also registered without a version; mounts that have none go on running that entry"
            ),
            Self::FieldsUnreadable { path, fields } => write!(
                f,
                "{path} does not show {}, so it was neither compared nor written",
                fields.join(", ")
            ),
            Self::RaftStateUnknown => f.write_str(
                "the token may not read sys/storage/raft/autopilot/state, so whether a node votes is not known: the next one is \
                 restarted once the one before is unsealed and close to the active node's log",
            ),
            Self::NodeUnobserved { node, reason: why } => {
                write!(f, "{node} cannot be looked at ({why}); it runs what is configured once it is active")
            }
            Self::OtherNodes { nodes, confirmed: true } => write!(
                f,
                "not proven: {} {} the binary, as --placed-on says. It is proven once each has been the active node \
                 (`vault operator step-down`) and `vault-token-plugin status` shows what runs",
                nodes.join(", "),
                if nodes.len() == 1 { "has" } else { "have" }
            ),
            Self::OtherNodes { nodes, confirmed: false } => write!(
                f,
                "nothing is placed on {}: the plugin's mounts fail when one of them becomes active",
                nodes.join(", ")
            ),
            Self::UnnamedNodes { confirmed_nodes } if confirmed_nodes.is_empty() => f.write_str(
                "the server is one of several nodes and does not name the others: nothing is placed on them, and the plugin's mounts \
                 fail when one of them becomes active",
            ),
            Self::UnnamedNodes { confirmed_nodes } => write!(
                f,
                "the server is one of several nodes and does not name the others, so it is not known whether {} {} all that need the binary",
                confirmed_nodes.join(", "),
                if confirmed_nodes.len() == 1 { "is" } else { "are" }
            ),
            Self::ActiveNodeAlone { nodes, file } => {
                write!(f, "the plugin directory was not looked at: that {file} is in place is proven on the active node alone, by the \
                           reload. ")?;
                match nodes {
                    Some(nodes) => write!(f, "Where {} {} it", nodes.join(", "), if nodes.len() == 1 { "lacks" } else { "lack" }),
                    None => f.write_str("Where another node, which the server does not name, lacks it"),
                }?;
                f.write_str(", the plugin's mounts fail when that node becomes active")
            }
            Self::Unsettled { on } => write!(
                f,
                "mounts are moved back now, and standbys are restarted once this has passed: {on}. After 5 minutes the command ends with \
                 exit code 5, and the same command goes on"
            ),
            Self::ImageNotInspected { image, required_files: needed } => write!(
                f,
                "{image} was not read: if it does not bring {} too, a pod that is made anew has not got that",
                needed.join(", ")
            ),
            Self::FollowsLatest { paths } => {
                let paths: Vec<&str> = paths.iter().map(MountPath::as_str).collect();
                write!(
                    f,
                    "{} is configured to run the latest version: once this one is registered, any restart starts it there, tried or not",
                    paths.join(", ")
                )
            }
            Self::CannotRollBack { path } => {
                write!(f, "{path} has no version so far and cannot be given \"no version\" again")
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
