//! Runs the example hosts of hashicorp/go-plugin with our plugin, and their plugins with our host.

use go_plugin::Handshake;
use go_plugin::host::{LaunchOptions, PluginProcess, ShutdownOutcome, TlsMode, launch};
use harness::Program;
use harness::build::{go_plugin_example, prebuilt_example};
use tempfile::TempDir;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

#[path = "../../examples/official/wire.rs"]
mod wire;

use wire::add_helper_server::{AddHelper, AddHelperServer};
use wire::counter_client::CounterClient;
use wire::kv_client::KvClient;
use wire::{Key, PutBytes, PutNumber, Summands, Total};

const HANDSHAKE: Handshake =
    Handshake { cookie_key: "BASIC_PLUGIN", cookie_value: "hello", protocol_versions: &[1] };

#[tokio::test]
async fn the_key_value_host_stores_and_reads_with_our_plugin() {
    let host = official_host("official-grpc", "KV_PLUGIN").await;
    assert_eq!(host.run(["put", "greeting", "hello"]).await.success(), "");
    assert_eq!(host.run(["get", "greeting"]).await.success(), "hello\n");
    let refused = host.run(["get", "nothing"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert_eq!(
        refused.stdout,
        "error: rpc error: code = NotFound desc = no value is stored under this key\n"
    );
}

#[tokio::test]
async fn the_bidirectional_host_adds_up_for_our_plugin() {
    let host = official_host("official-bidirectional", "COUNTER_PLUGIN").await;
    assert_eq!(host.run(["put", "apples", "1"]).await.success(), "");
    assert_eq!(host.run(["put", "apples", "41"]).await.success(), "");
    assert_eq!(host.run(["get", "apples"]).await.success(), "42\n");
}

#[tokio::test]
async fn our_host_stores_and_reads_with_the_key_value_plugin() {
    for tls in [TlsMode::AutoMtls, TlsMode::Plaintext] {
        let folder = tempfile::tempdir().unwrap();
        let plugin = launch_official("official-plugin-grpc", &folder, tls).await;
        let mut store = KvClient::new(plugin.channel());
        store.put(PutBytes { key: "greeting".into(), value: b"hello".to_vec() }).await.unwrap();
        let stored = store.get(Key { key: "greeting".into() }).await.unwrap().into_inner().value;
        assert_eq!(stored, b"hello\n\nWritten from plugin-go-grpc");
        assert!(store.get(Key { key: "nothing".into() }).await.is_err());
        assert!(matches!(plugin.shutdown().await.unwrap(), ShutdownOutcome::Graceful(_)));
    }
}

#[tokio::test]
async fn our_host_adds_up_for_the_bidirectional_plugin() {
    for tls in [TlsMode::AutoMtls, TlsMode::Plaintext] {
        let folder = tempfile::tempdir().unwrap();
        let plugin = launch_official("official-plugin-bidirectional", &folder, tls).await;
        let mut counter = CounterClient::new(plugin.channel());
        for value in [1, 41] {
            let helper = Routes::new(AddHelperServer::new(Adder));
            let add_server = plugin.serve_brokered(helper).await.unwrap();
            counter.put(PutNumber { add_server, key: "apples".into(), value }).await.unwrap();
            plugin.stop_service(add_server);
        }
        assert_eq!(counter.get(Key { key: "apples".into() }).await.unwrap().into_inner().value, 42);
        assert!(matches!(plugin.shutdown().await.unwrap(), ShutdownOutcome::Graceful(_)));
    }
}

struct Adder;

#[tonic::async_trait]
impl AddHelper for Adder {
    async fn sum(&self, request: Request<Summands>) -> Result<Response<Total>, Status> {
        let Summands { a, b } = request.into_inner();
        Ok(Response::new(Total { r: a + b }))
    }
}

/// An official example host. It starts our plugin for every command, in the same directory.
async fn official_host(name: &str, variable: &str) -> Program {
    Program::new(go_plugin_example(name).await).env(variable, prebuilt_example("official").to_str().unwrap())
}

/// Starts an official example plugin with `folder` as its working directory.
async fn launch_official(plugin: &str, folder: &TempDir, tls: TlsMode) -> PluginProcess {
    let plugin = go_plugin_example(plugin).await;
    let script = format!("cd '{}' && exec '{}'", folder.path().display(), plugin.display());
    let options = LaunchOptions {
        args: vec!["-c".into(), script.into()],
        tls,
        ..LaunchOptions::new("/bin/sh", HANDSHAKE)
    };
    launch(options).await.unwrap()
}
