//! A pod that contains only the server: no shell command can fix anything, so the tool does, in an ephemeral container.

use std::fs;

use harness::{Cluster, ImageArchive, ImageKind, PluginVolume, ServerPool, build, set_mode};

use super::pods::{DoctorPods, PLUGIN_FILE};

const IMAGE: &str = "localhost/vault-token-plugin:cures";

fn on_a_pod_without_a_shell(test: impl AsyncFnOnce(&DoctorPods)) {
    static PODS: ServerPool<DoctorPods> = ServerPool::new(1);
    let start = async || {
        let program = build::static_binary("vault-token-plugin").await;
        Cluster::shared().await.import_image_once(IMAGE, || ImageArchive::of_program(IMAGE, program)).await;
        let pods = DoctorPods::new(&["--tool-image", IMAGE], |pods| {
            pods.replicas(1).image(ImageKind::WithoutShell).plugin_volume(PluginVolume::Persistent)
        })
        .await;
        pods.copy_and_register(PLUGIN_FILE, "v1.0.0").await;
        pods.mount().await;
        pods.doctor.assert_healthy().await;
        pods
    };
    PODS.run(start, test);
}

#[test]
fn vtp_206_half_a_copy_is_left_behind() {
    on_a_pod_without_a_shell(async |pods| {
        let file = pods.path("vault-0", PLUGIN_FILE).await;
        fs::write(file.with_file_name(".notes-2.0.0.n1.vtp-part"), "cut").unwrap();
        pods.doctor.assert_fixed_by_commands("VTP-206").await;
    });
}

#[test]
fn vtp_210_a_group_may_write_to_a_plugin() {
    on_a_pod_without_a_shell(async |pods| {
        set_mode(&pods.path("vault-0", PLUGIN_FILE).await, 0o775);
        pods.doctor.assert_fixed_by_commands("VTP-210").await;
    });
}

#[test]
fn vtp_304_a_file_is_not_executable() {
    on_a_pod_without_a_shell(async |pods| {
        set_mode(&pods.path("vault-0", PLUGIN_FILE).await, 0o644);
        pods.doctor.assert_fixed_by_commands("VTP-304").await;
    });
}
