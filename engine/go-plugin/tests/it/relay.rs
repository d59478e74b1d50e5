//! The relay plugin under our own host.

use std::path::PathBuf;

use go_plugin::host::{LaunchOptions, PluginProcess, launch};
use go_plugin::{Handshake, MESSAGE_SIZE_LIMIT};
use harness::build::prebuilt_example;
use harness::within_timeout;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

#[path = "../../examples/relay/wire.rs"]
mod wire;

pub(crate) use wire::oracle_server::Oracle;
use wire::oracle_server::OracleServer;
use wire::relay_client::RelayClient;

pub(crate) const HANDSHAKE: Handshake =
    Handshake { cookie_key: "RELAY_PLUGIN", cookie_value: "relay", protocol_versions: &[5] };

pub(crate) fn binary() -> PathBuf {
    prebuilt_example("relay")
}

pub(crate) fn options() -> LaunchOptions {
    LaunchOptions::new(binary(), HANDSHAKE)
}

pub(crate) fn client(running: &PluginProcess) -> RelayClient<Channel> {
    RelayClient::new(running.channel()).max_decoding_message_size(MESSAGE_SIZE_LIMIT)
}

/// Starts the relay and connects it to an oracle that prefixes its answers with `name`.
pub(crate) async fn launch_connected(options: LaunchOptions, name: &'static str) -> PluginProcess {
    let running = launch(options).await.unwrap();
    connect(&running, name).await;
    running
}

pub(crate) async fn connect(running: &PluginProcess, name: &'static str) {
    connect_to(running, PrefixOracle(name)).await;
}

pub(crate) async fn connect_to(running: &PluginProcess, oracle: impl Oracle) {
    let oracle = OracleServer::new(oracle).max_decoding_message_size(MESSAGE_SIZE_LIMIT);
    let service_id = running.serve_brokered(Routes::new(oracle)).await.unwrap();
    let mut relay = client(running);
    within_timeout("the relay connects", relay.connect(service_id.to_string())).await.unwrap();
}

pub(crate) async fn ask(running: &PluginProcess, question: &str) -> Result<String, Status> {
    let mut relay = client(running);
    let answer =
        within_timeout("the relay answers", relay.ask(question.as_bytes().to_vec())).await?.into_inner();
    Ok(String::from_utf8(answer).unwrap())
}

struct PrefixOracle(&'static str);

#[tonic::async_trait]
impl Oracle for PrefixOracle {
    async fn answer(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Status> {
        Ok(Response::new([self.0.as_bytes(), b": ", request.get_ref()].concat()))
    }
}
