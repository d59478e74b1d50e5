//! Undoes a failed run: mounts run the previous version, verified, and everything that was added is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use vault_api::catalog::{Deregister, PluginRef, PluginType};
use vault_api::pins::{Pin, Set};
use vault_api::{CallError, Client, Endpoint};

use crate::consumer::Consumer;
use crate::consumer_requests;
use crate::decide::unreloaded_mounts;
use crate::deployment::{Deployment, Detail, Freshness, LeaseLock, LockLost, Query};
use crate::error_chain::error_chain;
use crate::event::Event;
use crate::goal::UpgradeGoal;
use crate::observe::Environment;
use crate::observed::deployment::{NodeName, Readiness};
use crate::observed::{Observed, PluginDirectory};
use crate::poll::Poll;
use crate::step::Step;
use crate::timeouts::FAILOVER_TIMEOUT;
use crate::transient::is_node_loss;

/// Whether another node takes over if the active one is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failover {
    /// Yes: requests that the loss interrupts are repeated.
    Possible,
    /// No: there is no other node.
    Impossible,
}

impl Failover {
    /// Derives it from the observed nodes.
    pub(crate) fn of(observed: &Observed) -> Self {
        let others = observed.deployment.as_ref().is_some_and(|deployment| deployment.nodes.len() > 1);
        if others { Self::Possible } else { Self::Impossible }
    }
}

/// Mounts that were moved to another version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VersionSwitch {
    /// One mount, by its configuration.
    Mount {
        path: Consumer,
        /// The previous version with its `v`; empty if it had none.
        from: String,
    },
    /// All mounts of a plugin, by its pin.
    Pin { pin: Pin, mounts: Vec<Consumer> },
}

impl VersionSwitch {
    /// The mounts that a step moves; `mounts` are those of its plugin.
    pub(crate) fn from_step(step: &Step, mounts: &[Consumer]) -> Option<VersionSwitch> {
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

    /// The mounts that a killed run has moved and not reloaded. They go back to the version that they run.
    pub(crate) fn unreloaded(observed: &Observed, upgrade: &UpgradeGoal) -> Vec<VersionSwitch> {
        let unreloaded = unreloaded_mounts(observed, upgrade);
        let Some((_, running)) = unreloaded.first() else { return Vec::new() };
        if observed.pinned_version(upgrade.kind(), upgrade.name()).is_some() {
            let pin = Pin { kind: upgrade.kind(), name: upgrade.name().to_owned(), version: running.clone() };
            return vec![VersionSwitch::Pin {
                pin,
                mounts: unreloaded.into_iter().map(|(path, _)| path).collect(),
            }];
        }
        unreloaded.into_iter().map(|(path, from)| VersionSwitch::Mount { path, from }).collect()
    }

    /// Whether it is the same mount or pin, with any previous version.
    pub(crate) fn is_same_subject(&self, other: &VersionSwitch) -> bool {
        match (self, other) {
            (VersionSwitch::Mount { path, .. }, VersionSwitch::Mount { path: other, .. }) => path == other,
            (VersionSwitch::Pin { .. }, VersionSwitch::Pin { .. }) => true,
            _ => false,
        }
    }

    /// The mounts, with their previous versions.
    pub(crate) fn mounts(&self) -> Vec<(&Consumer, &str)> {
        match self {
            VersionSwitch::Mount { path, from } => vec![(path, from)],
            VersionSwitch::Pin { pin, mounts } => {
                mounts.iter().map(|path| (path, pin.version.as_str())).collect()
            }
        }
    }
}

/// The mounts of all switches, sorted.
pub(crate) fn switched_mounts(switched: &[VersionSwitch]) -> Vec<Consumer> {
    let mut paths: Vec<Consumer> =
        switched.iter().flat_map(VersionSwitch::mounts).map(|(path, _)| path.clone()).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// The context of an undo.
pub(crate) struct UndoContext<'a> {
    pub(crate) client: Client,
    pub(crate) failover: Failover,
    /// The lock. Once it is lost, nothing is changed, because another operator may have started.
    pub(crate) lock: &'a LeaseLock,
}

/// Why a change was not undone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UndoError {
    #[error(transparent)]
    LockLost(#[from] LockLost),
    #[error(transparent)]
    Call(#[from] CallError),
}

impl UndoContext<'_> {
    /// Moves every mount back, reloads it, and verifies the version that it runs. Skips mounts that no longer exist.
    /// Returns the remaining effects on failure, one sentence each.
    pub(crate) async fn switch_back(&self, switched: &[VersionSwitch]) -> Result<(), Vec<String>> {
        let mut remaining = Vec::new();
        let mut paths = Vec::new();
        for switched in switched {
            match switched {
                VersionSwitch::Mount { path, from }
                    if from.is_empty() && path.kind() != PluginType::Database =>
                {
                    remaining.push(format!(
                    "{path} had no version before, which cannot be configured again: move it to a working version, and reload it"
                    ));
                }
                VersionSwitch::Mount { path, from } => {
                    if self.is_gone(path).await {
                        continue;
                    }
                    let is_back = || consumer_requests::connection_has_version(&self.client, path, from);
                    if let Ok(true) = self.with_failover(is_back, || Ok(())).await {
                        continue;
                    }
                    let set = || consumer_requests::set_version(&self.client, path, from.clone());
                    match self.with_failover(set, || self.check_lock()).await {
                        // A connection is opened again by the request.
                        Ok(_) if path.kind() == PluginType::Database => {}
                        Ok(_) => paths.push(path.clone()),
                        Err(error) => {
                            remaining.push(format!(
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
                                paths.push(path.clone());
                            }
                        }
                    }
                    Err(error) => {
                        let Pin { name, version, .. } = pin;
                        remaining.push(format!(
                            "{name} could not be pinned to {version} again ({})",
                            error_chain(&error)
                        ));
                    }
                },
            }
        }
        // One request per mount: each has the full timeout, and one failure does not affect the others.
        for path in paths {
            let reload = || consumer_requests::reload(&self.client, &path);
            if let Err(error) = self.with_failover(reload, || self.check_lock()).await {
                remaining.push(format!("{path} could not be reloaded ({})", error_chain(&error)));
            }
        }
        for (path, from) in
            switched.iter().flat_map(VersionSwitch::mounts).filter(|(_, from)| !from.is_empty())
        {
            match self.running_version(path).await {
                Ok(Some(running)) if running == *from => {}
                Ok(Some(running)) => {
                    remaining.push(format!("{path} runs {running:?}, expected {from}"));
                }
                Ok(None) => {}
                Err(error) => {
                    remaining
                        .push(format!("the version that {path} runs is unknown ({})", error_chain(&error)));
                }
            }
        }
        if remaining.is_empty() { Ok(()) } else { Err(remaining) }
    }

    /// Whether nothing is mounted at the path. False if that is unknown.
    pub(crate) async fn is_gone(&self, path: &Consumer) -> bool {
        matches!(self.running_version(path).await, Ok(None))
    }

    async fn running_version(&self, path: &Consumer) -> Result<Option<String>, UndoError> {
        self.with_failover(|| consumer_requests::running_version(&self.client, path), || Ok(())).await
    }

    /// Removes what `steps` have added: canary mounts, catalog entries, files. The last step may have failed halfway.
    /// Returns the remaining effects on failure, one sentence each.
    pub(crate) async fn remove_created(
        &self,
        environment: &Environment,
        steps: &[Step],
        listener: &mut dyn FnMut(&Event),
    ) -> Result<(), Vec<String>> {
        let mut remaining = Vec::new();
        for step in steps.iter().rev() {
            let undone = match step {
                Step::MountCanary { path, .. } => {
                    if steps.contains(&Step::RemoveCanary { path: path.clone() }) {
                        continue;
                    }
                    self.remove_canary(path).await
                }
                Step::RegisterVersion { kind, name, version, .. } => {
                    let version = version.v_prefixed();
                    let removal =
                        Step::DeregisterVersion { kind: *kind, name: name.clone(), version: version.clone() };
                    if steps.contains(&removal) {
                        continue;
                    }
                    let name = PluginRef { kind: *kind, name: name.clone(), version: Some(version) };
                    self.send_change(&Deregister(name)).await.map(|_| ()).map_err(|error| error_chain(&error))
                }
                Step::CopyBinary { nodes, directory, file, binary } => match &environment.deployment {
                    Some(deployment) => {
                        self.remove_binary(deployment.as_ref(), directory, file, &binary.sha256, nodes).await
                    }
                    None => Ok(()),
                },
                Step::PatchInitImage { from, .. } => match &environment.deployment {
                    Some(deployment) => self.restore_init_image(deployment.as_ref(), from).await,
                    None => Ok(()),
                },
                _ => continue,
            };
            match undone {
                Ok(()) => listener(&Event::StepUndone { step: step.clone() }),
                // Later steps depend on earlier ones: a registered version needs its file.
                Err(error) => {
                    remaining.push(format!("this step could not be undone: {step} ({error})"));
                    break;
                }
            }
        }
        if remaining.is_empty() { Ok(()) } else { Err(remaining) }
    }

    /// Disables the canary mount, and verifies that it is gone. It may have been enabled by a request whose response was lost.
    async fn remove_canary(&self, path: &Consumer) -> Result<(), String> {
        let disable = || consumer_requests::disable(&self.client, path);
        let disabled = self.with_failover(disable, || self.check_lock()).await;
        match self.running_version(path).await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(match disabled {
                Ok(_) => "it is still mounted".to_owned(),
                Err(error) => error_chain(&error),
            }),
            Err(error) => Err(error_chain(&error)),
        }
    }

    /// Sets the previous image again.
    async fn restore_init_image(&self, deployment: &dyn Deployment, image: &str) -> Result<(), String> {
        self.check_lock().map_err(|lost| lost.to_string())?;
        deployment.set_init_image(image, None).await.map_err(|error| error_chain(&error))
    }

    /// Removes a file from the nodes to which it was copied, if it has the copied content, and partial files of killed copies. Waits for nodes
    /// that are restarting, because they come back with the file.
    async fn remove_binary(
        &self,
        deployment: &dyn Deployment,
        directory: &Path,
        file: &str,
        sha256: &str,
        nodes: &[NodeName],
    ) -> Result<(), String> {
        let query = Query {
            plugin_directory: PluginDirectory::At(directory.to_owned()),
            namespaces: BTreeSet::new(),
            plugin: None,
            binary: None,
            detail: Detail::Deep { files: BTreeSet::new() },
            needed_files: None,
            freshness: Freshness::Now,
        };
        let partial = format!(".{file}.");
        let mut poll = Poll::new(FAILOVER_TIMEOUT);
        loop {
            let observed = deployment.observe(&query).await.map_err(|error| error_chain(&error))?;
            let affected = observed.nodes.iter().filter(|(name, _)| nodes.contains(name));
            let mut not_ready = Vec::new();
            let mut to_remove: BTreeMap<&str, Vec<NodeName>> = BTreeMap::new();
            for (name, node) in affected {
                match &node.readiness {
                    Readiness::NotReady { reason } => {
                        not_ready.push(format!("{name} could not be observed: {reason}"));
                    }
                    Readiness::Ready => {
                        let copied = node.files.iter().any(|it| it.name == file && it.sha256 == sha256);
                        let partial_files = node.file_issues.partial_files.iter().map(String::as_str);
                        let leftovers = partial_files.filter(|name| name.starts_with(&partial));
                        for file in copied.then_some(file).into_iter().chain(leftovers) {
                            to_remove.entry(file).or_default().push(name.clone());
                        }
                    }
                }
            }
            for (file, nodes) in to_remove {
                self.check_lock().map_err(|lost| lost.to_string())?;
                deployment.remove(file, &nodes).await.map_err(|error| error_chain(&error))?;
            }
            if not_ready.is_empty() {
                return Ok(());
            }
            if poll.timed_out() {
                return Err(not_ready.join("; "));
            }
            poll.pause().await;
        }
    }

    fn check_lock(&self) -> Result<(), LockLost> {
        self.lock.lost_reason().map_or(Ok(()), Err)
    }

    /// Sends a request that changes something, if this run still holds the lock.
    async fn send_change<E: Endpoint>(&self, endpoint: &E) -> Result<E::Response, UndoError> {
        self.with_failover(|| self.client.send(endpoint), || self.check_lock()).await
    }

    /// Sends a request, and repeats it after a failover. It must be `allowed` before each attempt.
    async fn with_failover<T>(
        &self,
        send: impl AsyncFn() -> Result<T, CallError>,
        allowed: impl Fn() -> Result<(), LockLost>,
    ) -> Result<T, UndoError> {
        let mut poll = Poll::new(FAILOVER_TIMEOUT);
        loop {
            allowed()?;
            match send().await {
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
