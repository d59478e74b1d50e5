//! An engine in another process, as its host calls it.

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

/// Whether many mounts may share the process; one that has never heard of it says no.
pub(crate) async fn supports_multiplexing(channel: Channel) -> Result<bool, CallError> {
    let mut request = Request::new(MultiplexingSupportRequest {});
    // The Go SDK wants an id on every call, whatever it is.
    request.metadata_mut().insert("multiplex_id", MetadataValue::from_static("host"));
    match PluginMultiplexingClient::new(channel).multiplexing_support(request).await {
        Ok(reply) => Ok(reply.into_inner().supported),
        Err(status) if status.code() == Code::Unimplemented => Ok(false),
        Err(status) => Err(map_status(status)),
    }
}

/// One instance of an engine, named by an id in the metadata of every call.
pub(crate) struct RemoteBackend {
    client: BackendClient<Channel>,
    versions: PluginVersionClient<Channel>,
    id: MetadataValue<Ascii>,
}

impl RemoteBackend {
    /// A new instance, which is not there before [`RemoteBackend::setup`].
    pub(crate) fn new(channel: Channel) -> RemoteBackend {
        let id = MetadataValue::from(rand::random::<u64>());
        let client = BackendClient::new(channel.clone())
            .max_decoding_message_size(MESSAGE_SIZE_LIMIT)
            .max_encoding_message_size(MESSAGE_SIZE_LIMIT);
        RemoteBackend { client, versions: PluginVersionClient::new(channel), id }
    }

    /// Makes the instance. The inner error is the engine's refusal.
    pub(crate) async fn setup(
        &self,
        broker_id: u32,
        options: impl IntoIterator<Item = (String, String)>,
        backend_uuid: String,
    ) -> Result<Result<(), String>, CallError> {
        let args = pb::SetupArgs { broker_id, config: options.into_iter().collect(), backend_uuid };
        let refused =
            self.client().setup(self.with_multiplex_id(args)).await.map_err(map_status)?.into_inner().err;
        Ok(if refused.is_empty() { Ok(()) } else { Err(refused) })
    }

    /// Secrets engine or auth method; the inner error is a number that is neither.
    pub(crate) async fn kind(&self) -> Result<Result<BackendType, u32>, CallError> {
        let reply = self.client().r#type(self.with_multiplex_id(pb::Empty {})).await.map_err(map_status)?;
        let kinds = [BackendType::Secrets, BackendType::Credential];
        let number = reply.into_inner().r#type;
        Ok(kinds.into_iter().find(|kind| *kind as u32 == number).ok_or(number))
    }

    /// The version that the plugin reports; empty where it reports none.
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

    /// An engine that has nothing to initialise need not know the call.
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

fn check_reply<T>(answer: T, error: Option<pb::ProtoError>) -> Result<T, CallError> {
    match error {
        None => Ok(answer),
        Some(error) => Err(backend_error(error, None)),
    }
}

fn backend_error(error: pb::ProtoError, response: Option<Response>) -> CallError {
    match from_wire::error(error) {
        Ok(error) => CallError::Backend(Box::new(BackendError { error, response })),
        Err(error) => error.into(),
    }
}

/// A status with a source comes from our side: the connection is lost, and for good.
fn map_status(status: Status) -> CallError {
    if status.source().is_some() {
        return CallError::ConnectionLost;
    }
    CallError::Rpc { code: format!("{:?}", status.code()), message: status.message().to_owned() }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll};

    use tonic::Response as Answer;
    use tonic::transport::server::{Router, TcpIncoming};
    use tonic::transport::{Endpoint, Server};

    use super::super::pb::backend_server::{Backend, BackendServer};
    use super::*;
    use crate::logical::{Map, Operation};

    /// Answers with what is not an answer.
    struct Broken;

    #[tonic::async_trait]
    impl Backend for Broken {
        async fn handle_request(
            &self,
            request: Request<pb::HandleRequestArgs>,
        ) -> Result<Answer<pb::HandleRequestReply>, Status> {
            let path = request.into_inner().request.unwrap_or_default().path;
            let response = |data: &str| pb::Response { data: data.to_owned(), ..Default::default() };
            Ok(Answer::new(match path.as_str() {
                "empty" => pb::HandleRequestReply { response: Some(response("")), err: None },
                "text" => pb::HandleRequestReply { response: Some(response("{hunter2}")), err: None },
                "both" => pb::HandleRequestReply {
                    response: Some(response(r#"{"error":"no such thing"}"#)),
                    err: Some(pb::ProtoError { err_type: 7, ..Default::default() }),
                },
                _ => return Err(Status::unknown("no backend instance found")),
            }))
        }

        async fn r#type(&self, _request: Request<pb::Empty>) -> Result<Answer<pb::TypeReply>, Status> {
            Ok(Answer::new(pb::TypeReply { r#type: 7 }))
        }
    }

    /// Answers every call with a message of one byte that is no protobuf.
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
            let answer = tonic::codegen::http::Response::builder().header("content-type", "application/grpc");
            let body = tonic::body::Body::new("\0\0\0\0\x01\x07".to_owned());
            std::future::ready(Ok(answer.body(body).unwrap()))
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
    async fn an_answer_that_is_none_is_named_without_being_repeated() {
        assert_eq!(
            ask("empty").await.to_string(),
            "the plugin's answer cannot be understood: response data is the empty text instead of JSON, which Vault \
             refuses: send null"
        );
        let text = ask("text").await.to_string();
        assert!(text.contains("response data is not a JSON object") && !text.contains("hunter2"), "{text}");
        assert_eq!(remote().await.kind().await.unwrap(), Err(7));
    }

    #[tokio::test]
    async fn a_message_that_is_no_protobuf_is_named_and_the_plugin_is_not_taken_for_gone() {
        let remote = connected(Server::builder().add_service(Garbled)).await;
        let request = logical::Request::new(Operation::Read, "any", Map::new());
        let failed = remote.handle_request(request).await.unwrap_err().to_string();
        assert!(
            failed.contains("code = Internal") && failed.contains("failed to decode Protobuf message"),
            "{failed}"
        );
    }

    #[tokio::test]
    async fn an_error_and_its_response_arrive_together() {
        let CallError::Backend(refusal) = ask("both").await else { panic!("it should be refused") };
        assert!(matches!(refusal.error, logical::Error::InvalidRequest));
        assert_eq!(refusal.response.unwrap().error_text(), Some("no such thing"));
    }

    #[tokio::test]
    async fn a_status_has_the_words_of_go() {
        assert_eq!(
            ask("nowhere").await.to_string(),
            "rpc error: code = Unknown desc = no backend instance found"
        );
    }
}
