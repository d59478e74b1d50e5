//! Events for subscribers of the host: a token was issued, a credential was rotated, an orphan was deleted.
//!
//! Sending an event never delays or fails a request. A host without events, such as OpenBao, gets none.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use vault_plugin::framework::Context;
use vault_plugin::logical::{Event, EventError};

use crate::TokenEngine;

/// The first part of the event types. The second is the object and what happened to it, as in Vault's own types, such as
/// `database/creds-create`.
const TYPE_PREFIX: &str = "token-engine";

/// A host receives an event in less than a millisecond. One that hangs must not keep the process from exiting.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum number of events that wait for the host. Further ones are dropped.
const MAX_PENDING: usize = 256;

/// Limits the events of a mount that wait for the host.
pub(crate) struct PendingEvents(Arc<Semaphore>);

impl Default for PendingEvents {
    fn default() -> PendingEvents {
        PendingEvents(Arc::new(Semaphore::new(MAX_PENDING)))
    }
}

/// Returns an event of the type `token-engine/WHAT`, for example `creds-create`, with the metadata that Vault's own engines send: the
/// path and the operation of the request, and `modified`.
///
/// The metadata must not contain secrets. `path` is relative to the mount; the host adds that of the mount.
pub(crate) fn event(context: &Context<TokenEngine>, what: &str, path: impl Into<String>) -> Event {
    let request = context.request();
    let entity_ids = Some(request.entity_id.clone()).filter(|id| !id.is_empty()).into_iter().collect();
    let event = Event::new(format!("{TYPE_PREFIX}/{what}"));
    let event = Event { entity_ids, ..event }.path(path).operation(request.operation.as_str());
    event.with("modified", "false")
}

/// Sends an event in the background.
pub(crate) fn send(context: &Context<TokenEngine>, event: Event) {
    let pending = Arc::clone(&context.state().pending_events.0);
    let Ok(slot) = pending.try_acquire_owned() else {
        context
            .logger()
            .debug(format!("event {} is dropped: the host has not received {MAX_PENDING}", event.event_type));
        return;
    };
    let work = context.clone();
    drop(context.run_to_completion(async move {
        let event_type = event.event_type.clone();
        let failure = match tokio::time::timeout(SEND_TIMEOUT, work.events().send_event(event)).await {
            Ok(Ok(()) | Err(EventError::Unsupported(_))) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no response in {} s", SEND_TIMEOUT.as_secs())),
        };
        drop(slot);
        if let Some(failure) = failure {
            work.logger().debug(format!("cannot send event {event_type}: {failure}"));
        }
        Ok(())
    }));
}
