//! A small plugin that uses every feature: it forwards each request back to a service of its host, over the broker.
//!
//! The tests of this crate start it, from Rust and from a Go host. Two arguments cause faults:
//! `--print-first` writes to stdout before the handshake, `--panic` panics.

use std::error::Error as _;
use std::process::ExitCode;

use go_plugin::log::{self, Level, Logger};
use go_plugin::{Broker, Environment, Handshake, MESSAGE_SIZE_LIMIT, Server, ServerStartError};
use tokio::sync::Mutex;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

mod wire;

use wire::oracle_client::OracleClient;
use wire::relay_server::{Relay, RelayServer};

const HANDSHAKE: Handshake =
    Handshake { cookie_key: "RELAY_PLUGIN", cookie_value: "relay", protocol_versions: &[4, 5] };

#[tokio::main]
async fn main() -> ExitCode {
    let logger = Logger::new("relay", Level::Trace);
    log::report_panics(&logger);
    assert!(!std::env::args().any(|argument| argument == "--panic"), "requested\npanic");
    if std::env::args().any(|argument| argument == "--print-first") {
        print("Welcome!");
    }

    let result = async {
        let server = Server::start(&HANDSHAKE, Environment::from_process()).await?;
        logger.with("protocol_version", server.protocol_version()).info("starting");
        let relay = RelayServer::new(RelayPlugin {
            broker: server.broker(),
            host: Mutex::default(),
            logger: logger.clone(),
        })
        .max_decoding_message_size(MESSAGE_SIZE_LIMIT)
        .max_encoding_message_size(MESSAGE_SIZE_LIMIT);
        Ok::<_, Box<dyn std::error::Error>>(server.serve(Routes::new(relay)).await?)
    };
    match result.await {
        Ok(reason) => {
            logger.info(format!("stopped: {reason:?}"));
            ExitCode::SUCCESS
        }
        Err(error) if matches!(error.downcast_ref(), Some(ServerStartError::NotStartedByHost)) => {
            logger.error("this program is a plugin and must be started by a plugin host");
            ExitCode::FAILURE
        }
        Err(error) => {
            let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            logger.error(format!("{error}{source}"));
            ExitCode::FAILURE
        }
    }
}

struct RelayPlugin {
    broker: Broker,
    host: Mutex<Option<OracleClient<Channel>>>,
    logger: Logger,
}

#[tonic::async_trait]
impl Relay for RelayPlugin {
    async fn connect(&self, request: Request<String>) -> Result<Response<Vec<u8>>, Status> {
        let service_id = request
            .get_ref()
            .parse()
            .map_err(|_| Status::invalid_argument("the broker id must be a number"))?;
        let channel = self.broker.dial(service_id).await.map_err(|error| {
            let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            Status::unavailable(format!("{error}{source}"))
        })?;
        let mut client = OracleClient::new(channel)
            .max_decoding_message_size(MESSAGE_SIZE_LIMIT)
            .max_encoding_message_size(MESSAGE_SIZE_LIMIT);
        let response = client.answer(b"hello".to_vec()).await?;
        *self.host.lock().await = Some(client);
        Ok(response)
    }

    async fn ask(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Status> {
        let host = self.host.lock().await.clone();
        let mut host =
            host.ok_or_else(|| Status::failed_precondition("`ask` requires a previous `connect`"))?;
        host.answer(request.into_inner()).await
    }

    async fn print(&self, request: Request<String>) -> Result<Response<()>, Status> {
        print(request.get_ref());
        Ok(Response::new(()))
    }

    async fn log(&self, request: Request<String>) -> Result<Response<()>, Status> {
        self.logger.with("@level", 1).warn(request.get_ref());
        Ok(Response::new(()))
    }

    async fn hang(&self, _request: Request<()>) -> Result<Response<()>, Status> {
        std::future::pending().await
    }
}

#[expect(clippy::print_stdout, reason = "simulates a dependency that prints")]
fn print(line: &str) {
    println!("{line}");
}
