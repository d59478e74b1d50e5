//! The example programs of hashicorp/go-plugin itself, host and plugin, each with ours in place of the other.

use std::path::{Path, PathBuf};
use std::process::Command;

use go_plugin::Handshake;
use go_plugin::host::{Exit, LaunchOptions, Running, Security, launch};
use tempfile::TempDir;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::interop::go_host;
use crate::relay::example;

#[path = "../../examples/official/wire.rs"]
mod wire;

use wire::add_helper_server::{AddHelper, AddHelperServer};
use wire::counter_client::CounterClient;
use wire::kv_client::KvClient;
use wire::{Key, PutBytes, PutNumber, Summands, Total};

const HANDSHAKE: Handshake =
    Handshake { cookie_key: "BASIC_PLUGIN", cookie_value: "hello", protocol_versions: &[1] };

#[test]
fn the_key_value_host_stores_and_reads_with_our_plugin() {
    let store = Store::new("official-grpc", "KV_PLUGIN");
    assert_eq!(store.host(&["put", "greeting", "hello"]), "");
    assert_eq!(store.host(&["get", "greeting"]), "hello\n");
    let refused = store.run(&["get", "nothing"]);
    assert_eq!(refused, (false, "error: rpc error: code = NotFound desc = nothing is stored there\n".into()));
}

#[test]
fn the_bidirectional_host_adds_up_for_our_plugin() {
    let store = Store::new("official-bidirectional", "COUNTER_PLUGIN");
    assert_eq!(store.host(&["put", "apples", "1"]), "");
    assert_eq!(store.host(&["put", "apples", "41"]), "");
    assert_eq!(store.host(&["get", "apples"]), "42\n");
}

#[tokio::test]
async fn our_host_stores_and_reads_with_the_key_value_plugin() {
    for security in [Security::AutoMtls, Security::Plain] {
        let folder = tempfile::tempdir().unwrap();
        let plugin = started("official-plugin-grpc", &folder, security).await;
        let mut store = KvClient::new(plugin.channel());
        store.put(PutBytes { key: "greeting".into(), value: b"hello".to_vec() }).await.unwrap();
        let stored = store.get(Key { key: "greeting".into() }).await.unwrap().into_inner().value;
        assert_eq!(stored, b"hello\n\nWritten from plugin-go-grpc");
        assert!(store.get(Key { key: "nothing".into() }).await.is_err());
        assert!(matches!(plugin.shutdown().await.unwrap(), Exit::Graceful(_)));
    }
}

#[tokio::test]
async fn our_host_adds_up_for_the_bidirectional_plugin() {
    for security in [Security::AutoMtls, Security::Plain] {
        let folder = tempfile::tempdir().unwrap();
        let plugin = started("official-plugin-bidirectional", &folder, security).await;
        let mut counter = CounterClient::new(plugin.channel());
        for value in [1, 41] {
            let helper = Routes::new(AddHelperServer::new(Adder));
            let add_server = plugin.serve_brokered(helper).await.unwrap();
            counter.put(PutNumber { add_server, key: "apples".into(), value }).await.unwrap();
            plugin.withdraw(add_server);
        }
        assert_eq!(counter.get(Key { key: "apples".into() }).await.unwrap().into_inner().value, 42);
        assert!(matches!(plugin.shutdown().await.unwrap(), Exit::Graceful(_)));
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

/// One of the official hosts, which starts our plugin anew for every command.
struct Store {
    host: PathBuf,
    variable: &'static str,
    folder: TempDir,
}

impl Store {
    fn new(host: &str, variable: &'static str) -> Store {
        Store { host: official(host), variable, folder: tempfile::tempdir().unwrap() }
    }

    /// What it prints when all is well.
    fn host(&self, args: &[&str]) -> String {
        let (well, printed) = self.run(args);
        assert!(well, "{printed}");
        printed
    }

    fn run(&self, args: &[&str]) -> (bool, String) {
        let mut command = Command::new(&self.host);
        let command = command.args(args).current_dir(self.folder.path());
        let output = command.env(self.variable, example("official")).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }
}

/// One of the official plugins, with its files in `folder`.
async fn started(plugin: &str, folder: &TempDir, security: Security) -> Running {
    let there = format!("cd '{}' && exec '{}'", folder.path().display(), official(plugin).display());
    let options = LaunchOptions {
        args: vec!["-c".into(), there.into()],
        security,
        ..LaunchOptions::new("/bin/sh", HANDSHAKE)
    };
    launch(options).await.unwrap()
}

/// They are built beside the host of the other tests.
fn official(name: &str) -> PathBuf {
    let directory = go_host().parent().map(Path::to_owned).unwrap();
    directory.join(name)
}
