use std::collections::HashMap;

use serde_json::json;
use tonic::{Request, Response};

use super::super::in_process::serve_in_process;
use super::super::remote_events::RemoteEvents;
use super::*;
use crate::logical::{Event, EventError, EventSender};
use pb::events_server::{Events, EventsServer};
use pb::system_view_server::{SystemView as SystemViewService, SystemViewServer};

/// A host that returns its arguments.
struct FakeSystemViewHost;

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl SystemViewService for FakeSystemViewHost {
    async fn entity_info(&self, request: Request<pb::EntityInfoArgs>) -> Reply<pb::EntityInfoReply> {
        let id = request.into_inner().entity_id;
        if id == "forbidden" {
            return Ok(Response::new(pb::EntityInfoReply { err: "no core".to_owned(), entity: None }));
        }
        let metadata = HashMap::from([("team".to_owned(), "blue".to_owned())]);
        let alias = pb::Alias { name: "ann".to_owned(), mount_type: "ldap".to_owned(), ..Default::default() };
        let entity = pb::Entity { id: id.clone(), metadata, aliases: vec![alias], ..Default::default() };
        let entity = (id == "known").then_some(entity);
        Ok(Response::new(pb::EntityInfoReply { entity, err: String::new() }))
    }

    async fn groups_for_entity(
        &self,
        request: Request<pb::EntityInfoArgs>,
    ) -> Reply<pb::GroupsForEntityReply> {
        let group = pb::Group { name: request.into_inner().entity_id, ..Default::default() };
        Ok(Response::new(pb::GroupsForEntityReply { groups: vec![group], err: String::new() }))
    }

    async fn response_wrap_data(
        &self,
        request: Request<pb::ResponseWrapDataArgs>,
    ) -> Reply<pb::ResponseWrapDataReply> {
        let args = request.into_inner();
        let wrap_info = pb::ResponseWrapInfo { ttl: args.ttl, token: args.data, ..Default::default() };
        Ok(Response::new(pb::ResponseWrapDataReply { wrap_info: Some(wrap_info), err: String::new() }))
    }

    async fn cluster_info(&self, _request: Request<pb::Empty>) -> Reply<pb::ClusterInfoReply> {
        let reply = pb::ClusterInfoReply {
            cluster_name: "c".to_owned(),
            cluster_id: "1".to_owned(),
            ..Default::default()
        };
        Ok(Response::new(reply))
    }

    async fn generate_password_from_policy(
        &self,
        _request: Request<pb::GeneratePasswordFromPolicyRequest>,
    ) -> Reply<pb::GeneratePasswordFromPolicyReply> {
        Err(Status::internal("failed to generate password"))
    }

    async fn generate_identity_token(
        &self,
        request: Request<pb::GenerateIdentityTokenRequest>,
    ) -> Reply<pb::GenerateIdentityTokenResponse> {
        let request = request.into_inner();
        let reply = pb::GenerateIdentityTokenResponse { token: request.audience, ttl: request.ttl };
        Ok(Response::new(reply))
    }

    async fn register_rotation_job(
        &self,
        request: Request<pb::RegisterRotationJobRequest>,
    ) -> Reply<pb::RegisterRotationJobResponse> {
        let job = request.into_inner().job.unwrap();
        if job.rotation_period > 0 {
            // The message of Vault without a license.
            let text = "rotation manager capabilities not supported in Vault community edition";
            return Err(Status::internal(text));
        }
        let rotation_id = format!("{}{} {}", job.mount_point, job.path, job.rotation_window);
        Ok(Response::new(pb::RegisterRotationJobResponse { rotation_id, err: String::new() }))
    }
}

async fn system() -> RemoteSystemView {
    let host = SystemViewServer::new(FakeSystemViewHost)
        .max_decoding_message_size(MESSAGE_SIZE_LIMIT)
        .max_encoding_message_size(MESSAGE_SIZE_LIMIT);
    RemoteSystemView::new(serve_in_process(host).await)
}

fn job(when: RotationTime) -> RotationJob {
    RotationJob {
        name: "root".to_owned(),
        mount_point: "db/".to_owned(),
        path: "rotate".to_owned(),
        when,
        policy: String::new(),
    }
}

#[tokio::test]
async fn an_entity_has_its_aliases_or_is_missing_or_is_an_error() {
    let system = system().await;
    let known = system.entity("known").await.unwrap().unwrap();
    assert_eq!((known.metadata["team"].as_str(), known.aliases[0].name.as_str()), ("blue", "ann"));
    assert_eq!(system.entity("unknown").await.unwrap(), None);
    let error = system.entity("forbidden").await.unwrap_err();
    assert!(matches!(&error, SystemViewError::Host(text) if text == "no core"), "{error}");
    assert_eq!(system.groups_of_entity("g").await.unwrap()[0].name, "g");
}

#[tokio::test]
async fn data_is_wrapped_as_json_with_a_ttl_in_nanoseconds() {
    let data = json!({"a": 1}).as_object().cloned().unwrap();
    let wrapped = system().await.wrap(data, Duration::from_secs(60)).await.unwrap();
    assert_eq!((wrapped.token.expose(), wrapped.ttl), (r#"{"a":1}"#, Duration::from_secs(60)));
}

#[tokio::test]
async fn a_call_and_its_response_may_be_larger_than_four_mebibytes() {
    let large = "a".repeat(5 << 20);
    let data = json!({"a": large}).as_object().cloned().unwrap();
    let wrapped = system().await.wrap(data, Duration::from_secs(60)).await.unwrap();
    assert!(wrapped.token.expose().len() > large.len());
    assert_eq!(system().await.groups_of_entity(&large).await.unwrap()[0].name.len(), large.len());
}

#[tokio::test]
async fn identity_tokens_and_rotation_windows_count_in_seconds() {
    let system = system().await;
    let token = system.identity_token("audience", Duration::from_secs(90)).await.unwrap();
    assert_eq!((token.token.expose(), token.ttl), ("audience", Duration::from_secs(90)));
    let weekly = RotationTime::Schedule { cron: "0 0 * * SAT".to_owned(), window: Duration::from_hours(1) };
    assert_eq!(system.register_rotation_job(job(weekly)).await.unwrap(), "db/rotate 3600");
}

#[tokio::test]
async fn a_missing_call_is_unsupported_and_a_failed_call_has_the_message_of_the_host() {
    let system = system().await;
    // The call is not implemented.
    let unimplemented = system.rotation_information("db/rotate").await.unwrap_err();
    assert!(matches!(unimplemented, SystemViewError::Unsupported(_)), "{unimplemented}");
    // The call is implemented and returns an error.
    let every_hour = RotationTime::Period(Duration::from_hours(1));
    let unlicensed = system.register_rotation_job(job(every_hour)).await.unwrap_err();
    assert!(matches!(unlicensed, SystemViewError::Unsupported(_)), "{unlicensed}");
    let failed = system.generate_password("p").await.unwrap_err();
    assert!(matches!(&failed, SystemViewError::Host(text) if text == "failed to generate password"));
    assert_eq!(system.cluster().await.unwrap(), Cluster { name: "c".to_owned(), id: "1".to_owned() });
}

#[derive(Clone, Default)]
struct Subscriber(std::sync::Arc<std::sync::Mutex<Vec<pb::SendEventRequest>>>);

#[tonic::async_trait]
impl Events for Subscriber {
    async fn send_event(&self, request: Request<pb::SendEventRequest>) -> Reply<pb::Empty> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(pb::Empty {}))
    }
}

#[tokio::test]
async fn an_event_reaches_the_host_with_an_id_and_its_metadata() {
    let subscriber = Subscriber::default();
    let sender = RemoteEvents::new(serve_in_process(EventsServer::new(subscriber.clone())).await);
    let event = Event::new("greeter/write").path("greetings/ann").operation("create").modified();
    sender.send_event(event.clone()).await.unwrap();
    sender.send_event(event).await.unwrap();
    let sent = subscriber.0.lock().unwrap();
    let [first, second] = &sent[..] else { panic!("two events") };
    let data = first.event.as_ref().unwrap();
    assert_eq!(first.event_type, "greeter/write");
    assert_eq!(data.metadata.as_ref().unwrap().fields.len(), 3);
    assert_ne!(data.id, second.event.as_ref().unwrap().id);
}

#[tokio::test]
async fn every_call_to_a_host_without_events_is_unsupported() {
    let sender = RemoteEvents::new(serve_in_process(SystemViewServer::new(FakeSystemViewHost)).await);
    for _ in 0..2 {
        assert!(matches!(sender.send_event(Event::new("a/b")).await, Err(EventError::Unsupported("events"))));
        let result = sender.record_observation("a/b", Map::new()).await;
        assert!(matches!(result, Err(EventError::Unsupported("observations"))));
    }
}
