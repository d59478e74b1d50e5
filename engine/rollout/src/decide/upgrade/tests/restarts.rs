//! Conditions for restarting the next standby, and for making another node active.

use vault_api::raft::{RaftServer, Suffrage};

use super::*;
use crate::observed::Raft;
use crate::observed::deployment::SealType;
use crate::progress::Progress;

#[test]
fn a_standby_is_restarted_only_while_every_other_node_serves() {
    let mut observed = old_fleet();
    observed.server.product = Product::OpenBao;
    let made = plan(&observed, &goal(without_canary())).expect("a plan");
    let first = made.steps.iter().position(|step| matches!(step, Step::RestartNode { .. })).expect("there");
    // Also in a new run that continues an interrupted one.
    for progress in [None, Some(Progress::default())] {
        let mut restarted = simulate(&observed, &made.steps[..=first]);
        restarted.progress = progress.unwrap_or(restarted.progress);
        let reload = reload(SealedRestart::Refuse);
        let restarting = |state: &Simulation| {
            let mut then = state.clone();
            then.progress.reloaded.insert(path("custom"));
            decide(&then, &reload)
        };
        assert_eq!(restarting(&restarted), Decision::Do(made.steps[first + 1].clone()));

        let assert_waits = |change: &dyn Fn(&mut NodeObserved)| {
            let mut absent = restarted.clone();
            change(node(&mut absent.observed, "vault-1"));
            match restarting(&absent) {
                Decision::Wait(WaitingOn::Node { node, .. }) => assert_eq!(node.as_str(), "vault-1"),
                other => panic!("{other:?}"),
            }
        };
        assert_waits(&|node| node.readiness = Readiness::NotReady { reason: "it is being deleted".into() });
        assert_waits(&|node| node.server.as_mut().expect("a server").sealed = true);
        assert_waits(&|node| node.server = None);
    }
}

/// A standby that reports nothing may run the old version, and only a planned restart can be done later.
#[test]
fn a_standby_that_does_not_say_what_it_runs_is_waited_for_before_anything_is_done_and_at_the_end() {
    let mut observed = old_fleet();
    observed.server.product = Product::OpenBao;
    let goal = goal(without_canary());
    let made = plan(&observed, &goal).expect("a plan");
    let mut at_the_end = simulate(&observed, &made.steps);
    // As if its restart had not been planned.
    at_the_end.progress.restarted.remove(&NodeName::new("vault-2"));
    assert_eq!(decide(&at_the_end, &goal), Decision::Done);
    for mut silent in [simulate(&observed, []), at_the_end] {
        node(&mut silent.observed, "vault-2").server.as_mut().expect("a server").running.clear();
        match decide(&silent, &goal) {
            Decision::Wait(on) => {
                assert_eq!(on.to_string(), "waiting for vault-2: it does not report what it runs");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The state after the restart of the first of two standbys, while the second runs the old version.
fn with_one_standby_restarted() -> Simulation {
    let mut observed = old_fleet();
    observed.server.product = Product::OpenBao;
    let made = plan(&observed, &goal(without_canary())).expect("a plan");
    let first = made.steps.iter().position(|step| matches!(step, Step::RestartNode { .. })).expect("there");
    simulate(&observed, &made.steps[..=first])
}

fn raft(servers: &[(&str, Suffrage, Option<bool>)]) -> Raft {
    let server = |(id, suffrage, healthy): &(&str, Suffrage, Option<bool>)| {
        ((*id).to_owned(), RaftServer { address: String::new(), suffrage: *suffrage, healthy: *healthy })
    };
    Raft::Servers(servers.iter().map(server).collect())
}

const HEALTHY_VOTER: (Suffrage, Option<bool>) = (Suffrage::Voter, Some(true));

#[test]
fn the_next_standby_is_restarted_once_the_one_before_is_a_voter_that_has_caught_up_and_runs_the_version() {
    let state = with_one_standby_restarted();
    let restart = Decision::Do(restart_step("vault-2"));
    let waits = |change: &dyn Fn(&mut Observed)| {
        let mut changed = state.clone();
        change(&mut changed.observed);
        match decide(&changed, &goal(without_canary())) {
            Decision::Wait(on) => on.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(decide(&state, &goal(without_canary())), restart);

    let with = |third: (Suffrage, Option<bool>)| {
        raft(&[
            ("a", HEALTHY_VOTER.0, HEALTHY_VOTER.1),
            ("b", HEALTHY_VOTER.0, HEALTHY_VOTER.1),
            ("c", third.0, third.1),
        ])
    };
    let on_raft = |raft: Raft| waits(&|observed| observed.raft = raft.clone());
    assert_eq!(
        on_raft(with((Suffrage::NonVoter, Some(true)))),
        "waiting for the raft server c: it has no vote yet"
    );
    assert_eq!(
        on_raft(with((Suffrage::Voter, Some(false)))),
        "waiting for the raft server c: autopilot reports that it is not healthy"
    );
    assert_eq!(
        on_raft(raft(&[("a", HEALTHY_VOTER.0, HEALTHY_VOTER.1), ("b", HEALTHY_VOTER.0, HEALTHY_VOTER.1)])),
        "waiting for every node to join raft: 2 of 3 have"
    );
    let index = |observed: &mut Observed, name: &str, index: u64| {
        node(observed, name).server.as_mut().expect("a server").applied_index = Some(index);
    };
    let behind = waits(&|observed| {
        // Also if the token has no permission to read the raft servers.
        observed.raft = Raft::NotShown;
        index(observed, "vault-0", 5000);
        index(observed, "vault-1", 3000);
    });
    assert_eq!(behind, "waiting for vault-1: it is 2000 raft entries behind the active node");
    let runs = |observed: &mut Observed, version: Option<&str>| {
        let running = &mut node(observed, "vault-1").server.as_mut().expect("a server").running;
        let previous = running.remove("custom/").expect("a running version");
        let other = version.map(|version| RunningVersion { version: version.into(), ..previous });
        running.extend(other.map(|other| ("custom/".to_owned(), other)));
    };
    assert_eq!(
        waits(&|observed| runs(observed, Some("v1.0.0"))),
        "waiting for vault-1: it runs \"v1.0.0\" at custom/, expected \"v1.2.3\""
    );
    assert_eq!(
        waits(&|observed| runs(observed, None)),
        "waiting for vault-1: it does not report yet what it runs at custom/"
    );

    let permanent = (Suffrage::PermanentNonVoter, Some(false));
    for (third, fourth) in
        [(HEALTHY_VOTER, None), ((Suffrage::Voter, None), None), (permanent, Some(HEALTHY_VOTER))]
    {
        let mut settled = state.clone();
        settled.observed.raft = with(third);
        if let (Raft::Servers(servers), Some(fourth)) = (&mut settled.observed.raft, fourth) {
            let (suffrage, healthy) = fourth;
            servers.insert("d".into(), RaftServer { address: String::new(), suffrage, healthy });
        }
        index(&mut settled.observed, "vault-0", 5000);
        index(&mut settled.observed, "vault-1", 4900);
        assert_eq!(decide(&settled, &goal(without_canary())), restart, "{third:?}");
    }
}

#[test]
fn a_run_ends_when_the_last_standby_is_back() {
    let mut state = simulate(&with_one_standby_restarted(), [&restart_step("vault-2")]);
    for goal in [goal(without_canary()), goal(rollback_to("1.2.3")), reload(SealedRestart::Refuse)] {
        state.progress.reloaded.insert(path("custom"));
        assert_eq!(decide(&state, &goal), Decision::Done);
        let mut away = state.clone();
        *node(&mut away.observed, "vault-2") = NodeObserved::not_ready("the pod is being deleted");
        assert!(matches!(decide(&away, &goal), Decision::Wait(WaitingOn::Node { .. })), "{goal:?}");
    }
}

#[test]
fn what_is_waited_for_between_restarts_does_not_keep_mounts_from_going_back() {
    let mut observed = simulate(&with_one_standby_restarted(), [&restart_step("vault-2")]).observed;
    *node(&mut observed, "vault-1") = NodeObserved::not_ready("unreachable");
    let steps: Vec<String> = plan(&observed, &goal(rollback_to("1.0.0")))
        .expect("a plan")
        .steps
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(steps[0], "move custom/ from v1.2.3 to v1.0.0");
    assert_eq!(steps.last().expect("a step"), "restart vault-2, which still runs the previous version");
}

#[test]
fn a_standby_that_people_unseal_is_restarted_only_with_consent() {
    let mut observed = with_one_standby_restarted().observed;
    node(&mut observed, "vault-2").server.as_mut().expect("a server").seal_type = SealType::Shamir;
    // Before the first change.
    let Decision::Refuse(refusal) = decide(&observed, &reload(SealedRestart::Refuse)) else {
        panic!("not refused");
    };
    assert_eq!(
        refusal.to_string(),
        "on vault-2: its server does not unseal itself (Shamir seal), so a restart leaves it sealed"
    );
    assert!(refusal.hint().contains("--allow-sealed-restart"));
    let mut unknown = simulate(&observed, []);
    unknown.progress.reloaded.insert(path("custom"));
    node(&mut unknown.observed, "vault-2").server.as_mut().expect("a server").seal_type = SealType::Unknown;
    assert!(matches!(
        decide(&unknown, &reload(SealedRestart::Refuse)),
        Decision::Wait(WaitingOn::Node { .. })
    ));
    let made = plan(&observed, &reload(SealedRestart::Allow)).expect("a plan");
    assert_eq!(made.steps.last(), Some(&restart_step("vault-2")));
}

/// [`reload`] with consent to a loss of quorum.
fn reload_without_quorum() -> Goal {
    match reload(SealedRestart::Refuse) {
        Goal::Reload(reload) => Goal::Reload(ReloadGoal {
            restart_consent: RestartConsent { quorum_loss: QuorumLoss::Allow, ..reload.restart_consent },
            ..reload
        }),
        other => other,
    }
}

#[test]
fn a_voter_is_restarted_only_while_the_others_are_a_majority_or_with_consent() {
    let observed = with_one_standby_restarted().observed;
    let decides = |raft: Raft, nodes: usize| {
        let mut observed = Observed { raft, ..observed.clone() };
        node(&mut observed, "vault-0").server.as_mut().expect("a server").applied_index = Some(7);
        if nodes == 2 {
            observed.deployment.as_mut().expect("a deployment").nodes.remove(&NodeName::new("vault-1"));
        }
        let allowed = plan(&observed, &reload_without_quorum()).expect("a plan");
        assert_eq!(allowed.steps.last(), Some(&restart_step("vault-2")));
        // Before the first change.
        match decide(&observed, &reload(SealedRestart::Refuse)) {
            Decision::Refuse(refusal) => {
                assert!(refusal.hint().contains("--allow-quorum-loss"));
                refusal.to_string()
            }
            Decision::Do(Step::ReloadMount { .. }) => String::new(),
            other => panic!("{other:?}"),
        }
    };
    let permanent = (Suffrage::PermanentNonVoter, Some(true));
    let servers = |third: (Suffrage, Option<bool>), id| {
        raft(&[
            ("a", HEALTHY_VOTER.0, HEALTHY_VOTER.1),
            ("b", HEALTHY_VOTER.0, HEALTHY_VOTER.1),
            (id, third.0, third.1),
        ])
    };
    let two = raft(&[("a", HEALTHY_VOTER.0, HEALTHY_VOTER.1), ("b", HEALTHY_VOTER.0, HEALTHY_VOTER.1)]);
    let refused =
        "on vault-2: it is one of 2 raft voters, so while it restarts there is no quorum, and writes fail";
    assert_eq!(decides(two.clone(), 2), refused);
    assert_eq!(decides(servers(permanent, "c"), 3), refused);
    // If the raft servers are hidden, every node counts as a voter.
    assert_eq!(decides(Raft::NotShown, 2), refused);

    // The third will become a voter, or will join.
    assert_eq!(decides(servers((Suffrage::NonVoter, Some(true)), "c"), 3), "");
    assert_eq!(decides(two, 3), "");
    assert_eq!(decides(servers(HEALTHY_VOTER, "c"), 3), "");
    // The node to restart is not a voter.
    assert_eq!(decides(servers(permanent, "vault-2"), 3), "");
    assert_eq!(decides(Raft::NotShown, 3), "");
}

#[test]
fn a_failover_is_rehearsed_when_every_node_has_a_vote() {
    let with_failover_test = UpgradeGoal { failover_test: FailoverTest::EveryNode, ..without_canary() };
    let made = plan(&old_fleet(), &goal(with_failover_test.clone())).expect("a plan");
    let first = made.steps.iter().position(|step| matches!(step, Step::StepDown { .. })).expect("there");
    let mut then = simulate(&old_fleet(), &made.steps[..first]);
    let servers = |third| {
        raft(&[
            ("a", HEALTHY_VOTER.0, HEALTHY_VOTER.1),
            ("b", HEALTHY_VOTER.0, HEALTHY_VOTER.1),
            ("c", third, Some(true)),
        ])
    };
    then.observed.raft = servers(Suffrage::NonVoter);
    let waiting = decide(&then, &goal(with_failover_test.clone()));
    assert!(matches!(waiting, Decision::Wait(WaitingOn::RaftServer { .. })), "{waiting:?}");
    then.observed.raft = servers(Suffrage::Voter);
    assert_eq!(decide(&then, &goal(with_failover_test)), Decision::Do(made.steps[first].clone()));
}

#[test]
fn a_token_that_may_not_see_the_servers_of_raft_is_said_where_it_matters() {
    let mut observed = with_one_standby_restarted().observed;
    observed.raft = Raft::NotShown;
    let made = plan(&observed, &reload(SealedRestart::Refuse)).expect("a plan");
    assert!(made.notices.contains(&Notice::RaftStateUnknown), "{:?}", made.notices);
    // The response in a namespace other than the root namespace.
    observed.raft = Raft::NotUsed;
    let notices =
        |observed: &Observed| plan(observed, &reload(SealedRestart::Refuse)).expect("a plan").notices;
    assert!(!notices(&observed).contains(&Notice::RaftStateUnknown));
    node(&mut observed, "vault-0").server.as_mut().expect("a server").applied_index = Some(7);
    assert!(notices(&observed).contains(&Notice::RaftStateUnknown));
    let nothing_to_restart = Observed { raft: Raft::NotShown, ..old_fleet() };
    let made = plan(&nothing_to_restart, &goal(without_canary())).expect("a plan");
    assert!(!made.notices.contains(&Notice::RaftStateUnknown));
}

/// Three nodes of OpenBao with `raft`, before a run.
fn untouched(raft: Raft) -> Observed {
    let mut observed = Observed { raft, ..old_fleet() };
    observed.server.product = Product::OpenBao;
    observed
}

fn three_servers(third: (Suffrage, Option<bool>)) -> Raft {
    raft(&[
        ("a", HEALTHY_VOTER.0, HEALTHY_VOTER.1),
        ("b", HEALTHY_VOTER.0, HEALTHY_VOTER.1),
        ("c", third.0, third.1),
    ])
}

#[test]
fn a_raft_server_that_would_stop_the_restarts_stops_an_upgrade_before_its_first_change() {
    let unhealthy = "waiting for the raft server c: autopilot reports that it is not healthy";
    for (third, text) in [
        ((Suffrage::Voter, Some(false)), unhealthy),
        ((Suffrage::NonVoter, Some(true)), "waiting for the raft server c: it has no vote yet"),
    ] {
        match decide(&untouched(three_servers(third)), &goal(without_canary())) {
            Decision::Wait(on) => assert_eq!(on.to_string(), text),
            other => panic!("{other:?}"),
        }
    }
    // It does not stop a run that has started, or one on Vault, whose standbys are not restarted.
    let mut started = simulate(&untouched(three_servers((Suffrage::Voter, Some(false)))), []);
    started.progress.steps = 1;
    assert!(matches!(decide(&started, &goal(without_canary())), Decision::Do(_)));
    let mut vault = untouched(three_servers((Suffrage::Voter, Some(false))));
    vault.server.product = Product::Vault;
    assert!(matches!(decide(&vault, &goal(without_canary())), Decision::Do(_)));
}

#[test]
fn a_rollback_says_before_its_first_change_what_will_stop_the_restarts_and_goes_on() {
    let mut observed = simulate(&with_one_standby_restarted(), [&restart_step("vault-2")]).observed;
    let rollback = goal(rollback_to("1.0.0"));
    let unsettled = |observed: &Observed| {
        let made = plan(observed, &rollback).expect("a plan");
        assert!(matches!(made.steps.first(), Some(Step::TuneMount { .. })), "{:?}", made.steps);
        let notices = made.notices.into_iter().filter(|notice| matches!(notice, Notice::Unsettled { .. }));
        notices.map(|notice| notice.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(unsettled(&observed), Vec::<String>::new());
    observed.raft = three_servers((Suffrage::Voter, Some(false)));
    assert!(unsettled(&observed)[0].contains("the raft server c: autopilot reports that it is not healthy"));
    // A node that could not be observed has a notice already.
    observed.raft = three_servers(HEALTHY_VOTER);
    *node(&mut observed, "vault-1") = NodeObserved::not_ready("unreachable");
    assert_eq!(unsettled(&observed), Vec::<String>::new());
}
