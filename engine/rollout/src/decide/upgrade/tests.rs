use vault_api::catalog::PluginType;
use vault_api::health::Product;
use vault_api::pins::Pin;

use super::super::samples::{
    SHA, Simulation, State, decide, lock_holder, old_fleet, plan, register, restart_step, server_with,
    simulate, upgrade,
};
use super::*;
use crate::decide::{Decision, Notice, WaitingOn, unreloaded_mounts};
use crate::goal::{
    Durability, FailoverTest, Goal, OtherNodesPolicy, QuorumLoss, ReloadGoal, ReloadTarget, RestartConsent,
    SealedRestart, SmokeTest,
};
use crate::observed::deployment::{
    NodeName, NodeObserved, NodeRole, PluginStorage, PodUpdateStrategy, Readiness, RunningVersion,
};
use crate::observed::{CatalogEntry, Pins};

mod restarts;
mod restarts_from_image;

fn goal(upgrade: UpgradeGoal) -> Goal {
    Goal::Upgrade(Box::new(upgrade))
}

fn step_texts(state: &impl State, upgrade: UpgradeGoal) -> Vec<String> {
    plan(state, &goal(upgrade)).expect("a plan").steps.iter().map(ToString::to_string).collect()
}

fn refusal_of(state: &impl State, upgrade: UpgradeGoal) -> Refusal {
    match decide(state, &goal(upgrade)) {
        Decision::Refuse(refusal) => refusal,
        other => panic!("not refused but {other:?}"),
    }
}

fn set_pin(observed: &mut Observed, version: &str) {
    let pin = Pin { kind: PluginType::Secret, name: "custom".into(), version: version.into() };
    observed.pins = Pins::Set(vec![pin]);
}

fn path(text: &str) -> Consumer {
    text.parse().expect("a path")
}

fn node<'a>(observed: &'a mut Observed, name: &str) -> &'a mut NodeObserved {
    let deployment = observed.deployment.as_mut().expect("a deployment");
    deployment.nodes.get_mut(&NodeName::new(name)).expect("a node")
}

/// The files of an image with their registered checksums.
fn image_files(files: &[&str]) -> std::collections::BTreeMap<String, String> {
    let sha256 = |file: &str| if file == "custom-1.2.3" { SHA } else { "bb" };
    files.iter().map(|&file| (file.to_owned(), sha256(file).to_owned())).collect()
}

fn without_canary() -> UpgradeGoal {
    UpgradeGoal { canary: Canary::Skip, ..upgrade() }
}

#[test]
fn every_step_in_its_order() {
    let smoke_tests = vec![SmokeTest { mount: path("custom"), request: "creds/dev".into() }];
    let failover_test = FailoverTest::EveryNode;
    let canary = Canary::Mount {
        writes: register().mounts.remove(0).writes,
        source_mount: Some(path("custom")),
        smoke: Some("creds/dev".into()),
    };
    assert_eq!(
        step_texts(&old_fleet(), UpgradeGoal { smoke_tests, failover_test, canary, ..upgrade() }),
        [
            "copy custom-1.2.3 to /vault/plugins on vault-0, vault-1, vault-2",
            "register secret plugin custom v1.2.3",
            "mount custom v1.2.3 as a canary at vault-token-plugin-canary/custom-1.2.3/",
            "verify vault-token-plugin-canary/custom-1.2.3/: copy config from custom/, then smoke-test creds/dev",
            "remove vault-token-plugin-canary/custom-1.2.3/",
            "move custom/ from v1.0.0 to v1.2.3",
            "move team/ from v1.0.0 to v1.2.3",
            "reload custom/",
            "reload team/",
            "smoke-test custom/creds/dev",
            "make another node active (1 of 3)",
            "make another node active (2 of 3)",
            "make another node active (3 of 3)",
        ]
    );
}

#[test]
fn a_pin_is_moved_and_its_canary_has_a_name_of_its_own() {
    let mut observed = old_fleet();
    set_pin(&mut observed, "v1.0.0");
    assert_eq!(
        step_texts(&observed, upgrade())[1..],
        [
            "register secret plugin custom v1.2.3",
            "register secret plugin custom-canary v1.2.3",
            "mount custom-canary v1.2.3 as a canary at vault-token-plugin-canary/custom-1.2.3/",
            "verify vault-token-plugin-canary/custom-1.2.3/",
            "remove vault-token-plugin-canary/custom-1.2.3/",
            "deregister secret plugin custom-canary v1.2.3",
            "pin custom to v1.2.3 instead of v1.0.0",
            "reload custom/",
            "reload team/",
        ]
    );
    let part = UpgradeGoal { only_mounts: vec![path("custom")], ..upgrade() };
    assert!(matches!(refusal_of(&observed, part), Refusal::PinAffectsOtherMounts { .. }));
}

#[test]
fn under_a_pin_that_a_killed_run_has_moved_the_canary_is_given_no_version() {
    let mut observed = server_with("1.2.3", SHA);
    let mount = observed.consumers.get_mut("custom/").expect("a mount");
    (mount.configured_version, mount.running_version) = ("v1.0.0".into(), "v1.0.0".into());
    set_pin(&mut observed, "v1.2.3");
    let steps = plan(&observed, &goal(upgrade())).expect("a plan").steps;
    assert!(matches!(steps[0], Step::MountCanary { version_from: VersionFrom::Pin, .. }), "{steps:?}");
    assert_eq!(unreloaded_mounts(&observed, &upgrade()), [(path("custom"), "v1.0.0".to_owned())]);
}

#[test]
fn what_runs_already_is_nothing_to_do() {
    let observed = server_with("1.2.3", SHA);
    assert_eq!(decide(&observed, &goal(upgrade())), Decision::Done);
}

#[test]
fn two_versions_of_a_plugin_come_together_or_only_some_are_moved() {
    let mut observed = old_fleet();
    let team = observed.consumers.get_mut("team/").expect("a mount");
    (team.configured_version, team.running_version) = ("v1.1.0".into(), "v1.1.0".into());
    let steps = step_texts(&observed, without_canary());
    assert_eq!(steps[2..4], ["move custom/ from v1.0.0 to v1.2.3", "move team/ from v1.1.0 to v1.2.3"]);
    let part = UpgradeGoal { only_mounts: vec![path("team")], ..without_canary() };
    assert_eq!(step_texts(&observed, part)[2..], ["move team/ from v1.1.0 to v1.2.3", "reload team/"]);
}

#[test]
fn a_canary_that_a_killed_run_has_left_is_removed_first() {
    let mut observed = old_fleet();
    let stray = ConsumerObserved { plugin: "custom".into(), ..ConsumerObserved::default() };
    observed
        .consumers
        .insert("vault-token-plugin-canary/custom-1.1.0/".parse().expect("a path"), stray.clone());
    assert_eq!(step_texts(&observed, upgrade())[0], "remove vault-token-plugin-canary/custom-1.1.0/");
    // Also if nothing else has to be done.
    let mut observed = server_with("1.2.3", SHA);
    observed.consumers.insert("vault-token-plugin-canary/custom-1.2.3/".parse().expect("a path"), stray);
    assert_eq!(step_texts(&observed, upgrade()), ["remove vault-token-plugin-canary/custom-1.2.3/"]);
}

#[test]
fn a_mount_that_was_moved_and_not_reloaded_is_known_with_what_it_runs() {
    let mut observed = old_fleet();
    observed.consumers.get_mut("team/").expect("a mount").configured_version = "v1.2.3".into();
    assert_eq!(unreloaded_mounts(&observed, &upgrade()), [(path("team"), "v1.0.0".to_owned())]);
    let steps = step_texts(&observed, without_canary());
    assert_eq!(steps[2..], ["move custom/ from v1.0.0 to v1.2.3", "reload custom/", "reload team/"]);
}

#[test]
fn a_canary_or_a_mount_that_runs_something_else_is_refused() {
    let (goal, mut then) = (goal(upgrade()), simulate(&old_fleet(), []));
    let mut mismatches = 0;
    for step in plan(&then, &goal).expect("a plan").steps {
        then = simulate(&then, [&step]);
        let path = match &step {
            Step::MountCanary { path, .. } => path,
            Step::ReloadMount { path } => path,
            _ => continue,
        };
        let mut mismatch = then.clone();
        mismatch.observed.consumers.get_mut(path.as_str()).expect("a mount").running_sha256 = "cc".into();
        let decision = decide(&mismatch, &goal);
        assert!(matches!(decision, Decision::Refuse(Refusal::RunningVersionMismatch { .. })), "{decision:?}");
        mismatches += 1;
    }
    assert_eq!(mismatches, 3);
}

#[test]
fn a_version_that_no_process_executes_is_not_proven() {
    let goal = goal(without_canary());
    let mut then = simulate(&old_fleet(), &plan(&old_fleet(), &goal).expect("a plan").steps);
    assert_eq!(decide(&then, &goal), Decision::Done);
    for node in then.observed.deployment.as_mut().expect("a deployment").nodes.values_mut() {
        node.processes.retain(|process| process.file == "custom-1.0.0");
    }
    assert!(matches!(decide(&then, &goal), Decision::Refuse(Refusal::NoProcess { .. })));
}

#[test]
fn standbys_that_serve_reads_are_started_anew_one_after_the_other() {
    let mut observed = old_fleet();
    observed.server.product = Product::OpenBao;
    let steps = step_texts(&observed, without_canary());
    assert_eq!(
        steps[4..],
        [
            "reload custom/",
            "reload team/",
            "restart vault-1, which still runs the previous version",
            "restart vault-2, which still runs the previous version",
        ]
    );
}

fn reload(sealed: SealedRestart) -> Goal {
    let restarts = RestartConsent { sealed, ..RestartConsent::default() };
    Goal::Reload(ReloadGoal { target: ReloadTarget::Mounts(vec![path("custom")]), restart_consent: restarts })
}

#[test]
fn a_reload_starts_standbys_anew_that_went_on_with_another_version() {
    let mut observed = old_fleet();
    observed.server.product = Product::OpenBao;
    let made = plan(&observed, &goal(without_canary())).expect("a plan");
    // The state after a run that was stopped after the reload.
    let stopped = simulate(&observed, &made.steps[..5]).observed;
    let reload = reload(SealedRestart::Refuse);
    let steps: Vec<String> =
        plan(&stopped, &reload).expect("a plan").steps.iter().map(ToString::to_string).collect();
    assert_eq!(
        steps,
        [
            "reload custom/",
            "restart vault-1, which still runs the previous version",
            "restart vault-2, which still runs the previous version",
        ]
    );
}

#[test]
fn what_a_restart_would_lose_is_refused_until_somebody_says_otherwise() {
    let decision = |storage: PluginStorage, strategy: PodUpdateStrategy, durability: Durability| {
        let mut observed = old_fleet();
        let deployment = observed.deployment.as_mut().expect("a deployment");
        (deployment.plugin_storage, deployment.update_strategy) = (storage, strategy);
        decide(&observed, &goal(UpgradeGoal { durability, ..without_canary() }))
    };
    let empty_dir = || PluginStorage::Ephemeral { description: "emptyDir plugins".into() };
    let init_container = |files: &[&str]| PluginStorage::InitContainer {
        name: "plugins".into(),
        image: "plugins:1".into(),
        files: Some(files.iter().map(|&file| file.to_owned()).collect()),
    };
    let image = || Durability::Image { image: "plugins:2".into(), files: None };
    let is_refused = |decision: &Decision| matches!(decision, Decision::Refuse(Refusal::NotDurable { .. }));
    assert!(is_refused(&decision(empty_dir(), PodUpdateStrategy::OnDelete, Durability::Required)));
    assert!(is_refused(&decision(empty_dir(), PodUpdateStrategy::OnDelete, image())));
    assert!(is_refused(&decision(
        init_container(&["custom-1.0.0"]),
        PodUpdateStrategy::OnDelete,
        Durability::Required
    )));
    for accepted in [
        decision(empty_dir(), PodUpdateStrategy::OnDelete, Durability::NotRequired),
        decision(init_container(&["custom-1.2.3"]), PodUpdateStrategy::RollingUpdate, Durability::Required),
        decision(init_container(&["custom-1.0.0"]), PodUpdateStrategy::OnDelete, image()),
    ] {
        assert!(matches!(accepted, Decision::Do(Step::CopyBinary { .. })), "{accepted:?}");
    }
    let rolling = decision(init_container(&[]), PodUpdateStrategy::RollingUpdate, image());
    assert!(matches!(rolling, Decision::Refuse(Refusal::WouldRestartPods { .. })));

    let mut observed = old_fleet();
    observed.deployment.as_mut().expect("a deployment").plugin_storage = init_container(&[]);
    let steps = step_texts(&observed, UpgradeGoal { durability: image(), ..without_canary() });
    assert_eq!(steps.last().expect("a step"), "set the image of init container plugins to plugins:2");
}

#[test]
fn an_image_that_lacks_a_version_which_the_one_before_brings_is_refused() {
    let files = |files: &[&str]| -> std::collections::BTreeSet<String> {
        files.iter().map(|&file| file.to_owned()).collect()
    };
    let fleet = |image: Option<&[&str]>| {
        let mut observed = old_fleet();
        let mut other = observed.catalog[0].clone();
        (other.name, other.command) = ("other".into(), Some("other-1.0.0".into()));
        observed.catalog.push(other);
        let deployment = observed.deployment.as_mut().expect("a deployment");
        (deployment.plugin_storage, deployment.update_strategy) = (
            PluginStorage::InitContainer {
                name: "plugins".into(),
                image: "plugins:1".into(),
                files: image.map(files),
            },
            PodUpdateStrategy::OnDelete,
        );
        for node in deployment.nodes.values_mut() {
            let file = crate::observed::deployment::PluginFile {
                name: "other-1.0.0".into(),
                ..node.files[0].clone()
            };
            node.files.push(file);
        }
        observed
    };
    let to = |image: Option<&[&str]>| {
        let durability = Durability::Image { image: "plugins:2".into(), files: image.map(image_files) };
        UpgradeGoal { durability, ..without_canary() }
    };
    let before: &[&str] = &["custom-1.0.0", "other-1.0.0", "not-registered-1.0.0"];
    for observed in [fleet(Some(before)), fleet(None)] {
        for (image, missing) in [
            (&["custom-1.2.3"][..], "custom-1.0.0, other-1.0.0"),
            (&["custom-1.2.3", "custom-1.0.0"], "other-1.0.0"),
            (&["custom-1.0.0", "other-1.0.0"], "custom-1.2.3"),
        ] {
            let refusal = refusal_of(&observed, to(Some(image)));
            assert_eq!(refusal.to_string(), format!("plugins:2 does not contain {missing}"));
        }
        let all = to(Some(&["custom-1.0.0", "custom-1.2.3", "other-1.0.0"]));
        assert_eq!(
            step_texts(&observed, all).last().expect("a step"),
            "set the image of init container plugins to plugins:2"
        );

        // Also if the previous image contains the version, or if it is running already: the image is set nevertheless.
        let mut contained = observed.clone();
        let deployment = contained.deployment.as_mut().expect("a deployment");
        if let PluginStorage::InitContainer { files: Some(files), .. } = &mut deployment.plugin_storage {
            files.insert("custom-1.2.3".into());
        }
        let ephemeral = UpgradeGoal { durability: Durability::NotRequired, ..without_canary() };
        let steps = plan(&contained, &goal(ephemeral)).expect("a plan").steps;
        let running = simulate(&contained, &steps).observed;
        for observed in [contained, running] {
            let refusal = refusal_of(&observed, to(Some(&["custom-1.0.0", "custom-1.2.3"])));
            assert_eq!(refusal.to_string(), "plugins:2 does not contain other-1.0.0");
        }
        let made = plan(&observed, &goal(to(None))).expect("a plan");
        let required_files = vec!["custom-1.0.0".to_owned(), "other-1.0.0".to_owned()];
        assert_eq!(made.notices, [Notice::ImageNotInspected { image: "plugins:2".into(), required_files }]);
    }
}

#[test]
fn an_image_that_brings_other_bytes_than_are_registered_is_refused() {
    let mut observed = old_fleet();
    let mut other = observed.catalog[0].clone();
    (other.name, other.command) = ("other".into(), Some("other-1.0.0".into()));
    observed.catalog.push(other);
    observed.deployment.as_mut().expect("a deployment").plugin_storage = PluginStorage::InitContainer {
        name: "plugins".into(),
        image: "plugins:1".into(),
        files: Some(["custom-1.0.0".to_owned()].into()),
    };
    let with = |change: &dyn Fn(&mut std::collections::BTreeMap<String, String>)| {
        let mut files = image_files(&["custom-1.0.0", "custom-1.2.3", "other-1.0.0"]);
        change(&mut files);
        let durability = Durability::Image { image: "plugins:2".into(), files: Some(files) };
        UpgradeGoal { durability, ..without_canary() }
    };
    assert!(plan(&observed, &goal(with(&|_| ()))).is_ok());
    // Also if the previous image does not contain it: a node that has lost the file would get this one.
    for file in ["custom-1.0.0", "other-1.0.0"] {
        let rebuilt = with(&|files| {
            files.insert(file.to_owned(), "cc".to_owned());
        });
        let refusal = refusal_of(&observed, rebuilt);
        assert_eq!(
            refusal.to_string(),
            format!("sha256 mismatch: plugins:2 contains {file} with cc, registered is bb")
        );
        assert!(refusal.hint().contains("another version"), "{}", refusal.hint());
    }
    // Without a registered checksum there is nothing to compare.
    observed.catalog[1].sha256.clear();
    let unknown = with(&|files| {
        files.insert("other-1.0.0".to_owned(), "cc".to_owned());
    });
    assert!(plan(&observed, &goal(unknown)).is_ok());
}

#[test]
fn a_rollback_knows_what_the_image_brings_that_no_pod_has_run() {
    let mut observed = old_fleet();
    observed.deployment.as_mut().expect("a deployment").plugin_storage = PluginStorage::InitContainer {
        name: "plugins".into(),
        image: "plugins:1".into(),
        files: Some(["custom-1.0.0".to_owned()].into()),
    };
    let files = Some(image_files(&["custom-1.0.0", "custom-1.2.3"]));
    let durability = Durability::Image { image: "plugins:2".into(), files };
    let steps = plan(&observed, &goal(UpgradeGoal { durability, ..without_canary() })).expect("a plan").steps;
    let then = simulate(&observed, &steps).observed;
    assert_eq!(step_texts(&then, rollback()).len(), 4);
}

#[test]
fn a_node_that_goes_away_amid_a_run_is_waited_for() {
    let mut observed = old_fleet();
    *node(&mut observed, "vault-2") = NodeObserved::not_ready("pending");
    assert_eq!(refusal_of(&observed, upgrade()).to_string(), "on vault-2: the node is not ready: pending");
    let mut started = simulate(&observed, []);
    started.progress.steps = 1;
    let waiting = decide(&started, &goal(upgrade()));
    assert!(matches!(waiting, Decision::Wait(WaitingOn::Node { .. })), "{waiting:?}");
}

/// Each row: the refusal, and the change that leads to it.
#[test]
fn refusals_name_what_is_wrong() {
    type Change = fn(&mut Observed, &mut UpgradeGoal);
    let rows: &[(&str, Change)] = &[
        ("no mount runs the secret plugin custom", |o, _| o.consumers.clear()),
        ("nothing is mounted at other/", |_, u| u.only_mounts = vec![path("other")]),
        ("kv/ is a mount of the plugin kv", |o, u| {
            let kv = ConsumerObserved { plugin: "kv".into(), ..ConsumerObserved::default() };
            o.consumers.insert("kv/".parse().expect("a path"), kv);
            u.only_mounts = vec![path("kv")];
        }),
        ("team/ has version v2.0.0, which is newer than 1.2.3", |o, _| {
            o.consumers.get_mut("team/").expect("a mount").running_version = "v2.0.0".into();
        }),
        ("clients of custom would fail with this version: read creds: removed", |_, u| {
            u.breaking_changes = vec!["read creds: removed".into()];
        }),
        ("on vault-1: its server is sealed", |o, _| {
            node(o, "vault-1").server.as_mut().expect("a server").sealed = true;
        }),
        ("alice is changing plugins of this deployment", |o, _| {
            o.deployment.as_mut().expect("a deployment").lock_holder = Some(lock_holder("alice"));
        }),
        ("on vault-2: /vault/plugins/custom-1.2.3 exists with a different content", |o, _| {
            node(o, "vault-2").files[0].name = "custom-1.2.3".into();
        }),
        ("on vault-0: /vault/plugins has 10 bytes free", |o, _| node(o, "vault-0").free_bytes = Some(10)),
    ];
    for (words, change) in rows {
        let (mut observed, mut upgrade) = (old_fleet(), upgrade());
        change(&mut observed, &mut upgrade);
        let refusal = refusal_of(&observed, upgrade);
        assert!(refusal.to_string().contains(words), "{words}: {refusal}");
        assert!(refusal.hint().len() > 10, "{words}");
    }
}

/// The fleet, with one more mount of the plugin in a child namespace.
fn fleet_with_namespace() -> Observed {
    let mut observed = old_fleet();
    let mount = ConsumerObserved { namespace: Some("team/".into()), ..observed.consumers["custom/"].clone() };
    observed.consumers.insert(path("custom").in_namespace("team"), mount);
    observed.namespaces.insert("team/".into());
    let running = observed.consumers["custom/"].clone();
    let running = RunningVersion { version: running.running_version, sha256: running.running_sha256 };
    let nodes = observed.deployment.iter_mut().flat_map(|deployment| deployment.nodes.values_mut());
    for server in nodes.filter_map(|node| node.server.as_mut()) {
        server.running.insert("team/custom/".into(), running.clone());
    }
    observed
}

#[test]
fn the_mounts_of_child_namespaces_are_moved_too() {
    let steps = |observed: &Observed, upgrade| -> Vec<String> {
        let steps = plan(observed, &goal(upgrade)).expect("a plan").steps;
        steps.iter().map(ToString::to_string).filter(|step| step.contains("team/custom")).collect()
    };
    let mut observed = fleet_with_namespace();
    let moved = ["move team/custom/ from v1.0.0 to v1.2.3", "reload team/custom/"];
    assert_eq!(steps(&observed, upgrade()), moved);
    let only = |mount: Consumer| UpgradeGoal { only_mounts: vec![mount], ..upgrade() };
    assert!(steps(&observed, only(path("custom"))).is_empty());
    assert_eq!(steps(&observed, only(observed.resolve(path("team/custom"), PluginType::Secret))), moved);

    set_pin(&mut observed, "v1.0.0");
    assert_eq!(steps(&observed, upgrade()), ["reload team/custom/"], "the pin moves them");
    let refusal = refusal_of(&observed, only(path("custom")));
    assert!(matches!(refusal, Refusal::PinAffectsOtherMounts { .. }), "{refusal}");
    observed.namespace = Some("team".into());
    assert!(matches!(refusal_of(&observed, upgrade()), Refusal::NotRootNamespace { .. }));
}

#[test]
fn mounts_that_the_token_cannot_see_are_named_and_a_pin_that_moves_them_is_not_changed() {
    let mut observed = fleet_with_namespace();
    observed.caller.denied = ["other/sys/mounts".to_owned(), "team/sys/namespaces".to_owned()].into();
    let notices = plan(&observed, &goal(upgrade())).expect("a plan").notices;
    let notice = notices.iter().map(ToString::to_string).find(|notice| notice.contains("namespaces"));
    assert_eq!(
        notice.as_deref(),
        Some(
            "the token has no permission to read other/sys/mounts, team/sys/namespaces: mounts of these namespaces are not changed"
        )
    );
    set_pin(&mut observed, "v1.0.0");
    let refusal = refusal_of(&observed, upgrade());
    assert!(refusal.to_string().contains("read on other/sys/mounts"), "{refusal}");
}

#[test]
fn what_a_failover_starts_before_the_reload_is_tried_as_well() {
    let smoke_test = |mount| SmokeTest { mount: path(mount), request: "creds/dev".into() };
    let goal =
        goal(UpgradeGoal { smoke_tests: vec![smoke_test("custom"), smoke_test("team")], ..without_canary() });
    for is_pinned in [false, true] {
        let mut observed = old_fleet();
        if is_pinned {
            set_pin(&mut observed, "v1.0.0");
        }
        let moves = |step: &Step| matches!(step, Step::TuneMount { .. } | Step::SetPin { .. });
        let steps = plan(&observed, &goal).expect("a plan").steps;
        let moved = steps.iter().rposition(moves).expect("it moves mounts");
        let mut moved = simulate(&observed, &steps[..=moved]);
        for mount in moved.observed.consumers.values_mut() {
            mount.running_version = "v1.2.3".into();
            mount.running_sha256 = SHA.into();
        }
        let left: Vec<String> =
            plan(&moved, &goal).expect("a plan").steps.iter().map(ToString::to_string).collect();
        // The standbys, which serve reads themselves, follow.
        assert_eq!(left[..2], ["smoke-test custom/creds/dev", "smoke-test team/creds/dev"]);

        // A mount that was disabled in the meantime is not tested.
        moved.observed.consumers.remove("custom/");
        let Decision::Do(next) = decide(&moved, &goal) else { panic!("it ended without a smoke test") };
        assert_eq!(next.to_string(), "smoke-test team/creds/dev");
    }
}

#[test]
fn another_node_takes_over_from_one_that_is_sealed() {
    let mut observed = old_fleet();
    observed.server.sealed = true;
    node(&mut observed, "vault-0").server.as_mut().expect("a server").sealed = true;
    assert_eq!(decide(&observed, &goal(upgrade())), Decision::Wait(WaitingOn::ActiveNode));

    for name in ["vault-1", "vault-2"] {
        node(&mut observed, name).server.as_mut().expect("a server").sealed = true;
    }
    assert!(matches!(refusal_of(&observed, upgrade()), Refusal::Sealed { .. }));
}

fn rollback() -> UpgradeGoal {
    rollback_to("1.0.0")
}

fn rollback_to(version: &str) -> UpgradeGoal {
    let target = Target::Registered {
        kind: PluginType::Secret,
        name: "custom".into(),
        version: version.parse().expect("a version"),
    };
    UpgradeGoal { target, downgrade: DowngradePolicy::Allow, ..without_canary() }
}

#[test]
fn a_rollback_from_a_machine_that_sees_no_plugin_directory_says_which_nodes_are_not_proven() {
    use crate::decide::samples::other_nodes as named;
    use crate::observed::other_nodes::{NodeList, OtherNode, OtherNodes, ServerLocation};

    let mut observed = server_with("1.2.3", SHA);
    let older = CatalogEntry {
        version: "v1.0.0".into(),
        command: None,
        sha256: "bb".into(),
        ..observed.catalog[0].clone()
    };
    observed.catalog.push(older);
    observed.deployment = None;
    let notices = |other_nodes: OtherNodes, other_nodes_policy: OtherNodesPolicy| {
        let observed = Observed { other_nodes, ..observed.clone() };
        let made = plan(&observed, &goal(UpgradeGoal { other_nodes_policy, ..rollback_to("1.0.0") }))
            .expect("a plan");
        made.notices.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let none = Vec::<String>::new();
    let node = |name: &str| OtherNode { name: name.into(), names: [name.to_owned()].into() };
    let server = ServerLocation::NotDetermined;
    let others = || named(server, vec![node("b"), node("c")]);
    let texts = notices(others(), OtherNodesPolicy::default());
    assert!(texts[0].contains("custom-1.0.0") && texts[0].contains("If b, c lack it"), "{texts:?}");
    let texts = notices(others(), OtherNodesPolicy::InstalledOn(vec!["c".into()]));
    assert!(texts[0].contains("If b lacks it"), "{texts:?}");
    assert_eq!(notices(others(), OtherNodesPolicy::InstalledOn(vec!["b".into(), "c".into()])), none);
    let texts = notices(OtherNodes::Found { server, nodes: NodeList::Unnamed }, OtherNodesPolicy::default());
    assert!(texts[0].contains("another node, which the server does not list"), "{texts:?}");
    assert_eq!(notices(named(server, Vec::new()), OtherNodesPolicy::default()), none);
}

#[test]
fn a_rollback_goes_to_the_newest_version_before_that_is_in_place_everywhere() {
    let before = |observed: &Observed| rollback_version(observed, PluginType::Secret, "custom");
    let steps = plan(&old_fleet(), &goal(upgrade())).expect("a plan").steps;
    let mut observed = simulate(&old_fleet(), &steps).observed;
    assert_eq!(before(&observed).expect("a version").to_string(), "1.0.0");
    assert_eq!(
        step_texts(&observed, rollback()),
        [
            "move custom/ from v1.2.3 to v1.0.0",
            "move team/ from v1.2.3 to v1.0.0",
            "reload custom/",
            "reload team/",
        ]
    );
    // A node that is down does not prevent a rollback, and has a notice.
    let mut broken = observed.clone();
    *node(&mut broken, "vault-2") = NodeObserved::not_ready("unreachable");
    let made = plan(&broken, &goal(rollback())).expect("a plan");
    assert_eq!(
        made.notices,
        [Notice::NodeUnobserved { node: NodeName::new("vault-2"), reason: "unreachable".into() }]
    );
    assert_eq!(node(&mut broken, "vault-2").readiness, Readiness::NotReady { reason: "unreachable".into() });

    node(&mut observed, "vault-1").files.retain(|file| file.name != "custom-1.0.0");
    assert!(matches!(before(&observed), Err(Refusal::NoRollbackVersion { .. })));
    assert!(matches!(refusal_of(&observed, rollback()), Refusal::FileMissing { .. }));
    observed.catalog.retain(|entry| entry.version != "v1.0.0");
    assert!(matches!(refusal_of(&observed, rollback()), Refusal::NotRegistered { .. }));
}

#[test]
fn a_rollback_that_was_cut_off_between_restarts_goes_to_the_same_version_again() {
    let before = |observed: &Observed| {
        rollback_version(observed, PluginType::Secret, "custom").map(|version| version.to_string())
    };
    // Every mount runs v3; v1 and v2 are installed.
    let mut observed = old_fleet();
    observed.server.product = Product::OpenBao;
    for version in ["2.0.0", "3.0.0"] {
        let v_prefixed = format!("v{version}");
        let entry = CatalogEntry {
            version: v_prefixed.clone(),
            command: Some(format!("custom-{version}")),
            ..observed.catalog[0].clone()
        };
        observed.catalog.push(entry);
        for node in observed.deployment.as_mut().expect("a deployment").nodes.values_mut() {
            let file = crate::observed::deployment::PluginFile {
                name: format!("custom-{version}"),
                ..node.files[0].clone()
            };
            node.files.push(file);
            let vault = node.server.as_mut().expect("a server");
            vault.running.values_mut().for_each(|running| running.version.clone_from(&v_prefixed));
        }
        for mount in observed.consumers.values_mut() {
            mount.configured_version.clone_from(&v_prefixed);
            mount.running_version.clone_from(&v_prefixed);
        }
    }
    assert_eq!(before(&observed), Ok("2.0.0".to_owned()));

    // Mounts are moved and reloaded, and one standby is restarted.
    let made = plan(&observed, &goal(rollback_to("2.0.0"))).expect("a plan");
    let restart = made.steps.iter().position(|step| matches!(step, Step::RestartNode { .. })).expect("there");
    for done in [restart, restart + 1] {
        let mut interrupted = simulate(&observed, &made.steps[..done]).observed;
        assert_eq!(before(&interrupted), Ok("2.0.0".to_owned()), "{done}");
        // Also if a version between them is registered.
        let between = CatalogEntry { version: "v2.5.0".into(), ..interrupted.catalog[0].clone() };
        interrupted.catalog.push(between);
        assert_eq!(before(&interrupted), Ok("2.0.0".to_owned()), "{done}");
    }
    let done = simulate(&observed, &made.steps).observed;
    assert_eq!(before(&done), Ok("1.0.0".to_owned()));
    // Standbys that still run the version before an upgrade are not part of a rollback.
    for name in ["vault-1", "vault-2"] {
        let vault = node(&mut observed, name).server.as_mut().expect("a server");
        vault.running.values_mut().for_each(|running| running.version = "v2.0.0".into());
    }
    assert_eq!(before(&observed), Ok("2.0.0".to_owned()));
}

#[test]
fn every_node_says_what_it_runs_after_a_restart() {
    let mut observed = old_fleet();
    observed.server.product = Product::OpenBao;
    let made = plan(&observed, &goal(without_canary())).expect("a plan");
    let mut then = simulate(&observed, &made.steps).observed;
    for name in ["vault-0", "vault-1", "vault-2"] {
        let vault = node(&mut then, name).server.as_ref().expect("a server");
        let expected = RunningVersion { version: "v1.2.3".into(), sha256: SHA.into() };
        assert_eq!(vault.running["custom/"], expected, "{name}");
        assert_eq!(vault.role == NodeRole::Active, name == "vault-0");
    }
}
