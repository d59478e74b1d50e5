//! Observations of pods of every kind.

use harness::{
    ImageArchive, ImageContent, PluginVolume, RunsAs, Transport, UpdateStrategy, build, eventually,
};
use kube::api::{Patch, PatchParams};
use rollout::{
    Architecture, Deployment, DeploymentKind, DirectoryState, NodeName, NodeRole, PluginStorage,
    PodUpdateStrategy, Readiness,
};
use serde_json::json;
use vault_api::health;

use crate::lab::{FILE, Lab, copy, node, observe_pods, plugin};

#[tokio::test]
async fn three_plain_pods_are_seen_as_they_are_and_given_a_file_at_once() {
    let lab = Lab::new(|pods| pods).await;
    let deployment = lab.deployment().await;
    let seen = observe_pods(&deployment).await;
    let kind = DeploymentKind::Kubernetes {
        namespace: lab.pods.namespace().to_owned(),
        statefulset: "vault".to_owned(),
        container: "vault".to_owned(),
    };
    assert_eq!(seen.kind, kind);
    assert_eq!(seen.plugin_storage, PluginStorage::Ephemeral { description: "emptyDir plugins".to_owned() });
    assert_eq!((seen.update_strategy, seen.lock_holder.as_ref()), (PodUpdateStrategy::OnDelete, None));
    assert_eq!(seen.nodes.len(), 3);
    let active = lab.pods.active().await;
    for (name, node) in &seen.nodes {
        assert_eq!(
            (&node.readiness, &node.directory),
            (&Readiness::Ready, &DirectoryState::Usable),
            "{name}"
        );
        assert_eq!((node.architecture, node.files.len()), (Architecture::host(), 0), "{name}");
        assert!(node.free_bytes.is_some_and(|free| free > 0), "{name}");
        let server = node.server.as_ref().unwrap();
        let role = if name.as_str() == active { NodeRole::Active } else { NodeRole::Standby };
        assert_eq!((server.role, server.sealed, server.version.as_str()), (role, false, "1.21.4"), "{name}");
        assert_eq!(server.running.contains_key("sys/"), role == NodeRole::Active, "{name}");
    }

    let binary = plugin().await;
    let progress = copy(&deployment, &binary).await.unwrap();
    assert_eq!(progress.len(), 3);
    assert!(
        progress.iter().all(|copied| (copied.done, copied.total) == (binary.size, binary.size)),
        "{progress:?}"
    );
    let seen = observe_pods(&deployment).await;
    for pod in lab.pods.names() {
        let [file] = &node(&seen, pod).files[..] else { panic!("{:?}", node(&seen, pod).files) };
        assert_eq!((&*file.name, &file.sha256, file.mode), (FILE, &binary.sha256, 0o755));
        assert_eq!(lab.files(pod).await, [FILE]);
    }
    // Existing files are kept.
    copy(&deployment, &binary).await.unwrap();

    let all: Vec<NodeName> = seen.nodes.keys().cloned().collect();
    deployment.remove(FILE, &all).await.unwrap();
    deployment.remove(FILE, &all).await.unwrap();
    assert!(observe_pods(&deployment).await.nodes.values().all(|node| node.files.is_empty()));
}

#[tokio::test]
async fn the_connection_survives_and_follows_the_active_pod() {
    let lab = Lab::new(|pods| pods.transport(Transport::Tls)).await;
    let deployment = lab.deployment().await;
    let client = deployment.client();
    for _ in 0..200 {
        assert!(!client.send(&health::Read).await.unwrap().standby);
    }
    let active = lab.pods.active().await;
    let direct = deployment.node_client(&NodeName::new(active)).await.unwrap().unwrap();
    assert!(!direct.send(&health::Read).await.unwrap().standby);

    // The pod is replaced: the same client reaches the next one.
    lab.pods.delete(active).await;
    eventually("the recreated pod responds", async || {
        direct.send(&health::Read).await.ok().filter(|health| !health.sealed)
    })
    .await;
    eventually("the active pod responds", async || {
        deployment.find_active().await.unwrap();
        client.send(&health::Read).await.ok().filter(|health| !health.standby && !health.sealed)
    })
    .await;
}

#[tokio::test]
async fn a_pod_that_is_restricted_and_keeps_its_files_is_seen_so() {
    let lab = Lab::new(|pods| {
        pods.replicas(1)
            .plugin_volume(PluginVolume::Persistent)
            .runs_as(RunsAs::Restricted)
            .update_strategy(UpdateStrategy::RollingUpdate)
            .transport(Transport::Tls)
    })
    .await;
    let deployment = lab.deployment().await;
    let seen = observe_pods(&deployment).await;
    let description = "persistent volume claim plugins of each pod".to_owned();
    assert_eq!(
        (seen.plugin_storage, seen.update_strategy),
        (PluginStorage::PersistentVolume { description }, PodUpdateStrategy::RollingUpdate)
    );
    copy(&deployment, &plugin().await).await.unwrap();

    lab.pods.delete("vault-0").await;
    let away = observe_pods(&deployment).await;
    assert!(matches!(node(&away, "vault-0").readiness, Readiness::NotReady { .. }), "{away:?}");
    lab.pods.wait_all_ready().await;
    let back = observe_pods(&deployment).await;
    assert_eq!(node(&back, "vault-0").readiness, Readiness::Ready, "{back:?}");
    assert_eq!(node(&back, "vault-0").files.len(), 1);
}

#[tokio::test]
async fn a_read_only_directory_and_a_missing_pod_are_named() {
    let mut lab = Lab::new(|pods| pods.replicas(1).plugin_volume(PluginVolume::ReadOnly)).await;
    let deployment = lab.deployment().await;
    assert_eq!(node(&observe_pods(&deployment).await, "vault-0").directory, DirectoryState::ReadOnly);
    let refused = copy(&deployment, &plugin().await).await.unwrap_err().to_string();
    assert!(refused.starts_with("vault-0 could not store the file: "), "{refused}");

    // A claim that cannot be bound: the pod stays Pending.
    lab.pods.scale(1).await;
    let patch = Patch::Merge(serde_json::json!({"spec": {"replicas": 2}}));
    let sets = lab.pods.stateful_sets();
    sets.patch("vault", &PatchParams::default(), &patch).await.unwrap();
    let seen = observe_pods(&deployment).await;
    assert!(matches!(node(&seen, "vault-1").readiness, Readiness::NotReady { .. }), "{seen:?}");
}

#[tokio::test]
async fn a_pod_that_does_not_start_is_reported_with_the_message_of_its_init_container() {
    let lab = Lab::new(|pods| pods.replicas(1)).await;
    let deployment = lab.deployment().await;
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("loader");
    std::fs::write(&foreign, of_another_machine()).unwrap();
    let image =
        ImageArchive::new("localhost/foreign:1", "/loader", &[("loader", ImageContent::Program(foreign))]);
    lab.pods.cluster().import_archive(&image.path()).await;

    let full = ["/bin/sh", "-c", "echo 'Error: /vault/plugins is too small' >&2; exit 1"];
    for (image, command, words) in [
        ("localhost/vault:1.21.4", &full[..], "Error: /vault/plugins is too small"),
        ("localhost/foreign:1", &["/loader"], "`package --platform` builds it for several"),
    ] {
        let loader = json!({
            "name": "loader", "image": image, "imagePullPolicy": "Never", "command": command,
            "terminationMessagePolicy": "FallbackToLogsOnError",
        });
        let patch = Patch::Strategic(json!({"spec": {"template": {"spec": {"initContainers": [loader]}}}}));
        lab.pods.stateful_sets().patch("vault", &PatchParams::default(), &patch).await.unwrap();
        lab.pods.kill("vault-0").await;
        eventually(words, async || match &node(&observe_pods(&deployment).await, "vault-0").readiness {
            Readiness::NotReady { reason } => reason.contains(words).then_some(()),
            Readiness::Ready => None,
        })
        .await;
    }
}

/// The header of an executable that no node here can start.
fn of_another_machine() -> Vec<u8> {
    let mut file = vec![0; 64];
    file[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    file[16] = 2;
    build::set_foreign_machine(&mut file);
    file[52] = 64;
    file
}
