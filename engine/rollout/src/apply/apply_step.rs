//! Applies one step.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use vault_api::catalog::{Deregister, PluginRef, Register as RegisterEntry};
use vault_api::logical::{LogicalData, Write};
use vault_api::pins::{Pin, Set};
use vault_api::step_down::StepDown;
use vault_api::{CallError, TransportErrorKind};

use super::Run;
use crate::binary::Binary;
use crate::consumer::Consumer;
use crate::consumer_requests;
use crate::decide::{WaitingOn, failover_blocker};
use crate::deployment::{CopyProgress, DeploymentError, DisruptionBudget};
use crate::event::Event;
use crate::goal::{DesiredValue, DesiredWrite};
use crate::observe::{ObserveError, observe};
use crate::observed::deployment::{NodeName, NodeRole};
use crate::poll::Poll;
use crate::smoke::{SmokeError, run_smoke_test};
use crate::step::{Step, VersionFrom};
use crate::timeouts::{NODE_RETURN_TIMEOUT, STEP_DOWN_TIMEOUT};
use crate::transient::is_node_loss;

/// A step that failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    #[error("the request to the server failed")]
    Call(#[from] CallError),
    #[error("the change of the nodes failed")]
    Deployment(#[from] DeploymentError),
    #[error("no plugin directory is known")]
    NoDeployment,
    #[error(transparent)]
    Smoke(#[from] SmokeError),
    #[error("no other node became active")]
    NoNewActiveNode,
    #[error("some nodes cannot become active: {0}")]
    NotReadyForFailover(WaitingOn),
    #[error("{0} was not observed as a pod, so it cannot be restarted")]
    NoPod(NodeName),
    #[error("the nodes could not be observed")]
    Observe(#[from] ObserveError),
}

impl StepError {
    /// Whether the active node was lost, so that another one takes over. The step may have been applied.
    pub(super) fn is_node_loss(&self) -> bool {
        match self {
            Self::Call(call) => is_node_loss(call),
            Self::Smoke(error) => error.call_error().is_some_and(is_node_loss),
            _ => false,
        }
    }

    /// Whether the step may have been applied: its response was lost, or is an error of the server itself.
    pub(super) fn may_have_been_applied(&self) -> bool {
        match self {
            Self::Call(CallError::Api(answer)) => answer.status.is_server_error(),
            Self::Call(CallError::Transport { kind, .. }) => {
                matches!(kind, TransportErrorKind::TimedOut | TransportErrorKind::ConnectionLost)
            }
            Self::Call(_) => false,
            Self::Deployment(DeploymentError::DisruptionBudget(_)) | Self::NotReadyForFailover(_) => false,
            Self::Deployment(_) | Self::NoNewActiveNode | Self::Observe(_) => true,
            Self::NoDeployment | Self::NoPod(_) | Self::Smoke(_) => false,
        }
    }

    /// The temporary condition after which the step can be applied.
    pub(super) fn wait_condition(&self) -> Option<WaitingOn> {
        let Self::Deployment(DeploymentError::DisruptionBudget(refused)) = self else { return None };
        let DisruptionBudget { budget, pod, message } = refused.clone();
        Some(WaitingOn::DisruptionBudget { budget, pod, message })
    }

    /// The lease that may not be revoked.
    pub(super) fn unrevoked_lease(&self) -> Option<&str> {
        match self {
            Self::Smoke(error) => error.unrevoked_lease(),
            _ => None,
        }
    }
}

/// Limit for what a canary mount issues, if a killed run does not revoke it.
const CANARY_MAX_LEASE_TTL: Duration = Duration::from_secs(300);

/// Limit of step-downs until another node becomes active: the result of an election is random.
const MAX_STEP_DOWNS: usize = 6;

/// Interval at which the active node is checked.
const LEADER_POLL_INTERVAL: Duration = Duration::from_millis(250);

impl Run<'_> {
    pub(super) async fn apply_step(&mut self, step: &Step) -> Result<Vec<String>, StepError> {
        let client = self.environment.client.clone();
        Ok(match step {
            Step::CopyBinary { nodes, file, binary, .. } => {
                self.copy_binary(binary, nodes, file).await?;
                Vec::new()
            }
            Step::RegisterVersion { kind, name, version, sha256, command, args, env } => {
                let entry =
                    PluginRef { kind: *kind, name: name.clone(), version: Some(version.v_prefixed()) };
                let (sha256, command) = (sha256.clone(), command.clone());
                let (args, env) = (args.clone(), env.clone());
                client.send(&RegisterEntry { entry, sha256, command, args, env }).await?
            }
            Step::EnableMount { path, plugin, version, version_from }
            | Step::MountCanary { path, plugin, version, version_from } => {
                let version = (*version_from == VersionFrom::Mount).then(|| version.v_prefixed());
                let is_canary = matches!(step, Step::MountCanary { .. });
                let max_lease_ttl = is_canary.then_some(CANARY_MAX_LEASE_TTL);
                consumer_requests::enable(&client, path, plugin.clone(), version, max_lease_ttl).await?
            }
            Step::VerifyCanary { path, writes, smoke_path, smoke_data, source_mount: _ } => {
                self.verify_canary(path, writes, smoke_path.as_deref().map(|path| (path, smoke_data))).await?
            }
            Step::RemoveCanary { path } => consumer_requests::disable(&client, path).await?,
            Step::TuneMount { path, to, .. } => {
                consumer_requests::set_version(&client, path, to.v_prefixed()).await?
            }
            Step::SetPin { kind, name, to, .. } => {
                client.send(&Set(Pin { kind: *kind, name: name.clone(), version: to.v_prefixed() })).await?
            }
            Step::ReloadMount { path } => consumer_requests::reload(&client, path).await?,
            Step::Write { path, data } => {
                client.send(&Write { path: path.clone(), data: logical_data(data) }).await?.warnings
            }
            Step::SmokeTestMount { mount, path, data } => {
                run_smoke_test(&client, mount, path, data, self.listener).await?.warnings
            }
            Step::DeregisterVersion { kind, name, version } => {
                let version = Some(version.clone()).filter(|version| !version.is_empty());
                client.send(&Deregister(PluginRef { kind: *kind, name: name.clone(), version })).await?
            }
            Step::RemoveBinary { nodes, file, .. } => {
                let deployment = self.environment.deployment.as_ref().ok_or(StepError::NoDeployment)?;
                deployment.remove(file, nodes).await?;
                Vec::new()
            }
            Step::RestartNode { node, uid, unready } => {
                let uid = uid.as_deref().ok_or_else(|| StepError::NoPod(node.clone()))?;
                let deployment = self.environment.deployment.as_ref().ok_or(StepError::NoDeployment)?;
                deployment.restart_node(node, uid, *unready).await?;
                Vec::new()
            }
            Step::PatchInitImage { to, files, .. } => {
                self.environment
                    .deployment
                    .as_ref()
                    .ok_or(StepError::NoDeployment)?
                    .set_init_image(to, files.as_ref())
                    .await?;
                let untested = self.untested_pull.take();
                untested
                    .map(|reason| format!("it was not tested whether a node can pull {to}: {reason}"))
                    .into_iter()
                    .collect()
            }
            Step::StepDown { .. } => {
                self.step_down().await?;
                Vec::new()
            }
        })
    }

    /// Copies a binary to nodes, and reports the progress.
    async fn copy_binary(
        &mut self,
        binary: &Binary,
        nodes: &[NodeName],
        file: &str,
    ) -> Result<(), StepError> {
        let deployment = self.environment.deployment.as_ref().ok_or(StepError::NoDeployment)?;
        let (sender, mut progress) = mpsc::unbounded_channel();
        let copying = deployment.copy(binary, file, nodes, sender);
        let reporting = async {
            while let Some(CopyProgress { node, done, total }) = progress.recv().await {
                (self.listener)(&Event::CopyProgress { node, done, total });
            }
        };
        let (copied, ()) = tokio::join!(copying, reporting);
        Ok(copied?)
    }

    /// Writes to the canary mount, and runs its smoke test.
    async fn verify_canary(
        &mut self,
        path: &Consumer,
        writes: &[DesiredWrite],
        smoke: Option<(&str, &BTreeMap<String, DesiredValue>)>,
    ) -> Result<Vec<String>, StepError> {
        for write in writes {
            let data = logical_data(&write.data);
            self.environment.client.send(&Write { path: path.join(&write.path), data }).await?;
        }
        let Some((smoke_path, data)) = smoke else { return Ok(Vec::new()) };
        let smoke_path = path.join(smoke_path);
        let report = run_smoke_test(&self.environment.client, path, &smoke_path, data, self.listener).await?;
        Ok(report.warnings)
    }

    /// Makes nodes step down until one is active that was not active in this run.
    async fn step_down(&mut self) -> Result<(), StepError> {
        for _ in 0..MAX_STEP_DOWNS {
            let active = self.active_node();
            self.led_nodes.extend(active);
            let is_single_node = self
                .last_observed
                .as_ref()
                .and_then(|observed| observed.deployment.as_ref())
                .is_none_or(|deployment| deployment.nodes.len() < 2);
            self.environment.client.send(&StepDown).await?;
            self.wait_for_active_node().await?;
            let all_have_led = self.all_nodes_have_led();
            let now = self.active_node();
            if is_single_node || all_have_led || now.as_ref().is_some_and(|now| !self.led_nodes.contains(now))
            {
                self.led_nodes.extend(now);
                return Ok(());
            }
            self.wait_until_failover_ready().await?;
        }
        Err(StepError::NoNewActiveNode)
    }

    /// Waits until every node has a vote and a log close to that of the leader.
    async fn wait_until_failover_ready(&mut self) -> Result<(), StepError> {
        let mut poll = Poll::every(LEADER_POLL_INTERVAL, NODE_RETURN_TIMEOUT);
        let mut reported = None;
        loop {
            self.wait_for_active_node().await?;
            let Some(on) = self.last_observed.as_ref().and_then(failover_blocker) else { return Ok(()) };
            if poll.timed_out() || self.lock_lost().is_some() {
                return Err(StepError::NotReadyForFailover(on));
            }
            if reported.as_ref() != Some(&on) {
                (self.listener)(&Event::Waiting { reason: on.clone() });
                reported = Some(on);
            }
            poll.pause().await;
        }
    }

    fn active_node(&self) -> Option<NodeName> {
        let nodes = &self.last_observed.as_ref()?.deployment.as_ref()?.nodes;
        let is_active = |role: NodeRole| role == NodeRole::Active;
        let active =
            nodes.iter().find(|(_, node)| node.server.as_ref().is_some_and(|vault| is_active(vault.role)));
        active.map(|(name, _)| name.clone())
    }

    fn all_nodes_have_led(&self) -> bool {
        let nodes = self
            .last_observed
            .as_ref()
            .and_then(|observed| observed.deployment.as_ref())
            .map(|deployment| &deployment.nodes);
        nodes.is_some_and(|nodes| nodes.keys().all(|name| self.led_nodes.contains(name)))
    }

    /// Waits until a node is active: after a step-down, all are standbys for a while.
    async fn wait_for_active_node(&mut self) -> Result<(), StepError> {
        let mut poll = Poll::every(LEADER_POLL_INTERVAL, STEP_DOWN_TIMEOUT);
        loop {
            // Connections may be refused while the port-forward changes to the new active node.
            match observe(self.environment, Some(self.goal)).await {
                Ok(observed) if observed.server.has_active_node && !observed.server.sealed => {
                    self.last_observed = Some(observed);
                    return Ok(());
                }
                Ok(_) if !poll.timed_out() => {}
                Ok(_) => return Err(StepError::NoNewActiveNode),
                Err(_) if !poll.timed_out() => {}
                Err(error) => return Err(error.into()),
            }
            poll.pause().await;
        }
    }
}

/// The values of a step, for the request that writes them.
fn logical_data(data: &BTreeMap<String, DesiredValue>) -> LogicalData {
    LogicalData(data.iter().map(|(field, value)| (field.clone(), value.value())).collect())
}
