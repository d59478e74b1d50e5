//! Rust implementation of both example plugins of hashicorp/go-plugin: a key-value store of bytes, and a store of numbers that
//! the host adds up. Like the originals, it stores values in files of the working directory.

use std::fs;
use std::io;
use std::process::ExitCode;

use go_plugin::log::{Level, Logger};
use go_plugin::{Broker, Environment, Handshake, Server};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

mod wire;

use wire::add_helper_client::AddHelperClient;
use wire::counter_server::{Counter, CounterServer};
use wire::kv_server::{Kv, KvServer};
use wire::{Bytes, Done, Key, Number, PutBytes, PutNumber, Summands};

const HANDSHAKE: Handshake =
    Handshake { cookie_key: "BASIC_PLUGIN", cookie_value: "hello", protocol_versions: &[1] };

#[tokio::main]
async fn main() -> ExitCode {
    let result = async {
        let server = Server::start(&HANDSHAKE, Environment::from_process()).await?;
        let counter = CounterServer::new(CounterService { broker: server.broker() });
        server.serve(Routes::new(KvServer::new(KvService)).add_service(counter)).await?;
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    match result.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Logger::new("official", Level::Error).error(error.to_string());
            ExitCode::FAILURE
        }
    }
}

struct KvService;

#[tonic::async_trait]
impl Kv for KvService {
    async fn get(&self, request: Request<Key>) -> Result<Response<Bytes>, Status> {
        Ok(Response::new(Bytes { value: fs::read(file(&request.get_ref().key)).map_err(io_status)? }))
    }

    async fn put(&self, request: Request<PutBytes>) -> Result<Response<Done>, Status> {
        let PutBytes { key, value } = request.into_inner();
        fs::write(file(&key), value).map_err(io_status)?;
        Ok(Response::new(Done {}))
    }
}

struct CounterService {
    broker: Broker,
}

#[tonic::async_trait]
impl Counter for CounterService {
    async fn get(&self, request: Request<Key>) -> Result<Response<Number>, Status> {
        let text = fs::read_to_string(file(&request.get_ref().key)).map_err(io_status)?;
        let value = text.parse().map_err(|_| Status::data_loss("the stored value is not a number"))?;
        Ok(Response::new(Number { value }))
    }

    async fn put(&self, request: Request<PutNumber>) -> Result<Response<Done>, Status> {
        let PutNumber { add_server, key, value: b } = request.into_inner();
        let a = match self.get(Request::new(Key { key: key.clone() })).await {
            Ok(stored) => stored.into_inner().value,
            Err(status) if status.code() == tonic::Code::NotFound => 0,
            Err(status) => return Err(status),
        };
        let host = self.broker.dial(add_server).await;
        let host = host.map_err(|error| Status::unavailable(error.to_string()))?;
        let total = AddHelperClient::new(host).sum(Summands { a, b }).await?.into_inner().r;
        fs::write(file(&key), total.to_string()).map_err(io_status)?;
        Ok(Response::new(Done {}))
    }
}

fn file(key: &str) -> String {
    format!("stored-{key}")
}

fn io_status(error: io::Error) -> Status {
    match error.kind() {
        io::ErrorKind::NotFound => Status::not_found("no value is stored under this key"),
        _ => Status::internal(error.to_string()),
    }
}
