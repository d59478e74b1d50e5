//! Does one step.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use vault_api::catalog::{Deregister, EntryName, Register as RegisterEntry};
use vault_api::logical::{Data, Write};
use vault_api::mounts::{Disable, Enable, TuneVersion};
use vault_api::pins::{Pin, Set};
use vault_api::step_down::StepDown;
use vault_api::{CallError, Trouble, reload};

use super::{LONGEST_ABSENCE, Run};
use crate::decide::{WaitingOn, unsettled};
use crate::event::Event;
use crate::goal::{Canary, Goal, MountPath, WriteGoal};
use crate::observe::{NO_ACTIVE_NODE, ObserveError, observe};
use crate::observed::site::{NodeName, Role};
use crate::site::kubernetes::error::KubernetesError;
use crate::site::{Copied, SiteError, Unready};
use crate::smoke::{SmokeError, smoke};
use crate::step::{Step, VersionFrom};

/// A step that failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    #[error("the server did not do it")]
    Call(#[from] CallError),
    #[error("the nodes did not do it")]
    Site(#[from] SiteError),
    #[error("there is no plugin directory to place it in")]
    NoSite,
    #[error("it does not work")]
    Smoke(#[from] SmokeError),
    #[error("no other node became active")]
    NobodyElse,
    #[error("not every node can become active: {0}")]
    Unsettled(WaitingOn),
    #[error("{0} was not seen as a pod, so it cannot be restarted")]
    NoPod(NodeName),
    #[error("the nodes cannot be looked at")]
    Observe(#[from] ObserveError),
}

/// What a node answers that has lost the leadership and does not know it yet (raft's words, which Vault passes on).
const LOST_LEADERSHIP: [&str; 2] = ["node is not the leader", "leadership lost while committing log"];

impl StepError {
    /// Whether it is of a node that another one takes over from. The step may have been carried out.
    pub(super) fn is_of_a_lost_node(&self) -> bool {
        let call = match self {
            Self::Call(call) | Self::Smoke(SmokeError::Read { source: call, .. }) => call,
            _ => return false,
        };
        is_of_a_lost_node(call)
    }

    /// Whether the step may have been carried out: its answer was lost, or tells of an error of the server's own.
    pub(super) fn may_be_done(&self) -> bool {
        match self {
            Self::Call(CallError::Api(answer)) => answer.status.is_server_error(),
            Self::Call(CallError::Transport { trouble, .. }) => {
                matches!(trouble, Trouble::TimedOut | Trouble::Broken)
            }
            Self::Call(_) => false,
            Self::Site(SiteError::Kubernetes(KubernetesError::Budget { .. })) | Self::Unsettled(_) => false,
            Self::Site(_) | Self::NobodyElse | Self::Observe(_) => true,
            Self::NoSite | Self::NoPod(_) | Self::Smoke(_) => false,
        }
    }

    /// What passes by itself, after which the step can be done.
    pub(super) fn awaited(&self) -> Option<WaitingOn> {
        let Self::Site(SiteError::Kubernetes(KubernetesError::Budget { budget, pod, said })) = self else {
            return None;
        };
        let (budget, pod, said) = (budget.clone(), NodeName::new(pod), said.clone());
        Some(WaitingOn::DisruptionBudget { budget, pod, said })
    }

    /// The lease that may live on.
    pub(super) fn lease_left(&self) -> Option<&str> {
        match self {
            Self::Smoke(error) => error.lease_left(),
            _ => None,
        }
    }
}

/// Whether a call failed on a node that another one takes over from. It may have been carried out.
pub(crate) fn is_of_a_lost_node(call: &CallError) -> bool {
    match call {
        CallError::Sealed { .. } => true,
        CallError::Api(answer) => {
            LOST_LEADERSHIP.iter().chain(&NO_ACTIVE_NODE).any(|words| answer.says(words))
        }
        CallError::Transport { trouble, .. } => {
            matches!(trouble, Trouble::NoConnection | Trouble::Broken | Trouble::Standby)
        }
        _ => false,
    }
}

/// How often nodes are asked to step down until one becomes active that was not: who wins an election is chance.
const ELECTIONS: usize = 6;

/// How long an election may take; servers give up their own after some ten seconds.
const ELECTION: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(250);

impl Run<'_> {
    pub(super) async fn act(&mut self, step: &Step) -> Result<Vec<String>, StepError> {
        let client = self.world.client.clone();
        Ok(match step {
            Step::PlaceBinary { nodes, file, .. } => {
                self.place(nodes, file).await?;
                Vec::new()
            }
            Step::RegisterVersion { kind, name, version, sha256, command, args } => {
                let env = self.goal.brought().map(|plugin| plugin.env.clone()).unwrap_or_default();
                let entry = EntryName { kind: *kind, name: name.clone(), version: Some(version.tagged()) };
                let (sha256, command, args) = (sha256.clone(), command.clone(), args.clone());
                client.send(&RegisterEntry { entry, sha256, command, args, env }).await?
            }
            Step::EnableMount { path, plugin, version, version_from }
            | Step::MountCanary { path, plugin, version, version_from } => {
                let version = (*version_from == VersionFrom::Mount).then(|| version.tagged());
                client.send(&Enable { path: path.to_string(), plugin: plugin.clone(), version }).await?
            }
            Step::TryCanary { path, read, .. } => {
                self.try_canary(path, read.as_deref()).await?;
                Vec::new()
            }
            Step::RemoveCanary { path } => client.send(&Disable { path: path.to_string() }).await?,
            Step::TuneMount { path, to, .. } => {
                client.send(&TuneVersion { path: path.to_string(), version: to.tagged() }).await?
            }
            Step::SetPin { kind, name, to, .. } => {
                client.send(&Set(Pin { kind: *kind, name: name.clone(), version: to.tagged() })).await?
            }
            Step::ReloadMount { path } => {
                client.send(&reload::Mounts { paths: vec![path.to_string()] }).await?
            }
            Step::Write { path, .. } => {
                client.send(&Write { path: path.clone(), data: self.data(path) }).await?.warnings
            }
            Step::TryMount { path } => {
                smoke(&client, path, self.listener).await?;
                Vec::new()
            }
            Step::DeregisterVersion { kind, name, version } => {
                let version = Some(version.clone()).filter(|version| !version.is_empty());
                client.send(&Deregister(EntryName { kind: *kind, name: name.clone(), version })).await?
            }
            Step::RemoveFile { nodes, file, .. } => {
                let site = self.world.site.as_ref().ok_or(StepError::NoSite)?;
                site.take_away(file, nodes).await?;
                Vec::new()
            }
            Step::RestartNode { node } => {
                self.restart(node).await?;
                Vec::new()
            }
            Step::Persist { to, files, .. } => {
                self.world.site.as_ref().ok_or(StepError::NoSite)?.persist(to, files.as_ref()).await?;
                let unproven = self.unproven_pull.take();
                unproven
                    .map(|why| format!("it is not proven that a node can pull {to}: {why}"))
                    .into_iter()
                    .collect()
            }
            Step::HandOver { .. } => {
                self.hand_over().await?;
                Vec::new()
            }
        })
    }

    /// Tells how far it is while it goes on.
    async fn place(&mut self, nodes: &[NodeName], file: &str) -> Result<(), StepError> {
        let (Some(site), Some(plugin)) = (&self.world.site, self.goal.brought()) else {
            return Err(StepError::NoSite);
        };
        let (progress, mut told) = mpsc::unbounded_channel();
        let placing = site.place(&plugin.binary, file, nodes, progress);
        let telling = async {
            while let Some(Copied { node, done, total }) = told.recv().await {
                (self.listener)(&Event::Bytes { node, done, total });
            }
        };
        let (placed, ()) = tokio::join!(placing, telling);
        Ok(placed?)
    }

    async fn restart(&self, node: &NodeName) -> Result<(), StepError> {
        let site = self.world.site.as_ref().ok_or(StepError::NoSite)?;
        let seen = self.seen.as_ref().and_then(|seen| seen.site.as_ref()?.nodes.get(node));
        let uid = seen.and_then(|node| node.uid.as_deref()).ok_or_else(|| StepError::NoPod(node.clone()))?;
        let unready = if self.goal.goes_back() { Unready::Delete } else { Unready::Evict };
        Ok(site.restart(node, uid, unready).await?)
    }

    async fn try_canary(&mut self, path: &MountPath, read: Option<&str>) -> Result<(), StepError> {
        let Goal::Upgrade(upgrade) = self.goal else { return Ok(()) };
        let Canary::Mount { writes, .. } = &upgrade.canary else { return Ok(()) };
        for write in writes {
            let data = fields(std::iter::once(write));
            self.world.client.send(&Write { path: path.join(&write.path), data }).await?;
        }
        if let Some(read) = read {
            smoke(&self.world.client, &path.join(read), self.listener).await?;
        }
        Ok(())
    }

    /// Has nodes step down until one is active that was not active in this run.
    async fn hand_over(&mut self) -> Result<(), StepError> {
        for _ in 0..ELECTIONS {
            let active = self.active_node();
            self.led.extend(active);
            let alone = self
                .seen
                .as_ref()
                .and_then(|seen| seen.site.as_ref())
                .is_none_or(|site| site.nodes.len() < 2);
            self.world.client.send(&StepDown).await?;
            self.wait_for_active_node().await?;
            let everybody_has = self.everybody_has_led();
            let now = self.active_node();
            if alone || everybody_has || now.as_ref().is_some_and(|now| !self.led.contains(now)) {
                self.led.extend(now);
                return Ok(());
            }
            self.wait_until_settled().await?;
        }
        Err(StepError::NobodyElse)
    }

    /// Waits until every node has a vote and a log that is close to the leader's, as before the first step-down.
    async fn wait_until_settled(&mut self) -> Result<(), StepError> {
        let started = Instant::now();
        let mut told = None;
        loop {
            self.wait_for_active_node().await?;
            let Some(on) = self.seen.as_ref().and_then(unsettled) else { return Ok(()) };
            if started.elapsed() >= LONGEST_ABSENCE || self.lost().is_some() {
                return Err(StepError::Unsettled(on));
            }
            if told.as_ref() != Some(&on) {
                (self.listener)(&Event::Waiting { on: on.clone() });
                told = Some(on);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn active_node(&self) -> Option<NodeName> {
        let nodes = &self.seen.as_ref()?.site.as_ref()?.nodes;
        let is_active = |role: Role| role == Role::Active;
        let active =
            nodes.iter().find(|(_, node)| node.vault.as_ref().is_some_and(|vault| is_active(vault.role)));
        active.map(|(name, _)| name.clone())
    }

    fn everybody_has_led(&self) -> bool {
        let nodes = self.seen.as_ref().and_then(|seen| seen.site.as_ref()).map(|site| &site.nodes);
        nodes.is_some_and(|nodes| nodes.keys().all(|name| self.led.contains(name)))
    }

    /// A node that has just stepped down answers that it is a standby, and for a while none is anything else.
    async fn wait_for_active_node(&mut self) -> Result<(), StepError> {
        let started = Instant::now();
        loop {
            // Connections may be refused as well while the way to the active node changes.
            match observe(self.world, Some(self.goal), &self.this_run).await {
                Ok(observed) if observed.server.has_active_node && !observed.server.sealed => {
                    self.seen = Some(observed);
                    return Ok(());
                }
                Ok(_) if started.elapsed() < ELECTION => {}
                Ok(_) => return Err(StepError::NobodyElse),
                Err(_) if started.elapsed() < ELECTION => {}
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn data(&self, path: &str) -> Data {
        let writes =
            self.goal.mounts().iter().flat_map(|mount| mount.writes.iter().map(move |write| (mount, write)));
        fields(writes.filter(|(mount, write)| mount.path.join(&write.path) == path).map(|(_, write)| write))
    }
}

fn fields<'a>(writes: impl Iterator<Item = &'a WriteGoal>) -> Data {
    Data(
        writes
            .flat_map(|write| write.data.iter().map(|(field, value)| (field.clone(), value.value())))
            .collect(),
    )
}
