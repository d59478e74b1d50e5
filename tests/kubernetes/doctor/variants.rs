//! No false alarm: on healthy clusters of every kind, doctor reports nothing.

use harness::{ImageKind, PluginVolume, RunsAs, Transport, UpdateStrategy, VaultPodsBuilder};

use super::keeping::{ONE, image, loader};
use super::pods::{PLUGIN_FILE, Pods};

/// What brings the plugin into a pod.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Brought {
    /// An init container, from an image into an emptyDir.
    ByImage,
    /// Somebody, onto this volume.
    ByHand(PluginVolume),
}

#[derive(Clone, Copy, Debug)]
struct Variant {
    pods: usize,
    brought: Brought,
    image: ImageKind,
    update_strategy: UpdateStrategy,
    transport: Transport,
    runs_as: RunsAs,
}

const BY_HAND: Brought = Brought::ByHand(PluginVolume::Persistent);
const READ_ONLY: Brought = Brought::ByHand(PluginVolume::ReadOnly);

/// The others are told by what they change of this one.
const PLAIN: Variant = Variant {
    pods: 1,
    brought: Brought::ByImage,
    image: ImageKind::WithShell,
    update_strategy: UpdateStrategy::OnDelete,
    transport: Transport::Plain,
    runs_as: RunsAs::Root,
};

#[tokio::test]
async fn from_an_image() {
    check(PLAIN).await;
}

#[tokio::test]
async fn from_an_image_restricted_on_tls() {
    check(Variant { transport: Transport::Tls, runs_as: RunsAs::Restricted, ..PLAIN }).await;
}

#[tokio::test]
async fn from_an_image_without_a_shell() {
    check(Variant { image: ImageKind::WithoutShell, ..PLAIN }).await;
}

#[tokio::test]
async fn from_an_image_without_a_shell_restricted_on_tls() {
    check(Variant {
        image: ImageKind::WithoutShell,
        transport: Transport::Tls,
        runs_as: RunsAs::Restricted,
        ..PLAIN
    })
    .await;
}

#[tokio::test]
async fn on_a_volume() {
    check(Variant { brought: BY_HAND, ..PLAIN }).await;
}

#[tokio::test]
async fn on_a_volume_with_rolling_updates_on_tls() {
    check(Variant {
        brought: BY_HAND,
        update_strategy: UpdateStrategy::RollingUpdate,
        transport: Transport::Tls,
        ..PLAIN
    })
    .await;
}

#[tokio::test]
async fn on_a_volume_with_rolling_updates_restricted_on_tls() {
    check(Variant {
        brought: BY_HAND,
        update_strategy: UpdateStrategy::RollingUpdate,
        transport: Transport::Tls,
        runs_as: RunsAs::Restricted,
        ..PLAIN
    })
    .await;
}

#[tokio::test]
async fn on_a_read_only_volume() {
    check(Variant { brought: READ_ONLY, ..PLAIN }).await;
}

#[tokio::test]
async fn on_a_read_only_volume_restricted_on_tls() {
    check(Variant { brought: READ_ONLY, transport: Transport::Tls, runs_as: RunsAs::Restricted, ..PLAIN })
        .await;
}

#[tokio::test]
async fn from_an_image_in_two_pods() {
    check(Variant { pods: 2, ..PLAIN }).await;
}

async fn check(variant: Variant) {
    image(ONE, &["1.0.0"]).await;
    let Variant { pods: count, brought, image, update_strategy, transport, runs_as } = variant;
    let choose = |pods: VaultPodsBuilder| {
        let pods = pods.replicas(count).image(image).update_strategy(update_strategy);
        let pods = pods.transport(transport).runs_as(runs_as);
        match brought {
            Brought::ByHand(volume) => pods.plugin_volume(volume),
            Brought::ByImage => pods.init_container(serde_json::from_value(loader(ONE)).unwrap()),
        }
    };
    let pods = Pods::new(&[], choose).await;
    if let Brought::ByHand(_) = brought {
        pods.place_everywhere(PLUGIN_FILE, "v1.0.0").await;
    }
    pods.register(PLUGIN_FILE, "v1.0.0").await;
    pods.mount().await;
    let document = pods.doctor.run(&["--logs"]).await.json();
    assert_eq!(document["healthy"], true, "{variant:?}: {document:#}");
    assert_eq!(document["logs"].as_array().map(Vec::len), Some(0), "{variant:?}: {document:#}");
}
