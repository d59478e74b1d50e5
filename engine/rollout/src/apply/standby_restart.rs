//! Waits before restarts, and the end of a run whose standbys cannot be restarted or do not return.

use std::time::Duration;

use vault_api::health::Product;

use super::{Outcome, Run, StepEffect, effect};
use crate::consumer::Consumer;
use crate::decide::WaitingOn;
use crate::event::Event;
use crate::goal::{Goal, UpgradeGoal};
use crate::observed::Observed;
use crate::observed::deployment::{NodeName, NodeRole, NodeServer};
use crate::poll::Poll;
use crate::smoke::UnrevokedLease;
use crate::step::Step;
use crate::timeouts::{FAILOVER_TIMEOUT, NODE_RETURN_TIMEOUT};
use crate::undo::VersionSwitch;

/// Timeout of a wait.
pub(super) fn wait_timeout(on: &WaitingOn) -> Duration {
    match on {
        WaitingOn::ActiveNode | WaitingOn::Lock { .. } | WaitingOn::DisruptionBudget { .. } => {
            FAILOVER_TIMEOUT
        }
        WaitingOn::Node { .. } | WaitingOn::RaftServer { .. } | WaitingOn::RaftJoin { .. } => {
            NODE_RETURN_TIMEOUT
        }
    }
}

impl Run<'_> {
    /// Pauses before a step that was refused temporarily is tried again, and returns whether it is: for as long as the timeout of one request.
    /// The run observes again before that, so a step is only applied if it is still due.
    pub(super) async fn pause_before_retry(&mut self, on: WaitingOn) -> bool {
        let poll = self.retry_wait.get_or_insert_with(|| {
            (self.listener)(&Event::Waiting { reason: on });
            Poll::new(self.environment.client.timeout())
        });
        if poll.timed_out() {
            return false;
        }
        poll.pause().await;
        true
    }

    /// Whether the active node is verified, and either a standby was restarted with the new version, or `step` is the failed restart of a
    /// standby that keeps running the previous version. An upgrade that has restarted no standby is undone.
    pub(super) fn is_restarting_standbys(&self, step: Option<&Step>) -> bool {
        let is_restart = |step: &Step| matches!(step, Step::RestartNode { .. });
        let undoes = matches!(self.goal, Goal::Upgrade(_)) && !self.goal.is_rollback();
        self.done.iter().any(is_restart) || (!undoes && !self.done.is_empty() && step.is_some_and(is_restart))
    }

    /// Ends a run that cannot restart a standby, whose standby does not return, or that fails after that. It does not change the active node,
    /// and an undo would not change the version that restarted standbys run.
    pub(super) async fn stop_at_standby_restart(
        self,
        step: Option<Step>,
        error: String,
        effect: StepEffect,
    ) -> Outcome {
        let node = |step: &Step| {
            if let Step::RestartNode { node, .. } = step { Some(node.to_string()) } else { None }
        };
        let uncertain = self
            .describe_uncertain_step(step.as_ref(), effect)
            .await
            .filter(|_| step.as_ref().and_then(node).is_none());
        // Each restart was verified before the next one, and the mounts before the first one.
        let (last, before) =
            self.done.split_last().map_or((None, &[][..]), |(last, before)| (Some(last), before));
        let remains = |done: &&Step| !matches!(done, Step::ReloadMount { .. } | Step::RestartNode { .. });
        let is_later = step.as_ref().is_some_and(|step| node(step).is_none() && Some(step) != last);
        let unverified = last.filter(|last| node(last).is_some() && !is_later);
        let mut left: Vec<String> = before
            .iter()
            .chain(last)
            .filter(remains)
            .chain(unverified)
            .filter_map(effect::describe_effect)
            .collect();
        left.extend(uncertain);
        let restarted: Vec<String> =
            self.done.iter().filter(|done| Some(*done) != unverified).filter_map(node).collect();
        let stale: Vec<String> = self.remaining.iter().filter_map(node).collect();
        if !restarted.is_empty() {
            left.push(format!(
                "the active node runs the configured versions; restarted with the same versions: {}. Nothing was moved back. The same \
                 command continues{}.",
                restarted.join(", "),
                self.rollback_hint()
            ));
        }
        if !stale.is_empty() {
            left.push(format!(
                "the active node runs the configured versions; still run the previous version: {}. The same command restarts them.",
                stale.join(", ")
            ));
        }
        left.extend(self.unrevoked_leases.iter().map(UnrevokedLease::hint));
        Outcome::ManualIntervention { done: self.done, step, error, remaining_effects: left }
    }

    /// The command that moves everything back, including standbys, if there is a single previous version.
    fn rollback_hint(&self) -> String {
        let Goal::Upgrade(upgrade) = self.goal else { return String::new() };
        let mut before = self.switched.iter().flat_map(VersionSwitch::mounts).map(|(_, from)| from);
        match before.next().and_then(|from| from.strip_prefix('v')) {
            Some(from) if !self.goal.is_rollback() => {
                format!(
                    "; `vault-token-plugin rollback {} --version {from}` moves everything back",
                    upgrade.name()
                )
            }
            Some(_) | None => String::new(),
        }
    }

    /// Standbys that run the version of an upgrade although its mounts were moved back: those of OpenBao keep running what they have started, and
    /// one may have been restarted by others. `None` if they do not report it within the timeout.
    async fn standbys_running(&mut self, upgrade: &UpgradeGoal) -> Option<Vec<NodeName>> {
        let version = upgrade.version().v_prefixed();
        let mut poll = Poll::new(FAILOVER_TIMEOUT);
        loop {
            self.nodes_are_fresh = false;
            let observed = self.observe_with_retry().await.ok()?;
            let mounts: Vec<Consumer> =
                observed.consumers_of(upgrade.kind(), upgrade.name()).map(|(path, _)| path).collect();
            let servers = observed.deployment.iter().flat_map(|deployment| &deployment.nodes);
            let servers = servers.filter_map(|(name, node)| Some((name, node.server.as_ref()?)));
            let standbys: Vec<(&NodeName, &NodeServer)> =
                servers.filter(|(_, vault)| vault.role == NodeRole::Standby && !vault.sealed).collect();
            // A server that has just started does not report its mounts yet.
            let is_silent =
                |vault: &NodeServer| mounts.iter().any(|path| !vault.running.contains_key(path.as_str()));
            if !standbys.iter().any(|(_, vault)| is_silent(vault)) {
                let runs_it = |vault: &NodeServer| {
                    mounts
                        .iter()
                        .filter_map(|path| vault.running.get(path.as_str()))
                        .any(|it| it.version == version)
                };
                let running = standbys.into_iter().filter(|(_, vault)| runs_it(vault));
                return Some(running.map(|(name, _)| name.clone()).collect());
            }
            if poll.timed_out() || self.lock_lost().is_some() {
                return None;
            }
            poll.pause().await;
        }
    }

    /// Why the version of an upgrade must stay installed after its mounts were moved back: a standby runs it.
    pub(super) async fn needed_by_standbys(&mut self) -> Option<String> {
        let Goal::Upgrade(upgrade) = self.goal else { return None };
        let is_openbao = |observed: &Observed| observed.server.product == Product::OpenBao;
        if !self.has_other_nodes() || !self.last_observed.as_ref().is_some_and(is_openbao) {
            return None;
        }
        let (name, version) = (upgrade.name(), upgrade.version());
        let which = match self.standbys_running(upgrade).await {
            Some(standbys) if standbys.is_empty() => return None,
            Some(standbys) => {
                let standbys: Vec<&str> = standbys.iter().map(NodeName::as_str).collect();
                format!("{} still {}", standbys.join(", "), if standbys.len() == 1 { "runs" } else { "run" })
            }
            None => "it is unknown whether standbys still run".to_owned(),
        };
        Some(format!(
            "{which} {name} {version}, so it stays installed. `vault-token-plugin reload {name}` restarts them, and then \
             `vault-token-plugin deregister {name} --version {version}` removes it."
        ))
    }
}
