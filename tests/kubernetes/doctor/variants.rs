//! No false alarm: healthy clusters of every kind, on which doctor has nothing to say.
//!
//! Each run takes one of them by the day, so that all have had their turn in ten days; with DOCTOR_VARIANTS=all it takes all.

use std::time::{SystemTime, UNIX_EPOCH};

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

const VARIANTS: [Variant; 10] = [
    PLAIN,
    Variant { transport: Transport::Tls, runs_as: RunsAs::Restricted, ..PLAIN },
    Variant { image: ImageKind::WithoutShell, ..PLAIN },
    Variant {
        image: ImageKind::WithoutShell,
        transport: Transport::Tls,
        runs_as: RunsAs::Restricted,
        ..PLAIN
    },
    Variant { brought: BY_HAND, ..PLAIN },
    Variant {
        brought: BY_HAND,
        update_strategy: UpdateStrategy::RollingUpdate,
        transport: Transport::Tls,
        ..PLAIN
    },
    Variant {
        brought: BY_HAND,
        update_strategy: UpdateStrategy::RollingUpdate,
        transport: Transport::Tls,
        runs_as: RunsAs::Restricted,
        ..PLAIN
    },
    Variant { brought: READ_ONLY, ..PLAIN },
    Variant { brought: READ_ONLY, transport: Transport::Tls, runs_as: RunsAs::Restricted, ..PLAIN },
    Variant { pods: 2, ..PLAIN },
];

#[tokio::test]
async fn doctor_calls_a_healthy_cluster_healthy() {
    image(ONE, &["1.0.0"]).await;
    for variant in chosen() {
        check(variant).await;
    }
}

fn chosen() -> Vec<Variant> {
    if std::env::var("DOCTOR_VARIANTS").is_ok_and(|which| which == "all") {
        return VARIANTS.to_vec();
    }
    let days = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / (24 * 60 * 60);
    vec![VARIANTS[usize::try_from(days).unwrap() % VARIANTS.len()]]
}

async fn check(variant: Variant) {
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
