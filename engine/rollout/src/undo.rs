//! Takes back what a failed run has done: mounts run the version before, proven, and nothing new is left.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use vault_api::catalog::{Deregister, PluginRef};
use vault_api::mounts::{Disable, Read, TuneVersion};
use vault_api::pins::{Pin, Set};
use vault_api::{CallError, Client, Endpoint, reload};

use crate::decide::unreloaded_mounts;
use crate::deployment::{Deployment, Detail, Freshness, LeaseLock, LockLost, Query};
use crate::error_chain::error_chain;
use crate::event::Event;
use crate::goal::UpgradeGoal;
use crate::mount_path::MountPath;
use crate::observe::Environment;
use crate::observed::deployment::{NodeName, Readiness};
use crate::observed::{Observed, PluginDirectory};
use crate::poll::Poll;
use crate::step::Step;
use crate::timeouts::FAILOVER_TIMEOUT;
use crate::transient::is_node_loss;

/// Whether another node takes over when the active one is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failover {
    /// A call that the loss of a node cuts off is repeated at its successor.
    Possible,
    /// There is no other node.
    Impossible,
}

impl Failover {
    /// Among the nodes that were seen.
    pub fn of(observed: &Observed) -> Self {
        let others = observed.deployment.as_ref().is_some_and(|site| site.nodes.len() > 1);
        if others { Self::Possible } else { Self::Impossible }
    }
}

/// Mounts that were moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VersionSwitch {
    /// One, by its own setting.
    Mount {
        path: MountPath,
        /// With its `v`; empty when it had none.
        from: String,
    },
    /// All of a plugin, by its pin.
    Pin { pin: Pin, mounts: Vec<MountPath> },
}

impl VersionSwitch {
    /// What a step moves, where `mounts` are those of its plugin.
    pub(crate) fn from_step(step: &Step, mounts: &[MountPath]) -> Option<VersionSwitch> {
        match step {
            Step::TuneMount { path, from, .. } => {
                Some(VersionSwitch::Mount { path: path.clone(), from: from.clone() })
            }
            Step::SetPin { kind, name, from, .. } => {
                let pin = Pin { kind: *kind, name: name.clone(), version: from.clone() };
                Some(VersionSwitch::Pin { pin, mounts: mounts.to_vec() })
            }
            _ => None,
        }
    }

    /// What a run that was killed has moved towards a goal and not started: it goes back to what it runs.
    pub(crate) fn unreloaded(observed: &Observed, upgrade: &UpgradeGoal) -> Vec<VersionSwitch> {
        let half = unreloaded_mounts(observed, upgrade);
        let Some((_, running)) = half.first() else { return Vec::new() };
        if observed.pinned_version(upgrade.kind(), upgrade.name()).is_some() {
            let pin = Pin { kind: upgrade.kind(), name: upgrade.name().to_owned(), version: running.clone() };
            return vec![VersionSwitch::Pin {
                pin,
                mounts: half.into_iter().map(|(path, _)| path).collect(),
            }];
        }
        half.into_iter().map(|(path, from)| VersionSwitch::Mount { path, from }).collect()
    }

    /// Whether it is the same mount or pin, wherever it comes from.
    pub(crate) fn is_same_subject(&self, other: &VersionSwitch) -> bool {
        match (self, other) {
            (VersionSwitch::Mount { path, .. }, VersionSwitch::Mount { path: other, .. }) => path == other,
            (VersionSwitch::Pin { .. }, VersionSwitch::Pin { .. }) => true,
            _ => false,
        }
    }

    /// The mounts, each with what it ran before.
    pub(crate) fn mounts(&self) -> Vec<(&MountPath, &str)> {
        match self {
            VersionSwitch::Mount { path, from } => vec![(path, from)],
            VersionSwitch::Pin { pin, mounts } => {
                mounts.iter().map(|path| (path, pin.version.as_str())).collect()
            }
        }
    }
}

/// The mounts of all of them.
pub(crate) fn switched_mounts(switched: &[VersionSwitch]) -> Vec<MountPath> {
    let mut paths: Vec<MountPath> =
        switched.iter().flat_map(VersionSwitch::mounts).map(|(path, _)| path.clone()).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Moves back every mount that `done` has moved, because a version that runs turned out not to do its work. Returns the
/// mounts, none if none was moved; on failure what is where, a sentence each. `lock` is the right to change of the run that has moved
/// them: once it is lost, nothing is moved back.
///
/// Do not drop the future before it ends.
pub async fn roll_back(
    world: &Environment,
    lock: &LeaseLock,
    failover: Failover,
    done: &[Step],
    because: &str,
    listener: &mut dyn FnMut(&Event),
) -> Result<Vec<MountPath>, Vec<String>> {
    let switched: Vec<VersionSwitch> =
        done.iter().filter_map(|step| VersionSwitch::from_step(step, &[])).collect();
    let mounts = switched_mounts(&switched);
    if !mounts.is_empty() {
        listener(&Event::RollingBack { mounts: mounts.clone(), cause: because.to_owned() });
        let undo = UndoContext { client: world.client.clone(), failover, lock };
        undo.switch_back(&switched).await?;
    }
    Ok(mounts)
}

/// How things are taken back.
pub(crate) struct UndoContext<'a> {
    pub(crate) client: Client,
    pub(crate) failover: Failover,
    /// The right to change the site. Once it is lost nothing is changed, as another operator may have begun.
    pub(crate) lock: &'a LeaseLock,
}

/// What was not taken back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UndoError {
    #[error(transparent)]
    LockLost(#[from] LockLost),
    #[error(transparent)]
    Call(#[from] CallError),
}

impl UndoContext<'_> {
    /// Moves every mount back, reloads them, and reads back what runs. A mount that is gone needs nothing.
    /// On failure: what is where, a sentence each.
    pub(crate) async fn switch_back(&self, switched: &[VersionSwitch]) -> Result<(), Vec<String>> {
        let mut left = Vec::new();
        let mut paths = Vec::new();
        for switched in switched {
            match switched {
                VersionSwitch::Mount { path, from } if from.is_empty() => left.push(format!(
                    "{path} had no version before, and \"no version\" cannot be configured again; \
                 move it to a version that works, and reload it"
                )),
                VersionSwitch::Mount { path, from } => {
                    if self.is_gone(path).await {
                        continue;
                    }
                    match self
                        .send_change(&TuneVersion { path: path.to_string(), version: from.clone() })
                        .await
                    {
                        Ok(_) => paths.push(path.to_string()),
                        Err(error) => {
                            left.push(format!(
                                "{path} could not be moved back to {from} ({})",
                                error_chain(&error)
                            ));
                        }
                    }
                }
                VersionSwitch::Pin { pin, mounts } => match self.send_change(&Set(pin.clone())).await {
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
                            error_chain(&error)
                        ));
                    }
                },
            }
        }
        // One request a mount: each has the whole time limit, and one that fails does not keep the others from it.
        for path in paths {
            if let Err(error) = self.send_change(&reload::ReloadMounts { paths: vec![path.clone()] }).await {
                left.push(format!("{path} could not be reloaded ({})", error_chain(&error)));
            }
        }
        for (path, from) in
            switched.iter().flat_map(VersionSwitch::mounts).filter(|(_, from)| !from.is_empty())
        {
            match self.send_read(&Read { path: path.to_string() }).await {
                Ok(Some(shown)) if shown.mount.running_version == *from => {}
                Ok(Some(shown)) => {
                    left.push(format!("{path} runs {:?} and not {from}", shown.mount.running_version));
                }
                Ok(None) => {}
                Err(error) => {
                    left.push(format!("it is not known what {path} runs ({})", error_chain(&error)));
                }
            }
        }
        if left.is_empty() { Ok(()) } else { Err(left) }
    }

    /// Whether nothing is mounted there; what cannot be asked may be there.
    pub(crate) async fn is_gone(&self, path: &MountPath) -> bool {
        matches!(self.send_read(&Read { path: path.to_string() }).await, Ok(None))
    }

    /// Removes what `steps` have brought: canaries, catalog entries, files. The last of them may have failed half way.
    /// On failure: what is where, a sentence each.
    pub(crate) async fn remove_created(
        &self,
        world: &Environment,
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
                    let (gone, version) = (steps, version.v_prefixed());
                    let removal =
                        Step::DeregisterVersion { kind: *kind, name: name.clone(), version: version.clone() };
                    if gone.contains(&removal) {
                        continue;
                    }
                    let name = PluginRef { kind: *kind, name: name.clone(), version: Some(version) };
                    self.send_change(&Deregister(name)).await.map(|_| ()).map_err(|error| error_chain(&error))
                }
                Step::PlaceBinary { nodes, directory, file, binary } => match &world.deployment {
                    Some(site) => {
                        self.remove_binary(site.as_ref(), directory, file, &binary.sha256, nodes).await
                    }
                    None => Ok(()),
                },
                Step::PatchInitImage { from, .. } => match &world.deployment {
                    Some(site) => self.restore_init_image(site.as_ref(), from).await,
                    None => Ok(()),
                },
                _ => continue,
            };
            match undone {
                Ok(()) => listener(&Event::StepUndone { step: step.clone() }),
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
        let disabled = self.send_change(&Disable { path: path.to_string() }).await;
        match self.send_read(&Read { path: path.to_string() }).await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(match disabled {
                Ok(_) => "it is still mounted".to_owned(),
                Err(error) => error_chain(&error),
            }),
            Err(error) => Err(error_chain(&error)),
        }
    }

    /// Names the image of before again.
    async fn restore_init_image(&self, site: &dyn Deployment, image: &str) -> Result<(), String> {
        self.check_lock().map_err(|lost| lost.to_string())?;
        site.set_init_image(image, None).await.map_err(|error| error_chain(&error))
    }

    /// From the nodes that had it not, and only if it is what was placed: placing may have failed because it was another. A node
    /// that is restarted at this moment is waited for, as it comes back with it. A copy that died with its container has left a
    /// partial file.
    async fn remove_binary(
        &self,
        site: &dyn Deployment,
        directory: &Path,
        file: &str,
        sha256: &str,
        nodes: &[NodeName],
    ) -> Result<(), String> {
        let servers = PluginDirectory::At(directory.to_owned());
        let question = Query {
            plugin_directory: servers,
            plugin: None,
            binary: None,
            detail: Detail::Deep { files: BTreeSet::new() },
            needed_files: None,
            freshness: Freshness::Now,
        };
        let partial = format!(".{file}.");
        let mut poll = Poll::new(FAILOVER_TIMEOUT);
        loop {
            let observed = site.observe(&question).await.map_err(|error| error_chain(&error))?;
            let there = observed.nodes.iter().filter(|(name, _)| nodes.contains(name));
            let mut unseen = Vec::new();
            let mut to_remove: BTreeMap<&str, Vec<NodeName>> = BTreeMap::new();
            for (name, node) in there {
                match &node.readiness {
                    Readiness::NotReady { reason: why } => {
                        unseen.push(format!("{name} cannot be looked at: {why}"));
                    }
                    Readiness::Ready => {
                        let placed = node.files.iter().any(|it| it.name == file && it.sha256 == sha256);
                        let left = node.file_issues.partial_files.iter().map(String::as_str);
                        let left = left.filter(|name| name.starts_with(&partial));
                        for file in placed.then_some(file).into_iter().chain(left) {
                            to_remove.entry(file).or_default().push(name.clone());
                        }
                    }
                }
            }
            for (file, nodes) in to_remove {
                self.check_lock().map_err(|lost| lost.to_string())?;
                site.remove(file, &nodes).await.map_err(|error| error_chain(&error))?;
            }
            if unseen.is_empty() {
                return Ok(());
            }
            if poll.timed_out() {
                return Err(unseen.join("; "));
            }
            poll.pause().await;
        }
    }

    fn check_lock(&self) -> Result<(), LockLost> {
        self.lock.lost_reason().map_or(Ok(()), Err)
    }

    /// Sends a request that changes something, while this run has the right to.
    async fn send_change<E: Endpoint>(&self, endpoint: &E) -> Result<E::Response, UndoError> {
        self.send_with_failover(endpoint, || self.check_lock()).await
    }

    /// Sends a request that changes nothing.
    async fn send_read<E: Endpoint>(&self, endpoint: &E) -> Result<E::Response, UndoError> {
        self.send_with_failover(endpoint, || Ok(())).await
    }

    /// Sends a request, at the successor too if the node is lost that has it. Before each attempt it must be `allowed`.
    async fn send_with_failover<E: Endpoint>(
        &self,
        endpoint: &E,
        allowed: impl Fn() -> Result<(), LockLost>,
    ) -> Result<E::Response, UndoError> {
        let mut poll = Poll::new(FAILOVER_TIMEOUT);
        loop {
            allowed()?;
            match self.client.send(endpoint).await {
                Err(error)
                    if self.failover == Failover::Possible && is_node_loss(&error) && !poll.timed_out() =>
                {
                    poll.pause().await;
                }
                sent => return Ok(sent?),
            }
        }
    }
}
