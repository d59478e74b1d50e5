//! Conditions of nodes before mounts are moved, and steps for nodes afterwards.

mod quorum;

use super::upgrade_view::UpgradeView;
use crate::consumer::Consumer;
use crate::decide::{Decision, Notice, WaitingOn, unreloaded_mounts};
use crate::goal::{
    Durability, FailoverTest, Goal, OtherNodesPolicy, ReloadTarget, SealedRestart, Target, UpgradeGoal,
};
use crate::observed::deployment::{
    DeploymentObserved, NodeName, NodeObserved, NodeRole, NodeServer, PluginStorage, PodUpdateStrategy,
    Readiness, RunningVersion, SealType,
};
use crate::observed::other_nodes::{NodeList, OtherNode, OtherNodes, ServerLocation};
use crate::observed::{ConsumerObserved, Observed, Raft};
use crate::progress::Progress;
use crate::refusal::Refusal;
use crate::step::{Step, UnreadyPodPolicy};
use std::collections::{BTreeMap, BTreeSet};
use vault_api::health::Product;
use vault_api::raft::Suffrage;

/// Checks that every node was observed and is unsealed.
///
/// A rollback ignores nodes that are down, because it runs when things are already broken. A reload changes no file.
pub(super) fn check_readiness(observed: &Observed, goal: &Goal) -> Result<(), Refusal> {
    let Some(deployment) = &observed.deployment else { return Ok(()) };
    if goal.is_rollback() || matches!(goal, Goal::Reload(_)) {
        return Ok(());
    }
    for (name, node) in &deployment.nodes {
        if let Readiness::NotReady { reason } = &node.readiness {
            return Err(Refusal::NodeNotReady { reason: reason.clone() }.on_node(name));
        }
        if node.server.as_ref().is_some_and(|vault| vault.sealed) {
            return Err(Refusal::NodeSealed.on_node(name));
        }
    }
    Ok(())
}

/// Refuses to change what other nodes run after a failover, unless the user has confirmed that they have the binary, or accepts that they
/// do not.
pub(super) fn refuse_uncovered_nodes(observed: &Observed, goal: &Goal, steps: &[Step]) -> Option<Refusal> {
    let (other_nodes_policy, deployment) = (goal.other_nodes_policy()?, observed.deployment.as_ref()?);
    if !steps.iter().any(changes_running_binary) {
        return None;
    }
    let (confirmed, is_accepted): (&[String], bool) = match other_nodes_policy {
        OtherNodesPolicy::InstalledOn(names) => (names, false),
        OtherNodesPolicy::ThisNodeOnly => (&[], true),
    };
    let OtherNodes::Found { server, nodes } = observed.other_nodes.clone().without(confirmed) else {
        return None;
    };
    let (directory, file) = (deployment.directory.clone(), target_file_name(observed, goal)?);
    match (server, nodes) {
        (_, NodeList::Named(nodes)) if nodes.is_empty() => None,
        (ServerLocation::OtherMachine, NodeList::Named(nodes)) => {
            let address = observed.server.address.clone();
            Some(Refusal::RemoteServer { address, nodes: node_names(&nodes), directory })
        }
        (_, NodeList::Unnamed) => (!is_accepted).then_some(Refusal::UnnamedNodes { directory, file }),
        (_, NodeList::Named(nodes)) => {
            (!is_accepted).then(|| Refusal::OtherNodes { nodes: node_names(&nodes), directory, file })
        }
    }
}

/// The notice about other nodes that the user should read before the plan is confirmed.
pub(super) fn other_nodes_notice(observed: &Observed, goal: &Goal, steps: &[Step]) -> Option<Notice> {
    let other_nodes_policy = goal.other_nodes_policy()?;
    if !steps.iter().any(changes_running_binary) {
        return None;
    }
    let OtherNodes::Found { server, nodes } = &observed.other_nodes else { return None };
    let confirmed_nodes = if let OtherNodesPolicy::InstalledOn(names) = other_nodes_policy {
        names.clone()
    } else {
        Vec::new()
    };
    match (server, nodes) {
        (ServerLocation::NotDetermined, nodes) => {
            let left = observed.other_nodes.clone().without(&confirmed_nodes);
            let nodes = (*nodes != NodeList::Unnamed).then(|| node_names(left.nodes()));
            let file = target_file_name(observed, goal)?;
            let is_needed = nodes.as_ref().is_none_or(|nodes| !nodes.is_empty());
            is_needed.then_some(Notice::ActiveNodeAlone { nodes, file })
        }
        (_, NodeList::Unnamed) => Some(Notice::UnnamedNodes { confirmed_nodes }),
        (_, NodeList::Named(nodes)) => {
            let confirmed = *other_nodes_policy != OtherNodesPolicy::ThisNodeOnly;
            (!nodes.is_empty()).then(|| Notice::OtherNodes { nodes: node_names(nodes), confirmed })
        }
    }
}

fn node_names(nodes: &[OtherNode]) -> Vec<String> {
    nodes.iter().map(|node| node.name.clone()).collect()
}

/// Whether a step changes what another node runs after a failover.
fn changes_running_binary(step: &Step) -> bool {
    matches!(
        step,
        Step::CopyBinary { .. }
            | Step::RegisterVersion { .. }
            | Step::EnableMount { .. }
            | Step::TuneMount { .. }
            | Step::SetPin { .. }
    )
}

fn target_file_name(observed: &Observed, goal: &Goal) -> Option<String> {
    match goal {
        Goal::Register(register) => Some(register.plugin.file_name()),
        Goal::Upgrade(upgrade) => Some(UpgradeView::new(observed, upgrade).file_name()),
        Goal::Reload(_) | Goal::Deregister(_) | Goal::GarbageCollect(_) => None,
    }
}

/// Checks that a file survives a restart of a node, or that the user accepts its loss.
pub(super) fn check_durability(
    observed: &Observed,
    file: &str,
    durability: &Durability,
) -> Result<(), Refusal> {
    let Some(deployment) = &observed.deployment else { return Ok(()) };
    let refused = |reason: String| match durability {
        Durability::NotRequired => Ok(()),
        Durability::Required | Durability::Image { .. } => {
            Err(Refusal::NotDurable { file: file.to_owned(), reason })
        }
    };
    match &deployment.plugin_storage {
        PluginStorage::LocalDirectory | PluginStorage::PersistentVolume { .. } => Ok(()),
        PluginStorage::InitContainer { name, image, files } => match (files, durability) {
            (_, Durability::Image { image: desired, .. }) if desired == image => Ok(()),
            (_, Durability::Image { .. })
                if deployment.update_strategy == PodUpdateStrategy::RollingUpdate =>
            {
                Err(Refusal::WouldRestartPods { container: name.clone() })
            }
            (_, Durability::Image { image, files: Some(new) }) => {
                check_image_complete(observed, file, image, new)
            }
            (_, Durability::Image { .. }) => Ok(()),
            (Some(_), _) => deployment.plugin_storage.loss_reason(file).map_or(Ok(()), refused),
            (None, _) => {
                refused(format!("the content of the image {image} of the init container {name} is unknown"))
            }
        },
        PluginStorage::ImageVolume { image } => refused(format!("the directory is the image {image}")),
        PluginStorage::ContainerImage { .. } | PluginStorage::Ephemeral { .. } => {
            deployment.plugin_storage.loss_reason(file).map_or(Ok(()), refused)
        }
        PluginStorage::Unknown { reason } => refused(reason.clone()),
    }
}

/// Whether the goal sets another image.
pub(super) fn changes_init_image(observed: &Observed, upgrade: &UpgradeGoal) -> bool {
    observed
        .deployment
        .as_ref()
        .is_some_and(|deployment| patch_init_image_step(deployment, upgrade).is_some())
}

/// Checks that a new image contains every registered version of the previous one, with the registered checksums.
fn check_image_complete(
    observed: &Observed,
    file: &str,
    image: &str,
    image_files: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let mut missing_files: Vec<String> = files_restored_at_restart(observed)
        .into_iter()
        .filter(|file| !image_files.contains_key(file))
        .collect();
    if !image_files.contains_key(file) {
        missing_files.insert(0, file.to_owned());
    }
    if !missing_files.is_empty() {
        return Err(Refusal::ImageIncomplete { image: image.to_owned(), missing_files });
    }
    // The server would not start a file with another checksum.
    let differs = observed.catalog.iter().find_map(|entry| {
        let file = entry.file_name();
        let found =
            image_files.get(&file).filter(|found| **found != entry.sha256 && !entry.sha256.is_empty())?;
        let (found, registered) = (found.clone(), entry.sha256.clone());
        Some(Refusal::ImageChecksumMismatch { image: image.to_owned(), file, found, registered })
    });
    differs.map_or(Ok(()), Err)
}

/// The registered files that a restarted node gets. If that is unknown, those that every node has.
fn files_restored_at_restart(observed: &Observed) -> BTreeSet<String> {
    let registered = observed.catalog.iter().map(|entry| entry.file_name());
    let Some(deployment) = &observed.deployment else { return BTreeSet::new() };
    match &deployment.plugin_storage {
        PluginStorage::InitContainer { files: Some(files), .. } => {
            registered.filter(|file| files.contains(file)).collect()
        }
        PluginStorage::InitContainer { files: None, .. } => {
            registered.filter(|file| deployment.nodes_lacking(file, |_| true).is_empty()).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// The notice about an image that was not read, if the previous one contains other registered files.
pub(super) fn image_not_read_notice(observed: &Observed, goal: &Goal, steps: &[Step]) -> Option<Notice> {
    let Goal::Upgrade(upgrade) = goal else { return None };
    let Durability::Image { image, files: None } = &upgrade.durability else { return None };
    let file = target_file_name(observed, goal)?;
    let needed: Vec<String> =
        files_restored_at_restart(observed).into_iter().filter(|restored| *restored != file).collect();
    let is_set = steps.iter().any(|step| matches!(step, Step::PatchInitImage { .. }));
    (is_set && !needed.is_empty())
        .then(|| Notice::ImageNotInspected { image: image.clone(), required_files: needed })
}

/// As [`check_durability`], for goals that do not set the image.
pub(super) fn check_durability_unchanged(
    observed: &Observed,
    file: &str,
    durability: &Durability,
) -> Result<(), Refusal> {
    if let Some(DeploymentObserved {
        plugin_storage: PluginStorage::InitContainer { name, image, .. }, ..
    }) = &observed.deployment
        && let Durability::Image { image: desired, .. } = durability
        && image != desired
    {
        let reason = format!("the init container {name} has the image {image}, not {desired}");
        return Err(Refusal::NotDurable { file: file.to_owned(), reason });
    }
    check_durability(observed, file, durability)
}

/// The next step for nodes, after the active one is verified.
pub(super) fn step<'a>(
    observed: &Observed,
    upgrade: &UpgradeGoal,
    progress: &Progress,
    mounts: impl Iterator<Item = &'a Consumer>,
) -> Option<Step> {
    let deployment = observed.deployment.as_ref();
    let unready = match upgrade.target {
        Target::Provided(_) => UnreadyPodPolicy::Evict,
        Target::Registered { .. } => UnreadyPodPolicy::Delete,
    };
    // Set before restarts: a restarted standby gets its files from the image.
    deployment
        .and_then(|deployment| patch_init_image_step(deployment, upgrade))
        .or_else(|| restart_stale_standby(observed, progress, mounts, unready))
        .or_else(|| step_down_step(observed, upgrade, progress))
}

/// The restart of a standby that runs another version than the active node. OpenBao's standbys keep running what they have started.
pub(super) fn restart_stale_standby<'a>(
    observed: &Observed,
    progress: &Progress,
    mut mounts: impl Iterator<Item = &'a Consumer>,
    unready: UnreadyPodPolicy,
) -> Option<Step> {
    let nodes = &observed.deployment.as_ref()?.nodes;
    let stale = |path: &Consumer| {
        let active = observed.consumers.get(path.as_str())?;
        let is_stale = |node: &NodeObserved| {
            node.server.as_ref().filter(|vault| vault.role == NodeRole::Standby).is_some_and(|vault| {
                vault.running.get(path.as_str()).is_some_and(|running| !runs_same_version(running, active))
            })
        };
        let mut stale = nodes.iter().filter(|(_, node)| is_stale(node));
        stale.find(|(name, _)| !progress.restarted.contains(*name))
    };
    let (name, node) = mounts.find_map(stale)?;
    Some(Step::RestartNode { node: name.clone(), uid: node.uid.clone(), unready })
}

fn runs_same_version(running: &RunningVersion, active: &ConsumerObserved) -> bool {
    running.version == active.running_version && running.sha256 == active.running_sha256
}

/// Refuses the restart of a node that the user has not accepted.
pub(super) fn refuse_restart(
    observed: &Observed,
    goal: &Goal,
    progress: &Progress,
    step: &Step,
) -> Option<Refusal> {
    refuse_staying_sealed(observed, goal, step)
        .or_else(|| refuse_losing_file(observed, progress, step))
        .or_else(|| quorum::refuse_losing_quorum(observed, goal, step))
}

/// Refuses to restart a node that has to be unsealed manually, unless the user has accepted it.
fn refuse_staying_sealed(observed: &Observed, goal: &Goal, step: &Step) -> Option<Refusal> {
    let Step::RestartNode { node, .. } = step else { return None };
    let vault = observed.deployment.as_ref()?.nodes.get(node)?.server.as_ref()?;
    (vault.seal_type == SealType::Shamir && goal.restart_consent().sealed == SealedRestart::Refuse)
        .then(|| Refusal::StaysSealed.on_node(node))
}

/// Refuses to restart a node that would lose the file of a mount: OpenBao does not retry the start of a plugin that has failed when the node
/// was unsealed.
fn refuse_losing_file(observed: &Observed, progress: &Progress, step: &Step) -> Option<Refusal> {
    let Step::RestartNode { node, .. } = step else { return None };
    let files = &observed.deployment.as_ref()?.nodes.get(node)?.files;
    observed.consumers.iter().find_map(|(path, mount)| {
        let file = observed.file_of(mount).filter(|file| files.iter().any(|other| other.name == *file))?;
        let reason = observed.lost_at_restart(&file, progress)?;
        Some(Refusal::LostAtRestart { file, path: path.to_string(), reason }.on_node(node))
    })
}

/// What a decision has to wait for: two nodes that are down at the same time can cost the cluster its quorum, and a node without a vote cannot
/// become active.
pub(super) fn pending_wait(
    observed: &Observed,
    goal: &Goal,
    progress: &Progress,
    decision: &Decision,
) -> Option<WaitingOn> {
    let restarted = &progress.restarted;
    match decision {
        Decision::Do(Step::RestartNode { node, .. }) => unavailable_node(observed, |_| true)
            .or_else(|| unknown_seal(observed, goal, node))
            .or_else(|| unverified_restart(observed, goal, progress))
            .or_else(|| unreporting_standby(observed))
            .or_else(|| failover_blocker(observed)),
        Decision::Do(Step::StepDown { .. }) => {
            unavailable_node(observed, |_| true).or_else(|| failover_blocker(observed))
        }
        Decision::Do(_) | Decision::Done if !restarted.is_empty() => {
            unavailable_node(observed, |name| restarted.contains(name))
                .or_else(|| unverified_restart(observed, goal, progress))
                .or_else(|| unreporting_standby(observed).filter(|_| *decision == Decision::Done))
                .or_else(|| failover_blocker(observed))
        }
        Decision::Done if goal.may_restart_nodes() => unreporting_standby(observed),
        // A restart must be in the plan, so its need must be known first. A rollback moves mounts first.
        Decision::Do(_) if goal.may_restart_nodes() && progress.steps == 0 && !goal.is_rollback() => {
            unreporting_standby(observed)
        }
        Decision::Do(_) | Decision::Done | Decision::Wait(_) | Decision::Refuse(_) => None,
    }
}

/// A node that does not serve at present.
fn unavailable_node(observed: &Observed, matters: impl Fn(&NodeName) -> bool) -> Option<WaitingOn> {
    let nodes = &observed.deployment.as_ref()?.nodes;
    nodes.iter().filter(|(name, _)| matters(name)).find_map(|(name, node)| {
        let reason = match (&node.readiness, &node.server) {
            (Readiness::NotReady { reason }, _) => reason.clone(),
            (Readiness::Ready, Some(vault)) if vault.sealed => "its server is sealed".to_owned(),
            // A local deployment has no connection to its server.
            (Readiness::Ready, None) if !name.is_local() => "its server does not respond".to_owned(),
            (Readiness::Ready, Some(_) | None) => return None,
        };
        Some(WaitingOn::Node { node: name.clone(), reason })
    })
}

/// A standby that did not report its mounts: the request may have failed, or the token is too new for it. Only OpenBao's standbys matter, because
/// they keep running what they have started.
fn unreporting_standby(observed: &Observed) -> Option<WaitingOn> {
    if observed.server.product != Product::OpenBao {
        return None;
    }
    let is_unreporting =
        |vault: &NodeServer| vault.role == NodeRole::Standby && !vault.sealed && vault.running.is_empty();
    let mut nodes = observed.deployment.as_ref()?.nodes.iter();
    let (name, _) = nodes.find(|(_, node)| {
        node.readiness == Readiness::Ready && node.server.as_ref().is_some_and(is_unreporting)
    })?;
    Some(WaitingOn::Node { node: name.clone(), reason: "it does not report what it runs".to_owned() })
}

/// A node to be restarted whose seal type is unknown.
fn unknown_seal(observed: &Observed, goal: &Goal, node: &NodeName) -> Option<WaitingOn> {
    let vault = observed.deployment.as_ref()?.nodes.get(node)?.server.as_ref()?;
    let matters =
        vault.seal_type == SealType::Unknown && goal.restart_consent().sealed == SealedRestart::Refuse;
    let reason = "it does not report whether it unseals automatically".to_owned();
    matters.then(|| WaitingOn::Node { node: node.clone(), reason })
}

/// A node that this run has restarted, and that does not run the versions of the active one.
fn unverified_restart(observed: &Observed, goal: &Goal, progress: &Progress) -> Option<WaitingOn> {
    let deployment = observed.deployment.as_ref()?;
    let paths = mounts_of_goal(observed, goal);
    progress.restarted.iter().find_map(|name| {
        let vault =
            deployment.nodes.get(name)?.server.as_ref().filter(|vault| vault.role == NodeRole::Standby)?;
        let reason = paths.iter().find_map(|path| {
            let active = observed.consumers.get(path.as_str())?;
            match vault.running.get(path.as_str()) {
                None => Some(format!("it does not report yet what it runs at {path}")),
                Some(running) if runs_same_version(running, active) => None,
                Some(running) => Some(format!(
                    "it runs {:?} at {path}, expected {:?}",
                    running.version, active.running_version
                )),
            }
        })?;
        Some(WaitingOn::Node { node: name.clone(), reason })
    })
}

/// The mounts of a goal.
fn mounts_of_goal(observed: &Observed, goal: &Goal) -> Vec<Consumer> {
    let of_plugin = |kind, name: &str| observed.consumers_of(kind, name).map(|(path, _)| path);
    match goal {
        Goal::Register(register) => register.mounts.iter().map(|mount| mount.path.clone()).collect(),
        Goal::Upgrade(upgrade) => of_plugin(upgrade.kind(), upgrade.name())
            .filter(|path| upgrade.only_mounts.is_empty() || upgrade.only_mounts.contains(path))
            .collect(),
        Goal::Reload(reload) => match &reload.target {
            ReloadTarget::Mounts(paths) => paths.clone(),
            ReloadTarget::Plugin { kind, name } => of_plugin(*kind, name).collect(),
        },
        Goal::Deregister(_) | Goal::GarbageCollect(_) => Vec::new(),
    }
}

/// Whether the storage is raft, and the token cannot read its servers, for example in a namespace.
pub(super) fn raft_is_hidden(observed: &Observed) -> bool {
    let mut servers = observed
        .deployment
        .iter()
        .flat_map(|deployment| deployment.nodes.values())
        .filter_map(|node| node.server.as_ref());
    match observed.raft {
        Raft::NotShown => true,
        Raft::NotUsed => servers.any(|server| server.applied_index.is_some()),
        Raft::NotAsked | Raft::Servers(_) => false,
    }
}

/// What prevents nodes from being restarted or made active. A plan that does so waits for it before the first change; a rollback moves its
/// mounts anyway.
pub(super) fn restart_blocker(
    observed: &Observed,
    goal: &Goal,
    progress: &Progress,
    steps: &[Step],
) -> Option<WaitingOn> {
    let is_of_mounts = |step: &Step| matches!(step, Step::TuneMount { .. } | Step::SetPin { .. });
    let moves_nodes = |step: &Step| matches!(step, Step::RestartNode { .. } | Step::StepDown { .. });
    // An interrupted switch is finished first.
    let is_unreloaded =
        matches!(goal, Goal::Upgrade(upgrade) if !unreloaded_mounts(observed, upgrade).is_empty());
    let is_first = progress.steps == 0 && goal.may_restart_nodes() && !is_unreloaded;
    if !is_first || !steps.iter().any(is_of_mounts) || !steps.iter().any(moves_nodes) {
        return None;
    }
    unavailable_node(observed, |_| true).or_else(|| failover_blocker(observed))
}

/// Limit of raft entries that a standby may be behind, the same as in the autopilot of Vault and OpenBao.
const MAX_TRAILING_LOGS: u64 = 1000;

/// What could make the cluster lose its quorum, or prevent a node from being elected: a raft server without a vote or not healthy, or a standby
/// whose log is far behind.
pub(crate) fn failover_blocker(observed: &Observed) -> Option<WaitingOn> {
    let nodes = &observed.deployment.as_ref()?.nodes;
    if let Raft::Servers(servers) = &observed.raft {
        let lacking = servers.iter().find_map(|(id, server)| {
            let reason = match (server.suffrage, server.healthy) {
                (Suffrage::PermanentNonVoter, _) => return None,
                (Suffrage::NonVoter, _) => "it has no vote yet",
                (Suffrage::Voter, Some(false)) => "autopilot reports that it is not healthy",
                (Suffrage::Voter, Some(true) | None) => return None,
            };
            Some(WaitingOn::RaftServer { server: id.clone(), reason: reason.to_owned() })
        });
        if lacking.is_some() {
            return lacking;
        }
        if servers.len() < nodes.len() {
            return Some(WaitingOn::RaftJoin { joined: servers.len(), nodes: nodes.len() });
        }
    }
    let applied = |role: NodeRole| {
        let servers = nodes.iter().filter_map(|(name, node)| Some((name, node.server.as_ref()?)));
        servers
            .filter(move |(_, vault)| vault.role == role)
            .filter_map(|(name, vault)| Some((name, vault.applied_index?)))
    };
    let (_, leader) = applied(NodeRole::Active).next()?;
    applied(NodeRole::Standby).find_map(|(name, index)| {
        let behind = leader.saturating_sub(index);
        let reason = format!("it is {behind} raft entries behind the active node");
        (behind > MAX_TRAILING_LOGS).then(|| WaitingOn::Node { node: name.clone(), reason })
    })
}

fn patch_init_image_step(deployment: &DeploymentObserved, upgrade: &UpgradeGoal) -> Option<Step> {
    match (&deployment.plugin_storage, &upgrade.durability) {
        (PluginStorage::InitContainer { image, name, .. }, Durability::Image { image: desired, files })
            if image != desired =>
        {
            Some(Step::PatchInitImage {
                container: name.clone(),
                from: image.clone(),
                to: desired.clone(),
                files: files.as_ref().map(|files| files.keys().cloned().collect()),
            })
        }
        _ => None,
    }
}

fn step_down_step(observed: &Observed, upgrade: &UpgradeGoal, progress: &Progress) -> Option<Step> {
    if upgrade.failover_test == FailoverTest::None {
        return None;
    }
    let total = observed.deployment.as_ref().map_or(1, |deployment| deployment.nodes.len());
    let turn = progress.step_downs + 1;
    (turn <= total).then_some(Step::StepDown { turn, total })
}
