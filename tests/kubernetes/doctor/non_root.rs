//! A pod whose server runs as an ordinary user.

use std::os::unix::fs::chown;

use harness::{PluginVolume, RunsAs, ServerPool, Transport, set_mode};

use super::pods::{DoctorPods, PLUGIN_FILE};

/// The user of the server.
const SERVER_UID: Option<u32> = Some(100);

fn on_a_restricted_pod(test: impl AsyncFnOnce(&DoctorPods)) {
    static PODS: ServerPool<DoctorPods> = ServerPool::new(1);
    let start = async || {
        DoctorPods::healthy(|pods| {
            let pods = pods.replicas(1).plugin_volume(PluginVolume::Persistent);
            pods.runs_as(RunsAs::Restricted).transport(Transport::Tls)
        })
        .await
    };
    PODS.run(start, test);
}

#[test]
fn vtp_209_the_server_may_not_write_to_the_directory() {
    on_a_restricted_pod(async |pods| {
        let file = pods.path("vault-0", PLUGIN_FILE).await;
        let directory = file.parent().unwrap();
        chown(directory, Some(0), None).unwrap();
        let findings = pods.doctor.assert_finds(&["VTP-209"], &[]).await;
        assert_eq!(findings[0]["severity"], "note");
        chown(directory, SERVER_UID, None).unwrap();
        pods.doctor.assert_healthy().await;
    });
}

#[test]
fn vtp_211_the_server_may_not_enter_the_directory() {
    on_a_restricted_pod(async |pods| {
        let file = pods.path("vault-0", PLUGIN_FILE).await;
        let directory = file.parent().unwrap();
        chown(directory, Some(0), None).unwrap();
        set_mode(directory, 0o700);
        pods.doctor.assert_finds(&["VTP-211"], &[]).await;
        // As the remediation says: mode 755, and the server's user as owner of the files that it writes.
        set_mode(directory, 0o755);
        chown(directory, SERVER_UID, None).unwrap();
        pods.doctor.assert_healthy().await;
    });
}

#[test]
fn vtp_311_the_server_may_not_read_the_file() {
    on_a_restricted_pod(async |pods| {
        let file = pods.path("vault-0", PLUGIN_FILE).await;
        // The owner may not read it, but may change that.
        chown(&file, SERVER_UID, None).unwrap();
        set_mode(&file, 0o111);
        pods.doctor.assert_fixed_by_commands("VTP-311").await;
    });
}
