//! The client of an engine in another process.

use std::error::Error as _;

use go_plugin::MESSAGE_SIZE_LIMIT;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::call_error::{BackendError, CallError};
use super::multiplexing::MultiplexingSupportRequest;
use super::multiplexing::plugin_multiplexing_client::PluginMultiplexingClient;
use super::pb::backend_client::BackendClient;
use super::version::plugin_version_client::PluginVersionClient;
use super::{from_wire, pb, to_wire, version};
use crate::logical::{self, BackendType, Response, SpecialPaths};

/// Whether several mounts can share the process. A plugin that does not implement the call does not support it.
pub(crate) async fn supports_multiplexing(channel: Channel) -> Result<bool, CallError> {
    let mut request = Request::new(MultiplexingSupportRequest {});
    // The Go SDK requires an id in every call, but ignores its value here.
    request.metadata_mut().insert("multiplex_id", MetadataValue::from_static("host"));
    match PluginMultiplexingClient::new(channel).multiplexing_support(request).await {
        Ok(reply) => Ok(reply.into_inner().supported),
        Err(status) if status.code() == Code::Unimplemented => Ok(false),
        Err(status) => Err(map_status(status)),
    }
}

/// One instance of an engine, identified by an id in the metadata of every call.
pub(crate) struct RemoteBackend {
    client: BackendClient<Channel>,
    versions: PluginVersionClient<Channel>,
    id: MetadataValue<Ascii>,
}

impl RemoteBackend {
    /// Returns a new instance. It does not exist in the plugin before [`RemoteBackend::setup`].
    pub(crate) fn new(channel: Channel) -> RemoteBackend {
        let id = MetadataValue::from(rand::random::<u64>());
        let client = BackendClient::new(channel.clone())
            .max_decoding_message_size(MESSAGE_SIZE_LIMIT)
            .max_encoding_message_size(MESSAGE_SIZE_LIMIT);
        RemoteBackend { client, versions: PluginVersionClient::new(channel), id }
    }

    /// Creates the instance. The inner error is that of the engine.
    pub(crate) async fn setup(
        &self,
        broker_id: u32,
        options: impl IntoIterator<Item = (String, String)>,
        backend_uuid: String,
    ) -> Result<Result<(), String>, CallError> {
        let args = pb::SetupArgs { broker_id, config: options.into_iter().collect(), backend_uuid };
        let error =
            self.client().setup(self.with_multiplex_id(args)).await.map_err(map_status)?.into_inner().err;
        Ok(if error.is_empty() { Ok(()) } else { Err(error) })
    }

    /// Returns the type of the engine. The inner error is an unknown number.
    pub(crate) async fn kind(&self) -> Result<Result<BackendType, u32>, CallError> {
        let reply = self.client().r#type(self.with_multiplex_id(pb::Empty {})).await.map_err(map_status)?;
        let kinds = [BackendType::Secrets, BackendType::Credential];
        let number = reply.into_inner().r#type;
        Ok(kinds.into_iter().find(|kind| *kind as u32 == number).ok_or(number))
    }

    /// Returns the version that the plugin reports, or an empty string.
    pub(crate) async fn version(&self) -> Result<String, CallError> {
        match self.versions.clone().version(self.with_multiplex_id(version::Empty {})).await {
            Ok(reply) => Ok(reply.into_inner().plugin_version),
            Err(status) if status.code() == Code::Unimplemented => Ok(String::new()),
            Err(status) => Err(map_status(status)),
        }
    }

    pub(crate) async fn special_paths(&self) -> Result<SpecialPaths, CallError> {
        let reply =
            self.client().special_paths(self.with_multiplex_id(pb::Empty {})).await.map_err(map_status)?;
        Ok(from_wire::special_paths(reply.into_inner().paths.unwrap_or_default()))
    }

    /// Initializes the engine. An engine without initialization may not implement the call.
    pub(crate) async fn initialize(&self) -> Result<(), CallError> {
        match self.client().initialize(self.with_multiplex_id(pb::InitializeArgs {})).await {
            Ok(reply) => check_reply((), reply.into_inner().err),
            Err(status) if status.code() == Code::Unimplemented => Ok(()),
            Err(status) => Err(map_status(status)),
        }
    }

    pub(crate) async fn handle_request(
        &self,
        request: logical::Request,
    ) -> Result<Option<Response>, CallError> {
        let args = pb::HandleRequestArgs { request: Some(to_wire::request(request)) };
        let reply = self
            .client()
            .handle_request(self.with_multiplex_id(args))
            .await
            .map_err(map_status)?
            .into_inner();
        let response = reply.response.map(from_wire::response).transpose()?;
        match reply.err {
            None => Ok(response),
            Some(error) => Err(backend_error(error, response)),
        }
    }

    pub(crate) async fn handle_existence_check(
        &self,
        request: logical::Request,
    ) -> Result<Option<bool>, CallError> {
        let args = pb::HandleExistenceCheckArgs { request: Some(to_wire::request(request)) };
        let reply = self.client().handle_existence_check(self.with_multiplex_id(args)).await;
        let reply = reply.map_err(map_status)?.into_inner();
        check_reply(reply.check_found.then_some(reply.exists), reply.err)
    }

    pub(crate) async fn invalidate_key(&self, key: &str) -> Result<(), CallError> {
        let args = pb::InvalidateKeyArgs { key: key.to_owned() };
        self.client().invalidate_key(self.with_multiplex_id(args)).await.map_err(map_status)?;
        Ok(())
    }

    pub(crate) async fn cleanup(&self) -> Result<(), CallError> {
        self.client().cleanup(self.with_multiplex_id(pb::Empty {})).await.map_err(map_status)?;
        Ok(())
    }

    fn client(&self) -> BackendClient<Channel> {
        self.client.clone()
    }

    fn with_multiplex_id<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("multiplex_id", self.id.clone());
        request
    }
}

fn check_reply<T>(value: T, error: Option<pb::ProtoError>) -> Result<T, CallError> {
    match error {
        None => Ok(value),
        Some(error) => Err(backend_error(error, None)),
    }
}

fn backend_error(error: pb::ProtoError, response: Option<Response>) -> CallError {
    match from_wire::error(error) {
        Ok(error) => CallError::Backend(Box::new(BackendError { error, response })),
        Err(error) => error.into(),
    }
}

/// Converts a gRPC status. A status with a source was created locally: the connection is lost permanently.
fn map_status(status: Status) -> CallError {
    if status.source().is_some() {
        return CallError::ConnectionLost;
    }
    CallError::Rpc { code: format!("{:?}", status.code()), message: status.message().to_owned() }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll};

    use tonic::Response as Reply;
    use tonic::transport::server::{Router, TcpIncoming};
    use tonic::transport::{Endpoint, Server};

    use super::super::pb::backend_server::{Backend, BackendServer};
    use super::*;
    use crate::logical::{Map, Operation};

    /// Returns invalid responses.
    struct Broken;

    #[tonic::async_trait]
    impl Backend for Broken {
        async fn handle_request(
            &self,
            request: Request<pb::HandleRequestArgs>,
        ) -> Result<Reply<pb::HandleRequestReply>, Status> {
            let path = request.into_inner().request.unwrap_or_default().path;
            let response = |data: &str| pb::Response { data: data.to_owned(), ..Default::default() };
            Ok(Reply::new(match path.as_str() {
                "empty" => pb::HandleRequestReply { response: Some(response("")), err: None },
                "text" => pb::HandleRequestReply { response: Some(response("{hunter2}")), err: None },
                "both" => pb::HandleRequestReply {
                    response: Some(response(r#"{"error":"no such thing"}"#)),
                    err: Some(pb::ProtoError { err_type: 7, ..Default::default() }),
                },
                _ => return Err(Status::unknown("no backend instance found")),
            }))
        }

        async fn r#type(&self, _request: Request<pb::Empty>) -> Result<Reply<pb::TypeReply>, Status> {
            Ok(Reply::new(pb::TypeReply { r#type: 7 }))
        }
    }

    /// Answers every call with one byte that is not valid protobuf.
    #[derive(Clone)]
    struct Garbled;

    impl tonic::server::NamedService for Garbled {
        const NAME: &'static str = "pb.Backend";
    }

    impl tonic::codegen::Service<tonic::codegen::http::Request<tonic::body::Body>> for Garbled {
        type Response = tonic::codegen::http::Response<tonic::body::Body>;
        type Error = std::convert::Infallible;
        type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

        fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _request: tonic::codegen::http::Request<tonic::body::Body>) -> Self::Future {
            let response =
                tonic::codegen::http::Response::builder().header("content-type", "application/grpc");
            let body = tonic::body::Body::new("\0\0\0\0\x01\x07".to_owned());
            std::future::ready(Ok(response.body(body).unwrap()))
        }
    }

    async fn ask(path: &str) -> CallError {
        let request = logical::Request::new(Operation::Read, path, Map::new());
        remote().await.handle_request(request).await.unwrap_err()
    }

    async fn remote() -> RemoteBackend {
        connected(Server::builder().add_service(BackendServer::new(Broken))).await
    }

    async fn connected(server: Router) -> RemoteBackend {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = format!("http://{}", incoming.local_addr().unwrap());
        tokio::spawn(server.serve_with_incoming(incoming));
        RemoteBackend::new(Endpoint::from_shared(address).unwrap().connect().await.unwrap())
    }

    #[tokio::test]
    async fn an_invalid_response_is_reported_without_its_content() {
        assert_eq!(
            ask("empty").await.to_string(),
            "invalid response of the plugin: response data is an empty string instead of JSON, which Vault \
             rejects: send null"
        );
        let text = ask("text").await.to_string();
        assert!(text.contains("response data is not a JSON object") && !text.contains("hunter2"), "{text}");
        assert_eq!(remote().await.kind().await.unwrap(), Err(7));
    }

    #[tokio::test]
    async fn a_message_that_is_not_protobuf_is_reported_and_the_connection_is_not_lost() {
        let remote = connected(Server::builder().add_service(Garbled)).await;
        let request = logical::Request::new(Operation::Read, "any", Map::new());
        let error = remote.handle_request(request).await.unwrap_err().to_string();
        assert!(
            error.contains("code = Internal") && error.contains("failed to decode Protobuf message"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn an_error_and_its_response_arrive_together() {
        let CallError::Backend(backend_error) = ask("both").await else { panic!("the call should fail") };
        assert!(matches!(backend_error.error, logical::Error::InvalidRequest));
        assert_eq!(backend_error.response.unwrap().error_text(), Some("no such thing"));
    }

    #[tokio::test]
    async fn a_status_has_the_message_of_go() {
        assert_eq!(
            ask("nowhere").await.to_string(),
            "rpc error: code = Unknown desc = no backend instance found"
        );
    }
}
