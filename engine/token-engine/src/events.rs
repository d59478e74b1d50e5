//! Events for subscribers of the host: a token was issued, a credential was rotated, an orphan was deleted.
//!
//! Sending an event never delays or fails a request. An event is one more call to the host, so by default none is sent to a host whose
//! clients cannot subscribe.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use vault_plugin::framework::Context;
use vault_plugin::logical::{Event, EventError, SystemViewError};

use crate::TokenEngine;

/// The first part of the event types. The second is the object and what happened to it, as in Vault's own types, such as
/// `database/creds-create`.
const TYPE_PREFIX: &str = "token-engine";

/// The time in which events are collected, which are then sent together. Events that are sent together share packets, system calls and
/// wake-ups of threads, which are most of what an event costs.
const COLLECTION_TIME: Duration = Duration::from_millis(10);

/// A host receives an event in less than a millisecond. One that hangs must not keep the process from exiting.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum number of events that wait for the host. Further ones are dropped.
const MAX_PENDING: usize = 256;

/// `send_events` of a connection: whether events about its tokens and its key are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SendEvents {
    /// If clients of the host can subscribe to them.
    #[default]
    Auto,
    Always,
    Never,
}

impl SendEvents {
    /// The values in the API.
    pub(crate) const VALUES: [&str; 3] = ["auto", "always", "never"];

    pub(crate) fn parse(text: &str) -> Option<SendEvents> {
        match text {
            "auto" => Some(SendEvents::Auto),
            "always" => Some(SendEvents::Always),
            "never" => Some(SendEvents::Never),
            _ => None,
        }
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == SendEvents::default()
    }
}

/// The events of a mount that wait for the host.
pub(crate) struct PendingEvents {
    collected: Mutex<Vec<PendingEvent>>,
    slots: Arc<Semaphore>,
    /// Whether clients of the host can subscribe, once the host has been asked. It does not change while the host runs.
    can_subscribe: OnceCell<bool>,
}

struct PendingEvent {
    event: Event,
    setting: SendEvents,
    _slot: OwnedSemaphorePermit,
}

impl Default for PendingEvents {
    fn default() -> PendingEvents {
        PendingEvents {
            collected: Mutex::default(),
            slots: Arc::new(Semaphore::new(MAX_PENDING)),
            can_subscribe: OnceCell::new(),
        }
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

/// Sends an event in the background, together with those that follow within a moment. `setting` is that of its connection.
pub(crate) fn send(context: &Context<TokenEngine>, setting: SendEvents, event: impl FnOnce() -> Event) {
    let pending = &context.state().pending_events;
    let may_send = match setting {
        SendEvents::Always => true,
        SendEvents::Never => false,
        // The host is asked when the first events are sent.
        SendEvents::Auto => pending.can_subscribe.get() != Some(&false),
    };
    if !may_send {
        return;
    }
    let event = event();
    let Ok(slot) = Arc::clone(&pending.slots).try_acquire_owned() else {
        context
            .logger()
            .debug(format!("event {} is dropped: the host has not received {MAX_PENDING}", event.event_type));
        return;
    };
    let is_first = {
        let mut collected = pending.collected.lock();
        collected.push(PendingEvent { event, setting, _slot: slot });
        collected.len() == 1
    };
    if is_first {
        let context = context.clone();
        drop(context.clone().run_to_completion(async move {
            tokio::time::sleep(COLLECTION_TIME).await;
            send_collected(&context).await;
            Ok(())
        }));
    }
}

async fn send_collected(context: &Context<TokenEngine>) {
    let pending = &context.state().pending_events;
    let mut collected = std::mem::take(&mut *pending.collected.lock());
    let count = collected.len();
    let sent = async {
        let asks_host = collected.iter().any(|pending| pending.setting == SendEvents::Auto);
        if asks_host && !can_subscribe(context).await {
            collected.retain(|pending| pending.setting == SendEvents::Always);
        }
        join_all(collected.into_iter().map(|pending| send_one(context, pending))).await;
    };
    if tokio::time::timeout(SEND_TIMEOUT, sent).await.is_err() {
        let seconds = SEND_TIMEOUT.as_secs();
        context.logger().debug(format!("cannot send all of {count} events: no response in {seconds} s"));
    }
}

/// Returns whether clients can subscribe to events of the host. Every Vault takes events, and only Vault Enterprise delivers them.
async fn can_subscribe(context: &Context<TokenEngine>) -> bool {
    let request = async || match context.system().plugin_env().await {
        Ok(host) => Ok(host.is_enterprise()),
        Err(SystemViewError::Unsupported(_)) => Ok(false),
        Err(error) => Err(error),
    };
    match context.state().pending_events.can_subscribe.get_or_try_init(request).await {
        Ok(can_subscribe) => *can_subscribe,
        Err(error) => {
            context
                .logger()
                .debug(format!("cannot read the edition of the host, so no event is sent: {error}"));
            false
        }
    }
}

async fn send_one(context: &Context<TokenEngine>, PendingEvent { event, .. }: PendingEvent) {
    let event_type = event.event_type.clone();
    match context.events().send_event(event).await {
        Ok(()) | Err(EventError::Unsupported(_)) => {}
        Err(error) => context.logger().debug(format!("cannot send event {event_type}: {error}")),
    }
}
