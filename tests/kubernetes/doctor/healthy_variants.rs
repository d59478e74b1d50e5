//! No false alarm: doctor reports nothing on healthy clusters of every kind.

use harness::{ImageKind, PluginVolume, RunsAs, Transport, UpdateStrategy, VaultPodsBuilder};

use super::plugin_storage::{IMAGE_WITH_ONE_VERSION, import_image, loader_container};
use super::pods::{DoctorPods, PLUGIN_FILE};

/// How the plugin gets into a pod.
#[derive(Clone, Copy, Debug, PartialEq)]
enum PluginDelivery {
    /// An init container, from an image into an emptyDir.
    InitContainer,
    /// Copied by hand to this volume.
    CopiedTo(PluginVolume),
}

#[derive(Clone, Copy, Debug)]
struct Variant {
    pods: usize,
    delivery: PluginDelivery,
    image: ImageKind,
    update_strategy: UpdateStrategy,
    transport: Transport,
    runs_as: RunsAs,
}

const BY_HAND: PluginDelivery = PluginDelivery::CopiedTo(PluginVolume::Persistent);
const READ_ONLY: PluginDelivery = PluginDelivery::CopiedTo(PluginVolume::ReadOnly);

/// The other variants are described by their differences to this one.
const DEFAULT_VARIANT: Variant = Variant {
    pods: 1,
    delivery: PluginDelivery::InitContainer,
    image: ImageKind::WithShell,
    update_strategy: UpdateStrategy::OnDelete,
    transport: Transport::Plain,
    runs_as: RunsAs::Root,
};

#[tokio::test]
async fn from_an_image() {
    assert_healthy(DEFAULT_VARIANT).await;
}

#[tokio::test]
async fn from_an_image_restricted_on_tls() {
    assert_healthy(Variant { transport: Transport::Tls, runs_as: RunsAs::Restricted, ..DEFAULT_VARIANT })
        .await;
}

#[tokio::test]
async fn from_an_image_without_a_shell() {
    assert_healthy(Variant { image: ImageKind::WithoutShell, ..DEFAULT_VARIANT }).await;
}

#[tokio::test]
async fn from_an_image_without_a_shell_restricted_on_tls() {
    assert_healthy(Variant {
        image: ImageKind::WithoutShell,
        transport: Transport::Tls,
        runs_as: RunsAs::Restricted,
        ..DEFAULT_VARIANT
    })
    .await;
}

#[tokio::test]
async fn on_a_volume() {
    assert_healthy(Variant { delivery: BY_HAND, ..DEFAULT_VARIANT }).await;
}

#[tokio::test]
async fn on_a_volume_with_rolling_updates_on_tls() {
    assert_healthy(Variant {
        delivery: BY_HAND,
        update_strategy: UpdateStrategy::RollingUpdate,
        transport: Transport::Tls,
        ..DEFAULT_VARIANT
    })
    .await;
}

#[tokio::test]
async fn on_a_volume_with_rolling_updates_restricted_on_tls() {
    assert_healthy(Variant {
        delivery: BY_HAND,
        update_strategy: UpdateStrategy::RollingUpdate,
        transport: Transport::Tls,
        runs_as: RunsAs::Restricted,
        ..DEFAULT_VARIANT
    })
    .await;
}

#[tokio::test]
async fn on_a_read_only_volume() {
    assert_healthy(Variant { delivery: READ_ONLY, ..DEFAULT_VARIANT }).await;
}

#[tokio::test]
async fn on_a_read_only_volume_restricted_on_tls() {
    assert_healthy(Variant {
        delivery: READ_ONLY,
        transport: Transport::Tls,
        runs_as: RunsAs::Restricted,
        ..DEFAULT_VARIANT
    })
    .await;
}

#[tokio::test]
async fn from_an_image_in_two_pods() {
    assert_healthy(Variant { pods: 2, ..DEFAULT_VARIANT }).await;
}

async fn assert_healthy(variant: Variant) {
    import_image(IMAGE_WITH_ONE_VERSION, &["1.0.0"]).await;
    let Variant { pods: count, delivery, image, update_strategy, transport, runs_as } = variant;
    let choose = |pods: VaultPodsBuilder| {
        let pods = pods.replicas(count).image(image).update_strategy(update_strategy);
        let pods = pods.transport(transport).runs_as(runs_as);
        match delivery {
            PluginDelivery::CopiedTo(volume) => pods.plugin_volume(volume),
            PluginDelivery::InitContainer => {
                pods.init_container(serde_json::from_value(loader_container(IMAGE_WITH_ONE_VERSION)).unwrap())
            }
        }
    };
    let pods = DoctorPods::new(&[], choose).await;
    if let PluginDelivery::CopiedTo(_) = delivery {
        pods.place_everywhere(PLUGIN_FILE, "v1.0.0").await;
    }
    pods.register(PLUGIN_FILE, "v1.0.0").await;
    pods.mount().await;
    let document = pods.doctor.run(&["--logs"]).await.json();
    assert_eq!(document["healthy"], true, "{variant:?}: {document:#}");
    assert_eq!(document["logs"].as_array().map(Vec::len), Some(0), "{variant:?}: {document:#}");
}
