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
    Durability, FailoverTest, Goal, Placement, QuorumLoss, ReloadGoal, ReloadTarget, RestartConsent,
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

fn path(text: &str) -> MountPath {
    text.parse().expect("a path")
}

fn node<'a>(observed: &'a mut Observed, name: &str) -> &'a mut NodeObserved {
    let site = observed.deployment.as_mut().expect("a site");
    site.nodes.get_mut(&NodeName::new(name)).expect("a node")
}

/// What an image brings, each file as it is registered.
fn image_files(files: &[&str]) -> std::collections::BTreeMap<String, String> {
    let sha256 = |file: &str| if file == "custom-1.2.3" { SHA } else { "bb" };
    files.iter().map(|&file| (file.to_owned(), sha256(file).to_owned())).collect()
}

fn without_canary() -> UpgradeGoal {
    UpgradeGoal { canary: Canary::Skip, ..upgrade() }
}

#[test]
fn every_step_in_its_order() {
    let smoke_tests = vec![SmokeTest { mount: path("custom"), path: "creds/dev".into() }];
    let failover_test = FailoverTest::EveryNode;
    let canary = Canary::Mount {
        writes: register().mounts.remove(0).writes,
        source_mount: Some(path("custom")),
        smoke_path: Some("creds/dev".into()),
    };
    assert_eq!(
        step_texts(&old_fleet(), UpgradeGoal { smoke_tests, failover_test, canary, ..upgrade() }),
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
    set_pin(&mut observed, "v1.0.0");
    assert_eq!(
        step_texts(&observed, upgrade())[1..],
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
    let part = UpgradeGoal { only_mounts: vec![path("custom")], ..upgrade() };
    assert!(matches!(refusal_of(&observed, part), Refusal::PinAffectsOtherMounts { .. }));
}

#[test]
fn under_a_pin_that_a_killed_run_has_moved_the_canary_is_given_no_version() {
    let mut observed = server_with("1.2.3", SHA);
    let mount = observed.mounts.get_mut("custom/").expect("a mount");
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
    let team = observed.mounts.get_mut("team/").expect("a mount");
    (team.configured_version, team.running_version) = ("v1.1.0".into(), "v1.1.0".into());
    let steps = step_texts(&observed, without_canary());
    assert_eq!(steps[2..4], ["move custom/ from v1.0.0 to v1.2.3", "move team/ from v1.1.0 to v1.2.3"]);
    let part = UpgradeGoal { only_mounts: vec![path("team")], ..without_canary() };
    assert_eq!(step_texts(&observed, part)[2..], ["move team/ from v1.1.0 to v1.2.3", "reload team/"]);
}

#[test]
fn a_canary_that_a_killed_run_has_left_is_removed_first() {
    let mut observed = old_fleet();
    let stray = MountObserved { plugin: "custom".into(), ..MountObserved::default() };
    observed.mounts.insert("vault-token-plugin-canary/custom-1.1.0/".into(), stray.clone());
    assert_eq!(step_texts(&observed, upgrade())[0], "remove vault-token-plugin-canary/custom-1.1.0/");
    // Also where nothing else is to be done.
    let mut observed = server_with("1.2.3", SHA);
    observed.mounts.insert("vault-token-plugin-canary/custom-1.2.3/".into(), stray);
    assert_eq!(step_texts(&observed, upgrade()), ["remove vault-token-plugin-canary/custom-1.2.3/"]);
}

#[test]
fn a_mount_that_was_moved_and_not_reloaded_is_known_with_what_it_runs() {
    let mut observed = old_fleet();
    observed.mounts.get_mut("team/").expect("a mount").configured_version = "v1.2.3".into();
    assert_eq!(unreloaded_mounts(&observed, &upgrade()), [(path("team"), "v1.0.0".to_owned())]);
    let steps = step_texts(&observed, without_canary());
    assert_eq!(steps[2..], ["move custom/ from v1.0.0 to v1.2.3", "reload custom/", "reload team/"]);
}

#[test]
fn a_canary_or_a_mount_that_runs_something_else_is_refused() {
    let (goal, mut then) = (goal(upgrade()), simulate(&old_fleet(), []));
    let mut lies = 0;
    for step in plan(&then, &goal).expect("a plan").steps {
        then = simulate(&then, [&step]);
        let path = match &step {
            Step::MountCanary { path, .. } => path,
            Step::ReloadMount { path } => path,
            _ => continue,
        };
        let mut lying = then.clone();
        lying.observed.mounts.get_mut(path.as_str()).expect("a mount").running_sha256 = "cc".into();
        let decision = decide(&lying, &goal);
        assert!(matches!(decision, Decision::Refuse(Refusal::RunningVersionMismatch { .. })), "{decision:?}");
        lies += 1;
    }
    assert_eq!(lies, 3);
}

#[test]
fn a_version_that_no_process_executes_is_not_proven() {
    let goal = goal(without_canary());
    let mut then = simulate(&old_fleet(), &plan(&old_fleet(), &goal).expect("a plan").steps);
    assert_eq!(decide(&then, &goal), Decision::Done);
    for node in then.observed.deployment.as_mut().expect("a site").nodes.values_mut() {
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
            "restart vault-1, which still runs the version before",
            "restart vault-2, which still runs the version before",
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
    // As somebody leaves it who stops after the reload.
    let by_hand = simulate(&observed, &made.steps[..5]).observed;
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
    let kept = |keeping: PluginStorage, restarts: PodUpdateStrategy, survival: Durability| {
        let mut observed = old_fleet();
        let site = observed.deployment.as_mut().expect("a site");
        (site.plugin_storage, site.update_strategy) = (keeping, restarts);
        decide(&observed, &goal(UpgradeGoal { durability: survival, ..without_canary() }))
    };
    let nothing = || PluginStorage::Ephemeral { description: "emptyDir plugins".into() };
    let brings = |files: &[&str]| PluginStorage::InitContainer {
        name: "plugins".into(),
        image: "plugins:1".into(),
        files: Some(files.iter().map(|&file| file.to_owned()).collect()),
    };
    let image = || Durability::Image { image: "plugins:2".into(), files: None };
    let is_refused = |decision: &Decision| matches!(decision, Decision::Refuse(Refusal::NotDurable { .. }));
    assert!(is_refused(&kept(nothing(), PodUpdateStrategy::OnDelete, Durability::Required)));
    assert!(is_refused(&kept(nothing(), PodUpdateStrategy::OnDelete, image())));
    assert!(is_refused(&kept(brings(&["custom-1.0.0"]), PodUpdateStrategy::OnDelete, Durability::Required)));
    for decision in [
        kept(nothing(), PodUpdateStrategy::OnDelete, Durability::NotRequired),
        kept(brings(&["custom-1.2.3"]), PodUpdateStrategy::RollingUpdate, Durability::Required),
        kept(brings(&["custom-1.0.0"]), PodUpdateStrategy::OnDelete, image()),
    ] {
        assert!(matches!(decision, Decision::Do(Step::PlaceBinary { .. })), "{decision:?}");
    }
    let rolling = kept(brings(&[]), PodUpdateStrategy::RollingUpdate, image());
    assert!(matches!(rolling, Decision::Refuse(Refusal::WouldRestartPods { .. })));

    let mut observed = old_fleet();
    observed.deployment.as_mut().expect("a site").plugin_storage = brings(&[]);
    let steps = step_texts(&observed, UpgradeGoal { durability: image(), ..without_canary() });
    assert_eq!(steps.last().expect("a step"), "take plugins:2 as image of init container plugins");
}

#[test]
fn an_image_that_lacks_a_version_which_the_one_before_brings_is_refused() {
    let files = |files: &[&str]| -> std::collections::BTreeSet<String> {
        files.iter().map(|&file| file.to_owned()).collect()
    };
    let fleet = |brings: Option<&[&str]>| {
        let mut observed = old_fleet();
        let mut other = observed.catalog[0].clone();
        (other.name, other.command) = ("other".into(), Some("other-1.0.0".into()));
        observed.catalog.push(other);
        let site = observed.deployment.as_mut().expect("a site");
        (site.plugin_storage, site.update_strategy) = (
            PluginStorage::InitContainer {
                name: "plugins".into(),
                image: "plugins:1".into(),
                files: brings.map(files),
            },
            PodUpdateStrategy::OnDelete,
        );
        for node in site.nodes.values_mut() {
            let file = crate::observed::deployment::PluginFile {
                name: "other-1.0.0".into(),
                ..node.files[0].clone()
            };
            node.files.push(file);
        }
        observed
    };
    let to = |brings: Option<&[&str]>| {
        let survival = Durability::Image { image: "plugins:2".into(), files: brings.map(image_files) };
        UpgradeGoal { durability: survival, ..without_canary() }
    };
    let before: &[&str] = &["custom-1.0.0", "other-1.0.0", "not-registered-1.0.0"];
    for observed in [fleet(Some(before)), fleet(None)] {
        for (brings, lacks) in [
            (&["custom-1.2.3"][..], "custom-1.0.0, other-1.0.0"),
            (&["custom-1.2.3", "custom-1.0.0"], "other-1.0.0"),
            (&["custom-1.0.0", "other-1.0.0"], "custom-1.2.3"),
        ] {
            let refusal = refusal_of(&observed, to(Some(brings)));
            assert_eq!(refusal.to_string(), format!("plugins:2 does not bring {lacks}"));
        }
        let all = to(Some(&["custom-1.0.0", "custom-1.2.3", "other-1.0.0"]));
        assert_eq!(
            step_texts(&observed, all).last().expect("a step"),
            "take plugins:2 as image of init container plugins"
        );

        // Also where the present image brings the version, and where it runs already: the image is named all the same.
        let mut brought = observed.clone();
        let site = brought.deployment.as_mut().expect("a site");
        if let PluginStorage::InitContainer { files: Some(brings), .. } = &mut site.plugin_storage {
            brings.insert("custom-1.2.3".into());
        }
        let kept = UpgradeGoal { durability: Durability::NotRequired, ..without_canary() };
        let steps = plan(&brought, &goal(kept)).expect("a plan").steps;
        let running = simulate(&brought, &steps).observed;
        for observed in [brought, running] {
            let refusal = refusal_of(&observed, to(Some(&["custom-1.0.0", "custom-1.2.3"])));
            assert_eq!(refusal.to_string(), "plugins:2 does not bring other-1.0.0");
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
    observed.deployment.as_mut().expect("a site").plugin_storage = PluginStorage::InitContainer {
        name: "plugins".into(),
        image: "plugins:1".into(),
        files: Some(["custom-1.0.0".to_owned()].into()),
    };
    let with = |change: &dyn Fn(&mut std::collections::BTreeMap<String, String>)| {
        let mut brings = image_files(&["custom-1.0.0", "custom-1.2.3", "other-1.0.0"]);
        change(&mut brings);
        let survival = Durability::Image { image: "plugins:2".into(), files: Some(brings) };
        UpgradeGoal { durability: survival, ..without_canary() }
    };
    assert!(plan(&observed, &goal(with(&|_| ()))).is_ok());
    // Also where the image so far does not bring it: a node that has lost the file would get this one.
    for file in ["custom-1.0.0", "other-1.0.0"] {
        let rebuilt = with(&|brings| {
            brings.insert(file.to_owned(), "cc".to_owned());
        });
        let refusal = refusal_of(&observed, rebuilt);
        assert_eq!(
            refusal.to_string(),
            format!("plugins:2 brings {file} with the sha256 cc, and bb is registered")
        );
        assert!(refusal.hint().contains("another version"), "{}", refusal.hint());
    }
    // A server that does not list checksums proves nothing.
    observed.catalog[1].sha256.clear();
    let unknown = with(&|brings| {
        brings.insert("other-1.0.0".to_owned(), "cc".to_owned());
    });
    assert!(plan(&observed, &goal(unknown)).is_ok());
}

#[test]
fn a_rollback_knows_what_the_image_brings_that_no_pod_has_run() {
    let mut observed = old_fleet();
    observed.deployment.as_mut().expect("a site").plugin_storage = PluginStorage::InitContainer {
        name: "plugins".into(),
        image: "plugins:1".into(),
        files: Some(["custom-1.0.0".to_owned()].into()),
    };
    let brings = Some(image_files(&["custom-1.0.0", "custom-1.2.3"]));
    let survival = Durability::Image { image: "plugins:2".into(), files: brings };
    let steps = plan(&observed, &goal(UpgradeGoal { durability: survival, ..without_canary() }))
        .expect("a plan")
        .steps;
    let then = simulate(&observed, &steps).observed;
    assert_eq!(step_texts(&then, rollback()).len(), 4);
}

#[test]
fn a_node_that_goes_away_amid_a_run_is_waited_for() {
    let mut observed = old_fleet();
    *node(&mut observed, "vault-2") = NodeObserved::not_ready("pending");
    assert_eq!(refusal_of(&observed, upgrade()).to_string(), "on vault-2: the node is not ready: pending");
    let mut begun = simulate(&observed, []);
    begun.progress.steps = 1;
    let waiting = decide(&begun, &goal(upgrade()));
    assert!(matches!(waiting, Decision::Wait(WaitingOn::Node { .. })), "{waiting:?}");
}

/// Each row: what is refused, and what makes it so.
#[test]
fn refusals_name_what_is_wrong() {
    type Change = fn(&mut Observed, &mut UpgradeGoal);
    let rows: &[(&str, Change)] = &[
        ("no mount runs the secret plugin custom", |o, _| o.mounts.clear()),
        ("nothing is mounted at other/", |_, u| u.only_mounts = vec![path("other")]),
        ("kv/ is taken by kv", |o, u| {
            let kv = MountObserved { plugin: "kv".into(), ..MountObserved::default() };
            o.mounts.insert("kv/".into(), kv);
            u.only_mounts = vec![path("kv")];
        }),
        ("team/ is at v2.0.0, which is newer than 1.2.3", |o, _| {
            o.mounts.get_mut("team/").expect("a mount").running_version = "v2.0.0".into();
        }),
        ("clients of custom would fail with this version: read creds: removed", |_, u| {
            u.breaking_changes = vec!["read creds: removed".into()];
        }),
        ("on vault-1: its server is sealed", |o, _| {
            node(o, "vault-1").server.as_mut().expect("a server").sealed = true;
        }),
        ("somebody is changing plugins here", |o, _| {
            o.deployment.as_mut().expect("a site").lock_holder = Some(lock_holder("somebody"));
        }),
        ("on vault-2: /vault/plugins/custom-1.2.3 exists with another content", |o, _| {
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

#[test]
fn a_pin_is_not_moved_for_namespaces_whose_mounts_are_not_proven() {
    let mut observed = old_fleet();
    let theirs = observed.mounts["custom/"].clone();
    observed.child_namespace_mounts.insert("team/custom/".into(), theirs);
    assert!(matches!(decide(&observed, &goal(upgrade())), Decision::Do(_)), "mounts are moved one by one");
    set_pin(&mut observed, "v1.0.0");
    let refusal = refusal_of(&observed, upgrade());
    assert!(refusal.to_string().contains("team/custom/ of another namespace"), "{refusal}");
    observed.child_namespace_mounts.clear();
    observed.namespace = Some("team".into());
    assert!(matches!(refusal_of(&observed, upgrade()), Refusal::NotRootNamespace { .. }));
}

#[test]
fn what_a_failover_starts_before_the_reload_is_tried_as_well() {
    let trial = |mount| SmokeTest { mount: path(mount), path: "creds/dev".into() };
    let goal = goal(UpgradeGoal { smoke_tests: vec![trial("custom"), trial("team")], ..without_canary() });
    for is_pinned in [false, true] {
        let mut observed = old_fleet();
        if is_pinned {
            set_pin(&mut observed, "v1.0.0");
        }
        let moves = |step: &Step| matches!(step, Step::TuneMount { .. } | Step::SetPin { .. });
        let steps = plan(&observed, &goal).expect("a plan").steps;
        let moved = steps.iter().rposition(moves).expect("it moves mounts");
        let mut moved = simulate(&observed, &steps[..=moved]);
        for mount in moved.observed.mounts.values_mut() {
            mount.running_version = "v1.2.3".into();
            mount.running_sha256 = SHA.into();
        }
        let left: Vec<String> =
            plan(&moved, &goal).expect("a plan").steps.iter().map(ToString::to_string).collect();
        // Then the standbys, which serve reads of their own.
        assert_eq!(left[..2], ["try custom/creds/dev", "try team/creds/dev"]);

        // What somebody removes meanwhile needs no trial.
        moved.observed.mounts.remove("custom/");
        let Decision::Do(next) = decide(&moved, &goal) else { panic!("it ended without a trial") };
        assert_eq!(next.to_string(), "try team/creds/dev");
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
    let before = CatalogEntry {
        version: "v1.0.0".into(),
        command: None,
        sha256: "bb".into(),
        ..observed.catalog[0].clone()
    };
    observed.catalog.push(before);
    observed.deployment = None;
    let said = |other_nodes: OtherNodes, placement: Placement| {
        let observed = Observed { other_nodes, ..observed.clone() };
        let made = plan(&observed, &goal(UpgradeGoal { placement, ..rollback_to("1.0.0") })).expect("a plan");
        made.notices.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let nobody = Vec::<String>::new();
    let node = |name: &str| OtherNode { name: name.into(), names: [name.to_owned()].into() };
    let server = ServerLocation::NotDetermined;
    let others = || named(server, vec![node("b"), node("c")]);
    let notices = said(others(), Placement::default());
    assert!(notices[0].contains("custom-1.0.0") && notices[0].contains("Where b, c lack it"), "{notices:?}");
    let notices = said(others(), Placement::PlacedOn(vec!["c".into()]));
    assert!(notices[0].contains("Where b lacks it"), "{notices:?}");
    assert_eq!(said(others(), Placement::PlacedOn(vec!["b".into(), "c".into()])), nobody);
    let notices = said(OtherNodes::Found { server, nodes: NodeList::Unnamed }, Placement::default());
    assert!(notices[0].contains("another node, which the server does not name"), "{notices:?}");
    assert_eq!(said(named(server, Vec::new()), Placement::default()), nobody);
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
    // A node that is down at that hour does not stand in the way, and is said.
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
    // v3 serves everywhere, and v1 and v2 are in place.
    let mut observed = old_fleet();
    observed.server.product = Product::OpenBao;
    for version in ["2.0.0", "3.0.0"] {
        let tagged = format!("v{version}");
        let entry = CatalogEntry {
            version: tagged.clone(),
            command: Some(format!("custom-{version}")),
            ..observed.catalog[0].clone()
        };
        observed.catalog.push(entry);
        for node in observed.deployment.as_mut().expect("a site").nodes.values_mut() {
            let file = crate::observed::deployment::PluginFile {
                name: format!("custom-{version}"),
                ..node.files[0].clone()
            };
            node.files.push(file);
            let vault = node.server.as_mut().expect("a server");
            vault.running.values_mut().for_each(|running| running.version.clone_from(&tagged));
        }
        for mount in observed.mounts.values_mut() {
            mount.configured_version.clone_from(&tagged);
            mount.running_version.clone_from(&tagged);
        }
    }
    assert_eq!(before(&observed), Ok("2.0.0".to_owned()));

    // Mounts are moved and reloaded, and one standby is restarted.
    let made = plan(&observed, &goal(rollback_to("2.0.0"))).expect("a plan");
    let restart = made.steps.iter().position(|step| matches!(step, Step::RestartNode { .. })).expect("there");
    for done in [restart, restart + 1] {
        let mut cut_off = simulate(&observed, &made.steps[..done]).observed;
        assert_eq!(before(&cut_off), Ok("2.0.0".to_owned()), "{done}");
        // Whatever lies between.
        let between = CatalogEntry { version: "v2.5.0".into(), ..cut_off.catalog[0].clone() };
        cut_off.catalog.push(between);
        assert_eq!(before(&cut_off), Ok("2.0.0".to_owned()), "{done}");
    }
    let done = simulate(&observed, &made.steps).observed;
    assert_eq!(before(&done), Ok("1.0.0".to_owned()));
    // Standbys that lag behind an upgrade are not on their way back.
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
        let wanted = RunningVersion { version: "v1.2.3".into(), sha256: SHA.into() };
        assert_eq!(vault.running["custom/"], wanted, "{name}");
        assert_eq!(vault.role == NodeRole::Active, name == "vault-0");
    }
}
