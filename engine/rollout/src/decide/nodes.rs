//! What must hold of nodes before mounts are moved, and what has to be done to them afterwards.

mod quorum;

use super::upgrade_view::UpgradeView;
use crate::decide::{Decision, Notice, WaitingOn, unreloaded_mounts};
use crate::goal::{
    Durability, FailoverTest, Goal, Placement, ReloadTarget, SealedRestart, Target, UpgradeGoal,
};
use crate::mount_path::MountPath;
use crate::observed::deployment::{
    DeploymentObserved, NodeName, NodeObserved, NodeRole, NodeServer, PluginStorage, PodUpdateStrategy,
    Readiness, RunningVersion, SealType,
};
use crate::observed::other_nodes::{NodeList, OtherNode, OtherNodes, ServerLocation};
use crate::observed::{MountObserved, Observed, Raft};
use crate::progress::Progress;
use crate::refusal::Refusal;
use crate::step::{Step, UnreadyPodPolicy};
use std::collections::{BTreeMap, BTreeSet};
use vault_api::health::Product;
use vault_api::raft::Suffrage;

/// Every node can be looked at, and is unsealed.
///
/// A rollback is for the hour in which things are broken: a node that is down does not keep the others from it. A reload
/// touches no file.
pub(super) fn check_readiness(observed: &Observed, goal: &Goal) -> Result<(), Refusal> {
    let Some(site) = &observed.deployment else { return Ok(()) };
    if goal.is_rollback() || matches!(goal, Goal::Reload(_)) {
        return Ok(());
    }
    for (name, node) in &site.nodes {
        if let Readiness::NotReady { reason: why } = &node.readiness {
            return Err(Refusal::NodeNotReady { why: why.clone() }.on_node(name));
        }
        if node.server.as_ref().is_some_and(|vault| vault.sealed) {
            return Err(Refusal::NodeSealed.on_node(name));
        }
    }
    Ok(())
}

/// Refuses to change what other nodes run after a failover, unless the user has confirmed that they have the binary, or accepts that they
/// do not.
pub(super) fn refuse_unplaced_nodes(observed: &Observed, goal: &Goal, steps: &[Step]) -> Option<Refusal> {
    let (placement, deployment) = (goal.placement()?, observed.deployment.as_ref()?);
    if !steps.iter().any(changes_running_binary) {
        return None;
    }
    let (confirmed, is_accepted): (&[String], bool) = match placement {
        Placement::PlacedOn(names) => (names, false),
        Placement::ThisNodeOnly => (&[], true),
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
    let placement = goal.placement()?;
    if !steps.iter().any(changes_running_binary) {
        return None;
    }
    let OtherNodes::Found { server, nodes } = &observed.other_nodes else { return None };
    let confirmed_nodes = if let Placement::PlacedOn(names) = placement { names.clone() } else { Vec::new() };
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
            let confirmed = *placement != Placement::ThisNodeOnly;
            (!nodes.is_empty()).then(|| Notice::OtherNodes { nodes: node_names(nodes), confirmed })
        }
    }
}

fn node_names(nodes: &[OtherNode]) -> Vec<String> {
    nodes.iter().map(|node| node.name.clone()).collect()
}

/// Whether another node runs, after a failover, what it did not run before.
fn changes_running_binary(step: &Step) -> bool {
    matches!(
        step,
        Step::PlaceBinary { .. }
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

/// What is placed is still there when a node is started anew, or somebody has said that it need not be.
pub(super) fn check_durability(
    observed: &Observed,
    file: &str,
    survival: &Durability,
) -> Result<(), Refusal> {
    let Some(site) = &observed.deployment else { return Ok(()) };
    let refused = |what: String| match survival {
        Durability::NotRequired => Ok(()),
        Durability::Required | Durability::Image { .. } => {
            Err(Refusal::NotDurable { file: file.to_owned(), what })
        }
    };
    match &site.plugin_storage {
        PluginStorage::LocalDirectory | PluginStorage::PersistentVolume { .. } => Ok(()),
        PluginStorage::InitContainer { name, image, files: brings } => match (brings, survival) {
            (_, Durability::Image { image: wanted, .. }) if wanted == image => Ok(()),
            (_, Durability::Image { .. }) if site.update_strategy == PodUpdateStrategy::RollingUpdate => {
                Err(Refusal::WouldRestartPods { container: name.clone() })
            }
            (_, Durability::Image { image, files: Some(new) }) => {
                check_image_complete(observed, file, image, new)
            }
            (_, Durability::Image { .. }) => Ok(()),
            (Some(_), _) => site.plugin_storage.loss_reason(file).map_or(Ok(()), refused),
            (None, _) => {
                refused(format!("it is not known what the image {image} of the init container {name} brings"))
            }
        },
        PluginStorage::ImageVolume { image } => refused(format!("the directory is the image {image}")),
        PluginStorage::ContainerImage { .. } | PluginStorage::Ephemeral { .. } => {
            site.plugin_storage.loss_reason(file).map_or(Ok(()), refused)
        }
        PluginStorage::Unknown { reason: why } => refused(why.clone()),
    }
}

/// Whether another image is named for the next start.
pub(super) fn changes_init_image(observed: &Observed, upgrade: &UpgradeGoal) -> bool {
    observed.deployment.as_ref().is_some_and(|site| patch_init_image_step(site, upgrade).is_some())
}

/// An image that is named for the next start loses no registered version that the one before it brings, and brings each as it is
/// registered.
fn check_image_complete(
    observed: &Observed,
    file: &str,
    image: &str,
    brings: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let mut lacks: Vec<String> =
        files_restored_at_restart(observed).into_iter().filter(|file| !brings.contains_key(file)).collect();
    if !brings.contains_key(file) {
        lacks.insert(0, file.to_owned());
    }
    if !lacks.is_empty() {
        return Err(Refusal::ImageIncomplete { image: image.to_owned(), lacks });
    }
    // Same name, other bytes: the server would not start it.
    let differs = observed.catalog.iter().find_map(|entry| {
        let file = entry.file_name();
        let there = brings.get(&file).filter(|there| **there != entry.sha256 && !entry.sha256.is_empty())?;
        let (there, registered) = (there.clone(), entry.sha256.clone());
        Some(Refusal::ImageChecksumMismatch { image: image.to_owned(), file, there, registered })
    });
    differs.map_or(Ok(()), Err)
}

/// The registered files that a node gets when it is started anew. Where that is not known, those that every node has.
fn files_restored_at_restart(observed: &Observed) -> BTreeSet<String> {
    let registered = observed.catalog.iter().map(|entry| entry.file_name());
    let Some(site) = &observed.deployment else { return BTreeSet::new() };
    match &site.plugin_storage {
        PluginStorage::InitContainer { files: Some(brings), .. } => {
            registered.filter(|file| brings.contains(file)).collect()
        }
        PluginStorage::InitContainer { files: None, .. } => {
            registered.filter(|file| site.nodes_lacking(file, |_| true).is_empty()).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// What is to be known of an image that was not read, where it takes the place of one that brings more than `file`.
pub(super) fn image_not_read_notice(observed: &Observed, goal: &Goal, steps: &[Step]) -> Option<Notice> {
    let Goal::Upgrade(upgrade) = goal else { return None };
    let Durability::Image { image, files: None } = &upgrade.durability else { return None };
    let file = target_file_name(observed, goal)?;
    let needed: Vec<String> =
        files_restored_at_restart(observed).into_iter().filter(|known| *known != file).collect();
    let is_named = steps.iter().any(|step| matches!(step, Step::PatchInitImage { .. }));
    (is_named && !needed.is_empty())
        .then(|| Notice::ImageNotInspected { image: image.clone(), required_files: needed })
}

/// As [`check_durability`], where nothing is done about what a node is started with.
pub(super) fn check_durability_unchanged(
    observed: &Observed,
    file: &str,
    survival: &Durability,
) -> Result<(), Refusal> {
    if let Some(DeploymentObserved {
        plugin_storage: PluginStorage::InitContainer { name, image, .. }, ..
    }) = &observed.deployment
        && let Durability::Image { image: wanted, .. } = survival
        && image != wanted
    {
        let what = format!("the init container {name} has the image {image}, and not {wanted}");
        return Err(Refusal::NotDurable { file: file.to_owned(), what });
    }
    check_durability(observed, file, survival)
}

/// The next step for nodes, once the active one is proven.
pub(super) fn step<'a>(
    observed: &Observed,
    upgrade: &UpgradeGoal,
    progress: &Progress,
    mounts: impl Iterator<Item = &'a MountPath>,
) -> Option<Step> {
    let site = observed.deployment.as_ref();
    let unready = match upgrade.target {
        Target::Provided(_) => UnreadyPodPolicy::Evict,
        Target::Registered { .. } => UnreadyPodPolicy::Delete,
    };
    // A standby gets its files from the image that is named when it is restarted.
    site.and_then(|site| patch_init_image_step(site, upgrade))
        .or_else(|| restart_stale_standby(observed, progress, mounts, unready))
        .or_else(|| step_down_step(observed, upgrade, progress))
}

/// A standby that serves reads goes on with what it has started, whatever the active node runs, until it is started anew
/// itself.
pub(super) fn restart_stale_standby<'a>(
    observed: &Observed,
    progress: &Progress,
    mut mounts: impl Iterator<Item = &'a MountPath>,
    unready: UnreadyPodPolicy,
) -> Option<Step> {
    let nodes = &observed.deployment.as_ref()?.nodes;
    let stale = |path: &MountPath| {
        let active = observed.mounts.get(path.as_str())?;
        let is_stale = |node: &NodeObserved| {
            node.server.as_ref().filter(|vault| vault.role == NodeRole::Standby).is_some_and(|vault| {
                vault.running.get(path.as_str()).is_some_and(|there| !runs_same_version(there, active))
            })
        };
        let mut stale = nodes.iter().filter(|(_, node)| is_stale(node));
        stale.find(|(name, _)| !progress.restarted.contains(*name))
    };
    let (name, node) = mounts.find_map(stale)?;
    Some(Step::RestartNode { node: name.clone(), uid: node.uid.clone(), unready })
}

fn runs_same_version(there: &RunningVersion, active: &MountObserved) -> bool {
    there.version == active.running_version && there.sha256 == active.running_sha256
}

/// What forbids the restart of a node, unless somebody has agreed to it.
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

/// Refuses to restart a node that stays sealed until people unseal it, unless somebody has said that they will.
fn refuse_staying_sealed(observed: &Observed, goal: &Goal, step: &Step) -> Option<Refusal> {
    let Step::RestartNode { node, .. } = step else { return None };
    let vault = observed.deployment.as_ref()?.nodes.get(node)?.server.as_ref()?;
    (vault.seal_type == SealType::Shamir && goal.restart_consent().sealed == SealedRestart::Refuse)
        .then(|| Refusal::StaysSealed.on_node(node))
}

/// Refuses to restart a node that would come back without the file of a mount: OpenBao does not try again to start the plugin of a
/// mount that has failed when it was unsealed.
fn refuse_losing_file(observed: &Observed, progress: &Progress, step: &Step) -> Option<Refusal> {
    let Step::RestartNode { node, .. } = step else { return None };
    let files = &observed.deployment.as_ref()?.nodes.get(node)?.files;
    observed.mounts.iter().chain(&observed.child_namespace_mounts).find_map(|(path, mount)| {
        let file = observed.file_of(mount).filter(|file| files.iter().any(|there| there.name == *file))?;
        let what = observed.lost_at_restart(&file, progress)?;
        Some(Refusal::LostAtRestart { file, path: path.clone(), what }.on_node(node))
    })
}

/// What has to be waited for before a decision is carried out: two nodes that are away at the same time can cost the cluster
/// its quorum, and a node without a vote cannot become active.
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
        // What a plan does not know of is unplanned later. In the hour in which things are broken, mounts come first.
        Decision::Do(_) if goal.may_restart_nodes() && progress.steps == 0 && !goal.is_rollback() => {
            unreporting_standby(observed)
        }
        Decision::Do(_) | Decision::Done | Decision::Wait(_) | Decision::Refuse(_) => None,
    }
}

/// A node that does not serve now.
fn unavailable_node(observed: &Observed, matters: impl Fn(&NodeName) -> bool) -> Option<WaitingOn> {
    let nodes = &observed.deployment.as_ref()?.nodes;
    nodes.iter().filter(|(name, _)| matters(name)).find_map(|(name, node)| {
        let why = match (&node.readiness, &node.server) {
            (Readiness::NotReady { reason: why }, _) => why.clone(),
            (Readiness::Ready, Some(vault)) if vault.sealed => "its server is sealed".to_owned(),
            // A directory of this machine has no way of its own to its server.
            (Readiness::Ready, None) if !name.is_local() => "its server does not answer".to_owned(),
            (Readiness::Ready, Some(_) | None) => return None,
        };
        Some(WaitingOn::Node { node: name.clone(), reason: why })
    })
}

/// A standby that did not say what it runs: the question may have been lost, or the token be too new for it. Every server has mounts
/// of its own, and only those of OpenBao run what they have started whatever the active one runs.
fn unreporting_standby(observed: &Observed) -> Option<WaitingOn> {
    if observed.server.product != Product::OpenBao {
        return None;
    }
    let is_silent =
        |vault: &NodeServer| vault.role == NodeRole::Standby && !vault.sealed && vault.running.is_empty();
    let mut nodes = observed.deployment.as_ref()?.nodes.iter();
    let (name, _) = nodes.find(|(_, node)| {
        node.readiness == Readiness::Ready && node.server.as_ref().is_some_and(is_silent)
    })?;
    Some(WaitingOn::Node { node: name.clone(), reason: "it does not say what it runs".to_owned() })
}

/// A node that is to be restarted and did not say who unseals it.
fn unknown_seal(observed: &Observed, goal: &Goal, node: &NodeName) -> Option<WaitingOn> {
    let vault = observed.deployment.as_ref()?.nodes.get(node)?.server.as_ref()?;
    let matters =
        vault.seal_type == SealType::Unknown && goal.restart_consent().sealed == SealedRestart::Refuse;
    let why = "it does not say whether it unseals itself".to_owned();
    matters.then(|| WaitingOn::Node { node: node.clone(), reason: why })
}

/// A node that this run has restarted and that does not run what the active one runs.
fn unverified_restart(observed: &Observed, goal: &Goal, progress: &Progress) -> Option<WaitingOn> {
    let site = observed.deployment.as_ref()?;
    let paths = mounts_of_goal(observed, goal);
    progress.restarted.iter().find_map(|name| {
        let vault = site.nodes.get(name)?.server.as_ref().filter(|vault| vault.role == NodeRole::Standby)?;
        let why = paths.iter().find_map(|path| {
            let active = observed.mounts.get(path.as_str())?;
            match vault.running.get(path.as_str()) {
                None => Some(format!("it does not say yet what it runs at {path}")),
                Some(there) if runs_same_version(there, active) => None,
                Some(there) => Some(format!(
                    "it runs {:?} at {path} and not {:?}",
                    there.version, active.running_version
                )),
            }
        })?;
        Some(WaitingOn::Node { node: name.clone(), reason: why })
    })
}

/// The mounts that a goal is about.
fn mounts_of_goal(observed: &Observed, goal: &Goal) -> Vec<MountPath> {
    let of_plugin = |kind, name: &str| observed.mounts_of(kind, name).map(|(path, _)| path);
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

/// Whether the storage is raft and the token does not see its servers: a namespace other than the root has no such path.
pub(super) fn raft_is_hidden(observed: &Observed) -> bool {
    let mut servers = observed
        .deployment
        .iter()
        .flat_map(|site| site.nodes.values())
        .filter_map(|node| node.server.as_ref());
    match observed.raft {
        Raft::NotShown => true,
        Raft::NotUsed => servers.any(|server| server.applied_index.is_some()),
        Raft::NotAsked | Raft::Servers(_) => false,
    }
}

/// What keeps nodes from being restarted, or made active, after the last of the mounts: before the first change a plan that does so
/// waits for it. A rollback moves its mounts all the same.
pub(super) fn in_the_way(
    observed: &Observed,
    goal: &Goal,
    progress: &Progress,
    steps: &[Step],
) -> Option<WaitingOn> {
    let is_of_mounts = |step: &Step| matches!(step, Step::TuneMount { .. } | Step::SetPin { .. });
    let moves_nodes = |step: &Step| matches!(step, Step::RestartNode { .. } | Step::StepDown { .. });
    // What was cut off between a switch and its reload is finished first.
    let is_half = matches!(goal, Goal::Upgrade(upgrade) if !unreloaded_mounts(observed, upgrade).is_empty());
    let is_first = progress.steps == 0 && goal.may_restart_nodes() && !is_half;
    if !is_first || !steps.iter().any(is_of_mounts) || !steps.iter().any(moves_nodes) {
        return None;
    }
    unavailable_node(observed, |_| true).or_else(|| failover_blocker(observed))
}

/// How many raft entries a standby may be behind: Vault's and OpenBao's autopilot calls a server with more of them unhealthy.
const MAX_TRAILING_LOGS: u64 = 1000;

/// What keeps the cluster from losing a node without losing its quorum, or from electing any node: a server of raft without
/// a vote, one that is not healthy, or a standby whose log is far behind.
pub(crate) fn failover_blocker(observed: &Observed) -> Option<WaitingOn> {
    let nodes = &observed.deployment.as_ref()?.nodes;
    if let Raft::Servers(servers) = &observed.raft {
        let lacking = servers.iter().find_map(|(id, server)| {
            let why = match (server.suffrage, server.healthy) {
                (Suffrage::PermanentNonVoter, _) => return None,
                (Suffrage::NonVoter, _) => "it has no vote yet",
                (Suffrage::Voter, Some(false)) => "autopilot says that it is not healthy",
                (Suffrage::Voter, Some(true) | None) => return None,
            };
            Some(WaitingOn::RaftServer { server: id.clone(), reason: why.to_owned() })
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
        let why = format!("it is {behind} raft entries behind the active node");
        (behind > MAX_TRAILING_LOGS).then(|| WaitingOn::Node { node: name.clone(), reason: why })
    })
}

fn patch_init_image_step(site: &DeploymentObserved, upgrade: &UpgradeGoal) -> Option<Step> {
    match (&site.plugin_storage, &upgrade.durability) {
        (
            PluginStorage::InitContainer { image, name, .. },
            Durability::Image { image: wanted, files: brings },
        ) if image != wanted => Some(Step::PatchInitImage {
            container: name.clone(),
            from: image.clone(),
            to: wanted.clone(),
            files: brings.as_ref().map(|brings| brings.keys().cloned().collect()),
        }),
        _ => None,
    }
}

fn step_down_step(observed: &Observed, upgrade: &UpgradeGoal, progress: &Progress) -> Option<Step> {
    if upgrade.failover_test == FailoverTest::None {
        return None;
    }
    let of = observed.deployment.as_ref().map_or(1, |site| site.nodes.len());
    let turn = progress.step_downs + 1;
    (turn <= of).then_some(Step::StepDown { turn, total: of })
}
