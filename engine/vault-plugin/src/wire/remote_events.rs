//! Sends events and observations to the host.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as WireValue};
use serde_json::Value;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::pb;
use super::pb::events_client::EventsClient;
use super::pb::observations_client::ObservationsClient;
use super::remote_system::is_host_error;
use crate::logical::{Event, EventError, EventSender, Map};

/// A client for events and observations on a brokered connection. A service that the host does not support is not called
/// again.
pub(crate) struct RemoteEvents {
    events: EventsClient<Channel>,
    observations: ObservationsClient<Channel>,
    no_events: AtomicBool,
    no_observations: AtomicBool,
}

impl RemoteEvents {
    pub(crate) fn new(channel: Channel) -> RemoteEvents {
        RemoteEvents {
            events: EventsClient::new(channel.clone()),
            observations: ObservationsClient::new(channel),
            no_events: AtomicBool::new(false),
            no_observations: AtomicBool::new(false),
        }
    }
}

#[async_trait]
impl EventSender for RemoteEvents {
    async fn send_event(&self, event: Event) -> Result<(), EventError> {
        if self.no_events.load(Ordering::Relaxed) {
            return Err(EventError::Unsupported("events"));
        }
        let data = pb::EventData {
            id: uuid::Uuid::new_v4().to_string(),
            metadata: Some(to_struct(event.metadata)),
            entity_ids: event.entity_ids,
            note: event.note,
        };
        let request = pb::SendEventRequest { event_type: event.event_type, event: Some(data) };
        map_status("events", &self.no_events, self.events.clone().send_event(request).await)
    }

    async fn record_observation(&self, kind: &str, data: Map) -> Result<(), EventError> {
        if self.no_observations.load(Ordering::Relaxed) {
            return Err(EventError::Unsupported("observations"));
        }
        let request =
            pb::RecordObservationRequest { observation_type: kind.to_owned(), data: Some(to_struct(data)) };
        let reply = self.observations.clone().record_observation(request).await;
        map_status("observations", &self.no_observations, reply)
    }
}

fn map_status<T>(
    what: &'static str,
    unsupported: &AtomicBool,
    reply: Result<tonic::Response<T>, Status>,
) -> Result<(), EventError> {
    match reply {
        Ok(_) => Ok(()),
        Err(status) if status.code() == Code::Unimplemented => {
            unsupported.store(true, Ordering::Relaxed);
            Err(EventError::Unsupported(what))
        }
        Err(status) if is_host_error(&status) => Err(EventError::Host(status.message().to_owned())),
        Err(status) => Err(EventError::Unreachable(status.message().to_owned())),
    }
}

fn to_struct(map: Map) -> Struct {
    Struct { fields: map.into_iter().map(|(name, value)| (name, to_value(value))).collect() }
}

fn to_value(value: Value) -> WireValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.into_iter().map(to_value).collect() })
        }
        Value::Object(map) => Kind::StructValue(to_struct(map)),
    };
    WireValue { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_converted_to_a_protobuf_struct() {
        let data = json!({"count": 3, "names": ["a", null], "nested": {"on": true}});
        let wire = to_struct(data.as_object().cloned().unwrap());
        assert_eq!(wire.fields["count"].kind, Some(Kind::NumberValue(3.0)));
        let Some(Kind::ListValue(names)) = &wire.fields["names"].kind else { panic!("a list") };
        assert_eq!(names.values[0].kind, Some(Kind::StringValue("a".to_owned())));
        assert_eq!(names.values[1].kind, Some(Kind::NullValue(0)));
        let Some(Kind::StructValue(nested)) = &wire.fields["nested"].kind else { panic!("an object") };
        assert_eq!(nested.fields["on"].kind, Some(Kind::BoolValue(true)));
    }
}
