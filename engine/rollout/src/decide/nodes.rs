//! What must hold of nodes before mounts are moved, and what has to be done to them afterwards.

use crate::decide::WaitingOn;
use crate::goal::{Goal, MountPath, Rehearsal, Survival, Target, Upgrade};
use crate::observed::Observed;
use crate::observed::site::{Keeping, NodeObserved, Presence, Restarts, Role, SiteObserved};
use crate::refusal::Refusal;
use crate::step::Step;

/// Every node can be looked at, and is unsealed.
///
/// A rollback is for the hour in which things are broken: a node that is down does not keep the others from it. A reload
/// touches no file.
pub(super) fn fit(observed: &Observed, goal: &Goal) -> Result<(), Refusal> {
    let Some(site) = &observed.site else { return Ok(()) };
    let goes_back =
        matches!(goal, Goal::Upgrade(upgrade) if matches!(upgrade.target, Target::Registered { .. }));
    if goes_back || matches!(goal, Goal::Reload(_)) {
        return Ok(());
    }
    for (name, node) in &site.nodes {
        if let Presence::NotReady { why } = &node.presence {
            return Err(Refusal::NodeNotReady { why: why.clone() }.on(name));
        }
        if node.vault.as_ref().is_some_and(|vault| vault.sealed) {
            return Err(Refusal::NodeSealed.on(name));
        }
    }
    Ok(())
}

/// What is placed is still there when a node is started anew, or somebody has said that it need not be.
pub(super) fn kept(observed: &Observed, file: &str, survival: &Survival) -> Result<(), Refusal> {
    let Some(site) = &observed.site else { return Ok(()) };
    let refused = |what: String| match survival {
        Survival::NotNeeded => Ok(()),
        Survival::Needed | Survival::Image(_) => Err(Refusal::NotKept { file: file.to_owned(), what }),
    };
    match &site.keeping {
        Keeping::Local | Keeping::Volume { .. } => Ok(()),
        Keeping::InitContainer { name, image, brings } => match (brings, survival) {
            (Some(brings), _) if brings.contains(file) => Ok(()),
            (_, Survival::Image(wanted)) if wanted == image => Ok(()),
            (_, Survival::Image(_)) if site.restarts == Restarts::Rolling => {
                Err(Refusal::WouldRestart { container: name.clone() })
            }
            (_, Survival::Image(_)) => Ok(()),
            (Some(_), _) => {
                refused(format!("the image {image} of the init container {name} does not bring it"))
            }
            (None, _) => {
                refused(format!("it is not known what the image {image} of the init container {name} brings"))
            }
        },
        Keeping::ImageVolume { image } => refused(format!("the directory is the image {image}")),
        Keeping::Nothing { what } => refused(format!("the directory is {what}")),
        Keeping::Unknown { why } => refused(why.clone()),
    }
}

/// As [`kept`], where nothing is done about what a node is started with.
pub(super) fn kept_as_it_is(observed: &Observed, file: &str, survival: &Survival) -> Result<(), Refusal> {
    if let Some(SiteObserved { keeping: Keeping::InitContainer { name, image, .. }, .. }) = &observed.site
        && let Survival::Image(wanted) = survival
        && image != wanted
    {
        let what = format!("the init container {name} has the image {image}, and not {wanted}");
        return Err(Refusal::NotKept { file: file.to_owned(), what });
    }
    kept(observed, file, survival)
}

/// The next step for nodes, once the active one is proven.
pub(super) fn step<'a>(
    observed: &Observed,
    upgrade: &Upgrade,
    mounts: impl Iterator<Item = &'a MountPath>,
) -> Option<Step> {
    let site = observed.site.as_ref();
    refresh(observed, mounts)
        .or_else(|| site.and_then(|site| persist(site, upgrade)))
        .or_else(|| hand_over(observed, upgrade))
}

/// A standby that serves reads goes on with what it has started, whatever the active node runs, until it is started anew
/// itself.
pub(super) fn refresh<'a>(
    observed: &Observed,
    mut mounts: impl Iterator<Item = &'a MountPath>,
) -> Option<Step> {
    let nodes = &observed.site.as_ref()?.nodes;
    let stale = |path: &MountPath| {
        let active = observed.mounts.get(path.as_str())?;
        let is_stale = |node: &NodeObserved| {
            node.vault.as_ref().filter(|vault| vault.role == Role::Standby).is_some_and(|vault| {
                vault.running.get(path.as_str()).is_some_and(|there| {
                    there.version != active.running_version || there.sha256 != active.running_sha256
                })
            })
        };
        let mut stale = nodes.iter().filter(|(_, node)| is_stale(node)).map(|(name, _)| name);
        stale.find(|name| !observed.this_run.restarted.contains(*name))
    };
    mounts.find_map(stale).map(|node| Step::RestartNode { node: node.clone() })
}

/// A node that does not serve now, so that no other may be restarted: two at once can cost the cluster its quorum.
pub(super) fn absent(observed: &Observed) -> Option<WaitingOn> {
    observed.site.as_ref()?.nodes.iter().find_map(|(name, node)| {
        let why = match (&node.presence, &node.vault) {
            (Presence::NotReady { why }, _) => why.clone(),
            (Presence::Ready, Some(vault)) if vault.sealed => "its server is sealed".to_owned(),
            (Presence::Ready, None) => "its server does not answer".to_owned(),
            (Presence::Ready, Some(_)) => return None,
        };
        Some(WaitingOn::Node { node: name.clone(), why })
    })
}

fn persist(site: &SiteObserved, upgrade: &Upgrade) -> Option<Step> {
    match (&site.keeping, &upgrade.survival) {
        (Keeping::InitContainer { image, name, .. }, Survival::Image(wanted)) if image != wanted => {
            Some(Step::Persist { container: name.clone(), from: image.clone(), to: wanted.clone() })
        }
        _ => None,
    }
}

fn hand_over(observed: &Observed, upgrade: &Upgrade) -> Option<Step> {
    if upgrade.rehearsal == Rehearsal::None {
        return None;
    }
    let of = observed.site.as_ref().map_or(1, |site| site.nodes.len());
    let turn = observed.this_run.handed_over + 1;
    (turn <= of).then_some(Step::HandOver { turn, of })
}
