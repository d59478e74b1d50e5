//! Registered files that no pod can start. The server's error is in its log.

use std::fs;

use harness::build;
use rollout::Binary;
use rustix::fs::{XattrFlags, removexattr, setxattr};
use serde_json::json;

use super::pods::{PLUGIN, on_three_pods};

/// Registers a file with this content on three pods and mounts it, which fails. Doctor must report `id` and fix it, and find `logged` in
/// the log of the active pod.
fn assert_cannot_start(id: &str, logged: &str, content: impl AsyncFnOnce() -> Vec<u8>) {
    on_three_pods(async |pods| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, content().await).unwrap();
        let name = id.to_lowercase();
        let placed = format!("{name}-1.0.0");
        for pod in pods.pods.names() {
            pods.pods.copy_to_plugin_directory(pod, &file, &placed).await;
        }
        let sha256 = Binary::read(&file, &mut |_, _| ()).unwrap().sha256;
        let entry = json!({"command": placed, "version": "v1.0.0", "sha256": sha256});
        pods.write(&format!("sys/plugins/catalog/secret/{name}"), entry).await;
        let body = Some(json!({"type": name, "config": {"plugin_version": "v1.0.0"}}));
        let active = pods.pods.active().await;
        let refused = pods.pods.request(active, "POST", "sys/mounts/refused", body).await;
        assert!(refused.status >= 400, "{refused:?}");
        pods.doctor.assert_fixed_by_commands(id).await;
        let logs = pods.doctor.run(&["--logs"]).await.json();
        let found = logs["logs"].as_array().unwrap();
        assert!(found.iter().any(|line| line["id"] == logged && line["node"] == active), "{logs:#}");
    });
}

#[test]
fn vtp_307_a_file_is_no_executable() {
    assert_cannot_start("VTP-307", "VTP-307", async || b"<html>not found</html>".to_vec());
}

/// The kernel returns the same error for a file of another format.
#[test]
fn vtp_308_a_file_is_for_another_machine() {
    assert_cannot_start("VTP-308", "VTP-307", async || {
        let mut content = fs::read(build::go_kv("v1.0.0").await).unwrap();
        build::set_foreign_machine(&mut content);
        content
    });
}

#[test]
fn vtp_309_the_dynamic_linker_of_a_file_is_missing() {
    assert_cannot_start("VTP-309", "VTP-309", async || fs::read("/bin/true").unwrap());
}

/// `CAP_SYS_BOOT`, permitted and effective, as the kernel keeps it with a file; no container has it.
const FILE_CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const CAPABILITY_ATTRIBUTE: &str = "security.capability";

#[test]
fn vtp_152_a_file_asks_for_capabilities_that_the_container_has_not() {
    on_three_pods(async |pods| {
        let active = pods.pods.active().await;
        pods.copy_and_register("notes-2.0.0", "v2.0.0").await;
        let file = pods.path(active, "notes-2.0.0").await;
        setxattr(&file, CAPABILITY_ATTRIBUTE, &FILE_CAPABILITY, XattrFlags::empty()).unwrap();
        let mount = || Some(json!({"type": PLUGIN, "config": {"plugin_version": "v2.0.0"}}));
        let refused = pods.pods.request(active, "POST", "sys/mounts/capable", mount()).await;
        assert!(refused.status >= 400, "{refused:?}");
        let told = pods.doctor.assert_explains(&refused.body.to_string(), "VTP-152").await;
        assert!(told["remediation"].as_str().unwrap().starts_with("Remove them with `setcap -r`"), "{told}");
        removexattr(&file, CAPABILITY_ATTRIBUTE).unwrap();
        pods.pods.request(active, "POST", "sys/mounts/capable", mount()).await.success();
        pods.doctor.assert_healthy().await;
        pods.pods.request(active, "DELETE", "sys/mounts/capable", None).await.success();
    });
}
