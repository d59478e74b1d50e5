//! Restarts of standbys whose files come from the image of an init container.

use super::*;

fn init_container(files: &[&str]) -> PluginStorage {
    PluginStorage::InitContainer {
        name: "plugins".into(),
        image: "plugins:1".into(),
        files: Some(files.iter().map(|&file| file.to_owned()).collect()),
    }
}

/// Three nodes of OpenBao, whose standbys have to be restarted.
fn openbao(storage: PluginStorage) -> Observed {
    let mut observed = old_fleet();
    observed.server.product = Product::OpenBao;
    let deployment = observed.deployment.as_mut().expect("a deployment");
    (deployment.plugin_storage, deployment.update_strategy) = (storage, PodUpdateStrategy::OnDelete);
    observed
}

/// An upgrade with an image that contains the previous and the new version.
fn upgrade_by_image() -> UpgradeGoal {
    let durability = Durability::Image {
        image: "plugins:2".into(),
        files: Some(image_files(&["custom-1.0.0", "custom-1.2.3"])),
    };
    UpgradeGoal { durability, ..without_canary() }
}

#[test]
fn the_image_is_named_before_a_standby_is_restarted_from_it() {
    let observed = openbao(init_container(&["custom-1.0.0"]));
    assert_eq!(
        step_texts(&observed, upgrade_by_image())[4..],
        [
            "reload custom/",
            "reload team/",
            "set the image of init container plugins to plugins:2",
            "restart vault-1, which still runs the previous version",
            "restart vault-2, which still runs the previous version",
        ]
    );
}

#[test]
fn a_run_that_was_killed_around_the_naming_of_the_image_is_continued() {
    let mut killed = openbao(init_container(&["custom-1.0.0"]));
    for step in plan(&killed, &goal(upgrade_by_image())).expect("a plan").steps {
        killed = simulate(&killed, [&step]).observed;
        let again = plan(&killed, &goal(upgrade_by_image())).expect("a plan").steps;
        let at = |is: fn(&Step) -> bool| again.iter().position(is);
        let (patched, restarted) = (
            at(|step| matches!(step, Step::PatchInitImage { .. })),
            at(|step| matches!(step, Step::RestartNode { .. })),
        );
        if let (Some(patched), Some(restarted)) = (patched, restarted) {
            assert!(patched < restarted, "after {step}: {again:?}");
        }
        let then = simulate(&killed, &again);
        assert_eq!(decide(&then, &goal(upgrade_by_image())), Decision::Done, "after {step}");
    }
}

#[test]
fn a_restarted_node_has_what_its_image_brings_and_runs_nothing_else() {
    let observed = openbao(init_container(&["custom-1.0.0"]));
    let steps = plan(&observed, &goal(upgrade_by_image())).expect("a plan").steps;
    let moved = simulate(&observed, &steps[..6]);
    let restart = restart_step("vault-1");
    let files = |observed: &Observed| -> Vec<String> {
        let deployment = observed.deployment.as_ref().expect("a deployment");
        deployment.nodes[&NodeName::new("vault-1")].files.iter().map(|file| file.name.clone()).collect()
    };
    let mut too_early = simulate(&moved, [&restart]).observed;
    assert_eq!(files(&too_early), ["custom-1.0.0"]);
    let vault = node(&mut too_early, "vault-1").server.as_ref().expect("a server");
    assert!(!vault.running.contains_key("custom/"), "its file is missing: {:?}", vault.running);
    assert_eq!(files(&simulate(&moved, [&steps[6], &restart]).observed), ["custom-1.0.0", "custom-1.2.3"]);
}

#[test]
fn a_restart_that_would_lose_what_a_mount_runs_is_refused_before_anything_is_done() {
    let empty = || PluginStorage::Ephemeral { description: "emptyDir plugins".into() };
    let in_container = || PluginStorage::ContainerImage { description: "/vault/plugins of the image".into() };
    let accepted = || UpgradeGoal { durability: Durability::NotRequired, ..without_canary() };
    for (storage, reason) in [
        (empty(), "the directory is emptyDir plugins"),
        (in_container(), "the directory is /vault/plugins of the image"),
        (
            init_container(&["custom-1.0.0"]),
            "the image plugins:1 of the init container plugins does not contain it",
        ),
    ] {
        let mut observed = openbao(storage);
        let refusal = refusal_of(&observed, accepted());
        assert_eq!(
            refusal.to_string(),
            format!("on vault-1: a restart would remove custom-1.2.3, which custom/ requires: {reason}")
        );
        assert!(!refusal.hint().contains("--allow-ephemeral"), "{}", refusal.hint());
        // A standby of Vault starts plugins when it becomes active, and is not restarted.
        observed.server.product = Product::Vault;
        assert!(plan(&observed, &goal(accepted())).is_ok());
    }
    // The file of another plugin would be removed as well.
    let mut observed = openbao(init_container(&["custom-1.0.0", "custom-1.2.3"]));
    let mut other = observed.catalog[0].clone();
    (other.name, other.command) = ("other".into(), Some("other-1.0.0".into()));
    observed.catalog.push(other);
    let mount = ConsumerObserved { plugin: "other".into(), ..observed.consumers["custom/"].clone() };
    observed.consumers.insert("other/".parse().expect("a path"), mount);
    assert!(plan(&observed, &goal(without_canary())).is_ok(), "the node does not have it");
    let file = node(&mut observed, "vault-1").files[0].clone();
    node(&mut observed, "vault-1")
        .files
        .push(crate::observed::deployment::PluginFile { name: "other-1.0.0".into(), ..file });
    let refusal = refusal_of(&observed, without_canary()).to_string();
    assert!(
        refusal.starts_with("on vault-1: a restart would remove other-1.0.0, which other/ requires"),
        "{refusal}"
    );

    // The image of the container restores its own files.
    let mut stale = openbao(in_container());
    for mount in ["custom/", "team/"] {
        let running = RunningVersion { version: "v0.9.0".into(), sha256: "99".into() };
        let vault = node(&mut stale, "vault-1").server.as_mut().expect("a server");
        vault.running.insert(mount.into(), running);
    }
    let steps = plan(&stale, &reload(SealedRestart::Refuse)).expect("a plan").steps;
    assert!(matches!(steps.last(), Some(Step::RestartNode { .. })), "{steps:?}");
    stale.deployment.as_mut().expect("a deployment").plugin_storage = empty();
    let decision = decide(&stale, &reload(SealedRestart::Refuse));
    assert!(matches!(decision, Decision::Refuse(Refusal::OnNode { .. })), "{decision:?}");
}
