//! OpenBao can declare plugins in its configuration.

use std::fs;
use std::path::Path;

use harness::{DoctorRunner, Program, Stream, build, copy_program, eventually, set_mode};
use rollout::Binary;
use serde_json::{Value, json};

use super::{PLUGIN_FILE, VERSION};
use crate::lab::{BINARY, NAME};

#[tokio::test]
async fn vtp_169_a_plugin_is_registered_and_declared() {
    let bao = build::openbao().await;
    let kept = tempfile::tempdir().unwrap();
    let folder = fs::canonicalize(kept.path()).unwrap();
    let (data, plugins) = (folder.join("data"), folder.join("plugins"));
    for directory in [&data, &plugins] {
        fs::create_dir(directory).unwrap();
        set_mode(directory, 0o755);
    }
    copy_program(BINARY, plugins.join(PLUGIN_FILE));
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
        server.start(["server", "-config", "bao.json"])
    };
    let of = |token: &str| {
        DoctorRunner::new(BINARY, &[("bao", &*bao)], &[], |program| {
            program.env("BAO_ADDR", format!("http://{address}")).env("BAO_TOKEN", token)
        })
    };

    let mut running = start(&configuration);
    let anonymous = of("none yet");
    let answers = async || {
        eventually("the server answers", async || {
            let status = anonymous.shell.run(["-c", "bao status -format=json"]).await;
            status.stdout.contains("\"sealed\"").then_some(())
        })
        .await;
    };
    answers().await;
    let keys = anonymous.run_in_shell("bao operator init -key-shares=1 -key-threshold=1 -format=json").await;
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let doctor = of(keys["root_token"].as_str().unwrap());
    let unseal = format!("bao operator unseal {}", keys["unseal_keys_b64"][0].as_str().unwrap());
    doctor.run_in_shell(&unseal).await;
    doctor.wait_healthy().await;
    let sha256 = Binary::read(Path::new(BINARY), &mut |_, _| ()).unwrap().sha256;
    let entry = format!("-sha256={sha256} -version={VERSION} -command={PLUGIN_FILE} -args=serve");
    doctor.run_in_shell(&format!("bao plugin register {entry} secret {NAME}")).await;
    running.kill().await;

    let mut declared = configuration.clone();
    declared["plugin_auto_register"] = json!(true);
    declared["plugin"]["secret"][NAME] =
        json!({"command": PLUGIN_FILE, "args": ["serve"], "version": VERSION, "sha256sum": sha256});
    let mut running = start(&declared);
    answers().await;
    doctor.run_in_shell(&unseal).await;
    let refused = running.wait_for(Stream::Stderr, "failed to set up declarative plugins").await;
    doctor.assert_explains(&refused, "VTP-169").await;
    running.kill().await;

    // Of the two sources, the catalog takes precedence.
    let _running = start(&configuration);
    answers().await;
    doctor.run_in_shell(&unseal).await;
    doctor.wait_healthy().await;
}
