//! Files and volumes of one pod that differ from those of the others.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use harness::set_mode;
use serde_json::json;

use super::plugin_storage::{IMAGE_WITH_ONE_VERSION, import_image, loader_container};
use super::pods::{DoctorPods, PLUGIN_FILE, on_three_pods};

impl DoctorPods {
    /// The plugin's file on a standby.
    async fn file_of_a_standby(&self) -> PathBuf {
        self.path(&self.standby().await, PLUGIN_FILE).await
    }

    pub(super) async fn standby(&self) -> String {
        self.pods.standbys().await[0].to_owned()
    }
}

#[test]
fn vtp_203_the_volume_of_a_pod_is_mounted_noexec() {
    on_three_pods(async |pods| {
        let standby = pods.standby().await;
        pods.pods.remount_plugin_directory(&standby, "noexec").await;
        pods.doctor.assert_finds(&["VTP-203"], &[]).await;
        pods.pods.remount_plugin_directory(&standby, "exec").await;
        pods.doctor.assert_healthy().await;
    });
}

#[test]
fn vtp_206_half_a_copy_is_left_in_a_pod() {
    on_three_pods(async |pods| {
        let file = pods.file_of_a_standby().await;
        fs::write(file.with_file_name(".notes-2.0.0.n1.vtp-part"), "cut").unwrap();
        pods.doctor.assert_fixed_by_commands("VTP-206").await;
    });
}

#[test]
fn vtp_207_the_volume_of_a_pod_is_full() {
    on_three_pods(async |pods| {
        let standby = pods.standby().await;
        pods.pods.fill_plugin_directory(&standby).await;
        let findings = pods.doctor.assert_finds(&["VTP-207"], &[]).await;
        pods.doctor.run_in_shell(findings[0]["commands"][0].as_str().unwrap()).await;
        // There was nothing to remove; it needs a larger volume.
        pods.pods.unfill_plugin_directory(&standby).await;
        pods.doctor.assert_healthy().await;
    });
}

#[test]
fn vtp_208_the_file_of_a_pod_is_a_symbolic_link() {
    on_three_pods(async |pods| {
        let file = pods.file_of_a_standby().await;
        // Another folder of the pod than the plugin directory.
        let elsewhere = file.parent().unwrap().with_file_name("data").join("elsewhere");
        fs::copy(&file, elsewhere).unwrap();
        fs::remove_file(&file).unwrap();
        symlink("/vault/data/elsewhere", &file).unwrap();
        pods.doctor.assert_fixed_by_commands("VTP-208").await;
    });
}

#[test]
fn vtp_210_a_group_may_write_to_the_file_of_a_pod() {
    on_three_pods(async |pods| {
        set_mode(&pods.file_of_a_standby().await, 0o775);
        pods.doctor.assert_fixed_by_commands("VTP-210").await;
    });
}

#[test]
fn vtp_302_only_one_pod_has_the_file() {
    on_three_pods(async |pods| {
        let standby = pods.standby().await;
        for pod in pods.pods.names().into_iter().filter(|pod| *pod != standby) {
            fs::remove_file(pods.path(pod, PLUGIN_FILE).await).unwrap();
        }
        pods.doctor.assert_fixed_by_commands("VTP-302").await;
    });
}

#[test]
fn vtp_303_the_file_of_a_pod_has_another_checksum() {
    on_three_pods(async |pods| {
        fs::write(pods.file_of_a_standby().await, "#!/bin/sh\n").unwrap();
        pods.doctor.assert_fixed_by_commands("VTP-303").await;
    });
}

#[test]
fn vtp_304_the_file_of_a_pod_is_not_executable() {
    on_three_pods(async |pods| {
        set_mode(&pods.file_of_a_standby().await, 0o644);
        pods.doctor.assert_fixed_by_commands("VTP-304").await;
    });
}

/// An emptyDir is writable for every container that mounts it. A pod in which only the server mounts it is healthy: see `variants`.
#[tokio::test]
async fn vtp_213_another_container_can_write_to_the_plugin_directory() {
    import_image(IMAGE_WITH_ONE_VERSION, &["1.0.0"]).await;
    let audit = json!({
        "name": "audit",
        "imagePullPolicy": "Never",
        "command": ["/bin/sh", "-c", "while sleep 1; do :; done"],
        "volumeMounts": [{"name": "plugins", "mountPath": "/plugins"}],
    });
    let pods = DoctorPods::new(&[], |pods| {
        let pods = pods
            .replicas(1)
            .init_container(serde_json::from_value(loader_container(IMAGE_WITH_ONE_VERSION)).unwrap());
        pods.sidecar(serde_json::from_value(audit).unwrap())
    })
    .await;
    pods.register(PLUGIN_FILE, "v1.0.0").await;
    pods.mount().await;
    let findings = pods.doctor.assert_finds(&["VTP-213"], &[]).await;
    let evidence = findings[0]["evidence"].as_str().unwrap();
    for words in ["/vault/plugins has mode 777", "the container audit"] {
        assert!(evidence.contains(words), "{words:?} is not in: {evidence}");
    }
    let mount = json!({"name": "plugins", "mountPath": "/plugins", "readOnly": true});
    let audit = json!({"name": "audit", "volumeMounts": [mount]});
    pods.patch("strategic", &json!({"spec": {"template": {"spec": {"containers": [audit]}}}})).await;
    pods.pods.delete("vault-0").await;
    pods.pods.wait_all_ready().await;
    pods.doctor.wait_healthy().await;
}
