//! What a run waits for, and standbys that cannot be restarted now or do not come back.

use std::time::Duration;

use vault_api::health::Product;

use super::{Outcome, Run, StepEffect, effect};
use crate::decide::WaitingOn;
use crate::event::Event;
use crate::goal::{Goal, UpgradeGoal};
use crate::mount_path::MountPath;
use crate::observed::Observed;
use crate::observed::deployment::{NodeName, NodeRole, NodeServer};
use crate::poll::Poll;
use crate::smoke::revoke_hint;
use crate::step::Step;
use crate::timeouts::{FAILOVER_TIMEOUT, NODE_RETURN_TIMEOUT};
use crate::undo::VersionSwitch;

/// How long something is waited for.
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
    /// Whether a step that was refused by what passes by itself is tried again: for as long as one request may take. Everything is
    /// looked at before that, so what has become undue meanwhile is not done.
    pub(super) async fn pause_before_retry(&mut self, on: WaitingOn) -> bool {
        let poll = self.refusal.get_or_insert_with(|| {
            (self.listener)(&Event::Waiting { reason: on });
            Poll::new(self.environment.client.timeout())
        });
        if poll.timed_out() {
            return false;
        }
        poll.pause().await;
        true
    }

    /// Whether the active node is proven, and either a standby was restarted and runs the new version, or `step`, which failed or
    /// could not begin, is of a standby that goes on with the version before. An upgrade that has restarted none is undone.
    pub(super) fn is_restarting_standbys(&self, step: Option<&Step>) -> bool {
        let is_restart = |step: &Step| matches!(step, Step::RestartNode { .. });
        let undoes = matches!(self.goal, Goal::Upgrade(_)) && !self.goal.is_rollback();
        self.done.iter().any(is_restart) || (!undoes && !self.done.is_empty() && step.is_some_and(is_restart))
    }

    /// Ends a run that cannot restart a standby, whose standby does not come back, or that fails after that: this is no reason to
    /// disturb the active node, and an undo would not reach standbys, which go on with what they were restarted with.
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
        // The others were proven before the next one was restarted, as were the mounts before the first one.
        let (last, before) =
            self.done.split_last().map_or((None, &[][..]), |(last, before)| (Some(last), before));
        let stays = |done: &&Step| !matches!(done, Step::ReloadMount { .. } | Step::RestartNode { .. });
        let is_later = step.as_ref().is_some_and(|step| node(step).is_none() && Some(step) != last);
        let unproven = last.filter(|last| node(last).is_some() && !is_later);
        let mut left: Vec<String> = before
            .iter()
            .chain(last)
            .filter(stays)
            .chain(unproven)
            .filter_map(effect::describe_effect)
            .collect();
        left.extend(uncertain);
        let restarted: Vec<String> =
            self.done.iter().filter(|done| Some(*done) != unproven).filter_map(node).collect();
        let stale: Vec<String> = self.remaining.iter().filter_map(node).collect();
        if !restarted.is_empty() {
            left.push(format!(
                "the active node runs what its mounts are configured to run; restarted, and running the same: {}. Nothing was moved back. \
                 The same command goes on{}.",
                restarted.join(", "),
                self.rollback_hint()
            ));
        }
        if !stale.is_empty() {
            left.push(format!(
                "the active node runs what its mounts are configured to run; still run the version before: {}. The same command restarts \
                 them.",
                stale.join(", ")
            ));
        }
        left.extend(self.unrevoked_leases.iter().map(|lease| revoke_hint(lease)));
        Outcome::ManualIntervention { done: self.done, step, error, remaining_effects: left }
    }

    /// The command that moves everything back, standbys included, where there is one version to go back to.
    fn rollback_hint(&self) -> String {
        let Goal::Upgrade(upgrade) = self.goal else { return String::new() };
        let mut before = self.switched.iter().flat_map(VersionSwitch::mounts).map(|(_, from)| from);
        match before.next().and_then(|from| from.strip_prefix('v')) {
            Some(from) if !self.goal.is_rollback() => {
                format!("; `vault-token-plugin rollback {} --to {from}` goes back", upgrade.name())
            }
            Some(_) | None => String::new(),
        }
    }

    /// Standbys that go on with the version of an upgrade though its mounts were moved back: those of OpenBao run what they have
    /// started, and one may have been restarted by others. `None` where that cannot be seen, also after a while.
    async fn standbys_running(&mut self, upgrade: &UpgradeGoal) -> Option<Vec<NodeName>> {
        let version = upgrade.version().v_prefixed();
        let mut poll = Poll::new(FAILOVER_TIMEOUT);
        loop {
            self.nodes_are_fresh = false;
            let seen = self.observe_with_retry().await.ok()?;
            let mounts: Vec<MountPath> =
                seen.mounts_of(upgrade.kind(), upgrade.name()).map(|(path, _)| path).collect();
            let servers = seen.deployment.iter().flat_map(|site| &site.nodes);
            let servers = servers.filter_map(|(name, node)| Some((name, node.server.as_ref()?)));
            let standbys: Vec<(&NodeName, &NodeServer)> =
                servers.filter(|(_, vault)| vault.role == NodeRole::Standby && !vault.sealed).collect();
            // One that has just started does not answer yet.
            let is_silent =
                |vault: &NodeServer| mounts.iter().any(|path| !vault.running.contains_key(path.as_str()));
            if !standbys.iter().any(|(_, vault)| is_silent(vault)) {
                let runs_it = |vault: &NodeServer| {
                    mounts
                        .iter()
                        .filter_map(|path| vault.running.get(path.as_str()))
                        .any(|it| it.version == version)
                };
                let with_it = standbys.into_iter().filter(|(_, vault)| runs_it(vault));
                return Some(with_it.map(|(name, _)| name.clone()).collect());
            }
            if poll.timed_out() || self.lock_lost().is_some() {
                return None;
            }
            poll.pause().await;
        }
    }

    /// What keeps the version of an upgrade registered and in place after its mounts were moved back: a standby that runs it.
    pub(super) async fn needed_by_standbys(&mut self) -> Option<String> {
        let Goal::Upgrade(upgrade) = self.goal else { return None };
        let is_openbao = |seen: &Observed| seen.server.product == Product::OpenBao;
        if !self.has_other_nodes() || !self.last_observed.as_ref().is_some_and(is_openbao) {
            return None;
        }
        let (name, version) = (upgrade.name(), upgrade.version());
        let which = match self.standbys_running(upgrade).await {
            Some(standbys) if standbys.is_empty() => return None,
            Some(standbys) => {
                let standbys: Vec<&str> = standbys.iter().map(NodeName::as_str).collect();
                format!("{} still run", standbys.join(", "))
            }
            None => "it is not known whether standbys still run".to_owned(),
        };
        Some(format!(
            "{which} {name} {version}, so it stays registered and in place. `vault-token-plugin reload --plugin {name}` restarts them, \
             and then `vault-token-plugin deregister {name} --version {version}` removes it."
        ))
    }
}
