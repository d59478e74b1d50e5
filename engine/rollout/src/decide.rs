//! The next step, given what is seen and what is wanted. Pure: no clock, no client, nothing awaited.

mod check;
mod nodes;
mod permission;
mod removal;
mod upgrade;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use vault_api::catalog::PluginType;

use crate::binary::Probed;
use crate::compare::Comparison;
use crate::goal::{
    Goal, MountGoal, MountPath, Plugin, Register, Reload, ReloadTarget, Rewrite, Target, WriteGoal,
};
use crate::observed::site::{Holder, HolderEvidence, NodeName, PluginFile, Presence};
use crate::observed::{MountObserved, Observed, ReadBack};
use crate::refusal::Refusal;
use crate::step::{Step, VersionFrom};

pub(crate) use nodes::unsettled;
pub(crate) use permission::paths as permission_paths;
pub(crate) use upgrade::half_switched;
pub use upgrade::version_before;

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
    Holder {
        /// Who.
        holder: String,
    },
    /// A node that was there before, and may come back.
    #[error("waiting for {node}: {why}")]
    Node {
        /// Which one.
        node: NodeName,
        /// What it lacks.
        why: String,
    },
    /// A server of raft that cannot take part in an election, or holds up commits.
    #[error("waiting for the raft server {server}: {why}")]
    RaftServer {
        /// Its id, which need not be the name of its node.
        server: String,
        /// What it lacks.
        why: String,
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
    #[error("waiting for the PodDisruptionBudget {budget} to let {pod} be evicted: {said}")]
    DisruptionBudget {
        /// Its name.
        budget: String,
        /// Which pod.
        pod: NodeName,
        /// What the cluster says.
        said: String,
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
        why: String,
    },
    /// An entry without a version is what mounts without a version run.
    UnversionedEntry {
        /// Name of the plugin.
        name: String,
    },
    /// Fields that the server does not show are neither compared nor written.
    NotCompared {
        /// Full path.
        path: String,
        /// Fields.
        fields: Vec<String>,
    },
    /// Mounts that cannot go back, because "no version" cannot be configured again.
    NoWayBack {
        /// Where.
        path: MountPath,
    },
    /// The token may not see the servers of raft.
    RaftNotShown,
    /// Nodes that somebody vouches for, or has left out.
    OtherNodes {
        /// Which ones.
        nodes: Vec<String>,
        /// Whether the binary is said to be there.
        said_to_have_it: bool,
    },
    /// Nodes that the server does not name.
    UnnamedNodes {
        /// Those that somebody says have the binary.
        said_to_have_it: Vec<String>,
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
    ImageNotRead {
        /// Its name.
        image: String,
        /// The files of the other one that are registered.
        needed: Vec<String>,
    },
    /// Mounts that any restart moves as soon as a version is registered.
    FollowsLatest {
        /// Where.
        paths: Vec<MountPath>,
    },
    /// A node that cannot be looked at; it runs what is configured once it is active.
    NotSeen {
        /// Which one.
        node: NodeName,
        /// Why not.
        why: String,
    },
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
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
pub fn decide(observed: &Observed, goal: &Goal) -> Decision {
    match next(observed, goal) {
        Decision::Do(step) => match plan(observed, goal) {
            Ok(_) => Decision::Do(step),
            Err(Stop::Refused(refusal)) => Decision::Refuse(refusal),
            Err(Stop::Waiting(on)) => Decision::Wait(on),
        },
        other => other,
    }
}

/// All steps, found by deciding again on what each step would lead to.
pub fn plan(observed: &Observed, goal: &Goal) -> Result<Plan, Stop> {
    let mut steps = Vec::new();
    let mut then = observed.clone();
    loop {
        // What is waited for between later steps is seen when they are due.
        let decision = if steps.is_empty() { next(&then, goal) } else { due(&then, goal) };
        match decision {
            Decision::Do(step) => {
                then = then.after(&step);
                steps.push(step);
            }
            Decision::Done => break,
            Decision::Wait(on) => return Err(Stop::Waiting(on)),
            Decision::Refuse(refusal) => return Err(Stop::Refused(refusal)),
        }
    }
    if let Some(refusal) = nodes::unplaced(observed, goal, &steps) {
        return Err(Stop::Refused(refusal));
    }
    if let Some(refusal) = permission::missing(observed, &steps) {
        return Err(Stop::Refused(refusal));
    }
    if let Some(on) = nodes::in_the_way(observed, goal, &steps).filter(|_| !goal.goes_back()) {
        return Err(Stop::Waiting(on));
    }
    let notices = notices(observed, goal, &steps);
    Ok(Plan { steps, notices })
}

/// What is due, once the nodes are in a state for it.
fn next(observed: &Observed, goal: &Goal) -> Decision {
    let decision = due(observed, goal);
    match nodes::awaited(observed, goal, &decision) {
        Some(on) => Decision::Wait(on),
        None => decision,
    }
}

/// The restart that is due whatever it waits for, so that the active node is proven.
pub(crate) fn due_restart(observed: &Observed, goal: &Goal) -> Option<Step> {
    match due(observed, goal) {
        Decision::Do(step @ Step::RestartNode { .. }) => Some(step),
        _ => None,
    }
}

fn due(observed: &Observed, goal: &Goal) -> Decision {
    if observed.is_between_leaders() {
        return Decision::Wait(WaitingOn::ActiveNode);
    }
    if let Err(refusal) = check::server(observed) {
        return Decision::Refuse(refusal);
    }
    match observed.site.as_ref().and_then(|site| site.holder.as_ref()) {
        Some(Holder { name, evidence: HolderEvidence::Proven }) => {
            return Decision::Refuse(Refusal::Held { holder: name.clone() });
        }
        Some(Holder { name, evidence: HolderEvidence::Written }) => {
            return Decision::Wait(WaitingOn::Holder { holder: name.clone() });
        }
        None => {}
    }
    if let Some(refusal) = permission::denied(observed, goal) {
        return Decision::Refuse(refusal);
    }
    if let Err(refusal) = nodes::fit(observed, goal) {
        return match refusal {
            // What was there when the run began may come back.
            Refusal::OnNode { node, why } if observed.this_run.steps > 0 => {
                Decision::Wait(WaitingOn::Node { node, why: why.to_string() })
            }
            refusal => Decision::Refuse(refusal),
        };
    }
    let step = match goal {
        Goal::Register(register) => {
            check::register(observed, register).map(|()| register_step(observed, register))
        }
        Goal::Upgrade(upgrade) => upgrade::step(observed, upgrade),
        Goal::Reload(reload) => reload_step(observed, reload),
        Goal::Deregister(deregister) => removal::deregister_step(observed, deregister),
        Goal::Collect(collect) => removal::collect_step(observed, collect),
    };
    match step {
        Ok(Some(step)) => match nodes::restart_refused(observed, goal, &step) {
            Some(refusal) => Decision::Refuse(refusal),
            None => Decision::Do(step),
        },
        Ok(None) => Decision::Done,
        Err(refusal) => Decision::Refuse(refusal),
    }
}

fn register_step(observed: &Observed, register: &Register) -> Option<Step> {
    place(observed, &register.plugin)
        .or_else(|| catalog(observed, &register.plugin))
        .or_else(|| register.mounts.iter().find_map(|mount| enable(observed, register, mount)))
        .or_else(|| register.mounts.iter().find_map(|mount| tune(observed, register, mount)))
        .or_else(|| reload_stale(observed, register))
        .or_else(|| nodes::refresh(observed, register.mounts.iter().map(|mount| &mount.path)))
        .or_else(|| {
            register
                .mounts
                .iter()
                .flat_map(|mount| mount.writes.iter().map(move |write| (mount, write)))
                .find_map(|(mount, write)| write_step(observed, register, mount, write))
        })
}

fn place(observed: &Observed, plugin: &Plugin) -> Option<Step> {
    let site = observed.site.as_ref()?;
    let file = plugin.file_name();
    let nodes = site.lacking(&file, is_fit);
    (!nodes.is_empty()).then(|| Step::PlaceBinary {
        nodes,
        directory: site.directory.clone(),
        file,
        sha256: plugin.binary.sha256.clone(),
        size: plugin.binary.size,
    })
}

/// Everybody may read and execute it, only its owner may change it: what Vault's own permission check asks for.
fn is_fit(file: &PluginFile) -> bool {
    file.mode & 0o555 == 0o555 && file.mode & 0o022 == 0
}

fn catalog(observed: &Observed, plugin: &Plugin) -> Option<Step> {
    let registered = observed.entry(plugin.kind, &plugin.name, &plugin.version.tagged()).is_some();
    (!registered).then(|| Step::RegisterVersion {
        kind: plugin.kind,
        name: plugin.name.clone(),
        version: plugin.version.clone(),
        sha256: plugin.binary.sha256.clone(),
        command: plugin.file_name(),
        args: plugin.args.clone(),
    })
}

fn enable(observed: &Observed, register: &Register, mount: &MountGoal) -> Option<Step> {
    let plugin = &register.plugin;
    let pinned = observed.pinned(plugin.kind, &plugin.name).is_some();
    (!observed.mounts.contains_key(mount.path.as_str())).then(|| Step::EnableMount {
        path: mount.path.clone(),
        plugin: plugin.name.clone(),
        version: plugin.version.clone(),
        version_from: if pinned { VersionFrom::Pin } else { VersionFrom::Mount },
    })
}

/// A pin overrules the mount, and under one the server refuses to tune.
fn tune(observed: &Observed, register: &Register, mount: &MountGoal) -> Option<Step> {
    let plugin = &register.plugin;
    if observed.pinned(plugin.kind, &plugin.name).is_some() {
        return None;
    }
    let there = observed.mounts.get(mount.path.as_str())?;
    (observed.configured(there) != plugin.version.tagged()).then(|| Step::TuneMount {
        path: mount.path.clone(),
        from: there.configured_version.clone(),
        to: plugin.version.clone(),
    })
}

fn reload_stale(observed: &Observed, register: &Register) -> Option<Step> {
    let is_stale = |mount: &&MountGoal| {
        observed.mounts.get(mount.path.as_str()).is_some_and(|there| !runs(there, register))
    };
    register.mounts.iter().find(is_stale).map(|mount| Step::ReloadMount { path: mount.path.clone() })
}

/// The version alone proves nothing: an entry can have been registered again with another binary.
fn runs(mount: &MountObserved, register: &Register) -> bool {
    mount.running_version == register.plugin.version.tagged()
        && mount.running_sha256 == register.plugin.binary.sha256
}

fn write_step(
    observed: &Observed,
    register: &Register,
    mount: &MountGoal,
    write: &WriteGoal,
) -> Option<Step> {
    let path = mount.path.join(&write.path);
    if observed.this_run.written.contains(&path) {
        return None;
    }
    let there = observed.writes.iter().find(|there| there.path == path);
    let has = |comparison| there.is_some_and(|there| there.fields.values().any(|field| *field == comparison));
    let needed = match there.map(|there| there.read_back) {
        None | Some(ReadBack::Absent | ReadBack::NotTried) => true,
        Some(ReadBack::Present | ReadBack::CannotBeRead) => {
            // What a mount answers that nobody has configured is a default, not a setting.
            observed.this_run.enabled.contains(&mount.path)
                || has(Comparison::Differs)
                || (register.rewrite == Rewrite::Unreadable && has(Comparison::CannotBeRead))
        }
    };
    needed.then(|| Step::Write { path, fields: write.data.keys().cloned().collect() })
}

fn reload_step(observed: &Observed, reload: &Reload) -> Result<Option<Step>, Refusal> {
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
        check::reloaded(observed, path)?;
    }
    let next = paths.iter().find(|path| !observed.this_run.reloaded.contains(*path));
    Ok(match next {
        Some(path) => Some(Step::ReloadMount { path: path.clone() }),
        None => nodes::refresh(observed, paths.iter()),
    })
}

fn notices(observed: &Observed, goal: &Goal, steps: &[Step]) -> Vec<Notice> {
    let mut notices = Vec::new();
    if let Some(plugin) = goal.brought() {
        if let Probed::NotRun { why } = &plugin.probed {
            notices.push(Notice::NotProbed { why: why.clone() });
        }
        if observed.entry(plugin.kind, &plugin.name, "").is_some() {
            notices.push(Notice::UnversionedEntry { name: plugin.name.clone() });
        }
    }
    if let Goal::Upgrade(upgrade) = goal
        && let Target::Registered { .. } = upgrade.target
    {
        for (node, there) in observed.site.iter().flat_map(|site| &site.nodes) {
            if let Presence::NotReady { why } = &there.presence {
                notices.push(Notice::NotSeen { node: node.clone(), why: why.clone() });
            }
        }
    }
    let moves_nodes = |step: &Step| matches!(step, Step::RestartNode { .. } | Step::HandOver { .. });
    if nodes::raft_is_hidden(observed) && steps.iter().any(moves_nodes) {
        notices.push(Notice::RaftNotShown);
    }
    // A node that cannot be looked at is named above.
    let on = nodes::in_the_way(observed, goal, steps)
        .filter(|on| !matches!(on, WaitingOn::Node { node, .. } if is_not_seen(&notices, node)));
    notices.extend(on.map(|on| Notice::Unsettled { on }));
    notices.extend(follows_latest(observed, goal, steps));
    notices.extend(nodes::not_proven(observed, goal, steps));
    notices.extend(nodes::not_read(observed, goal, steps));
    let written: BTreeSet<&str> = steps
        .iter()
        .filter_map(|step| if let Step::Write { path, .. } = step { Some(path.as_str()) } else { None })
        .collect();
    for write in observed.writes.iter().filter(|write| !written.contains(write.path.as_str())) {
        let hidden = write.fields.iter().filter(|(_, field)| **field == Comparison::CannotBeRead);
        let fields: Vec<String> = hidden.map(|(name, _)| name.clone()).collect();
        if !fields.is_empty() {
            notices.push(Notice::NotCompared { path: write.path.clone(), fields });
        }
    }
    for step in steps {
        if let Step::TuneMount { path, from, .. } = step
            && from.is_empty()
        {
            notices.push(Notice::NoWayBack { path: path.clone() });
        }
    }
    notices
}

fn is_not_seen(notices: &[Notice], name: &NodeName) -> bool {
    notices.iter().any(|notice| matches!(notice, Notice::NotSeen { node, .. } if node == name))
}

/// A version that is registered is what such mounts run from the next start on, tried or not.
fn follows_latest(observed: &Observed, goal: &Goal, steps: &[Step]) -> Option<Notice> {
    let plugin = goal.brought()?;
    let mounts = observed.mounts_of(plugin.kind, &plugin.name).filter(|(_, mount)| mount.follows_latest());
    let paths: Vec<MountPath> = mounts.map(|(path, _)| path).collect();
    let registers = steps.iter().any(|step| matches!(step, Step::RegisterVersion { .. }));
    (registers && !paths.is_empty()).then_some(Notice::FollowsLatest { paths })
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotProbed { why } => write!(f, "the binary was not started to check it: {why}"),
            Self::UnversionedEntry { name } => write!(
                f,
                "{name} is also registered without a version; mounts that have none go on running that entry"
            ),
            Self::NotCompared { path, fields } => write!(
                f,
                "{path} does not show {}, so it was neither compared nor written",
                fields.join(", ")
            ),
            Self::RaftNotShown => f.write_str(
                "the token may not read sys/storage/raft/autopilot/state, so whether a node votes is not known: the next one is \
                 restarted once the one before is unsealed and close to the active node's log",
            ),
            Self::NotSeen { node, why } => {
                write!(f, "{node} cannot be looked at ({why}); it runs what is configured once it is active")
            }
            Self::OtherNodes { nodes, said_to_have_it: true } => write!(
                f,
                "not proven: {} {} the binary, as --placed-on says. It is proven once each has been the active node \
                 (`vault operator step-down`) and `vault-token-plugin status` shows what runs",
                nodes.join(", "),
                if nodes.len() == 1 { "has" } else { "have" }
            ),
            Self::OtherNodes { nodes, said_to_have_it: false } => write!(
                f,
                "nothing is placed on {}: the plugin's mounts fail when one of them becomes active",
                nodes.join(", ")
            ),
            Self::UnnamedNodes { said_to_have_it } if said_to_have_it.is_empty() => f.write_str(
                "the server is one of several nodes and does not name the others: nothing is placed on them, and the plugin's mounts \
                 fail when one of them becomes active",
            ),
            Self::UnnamedNodes { said_to_have_it } => write!(
                f,
                "the server is one of several nodes and does not name the others, so it is not known whether {} {} all that need the binary",
                said_to_have_it.join(", "),
                if said_to_have_it.len() == 1 { "is" } else { "are" }
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
            Self::ImageNotRead { image, needed } => write!(
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
            Self::NoWayBack { path } => {
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
