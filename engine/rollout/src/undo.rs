//! Takes back what a failed run has done: mounts run the version before, proven, and nothing new is left.

use std::path::Path;

use tokio::time::Instant;
use vault_api::catalog::{Deregister, EntryName};
use vault_api::mounts::{Disable, Read, TuneVersion};
use vault_api::pins::{Pin, Set};
use vault_api::{CallError, Client, Endpoint, reload};

use crate::apply::act::is_of_a_lost_node;
use crate::apply::{LONGEST_WAIT, LOOK_AGAIN, chain};
use crate::decide::half_switched;
use crate::event::Event;
use crate::goal::{MountPath, Upgrade};
use crate::observe::World;
use crate::observed::site::{NodeName, Presence};
use crate::observed::{Observed, PluginDirectory};
use crate::site::held::{HeldLease, LeaseLost};
use crate::site::{Age, Look, Question, Site};
use crate::step::Step;

/// Whether another node takes over when the active one is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failover {
    /// A call that the loss of a node cuts off is repeated at its successor.
    Awaited,
    /// There is no other node.
    Impossible,
}

impl Failover {
    /// Among the nodes that were seen.
    pub fn of(observed: &Observed) -> Self {
        let others = observed.site.as_ref().is_some_and(|site| site.nodes.len() > 1);
        if others { Self::Awaited } else { Self::Impossible }
    }
}

/// Mounts that were moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Switched {
    /// One, by its own setting.
    Mount {
        path: MountPath,
        /// With its `v`; empty when it had none.
        from: String,
    },
    /// All of a plugin, by its pin.
    Pin { pin: Pin, mounts: Vec<MountPath> },
}

impl Switched {
    /// What a step moves, where `mounts` are those of its plugin.
    pub(crate) fn by(step: &Step, mounts: &[MountPath]) -> Option<Switched> {
        match step {
            Step::TuneMount { path, from, .. } => {
                Some(Switched::Mount { path: path.clone(), from: from.clone() })
            }
            Step::SetPin { kind, name, from, .. } => {
                let pin = Pin { kind: *kind, name: name.clone(), version: from.clone() };
                Some(Switched::Pin { pin, mounts: mounts.to_vec() })
            }
            _ => None,
        }
    }

    /// What a run that was killed has moved towards a goal and not started: it goes back to what it runs.
    pub(crate) fn half(observed: &Observed, upgrade: &Upgrade) -> Vec<Switched> {
        let half = half_switched(observed, upgrade);
        let Some((_, running)) = half.first() else { return Vec::new() };
        if observed.pinned(upgrade.kind(), upgrade.name()).is_some() {
            let pin = Pin { kind: upgrade.kind(), name: upgrade.name().to_owned(), version: running.clone() };
            return vec![Switched::Pin { pin, mounts: half.into_iter().map(|(path, _)| path).collect() }];
        }
        half.into_iter().map(|(path, from)| Switched::Mount { path, from }).collect()
    }

    /// Whether it is the same mount or pin, wherever it comes from.
    pub(crate) fn is_of(&self, other: &Switched) -> bool {
        match (self, other) {
            (Switched::Mount { path, .. }, Switched::Mount { path: other, .. }) => path == other,
            (Switched::Pin { .. }, Switched::Pin { .. }) => true,
            _ => false,
        }
    }

    /// The mounts, each with what it ran before.
    pub(crate) fn mounts(&self) -> Vec<(&MountPath, &str)> {
        match self {
            Switched::Mount { path, from } => vec![(path, from)],
            Switched::Pin { pin, mounts } => mounts.iter().map(|path| (path, pin.version.as_str())).collect(),
        }
    }
}

/// The mounts of all of them.
pub(crate) fn moved(switched: &[Switched]) -> Vec<MountPath> {
    let mut paths: Vec<MountPath> =
        switched.iter().flat_map(Switched::mounts).map(|(path, _)| path.clone()).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Moves back every mount that `done` has moved, because a version that runs turned out not to do its work. Returns the
/// mounts, none if none was moved; on failure what is where, a sentence each. `held` is the right to change of the run that has moved
/// them: once it is lost, nothing is moved back.
///
/// Do not drop the future before it ends.
pub async fn roll_back(
    world: &World,
    held: &HeldLease,
    failover: Failover,
    done: &[Step],
    because: &str,
    listener: &mut dyn FnMut(&Event),
) -> Result<Vec<MountPath>, Vec<String>> {
    let switched: Vec<Switched> = done.iter().filter_map(|step| Switched::by(step, &[])).collect();
    let mounts = moved(&switched);
    if !mounts.is_empty() {
        listener(&Event::RollingBack { mounts: mounts.clone(), because: because.to_owned() });
        let undo = Undo { client: world.client.clone(), failover, held: Some(held) };
        undo.switch_back(&switched).await?;
    }
    Ok(mounts)
}

/// How things are taken back.
pub(crate) struct Undo<'a> {
    pub(crate) client: Client,
    pub(crate) failover: Failover,
    /// The right to change the site. Once it is lost nothing is changed, as another operator may have begun.
    pub(crate) held: Option<&'a HeldLease>,
}

/// What was not taken back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UndoError {
    #[error(transparent)]
    Lost(#[from] LeaseLost),
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Undo<'_> {
    /// Moves every mount back, reloads them, and reads back what runs. A mount that is gone needs nothing.
    /// On failure: what is where, a sentence each.
    pub(crate) async fn switch_back(&self, switched: &[Switched]) -> Result<(), Vec<String>> {
        let mut left = Vec::new();
        let mut paths = Vec::new();
        for switched in switched {
            match switched {
                Switched::Mount { path, from } if from.is_empty() => left.push(format!(
                    "{path} had no version before, and \"no version\" cannot be configured again; \
                 move it to a version that works, and reload it"
                )),
                Switched::Mount { path, from } => {
                    if self.is_gone(path).await {
                        continue;
                    }
                    match self.change(&TuneVersion { path: path.to_string(), version: from.clone() }).await {
                        Ok(_) => paths.push(path.to_string()),
                        Err(error) => {
                            left.push(format!(
                                "{path} could not be moved back to {from} ({})",
                                chain(&error)
                            ));
                        }
                    }
                }
                Switched::Pin { pin, mounts } => match self.change(&Set(pin.clone())).await {
                    Ok(_) => {
                        for path in mounts {
                            if !self.is_gone(path).await {
                                paths.push(path.to_string());
                            }
                        }
                    }
                    Err(error) => {
                        let Pin { name, version, .. } = pin;
                        left.push(format!(
                            "{name} could not be pinned to {version} again ({})",
                            chain(&error)
                        ));
                    }
                },
            }
        }
        // One request a mount: each has the whole time limit, and one that fails does not keep the others from it.
        for path in paths {
            if let Err(error) = self.change(&reload::Mounts { paths: vec![path.clone()] }).await {
                left.push(format!("{path} could not be reloaded ({})", chain(&error)));
            }
        }
        for (path, from) in switched.iter().flat_map(Switched::mounts).filter(|(_, from)| !from.is_empty()) {
            match self.read(&Read { path: path.to_string() }).await {
                Ok(Some(shown)) if shown.mount.running_version == *from => {}
                Ok(Some(shown)) => {
                    left.push(format!("{path} runs {:?} and not {from}", shown.mount.running_version));
                }
                Ok(None) => {}
                Err(error) => left.push(format!("it is not known what {path} runs ({})", chain(&error))),
            }
        }
        if left.is_empty() { Ok(()) } else { Err(left) }
    }

    /// Whether nothing is mounted there; what cannot be asked may be there.
    pub(crate) async fn is_gone(&self, path: &MountPath) -> bool {
        matches!(self.read(&Read { path: path.to_string() }).await, Ok(None))
    }

    /// Removes what `steps` have brought: canaries, catalog entries, files. The last of them may have failed half way.
    /// On failure: what is where, a sentence each.
    pub(crate) async fn clear(
        &self,
        world: &World,
        steps: &[Step],
        listener: &mut dyn FnMut(&Event),
    ) -> Result<(), Vec<String>> {
        let mut left = Vec::new();
        for step in steps.iter().rev() {
            let undone = match step {
                Step::MountCanary { path, .. } => {
                    if steps.contains(&Step::RemoveCanary { path: path.clone() }) {
                        continue;
                    }
                    self.remove_canary(path).await
                }
                Step::RegisterVersion { kind, name, version, .. } => {
                    let (gone, version) = (steps, version.tagged());
                    let removal =
                        Step::DeregisterVersion { kind: *kind, name: name.clone(), version: version.clone() };
                    if gone.contains(&removal) {
                        continue;
                    }
                    let name = EntryName { kind: *kind, name: name.clone(), version: Some(version) };
                    self.change(&Deregister(name)).await.map(|_| ()).map_err(|error| chain(&error))
                }
                Step::PlaceBinary { nodes, directory, file, sha256, .. } => match &world.site {
                    Some(site) => self.take_away(site.as_ref(), directory, file, sha256, nodes).await,
                    None => Ok(()),
                },
                Step::Persist { from, .. } => match &world.site {
                    Some(site) => self.persist(site.as_ref(), from).await,
                    None => Ok(()),
                },
                _ => continue,
            };
            match undone {
                Ok(()) => listener(&Event::Undone { step: step.clone() }),
                // What is registered needs its file, so nothing before a failure is taken away.
                Err(why) => {
                    left.push(format!("this could not be undone: {step} ({why})"));
                    break;
                }
            }
        }
        if left.is_empty() { Ok(()) } else { Err(left) }
    }

    /// Unmounts it, and looks whether it is gone: it may have been mounted by a call whose answer was lost.
    async fn remove_canary(&self, path: &MountPath) -> Result<(), String> {
        let disabled = self.change(&Disable { path: path.to_string() }).await;
        match self.read(&Read { path: path.to_string() }).await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(match disabled {
                Ok(_) => "it is still mounted".to_owned(),
                Err(error) => chain(&error),
            }),
            Err(error) => Err(chain(&error)),
        }
    }

    /// Names the image of before again.
    async fn persist(&self, site: &dyn Site, image: &str) -> Result<(), String> {
        self.right_to_change().map_err(|lost| lost.to_string())?;
        site.persist(image, None).await.map_err(|error| chain(&error))
    }

    /// From the nodes that had it not, and only if it is what was placed: placing may have failed because it was another. A node
    /// that is started anew at this moment is waited for, as it comes back with it.
    async fn take_away(
        &self,
        site: &dyn Site,
        directory: &Path,
        file: &str,
        sha256: &str,
        nodes: &[NodeName],
    ) -> Result<(), String> {
        let servers = PluginDirectory::At(directory.to_owned());
        let question = Question {
            servers,
            plugin: None,
            binary: None,
            look: Look::Versions,
            needed: None,
            age: Age::Now,
        };
        let started = Instant::now();
        loop {
            let observed = site.observe(&question).await.map_err(|error| chain(&error))?;
            let there = observed.nodes.iter().filter(|(name, _)| nodes.contains(name));
            let (mut placed, mut unseen) = (Vec::new(), Vec::new());
            for (name, node) in there {
                match &node.presence {
                    Presence::NotReady { why } => unseen.push(format!("{name} cannot be looked at: {why}")),
                    Presence::Ready if node.files.iter().any(|it| it.name == file && it.sha256 == sha256) => {
                        placed.push(name.clone());
                    }
                    Presence::Ready => {}
                }
            }
            if !placed.is_empty() {
                self.right_to_change().map_err(|lost| lost.to_string())?;
                site.take_away(file, &placed).await.map_err(|error| chain(&error))?;
            }
            if unseen.is_empty() {
                return Ok(());
            }
            if started.elapsed() >= LONGEST_WAIT {
                return Err(unseen.join("; "));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn right_to_change(&self) -> Result<(), LeaseLost> {
        self.held.and_then(HeldLease::lost).map_or(Ok(()), Err)
    }

    /// Sends a request that changes something, while this run has the right to.
    async fn change<E: Endpoint>(&self, endpoint: &E) -> Result<E::Response, UndoError> {
        self.send(endpoint, || self.right_to_change()).await
    }

    /// Sends a request that changes nothing.
    async fn read<E: Endpoint>(&self, endpoint: &E) -> Result<E::Response, UndoError> {
        self.send(endpoint, || Ok(())).await
    }

    /// Sends a request, at the successor too if the node is lost that has it. Before each attempt it must be `allowed`.
    async fn send<E: Endpoint>(
        &self,
        endpoint: &E,
        allowed: impl Fn() -> Result<(), LeaseLost>,
    ) -> Result<E::Response, UndoError> {
        let started = Instant::now();
        loop {
            allowed()?;
            match self.client.send(endpoint).await {
                Err(error)
                    if self.failover == Failover::Awaited
                        && is_of_a_lost_node(&error)
                        && started.elapsed() < LONGEST_WAIT =>
                {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                sent => return Ok(sent?),
            }
        }
    }
}
