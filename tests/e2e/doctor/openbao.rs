//! What OpenBao alone can show: its standbys run plugins too, and its configuration can declare them.

use std::fs;
use std::path::Path;

use harness::{PluginVolume, Product, Program, build, eventually};
use rollout::Binary;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use super::pods::{PLUGIN, Pods};
use super::{Clinic, FILE, VERSION, set_mode};
use crate::lab::{BINARY, NAME};

/// VTP-509, VTP-652.
#[tokio::test]
async fn standbys_that_run_plugins() {
    let pods =
        Pods::healthy(|pods| pods.product(Product::OpenBao).plugin_volume(PluginVolume::Persistent)).await;
    let active = pods.pods.active().await.to_owned();
    let standby = pods.pods.standbys().await[0].to_owned();

    pods.place_everywhere("notes-2.0.0", "v2.0.0").await;
    pods.register("notes-2.0.0", "v2.0.0").await;
    pods.write(&format!("sys/mounts/{PLUGIN}/tune"), json!({"plugin_version": "v2.0.0"})).await;
    pods.write("sys/plugins/reload/backend", json!({"mounts": [PLUGIN]})).await;
    let on_standby = pods.pods.api(&standby, "GET", "sys/mounts", None).await.success();
    assert_eq!(on_standby[format!("{PLUGIN}/")]["running_plugin_version"], "v1.0.0", "{on_standby:#}");
    pods.clinic.cures_in_a_moment("VTP-509").await;

    let leasing = build::go_sdk("v0.25.0").await;
    for pod in pods.pods.names() {
        pods.pods.place(pod, &leasing, "leasing").await;
    }
    let sha256 = Binary::read(&leasing, &mut |_, _| ()).unwrap().sha256;
    let entry =
        json!({"command": "leasing", "version": "v0.1.0", "sha256": sha256, "env": ["GO_SDK_FAULT=lease"]});
    pods.write("sys/plugins/catalog/secret/leasing", entry).await;
    pods.write("sys/mounts/leasing", json!({"type": "leasing", "config": {"plugin_version": "v0.1.0"}}))
        .await;
    pods.write("leasing/notes/one", json!({"text": "kept"})).await;
    let standby = pods.pods.standbys().await[0].to_owned();
    let refused = eventually("the standby has heard of the mount", async || {
        let answer = pods.pods.api(&standby, "GET", "leasing/notes/one", None).await;
        (answer.status != 404).then_some(answer)
    })
    .await;
    assert_eq!(refused.status, 500, "{refused:?}");
    let logs = pods.clinic.doctor(&["--logs"]).await.json();
    let heard = logs["logs"].as_array().unwrap();
    assert!(heard.iter().any(|line| line["id"] == "VTP-652" && line["node"] == *standby), "{logs:#}");
    let leased = pods.pods.api(&active, "GET", "leasing/notes/one", None).await.success();
    assert!(leased["lease_id"].is_string(), "the active node stores it");
}

/// VTP-169.
#[tokio::test]
async fn a_plugin_that_is_registered_and_declared() {
    let bao = build::openbao().await;
    let kept = tempfile::tempdir().unwrap();
    let folder = fs::canonicalize(kept.path()).unwrap();
    let (data, plugins) = (folder.join("data"), folder.join("plugins"));
    for directory in [&data, &plugins] {
        fs::create_dir(directory).unwrap();
        set_mode(directory, 0o755);
    }
    fs::copy(BINARY, plugins.join(FILE)).unwrap();
    let address = format!("127.0.0.1:{}", harness::free_port());
    let cluster = format!("127.0.0.1:{}", harness::free_port());
    let configuration = json!({
        "api_addr": format!("http://{address}"),
        "cluster_addr": format!("https://{cluster}"),
        "listener": {"tcp": {"address": address, "cluster_address": cluster, "tls_disable": true}},
        "log_level": "error",
        "plugin_directory": plugins,
        "storage": {"raft": {"path": data, "node_id": "only", "performance_multiplier": "1"}},
    });
    let server = Program::new(&bao);
    let start = |configuration: &Value| {
        fs::write(server.home().join("bao.json"), configuration.to_string()).unwrap();
        server.spawn(["server", "-config", "bao.json"])
    };
    let of = |token: &str| {
        Clinic::new(&[("bao", &*bao)], &[], |program| {
            program.env("BAO_ADDR", format!("http://{address}")).env("BAO_TOKEN", token)
        })
    };

    let running = start(&configuration);
    let nobody = of("none yet");
    let answers = async || {
        eventually("the server answers", async || {
            let status = nobody.shell.run(["-c", "bao status -format=json"]).await;
            status.stdout.contains("\"sealed\"").then_some(())
        })
        .await;
    };
    answers().await;
    let keys = nobody.runs("bao operator init -key-shares=1 -key-threshold=1 -format=json").await;
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let clinic = of(keys["root_token"].as_str().unwrap());
    let unseal = format!("bao operator unseal {}", keys["unseal_keys_b64"][0].as_str().unwrap());
    clinic.runs(&unseal).await;
    clinic.is_healthy_in_a_moment().await;
    let sha256 = Binary::read(Path::new(BINARY), &mut |_, _| ()).unwrap().sha256;
    let entry = format!("-sha256={sha256} -version={VERSION} -command={FILE} -args=serve");
    clinic.runs(&format!("bao plugin register {entry} secret {NAME}")).await;
    end(running).await;

    let mut declared = configuration.clone();
    declared["plugin_auto_register"] = json!(true);
    declared["plugin"]["secret"][NAME] =
        json!({"command": FILE, "args": ["serve"], "version": VERSION, "sha256sum": sha256});
    let mut running = start(&declared);
    let mut log = BufReader::new(running.stderr.take().unwrap()).lines();
    answers().await;
    clinic.runs(&unseal).await;
    let refused = loop {
        let line = log.next_line().await.unwrap().expect("the server goes on");
        if line.contains("failed to set up declarative plugins") {
            break line;
        }
    };
    clinic.explains(&refused, "VTP-169").await;
    end(running).await;

    // Of the two, the catalog speaks.
    let _running = start(&configuration);
    answers().await;
    clinic.runs(&unseal).await;
    clinic.is_healthy_in_a_moment().await;
}

async fn end(mut server: Child) {
    server.start_kill().unwrap();
    server.wait().await.unwrap();
}
