//! What a restarted standby gets from the image of its init container, and what it would lose.

use super::*;

fn init_container(files: &[&str]) -> PluginStorage {
    PluginStorage::InitContainer {
        name: "plugins".into(),
        image: "plugins:1".into(),
        files: Some(files.iter().map(|&file| file.to_owned()).collect()),
    }
}

/// Three nodes of OpenBao, whose standbys have to be restarted.
fn openbao(keeping: PluginStorage) -> Observed {
    let mut observed = old_fleet();
    observed.server.product = Product::OpenBao;
    let site = observed.deployment.as_mut().expect("a site");
    (site.plugin_storage, site.update_strategy) = (keeping, PodUpdateStrategy::OnDelete);
    observed
}

/// By an image with the version so far and the new one.
fn upgrade_by_image() -> UpgradeGoal {
    let survival = Durability::Image {
        image: "plugins:2".into(),
        files: Some(image_files(&["custom-1.0.0", "custom-1.2.3"])),
    };
    UpgradeGoal { durability: survival, ..without_canary() }
}

#[test]
fn the_image_is_named_before_a_standby_is_restarted_from_it() {
    let observed = openbao(init_container(&["custom-1.0.0"]));
    assert_eq!(
        step_texts(&observed, upgrade_by_image())[4..],
        [
            "reload custom/",
            "reload team/",
            "take plugins:2 as image of init container plugins",
            "restart vault-1, which still runs the version before",
            "restart vault-2, which still runs the version before",
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
        let (named, restarted) = (
            at(|step| matches!(step, Step::PatchInitImage { .. })),
            at(|step| matches!(step, Step::RestartNode { .. })),
        );
        if let (Some(named), Some(restarted)) = (named, restarted) {
            assert!(named < restarted, "after {step}: {again:?}");
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
        let site = observed.deployment.as_ref().expect("a site");
        site.nodes[&NodeName::new("vault-1")].files.iter().map(|file| file.name.clone()).collect()
    };
    let mut too_early = simulate(&moved, [&restart]).observed;
    assert_eq!(files(&too_early), ["custom-1.0.0"]);
    let vault = node(&mut too_early, "vault-1").server.as_ref().expect("a server");
    assert!(!vault.running.contains_key("custom/"), "its file is not there: {:?}", vault.running);
    assert_eq!(files(&simulate(&moved, [&steps[6], &restart]).observed), ["custom-1.0.0", "custom-1.2.3"]);
}

#[test]
fn a_restart_that_would_lose_what_a_mount_runs_is_refused_before_anything_is_done() {
    let empty = || PluginStorage::Ephemeral { description: "emptyDir plugins".into() };
    let in_container = || PluginStorage::ContainerImage { description: "/vault/plugins of the image".into() };
    let accepted = || UpgradeGoal { durability: Durability::NotRequired, ..without_canary() };
    for (keeping, what) in [
        (empty(), "the directory is emptyDir plugins"),
        (in_container(), "the directory is /vault/plugins of the image"),
        (
            init_container(&["custom-1.0.0"]),
            "the image plugins:1 of the init container plugins does not bring it",
        ),
    ] {
        let mut observed = openbao(keeping);
        let refusal = refusal_of(&observed, accepted());
        assert_eq!(
            refusal.to_string(),
            format!("on vault-1: a restart would lose custom-1.2.3, which custom/ needs: {what}")
        );
        assert!(!refusal.hint().contains("--allow-ephemeral"), "{}", refusal.hint());
        // Vault's standbys start a plugin when they become active, and are not restarted.
        observed.server.product = Product::Vault;
        assert!(plan(&observed, &goal(accepted())).is_ok());
    }
    // What another plugin's mount runs there is lost as well.
    let mut observed = openbao(init_container(&["custom-1.0.0", "custom-1.2.3"]));
    let mut other = observed.catalog[0].clone();
    (other.name, other.command) = ("other".into(), Some("other-1.0.0".into()));
    observed.catalog.push(other);
    let mount = MountObserved { plugin: "other".into(), ..observed.mounts["custom/"].clone() };
    observed.mounts.insert("other/".into(), mount);
    assert!(plan(&observed, &goal(without_canary())).is_ok(), "it is not there, so it is not lost");
    let file = node(&mut observed, "vault-1").files[0].clone();
    node(&mut observed, "vault-1")
        .files
        .push(crate::observed::deployment::PluginFile { name: "other-1.0.0".into(), ..file });
    let refusal = refusal_of(&observed, without_canary()).to_string();
    assert!(
        refusal.starts_with("on vault-1: a restart would lose other-1.0.0, which other/ needs"),
        "{refusal}"
    );

    // What came with the container's image comes back with it.
    let mut stale = openbao(in_container());
    for mount in ["custom/", "team/"] {
        let running = RunningVersion { version: "v0.9.0".into(), sha256: "99".into() };
        let vault = node(&mut stale, "vault-1").server.as_mut().expect("a server");
        vault.running.insert(mount.into(), running);
    }
    let steps = plan(&stale, &reload(SealedRestart::Refuse)).expect("a plan").steps;
    assert!(matches!(steps.last(), Some(Step::RestartNode { .. })), "{steps:?}");
    stale.deployment.as_mut().expect("a site").plugin_storage = empty();
    let decision = decide(&stale, &reload(SealedRestart::Refuse));
    assert!(matches!(decision, Decision::Refuse(Refusal::OnNode { .. })), "{decision:?}");
}
