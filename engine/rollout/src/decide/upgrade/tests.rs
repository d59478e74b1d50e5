use vault_api::catalog::PluginType;
use vault_api::health::Product;
use vault_api::pins::Pin;
use vault_api::raft::{RaftServer, Suffrage};

use super::super::samples::{SHA, holder, old_fleet, register, server_with, upgrade};
use super::*;
use crate::decide::{Decision, Notice, WaitingOn, decide, plan};
use crate::goal::{Goal, Rehearsal, Reload, ReloadTarget, SealedRestart, Survival, Trial};
use crate::observed::site::{
    Keeping, NodeName, NodeObserved, Presence, Restarts, Role, RunningVersion, Seal,
};
use crate::observed::{Pins, Raft, ThisRun};

fn goal(upgrade: Upgrade) -> Goal {
    Goal::Upgrade(Box::new(upgrade))
}

fn shown(observed: &Observed, upgrade: Upgrade) -> Vec<String> {
    plan(observed, &goal(upgrade)).expect("a plan").steps.iter().map(ToString::to_string).collect()
}

fn refused(observed: &Observed, upgrade: Upgrade) -> Refusal {
    match decide(observed, &goal(upgrade)) {
        Decision::Refuse(refusal) => refusal,
        other => panic!("not refused but {other:?}"),
    }
}

fn pinned(observed: &mut Observed, version: &str) {
    let pin = Pin { kind: PluginType::Secret, name: "custom".into(), version: version.into() };
    observed.pins = Pins::Set(vec![pin]);
}

fn path(text: &str) -> MountPath {
    text.parse().expect("a path")
}

fn node<'a>(observed: &'a mut Observed, name: &str) -> &'a mut NodeObserved {
    let site = observed.site.as_mut().expect("a site");
    site.nodes.get_mut(&NodeName::new(name)).expect("a node")
}

fn without_canary() -> Upgrade {
    Upgrade { canary: Canary::Skip, ..upgrade() }
}

#[test]
fn every_step_in_its_order() {
    let trials = vec![Trial { mount: path("custom"), below: "creds/dev".into() }];
    let rehearsal = Rehearsal::EveryNode;
    let canary = Canary::Mount {
        writes: register().mounts.remove(0).writes,
        live: Some(path("custom")),
        read: Some("creds/dev".into()),
    };
    assert_eq!(
        shown(&old_fleet(), Upgrade { trials, rehearsal, canary, ..upgrade() }),
        [
            "place custom-1.2.3 in /vault/plugins on vault-0, vault-1, vault-2",
            "register secret plugin custom v1.2.3",
            "mount custom v1.2.3 for a trial at vault-token-plugin-canary/custom-1.2.3/",
            "prove vault-token-plugin-canary/custom-1.2.3/, copy config of custom/ to it and try creds/dev",
            "remove vault-token-plugin-canary/custom-1.2.3/",
            "move custom/ from v1.0.0 to v1.2.3",
            "move team/ from v1.0.0 to v1.2.3",
            "reload custom/",
            "reload team/",
            "try custom/creds/dev",
            "hand over to another node (1 of 3)",
            "hand over to another node (2 of 3)",
            "hand over to another node (3 of 3)",
        ]
    );
}

#[test]
fn a_pin_is_moved_and_its_canary_has_a_name_of_its_own() {
    let mut observed = old_fleet();
    pinned(&mut observed, "v1.0.0");
    assert_eq!(
        shown(&observed, upgrade())[1..],
        [
            "register secret plugin custom v1.2.3",
            "register secret plugin custom-canary v1.2.3",
            "mount custom-canary v1.2.3 for a trial at vault-token-plugin-canary/custom-1.2.3/",
            "prove vault-token-plugin-canary/custom-1.2.3/",
            "remove vault-token-plugin-canary/custom-1.2.3/",
            "deregister secret plugin custom-canary v1.2.3",
            "pin custom to v1.2.3 instead of v1.0.0",
            "reload custom/",
            "reload team/",
        ]
    );
    let part = Upgrade { only: vec![path("custom")], ..upgrade() };
    assert!(matches!(refused(&observed, part), Refusal::PinMovesAll { .. }));
}

#[test]
fn under_a_pin_that_a_killed_run_has_moved_the_canary_is_given_no_version() {
    let mut observed = server_with("1.2.3", SHA);
    let mount = observed.mounts.get_mut("custom/").expect("a mount");
    (mount.configured_version, mount.running_version) = ("v1.0.0".into(), "v1.0.0".into());
    pinned(&mut observed, "v1.2.3");
    let steps = plan(&observed, &goal(upgrade())).expect("a plan").steps;
    assert!(matches!(steps[0], Step::MountCanary { version_from: VersionFrom::Pin, .. }), "{steps:?}");
    assert_eq!(half_switched(&observed, &upgrade()), [(path("custom"), "v1.0.0".to_owned())]);
}

#[test]
fn what_runs_already_is_nothing_to_do() {
    let observed = server_with("1.2.3", SHA);
    assert_eq!(decide(&observed, &goal(upgrade())), Decision::Done);
}

#[test]
fn two_versions_of_a_plugin_come_together_or_only_some_are_moved() {
    let mut observed = old_fleet();
    let team = observed.mounts.get_mut("team/").expect("a mount");
    (team.configured_version, team.running_version) = ("v1.1.0".into(), "v1.1.0".into());
    let steps = shown(&observed, without_canary());
    assert_eq!(steps[2..4], ["move custom/ from v1.0.0 to v1.2.3", "move team/ from v1.1.0 to v1.2.3"]);
    let part = Upgrade { only: vec![path("team")], ..without_canary() };
    assert_eq!(shown(&observed, part)[2..], ["move team/ from v1.1.0 to v1.2.3", "reload team/"]);
}

#[test]
fn a_canary_that_a_killed_run_has_left_is_removed_first() {
    let mut observed = old_fleet();
    let stray = MountObserved { plugin: "custom".into(), ..MountObserved::default() };
    observed.mounts.insert("vault-token-plugin-canary/custom-1.1.0/".into(), stray.clone());
    assert_eq!(shown(&observed, upgrade())[0], "remove vault-token-plugin-canary/custom-1.1.0/");
    // Also where nothing else is to be done.
    let mut observed = server_with("1.2.3", SHA);
    observed.mounts.insert("vault-token-plugin-canary/custom-1.2.3/".into(), stray);
    assert_eq!(shown(&observed, upgrade()), ["remove vault-token-plugin-canary/custom-1.2.3/"]);
}

#[test]
fn a_mount_that_was_moved_and_not_reloaded_is_known_with_what_it_runs() {
    let mut observed = old_fleet();
    observed.mounts.get_mut("team/").expect("a mount").configured_version = "v1.2.3".into();
    assert_eq!(half_switched(&observed, &upgrade()), [(path("team"), "v1.0.0".to_owned())]);
    let steps = shown(&observed, without_canary());
    assert_eq!(steps[2..], ["move custom/ from v1.0.0 to v1.2.3", "reload custom/", "reload team/"]);
}

#[test]
fn a_canary_or_a_mount_that_runs_something_else_is_refused() {
    let (goal, mut then) = (goal(upgrade()), old_fleet());
    let mut lies = 0;
    for step in plan(&then, &goal).expect("a plan").steps {
        then = then.after(&step);
        let path = match &step {
            Step::MountCanary { path, .. } => path,
            Step::ReloadMount { path } => path,
            _ => continue,
        };
        let mut lying = then.clone();
        lying.mounts.get_mut(path.as_str()).expect("a mount").running_sha256 = "cc".into();
        let decision = decide(&lying, &goal);
        assert!(matches!(decision, Decision::Refuse(Refusal::RunsSomethingElse { .. })), "{decision:?}");
        lies += 1;
    }
    assert_eq!(lies, 3);
}

#[test]
fn a_version_that_no_process_executes_is_not_proven() {
    let (goal, mut then) = (goal(without_canary()), old_fleet());
    for step in plan(&then, &goal).expect("a plan").steps {
        then = then.after(&step);
    }
    assert_eq!(decide(&then, &goal), Decision::Done);
    for node in then.site.as_mut().expect("a site").nodes.values_mut() {
        node.processes.retain(|process| process.file == "custom-1.0.0");
    }
    assert!(matches!(decide(&then, &goal), Decision::Refuse(Refusal::NotProven { .. })));
}

#[test]
fn standbys_that_serve_reads_are_started_anew_one_after_the_other() {
    let mut observed = old_fleet();
    observed.server.product = Product::OpenBao;
    let steps = shown(&observed, without_canary());
    assert_eq!(
        steps[4..],
        [
            "reload custom/",
            "reload team/",
            "restart vault-1, which still runs the version before",
            "restart vault-2, which still runs the version before",
        ]
    );
}

#[test]
fn a_standby_is_restarted_only_while_every_other_node_serves() {
    let mut observed = old_fleet();
    observed.server.product = Product::OpenBao;
    let made = plan(&observed, &goal(without_canary())).expect("a plan");
    let first = made.steps.iter().position(|step| matches!(step, Step::RestartNode { .. })).expect("there");
    // Also for whoever continues what was interrupted.
    for this_run in [None, Some(ThisRun::default())] {
        let mut restarted = made.steps[..=first].iter().fold(observed.clone(), |then, step| then.after(step));
        restarted.this_run = this_run.unwrap_or(restarted.this_run);
        let reload = reload(SealedRestart::Refuse);
        let restarting = |observed: &Observed| {
            let mut then = observed.clone();
            then.this_run.reloaded.insert(path("custom"));
            decide(&then, &reload)
        };
        assert_eq!(restarting(&restarted), Decision::Do(made.steps[first + 1].clone()));

        let waits_for = |change: &dyn Fn(&mut NodeObserved)| {
            let mut absent = restarted.clone();
            change(node(&mut absent, "vault-1"));
            match restarting(&absent) {
                Decision::Wait(WaitingOn::Node { node, .. }) => assert_eq!(node.as_str(), "vault-1"),
                other => panic!("{other:?}"),
            }
        };
        waits_for(&|node| node.presence = Presence::NotReady { why: "it is being deleted".into() });
        waits_for(&|node| node.vault.as_mut().expect("a server").sealed = true);
        waits_for(&|node| node.vault = None);
    }
}

fn reload(sealed_restart: SealedRestart) -> Goal {
    Goal::Reload(Reload { target: ReloadTarget::Mounts(vec![path("custom")]), sealed_restart })
}

/// After the first of two standbys was restarted, while the second is stale.
fn with_one_restarted() -> Observed {
    let mut observed = old_fleet();
    observed.server.product = Product::OpenBao;
    let made = plan(&observed, &goal(without_canary())).expect("a plan");
    let first = made.steps.iter().position(|step| matches!(step, Step::RestartNode { .. })).expect("there");
    made.steps[..=first].iter().fold(observed, |then, step| then.after(step))
}

fn raft(servers: &[(&str, Suffrage, Option<bool>)]) -> Raft {
    let server = |(id, suffrage, healthy): &(&str, Suffrage, Option<bool>)| {
        ((*id).to_owned(), RaftServer { suffrage: *suffrage, healthy: *healthy })
    };
    Raft::Servers(servers.iter().map(server).collect())
}

const VOTES: (Suffrage, Option<bool>) = (Suffrage::Voter, Some(true));

#[test]
fn the_next_standby_is_restarted_once_the_one_before_is_a_voter_that_has_caught_up_and_runs_the_version() {
    let observed = with_one_restarted();
    let restart = Decision::Do(Step::RestartNode { node: NodeName::new("vault-2") });
    let waits = |change: &dyn Fn(&mut Observed)| {
        let mut changed = observed.clone();
        change(&mut changed);
        match decide(&changed, &goal(without_canary())) {
            Decision::Wait(on) => on.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(decide(&observed, &goal(without_canary())), restart);

    let with = |third: (Suffrage, Option<bool>)| {
        raft(&[("a", VOTES.0, VOTES.1), ("b", VOTES.0, VOTES.1), ("c", third.0, third.1)])
    };
    let on_raft = |raft: Raft| waits(&|observed| observed.raft = raft.clone());
    assert_eq!(
        on_raft(with((Suffrage::NonVoter, Some(true)))),
        "waiting for the raft server c: it has no vote yet"
    );
    assert_eq!(
        on_raft(with((Suffrage::Voter, Some(false)))),
        "waiting for the raft server c: autopilot says that it is not healthy"
    );
    assert_eq!(
        on_raft(raft(&[("a", VOTES.0, VOTES.1), ("b", VOTES.0, VOTES.1)])),
        "waiting for every node to join raft: 2 of 3 have"
    );
    let index = |observed: &mut Observed, name: &str, index: u64| {
        node(observed, name).vault.as_mut().expect("a server").applied_index = Some(index);
    };
    let behind = waits(&|observed| {
        // Also where the token may not see the servers.
        observed.raft = Raft::NotShown;
        index(observed, "vault-0", 5000);
        index(observed, "vault-1", 3000);
    });
    assert_eq!(behind, "waiting for vault-1: it is 2000 raft entries behind the active node");
    let runs = |observed: &mut Observed, version: Option<&str>| {
        let running = &mut node(observed, "vault-1").vault.as_mut().expect("a server").running;
        let there = running.remove("custom/").expect("it runs there");
        let other = version.map(|version| RunningVersion { version: version.into(), ..there });
        running.extend(other.map(|other| ("custom/".to_owned(), other)));
    };
    assert_eq!(
        waits(&|observed| runs(observed, Some("v1.0.0"))),
        "waiting for vault-1: it runs \"v1.0.0\" at custom/ and not \"v1.2.3\""
    );
    assert_eq!(
        waits(&|observed| runs(observed, None)),
        "waiting for vault-1: it does not say yet what it runs at custom/"
    );

    for third in [VOTES, (Suffrage::Voter, None), (Suffrage::PermanentNonVoter, Some(false))] {
        let mut settled = observed.clone();
        settled.raft = with(third);
        index(&mut settled, "vault-0", 5000);
        index(&mut settled, "vault-1", 4900);
        assert_eq!(decide(&settled, &goal(without_canary())), restart, "{third:?}");
    }
}

#[test]
fn a_run_ends_when_the_last_standby_is_back() {
    let mut observed = with_one_restarted();
    observed = observed.after(&Step::RestartNode { node: NodeName::new("vault-2") });
    for goal in [goal(without_canary()), goal(back_to("1.2.3")), reload(SealedRestart::Refuse)] {
        observed.this_run.reloaded.insert(path("custom"));
        assert_eq!(decide(&observed, &goal), Decision::Done);
        let mut away = observed.clone();
        *node(&mut away, "vault-2") = NodeObserved::not_ready("the pod is being deleted");
        assert!(matches!(decide(&away, &goal), Decision::Wait(WaitingOn::Node { .. })), "{goal:?}");
    }
}

#[test]
fn what_is_waited_for_between_restarts_does_not_keep_mounts_from_going_back() {
    let mut observed = with_one_restarted().after(&Step::RestartNode { node: NodeName::new("vault-2") });
    observed.this_run = ThisRun::default();
    *node(&mut observed, "vault-1") = NodeObserved::not_ready("unreachable");
    let steps: Vec<String> = plan(&observed, &goal(back_to("1.0.0")))
        .expect("a plan")
        .steps
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(steps[0], "move custom/ from v1.2.3 to v1.0.0");
    assert_eq!(steps.last().expect("a step"), "restart vault-2, which still runs the version before");
}

#[test]
fn a_standby_that_people_unseal_is_restarted_only_with_consent() {
    let mut observed = with_one_restarted();
    observed.this_run = ThisRun::default();
    node(&mut observed, "vault-2").vault.as_mut().expect("a server").seal = Seal::Shamir;
    // Before anything has changed.
    let Decision::Refuse(refusal) = decide(&observed, &reload(SealedRestart::Refuse)) else {
        panic!("not refused");
    };
    assert_eq!(
        refusal.to_string(),
        "on vault-2: its server does not unseal itself (Shamir seal), so a restart leaves it sealed"
    );
    assert!(refusal.cure().contains("--allow-sealed-restart"));
    let made = plan(&observed, &reload(SealedRestart::Allow)).expect("a plan");
    assert_eq!(made.steps.last(), Some(&Step::RestartNode { node: NodeName::new("vault-2") }));
}

#[test]
fn a_failover_is_rehearsed_when_every_node_has_a_vote() {
    let rehearsing = Upgrade { rehearsal: Rehearsal::EveryNode, ..without_canary() };
    let made = plan(&old_fleet(), &goal(rehearsing.clone())).expect("a plan");
    let first = made.steps.iter().position(|step| matches!(step, Step::HandOver { .. })).expect("there");
    let mut then = made.steps[..first].iter().fold(old_fleet(), |then, step| then.after(step));
    let servers = |third| raft(&[("a", VOTES.0, VOTES.1), ("b", VOTES.0, VOTES.1), ("c", third, Some(true))]);
    then.raft = servers(Suffrage::NonVoter);
    let waiting = decide(&then, &goal(rehearsing.clone()));
    assert!(matches!(waiting, Decision::Wait(WaitingOn::RaftServer { .. })), "{waiting:?}");
    then.raft = servers(Suffrage::Voter);
    assert_eq!(decide(&then, &goal(rehearsing)), Decision::Do(made.steps[first].clone()));
}

#[test]
fn a_token_that_may_not_see_the_servers_of_raft_is_said_where_it_matters() {
    let mut observed = with_one_restarted();
    observed.this_run = ThisRun::default();
    observed.raft = Raft::NotShown;
    let made = plan(&observed, &reload(SealedRestart::Refuse)).expect("a plan");
    assert!(made.notices.contains(&Notice::RaftNotShown), "{:?}", made.notices);
    // As a namespace answers that is not the root.
    observed.raft = Raft::NotUsed;
    let notices =
        |observed: &Observed| plan(observed, &reload(SealedRestart::Refuse)).expect("a plan").notices;
    assert!(!notices(&observed).contains(&Notice::RaftNotShown));
    node(&mut observed, "vault-0").vault.as_mut().expect("a server").applied_index = Some(7);
    assert!(notices(&observed).contains(&Notice::RaftNotShown));
    let nothing_to_restart = Observed { raft: Raft::NotShown, ..old_fleet() };
    let made = plan(&nothing_to_restart, &goal(without_canary())).expect("a plan");
    assert!(!made.notices.contains(&Notice::RaftNotShown));
}

#[test]
fn a_reload_starts_standbys_anew_that_went_on_with_another_version() {
    let mut observed = old_fleet();
    observed.server.product = Product::OpenBao;
    let made = plan(&observed, &goal(without_canary())).expect("a plan");
    // As somebody leaves it who stops after the reload.
    let mut by_hand = made.steps[..5].iter().fold(observed, |then, step| then.after(step));
    by_hand.this_run = ThisRun::default();
    let reload = reload(SealedRestart::Refuse);
    let steps: Vec<String> =
        plan(&by_hand, &reload).expect("a plan").steps.iter().map(ToString::to_string).collect();
    assert_eq!(
        steps,
        [
            "reload custom/",
            "restart vault-1, which still runs the version before",
            "restart vault-2, which still runs the version before",
        ]
    );
}

#[test]
fn what_a_restart_would_lose_is_refused_until_somebody_says_otherwise() {
    let kept = |keeping: Keeping, restarts: Restarts, survival: Survival| {
        let mut observed = old_fleet();
        let site = observed.site.as_mut().expect("a site");
        (site.keeping, site.restarts) = (keeping, restarts);
        decide(&observed, &goal(Upgrade { survival, ..without_canary() }))
    };
    let nothing = || Keeping::Nothing { what: "emptyDir plugins".into() };
    let brings = |files: &[&str]| Keeping::InitContainer {
        name: "plugins".into(),
        image: "plugins:1".into(),
        brings: Some(files.iter().map(|&file| file.to_owned()).collect()),
    };
    let image = || Survival::Image("plugins:2".into());
    let is_refused = |decision: &Decision| matches!(decision, Decision::Refuse(Refusal::NotKept { .. }));
    assert!(is_refused(&kept(nothing(), Restarts::ByHand, Survival::Needed)));
    assert!(is_refused(&kept(nothing(), Restarts::ByHand, image())));
    assert!(is_refused(&kept(brings(&["custom-1.0.0"]), Restarts::ByHand, Survival::Needed)));
    for decision in [
        kept(nothing(), Restarts::ByHand, Survival::NotNeeded),
        kept(brings(&["custom-1.2.3"]), Restarts::Rolling, Survival::Needed),
        kept(brings(&["custom-1.0.0"]), Restarts::ByHand, image()),
    ] {
        assert!(matches!(decision, Decision::Do(Step::PlaceBinary { .. })), "{decision:?}");
    }
    let rolling = kept(brings(&[]), Restarts::Rolling, image());
    assert!(matches!(rolling, Decision::Refuse(Refusal::WouldRestart { .. })));

    let mut observed = old_fleet();
    observed.site.as_mut().expect("a site").keeping = brings(&[]);
    let steps = shown(&observed, Upgrade { survival: image(), ..without_canary() });
    assert_eq!(steps.last().expect("a step"), "take plugins:2 as image of init container plugins");
}

#[test]
fn a_node_that_goes_away_amid_a_run_is_waited_for() {
    let mut observed = old_fleet();
    *node(&mut observed, "vault-2") = NodeObserved::not_ready("pending");
    assert_eq!(refused(&observed, upgrade()).to_string(), "on vault-2: the node is not ready: pending");
    observed.this_run.steps = 1;
    let waiting = decide(&observed, &goal(upgrade()));
    assert!(matches!(waiting, Decision::Wait(WaitingOn::Node { .. })), "{waiting:?}");
}

/// Each row: what is refused, and what makes it so.
#[test]
fn refusals_name_what_is_wrong() {
    type Change = fn(&mut Observed, &mut Upgrade);
    let rows: &[(&str, Change)] = &[
        ("no mount runs the secret plugin custom", |o, _| o.mounts.clear()),
        ("nothing is mounted at other/", |_, u| u.only = vec![path("other")]),
        ("kv/ is taken by kv", |o, u| {
            let kv = MountObserved { plugin: "kv".into(), ..MountObserved::default() };
            o.mounts.insert("kv/".into(), kv);
            u.only = vec![path("kv")];
        }),
        ("team/ is at v2.0.0, which is newer than 1.2.3", |o, _| {
            o.mounts.get_mut("team/").expect("a mount").running_version = "v2.0.0".into();
        }),
        ("clients of custom would fail with this version: read creds: removed", |_, u| {
            u.breaks = vec!["read creds: removed".into()];
        }),
        ("on vault-1: its server is sealed", |o, _| {
            node(o, "vault-1").vault.as_mut().expect("a server").sealed = true;
        }),
        ("somebody is changing plugins here", |o, _| {
            o.site.as_mut().expect("a site").holder = Some(holder("somebody"));
        }),
        ("on vault-2: /vault/plugins/custom-1.2.3 exists with another content", |o, _| {
            node(o, "vault-2").files[0].name = "custom-1.2.3".into();
        }),
        ("on vault-0: /vault/plugins has 10 bytes free", |o, _| node(o, "vault-0").free_bytes = Some(10)),
    ];
    for (words, change) in rows {
        let (mut observed, mut upgrade) = (old_fleet(), upgrade());
        change(&mut observed, &mut upgrade);
        let refusal = refused(&observed, upgrade);
        assert!(refusal.to_string().contains(words), "{words}: {refusal}");
        assert!(refusal.cure().len() > 10, "{words}");
    }
}

#[test]
fn what_a_failover_starts_before_the_reload_is_tried_as_well() {
    let trial = |mount| Trial { mount: path(mount), below: "creds/dev".into() };
    let goal = goal(Upgrade { trials: vec![trial("custom"), trial("team")], ..without_canary() });
    for is_pinned in [false, true] {
        let mut observed = old_fleet();
        if is_pinned {
            pinned(&mut observed, "v1.0.0");
        }
        let moves = |step: &Step| matches!(step, Step::TuneMount { .. } | Step::SetPin { .. });
        let steps = plan(&observed, &goal).expect("a plan").steps;
        let moved = steps.iter().rposition(moves).expect("it moves mounts");
        observed = steps[..=moved].iter().fold(observed, |observed, step| observed.after(step));
        for mount in observed.mounts.values_mut() {
            mount.running_version = "v1.2.3".into();
            mount.running_sha256 = SHA.into();
        }
        let left: Vec<String> =
            plan(&observed, &goal).expect("a plan").steps.iter().map(ToString::to_string).collect();
        // Then the standbys, which serve reads of their own.
        assert_eq!(left[..2], ["try custom/creds/dev", "try team/creds/dev"]);

        // What somebody removes meanwhile needs no trial.
        observed.mounts.remove("custom/");
        let Decision::Do(next) = decide(&observed, &goal) else { panic!("it ended without a trial") };
        assert_eq!(next.to_string(), "try team/creds/dev");
    }
}

#[test]
fn another_node_takes_over_from_one_that_is_sealed() {
    let mut observed = old_fleet();
    observed.server.sealed = true;
    node(&mut observed, "vault-0").vault.as_mut().expect("a server").sealed = true;
    assert_eq!(decide(&observed, &goal(upgrade())), Decision::Wait(WaitingOn::ActiveNode));

    for name in ["vault-1", "vault-2"] {
        node(&mut observed, name).vault.as_mut().expect("a server").sealed = true;
    }
    assert!(matches!(refused(&observed, upgrade()), Refusal::Sealed { .. }));
}

fn back() -> Upgrade {
    back_to("1.0.0")
}

fn back_to(version: &str) -> Upgrade {
    let target = Target::Registered {
        kind: PluginType::Secret,
        name: "custom".into(),
        version: version.parse().expect("a version"),
    };
    Upgrade { target, downgrade: Downgrade::Allow, ..without_canary() }
}

#[test]
fn a_rollback_goes_to_the_newest_version_before_that_is_in_place_everywhere() {
    let before = |observed: &Observed| version_before(observed, PluginType::Secret, "custom");
    let mut observed = plan(&old_fleet(), &goal(upgrade()))
        .expect("a plan")
        .steps
        .iter()
        .fold(old_fleet(), |then, step| then.after(step));
    observed.this_run = ThisRun::default();
    assert_eq!(before(&observed).expect("a version").to_string(), "1.0.0");
    assert_eq!(
        shown(&observed, back()),
        [
            "move custom/ from v1.2.3 to v1.0.0",
            "move team/ from v1.2.3 to v1.0.0",
            "reload custom/",
            "reload team/",
        ]
    );
    // A node that is down at that hour does not stand in the way, and is said.
    let mut broken = observed.clone();
    *node(&mut broken, "vault-2") = NodeObserved::not_ready("unreachable");
    let made = plan(&broken, &goal(back())).expect("a plan");
    assert_eq!(made.notices, [Notice::NotSeen { node: NodeName::new("vault-2"), why: "unreachable".into() }]);
    assert_eq!(node(&mut broken, "vault-2").presence, Presence::NotReady { why: "unreachable".into() });

    node(&mut observed, "vault-1").files.retain(|file| file.name != "custom-1.0.0");
    assert!(matches!(before(&observed), Err(Refusal::NoVersionBefore { .. })));
    assert!(matches!(refused(&observed, back()), Refusal::NotInPlace { .. }));
    observed.catalog.retain(|entry| entry.version != "v1.0.0");
    assert!(matches!(refused(&observed, back()), Refusal::NotRegistered { .. }));
}

#[test]
fn every_node_says_what_it_runs_after_a_restart() {
    let mut observed = old_fleet();
    observed.server.product = Product::OpenBao;
    let made = plan(&observed, &goal(without_canary())).expect("a plan");
    let mut then = made.steps.iter().fold(observed, |then, step| then.after(step));
    for name in ["vault-0", "vault-1", "vault-2"] {
        let vault = node(&mut then, name).vault.as_ref().expect("a server");
        let wanted = RunningVersion { version: "v1.2.3".into(), sha256: SHA.into() };
        assert_eq!(vault.running["custom/"], wanted, "{name}");
        assert_eq!(vault.role == Role::Active, name == "vault-0");
    }
}
