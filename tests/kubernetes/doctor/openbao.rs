//! Standbys of OpenBao run plugins too.

use harness::{PluginVolume, Product, ServerPool, build, eventually};
use rollout::Binary;
use serde_json::json;

use super::pods::{DoctorPods, PLUGIN};

fn on_openbao(test: impl AsyncFnOnce(&DoctorPods)) {
    static PODS: ServerPool<DoctorPods> = ServerPool::new(1);
    let start = async || {
        DoctorPods::healthy(|pods| pods.product(Product::OpenBao).plugin_volume(PluginVolume::Persistent))
            .await
    };
    PODS.run(start, test);
}

#[test]
fn vtp_509_a_standby_runs_another_version() {
    on_openbao(async |pods| {
        let standby = pods.standby().await;
        pods.copy_and_register("notes-2.0.0", "v2.0.0").await;
        let tune = format!("sys/mounts/{PLUGIN}/tune");
        pods.write(&tune, json!({"plugin_version": "v2.0.0"})).await;
        pods.write("sys/plugins/reload/backend", json!({"mounts": [PLUGIN]})).await;
        let on_standby = pods.pods.request(&standby, "GET", "sys/mounts", None).await.success();
        assert_eq!(on_standby[format!("{PLUGIN}/")]["running_plugin_version"], "v1.0.0", "{on_standby:#}");
        pods.doctor.assert_fixed_by_commands_eventually("VTP-509").await;
    });
}

#[test]
fn vtp_652_a_plugin_leases_what_a_standby_reads() {
    on_openbao(async |pods| {
        let active = pods.pods.active().await.to_owned();
        let leasing = build::go_sdk("v0.25.0").await;
        for pod in pods.pods.names() {
            pods.pods.copy_to_plugin_directory(pod, &leasing, "leasing").await;
        }
        let sha256 = Binary::read(&leasing, &mut |_, _| ()).unwrap().sha256;
        let entry = json!({"command": "leasing", "version": "v0.1.0", "sha256": sha256, "env": ["GO_SDK_FAULT=lease"]});
        pods.write("sys/plugins/catalog/secret/leasing", entry).await;
        pods.write("sys/mounts/leasing", json!({"type": "leasing", "config": {"plugin_version": "v0.1.0"}}))
            .await;
        pods.write("leasing/notes/one", json!({"text": "kept"})).await;
        let standby = pods.standby().await;
        let refused = eventually("the standby has heard of the mount", async || {
            let answer = pods.pods.request(&standby, "GET", "leasing/notes/one", None).await;
            (answer.status != 404).then_some(answer)
        })
        .await;
        assert_eq!(refused.status, 500, "{refused:?}");
        let logs = pods.doctor.run(&["--logs"]).await.json();
        let heard = logs["logs"].as_array().unwrap();
        assert!(heard.iter().any(|line| line["id"] == "VTP-652" && line["node"] == *standby), "{logs:#}");
        let leased = pods.pods.request(&active, "GET", "leasing/notes/one", None).await.success();
        assert!(leased["lease_id"].is_string(), "the active node stores it");
        pods.pods.request(&active, "DELETE", "sys/mounts/leasing", None).await.success();
    });
}
