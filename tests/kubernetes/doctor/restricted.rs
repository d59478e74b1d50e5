//! A pod whose server is a user of its own, with no right that others have not.

use std::os::unix::fs::chown;

use harness::{PluginVolume, RunsAs, Transport, set_mode};

use super::pods::{PLUGIN_FILE, Pods};

/// As the server's.
const USER: Option<u32> = Some(100);

/// VTP-209, VTP-211, VTP-311.
#[tokio::test]
async fn what_is_wrong_with_a_pod_of_a_restricted_user() {
    let pods = Pods::healthy(|pods| {
        pods.replicas(1)
            .plugin_volume(PluginVolume::Persistent)
            .runs_as(RunsAs::Restricted)
            .transport(Transport::Tls)
    })
    .await;
    let doctor = &pods.doctor;
    let file = pods.path("vault-0", PLUGIN_FILE).await;
    let directory = file.parent().unwrap();

    // The owner may not read it, and may change that.
    chown(&file, USER, None).unwrap();
    set_mode(&file, 0o111);
    doctor.cures("VTP-311").await;

    chown(directory, Some(0), None).unwrap();
    let findings = doctor.finds(&["VTP-209"], &[]).await;
    assert_eq!(findings[0]["severity"], "note");
    set_mode(directory, 0o700);
    doctor.finds(&["VTP-211"], &[]).await;
    // As the cure says: mode 755, and what is to be written to by its owner.
    set_mode(directory, 0o755);
    chown(directory, USER, None).unwrap();
    doctor.is_healthy().await;
}
